/**
 * Whole machines that a text allows. What a text does not say can be one way or the other; a statement about groups holds if it holds in
 * each of them.
 *
 * Isolation is monotone: with more of it no two functions come together that were apart. So two machines bound all others, one in which what is unknown
 * isolates, one in which it does not; and, as the place of a bus is no matter of more or less, a few more for the buses of which nobody knows what leads there (assignments.ts).
 */
import { isBelowVmd, isVmd, type PciFacts, type SriovFacts } from '@vsim/vfio-pci';
import { assignments, hidingPlaces, isBelow, placesBesideDummies } from './assignments.ts';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';
import type { Orphan, Places } from './places.ts';
import { ALL_ACS, hiddenBridges, hiddenFirstFunctions, hiddenIommus, hiddenPhysicalFunctions, hiddenVmd } from './unseen.ts';

/** A machine that fits the text: nothing is unknown in it. */
export interface Completion {
  /** Its functions, those that the text does not show among them. */
  readonly facts: readonly PciFacts[];
  /** Whether what the text leaves open isolates in it. */
  readonly isolating: boolean;
  /** Addresses of functions that the text does not show. */
  readonly unseen: ReadonlySet<string>;
}

const ROOT_PORT = 4;
const DOWNSTREAM_PORT = 6;
const ENDPOINT = 0;
const INTEGRATED_ENDPOINT = 9;
const CLASS_BRIDGE = 0x0604;

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

function complete(
  machine: readonly DeviceKnowledge[],
  context: CompletionContext,
  ways: ReadonlyMap<string, number>,
  isolating: boolean,
  places: ReadonlyMap<Orphan, string> = new Map(),
): Completion {
  const facts = ownersOf(machine.map((knowledge) => factsOf(knowledge, context, ways, isolating)), isolating);
  const physical = hiddenPhysicalFunctions(context.hiddenPfs, isolating);
  const unseen = [
    ...physical,
    ...hiddenBridges(context.places.orphans, ways, facts, isolating, places),
    ...hiddenFirstFunctions(machine, context.virtual, [...facts, ...physical], isolating),
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
    class: valueOr(knowledge.classCode, isBridge ? CLASS_BRIDGE : 0) * 0x100 + (pasted.progIf ?? 0),
    // The header of a virtual function has no siblings, whatever its slot looks like.
    multifunctionBit: valueOr(knowledge.multifunction, false) && !(context.virtual.has(address) && knowledge.multifunction.standing === 'derived'),
    secondaryBus: knowledge.secondaryBus.standing === 'unknown' ? ways.get(address) : knowledge.secondaryBus.value,
    isBridge,
    expressType,
    acs: acs.standing !== 'unknown' ? acs.value : isolating ? (acs.candidates?.[0] ?? ALL_ACS) : acs.candidates?.at(-1),
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
