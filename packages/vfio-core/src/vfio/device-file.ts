/** The fd of a VFIO device: `[vfio-device]`. Kernel: vfio_device_fops. */
import { constant, type Sleeps } from '../host/scheduler.ts';
import { File, STREAM, type MmapRequest } from '../process/file.ts';
import type { Mapping } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { VFIO_DEVICE_FEATURE, requestName } from '../uapi/vfio.ts';
import { deviceFeature, deviceFeatureSleeps } from './device-feature.ts';
import type { VfioDevice } from './vfio-device.ts';
import type { GroupFile } from './group-file.ts';

export class VfioDeviceFile extends File {
  override readonly label: string = 'anon_inode:[vfio-device]';
  readonly device: VfioDevice;
  readonly #opener: string;
  #position = 0;
  /** Keeps the group open, and its container attached, as long as the device is. */
  readonly #groupFile: GroupFile;

  constructor(device: VfioDevice, opener: string, groupFile: GroupFile) {
    super();
    this.device = device;
    this.#opener = opener;
    this.#groupFile = groupFile;
  }

  override fdinfo(): readonly string[] {
    const { host, sysfs } = this.device.device;
    return host.profile.fdinfoNamesDevice ? [`vfio-device-syspath: ${sysfs}`] : [];
  }

  override get subject(): string {
    return this.device.name;
  }

  override requestName(request: number): string | undefined {
    return requestName(request, 'VFIO_DEVICE_');
  }

  override read(into: Uint8Array, offset: number): number {
    this.device.enter('read');
    return offset === STREAM ? this.#moved(this.device.read(into, this.#position)) : this.device.read(into, offset);
  }

  override write(from: Uint8Array, offset: number): number {
    this.device.enter('write');
    return offset === STREAM ? this.#moved(this.device.write(from, this.#position)) : this.device.write(from, offset);
  }

  /** The file's own position, of read() and write(), goes on by what the driver says that it has moved. Nobody can set it. */
  #moved(count: number): number {
    if (count > 0 && this.device.movesPosition) this.#position += count;
    return count;
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const { device } = this;
    device.enter(request === VFIO_DEVICE_FEATURE ? 'feature' : 'ioctl');
    const asleep = device.wake();
    if (asleep < 0) return asleep;
    const result = this.#parsedByCore(request) ? deviceFeature(device, process, argument) : device.ioctl(process, request, argument);
    device.rest();
    return result;
  }

  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    const { device } = this;
    device.enter(request === VFIO_DEVICE_FEATURE ? 'feature' : 'ioctl');
    const asleep = device.wake();
    if (asleep < 0) return asleep;
    const result = this.#parsedByCore(request)
      ? yield* deviceFeatureSleeps(device, process, argument)
      : yield* device.ioctlSleeps(process, request, argument);
    device.rest();
    return result;
  }

  #parsedByCore(request: number): boolean {
    return request === VFIO_DEVICE_FEATURE && this.device.device.host.profile.featureInCore;
  }

  override mmap(process: Process, request: MmapRequest): Mapping | number {
    this.device.enter('mmap');
    return this.device.mmap(process, request);
  }

  /** vfio_device_fops_release(): driver, container user and group file, then the device reference. */
  protected override *release(): Sleeps<void> {
    const { group } = this.device;
    yield* group?.closing(this.#close()) ?? this.#close();
    yield* this.#groupFile.put();
    this.device.put();
  }

  *#close(): Sleeps<void> {
    yield* this.device.close(this.#opener);
    yield* this.device.group?.letContainerGo() ?? constant(undefined);
  }
}
