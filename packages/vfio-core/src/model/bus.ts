import { removeItem } from '../memory/list.ts';
import { assertSameCore, assertSameHost, type Host } from '../host/host.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import { constant, type Point, type Sleeps } from '../host/scheduler.ts';
import { EBUSY, EINVAL, ENODEV } from '../uapi/errno.ts';
import type { Device } from './device.ts';
import type { Driver } from './driver.ts';
import { DMA_CLAIMED, HAS_DRIVER, MODULE_USED, NOT_BOUND, NOT_IDENTIFIED, NO_DEVICE, NO_MATCH } from './model-reasons.ts';
import { addUevent } from './uevent.ts';

const decoder = new TextDecoder();

/** The `driver` link is there and probe has succeeded. */
export const DRIVER_BOUND: Point = { point: 'model/driver-bound' };
/** The `driver` link is gone and remove is about to be called. */
export const DRIVER_UNBINDING: Point = { point: 'model/driver-unbinding' };

/** What the driver core tells those who watch a bus, in the kernel's order. */
export type BusEvent = 'add' | 'del' | 'bound' | 'unbind' | 'unbound';

/** A device of a bus. */
export interface BusDeviceEvent {
  /** The bus, by its name in /sys/bus. */
  readonly bus: string;
  /** The device, by its name on the bus. */
  readonly device: string;
  /** The driver that it has; undefined without one. */
  readonly driver: string | undefined;
}

/** `model/device-added`: a device came to a bus. */
export const DEVICE_ADDED: EventKind<BusDeviceEvent> = eventKind('model/device-added', 'info', ({ bus, device }) => `${device}: added to bus ${bus}`);

/** `model/device-removed`: a device leaves its bus; its driver has not let go of it yet. */
export const DEVICE_REMOVED: EventKind<BusDeviceEvent> = eventKind('model/device-removed', 'info', ({ bus, device }) => `${device}: leaves bus ${bus}`);

/** `model/device-bound`: a driver's probe has succeeded. */
export const DEVICE_BOUND: EventKind<BusDeviceEvent> = eventKind('model/device-bound', 'info', ({ device, driver }) => `${device}: bound to ${driver ?? 'no driver'}`);

/** `model/device-unbinding`: a driver is about to let go of a device. */
export const DEVICE_UNBINDING: EventKind<BusDeviceEvent> = eventKind('model/device-unbinding', 'info', ({ device, driver }) => `${device}: ${driver ?? 'no driver'} is about to go`);

/** `model/device-unbound`: a device has no driver any more. */
export const DEVICE_UNBOUND: EventKind<BusDeviceEvent> = eventKind('model/device-unbound', 'info', ({ device }) => `${device}: unbound`);

const TOLD: Readonly<Record<BusEvent, EventKind<BusDeviceEvent>>> = {
  add: DEVICE_ADDED,
  del: DEVICE_REMOVED,
  bound: DEVICE_BOUND,
  unbind: DEVICE_UNBINDING,
  unbound: DEVICE_UNBOUND,
};

/** Who watches a bus. Kernel: bus_register_notifier(). */
export interface BusListener<D extends Device> {
  /** A device came or goes, or its driver does. */
  busEvent(event: BusEvent, device: D): void;
}

/** A driver refused, or the driver core refused the driver: drivers_probe tells the two apart. */
interface Attempt {
  readonly error: number;
  readonly tried: boolean;
}

/**
 * A bus of the driver core: its devices, its drivers, binding and unbinding, and their sysfs. A bus of one's own extends it with what its
 * devices and ids are.
 *
 * Kernel: drivers/base/bus.c and dd.c. Errors of sysfs `bind`, `unbind` and `drivers_probe` are the kernels': a probe error passes through
 * `bind`, but not through `drivers_probe`, which only fails when the device could not even be tried.
 */
export class Bus<D extends Device> {
  /** The host whose bus it is. */
  readonly host: Host;
  /** Its name in /sys/bus. */
  readonly name: string;
  /** sysfs `drivers_autoprobe`: devices and drivers that come are tried with each other. */
  autoprobe = true;
  readonly #devices = new Map<string, D>();
  readonly #drivers = new Map<string, Driver<D>>();
  readonly #listeners: BusListener<D>[] = [];

  /**
   * bus_register().
   *
   * @param name its name in /sys/bus
   * @throws RangeError if the host has such a bus; TypeError if another copy of @vsim/vfio-core made the host
   */
  constructor(host: Host, name: string) {
    assertSameCore(host);
    this.host = host;
    this.name = name;
    host.files.folder(`${this.sysfs}/devices`);
    host.files.folder(`${this.sysfs}/drivers`);
    addUevent(host, this.sysfs);
    this.#action('drivers_probe', (text) => this.#driversProbe(text));
    host.files.add(`${this.sysfs}/drivers_autoprobe`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => constant(this.autoprobe ? '1\n' : '0\n'),
      store: (bytes) => {
        this.autoprobe = bytes[0] !== 0x30;
        return constant(bytes.length);
      },
    });
  }

  /** `/sys/bus/NAME`. */
  get sysfs(): string {
    return `/sys/bus/${this.name}`;
  }

  /** Its devices, in the order in which they were added. */
  get devices(): readonly D[] {
    return [...this.#devices.values()];
  }

  /** The device of a name; undefined if the bus has none. */
  device(name: string): D | undefined {
    return this.#devices.get(name);
  }

  /** The driver of a name; undefined if the bus has none. */
  driver(name: string): Driver<D> | undefined {
    return this.#drivers.get(name);
  }

  /** How many watch the bus. */
  get listeners(): number {
    return this.#listeners.length;
  }

  /** bus_register_notifier(). @returns what ends it */
  listen(listener: BusListener<D>): () => void {
    this.#listeners.push(listener);
    return () => {
      removeItem(this.#listeners, listener);
    };
  }

  /**
   * driver_register(): binds the driverless devices that it matches.
   *
   * @throws TypeError for a driver with parts of another host, or run by the scheduler of another; RangeError if the name is taken
   */
  addDriver(driver: Driver<D>): Sleeps<void> {
    assertSameHost(this.host, driver, 'driver', driver.name, `the bus ${this.name}`);
    return this.host.scheduler.expectRun(`bus.addDriver(${driver.name})`, this.#addDriver(driver));
  }

  *#addDriver(driver: Driver<D>): Sleeps<void> {
    this.host.scheduler.assertRunsHere(`bus.addDriver(${driver.name})`);
    if (this.#drivers.has(driver.name)) throw new RangeError(`"driver" expected a new name on bus ${this.name}, got ${driver.name}`);
    this.#drivers.set(driver.name, driver);
    this.comes(driver);
    this.#action(`drivers/${driver.name}/bind`, (text) => this.#bind(driver, text));
    this.#action(`drivers/${driver.name}/unbind`, (text) => this.#unbind(driver, text));
    const folder = `${this.sysfs}/drivers/${driver.name}`;
    addUevent(this.host, folder);
    if (driver.moduleName !== undefined) this.host.files.link(`${folder}/module`, `/sys/module/${driver.moduleName}`);
    yield* this.attachAll(driver);
  }

  /** A driver has been registered, and no device was offered to it yet. */
  protected comes(_driver: Driver<D>): void {
    // Every driver has bind and unbind.
  }

  /** rmmod: from here on nobody new may use the driver; then as removeDriver(). @returns 0, or -EAGAIN while somebody uses it */
  *unloadDriver(driver: Driver<D>): Sleeps<number> {
    if (driver.users > 0) return this.host.refusals.refuse(MODULE_USED, { driver: driver.name, users: driver.users });
    driver.going = true;
    yield* this.removeDriver(driver);
    driver.going = false;
    return 0;
  }

  /** driver_unregister(): unbinds all its devices, which may sleep, and takes the driver away. */
  *removeDriver(driver: Driver<D>): Sleeps<void> {
    for (const device of this.devices) {
      if (device.driverName !== driver.name) continue;
      yield* device.lock.lock();
      if (device.driverName === driver.name) yield* this.#detach(device);
      device.lock.unlock();
    }
    this.#drivers.delete(driver.name);
    this.host.files.remove(`${this.sysfs}/drivers/${driver.name}`);
  }

  /** Binds `driver` to every driverless device that it matches: after it came, or learned of a new id. */
  *attachAll(driver: Driver<D>): Sleeps<void> {
    if (!this.autoprobe) return;
    for (const device of this.devices) {
      yield* device.lock.lock();
      if (device.driverName === undefined && this.matches(driver, device)) yield* this.#attach(driver, device);
      device.lock.unlock();
    }
  }

  /** device_add(): the device appears and is probed. */
  *add(device: D): Sleeps<void> {
    this.announce(device);
    yield* this.probe(device);
  }

  /** The probe of device_add(): drivers are asked in turn. */
  *probe(device: D): Sleeps<void> {
    if (!this.autoprobe && device.driverOverride === undefined) return;
    yield* device.lock.lock();
    yield* this.#attachFirst(device);
    device.lock.unlock();
  }

  /**
   * device_driver_attach(): binds this driver to a driverless device, whatever matches.
   *
   * @returns 0, -EBUSY for a device that has a driver or whose DMA is a user's, or the probe's errno
   */
  *attach(driver: Driver<D>, device: D): Sleeps<number> {
    yield* device.lock.lock();
    const bound = device.driverName;
    const error =
      bound === undefined ? (yield* this.#attach(driver, device)).error : this.host.refusals.refuse(HAS_DRIVER, { device: device.name, driver: bound });
    device.lock.unlock();
    return error;
  }

  /** device_release_driver(): unbinds, which may sleep; without a driver nothing happens. */
  *release(device: D): Sleeps<void> {
    yield* device.lock.lock();
    yield* this.#detach(device);
    device.lock.unlock();
  }

  /** The part of device_add() before the probe: for a machine that is there when the host starts. @throws RangeError if the name is taken; TypeError for a device of another host */
  announce(device: D): void {
    assertSameHost(this.host, device, 'device', device.name, `the bus ${this.name}`);
    if (this.#devices.has(device.name)) throw new RangeError(`"device" expected a new name on bus ${this.name}, got ${device.name}`);
    this.#devices.set(device.name, device);
    device.busName = this.name;
    device.createAttributes();
    this.host.files.link(`${this.sysfs}/devices/${device.name}`, device.sysfs);
    this.host.files.link(`${device.sysfs}/subsystem`, this.sysfs);
    if (this.host.profile.groupsWithDevices) this.#configureDma(device);
    this.#notify('add', device);
  }

  /** device_del(): the device's files go, then it is unbound, which may sleep, and is taken away. */
  *remove(device: D): Sleeps<void> {
    this.#notify('del', device);
    this.#removeFiles(device);
    yield* device.lock.lock();
    yield* this.#detach(device);
    device.lock.unlock();
    this.#devices.delete(device.name);
    device.iommuGroup?.removeDevice(device);
    this.host.files.remove(device.sysfs);
  }

  /** Off its bus, and without attributes: until the end its folder has what others put there, as its group's link and devices below it. */
  #removeFiles(device: D): void {
    const { files } = this.host;
    files.remove(`${this.sysfs}/devices/${device.name}`);
    const folder = files.lookup(device.sysfs);
    if (folder?.kind !== 'folder') return;
    for (const [name, node] of [...folder.entries]) {
      if (node.kind === 'attribute' || name === 'power' || name === 'subsystem') files.remove(`${device.sysfs}/${name}`);
    }
  }

  /** Whether the driver core would offer the device to this driver. */
  matches(driver: Driver<D>, device: D): boolean {
    return this.matchOf(driver, device) > 0;
  }

  /** The bus's match operation: above 0 the driver would take the device; below 0 nobody can tell yet. */
  protected matchOf(driver: Driver<D>, device: D): number {
    return (device.driverOverride === undefined || device.driverOverride === driver.name) && driver.match(device) ? 1 : 0;
  }

  /** The bus's probe operation. @returns 0 or a negative errno, with everything undone */
  protected probeWith(driver: Driver<D>, device: D): Sleeps<number> {
    return driver.probe(device);
  }

  /** The bus's remove operation. */
  protected removeFrom(driver: Driver<D>, device: D): Sleeps<void> {
    return driver.remove(device);
  }

  *#bind(driver: Driver<D>, name: string): Sleeps<number> {
    const device = this.#devices.get(name);
    const { refusals } = this.host;
    if (device === undefined) return refusals.refuse(NO_DEVICE, { bus: this.name, name });
    // bind_store() takes a match that nobody can tell for one.
    if (this.matchOf(driver, device) === 0) return refusals.refuse(NO_MATCH, { device: name, driver: driver.name, override: device.driverOverride });
    yield* device.lock.lock();
    const strict = this.host.profile.bindPassesErrors;
    let error: number;
    if (device.driverName !== undefined) error = refusals.refuse(HAS_DRIVER, { device: name, driver: device.driverName }, strict ? EBUSY : ENODEV);
    else {
      ({ error } = yield* this.#attach(driver, device));
      if (error < 0 && !strict && error !== -EBUSY) error = -ENODEV;
    }
    device.lock.unlock();
    return error;
  }

  *#unbind(driver: Driver<D>, name: string): Sleeps<number> {
    const device = this.#devices.get(name);
    const { refusals } = this.host;
    if (device === undefined) return refusals.refuse(NO_DEVICE, { bus: this.name, name });
    if (device.driverName !== driver.name) return refusals.refuse(NOT_BOUND, { device: name, driver: driver.name, bound: device.driverName });
    yield* device.lock.lock();
    if (device.driverName === driver.name) yield* this.#detach(device);
    device.lock.unlock();
    return 0;
  }

  *#driversProbe(name: string): Sleeps<number> {
    const device = this.#devices.get(name);
    if (device === undefined) return this.host.refusals.refuse(NO_DEVICE, { bus: this.name, name });
    yield* device.lock.lock();
    const refused = device.driverName === undefined && !(yield* this.#attachFirst(device));
    device.lock.unlock();
    return refused ? -EINVAL : 0;
  }

  /** Offers the device to each driver in turn. False when the driver core itself refused. */
  *#attachFirst(device: D): Sleeps<boolean> {
    for (const driver of this.#drivers.values()) {
      const match = this.matchOf(driver, device);
      if (match < 0) {
        this.host.refusals.refuse(NOT_IDENTIFIED, { device: device.name });
        return false;
      }
      if (match === 0) continue;
      const { error, tried } = yield* this.#attach(driver, device);
      if (error === 0) return true;
      if (!tried) return false;
    }
    return true;
  }

  /** really_probe(), with the device lock held. */
  *#attach(driver: Driver<D>, device: D): Sleeps<Attempt> {
    this.#configureDma(device);
    const group = device.iommuGroup;
    const ownsDma = this.host.profile.dmaOwnership && !driver.managesDma;
    if (ownsDma && group !== undefined && !group.useDefaultDomain()) {
      const error = this.host.refusals.refuse(DMA_CLAIMED, { device: device.name, driver: driver.name, group: group.id });
      return { error, tried: false };
    }
    device.driverName = driver.name;
    device.module = driver;
    this.host.files.link(`${device.sysfs}/driver`, `${this.sysfs}/drivers/${driver.name}`);
    this.host.files.link(`${this.sysfs}/drivers/${driver.name}/${device.name}`, device.sysfs);
    const error = yield* this.probeWith(driver, device);
    if (error < 0) {
      this.#dropLinks(driver.name, device);
      device.driverName = undefined;
      device.module = undefined;
      if (ownsDma) group?.unuseDefaultDomain();
      return { error, tried: true };
    }
    yield DRIVER_BOUND;
    this.#notify('bound', device);
    return { error: 0, tried: true };
  }

  #configureDma(device: D): void {
    if (device.iommuGroup === undefined) device.configureDma?.();
  }

  /** __device_release_driver(), with the device lock held. */
  *#detach(device: D): Sleeps<void> {
    const driver = device.driverName === undefined ? undefined : this.#drivers.get(device.driverName);
    if (driver === undefined) return;
    this.#dropLinks(driver.name, device);
    this.#notify('unbind', device);
    yield DRIVER_UNBINDING;
    yield* this.removeFrom(driver, device);
    driver.released(device);
    if (this.host.profile.dmaOwnership && !driver.managesDma) device.iommuGroup?.unuseDefaultDomain();
    device.driverName = undefined;
    device.module = undefined;
    this.#notify('unbound', device);
  }

  #dropLinks(driver: string, device: D): void {
    this.host.files.remove(`${device.sysfs}/driver`);
    this.host.files.remove(`${this.sysfs}/drivers/${driver}/${device.name}`);
  }

  #notify(event: BusEvent, device: D): void {
    const { trace } = this.host;
    if (trace.followed) trace.step(TOLD[event], { bus: this.name, device: device.name, driver: device.driverName });
    for (const listener of [...this.#listeners]) listener.busEvent(event, device);
    // A group tells itself of devices that come and go.
    if (event !== 'add' && event !== 'del') device.iommuGroup?.notify(event, device);
  }

  /** A write-only attribute whose text names a device; it answers the count of bytes, or the action's errno. */
  #action(path: string, act: (text: string) => Sleeps<number>): void {
    this.host.files.add(`${this.sysfs}/${path}`, { kind: 'attribute', mode: 0o200, store: (bytes) => acted(act, bytes) });
  }
}

function* acted(act: (text: string) => Sleeps<number>, bytes: Uint8Array): Sleeps<number> {
  const error = yield* act(firstLine(bytes));
  return error < 0 ? error : bytes.length;
}

/** The text of a sysfs write up to its newline. Kernel: sysfs_streq(). */
export function firstLine(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
