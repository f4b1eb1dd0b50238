import { BAD_VALUE, Bus, EAGAIN, ENOMEM, EUSERS, parseUnsigned, type FaultPoint, type Host, type Point, type Sleeps } from '@vsim/vfio-core';
import { EXHAUSTED, REMOVED_TWICE, UUID_TAKEN } from './mdev-reasons.ts';
import { MdevDevice } from './mdev-device.ts';
import { VfioMdevDriver } from './mdev-driver.ts';
import type { MdevParent } from './mdev-parent.ts';
import type { MdevType } from './mdev-type.ts';

/** The device is there and bound; it cannot be removed by user space yet. */
export const MDEV_CREATED: Point = { point: 'mdev/created' };
/** The `remove` file is gone, and the device is about to be unbound. */
export const MDEV_REMOVING: Point = { point: 'mdev/removing' };

/** A creation has no memory for its device. */
export const MDEV_ALLOCATION: FaultPoint = { fault: 'mdev/device-allocation', error: ENOMEM };

/**
 * The mdev bus: creation and removal of mediated devices by UUID. Kernel: drivers/vfio/mdev.
 *
 * @example
 * ```ts
 * import { Host, Process, Vfio } from '@vsim/vfio-core';
 * import { MdevBus, Mtty } from '@vsim/mdev';
 *
 * const host = new Host();
 * const bus = new MdevBus(host);
 * host.scheduler.call('modprobe mtty', new Mtty(bus, new Vfio(host)).register());
 * const root = new Process(host);
 * root.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001');
 * console.log(bus.devices.length); // 1
 * ```
 */
export class MdevBus extends Bus<MdevDevice> {
  /** vfio_mdev, where one driver serves all parents (5.13). */
  readonly #common: VfioMdevDriver | undefined;

  /** Puts /sys/bus/mdev and /sys/class/mdev_bus into the host's file tree; on kernels before 5.14 vfio_mdev is loaded. */
  constructor(host: Host) {
    super(host, 'mdev');
    host.files.folder('/sys/class/mdev_bus');
    this.#common = host.profile.mdevParentDrivers ? undefined : new VfioMdevDriver();
    if (this.#common !== undefined) host.scheduler.call('modprobe vfio_mdev', this.addDriver(this.#common));
  }

  /**
   * mdev_device_create().
   *
   * @param type of a parent of this bus
   * @param uuid 36 characters, in lower case
   * @param written bytes of the write to `create`, which it answers with
   * @returns `written`, or the negative errno of what refused: -EEXIST for a UUID that is taken, -EUSERS, -ENOSPC or -ENOMEM for a type
   * that is used up, -ENODEV for a parent that leaves
   */
  *create(type: MdevType, uuid: string, written: number): Sleeps<number> {
    const { parent } = type;
    const { refusals } = this.host;
    const taken = this.device(uuid);
    if (taken !== undefined) return refusals.refuse(UUID_TAKEN, { uuid, parent: taken.parent.driverName });
    if (parent.maxInstances !== undefined && parent.maxInstances === parent.devices.length) return this.#exhausted(type, -EUSERS);
    const refused = this.host.faults.at(MDEV_ALLOCATION);
    if (refused < 0) return refused;
    return yield* parent.use(() => this.#create(type, uuid, written));
  }

  *#create(type: MdevType, uuid: string, written: number): Sleeps<number> {
    const { parent } = type;
    const mdev = new MdevDevice(this, type, uuid);
    const error = this.#common === undefined ? yield* this.#createBound(mdev) : yield* this.#createAndProbe(mdev);
    if (error < 0) return parent.available(type) > 0 ? error : this.#exhausted(type, error);
    yield MDEV_CREATED;
    mdev.active = true;
    return written;
  }

  /**
   * A write to a device's `remove` in sysfs.
   *
   * @param bytes text of a number: 0 does nothing
   * @returns how many bytes were taken; -EINVAL for text that is no number; -ENODEV for a device that is gone; -EAGAIN for one that is
   * being made
   */
  *storeRemove(mdev: MdevDevice, bytes: Uint8Array): Sleeps<number> {
    const text = new TextDecoder().decode(bytes);
    const value = parseUnsigned(text, 64);
    if (value === undefined) return this.host.refusals.refuse(BAD_VALUE, { attribute: 'remove', text, wants: 'a number of 64 bits' });
    if (value === 0n) return bytes.length;
    const { files, refusals } = this.host;
    const path = `${mdev.sysfs}/remove`;
    if (this.device(mdev.name) !== mdev || files.lookup(path) === undefined) return refusals.refuse(REMOVED_TWICE, { uuid: mdev.name, state: 'gone' });
    // device_remove_file_self(): the file goes with the first write that means it, whatever comes of that.
    files.remove(path);
    if (!mdev.active) return refusals.refuse(REMOVED_TWICE, { uuid: mdev.name, state: 'being made' }, EAGAIN);
    return yield* mdev.parent.use(() => this.#destroyed(mdev, bytes.length));
  }

  *#destroyed(mdev: MdevDevice, taken: number): Sleeps<number> {
    yield* this.destroy(mdev);
    return taken;
  }

  /** mdev_device_remove(): the user has to be gone before the parent takes its part back. */
  *destroy(mdev: MdevDevice): Sleeps<void> {
    mdev.unlink();
    yield MDEV_REMOVING;
    yield* this.remove(mdev);
    mdev.dispose();
  }

  /** A parent registers: since 5.14 its driver is added to the bus. @internal */
  *addParentDriver(parent: MdevParent): Sleeps<void> {
    if (this.#common === undefined) yield* this.addDriver(parent.driver);
  }

  /** A parent unregisters: since 5.14 its driver is removed from the bus. @internal */
  *removeParentDriver(parent: MdevParent): Sleeps<void> {
    if (this.#common === undefined) yield* this.removeDriver(parent.driver);
  }

  #exhausted(type: MdevType, error: number): number {
    const users = type.parent.devices.map(({ name, type: { id } }) => `${name} (${id})`);
    return this.host.refusals.refuse(EXHAUSTED, { type: type.id, left: type.parent.available(type), users }, -error);
  }

  /** The parent's driver is attached, and a probe that fails takes the device away again. */
  *#createBound(mdev: MdevDevice): Sleeps<number> {
    this.announce(mdev);
    const error = yield* this.attach(mdev.parent.driver, mdev);
    if (error < 0) {
      yield* this.remove(mdev);
      return error;
    }
    return mdev.link();
  }

  /** The parent makes the device, and the bus probes it as any other: creation succeeds also when that fails. */
  *#createAndProbe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.instantiate();
    if (refused < 0) return refused;
    yield* this.add(mdev);
    return mdev.link();
  }
}
