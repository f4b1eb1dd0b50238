/**
 * A parent: a device (here a virtual one) that makes mediated devices. An author extends this class, says what types there are and how
 * many are left, and makes the VFIO device of each. Kernel: struct mdev_parent with mdev_driver (6.1), mdev_parent_ops (5.13).
 */
import { EEXIST, ENOMEM, eventKind, type EventKind, type Sleeps, type VfioDevice } from '@vsim/vfio-core';
import { PARENT_REFUSED } from './mdev-reasons.ts';
import type { MdevBus } from './mdev-bus.ts';
import type { MdevDevice } from './mdev-device.ts';
import { MdevDriver } from './mdev-driver.ts';
import { MdevType, type MdevTypeInit } from './mdev-type.ts';

/** The parent's uevent CHANGE with MDEV_STATE. */
export const MDEV_STATE: EventKind<{ readonly parent: string; readonly state: 'registered' | 'unregistered' }> = eventKind(
  'mdev/state',
  'info',
  ({ parent, state }) => `${parent}: MDEV_STATE=${state}`,
);

/** 5.13 and 5.14: the parent has no operation that asks user space to give a device back. */
export const NO_REQUEST: EventKind<{ readonly parent: string }> = eventKind('mdev/no-request', 'info', ({ parent }) => `${parent}: devices cannot be asked for`);

export abstract class MdevParent {
  readonly bus: MdevBus;
  /** As in `/sys/class/mdev_bus/`, and the driver's name. */
  readonly driverName: string;
  readonly sysfs: string;
  readonly types: readonly MdevType[];
  readonly driver: MdevDriver;
  /**
   * Instances of all types together that the core counts itself; beyond it answers -EUSERS. Undefined: the parent counts, in
   * available() and createDevice(). Kernel: mdev_driver.max_instances.
   */
  readonly maxInstances: number | undefined = undefined;
  /** Its devices have request(), and tell their user. Kernel: mdev_parent_ops.request, which 5.13 misses aloud. */
  readonly asksUser: boolean = false;
  /** Unregistering has begun: nothing is created or removed by user space any more. */
  leaving = false;
  #registered = false;

  constructor(bus: MdevBus, driverName: string, types: readonly MdevTypeInit[]) {
    this.bus = bus;
    this.driverName = driverName;
    this.sysfs = `/sys/devices/virtual/${driverName}/${driverName}`;
    this.types = types.map((init) => new MdevType(this, init));
    this.driver = new MdevDriver(this);
  }

  /** How many more of this type can be made. */
  abstract available(type: MdevType): number;

  /** Makes the VFIO device of a new mdev, or refuses with a negative errno. */
  abstract createDevice(mdev: MdevDevice): VfioDevice | number;

  /** Takes its resources back. */
  releaseDevice(_mdev: MdevDevice, _device: VfioDevice): void {
    // Nothing was taken.
  }

  /** Attributes in the folder `vendor` of a device: name and text. */
  deviceAttributes(_mdev: MdevDevice): readonly (readonly [name: string, show: () => string])[] {
    return [];
  }

  /** The parent's mdevs, in the order of their creation. */
  get devices(): readonly MdevDevice[] {
    return this.bus.devices.filter(({ parent }) => parent === this);
  }

  /**
   * mdev_register_parent(), mdev_register_device() before 6.1.
   *
   * @returns 0; where the device is a parent already -EEXIST (5.13, which keeps a list), -ENOMEM (6.1, whose folder is there already); -EINVAL
   * without types (5.13)
   */
  *register(): Sleeps<number> {
    const { files, profile, refusals, trace } = this.bus.host;
    const told = { parent: this.driverName, types: this.types.length };
    if (!profile.mdevParentDrivers && this.types.length === 0) return refusals.refuse(PARENT_REFUSED, told);
    if (files.lookup(`${this.sysfs}/mdev_supported_types`) !== undefined) {
      return refusals.refuse(PARENT_REFUSED, told, profile.mdevParentDrivers ? ENOMEM : EEXIST);
    }
    this.#registered = true;
    this.leaving = false;
    if (!profile.mdevParentDrivers && !this.asksUser) trace.emit(NO_REQUEST, { parent: this.driverName });
    files.folder(`${this.sysfs}/power`);
    files.constant(`${this.sysfs}/uevent`, '', 0o644);
    files.link(`${this.sysfs}/subsystem`, `/sys/class/${this.driverName}`);
    files.folder(`${this.sysfs}/mdev_supported_types`);
    files.link(`/sys/class/mdev_bus/${this.driverName}`, this.sysfs);
    for (const type of this.types) type.createAttributes();
    yield* this.bus.addParentDriver(this);
    trace.emit(MDEV_STATE, { parent: this.driverName, state: 'registered' });
    return 0;
  }

  /** mdev_unregister_parent(): removes every child, which sleeps while one is open. A parent that is none is left alone. */
  *unregister(): Sleeps<void> {
    if (!this.#registered) return;
    const { files, trace } = this.bus.host;
    this.leaving = true;
    files.remove(`/sys/class/mdev_bus/${this.driverName}`);
    for (const mdev of this.devices) yield* this.bus.destroy(mdev);
    yield* this.bus.removeParentDriver(this);
    files.remove(this.sysfs);
    this.#registered = false;
    trace.emit(MDEV_STATE, { parent: this.driverName, state: 'unregistered' });
  }
}
