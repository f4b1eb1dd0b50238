/** Functions that a text does not show, and that must be there, or may. */
import { HOST_BRIDGE_VENDORS, REQUIRED_ACS, VMD_DEVICES, isBelowVmd, isVmd, type AcsFacts, type PciFacts, type SriovFacts } from '@vsim/vfio-pci';
import type { DeviceKnowledge } from './device-knowledge.ts';
import type { Orphan } from './places.ts';

/** An ACS capability with all of it on. */
export const ALL_ACS: AcsFacts = { capability: REQUIRED_ACS, control: REQUIRED_ACS };
const ROOT_PORT = 4;
/** PCI Express to PCI/PCI-X Bridge. */
const PCI_BRIDGE = 7;
const ENDPOINT = 0;
const INTEGRATED_ENDPOINT = 9;
const CLASS_BRIDGE = 0x060400;
const CLASS_HOST_BRIDGE = 0x0600;
const CLASS_IOMMU = 0x080600;
const CLASS_RAID = 0x010400;
const INTEL = 0x8086;

/** PFs that were left out. @param places with the facts that make the VFs that the text shows */
export function hiddenPhysicalFunctions(places: ReadonlyMap<string, SriovFacts>, isolating: boolean): readonly PciFacts[] {
  return [...places].map(([address, sriov]) => ({ ...bare(address), expressType: ENDPOINT, acs: isolating ? ALL_ACS : undefined, sriov }));
}

/** AMD's host bridges have an IOMMU beside them when it is on, which takes them out of all groups. */
export function hiddenIommus(facts: readonly PciFacts[]): readonly PciFacts[] {
  const there = new Set(facts.map(({ address }) => address));
  return facts.flatMap(({ address, vendor, class: code }) => {
    const beside = `${address.slice(0, -1)}2`;
    if (!HOST_BRIDGE_VENDORS.includes(vendor) || code >>> 8 !== CLASS_HOST_BRIDGE || !address.endsWith(':00.0') || there.has(beside)) return [];
    return [{ ...bare(beside), vendor, class: CLASS_IOMMU }];
  });
}

/** What is in a VMD's domain is below a VMD, also where the text left that out. */
export function hiddenVmd(facts: readonly PciFacts[]): readonly PciFacts[] {
  if (!facts.some(isBelowVmd) || facts.some((each) => isVmd(each) && !isBelowVmd(each))) return [];
  const address = freeAddress('0000', new Set(facts.map((each) => each.address)));
  return address === undefined ? [] : [{ ...bare(address), vendor: INTEL, device: VMD_DEVICES[0]!, class: CLASS_RAID, expressType: INTEGRATED_ENDPOINT }];
}

/** A bus to which no bridge of the text leads is below one that was left out. */
export function hiddenBridges(
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
export function hiddenFirstFunctions(machine: readonly DeviceKnowledge[], virtual: ReadonlySet<string>, facts: readonly PciFacts[], isolating: boolean): readonly PciFacts[] {
  const there = new Set(facts.map(({ address }) => address));
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
