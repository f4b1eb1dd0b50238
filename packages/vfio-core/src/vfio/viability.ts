/**
 * Whether user space may have a group, before the driver core knew owners of DMA (5.13): every device of the IOMMU group
 * is without driver, on its way out, harmless, or VFIO's. Kernel: vfio_dev_viable().
 */
import type { VfioGroup } from './vfio-group.ts';

export function viable(group: VfioGroup): boolean {
  return group.iommuGroup.devices.every((device) => {
    if (device.driverName === undefined || device.driverName === 'pci-stub' || device.isBridge) return true;
    return group.devices.some((vfioDevice) => vfioDevice.device === device);
  });
}
