/**
 * Functions that isolate otherwise than their ACS capability says, by their makers' word. Kernel: pci_dev_acs_enabled[] in
 * drivers/pci/quirks.c of 6.1.192; the rule of each kind is told at its table.
 */
import { PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_EXP_TYPE_DOWNSTREAM, PCI_EXP_TYPE_RC_END, PCI_EXP_TYPE_ROOT_PORT } from '../pci/registers.ts';
import type { PciNode } from './topology.ts';

/** What a quirk needs to know besides the function. */
export interface QuirkContext {
  readonly onRootBus: boolean;
  /** The machine has an IVRS table: AMD's IOMMU. */
  readonly amdIommu: boolean;
}

const INTEL = 0x8086;
const BROADCOM = 0x14e4;
const CAVIUM = 0x177d;
const QUALCOMM = 0x17cb;
const ANNAPURNA = 0x1c36;
const ZHAOXIN = 0x1d17;
const WANGXUN = 0x8088;

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
  // Emulex BE3-R, Skyhawk-R
  0x19a2: [0x0710],
  0x10df: [0x0720],
  [CAVIUM]: [0xa026, 0xa059, 0xa060],
  // NetXtreme-C and -E
  [BROADCOM]: [0x16d7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763],
  [ZHAOXIN]: [0x3038, 0x3104, 0x9083],
};

/** Ports of servers' SoCs that pass nothing to each other, without an ACS capability to say so. */
const ISOLATED_PORTS: Readonly<Record<number, readonly number[]>> = {
  [QUALCOMM]: [0x0400, 0x0401, 0x0115, 0x0111, 0x0120],
  // HXT SD4800
  0x1dbf: [0x0401],
  // APM X-Gene
  0x10e8: [0xe004],
  // Ampere
  0x1def: [0xe005, 0xe006, 0xe007, 0xe008, 0xe009, 0xe00a, 0xe00b, 0xe00c],
  // iProc
  [BROADCOM]: [0xd714],
  // Loongson
  0x0014: [0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69],
  // NXP LX2 with 8, 12 and 16 cores
  0x1957: [
    ...[0x8d80, 0x8d81, 0x8d82, 0x8d83, 0x8d88, 0x8d89, 0x8d8a, 0x8d8b, 0x8d90, 0x8d91, 0x8d92, 0x8d93, 0x8d98, 0x8d99, 0x8d9a, 0x8d9b],
    ...[0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1, 0x8db8, 0x8db9],
  ],
};

/** Cavium ThunderX, X2 and X3, root ports only. */
const CAVIUM_PORTS: readonly (readonly [first: number, last: number])[] = [
  [0xa000, 0xa7ff],
  [0xaf84, 0xaf84],
  [0xb884, 0xb884],
];

/** Zhaoxin's ports; others of its root and downstream ports do not isolate, whatever they say. */
const ZHAOXIN_PORTS: readonly (readonly [first: number, last: number])[] = [
  [0x0710, 0x071e],
  [0x0721, 0x0721],
  [0x0723, 0x0752],
];

/** Wangxun's cards; others of its functions do not isolate. */
const WANGXUN_CARDS: readonly (readonly [first: number, last: number])[] = [
  [0x0100, 0x010f],
  ...[0x1001, 0x2001, 0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140].map((id) => [id, id] as const),
];

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
  0x1002: [0x4385, 0x439c, 0x4383, 0x439d, 0x4384, 0x4399],
  0x1022: [0x780f, 0x7809],
};

/**
 * Whether the function isolates by a quirk: true, false, or undefined where no quirk speaks.
 *
 * @param flags PCI_ACS_* bits that are asked for
 */
export function quirkedAcs(node: PciNode, flags: number, context: QuirkContext): boolean | undefined {
  const { vendor, device, expressType, acs } = node.facts;
  if (AMD_SOUTHBRIDGE[vendor]?.includes(device) === true && node.multifunction && context.onRootBus && context.amdIommu) {
    return isSubset(flags & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC), PCI_ACS_RR | PCI_ACS_CR);
  }
  if (ISOLATED_ENDPOINTS[vendor]?.includes(device) === true || ISOLATED_PORTS[vendor]?.includes(device) === true) return true;
  if (vendor === INTEL) {
    if (expressType === PCI_EXP_TYPE_RC_END) return true;
    if (expressType === PCI_EXP_TYPE_ROOT_PORT && isPchPort(device)) return true;
    if (expressType === PCI_EXP_TYPE_ROOT_PORT && within(WIDE_ACS_PORTS, device) !== undefined && acs?.wide !== undefined) {
      return isSubset(flags & (acs.wide.capability | PCI_ACS_EC), acs.wide.control);
    }
  }
  const rootPort = expressType === PCI_EXP_TYPE_ROOT_PORT;
  switch (vendor) {
    case CAVIUM:
      return rootPort && within(CAVIUM_PORTS, device) !== undefined ? true : undefined;
    case ANNAPURNA:
      return rootPort && device === 0x0031 ? true : undefined;
    case ZHAOXIN:
      return rootPort || expressType === PCI_EXP_TYPE_DOWNSTREAM ? within(ZHAOXIN_PORTS, device) !== undefined : undefined;
    case WANGXUN:
      return within(WANGXUN_CARDS, device) !== undefined;
    default:
      return undefined;
  }
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
