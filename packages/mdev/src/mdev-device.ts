import { constant, createPowerFolder, Device, noRuntimePower, type VfioDevice } from '@vsim/vfio-core';
import { NO_INSTANCE } from './mdev-reasons.ts';
import type { MdevBus } from './mdev-bus.ts';
import type { MdevParent } from './mdev-parent.ts';
import type { MdevType } from './mdev-type.ts';

/** A mediated device: a UUID, a type of its parent, and the VFIO device that stands for it. Kernel: struct mdev_device. */
export class MdevDevice extends Device {
  /** Who made it. */
  readonly parent: MdevParent;
  /** The type whose `create` it was written to. */
  readonly type: MdevType;
  /** What the parent made: from creation to removal in 5.13, else while its driver is bound. */
  instance: VfioDevice | undefined = undefined;
  /** What is registered while a driver is bound: the instance itself, in 5.13 a device before it. */
  vfioDevice: VfioDevice | undefined = undefined;
  /** Creation is complete. */
  active = false;
  readonly #bus: MdevBus;

  /** Made by MdevBus.create(). @param uuid 36 characters, in lower case: its name */
  constructor(bus: MdevBus, type: MdevType, uuid: string) {
    super(bus.host, uuid, `${type.parent.sysfs}/${uuid}`);
    this.#bus = bus;
    this.parent = type.parent;
    this.type = type;
  }

  /** Makes its files in sysfs: power, `remove`, and before 5.14 those of its parent. */
  override createAttributes(): void {
    super.createAttributes();
    const { files } = this.host;
    createPowerFolder(this, noRuntimePower());
    files.add(`${this.sysfs}/remove`, { kind: 'attribute', mode: 0o200, store: (bytes) => this.#bus.storeRemove(this, bytes) });
    if (!this.host.profile.mdevParentDrivers) this.addVendor();
  }

  /** The parent's attributes: those of its driver, and before that of the device. */
  addVendor(): void {
    for (const [name, show] of this.parent.deviceAttributes(this)) {
      this.host.files.add(`${this.sysfs}/vendor/${name}`, { kind: 'attribute', mode: 0o444, show: () => constant(show()) });
    }
  }

  /** Takes the folder `vendor` with the parent's attributes away. */
  removeVendor(): void {
    this.host.files.remove(`${this.sysfs}/vendor`);
  }

  /** The links between the device and its type. @returns 0 */
  link(): number {
    this.host.files.link(`${this.sysfs}/mdev_type`, this.type.sysfs);
    this.host.files.link(`${this.type.sysfs}/devices/${this.name}`, this.sysfs);
    return 0;
  }

  /** Takes `remove`, the parent's attributes and the links between the device and its type away: it is about to go. */
  unlink(): void {
    this.host.files.remove(`${this.sysfs}/mdev_type`);
    this.host.files.remove(`${this.type.sysfs}/devices/${this.name}`);
    this.host.files.remove(`${this.sysfs}/remove`);
    this.removeVendor();
  }

  /** Has the parent make the instance. @returns 0; -ENODEV if there is one; or the parent's errno */
  instantiate(): number {
    if (this.instance !== undefined) return this.host.refusals.refuse(NO_INSTANCE, { uuid: this.name });
    const made = this.parent.createDevice(this);
    if (typeof made === 'number') return made;
    this.instance = made;
    return 0;
  }

  /** The parent takes the instance's resources back. */
  dispose(): void {
    const { instance } = this;
    if (instance === undefined) return;
    this.instance = undefined;
    this.parent.releaseDevice(this, instance);
    instance.free();
  }
}

/** mdev_from_dev(): the mediated device that a device is, if it is one. */
export function mdevFromDevice(device: Device): MdevDevice | undefined {
  return device instanceof MdevDevice ? device : undefined;
}
