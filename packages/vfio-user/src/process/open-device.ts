/** Opening a device of a simulated host, as a server does before it serves it. */
import { getDeviceFd, setContainer, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type Process } from '@vsim/vfio-core';

/** The open files of a process behind a device. */
export interface DeviceFds {
  /** That of the device. */
  readonly device: number;
  /** That of the container that its group is in, which has type1. */
  readonly container: number;
}

/**
 * Opens a device through a container of its own with type1.
 *
 * @param process who serves; pages of clients count against its limit of locked memory, unless it has CAP_IPC_LOCK, as root has
 * @param group the node of its group, as `/dev/vfio/7`
 * @param name what VFIO_GROUP_GET_DEVICE_FD takes: an address of PCI, a UUID, a name on its bus
 * @throws SyscallError as the kernel refuses, with nothing left open
 */
export function openDevice(process: Process, group: string, name: string): DeviceFds {
  const opened: number[] = [];
  try {
    const container = process.open('/dev/vfio/vfio');
    opened.push(container);
    const groupFd = process.open(group);
    opened.push(groupFd);
    setContainer(process, groupFd, container);
    process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    // An open device keeps its group.
    const device = getDeviceFd(process, groupFd, name);
    opened.push(device);
    process.close(groupFd);
    return { device, container };
  } catch (error) {
    for (const fd of opened.reverse()) process.close(fd);
    throw error;
  }
}
