/**
 * The VFIO device that vfio_mdev of 5.13 allocates at each bind: bare, it hands every operation on to the parent's. Kernel: vfio_mdev.c.
 */
import { eventKind, VfioDevice, type Device, type EventKind, type Mapping, type MmapRequest, type Process, type Sleeps, type UserArgument } from '@vsim/vfio-core';

/** `mdev/not-asked`: an unbind waits for the user, whom the parent has no operation to ask. Told once. */
export const NOT_ASKED: EventKind<{ readonly device: string }> = eventKind(
  'mdev/not-asked',
  'info',
  ({ device }) => `${device}: its parent cannot ask the user for it: blocked until it is released`,
);

/** An mdev as its bare VFIO device knows it: whether its parent asks users. */
interface Asked extends Device {
  readonly parent: { readonly asksUser: boolean };
}

export class VfioMdevDevice extends VfioDevice {
  readonly #mdev: Asked;
  /** What the parent made at creation. */
  readonly #instance: VfioDevice;

  constructor(mdev: Asked, instance: VfioDevice) {
    super(instance.vfio, mdev);
    this.#mdev = mdev;
    this.#instance = instance;
  }

  /** What the parent made, which its driver may have freed too early. */
  #parents(operation: string): VfioDevice {
    this.#instance.enter(operation);
    return this.#instance;
  }

  protected override *openDevice(): Sleeps<number> {
    return yield* VfioDevice.openOf(this.#parents('open'));
  }

  protected override *closeDevice(): Sleeps<void> {
    yield* VfioDevice.closeOf(this.#parents('close'));
  }

  override read(into: Uint8Array, offset: number): number {
    return this.#parents('read').read(into, offset);
  }

  override write(from: Uint8Array, offset: number): number {
    return this.#parents('write').write(from, offset);
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    return this.#parents('ioctl').ioctl(process, request, argument);
  }

  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    return yield* this.#parents('ioctl').ioctlSleeps(process, request, argument);
  }

  override mmap(process: Process, request: MmapRequest): Mapping | number {
    return this.#parents('mmap').mmap(process, request);
  }

  override request(count: number): void {
    if (this.#mdev.parent.asksUser) this.#parents('request').request(count);
    else if (count === 0) this.device.host.trace.emit(NOT_ASKED, { device: this.name });
  }
}
