import { SyscallError } from '../process/syscall-error.ts';
import type { Process } from '../process/process.ts';
import { EINVAL, ENODEV } from '../uapi/errno.ts';
import { getDeviceFd, setContainer } from '../uapi/requests/index.ts';
import { VFIO_NOIOMMU_IOMMU, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU } from '../uapi/vfio.ts';

/** What openDevice() does otherwise than by default. */
export interface OpenDeviceOptions {
  /** The VFIO driver that the device is bound to first, unless it is: `vfio-pci`. It needs root, as binding does. @default as it is bound */
  readonly driver?: string | undefined;
  /** A container that is open already, for devices that share their mappings. @default one of the device's own */
  readonly container?: number | undefined;
}

/** File descriptors of a device that is open. */
export interface OpenedDevice {
  /** The fd of the container: for mapDma() and VFIO_IOMMU_*. */
  readonly container: number;
  /** The fd of the group. */
  readonly group: number;
  /** The fd of the device: for getDeviceInfo() and VFIO_DEVICE_*. */
  readonly device: number;
  /** Closes what was opened: device, group, and the container unless it was given. */
  readonly close: () => void;
}

const BUSES = '/sys/bus';

/**
 * Opens a device by its name on any bus (`0000:01:00.0`, `9010000.pl031`, a UUID, `dpni.3`): binds it if asked, then container, group, type 1 (or no-IOMMU,
 * where the group is one) and VFIO_GROUP_GET_DEVICE_FD. What was opened before a call that fails is closed again.
 *
 * A group is opened once: a second device of it is had by getDeviceFd() on `group`.
 *
 * @throws SyscallError of the call that is refused, with its reason: ENODEV where no bus has the device, ENOENT where it is in no IOMMU group
 *
 * @example
 * ```ts
 * import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
 * import { createEdu, EDU, PciBus, VfioPciDriver } from '@vsim/vfio-pci';
 *
 * const host = new Host();
 * const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
 * bus.plug(createEdu(host, '0000:00:02.0'));
 * host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
 * const root = new Process(host);
 * const { device, close } = openDevice(root, '0000:00:02.0', { driver: 'vfio-pci' });
 * console.log(root.mmap(device, 0x1000).read(EDU.IDENTIFICATION, 4).toString(16)); // 10000ed
 * close();
 * ```
 */
export function openDevice(process: Process, name: string, options: OpenDeviceOptions = {}): OpenedDevice {
  const path = pathOf(process, name);
  if (options.driver !== undefined) bind(process, path, name, options.driver);
  const opened: number[] = [];
  const open = (file: string): number => {
    const fd = process.open(file);
    opened.unshift(fd);
    return fd;
  };
  const close = (): void => { for (const fd of opened.splice(0)) process.close(fd); };
  try {
    const container = options.container ?? open('/dev/vfio/vfio');
    const node = groupNode(process, path);
    const group = open(`/dev/vfio/${node}`);
    setContainer(process, group, container);
    setIommu(process, container, node.startsWith('noiommu') ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU, options.container !== undefined);
    const device = getDeviceFd(process, group, name);
    opened.unshift(device);
    return { container, group, device, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The device's folder in sysfs. */
function pathOf(process: Process, name: string): string {
  const bus = process.readdir(BUSES).find((each) => process.readdir(`${BUSES}/${each}/devices`).includes(name));
  if (bus === undefined) throw new SyscallError('open', -ENODEV, name);
  return `${BUSES}/${bus}/devices/${name}`;
}

/** As driverctl does: driver_override, then away from the driver that it has, then bound. */
function bind(process: Process, path: string, name: string, driver: string): void {
  const has = process.readdir(path).includes('driver') ? lastOf(process.readlink(`${path}/driver`)) : undefined;
  if (has === driver) return;
  process.writeFile(`${path}/driver_override`, driver);
  if (has !== undefined) process.writeFile(`${path}/driver/unbind`, name);
  process.writeFile(`${path.slice(0, path.indexOf('/devices/'))}/drivers/${driver}/bind`, name);
}

/** A container that others use has been told already which IOMMU it is for: EINVAL. */
function setIommu(process: Process, container: number, kind: number, shared: boolean): void {
  const result = shared ? process.tryIoctl(container, VFIO_SET_IOMMU, kind) : process.ioctl(container, VFIO_SET_IOMMU, kind);
  if (result < 0 && result !== -EINVAL) throw new SyscallError('ioctl', result, `fd ${container}`, { request: 'VFIO_SET_IOMMU' });
}

/** The name of its group's node in /dev/vfio. */
function groupNode(process: Process, path: string): string {
  const number = lastOf(process.readlink(`${path}/iommu_group`));
  return process.readdir('/dev/vfio').includes(`noiommu-${number}`) ? `noiommu-${number}` : number;
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
