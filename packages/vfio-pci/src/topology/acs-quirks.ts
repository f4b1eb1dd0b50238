/**
 * Functions that isolate otherwise than their ACS capability says, by their makers' word. Kernel: pci_dev_acs_enabled[] in
 * drivers/pci/quirks.c; the rule of each kind is told at its table.
 *
 * Not modelled: server SoCs of Cavium, APM, Amazon, NXP and HiSilicon.
 */
import { PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_EXP_TYPE_RC_END, PCI_EXP_TYPE_ROOT_PORT } from '../pci/registers.ts';
import type { PciNode } from './topology.ts';

/** What a quirk needs to know besides the function. */
export interface QuirkContext {
  readonly onRootBus: boolean;
  /** The machine has an IVRS table: AMD's IOMMU. */
  readonly amdIommu: boolean;
}

const INTEL = 0x8086;

/** Multifunction endpoints whose functions cannot reach each other. */
const ISOLATED_ENDPOINTS: Readonly<Record<number, readonly number[]>> = {
  // Solarflare
  0x1924: [0x0903, 0x0923, 0x0a03],
  // Intel 82598, 82599, X520, X540; 82580; 82576; 82575; I350; 82571 without quad cards; I219
  [INTEL]: [
    ...[0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, 0x10f7, 0x10f8, 0x10f9, 0x10fa, 0x10fb, 0x10fc, 0x1507, 0x1514, 0x151c, 0x1529, 0x152a],
    ...[0x154d, 0x154f, 0x1551, 0x1558],
    ...[0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527],
    ...[0x10c9, 0x10e6, 0x10e7, 0x10e8, 0x150a, 0x150d, 0x1518, 0x1526],
    ...[0x10a7, 0x10a9, 0x10d6],
    ...[0x1521, 0x1522, 0x1523, 0x1524],
    ...[0x105e, 0x105f, 0x1060, 0x10d9],
    ...[0x15b7, 0x15b8],
  ],
  // Emulex Skyhawk-R
  0x10df: [0x0720],
  // Broadcom NetXtreme-C and -E
  0x14e4: [0x16d7, 0x16d8, 0x1750, 0x1751, 0x1752],
};

/** Intel chipset root ports without ACS capability: isolated by registers of the chipset, which the kernel sets when it enables ACS. */
const PCH_PORTS: readonly (readonly [first: number, last: number])[] = [
  [0x3b42, 0x3b51], // Ibex Peak
  [0x1c10, 0x1c1f], // Cougar Point
  [0x1e10, 0x1e1f], // Panther Point
  [0x8c10, 0x8c1f], // Lynx Point
  [0x9c10, 0x9c1b],
  [0x9c90, 0x9c9b], // Wildcat Point
  [0x1d10, 0x1d1e], // Patsburg, even ones
  [0x8d10, 0x8d1e], // Wellsburg
  [0x8c90, 0x8c9e], // 9 series, even ones
];
/** Of these ranges only every second id is a port. */
const EVEN_ONLY: ReadonlySet<number> = new Set([0x1d10, 0x8c90]);

/** Sunrise Point and its like: the ACS registers are dwords, at +4 and +8. */
const WIDE_ACS_PORTS: readonly (readonly [first: number, last: number])[] = [
  [0xa110, 0xa11f],
  [0xa167, 0xa16a],
  [0xa290, 0xa29f],
  [0xa2e7, 0xa2ee],
  [0x9d10, 0x9d1b],
];

/** AMD southbridge functions that do not forward to each other. */
const AMD_SOUTHBRIDGE: Readonly<Record<number, readonly number[]>> = {
  0x1002: [0x4385, 0x439c, 0x4383, 0x439d, 0x4399],
  0x1022: [0x780f, 0x7809],
};

/** Zhaoxin root and downstream ports. */
const ZHAOXIN = 0x1d17;

/** Whether the function isolates by a quirk: true, false, or undefined where no quirk speaks. @param flags ACS bits that are asked for */
export function quirkedAcs(node: PciNode, flags: number, context: QuirkContext): boolean | undefined {
  const { vendor, device, expressType, acs } = node.facts;
  if (AMD_SOUTHBRIDGE[vendor]?.includes(device) === true && node.multifunction && context.onRootBus && context.amdIommu) {
    return isSubset(flags & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC), PCI_ACS_RR | PCI_ACS_CR);
  }
  if (ISOLATED_ENDPOINTS[vendor]?.includes(device) === true) return true;
  if (vendor === INTEL) {
    if (expressType === PCI_EXP_TYPE_RC_END) return true;
    if (expressType === PCI_EXP_TYPE_ROOT_PORT && isPchPort(device)) return true;
    if (expressType === PCI_EXP_TYPE_ROOT_PORT && within(WIDE_ACS_PORTS, device) !== undefined && acs?.wide !== undefined) {
      return isSubset(flags & (acs.wide.capability | PCI_ACS_EC), acs.wide.control);
    }
  }
  if (vendor === ZHAOXIN && ((device >= 0x0710 && device <= 0x071e) || device === 0x0721 || (device >= 0x0723 && device <= 0x0752))) return true;
  return undefined;
}

function isPchPort(device: number): boolean {
  const range = within(PCH_PORTS, device);
  return range !== undefined && (!EVEN_ONLY.has(range[0]) || device % 2 === 0);
}

function within(ranges: readonly (readonly [number, number])[], id: number): readonly [number, number] | undefined {
  return ranges.find(([first, last]) => id >= first && id <= last);
}

function isSubset(flags: number, of: number): boolean {
  return (flags & ~of) === 0;
}
