/**
 * Requester ids other than a function's own that its requests may carry. Kernel: pci_add_dma_alias() in drivers/pci/quirks.c of 6.1.192.
 *
 * Not modelled: aliases that the registers of a Switchtec NTB tell, and those of an IVRS table.
 */
import type { PciFacts } from './facts.ts';
import { inEra, type KernelVersion } from './kernel-version.ts';
import { idsOf, names, type QuirkRow } from './quirk-ids.ts';
import type { PciNode } from './topology.ts';

interface AliasRow extends QuirkRow {
  /** Whether requests of a function at `own` may carry `devfn`. */
  readonly carries: (own: number, devfn: number, facts: PciFacts) => boolean;
}

/** Adaptec RAID controllers whose requests come from 01.0 on their bus. */
const ADAPTEC = 0x9005;
const ADAPTEC_SUBSYSTEMS: readonly number[] = [0x02bb, 0x02bc];
const INTEL = 0x8086;
/** Xeon Phi x200 forwards for 10.0, 11.0 and 12.3 of its bus. */
const XEON_PHI_ALIASES: readonly number[] = [0x80, 0x88, 0x93];

/** Requests of the other functions come from function 0. */
const fromFunction0 = (own: number, devfn: number): boolean => (own & 7) !== 0 && devfn === (own & ~7);
/** Requests come from function 1, whether or not there is one. */
const fromFunction1 = (own: number, devfn: number): boolean => (own & 7) !== 1 && devfn === ((own & ~7) | 1);

const ALIAS_ROWS: readonly AliasRow[] = [
  // Ricoh; Glenfly
  { vendor: 0x1180, ids: [0xe832, 0xe476], carries: fromFunction0 },
  { vendor: 0x6766, ids: [0x3d40, 0x3d41], carries: fromFunction0 },
  // SATA controllers
  { vendor: 0x1b4b, ids: [0x9120, 0x9123, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9220, 0x9230], carries: fromFunction1 },
  { vendor: 0x1b4b, ids: [0x9125], carries: fromFunction1 },
  { vendor: 0x1b4b, ids: [0x9215], carries: fromFunction1 },
  { vendor: 0x1b4b, ids: [0x9235], carries: fromFunction1 },
  { vendor: 0x1103, ids: [0x0642, 0x0645], carries: fromFunction1 },
  { vendor: 0x197b, ids: [0x2392], carries: fromFunction1 },
  { vendor: 0x1c28, ids: [0x0122], carries: fromFunction1 },
  { vendor: ADAPTEC, ids: [0x0285], carries: (_, devfn, { subsystemVendor, subsystem }) => subsystemVendor === ADAPTEC && ADAPTEC_SUBSYSTEMS.includes(subsystem) && devfn === 0x08 },
  { vendor: INTEL, ids: [0x2260, 0x2264], carries: (_, devfn) => XEON_PHI_ALIASES.includes(devfn) },
  // Visual Compute Accelerators: functions 0 to 4 of every slot
  { vendor: INTEL, ids: [[0x2954, 0x2956], [0x2958, 0x295a]], carries: (_, devfn) => (devfn & 7) < 5 },
  // Non-transparent bridges of PLX: every function of their bus
  { vendor: 0x10b5, ids: [0x87b0, 0x87b1], carries: () => true },
];

/**
 * Whether requests of a function may come from another place of its own bus, besides its own.
 *
 * @param devfn device in bits 7:3, function in bits 2:0
 */
export function hasDmaAlias(node: PciNode, devfn: number, kernel?: KernelVersion): boolean {
  return ALIAS_ROWS.some((row) => names(row, node.facts) && inEra(row, kernel) && row.carries(node.address.devfn, devfn, node.facts));
}

/** Whether one of two functions on a bus may send with the other's id. */
export function areDmaAliases(a: PciNode, b: PciNode, kernel?: KernelVersion): boolean {
  return hasDmaAlias(a, b.address.devfn, kernel) || hasDmaAlias(b, a.address.devfn, kernel);
}

/**
 * The device ids of a vendor whose requests may carry another requester id, in ascending order.
 *
 * @param vendor Vendor ID, 16 bits
 * @param kernel @default 6.1 with its stable updates
 */
export function aliasDeviceIds(vendor: number, kernel?: KernelVersion): readonly number[] {
  return idsOf(ALIAS_ROWS.filter((row) => row.vendor === vendor && inEra(row, kernel)));
}

/** Vendors with devices whose requests may carry another requester id, in ascending order. */
export function aliasVendors(): readonly number[] {
  return [...new Set(ALIAS_ROWS.map(({ vendor }) => vendor))].sort((a, b) => a - b);
}
