/** What the recorder does with a device before it records: bind, open, close, unbind. What is refused is passed over, as there. */
import { O_RDWR, VFIO_GROUP_GET_DEVICE_FD, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, type Process } from '@vsim/vfio-core';
import type { ArmMachine } from './arm-machine.ts';
import { complete } from './clock.ts';

export function openDevice(machine: ArmMachine, process: Process, name: string): void {
  const found = machine.device(name);
  if (found === undefined) return;
  const { bus, device } = found;
  const driver = `vfio-${bus.name}`;
  const call = <T>(body: Parameters<typeof complete<T>>[2]): T => complete(machine.host, 'warm-up', body);
  device.driverOverride = driver;
  call(process.sys.writeFile(`/sys/bus/${bus.name}/drivers_probe`, name));
  const group = device.iommuGroup;
  if (device.driverName === driver && group !== undefined) {
    const container = call(process.sys.open('/dev/vfio/vfio', O_RDWR));
    const fd = call(process.sys.open(`/dev/vfio/${group.id}`, O_RDWR));
    call(process.sys.ioctl(fd, VFIO_GROUP_SET_CONTAINER, Uint8Array.from([container, 0, 0, 0])));
    call(process.sys.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    const opened = call(process.sys.ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${name}\0`)));
    for (const each of [opened, fd, container]) if (each >= 0) call(process.sys.close(each));
    call(process.sys.writeFile(`/sys/bus/${bus.name}/drivers/${driver}/unbind`, name));
  }
  device.driverOverride = undefined;
}
