/** The IOMMU groups of a machine, as far as its text tells them. */
import { computeIommuGroups, type AcsFacts, type ComputedGroup, type KernelVersion, type PciFacts, type SriovFacts } from '@vsim/vfio-pci';
import { completions, type Completion, type CompletionContext } from './completions.ts';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { isMissed, valueOr, type Fact } from './fact.ts';
import { hiddenPfs } from './hidden-pfs.ts';
import { inferredSriov, virtualAddresses } from './inferred-sriov.ts';
import { placesOf, type Orphan, type Places } from './places.ts';

/** A group that the text is sure of. */
export interface SureGroup {
  /** Addresses, ascending; only of functions that the text shows. */
  readonly devices: readonly string[];
  /** `told`: the running kernel's own. `known`: computed from registers. `derived`: computed with facts that follow by a rule. */
  readonly standing: 'told' | 'known' | 'derived';
  /** The running kernel's number; undefined: nobody told it. */
  readonly number: number | undefined;
}

/** A function whose group the text cannot tell. */
export interface OpenGroup {
  /** Its address. */
  readonly device: string;
  /** Addresses of those with which it is in each machine that fits the text, itself among them. */
  readonly surely: readonly string[];
  /** Addresses of those with which it is in at least one. */
  readonly perhaps: readonly string[];
  /** Whether it may be in no group at all. */
  readonly perhapsNone: boolean;
  /** The facts that would tell. */
  readonly lacks: readonly LackedFact[];
}

/** A fact that is missing. */
export interface LackedFact {
  /** The function that it is of; undefined: one that the text does not show. */
  readonly address: string | undefined;
  /** What is missing, as a person would say it. */
  readonly what: string;
}

/** What can be said of the groups of a machine. */
export interface GroupKnowledge {
  /** What is sure, in the order of their first functions. */
  readonly sure: readonly SureGroup[];
  /** What is not, in the order of addresses. */
  readonly open: readonly OpenGroup[];
  /** Functions that no IOMMU covers, and why. */
  readonly uncovered: readonly { readonly device: string; readonly why: string }[];
  /** Groups as they were computed, where they are sure, with the reasons: also of functions whose groups were told. */
  readonly computed: readonly ComputedGroup[];
  /** Addresses of functions of which the text does not tell what is above them. */
  readonly lost: ReadonlySet<string>;
  /** The machines that bound all that fit the text. */
  readonly completions: readonly Completion[];
}

/** What the computation is told besides the functions. */
export interface GroupsContext {
  /** The machine has AMD's IOMMU. */
  readonly amdIommu: boolean;
  /** The functions of one machine that no IOMMU covers, by address, and why. */
  readonly uncovered: (facts: readonly PciFacts[]) => ReadonlyMap<string, string>;
  /** The kernel that groups; undefined: 6.1. */
  readonly kernel: KernelVersion | undefined;
  /** As completions() takes it. */
  readonly isolatingId: CompletionContext['isolatingId'];
  /** As completions() takes it. */
  readonly mergingId: CompletionContext['mergingId'];
}

interface World {
  readonly completion: Completion;
  readonly groups: readonly ComputedGroup[];
  readonly groupOf: ReadonlyMap<string, ComputedGroup>;
  readonly uncovered: ReadonlyMap<string, string>;
}

/** Says of each function in which group it is, or that the text cannot tell. */
export function groupsOf(machine: readonly DeviceKnowledge[], context: GroupsContext): GroupKnowledge {
  const sriov = new Map<string, SriovFacts>([...inferredSriov(machine), ...machine.flatMap(({ address, sriov: fact }) => {
    const value = valueOr(fact, undefined);
    return value === undefined ? [] : [[address, value] as const];
  })]);
  const virtual = virtualAddresses(sriov, machine);
  const places = placesOf(machine, virtual);
  // Virtual functions whose PF is not in the text need a bridge to their bus, as everybody whose place is not known.
  const lonely = machine.filter(({ address, physfn }) => physfn.standing === 'unknown' && !virtual.has(address)).map(({ address }) => address);
  const all = new Set([...virtual, ...lonely]);
  const worlds = completions(machine, { places, sriov, virtual: all, hiddenPfs: hiddenPfs(lonely, machine), isolatingId: context.isolatingId, mergingId: context.mergingId }).map((completion) => worldOf(completion, context));
  const first = worlds[0]!;
  const told = toldGroups(machine);
  const toldOf = new Map(told.flatMap((group) => group.devices.map((device) => [device, group] as const)));
  const knowledge = new Map(machine.map((each) => [each.address, each]));
  const sure: SureGroup[] = [...told];
  const uncovered: GroupKnowledge['uncovered'][number][] = [];
  const open: OpenGroup[] = [];
  const seen = new Set<ComputedGroup>();
  for (const { address } of machine) {
    if (toldOf.has(address)) continue;
    const group = first.groupOf.get(address);
    const none = worlds.filter((world) => world.uncovered.has(address)).length;
    if (none === worlds.length) uncovered.push({ device: address, why: first.uncovered.get(address)! });
    else if (none > 0 || group === undefined || !isSame(address, worlds) || group.devices.some((device) => toldOf.has(device))) open.push(openOf(address, worlds, places, knowledge, toldOf));
    else if (!seen.has(group)) {
      seen.add(group);
      sure.push({ devices: group.devices.filter((device) => knowledge.has(device)), standing: isDerived(group, knowledge) ? 'derived' : 'known', number: undefined });
    }
  }
  sure.sort((a, b) => (a.devices[0]! < b.devices[0]! ? -1 : 1));
  const lost = new Set(machine.filter(({ address }) => places.orphans.some((orphan) => isOn(orphan, address))).map(({ address }) => address));
  return { sure, open, uncovered, lost, computed: first.groups.filter(({ devices }) => devices.every((device) => isSame(device, worlds))), completions: worlds.map(({ completion }) => completion) };
}

function worldOf(completion: Completion, context: GroupsContext): World {
  const uncovered = context.uncovered(completion.facts);
  const groups = computeIommuGroups(completion.facts, { amdIommu: context.amdIommu, kernel: context.kernel, without: new Set(uncovered.keys()) });
  return { completion, groups, groupOf: new Map(groups.flatMap((group) => group.devices.map((device) => [device, group] as const))), uncovered };
}

/** Whether a function is with the same others in all of them. */
function isSame(address: string, worlds: readonly World[]): boolean {
  const [first, ...others] = worlds.map((world) => world.groupOf.get(address)?.devices.join(' '));
  return first !== undefined && others.every((other) => other === first);
}

function openOf(
  device: string,
  worlds: readonly World[],
  places: Places,
  machine: ReadonlyMap<string, DeviceKnowledge>,
  told: ReadonlyMap<string, SureGroup>,
): OpenGroup {
  const sets = worlds.map((world) => new Set(world.uncovered.has(device) ? [device] : (world.groupOf.get(device)?.devices ?? [device])));
  const perhaps = [...new Set(sets.flatMap((set) => [...set]))].sort();
  const shown = perhaps.filter((address) => machine.has(address));
  return {
    device,
    surely: shown.filter((address) => sets.every((set) => set.has(address))),
    perhaps: shown,
    perhapsNone: worlds.some((world) => world.uncovered.has(device)),
    lacks: lacksOf(device, perhaps, places, machine, told),
  };
}

/** What would tell: of the function, of those with which it may be, and of what may be above it. */
function lacksOf(device: string, perhaps: readonly string[], { orphans }: Places, machine: ReadonlyMap<string, DeviceKnowledge>, told: ReadonlyMap<string, SureGroup>): readonly LackedFact[] {
  const out = new Map<string, LackedFact>();
  const add = (address: string | undefined, what: string): void => {
    out.set(`${address ?? ''} ${what}`, { address, what });
  };
  for (const address of perhaps) {
    const knowledge = machine.get(address);
    if (knowledge === undefined) add(undefined, `a function that is not in the text, ${address.endsWith('.0') && machine.has(`${address.slice(0, -1)}1`) ? `as ${address}` : 'the bridge above'}`);
    else {
      if (address !== device && told.has(address)) add(address, 'whether the listing of its group is whole');
      for (const fact of [knowledge.expressType, knowledge.acs, knowledge.device]) addUnknown(fact, address, add);
    }
  }
  const orphan = orphans.find((each) => isOn(each, device));
  if (orphan !== undefined) add(undefined, `${orphan.candidates.length === 0 ? 'the bridge above' : 'which bridge leads to'} bus ${hex(orphan.bus)}`);
  return [...out.values()];
}

function isOn({ domain, bus }: Orphan, address: string): boolean {
  return Number.parseInt(address.slice(-7, -5), 16) === bus && Number.parseInt(address.slice(0, -8), 16) === domain;
}

function addUnknown(fact: Fact<AcsFacts | number | undefined>, address: string, add: (address: string, what: string) => void): void {
  if (isMissed(fact)) add(address, fact.lacks);
}

function hex(bus: number): string {
  return bus.toString(16).padStart(2, '0');
}

function isDerived(group: ComputedGroup, machine: ReadonlyMap<string, DeviceKnowledge>): boolean {
  return group.devices.some((device) => {
    const knowledge = machine.get(device);
    return knowledge === undefined || [knowledge.acs, knowledge.expressType, knowledge.secondaryBus].some(({ standing }) => standing !== 'known' && standing !== 'told');
  });
}

function toldGroups(machine: readonly DeviceKnowledge[]): readonly SureGroup[] {
  const byNumber = new Map<number, string[]>();
  for (const { address, group } of machine) {
    if (group.standing === 'unknown') continue;
    const there = byNumber.get(group.value);
    if (there === undefined) byNumber.set(group.value, [address]);
    else there.push(address);
  }
  return [...byNumber].map(([number, devices]) => ({ devices: devices.sort(), standing: 'told', number }));
}
