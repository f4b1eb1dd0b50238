/**
 * The ids of pci_dev_acs_enabled[] in drivers/pci/quirks.c of 6.1.192, by what they are; acs-quirks.ts has the rule of each kind. 7.3.4 has the
 * same ids, the last 5.4 all but those that say otherwise.
 */
import type { QuirkRow } from './quirk-ids.ts';

/**
 * `isolated`: its functions cannot reach each other, or the port passes nothing to others. `root-port`: the same of root ports only.
 * `southbridge`: functions on a root bus of a machine with AMD's IOMMU. `wide-root-port`: a root port whose ACS registers are dwords.
 */
export type AcsQuirkKind = 'isolated' | 'root-port' | 'southbridge' | 'wide-root-port';

/** One line of the table. */
export interface AcsQuirkRow extends QuirkRow {
  /** Which rule holds. */
  readonly kind: AcsQuirkKind;
}

const INTEL = 0x8086;
const BROADCOM = 0x14e4;
const CAVIUM = 0x177d;
const QUALCOMM = 0x17cb;
const ZHAOXIN = 0x1d17;
const WANGXUN = 0x8088;
const LOONGSON = 0x0014;
const NXP = 0x1957;

/** Rows for endpoints before those for ports: a device with both is one of several functions. */
export const ACS_QUIRK_ROWS: readonly AcsQuirkRow[] = [
  { kind: 'southbridge', vendor: 0x1002, ids: [0x4385, 0x439c, 0x4383, 0x439d, 0x4384, 0x4399] },
  { kind: 'southbridge', vendor: 0x1022, ids: [0x780f, 0x7809] },
  // Solarflare
  { kind: 'isolated', vendor: 0x1924, ids: [0x0903, 0x0923, 0x0a03] },
  // 82598, 82599, X520, X540
  { kind: 'isolated', vendor: INTEL, ids: [0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1, [0x10f7, 0x10fc], 0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558] },
  // 82580; 82576; 82575; I350; 82571 without quad cards; I219
  { kind: 'isolated', vendor: INTEL, ids: [0x1509, [0x150e, 0x1511], 0x1516, 0x1527] },
  { kind: 'isolated', vendor: INTEL, ids: [0x10c9, [0x10e6, 0x10e8], 0x150a, 0x150d, 0x1518, 0x1526] },
  { kind: 'isolated', vendor: INTEL, ids: [0x10a7, 0x10a9, 0x10d6] },
  { kind: 'isolated', vendor: INTEL, ids: [[0x1521, 0x1524]] },
  { kind: 'isolated', vendor: INTEL, ids: [[0x105e, 0x1060], 0x10d9] },
  { kind: 'isolated', vendor: INTEL, ids: [0x15b7, 0x15b8] },
  // Emulex BE3-R, Skyhawk-R
  { kind: 'isolated', vendor: 0x19a2, ids: [0x0710] },
  { kind: 'isolated', vendor: 0x10df, ids: [0x0720] },
  { kind: 'isolated', vendor: CAVIUM, ids: [0xa026, 0xa059, 0xa060] },
  // NetXtreme-C and -E: BCM57414, BCM5750X, BCM5760X
  { kind: 'isolated', vendor: BROADCOM, ids: [0x16d7] },
  { kind: 'isolated', vendor: BROADCOM, ids: [[0x1750, 0x1752]] },
  { kind: 'isolated', vendor: BROADCOM, ids: [[0x1760, 0x1763]], since: [6, 13], stable: [5, 4] },
  { kind: 'isolated', vendor: ZHAOXIN, ids: [0x3038, 0x3104, 0x9083] },
  // Cards of Wangxun
  { kind: 'isolated', vendor: WANGXUN, ids: [[0x0100, 0x010f], 0x1001, 0x2001] },
  { kind: 'isolated', vendor: WANGXUN, ids: [0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140] },
  // Ports of servers' SoCs: QDF2xxx, SA8775P, Hamoa, Glymur; HXT SD4800; X-Gene; Ampere; iProc
  { kind: 'isolated', vendor: QUALCOMM, ids: [0x0400, 0x0401] },
  { kind: 'isolated', vendor: QUALCOMM, ids: [0x0115], since: [6, 12], stable: [5, 4] },
  { kind: 'isolated', vendor: QUALCOMM, ids: [0x0111, 0x0120], since: [7, 0], stable: [5, 10] },
  { kind: 'isolated', vendor: 0x1dbf, ids: [0x0401] },
  { kind: 'isolated', vendor: 0x10e8, ids: [0xe004] },
  { kind: 'isolated', vendor: 0x1def, ids: [[0xe005, 0xe00c]] },
  { kind: 'isolated', vendor: BROADCOM, ids: [0xd714] },
  { kind: 'isolated', vendor: LOONGSON, ids: [0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69], since: [6, 16], stable: [5, 4] },
  // NXP LX2 with 16, 12 and 8 cores
  { kind: 'isolated', vendor: NXP, ids: [[0x8d80, 0x8d83], [0x8d88, 0x8d8b], [0x8d90, 0x8d93], [0x8d98, 0x8d9b], 0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1, 0x8db8, 0x8db9], since: [5, 15], stable: [5, 4] },
  // ThunderX, X2 and X3; Annapurna
  { kind: 'root-port', vendor: CAVIUM, ids: [[0xa000, 0xa7ff], 0xaf84, 0xb884] },
  { kind: 'root-port', vendor: 0x1c36, ids: [0x0031] },
  // Intel chipsets without ACS capability: isolated by registers of the chipset, which the kernel sets when it enables ACS. Ibex Peak, Cougar
  // Point, Panther Point, Lynx Point, Lynx Point LP, Wildcat Point, Patsburg, Wellsburg, 9 series. 5.9 enabled ACS only where there was a
  // capability (52fbf5bdeeef); 5.10-rc3 does it again (462b58fb0339), and so do updates of 5.9 after 5.9.8.
  {
    kind: 'root-port',
    vendor: INTEL,
    gap: [5, 9, 8],
    ids: [
      ...[[0x3b42, 0x3b51] as const, [0x1c10, 0x1c1f] as const, [0x1e10, 0x1e1f] as const, [0x8c10, 0x8c1f] as const, [0x9c10, 0x9c1b] as const],
      ...[[0x9c90, 0x9c9b] as const, 0x1d10, 0x1d12, 0x1d14, 0x1d16, 0x1d18, 0x1d1a, 0x1d1c, 0x1d1e, [0x8d10, 0x8d1e] as const],
      ...[0x8c90, 0x8c92, 0x8c94, 0x8c96, 0x8c98, 0x8c9a, 0x8c9c, 0x8c9e],
    ],
  },
  // Sunrise Point, Union Point, and mobile chipsets of the 6th to 8th generation
  { kind: 'wide-root-port', vendor: INTEL, ids: [[0xa110, 0xa11f], [0xa167, 0xa16a], [0xa290, 0xa29f], [0xa2e7, 0xa2ee], [0x9d10, 0x9d1b]] },
];

/** Ports of Zhaoxin; its other root and downstream ports do not isolate, whatever they say. */
export const ZHAOXIN_PORTS: QuirkRow = { vendor: ZHAOXIN, ids: [[0x0710, 0x071e], 0x0721, [0x0723, 0x0752]] };

/** Wangxun's functions that no row names do not isolate. */
export const WANGXUN_OTHERS: Omit<QuirkRow, 'ids'> = { vendor: WANGXUN };

/** Integrated endpoints of Intel isolate, whatever they are. */
export const INTEL_INTEGRATED: Omit<QuirkRow, 'ids'> = { vendor: INTEL, since: [5, 8], stable: [5, 4] };
