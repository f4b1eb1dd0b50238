/** Which bridges may lead to the buses of which nobody knows what leads there. */
import { HOST_BRIDGE_VENDORS, PciAddress } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';
import type { Orphan } from './places.ts';

const CLASS_HOST_BRIDGE = 0x0600;
/** Host bridges, and bridges. */
const PORT_LIKE: ReadonlySet<number> = new Set([CLASS_HOST_BRIDGE, 0x0604]);

/**
 * Ways to put the buses of which nobody knows what leads there below bridges: so many that each bridge leads somewhere once, and that each bus is
 * below each kind of bridge once. Which of two bridges that look alike it is does not matter to a bus.
 */
export function assignments(orphans: readonly Orphan[], machine: readonly DeviceKnowledge[]): readonly ReadonlyMap<string, number>[] {
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
export function placesBesideDummies(machine: readonly DeviceKnowledge[]): readonly string[] {
  const there = new Set(machine.map(({ address }) => address));
  return machine.flatMap(({ address, vendor, classCode }) => {
    const slot = address.slice(0, -1);
    if (!address.endsWith('.0') || address.endsWith(':00.0') || !HOST_BRIDGE_VENDORS.includes(valueOr(vendor, 0)) || valueOr(classCode, 0) !== CLASS_HOST_BRIDGE) return [];
    return [1, 2, 3, 4, 5, 6, 7].some((fn) => there.has(`${slot}${fn}`)) ? [] : [`${slot}1`];
  });
}

/** Whether a bus may be below a bridge at an address. */
export function isBelow({ domain, bus }: Orphan, address: string): boolean {
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
export function hidingPlaces(orphans: readonly Orphan[], machine: readonly DeviceKnowledge[]): readonly ReadonlyMap<Orphan, string>[] {
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
