/**
 * Functions that isolate otherwise than their ACS capability says, by their makers' word. Kernel: pci_dev_acs_enabled[] in
 * drivers/pci/quirks.c of 6.1.192.
 */
import { PCI_ACS_CR, PCI_ACS_EC, PCI_ACS_RR, PCI_EXP_TYPE_DOWNSTREAM, PCI_EXP_TYPE_RC_END, PCI_EXP_TYPE_ROOT_PORT } from '../pci/registers.ts';
import { ACS_QUIRK_ROWS, INTEL_INTEGRATED, WANGXUN_OTHERS, ZHAOXIN_PORTS, type AcsQuirkRow } from './acs-quirk-rows.ts';
import type { PciFacts } from './facts.ts';
import { inEra, type Era, type KernelVersion } from './kernel-version.ts';
import { idsOf, names } from './quirk-ids.ts';
import type { PciNode } from './topology.ts';

/** What a quirk needs to know besides the function. */
export interface QuirkContext {
  readonly onRootBus: boolean;
  /** The machine has an IVRS table: AMD's IOMMU. */
  readonly amdIommu: boolean;
  readonly kernel: KernelVersion | undefined;
}

/** What is known of a function's isolation by its ids, against what its registers say. */
export interface AcsQuirk extends Era {
  /** Whether it isolates. */
  readonly isolates: boolean;
  /** A sentence without its full stop. */
  readonly why: string;
}

const WORDS: Readonly<Record<AcsQuirkRow['kind'], string>> = {
  isolated: 'its maker says that it isolates without ACS',
  'root-port': 'its maker says that the port isolates without ACS',
  southbridge: "functions of AMD's southbridges do not reach each other under AMD's IOMMU",
  'wide-root-port': 'the ACS registers of this port are dwords, of which lspci decodes words',
};

/** @returns what a quirk says of a function; undefined where none speaks @param flags PCI_ACS_* bits that are asked for */
export function acsQuirk(node: PciNode, flags: number, context: QuirkContext): AcsQuirk | undefined {
  const { facts } = node;
  const { kernel } = context;
  for (const row of ACS_QUIRK_ROWS) {
    const isolates = names(row, facts) && inEra(row, kernel) ? byRow(row, node, flags, context) : undefined;
    if (isolates !== undefined) return { ...eraOf(row), isolates, why: WORDS[row.kind] };
  }
  const { vendor, expressType } = facts;
  if (vendor === INTEL_INTEGRATED.vendor && expressType === PCI_EXP_TYPE_RC_END && inEra(INTEL_INTEGRATED, kernel)) {
    return { ...eraOf(INTEL_INTEGRATED), isolates: true, why: 'integrated endpoints of Intel reach others through the IOMMU only' };
  }
  if (vendor === WANGXUN_OTHERS.vendor && inEra(WANGXUN_OTHERS, kernel)) return { isolates: false, why: 'it is not among the cards of which Wangxun says that they isolate' };
  const port = expressType === PCI_EXP_TYPE_ROOT_PORT || expressType === PCI_EXP_TYPE_DOWNSTREAM;
  if (!port || vendor !== ZHAOXIN_PORTS.vendor || !inEra(ZHAOXIN_PORTS, kernel)) return undefined;
  return names(ZHAOXIN_PORTS, facts) ? { isolates: true, why: WORDS.isolated } : { isolates: false, why: 'it is not among the ports of which Zhaoxin says that they isolate' };
}

function eraOf({ since, stable, until, gap }: Era): Era {
  return { since, stable, until, gap };
}

function byRow({ kind }: AcsQuirkRow, { facts, multifunction }: PciNode, flags: number, { onRootBus, amdIommu }: QuirkContext): boolean | undefined {
  const rootPort = facts.expressType === PCI_EXP_TYPE_ROOT_PORT;
  switch (kind) {
    case 'isolated':
      return true;
    case 'root-port':
      return rootPort ? true : undefined;
    case 'southbridge':
      return multifunction && onRootBus && amdIommu ? isSubset(flags & (PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC), PCI_ACS_RR | PCI_ACS_CR) : undefined;
    case 'wide-root-port': {
      const { acs } = facts;
      if (!rootPort || acs === undefined) return undefined;
      // Who decodes words does not see the control register, which Linux sets when the IOMMU is on.
      if (acs.wide === undefined) return true;
      return isSubset(flags & (acs.wide.capability | PCI_ACS_EC), acs.wide.control);
    }
  }
}

/** Whether the ACS registers of a root port are dwords, so that their words, as lspci decodes them, say nothing of what is on. */
export function hasWideAcs(facts: Pick<PciFacts, 'vendor' | 'device' | 'expressType'>): boolean {
  return facts.expressType === PCI_EXP_TYPE_ROOT_PORT && ACS_QUIRK_ROWS.some((row) => row.kind === 'wide-root-port' && names(row, facts));
}

/**
 * The device ids of a vendor whose ACS Linux knows better than their registers, in ascending order: who has another id is treated as every
 * other function of its vendor. A rule for all of a vendor's functions (Intel's integrated endpoints, Zhaoxin's ports, Wangxun) has no id here.
 *
 * @param vendor Vendor ID, 16 bits
 * @param expressType Device/Port Type, 4 bits: only those that speak of such a function @default all
 * @param kernel @default 6.1 with its stable updates
 */
export function quirkDeviceIds(vendor: number, expressType?: number, kernel?: KernelVersion): readonly number[] {
  const rootPort = expressType === undefined || expressType === PCI_EXP_TYPE_ROOT_PORT;
  const port = rootPort || expressType === PCI_EXP_TYPE_DOWNSTREAM;
  const anywhere = ACS_QUIRK_ROWS.filter(({ kind }) => rootPort || kind === 'isolated' || kind === 'southbridge');
  const rows = port ? [...anywhere, ZHAOXIN_PORTS] : anywhere;
  return idsOf(rows.filter((row) => row.vendor === vendor && inEra(row, kernel)));
}

/** Vendors whose functions an ACS quirk may speak of, in ascending order. */
export function quirkVendors(): readonly number[] {
  return [...new Set([...ACS_QUIRK_ROWS, ZHAOXIN_PORTS].map(({ vendor }) => vendor))].sort((a, b) => a - b);
}

function isSubset(flags: number, of: number): boolean {
  return (flags & ~of) === 0;
}
