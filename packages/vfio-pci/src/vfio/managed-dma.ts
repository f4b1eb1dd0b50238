/**
 * Drivers that do no DMA for the host: a group stays viable while they are bound to its members. Since 5.19 such a driver says so of itself
 * (driver_managed_dma), before, VFIO knew pci-stub, drivers of bridges, and its own. Kernel: pci_driver and its like, vfio_dev_viable().
 */
import { inEra, type Era, type KernelVersion } from '../topology/kernel-version.ts';

/** A driver that leaves the DMA of its device to somebody else. */
export interface ManagedDmaDriver extends Era {
  /** As sysfs names it, and lspci behind "Kernel driver in use". */
  readonly name: string;
  /** Which bus it is a driver of. */
  readonly bus: 'pci' | 'platform' | 'amba' | 'fsl-mc' | 'cdx';
  /** Whether it gives devices to users. */
  readonly vfio: boolean;
}

/** All drivers of Linux up to 7.3 that leave DMA to others. */
export const MANAGED_DMA_DRIVERS: readonly ManagedDmaDriver[] = [
  { name: 'vfio-pci', bus: 'pci', vfio: true },
  { name: 'pci-stub', bus: 'pci', vfio: false },
  { name: 'pcieport', bus: 'pci', vfio: false },
  { name: 'mlx5_vfio_pci', bus: 'pci', vfio: true, since: [5, 18] },
  { name: 'hisi_acc_vfio_pci', bus: 'pci', vfio: true, since: [5, 18] },
  { name: 'pds_vfio_pci', bus: 'pci', vfio: true, since: [6, 6] },
  { name: 'virtio_vfio_pci', bus: 'pci', vfio: true, since: [6, 8] },
  { name: 'nvgrace_gpu_vfio_pci', bus: 'pci', vfio: true, since: [6, 9] },
  { name: 'qat_vfio_pci', bus: 'pci', vfio: true, since: [6, 10] },
  { name: 'xe-vfio-pci', bus: 'pci', vfio: true, since: [6, 19] },
  // Not in 6.12, and in 7.2.
  { name: 'ism_vfio_pci', bus: 'pci', vfio: true, since: [7, 0] },
  { name: 'vfio-platform', bus: 'platform', vfio: true },
  { name: 'vfio-amba', bus: 'amba', vfio: true },
  { name: 'vfio-fsl-mc', bus: 'fsl-mc', vfio: true, since: [5, 10] },
  { name: 'vfio-cdx', bus: 'cdx', vfio: true, since: [6, 6] },
];

const EACH_DRIVER_SAYS: Era = { since: [5, 19] };
const BY_NAME: ReadonlyMap<string, ManagedDmaDriver> = new Map(MANAGED_DMA_DRIVERS.map((driver) => [driver.name, driver]));

/**
 * Whether a PCI function with this driver leaves its group viable: VFIO_GROUP_SET_CONTAINER goes through.
 *
 * @param driver its name as sysfs has it; undefined: none, which always does
 * @param isBridge its header is not of type 0: before 5.19 drivers of bridges do no harm, whatever they are
 * @param kernel @default any that has the driver
 */
export function leavesGroupViable(driver: string | undefined, isBridge: boolean, kernel?: KernelVersion): boolean {
  if (driver === undefined) return true;
  const known = BY_NAME.get(driver);
  if (kernel === undefined) return known?.bus === 'pci';
  if (isBridge && !inEra(EACH_DRIVER_SAYS, kernel)) return true;
  return known?.bus === 'pci' && inEra(known, kernel) && (isBridge || driver !== 'pcieport' || inEra(EACH_DRIVER_SAYS, kernel));
}
