/** The smallest VFIO device there is, for the core's own tests: four bytes of memory as region 0, and a log of what was called. */
import {
  Bus,
  constant,
  Device,
  Driver,
  EFAULT,
  EINVAL,
  ENOTTY,
  get,
  Host,
  Process,
  set,
  setContainer,
  unpinPages,
  Vfio,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  vfio_device_info,
  vfio_region_info,
  VfioDevice,
  VtdIommu,
  type HostInit,
  type Sleeps,
  type Thread,
  type UserArgument,
} from '@vsim/vfio-core';

export class SampleVfioDevice extends VfioDevice {
  readonly log: string[] = [];
  readonly memory: Uint8Array = new Uint8Array(4);
  /** What openDevice answers. */
  openResult = 0;
  /** Operations that came outside of register and unregister (I1). */
  readonly outside: string[] = [];

  #entered(operation: string): void {
    if (this.state !== 'live' && this.state !== 'dying') this.outside.push(`${operation} in ${this.state}`);
  }

  protected override *openDevice(): Sleeps<number> {
    this.#entered('open');
    this.log.push('open');
    return this.openResult;
  }

  protected override *closeDevice(): Sleeps<void> {
    this.#entered('close');
    this.log.push('close');
  }

  override request(count: number): void {
    this.#entered('request');
    this.log.push(`request ${count}`);
  }

  override read(into: Uint8Array, offset: number): number {
    this.#entered('read');
    if (offset < 0 || offset + into.length > this.memory.length) return -EINVAL;
    into.set(this.memory.subarray(offset, offset + into.length));
    return into.length;
  }

  override write(from: Uint8Array, offset: number): number {
    if (offset < 0 || offset + from.length > this.memory.length) return -EINVAL;
    this.memory.set(from, offset);
    return from.length;
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    this.#entered('ioctl');
    switch (request) {
      case VFIO_DEVICE_GET_INFO: {
        const info = argument.copyIn(16);
        if (info === undefined) return -EFAULT;
        if (get(info, vfio_device_info.argsz) < 16) return -EINVAL;
        set(info, vfio_device_info.flags, 0);
        set(info, vfio_device_info.num_regions, 1);
        set(info, vfio_device_info.num_irqs, 0);
        return argument.copyOut(info) ? 0 : -EFAULT;
      }
      case VFIO_DEVICE_GET_REGION_INFO: {
        const info = argument.copyIn(vfio_region_info.size);
        if (info === undefined) return -EFAULT;
        if (get(info, vfio_region_info.index) !== 0) return -EINVAL;
        set(info, vfio_region_info.flags, 3);
        set(info, vfio_region_info.region_size, 4);
        return argument.copyOut(info) ? 0 : -EFAULT;
      }
      case VFIO_DEVICE_GET_IRQ_INFO:
        return -EINVAL;
      default:
        return -ENOTTY;
    }
  }
}

export class SampleDevice extends Device {
  constructor(host: Host, name: string) {
    super(host, name, `/sys/devices/sample/${name}`);
  }

  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
  }
}

/** Makes the VFIO device that is bound. */
export type MakeSample = (vfio: Vfio, device: SampleDevice) => SampleVfioDevice;

/** The VFIO driver of the sample bus. */
export class SampleDriver extends Driver<SampleDevice> {
  override readonly name: string = 'vfio-sample';
  override readonly managesDma: boolean = true;
  readonly data: Map<SampleDevice, SampleVfioDevice> = new Map<SampleDevice, SampleVfioDevice>();
  readonly #vfio: Vfio;
  readonly #make: MakeSample;

  constructor(vfio: Vfio, make: MakeSample = (v, device) => new SampleVfioDevice(v, device)) {
    super();
    this.#vfio = vfio;
    this.#make = make;
  }

  override match(device: SampleDevice): boolean {
    return device.driverOverride === this.name;
  }

  override *probe(device: SampleDevice): Sleeps<number> {
    const made = this.#make(this.#vfio, device);
    const error = yield* made.register();
    if (error === 0) this.data.set(device, made);
    return error;
  }

  override *remove(device: SampleDevice): Sleeps<void> {
    const made = this.data.get(device)!;
    yield* made.unregister();
    this.data.delete(device);
    made.free();
  }
}

/** A device without DMA of its own: it pins pages of user space, and lets them go when it is told to. */
export class EmulatedVfioDevice extends SampleVfioDevice {
  /** IOVA frames that it has pinned. */
  readonly pinned: Set<number> = new Set<number>();
  /** Whether it obeys an unmap. */
  obeys = true;

  override dmaUnmap(iova: number, length: number): void {
    this.log.push(`unmap ${iova / 4096}+${length / 4096}`);
    const frames = [...this.pinned].filter((frame) => frame * 4096 >= iova && frame * 4096 < iova + length);
    if (!this.obeys) return;
    for (const frame of frames) this.pinned.delete(frame);
    if (frames.length > 0) unpinPages(this, frames);
  }
}

/** Binds to devices without IOMMU group and gives them one for emulated devices. */
export class EmulatedDriver extends Driver<SampleDevice> {
  override readonly name: string = 'vfio-emulated';
  override readonly managesDma: boolean = true;
  readonly data: Map<SampleDevice, EmulatedVfioDevice> = new Map<SampleDevice, EmulatedVfioDevice>();
  readonly #vfio: Vfio;

  constructor(vfio: Vfio) {
    super();
    this.#vfio = vfio;
  }

  override match(device: SampleDevice): boolean {
    return device.driverOverride === this.name;
  }

  override *probe(device: SampleDevice): Sleeps<number> {
    const made = new EmulatedVfioDevice(this.#vfio, device);
    const error = yield* made.registerEmulated();
    if (error === 0) this.data.set(device, made);
    return error;
  }

  override *remove(device: SampleDevice): Sleeps<void> {
    const made = this.data.get(device)!;
    yield* made.unregister();
    this.data.delete(device);
    made.free();
  }
}

/** Adds an emulated device to a host, bound; its group's number and the device. */
export function addEmulated(sample: SampleHost, name: string): { readonly group: number; readonly device: EmulatedVfioDevice } {
  let driver = sample.bus.driver('vfio-emulated');
  if (!(driver instanceof EmulatedDriver)) {
    driver = new EmulatedDriver(sample.vfio);
    sample.host.scheduler.call('modprobe', sample.bus.addDriver(driver));
  }
  const device = new SampleDevice(sample.host, name);
  sample.bus.announce(device);
  sample.root.writeFile(`/sys/bus/sample/devices/${name}/driver_override`, 'vfio-emulated');
  sample.root.writeFile('/sys/bus/sample/drivers_probe', name);
  if (!(driver instanceof EmulatedDriver) || device.iommuGroup === undefined) throw new Error(`${name} is not bound`);
  return { group: device.iommuGroup.id, device: driver.data.get(device)! };
}

/** A driver of the kernel's own, that uses DMA. */
export class NativeDriver extends Driver<SampleDevice> {
  override readonly name: string = 'native';

  override match(): boolean {
    return true;
  }

  override probe(): Sleeps<number> {
    return constant(0);
  }

  override remove(): Sleeps<void> {
    return constant(undefined);
  }
}

/** Group and container fds, the group in the container, the container with type1 v2. */
export interface OpenGroup {
  readonly container: number;
  readonly group: number;
}

/** Opens a group and puts it into a container: a new one with an IOMMU, or the one given. */
export function openGroup({ root }: SampleHost, group: number, container?: number, type: number = VFIO_TYPE1v2_IOMMU): OpenGroup {
  const into = container ?? root.open('/dev/vfio/vfio');
  const fd = root.open(`/dev/vfio/${group}`);
  setContainer(root, fd, into);
  if (container === undefined) root.ioctl(into, VFIO_SET_IOMMU, type);
  return { container: into, group: fd };
}

export interface SampleHost {
  readonly host: Host;
  readonly vfio: Vfio;
  readonly iommu: VtdIommu;
  readonly bus: Bus<SampleDevice>;
  readonly driver: SampleDriver;
  readonly root: Process;
  readonly device: (name: string) => SampleVfioDevice;
  readonly bind: (name: string) => void;
  readonly unbind: (name: string) => Thread<number>;
}

/** A host with the named devices, each in a group of its own (or all in one), none bound. */
export function sampleHost(names: readonly string[] = ['a'], init: HostInit = {}, oneGroup = false, make?: MakeSample): SampleHost {
  const host = new Host({ ram: [{ base: 0x1_0000_0000, size: 0x400_0000 }], ...init });
  const vfio = new Vfio(host);
  const iommu = new VtdIommu(host);
  const bus = new Bus<SampleDevice>(host, 'sample');
  const driver = new SampleDriver(vfio, make);
  host.scheduler.call('modprobe', bus.addDriver(driver));
  host.scheduler.call('modprobe native', bus.addDriver(new NativeDriver()));
  bus.autoprobe = false;
  const devices = names.map((name) => new SampleDevice(host, name));
  for (const device of devices) bus.announce(device);
  if (oneGroup) iommu.addGroup(devices);
  else for (const device of devices) iommu.addGroup([device]);
  const root = new Process(host, { name: 'root' });
  return {
    host,
    vfio,
    iommu,
    bus,
    driver,
    root,
    device: (name) => driver.data.get(bus.device(name)!)!,
    bind: (name) => {
      root.writeFile(`/sys/bus/sample/devices/${name}/driver_override`, 'vfio-sample');
      root.writeFile('/sys/bus/sample/drivers_probe', name);
    },
    unbind: (name) => root.start('unbind', root.sys.writeFile('/sys/bus/sample/drivers/vfio-sample/unbind', name)),
  };
}
