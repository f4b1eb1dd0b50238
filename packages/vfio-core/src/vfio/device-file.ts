import { constant, type Sleeps } from '../host/scheduler.ts';
import { File, STREAM, type MmapRequest } from '../process/file.ts';
import type { Mapping } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { VFIO_DEVICE_FEATURE, requestName } from '../uapi/vfio.ts';
import { deviceFeature, deviceFeatureSleeps } from './device-feature.ts';
import type { VfioDevice } from './vfio-device.ts';

/**
 * The fd of a VFIO device, `[vfio-device]`, that VFIO_GROUP_GET_DEVICE_FD gives. It hands each call to the device's driver. Kernel:
 * vfio_device_fops.
 */
export class VfioDeviceFile extends File {
  /** What /proc/PID/fd shows of every device's fd. */
  override readonly label: string = 'anon_inode:[vfio-device]';
  /** The device that it holds open. */
  readonly device: VfioDevice;
  readonly #opener: string;
  #position = 0;
  /** Keeps the group open, and its container attached, as long as the device is. */
  readonly #groupFile: File;

  /** Made by VfioGroup.getDeviceFd(). `opener` is the process and fd that holders are told by. */
  constructor(device: VfioDevice, opener: string, groupFile: File) {
    super();
    this.device = device;
    this.#opener = opener;
    this.#groupFile = groupFile;
  }

  /** `vfio-device-syspath`, where the kernel has it (7.3). */
  override fdinfo(): readonly string[] {
    const { host, sysfs } = this.device.device;
    return host.profile.fdinfoNamesDevice ? [`vfio-device-syspath: ${sysfs}`] : [];
  }

  /** The device's name on its bus. */
  override get subject(): string {
    return this.device.name;
  }

  /** The names VFIO_DEVICE_*. @param request the number, of 32 bits */
  override requestName(request: number): string | undefined {
    return requestName(request, 'VFIO_DEVICE_');
  }

  /**
   * vfio_device_fops_read(): as the driver's read() answers.
   *
   * @param offset in the device's fd, in bytes; STREAM for the file's own position, which only read() and write() move
   */
  override read(into: Uint8Array, offset: number): number {
    this.device.enter('read');
    return offset === STREAM ? this.#moved(this.device.read(into, this.#position)) : this.device.read(into, offset);
  }

  /**
   * vfio_device_fops_write(): as the driver's write() answers.
   *
   * @param offset in the device's fd, in bytes; STREAM for the file's own position, which only read() and write() move
   */
  override write(from: Uint8Array, offset: number): number {
    this.device.enter('write');
    return offset === STREAM ? this.#moved(this.device.write(from, this.#position)) : this.device.write(from, offset);
  }

  /** The file's own position, of read() and write(), goes on by what the driver says that it has moved. Nobody can set it. */
  #moved(count: number): number {
    if (count > 0 && this.device.movesPosition) this.#position += count;
    return count;
  }

  /**
   * vfio_device_fops_unl_ioctl(): wakes the device, and asks the core for VFIO_DEVICE_FEATURE (since 5.18), the driver for the rest.
   *
   * @param request the number, of 32 bits
   * @returns 0 or more, a negative errno, or WOULD_SLEEP
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const { device } = this;
    device.enter(request === VFIO_DEVICE_FEATURE ? 'feature' : 'ioctl');
    const asleep = device.wake();
    if (asleep < 0) return asleep;
    const result = this.#parsedByCore(request) ? deviceFeature(device, process, argument) : device.ioctl(process, request, argument);
    device.rest();
    return result;
  }

  /** vfio_device_fops_unl_ioctl() in a thread. @param request the number, of 32 bits @returns 0 or more, or a negative errno */
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

  /** vfio_device_fops_mmap(): as the driver's mmap() answers. */
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
