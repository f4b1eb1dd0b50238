import {
  BEFORE_SERIES,
  Driver,
  DriverData,
  ENOMEM,
  assertSameHost,
  eventKind,
  NO_IOMMU_GROUP,
  type EventKind,
  type FaultPoint,
  type Host,
  type Point,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import { setUpDprc } from '../bus/dprc.ts';
import type { FslMcBus } from '../bus/fslmc-bus.ts';
import type { FslMcDevice } from '../bus/fslmc-device.ts';
import { CONTAINER_NOT_BOUND } from '../bus/fslmc-reasons.ts';
import { VfioFslMcDevice } from './vfio-fslmc-device.ts';

/** An object of a container in user space was bound to a driver of the kernel. */
export const FOREIGN_DRIVER: EventKind<{ readonly device: string; readonly driver: string }> = eventKind(
  'vfio-fsl-mc/foreign-driver',
  'warn',
  ({ device, driver }) => `${device}: object was bound to ${driver} while its container is bound to vfio-fsl-mc`,
);

/** The probe has no memory for its structure: -ENOMEM. */
export const DEVICE_ALLOCATION: FaultPoint = { fault: 'vfio-fsl-mc/device-allocation', error: ENOMEM };
/** The probe has no memory for the lock, later the device set, that a container shares with its objects: -ENOMEM. */
export const CONTAINER_LOCK_ALLOCATION: FaultPoint = { fault: 'vfio-fsl-mc/container-lock-allocation', error: ENOMEM };
/** bus_register_notifier() of a container fails: -ENOMEM. */
export const NOTIFIER_REGISTRATION: FaultPoint = { fault: 'vfio-fsl-mc/notifier-registration', error: ENOMEM };

/** Points in the probe as it was before patch 5, with the device public. */
export const LOCK_ATTACHED: Point = { point: 'vfio-fsl-mc/lock-attached' };
export const DEVICE_INITIALISED: Point = { point: 'vfio-fsl-mc/device-initialised' };

interface Bound {
  readonly vfioDevice: VfioFslMcDevice;
  /** Takes the notifier of a container away. */
  readonly unlisten: () => void;
}

const NOTHING = (): void => undefined;

/**
 * The driver vfio-fsl-mc. Kernel: vfio_fsl_mc_probe() after the series.
 *
 * Probe: IOMMU group, device, container, portal and notifier, register, and only then the scan: children find their container registered.
 * It has no id table: driver_override is the only way.
 */
export class VfioFslMcDriver extends Driver<FslMcDevice> {
  /** As `driver_override` and the folder below /sys/bus/fsl-mc/drivers have it. */
  override readonly name: string = 'vfio-fsl-mc';
  /** The kernel's module, whose users each open device adds to. */
  override readonly moduleName: string = 'vfio_fsl_mc';
  /** driver_managed_dma: user space sets up the DMA, so that it may bind while user space owns the group's. */
  override readonly managesDma: boolean = true;
  readonly #vfio: Vfio;
  readonly #bus: FslMcBus;
  readonly #bound = new Map<FslMcDevice, Bound>();
  /** dev_get_drvdata(), from patch 6 of the series on. */
  readonly #data = new DriverData<FslMcDevice, VfioFslMcDevice>();
  readonly #lockUsers = new Map<FslMcDevice, number>();
  #notifiers = 0;

  /** That of its Vfio. */
  override readonly host: Host;

  /** @param bus whose objects it takes @param vfio registers the devices that it binds */
  constructor(bus: FslMcBus, vfio: Vfio) {
    super();
    assertSameHost(vfio.host, bus, 'bus', 'the fsl-mc bus', 'its Vfio');
    this.host = vfio.host;
    this.#bus = bus;
    this.#vfio = vfio;
  }

  /** By `driver_override` alone: it has no ids. */
  override match(device: FslMcDevice): boolean {
    return device.driverOverride === this.name;
  }

  /** The VFIO device of an object that is bound; undefined for any other. */
  vfioDevice(device: FslMcDevice): VfioFslMcDevice | undefined {
    const { host } = device;
    if (host.has(6)) return this.#data.get(device);
    const found = this.#bound.get(device)?.vfioDevice;
    if (found?.state === 'gone') host.trace.emit(BEFORE_SERIES, { patch: 6, device: device.name, what: 'its memory is the driver core\'s, and hides a late user after remove' });
    return found;
  }

  /** Bus notifiers of containers: one for each that is bound. */
  get notifiers(): number {
    return this.#notifiers;
  }

  /** Devices that hold the lock of a container: itself, and those below it that are bound. */
  lockUsers(container: FslMcDevice): number {
    return this.#lockUsers.get(container) ?? 0;
  }

  /**
   * vfio_fsl_mc_probe().
   *
   * @returns 0; -ENOMEM; -EINVAL without IOMMU group; -ENODEV where the object's container is not bound (5.13); what setting up or scanning
   * a container answers
   */
  override *probe(device: FslMcDevice): Sleeps<number> {
    // Since 5.16 the group is looked for at registration, when the portal is open.
    if (device.host.profile.fslmcDeviceSet) return yield* this.#probeInGroup(device);
    if (this.#vfio.iommuGroupGet(device) === undefined) return device.host.refusals.refuse(NO_IOMMU_GROUP, { device: device.name });
    const error = yield* this.#probeInGroup(device);
    if (error < 0) this.#vfio.iommuGroupPut(device);
    return error;
  }

  /** vfio_fsl_mc_remove(): waits until user space has closed the device; the objects of a container go with it. */
  override *remove(device: FslMcDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    yield* bound.vfioDevice.unregister();
    yield* device.dprc?.removeChildren() ?? [];
    this.#uninit(device, bound.unlisten);
    this.#putLock(device.container);
    this.#data.clear(device);
    if (device.host.has(6)) this.#free(device, bound.vfioDevice);
    this.#vfio.iommuGroupPut(device);
  }

  /** devm_kzalloc(): before patch 6 the driver core freed the structure, after remove. */
  override released(device: FslMcDevice): void {
    const bound = this.#bound.get(device);
    if (bound !== undefined) this.#free(device, bound.vfioDevice);
  }

  #free(device: FslMcDevice, vfioDevice: VfioFslMcDevice): void {
    this.#bound.delete(device);
    vfioDevice.free();
  }

  *#probeInGroup(device: FslMcDevice): Sleeps<number> {
    const refused = device.host.faults.at(DEVICE_ALLOCATION);
    if (refused < 0) return refused;
    const vfioDevice = new VfioFslMcDevice(this.#vfio, device);
    const error = device.host.has(5) ? yield* this.#probeWithLock(device, vfioDevice) : yield* this.#probeLive(device, vfioDevice);
    if (error < 0) vfioDevice.free();
    return error;
  }

  *#probeWithLock(device: FslMcDevice, vfioDevice: VfioFslMcDevice): Sleeps<number> {
    const attached = this.#getLock(device);
    if (attached < 0) return attached;
    const error = yield* this.#probeLocked(device, vfioDevice);
    if (error < 0) this.#putLock(device.container);
    return error;
  }

  /** Before patch 5: public first, then the container's lock, portal, scan, and the mutex of the interrupts. */
  *#probeLive(device: FslMcDevice, vfioDevice: VfioFslMcDevice): Sleeps<number> {
    vfioDevice.lacks = ['lock', 'mutex'];
    const added = yield* vfioDevice.register();
    if (added < 0) return added;
    const attached = this.#getLock(device);
    if (attached < 0) {
      yield* vfioDevice.unregister();
      return attached;
    }
    vfioDevice.lacks = ['mutex'];
    yield LOCK_ATTACHED;
    const unlisten = this.#init(device);
    const scanned = typeof unlisten === 'number' ? unlisten : device.dprc === undefined ? 0 : yield* device.dprc.scan();
    if (typeof unlisten === 'number' || scanned < 0) {
      yield* device.dprc?.removeChildren() ?? [];
      yield* vfioDevice.unregister();
      if (typeof unlisten !== 'number') this.#uninit(device, unlisten);
      this.#putLock(device.container);
      return scanned;
    }
    yield DEVICE_INITIALISED;
    vfioDevice.lacks = [];
    this.#keep(device, vfioDevice, unlisten);
    return 0;
  }

  #keep(device: FslMcDevice, vfioDevice: VfioFslMcDevice, unlisten: () => void): void {
    this.#bound.set(device, { vfioDevice, unlisten });
    if (device.host.has(6)) this.#data.set(device, vfioDevice);
  }

  /** vfio_fsl_mc_init_device(), register, scan. */
  *#probeLocked(device: FslMcDevice, vfioDevice: VfioFslMcDevice): Sleeps<number> {
    const unlisten = this.#init(device);
    if (typeof unlisten === 'number') return unlisten;
    const error = yield* vfioDevice.register();
    if (error < 0) {
      this.#uninit(device, unlisten);
      return error;
    }
    const scanned = device.dprc === undefined ? 0 : yield* device.dprc.scan();
    if (scanned === 0) {
      this.#keep(device, vfioDevice, unlisten);
      return 0;
    }
    yield* device.dprc?.removeChildren() ?? [];
    yield* vfioDevice.unregister();
    this.#uninit(device, unlisten);
    return scanned;
  }

  /** A container's notifier and portal; another object uses its container's. @returns what takes the notifier away, or a negative errno */
  #init(device: FslMcDevice): (() => void) | number {
    if (!device.isDprc) return NOTHING;
    const refused = device.host.faults.at(NOTIFIER_REGISTRATION);
    if (refused < 0) return refused;
    const unlisten = this.#listen(device);
    const ready = setUpDprc(this.#bus, device);
    if (ready === 0) return unlisten;
    unlisten();
    return ready;
  }

  #uninit(device: FslMcDevice, unlisten: () => void): void {
    if (device.isDprc) device.dprc?.cleanUp();
    unlisten();
  }

  /** vfio_fsl_mc_reflck_attach(): 5.13 counts, and finds a child's through its registered container; 6.1 has a device set. */
  #getLock(device: FslMcDevice): number {
    const { container, host } = device;
    if (!device.isDprc && !host.profile.fslmcDeviceSet && !this.#registered(device.parent)) return host.refusals.refuse(CONTAINER_NOT_BOUND, { device: device.name, container: container.name });
    const users = this.lockUsers(container);
    const refused = users === 0 ? device.host.faults.at(CONTAINER_LOCK_ALLOCATION) : 0;
    if (refused === 0) this.#lockUsers.set(container, users + 1);
    return refused;
  }

  #putLock(container: FslMcDevice): void {
    const users = this.lockUsers(container) - 1;
    if (users > 0) this.#lockUsers.set(container, users);
    else this.#lockUsers.delete(container);
  }

  /** vfio_device_get_from_dev(): also while the probe that registered it has not returned. */
  #registered(device: FslMcDevice | undefined): boolean {
    return this.#vfio.groups.some(({ devices }) => devices.some((other) => other.device === device && other.references > 0));
  }

  /** vfio_fsl_mc_bus_notifier(): the objects of this container are for user space. */
  #listen(container: FslMcDevice): () => void {
    this.#notifiers += 1;
    const stop = this.#bus.listen({
      busEvent: (event, device) => {
        if (device.parent !== container) return;
        if (event === 'add') device.driverOverride = this.name;
        else if (event === 'bound' && device.driverName !== this.name) {
          container.host.trace.emit(FOREIGN_DRIVER, { device: device.name, driver: device.driverName ?? '' });
        }
      },
    });
    return () => {
      this.#notifiers -= 1;
      stop();
    };
  }
}
