/**
 * Functions that no IOMMU covers: they have no group, and vfio-pci cannot take them. What covers whom is said by firmware (DMAR, IVRS,
 * IORT), which a PCI topology does not show; here are the cases that it does show.
 *
 * Not modelled: a Calpella machine whose firmware gave graphics no shadow GTT; kernel parameters (intel_iommu=igfx_off).
 */
import { PciAddress } from '../pci/address.ts';
import type { PciFacts } from './facts.ts';
import { inEra, type Era, type KernelVersion } from './kernel-version.ts';
import { isBelowVmd } from './vmd.ts';

/** Why a function has no IOMMU. */
export type UncoveredRule = 'iommu' | 'amd-host-bridge' | 'graphics-off' | 'vmd';

/** A function that no IOMMU covers. */
export interface Uncovered {
  /**
   * `iommu`: it is an IOMMU. `amd-host-bridge`: what every machine seen has, by its firmware, not by a rule of Linux. `graphics-off`: Linux
   * leaves the unit of the graphics off. `vmd`: Linux before 5.6 has no IOMMU for what is below a VMD.
   */
  readonly rule: UncoveredRule;
  /** A sentence without its full stop. */
  readonly why: string;
}

const INTEL = 0x8086;
/** AMD, and Hygon, which builds AMD's first Zen. */
export const HOST_BRIDGE_VENDORS: readonly number[] = [0x1022, 0x1d94];
const CLASS_IOMMU = 0x0806;
const CLASS_HOST_BRIDGE = 0x0600;
const BASE_CLASS_DISPLAY = 0x03;

/** "Disabling IOMMU for graphics on this chipset": host bridges or graphics that say so. Kernel: quirk_iommu_igfx(). */
export const GRAPHICS_OFF: readonly (Era & { readonly chipset: string; readonly ids: readonly number[] })[] = [
  { chipset: 'GM45', ids: [0x2a40] },
  { chipset: 'G4x', ids: [0x2e00, 0x2e10, 0x2e20, 0x2e30, 0x2e40, 0x2e90] },
  {
    chipset: 'Broadwell',
    ids: [
      ...[0x1602, 0x1606, 0x160a, 0x160b, 0x160d, 0x160e, 0x1612, 0x1616, 0x161a, 0x161b, 0x161d, 0x161e],
      ...[0x1622, 0x1626, 0x162a, 0x162b, 0x162d, 0x162e, 0x1632, 0x1636, 0x163a, 0x163b, 0x163d, 0x163e],
    ],
  },
  { chipset: 'QM57/QS57', ids: [0x0044], since: [6, 15], stable: [5, 4] },
  { chipset: 'Q35', ids: [0x29b2], since: [7, 1], stable: [5, 10] },
];

/** VMDs' functions are their VMD's since. Kernel: pci_real_dma_dev(). */
const VMD_REAL_DEVICE: Era = { since: [5, 6] };

/**
 * Why no IOMMU covers a function; undefined: one may.
 *
 * @param facts the function
 * @param all the functions of the machine
 * @param kernel @default 6.1 with its stable updates
 * @throws RangeError for an address that is none
 */
export function uncovered(facts: PciFacts, all: readonly PciFacts[], kernel?: KernelVersion): Uncovered | undefined {
  const kind = facts.class >>> 8;
  if (kind === CLASS_IOMMU) return { rule: 'iommu', why: `${facts.address} is an IOMMU itself` };
  if (kind === CLASS_HOST_BRIDGE && HOST_BRIDGE_VENDORS.includes(facts.vendor)) {
    const iommu = iommuBeside(facts, all);
    if (iommu !== undefined) {
      return { rule: 'amd-host-bridge', why: `${facts.address} is the host bridge beside ${iommu}: the IVRS tables of all machines seen leave both out` };
    }
  }
  if (isBelowVmd(facts) && !inEra(VMD_REAL_DEVICE, kernel)) {
    return { rule: 'vmd', why: `${facts.address} is below a VMD, for whose functions Linux has no IOMMU before 5.6` };
  }
  if (!isIntelGraphics(facts)) return undefined;
  const off = GRAPHICS_OFF.find((row) => inEra(row, kernel) && all.some(({ vendor, device }) => vendor === INTEL && row.ids.includes(device)));
  return off === undefined ? undefined : { rule: 'graphics-off', why: `Linux leaves the IOMMU of the graphics of ${off.chipset} off ("Disabling IOMMU for graphics on this chipset")` };
}

/** The function of an IOMMU in the device whose function 0 is asked for; only device 0 has one. */
function iommuBeside({ address }: PciFacts, all: readonly PciFacts[]): string | undefined {
  const own = new PciAddress(address);
  if (own.devfn !== 0) return undefined;
  return all.find((other) => {
    if (other.class >>> 8 !== CLASS_IOMMU) return false;
    const { domain, bus, device } = new PciAddress(other.address);
    return domain === own.domain && bus === own.bus && device === 0;
  })?.address;
}

/** Graphics of the processor or chipset: on the first root bus, under a unit of their own. */
function isIntelGraphics(facts: PciFacts): boolean {
  if (facts.vendor !== INTEL || facts.class >>> 16 !== BASE_CLASS_DISPLAY) return false;
  const { domain, bus } = new PciAddress(facts.address);
  return domain === 0 && bus === 0;
}
