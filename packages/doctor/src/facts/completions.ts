/**
 * Whole machines that a text allows. What a text does not say can be one way or the other; a statement about groups holds if it holds in
 * each of them.
 *
 * Isolation is monotone: with more of it no two functions come together that were apart. So two machines bound all others, one in which what is unknown
 * isolates, one in which it does not; and for each bus of which nobody knows what leads there one more, in which the weakest of the bridges does.
 */
import { PciAddress, isBelowVmd, isVmd, type PciFacts, type SriovFacts } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';
import type { Orphan, Places } from './places.ts';

/** A machine that fits the text: nothing is unknown in it. */
export interface Completion {
  /** Its functions, those that the text does not show among them. */
  readonly facts: readonly PciFacts[];
  /** Whether what the text leaves open isolates in it. */
  readonly isolating: boolean;
  /** Addresses of functions that the text does not show. */
  readonly unseen: ReadonlySet<string>;
}

const ALL_ACS = { capability: 0x1d, control: 0x1d } as const;
/** Of a capability of which only the name is shown. */
const NO_ACS = { capability: 0x1d, control: 0 } as const;
const ROOT_PORT = 4;
const DOWNSTREAM_PORT = 6;
/** PCI Express to PCI/PCI-X Bridge. */
const PCI_BRIDGE = 7;
const ENDPOINT = 0;
const INTEGRATED_ENDPOINT = 9;
const CLASS_BRIDGE = 0x060400;
const CLASS_HOST_BRIDGE = 0x0600;
const CLASS_IOMMU = 0x080600;
const CLASS_RAID = 0x010400;
const INTEL = 0x8086;
/** One of the ids of VMDs. */
const VMD_DEVICE = 0x467f;
/** Host bridges, and bridges. */
const PORT_LIKE: ReadonlySet<number> = new Set([0x0600, 0x0604]);
/** AMD, and Hygon, which builds AMD's first Zen. */
const AMD_LIKE: ReadonlySet<number> = new Set([0x1022, 0x1d94]);

/** What completions() is told of the machine. */
export interface CompletionContext {
  /** Where its functions are. */
  readonly places: Places;
  /** Addresses of virtual functions, with the facts of the PFs that make them. */
  readonly sriov: ReadonlyMap<string, SriovFacts>;
  /** Addresses of virtual functions. */
  readonly virtual: ReadonlySet<string>;
  /** Places of PFs that the text does not show, with the facts that make the VFs that it does show. */
  readonly hiddenPfs: ReadonlyMap<string, SriovFacts>;
  /** A device id with which a function of this vendor isolates without saying so; undefined: no rule goes by its id. */
  readonly isolatingId: (knowledge: DeviceKnowledge, expressType: number | undefined) => number | undefined;
  /** A device id with which a function of this vendor is in a group with others, or in none; undefined: no rule goes by its id. */
  readonly mergingId: (knowledge: DeviceKnowledge) => number | undefined;
}

/** The machines that bound all that fit. The first isolates as much as it can. */
export function completions(machine: readonly DeviceKnowledge[], context: CompletionContext): readonly Completion[] {
  const { orphans } = context.places;
  const [first = new Map<string, number>(), ...others] = assignments(orphans, machine);
  const out = [complete(machine, context, first, true), complete(machine, context, first, false)];
  for (const ways of others) out.push(complete(machine, context, ways, false));
  for (const places of hidingPlaces(orphans, machine)) out.push(complete(machine, context, first, false, places));
  for (const place of placesBesideDummies(machine)) {
    const orphan = orphans.find((each) => each.candidates.length > 0 && isBelow(each, place));
    if (orphan === undefined) continue;
    const [ways = new Map<string, number>()] = assignments(orphans.filter((each) => each !== orphan), machine);
    out.push(complete(machine, context, ways, false, new Map([[orphan, place]])));
  }
  return out;
}

/**
 * Ways to put the buses of which nobody knows what leads there below bridges: so many that each bridge leads somewhere once, and that each bus is
 * below each kind of bridge once. Which of two bridges that look alike it is does not matter to a bus.
 */
function assignments(orphans: readonly Orphan[], machine: readonly DeviceKnowledge[]): readonly ReadonlyMap<string, number>[] {
  const kinds = kindsOf(orphans, machine);
  const leads = new Set(kinds.keys());
  const tried = new Map(orphans.map((orphan) => [orphan, new Set(orphan.candidates.map((candidate) => kinds.get(candidate)!))]));
  const out: ReadonlyMap<string, number>[] = [];
  for (let progress = true; progress; ) {
    progress = false;
    const ways = new Map<string, number>();
    for (const orphan of orphans) {
      const open = tried.get(orphan)!;
      const free = orphan.candidates.filter((candidate) => !ways.has(candidate));
      const isNew = (candidate: string): boolean => open.has(kinds.get(candidate)!);
      const chosen = free.find((candidate) => isNew(candidate) && leads.has(candidate)) ?? free.find(isNew) ?? free.find((candidate) => leads.has(candidate)) ?? free[0];
      if (chosen === undefined) continue;
      ways.set(chosen, orphan.bus);
      if (open.delete(kinds.get(chosen)!)) progress = true;
      if (leads.delete(chosen)) progress = true;
    }
    if (progress || out.length === 0) out.push(ways);
  }
  return [...out, ...shortages(orphans, out)];
}

/**
 * Where there are more buses than bridges, bridges were left out: of each bus it may be that above it. So it is with a bus of conventional PCI, to
 * which no port leads.
 */
function shortages(orphans: readonly Orphan[], ways: readonly ReadonlyMap<string, number>[]): readonly ReadonlyMap<string, number>[] {
  const domains = new Set(orphans.filter(({ bus, candidates }) => candidates.length > 0 && ways.some((way) => !candidates.some((each) => way.get(each) === bus))).map(({ domain }) => domain));
  if (domains.size === 0 && !orphans.some(({ perhapsPci, candidates }) => perhapsPci && candidates.length > 0)) return [];
  return [0, 1].map((parity) => {
    const out = new Map<string, number>();
    for (const [index, { domain, bus, candidates, perhapsPci }] of orphans.entries()) {
      if (perhapsPci || (domains.has(domain) && index % 2 === parity)) continue;
      const free = candidates.find((candidate) => !out.has(candidate));
      if (free !== undefined) out.set(free, bus);
    }
    return out;
  });
}

/** AMD has a host bridge as function 0 of each slot of ports, which is there with and without ports: one may have been left out beside it. */
function placesBesideDummies(machine: readonly DeviceKnowledge[]): readonly string[] {
  const there = new Set(machine.map(({ address }) => address));
  return machine.flatMap(({ address, vendor, classCode }) => {
    const slot = address.slice(0, -1);
    if (!address.endsWith('.0') || address.endsWith(':00.0') || !AMD_LIKE.has(valueOr(vendor, 0)) || valueOr(classCode, 0) !== CLASS_HOST_BRIDGE) return [];
    return [1, 2, 3, 4, 5, 6, 7].some((fn) => there.has(`${slot}${fn}`)) ? [] : [`${slot}1`];
  });
}

/** Whether a bus may be below a bridge at an address. */
function isBelow({ domain, bus }: Orphan, address: string): boolean {
  const place = new PciAddress(address);
  return place.domain === domain && place.bus < bus;
}

/** What the text tells of each candidate, as a text: two with the same isolate alike. */
function kindsOf(orphans: readonly Orphan[], machine: readonly DeviceKnowledge[]): ReadonlyMap<string, string> {
  const asked = new Set(orphans.flatMap(({ candidates }) => candidates));
  return new Map(
    machine
      .filter(({ address }) => asked.has(address))
      .map(({ address, expressType, acs, vendor, device }) => [address, JSON.stringify([expressType, acs, valueOr(vendor, 0), valueOr(device, 0)])]),
  );
}

/** Where bridges may have been left out beside functions that the text shows: ports share slots with each other, and with host bridges. */
function hidingPlaces(orphans: readonly Orphan[], machine: readonly DeviceKnowledge[]): readonly ReadonlyMap<Orphan, string>[] {
  const there = new Set(machine.map(({ address }) => address));
  const slots = new Map<string, PciAddress>();
  for (const { address, classCode } of machine) if (PORT_LIKE.has(valueOr(classCode, 0))) slots.set(address.slice(0, -1), new PciAddress(address));
  const free = [...slots].flatMap(([slot, place]) => {
    const fn = [1, 2, 3, 4, 5, 6, 7].find((each) => !there.has(`${slot}${each}`));
    return fn === undefined ? [] : [{ address: `${slot}${fn}`, place }];
  });
  const out: Map<Orphan, string>[] = [];
  for (const orphan of orphans) {
    if (orphan.candidates.length > 0) continue;
    const places = free.filter(({ place }) => place.domain === orphan.domain && place.bus < orphan.bus);
    for (const [index, { address }] of places.entries()) {
      const taken = (out[index] ??= new Map());
      if (![...taken.values()].includes(address)) taken.set(orphan, address);
    }
  }
  return out;
}

function complete(
  machine: readonly DeviceKnowledge[],
  context: CompletionContext,
  ways: ReadonlyMap<string, number>,
  isolating: boolean,
  places: ReadonlyMap<Orphan, string> = new Map(),
): Completion {
  const facts = ownersOf(machine.map((knowledge) => factsOf(knowledge, context, ways, isolating)), isolating);
  const physical = [...context.hiddenPfs].map(([address, sriov]) => ({ ...bare(address), expressType: ENDPOINT, acs: isolating ? ALL_ACS : undefined, sriov }));
  const unseen = [
    ...physical,
    ...hiddenBridges(context.places.orphans, ways, facts, isolating, places),
    ...hiddenFirstFunctions(machine, context, facts, isolating),
    ...(isolating ? [] : [...hiddenIommus(facts), ...hiddenVmd(facts)]),
  ];
  return { facts: [...facts, ...unseen], isolating, unseen: new Set(unseen.map(({ address }) => address)) };
}

function factsOf(knowledge: DeviceKnowledge, context: CompletionContext, ways: ReadonlyMap<string, number>, isolating: boolean): PciFacts {
  const { address, pasted } = knowledge;
  const isBridge = valueOr(knowledge.isBridge, ways.has(address));
  const onRootBus = context.places.onRootBus(address);
  const expressType = expressTypeOf(knowledge, isBridge, onRootBus, isolating);
  const { acs, sriov } = knowledge;
  const id = isolating ? context.isolatingId(knowledge, expressType) : context.mergingId(knowledge);
  return {
    address,
    vendor: valueOr(knowledge.vendor, 0),
    device: valueOr(knowledge.device, id ?? 0),
    subsystemVendor: pasted.subsystemVendor ?? 0,
    subsystem: pasted.subsystem ?? 0,
    class: valueOr(knowledge.classCode, isBridge ? CLASS_BRIDGE >>> 8 : 0) * 0x100 + (pasted.progIf ?? 0),
    // The header of a virtual function has no siblings, whatever its slot looks like.
    multifunctionBit: valueOr(knowledge.multifunction, false) && !(context.virtual.has(address) && knowledge.multifunction.standing === 'derived'),
    secondaryBus: knowledge.secondaryBus.standing === 'unknown' ? ways.get(address) : knowledge.secondaryBus.value,
    isBridge,
    expressType,
    acs: acs.standing === 'unknown' ? (isolating ? ALL_ACS : acs.candidates === undefined ? undefined : NO_ACS) : acs.value,
    sriov: context.sriov.get(address) ?? valueOr(sriov, undefined),
  };
}

function expressTypeOf({ expressType }: DeviceKnowledge, isBridge: boolean, onRootBus: boolean, isolating: boolean): number | undefined {
  if (expressType.standing !== 'unknown') return expressType.value;
  const port = onRootBus ? ROOT_PORT : DOWNSTREAM_PORT;
  if (expressType.candidates !== undefined) return port;
  if (!isolating) return undefined;
  if (isBridge) return port;
  return onRootBus ? INTEGRATED_ENDPOINT : ENDPOINT;
}

/** Of several VMDs each may have what is below one. */
function ownersOf(facts: readonly PciFacts[], isolating: boolean): readonly PciFacts[] {
  const vmds = facts.filter((each) => isVmd(each) && !isBelowVmd(each));
  if (isolating || vmds.length < 2) return facts;
  return facts.map((each) => (isBelowVmd(each) && each.vmd === undefined ? { ...each, vmd: vmds[0]!.address } : each));
}

/** AMD's host bridges have an IOMMU beside them when it is on, which takes them out of all groups. */
function hiddenIommus(facts: readonly PciFacts[]): readonly PciFacts[] {
  const there = new Set(facts.map(({ address }) => address));
  return facts.flatMap(({ address, vendor, class: code }) => {
    const beside = `${address.slice(0, -1)}2`;
    if (!AMD_LIKE.has(vendor) || code >>> 8 !== CLASS_HOST_BRIDGE || !address.endsWith(':00.0') || there.has(beside)) return [];
    return [{ ...bare(beside), vendor, class: CLASS_IOMMU }];
  });
}

/** What is in a VMD's domain is below a VMD, also where the text left that out. */
function hiddenVmd(facts: readonly PciFacts[]): readonly PciFacts[] {
  if (!facts.some(isBelowVmd) || facts.some((each) => isVmd(each) && !isBelowVmd(each))) return [];
  const address = freeAddress('0000', new Set(facts.map((each) => each.address)));
  return address === undefined ? [] : [{ ...bare(address), vendor: INTEL, device: VMD_DEVICE, class: CLASS_RAID, expressType: INTEGRATED_ENDPOINT }];
}

/** A bus to which no bridge of the text leads is below one that was left out. */
function hiddenBridges(
  orphans: readonly Orphan[],
  ways: ReadonlyMap<string, number>,
  facts: readonly PciFacts[],
  isolating: boolean,
  places: ReadonlyMap<Orphan, string>,
): readonly PciFacts[] {
  const there = new Set(facts.map(({ address }) => address));
  const led = new Set([...ways].map(([address, bus]) => `${address.slice(0, -8)}:${bus}`));
  const out: PciFacts[] = [];
  for (const orphan of orphans) {
    const { domain, bus } = orphan;
    const prefix = domain.toString(16).padStart(4, '0');
    if (led.has(`${prefix}:${bus}`)) continue;
    const address = places.get(orphan) ?? freeAddress(prefix, there);
    if (address === undefined) continue;
    there.add(address);
    out.push({ ...bare(address), class: CLASS_BRIDGE, isBridge: true, secondaryBus: bus, ...(orphan.perhapsPci && !isolating ? { expressType: PCI_BRIDGE } : { expressType: ROOT_PORT, acs: isolating ? ALL_ACS : undefined }) });
  }
  return out;
}

/** A place on bus 0 that the text leaves free, from the last one down. */
function freeAddress(prefix: string, there: ReadonlySet<string>): string | undefined {
  for (let device = 31; device >= 0; device -= 1) {
    const slot = `${prefix}:00:${device.toString(16).padStart(2, '0')}`;
    if (!Array.from({ length: 8 }, (_, fn) => `${slot}.${fn}`).some((address) => there.has(address))) return `${slot}.0`;
  }
  return undefined;
}

/** No slot is scanned that has no function 0: where the text has none, it was left out. */
function hiddenFirstFunctions(machine: readonly DeviceKnowledge[], { virtual, hiddenPfs }: CompletionContext, facts: readonly PciFacts[], isolating: boolean): readonly PciFacts[] {
  const there = new Set([...facts.map(({ address }) => address), ...hiddenPfs.keys()]);
  const out: PciFacts[] = [];
  for (const [index, { address }] of machine.entries()) {
    const first = `${address.slice(0, -1)}0`;
    if (there.has(first) || virtual.has(address)) continue;
    there.add(first);
    const sibling = facts[index]!;
    out.push({ ...bare(first), vendor: sibling.vendor, multifunctionBit: true, expressType: isolating ? sibling.expressType ?? ENDPOINT : undefined, acs: isolating ? ALL_ACS : undefined });
  }
  return out;
}

/** The places of the VFs that PFs make. */
export function virtualAddresses(sriov: ReadonlyMap<string, SriovFacts>, machine: readonly DeviceKnowledge[]): ReadonlySet<string> {
  const out = new Set<string>(machine.filter(({ physfn }) => physfn.standing !== 'unknown' && physfn.value !== undefined).map(({ address }) => address));
  const there = new Map(machine.map(({ address }) => [placeKey(new PciAddress(address)), address]));
  for (const [pf, { count, offset, stride }] of sriov) {
    const { domain, requester } = new PciAddress(pf);
    for (let index = 0, id = requester + offset; index < count && id < 0x1_0000; index += 1, id += stride) {
      const address = there.get(domain * 0x1_0000 + id);
      if (address !== undefined && address !== pf) out.add(address);
    }
  }
  return out;
}

function placeKey({ domain, requester }: PciAddress): number {
  return domain * 0x1_0000 + requester;
}

function bare(address: string): PciFacts {
  return {
    address,
    vendor: 0,
    device: 0,
    subsystemVendor: 0,
    subsystem: 0,
    class: 0,
    multifunctionBit: false,
    secondaryBus: undefined,
    isBridge: false,
    expressType: undefined,
    acs: undefined,
    sriov: undefined,
  };
}
