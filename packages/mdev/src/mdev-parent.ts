import { addUevent, createPowerFolder, EEXIST, ENOMEM, eventKind, MODULE_USED, noRuntimePower, WaitQueue, type EventKind, type Sleeps, type VfioDevice } from '@vsim/vfio-core';
import { PARENT_LEAVES, PARENT_REFUSED } from './mdev-reasons.ts';
import type { MdevBus } from './mdev-bus.ts';
import type { MdevDevice } from './mdev-device.ts';
import { MdevDriver } from './mdev-driver.ts';
import { MdevType, type MdevTypeInit } from './mdev-type.ts';

/** `mdev/state`: the parent's uevent CHANGE with MDEV_STATE. */
export const MDEV_STATE: EventKind<{ readonly parent: string; readonly state: 'registered' | 'unregistered' }> = eventKind(
  'mdev/state',
  'info',
  ({ parent, state }) => `${parent}: MDEV_STATE=${state}`,
);

/** `mdev/no-request`: 5.13 and 5.14: the parent has no operation that asks user space to give a device back. */
export const NO_REQUEST: EventKind<{ readonly parent: string }> = eventKind('mdev/no-request', 'info', ({ parent }) => `${parent}: devices cannot be asked for`);

/**
 * A parent: a device (here a virtual one) that makes mediated devices. An author extends this class, says what types there are and how
 * many are left, and makes the VFIO device of each. Kernel: struct mdev_parent with mdev_driver (6.1), mdev_parent_ops (5.13).
 */
export abstract class MdevParent {
  /** The bus on which its devices are. */
  readonly bus: MdevBus;
  /** As in `/sys/class/mdev_bus/`, and the driver's and the module's name. */
  readonly driverName: string;
  /** Path of its folder in sysfs. */
  readonly sysfs: string;
  /** What it can make, in the order that it was given. */
  readonly types: readonly MdevType[];
  /** The driver of its devices since 5.14, and its module's users. */
  readonly driver: MdevDriver;
  /**
   * Instances of all types together that the core counts itself: when none is left it answers -EUSERS, and below 0 there is no limit.
   * Undefined: the parent counts, in available() and createDevice(). Kernel: mdev_driver.max_instances.
   */
  readonly maxInstances: number | undefined = undefined;
  /** Its devices have request(), and tell their user. Kernel: mdev_parent_ops.request, which 5.13 misses aloud. */
  readonly asksUser: boolean = false;
  /** unreg_sem: creations and removals by user space that are under way; unregistering waits for them, and they do not begin once it has. */
  #users = 0;
  #leaving = false;
  readonly #idle: WaitQueue;
  #registered = false;

  /** A parent that is not registered yet: register() has to follow. @param driverName of the module, and of the parent's device */
  constructor(bus: MdevBus, driverName: string, types: readonly MdevTypeInit[]) {
    this.bus = bus;
    this.driverName = driverName;
    this.sysfs = `/sys/devices/virtual/${driverName}/${driverName}`;
    this.types = types.map((init) => new MdevType(this, init));
    this.driver = new MdevDriver(this);
    this.#idle = new WaitQueue(`creations and removals of ${driverName}`);
  }

  /** How many more of this type can be made. @default what the core has counted, as 32 bits without sign */
  available(_type: MdevType): number {
    return ((this.maxInstances ?? 0) - this.devices.length) >>> 0;
  }

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

  /** Parameters of its module, which can only be set when it is loaded: name and value. */
  protected get parameters(): readonly (readonly [name: string, value: number | string])[] {
    return [];
  }

  get #module(): string {
    return `/sys/module/${this.driverName}`;
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
  register(): Sleeps<number> {
    return this.bus.host.scheduler.expectRun('parent.register()', this.#register());
  }

  *#register(): Sleeps<number> {
    this.bus.host.scheduler.assertRunsHere('parent.register()');
    const { files, profile, refusals, trace } = this.bus.host;
    const told = { parent: this.driverName, types: this.types.length };
    if (!profile.mdevParentDrivers && this.types.length === 0) return refusals.refuse(PARENT_REFUSED, told);
    if (files.lookup(`${this.sysfs}/mdev_supported_types`) !== undefined) {
      return refusals.refuse(PARENT_REFUSED, told, profile.mdevParentDrivers ? ENOMEM : EEXIST);
    }
    this.#registered = true;
    this.#leaving = false;
    if (!profile.mdevParentDrivers && !this.asksUser) trace.emit(NO_REQUEST, { parent: this.driverName });
    createPowerFolder({ host: this.bus.host, sysfs: this.sysfs }, noRuntimePower());
    addUevent(this.bus.host, this.sysfs, () => '');
    files.link(`${this.sysfs}/subsystem`, `/sys/class/${this.driverName}`);
    files.folder(`${this.sysfs}/mdev_supported_types`);
    files.link(`/sys/class/mdev_bus/${this.driverName}`, this.sysfs);
    for (const type of this.types) type.createAttributes();
    files.folder(this.#module);
    for (const [name, value] of this.parameters) files.constant(`${this.#module}/parameters/${name}`, `${value}\n`);
    yield* this.bus.addParentDriver(this);
    trace.emit(MDEV_STATE, { parent: this.driverName, state: 'registered' });
    return 0;
  }

  /** A creation or removal by user space. @internal @returns what `body` does, or -ENODEV once unregistering has begun */
  *use(body: () => Sleeps<number>): Sleeps<number> {
    if (this.#leaving) return this.bus.host.refusals.refuse(PARENT_LEAVES, { parent: this.driverName });
    this.#users += 1;
    const result = yield* body();
    this.#users -= 1;
    if (this.#users === 0) this.#idle.wake();
    return result;
  }

  /** delete_module() of the parent's driver: devices that nobody has open go with it. @returns 0, or -EAGAIN while somebody uses it */
  *unload(): Sleeps<number> {
    const { users } = this.driver;
    if (users > 0) return this.bus.host.refusals.refuse(MODULE_USED, { driver: this.driverName, users });
    this.driver.going = true;
    yield* this.unregister();
    this.driver.going = false;
    return 0;
  }

  /** mdev_unregister_parent(): waits for creations and removals under way, and removes every child, which sleeps while one is open. A parent that is none is left alone. */
  *unregister(): Sleeps<void> {
    if (!this.#registered) return;
    const { files, trace } = this.bus.host;
    this.#leaving = true;
    yield* this.#idle.wait(this.bus.host.scheduler, () => this.#users === 0);
    files.remove(`/sys/class/mdev_bus/${this.driverName}`);
    for (const mdev of this.devices) yield* this.bus.destroy(mdev);
    yield* this.bus.removeParentDriver(this);
    files.remove(this.sysfs);
    files.remove(this.#module);
    this.#registered = false;
    trace.emit(MDEV_STATE, { parent: this.driverName, state: 'unregistered' });
  }
}
