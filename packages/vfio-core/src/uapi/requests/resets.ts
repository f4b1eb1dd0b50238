/** Resets of a device, typed: alone, or with all on its bus or slot. */
import { get, set } from '../struct.ts';
import {
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_DEVICE_RESET,
  vfio_pci_dependent_device,
  vfio_pci_hot_reset,
  vfio_pci_hot_reset_info,
} from '../vfio.ts';
import { sized, type IoctlCaller } from './caller.ts';

/** A device that a hot reset would reset too. */
export interface HotResetDevice {
  /** Number of its IOMMU group; with the cdev, its device id. */
  readonly group: number;
  /** PCI domain, 16 bits. */
  readonly segment: number;
  /** PCI bus, 8 bits. */
  readonly bus: number;
  /** Device number, 5 bits. */
  readonly device: number;
  /** Function number, 3 bits. */
  readonly function: number;
}

/** VFIO_DEVICE_RESET: resets one device alone. @param device the device's fd @throws EINVAL, as the caller's ioctl throws it, where there is no such reset */
export function resetDevice(sys: IoctlCaller, device: number): void {
  sys.ioctl(device, VFIO_DEVICE_RESET);
}

/**
 * VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: all that a reset of the device's bus or slot would meet. It asks twice, the second time with the
 * room that the kernel wants.
 *
 * @param device the fd of a PCI device
 * @param most devices that there is room for at first; 32 by default
 */
export function getHotResetInfo(sys: IoctlCaller, device: number, most = 32): readonly HotResetDevice[] {
  const layout = vfio_pci_dependent_device;
  const info = sized(vfio_pci_hot_reset_info.size + layout.size * most);
  try {
    sys.ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
  } catch (error) {
    const wanted = get(info, vfio_pci_hot_reset_info.count);
    if (wanted <= most) throw error;
    return getHotResetInfo(sys, device, wanted);
  }
  return Array.from({ length: get(info, vfio_pci_hot_reset_info.count) }, (_, n) => {
    const each = info.subarray(vfio_pci_hot_reset_info.size + layout.size * n);
    const devfn = get(each, layout.devfn);
    return { group: get(each, layout.group_id), segment: get(each, layout.segment), bus: get(each, layout.bus), device: devfn >> 3, function: devfn & 7 };
  });
}

/**
 * VFIO_DEVICE_PCI_HOT_RESET: resets the device's bus or slot.
 *
 * @param device the fd of a PCI device
 * @param groups fds that show the ownership of all groups that are met
 */
export function hotReset(sys: IoctlCaller, device: number, groups: readonly number[]): void {
  const request = sized(vfio_pci_hot_reset.size + 4 * groups.length);
  set(request, vfio_pci_hot_reset.count, groups.length);
  groups.forEach((fd, n) => {
    set(request, [vfio_pci_hot_reset.size + 4 * n, 's32'], fd);
  });
  sys.ioctl(device, VFIO_DEVICE_PCI_HOT_RESET, request);
}
