/** Which buses a text leaves without a way to them, and which bridges could lead there. */
import { PciAddress } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import { valueOr } from './fact.ts';

/** A bus of which the text does not say what is above it. */
export interface Orphan {
  /** PCI domain, from 0. */
  readonly domain: number;
  /** Bus number, 1 to 255. */
  readonly bus: number;
  /** Addresses of the bridges that may lead there, ascending; empty: the bridge above is not in the text. */
  readonly candidates: readonly string[];
  /** It may be conventional PCI: it has functions at device numbers that a port of PCI Express has nobody at but virtual functions. */
  readonly perhapsPci: boolean;
}

/** Where the functions of a text are. */
export interface Places {
  /** Buses without a known way to them, ascending. */
  readonly orphans: readonly Orphan[];
  /** Whether a function is on a root bus, as far as the text tells. */
  readonly onRootBus: (address: string) => boolean;
}

/** A domain that a Volume Management Device made. Kernel: vmd_find_free_domain(). */
const FIRST_VMD_DOMAIN = 0x1_0000;
const INTEL = 0x8086;
const CLASS_HOST_BRIDGE = 0x0600;
const CLASS_IOMMU = 0x0806;
const SYSTEM_PERIPHERALS: ReadonlySet<number> = new Set([0x0880, 0x1101]);
/** Root Port, Root Complex Integrated Endpoint, Root Complex Event Collector. */
const ROOT_TYPES: ReadonlySet<number> = new Set([4, 9, 10]);

interface Bus {
  readonly domain: number;
  readonly bus: number;
  readonly functions: { readonly knowledge: DeviceKnowledge; readonly place: PciAddress }[];
}

/** Finds the places of a machine's functions. @param virtual addresses of virtual functions, which need no bridge */
export function placesOf(machine: readonly DeviceKnowledge[], virtual: ReadonlySet<string>): Places {
  const buses = new Map<number, Bus>();
  const lowest = new Map<number, number>();
  const led = new Set<number>();
  const open: { readonly address: string; readonly place: PciAddress }[] = [];
  for (const knowledge of machine) {
    const place = new PciAddress(knowledge.address);
    const { domain, bus } = place;
    const key = keyOf(domain, bus);
    const there = buses.get(key) ?? { domain, bus, functions: [] };
    there.functions.push({ knowledge, place });
    buses.set(key, there);
    lowest.set(domain, Math.min(lowest.get(domain) ?? 256, bus));
    const below = valueOr(knowledge.secondaryBus, undefined);
    if (below !== undefined) led.add(keyOf(domain, below));
    if (knowledge.secondaryBus.standing === 'unknown' && valueOr(knowledge.isBridge, true)) open.push({ address: knowledge.address, place });
  }
  const roots = new Set([...buses].filter(([key, each]) => !led.has(key) && isRoot(each, lowest.get(each.domain)!)).map(([key]) => key));
  const orphans: Orphan[] = [];
  for (const key of [...buses.keys()].sort((a, b) => a - b)) {
    const { domain, bus, functions } = buses.get(key)!;
    if (led.has(key) || roots.has(key) || functions.every(({ knowledge }) => virtual.has(knowledge.address))) continue;
    const candidates = open.filter(({ place }) => place.domain === domain && place.bus < bus).map(({ address }) => address);
    const perhapsPci = functions.some(({ knowledge, place }) => place.device > 0 && !valueOr(knowledge.isBridge, true) && !virtual.has(knowledge.address));
    orphans.push({ domain, bus, candidates, perhapsPci });
  }
  return {
    orphans,
    onRootBus: (address) => {
      const { domain, bus } = new PciAddress(address);
      return roots.has(keyOf(domain, bus));
    },
  };
}

/**
 * Whether a bus that no bridge of the text leads to is a root bus: it has what only the host itself has. Below a port of PCI Express there
 * is device 0 alone, so that what Intel calls a system peripheral at another number is a part of the processor.
 */
function isRoot({ domain, bus, functions }: Bus, lowest: number): boolean {
  if (bus === 0) return true;
  if (domain >= FIRST_VMD_DOMAIN) return bus === lowest;
  return functions.some(({ knowledge, place }) => {
    const code = valueOr(knowledge.classCode, undefined);
    if (knowledge.pasted.parent === null || code === CLASS_IOMMU) return true;
    if (code === CLASS_HOST_BRIDGE && place.devfn === 0) return true;
    if (code !== undefined && SYSTEM_PERIPHERALS.has(code) && place.device > 0 && valueOr(knowledge.vendor, 0) === INTEL) return true;
    const type = valueOr(knowledge.expressType, undefined);
    return type !== undefined && ROOT_TYPES.has(type);
  });
}

function keyOf(domain: number, bus: number): number {
  return domain * 256 + bus;
}
