/** A host with edu devices, and the steps that a user space driver takes. */
import {
  ApicMsi,
  Host,
  Process,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_TYPE1v2_IOMMU,
  VFIO_SET_IOMMU,
  Vfio,
  VtdIommu,
  getDeviceFd,
  set,
  setContainer,
  vfio_device_ioeventfd,
  vfio_irq_set,
  type HostInit,
  type IrqBypassManager,
  type TraceEvent,
} from '@vsim/vfio-core';
import { PciBus, REGION_SPAN, VfioPciDriver, createEdu, type Edu, type VfioPciParameters } from '../src/index.ts';

export const EDU_NAME = '0000:00:02.0';
export const CONFIG: number = 7 * REGION_SPAN;

export interface EduHost {
  readonly host: Host;
  readonly vfio: Vfio;
  readonly bus: PciBus;
  readonly edu: Edu;
  readonly driver: VfioPciDriver;
  readonly process: Process;
  readonly events: readonly TraceEvent[];
}

export interface EduHostInit extends HostInit {
  readonly bypass?: IrqBypassManager;
  readonly parameters?: Partial<VfioPciParameters>;
}

export function eduHost(init: EduHostInit = {}): EduHost {
  const host = new Host(init);
  const events = host.trace.record();
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const edu = createEdu(host, EDU_NAME);
  bus.plug(edu);
  const driver = new VfioPciDriver(vfio, { bypass: init.bypass, parameters: init.parameters });
  host.scheduler.call('modprobe', bus.addDriver(driver));
  return { host, vfio, bus, edu, driver, process: new Process(host), events };
}

export function bind(process: Process, name: string, driver = 'vfio-pci'): void {
  process.writeFile(`/sys/bus/pci/devices/${name}/driver_override`, driver);
  process.writeFile('/sys/bus/pci/drivers_probe', name);
}

export interface OpenDevice {
  readonly container: number;
  readonly group: number;
  readonly device: number;
}

/** Container, group, type1, device. */
export function open(process: Process, name: string = EDU_NAME, group = 0): OpenDevice {
  const container = process.open('/dev/vfio/vfio');
  const groupFd = process.open(`/dev/vfio/${group}`);
  setContainer(process, groupFd, container);
  process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return { container, group: groupFd, device: getDeviceFd(process, groupFd, name) };
}

/** bind() and open(). */
export function openEdu(init: EduHostInit = {}): EduHost & OpenDevice {
  const made = eduHost(init);
  bind(made.process, EDU_NAME);
  return { ...made, ...open(made.process) };
}

export function read32(process: Process, fd: number, offset: number): number {
  const bytes = new Uint8Array(4);
  process.pread(fd, bytes, offset);
  return new DataView(bytes.buffer).getUint32(0, true);
}

export function write32(process: Process, fd: number, offset: number, value: number): void {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  process.pwrite(fd, bytes, offset);
}

export function write16(process: Process, fd: number, offset: number, value: number): void {
  process.pwrite(fd, Uint8Array.of(value & 0xff, value >> 8), offset);
}

/** VFIO_DEVICE_IOEVENTFD: `size` bytes of `data` at a file offset for each signal of `eventfd`. @returns 0, or a negative errno */
export function ioeventfd(process: Process, fd: number, offset: number, size: number, data: bigint, eventfd: number): number {
  const request = new Uint8Array(vfio_device_ioeventfd.size);
  set(request, vfio_device_ioeventfd.argsz, request.length);
  set(request, vfio_device_ioeventfd.flags, size);
  set(request, vfio_device_ioeventfd.offset, BigInt(offset));
  set(request, vfio_device_ioeventfd.data, data);
  set(request, vfio_device_ioeventfd.fd, eventfd);
  return process.tryIoctl(fd, VFIO_DEVICE_IOEVENTFD, request);
}

/** VFIO_DEVICE_SET_IRQS: a signal of `eventfd` unmasks INTx; -1 ends that. */
export function unmaskBy(process: Process, fd: number, eventfd: number): number {
  const request = new Uint8Array(vfio_irq_set.size + 4);
  set(request, vfio_irq_set.argsz, request.length);
  set(request, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK);
  set(request, vfio_irq_set.count, 1);
  new DataView(request.buffer).setInt32(vfio_irq_set.size, eventfd, true);
  return process.ioctl(fd, VFIO_DEVICE_SET_IRQS, request);
}
