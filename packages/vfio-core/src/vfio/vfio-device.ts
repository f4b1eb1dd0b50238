import { removeItem } from '../memory/list.ts';
import { assertSameHost } from '../host/host.ts';
import { WaitQueue, type Point, type Sleeps, type WaitEnd } from '../host/scheduler.ts';
import { BEFORE_SERIES, type SeriesPatch } from '../host/series.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { addEmulatedGroup } from '../iommu/software-groups.ts';
import type { Device } from '../model/device.ts';
import type { MmapRequest } from '../process/file.ts';
import type { Mapping } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EBUSY } from '../uapi/errno.ts';
import type { MigrationDriver } from '../migration/migration-driver.ts';
import type { FeatureArgument } from './feature-argument.ts';
import { noFeature } from './feature-check.ts';
import type { DmaLogger } from './dma-logging.ts';
import type { DmaUnmapListener } from './iommu-backend.ts';
import { ALREADY_REGISTERED, LIFE_CYCLE_BROKEN, RELEASE_BLOCKED, USE_AFTER_FREE } from './life-events.ts';
import type { Vfio } from './vfio.ts';
import type { VfioGroup } from './vfio-group.ts';
import { DEVICE_OFFSET, DRIVER_GOING, NOT_COHERENT, NO_IOMMU_GROUP } from './vfio-reasons.ts';

/** Virtual time between two calls of request() while unregister waits: 10 s in ns. */
export const REQUEST_INTERVAL = 10_000_000_000;

/** register() has begun; nobody sees the device yet. */
export const REGISTERING: Point = { point: 'vfio/registering' };
/** register() has published the device and is about to return. */
export const REGISTERED: Point = { point: 'vfio/registered' };
/** unregister() has begun and still holds the first reference. */
export const UNREGISTERING: Point = { point: 'vfio/unregistering' };
/** The last reference is gone and unregister has not yet taken the device off its group. */
export const LAST_PUT: Point = { point: 'vfio/last-put' };
/** unregister() has taken the device off its group's list, and the group still has its reference. */
export const UNLISTED: Point = { point: 'vfio/unlisted' };

/** Where a device stands in its life. */
export type VfioDeviceState = 'init' | 'live' | 'dying' | 'zero' | 'gone';

/**
 * A VFIO device: the life cycle that the series "Embed struct vfio_device in all sub-structures" gave it, and the operations that a bus
 * driver implements by extending this class. The subclass is what the kernel's driver structure is, and this class is the embedded struct
 * vfio_device.
 *
 * Creation is three acts: the constructor (vfio_init_group_dev), register() and unregister(). Before register nobody sees the device; from
 * inside register on user space may open it; unregister returns when the last reference has been put.
 *
 * A driver has to implement openDevice() and closeDevice(); the other operations have the answer of a driver without them.
 */
export abstract class VfioDevice {
  /** The module that it belongs to. */
  readonly vfio: Vfio;
  /** The device on its bus. */
  readonly device: Device;
  #group: VfioGroup | undefined;
  #references = 0;
  #dying = false;
  /** register() has published the device and has not returned. */
  #publishing = false;
  #openCount = 0;
  readonly #released: WaitQueue;
  /** The names of those who hold the device open, for whoever waits for it. */
  readonly #openers: string[] = [];
  #kvm: object | undefined;
  #freed = false;
  /** registerEmulated() made the IOMMU group. */
  #ownsGroup = false;
  readonly #listener: DmaUnmapListener = {
    dmaUnmap: (iova, length) => {
      this.enter('unmap');
      this.dmaUnmap?.(iova, length);
    },
  };

  /** vfio_init_group_dev(): nobody sees the device yet. */
  constructor(vfio: Vfio, device: Device) {
    assertSameHost(vfio.host, device, 'device', device.name, 'its Vfio');
    this.vfio = vfio;
    this.device = device;
    this.#released = new WaitQueue(`the last reference of vfio device ${device.name}`, () => this.#openers);
  }

  /** The name on its bus, which user space opens it by. */
  get name(): string {
    return this.device.name;
  }

  /**
   * Where it stands: `init` before register(), `live`, `dying` from unregister() on, `zero` without references but on its group, `gone`
   * when unregister() has returned.
   */
  get state(): VfioDeviceState {
    if (this.#references > 0) return this.#dying ? 'dying' : 'live';
    if (this.#group !== undefined) return 'zero';
    return this.#dying ? 'gone' : 'init';
  }

  /** One of its registration, and one of each fd that holds it. */
  get references(): number {
    return this.#references;
  }

  /** File descriptors that hold the device open. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Who holds it open. */
  get openers(): readonly string[] {
    return this.#openers;
  }

  /** The VFIO group, from register() until unregister() has ended. */
  get group(): VfioGroup | undefined {
    return this.#group;
  }

  /** The kernel has freed the structure: at the end of remove, or when a probe failed. */
  get freed(): boolean {
    return this.#freed;
  }

  /** kfree(), or the release of the last reference. A driver says so where its kernel does; whoever enters the device later is an event. */
  free(): void {
    this.#freed = true;
  }

  /** A door of the device: all ways in lead through here, those of user space and those of the kernel. */
  enter(operation: string): void {
    if (this.#freed) this.device.host.trace.emit(USE_AFTER_FREE, { device: this.name, operation });
  }

  /** A handler that may be called at any time: it enters the device, which has to be there. */
  handler<A extends readonly unknown[], R>(operation: string, act: (...args: A) => R): (...args: A) => R {
    return (...args) => {
      this.enter(operation);
      return act(...args);
    };
  }

  /** The VM that user space told kvm-vfio of: from the first open to the last close (6.1). */
  get kvm(): object | undefined {
    return this.#kvm;
  }

  /**
   * vfio_register_group_dev(): publishes the device. The last fallible step of a probe, as operations may be entered before
   * it has returned.
   *
   * @returns 0; -EINVAL without IOMMU group, or (6.1) without coherent DMA; -ENOMEM; -EBUSY if its device is registered already.
   */
  *register(): Sleeps<number> {
    this.enter('register');
    yield REGISTERING;
    const grouped = this.device.iommuGroup !== undefined;
    const iommuGroup = this.vfio.iommuGroupGet(this.device);
    const { refusals } = this.device.host;
    if (iommuGroup === undefined) return refusals.refuse(NO_IOMMU_GROUP, { device: this.name });
    if (!this.#coherent(iommuGroup)) return refusals.refuse(NOT_COHERENT, { device: this.name, group: `${iommuGroup.id}` });
    const group = this.vfio.findOrCreateGroup(iommuGroup);
    if (typeof group === 'number') {
      if (!grouped) this.vfio.iommuGroupPut(this.device);
      return group;
    }
    group.get();
    if (group.devices.some((other) => other.device === this.device && other.references > 0)) {
      this.device.host.trace.emit(ALREADY_REGISTERED, { device: this.name });
      group.put();
      return -EBUSY;
    }
    this.#dying = false;
    this.#references = 1;
    this.#group = group;
    group.addDevice(this);
    this.vfio.deviceNumbers.add(this);
    this.#ownData(true);
    this.#publishing = true;
    yield REGISTERED;
    this.#publishing = false;
    return 0;
  }

  /** vfio_register_emulated_iommu_dev(): as register(), in a group of its own that no IOMMU is behind. unregister() ends the group. */
  *registerEmulated(): Sleeps<number> {
    const group = addEmulatedGroup(this.device.host, this.device);
    const error = yield* this.register();
    if (error < 0) group.removeDevice(this.device);
    else this.#ownsGroup = true;
    return error;
  }

  /**
   * vfio_unregister_group_dev(): asks for the device back until the last reference is put, then takes it off its group.
   * Sleeps as long as that takes. A signal is answered once, with one more request; later waits ignore signals.
   */
  *unregister(): Sleeps<void> {
    this.enter('unregister');
    const group = this.#group;
    if (group === undefined) return;
    group.deviceLeaves(this);
    yield UNREGISTERING;
    this.#dying = true;
    if (!this.device.host.profile.dyingCanBeOpened) this.vfio.deviceNumbers.remove(this);
    this.#drop(true);
    yield* this.#waitForLastPut();
    yield LAST_PUT;
    this.#unlist();
    yield UNLISTED;
    yield* group.deviceGone();
    this.#group = undefined;
    this.vfio.iommuGroupPut(this.device);
    if (this.#ownsGroup) group.iommuGroup.removeDevice(this.device);
    this.#ownsGroup = false;
    if (this.#references !== 0 || this.#openCount !== 0) this.#broken('unregister returned while the device is held (I4)');
  }

  *#waitForLastPut(): Sleeps<void> {
    const { host } = this.device;
    const sched = host.scheduler;
    let interrupted = false;
    for (let count = 0; this.#references > 0; count += 1) {
      this.enter('request');
      this.request(count);
      const until = sched.now + REQUEST_INTERVAL;
      const { releases } = this.vfio;
      // Before patch 2 there was one queue for all devices: whoever was released woke everybody.
      const woken = (): boolean => this.#references === 0 || (!host.has(2) && this.vfio.releases !== releases);
      const queue = host.has(2) ? this.#released : this.vfio.released;
      const end = yield* interrupted ? uninterrupted(queue.wait(sched, woken, until)) : queue.waitInterruptible(sched, woken, until);
      if (end === 'ready' && this.#references > 0) this.#before(2, `asked for ${(until - sched.now) / 1e9} s too early, as another device was released`);
      if (end === 'signal') {
        interrupted = true;
        this.device.host.trace.emit(RELEASE_BLOCKED, { device: this.name, task: sched.current?.name ?? '', count });
      }
    }
  }

  /** vfio_device_try_get(): false once the count has reached zero, though the device may still be listed. */
  tryGet(): boolean {
    this.enter('get');
    if (this.#references === 0) return false;
    this.#references += 1;
    if (!this.device.host.has(1)) {
      this.#group?.get();
      this.#before(1, 'a reference on the device takes one on its group, which it holds already');
    }
    return true;
  }

  /** vfio_device_put(). */
  put(): void {
    this.enter('put');
    const group = this.#group;
    this.#drop();
    if (!this.device.host.has(1)) group?.put();
  }

  /** @param unregistering it is the reference of the registration, which unregister() drops */
  #drop(unregistering = false): void {
    this.#references -= 1;
    if (this.#references < 0) this.#broken('put without a reference');
    if (this.#references !== 0) return;
    this.vfio.releases += 1;
    if (!this.device.host.has(2)) {
      if (!unregistering) this.#before(2, `taken off its group by ${this.device.host.scheduler.current?.name ?? 'the host program'}, not by who unregisters it`);
      this.#unlist();
    }
    this.#released.wake();
    this.vfio.released.wake();
  }

  /** Off the lists of group and class; before patch 14 the driver's data went with it. */
  #unlist(): void {
    if (this.#group?.devices.includes(this) !== true) return;
    this.#group.unlistDevice(this);
    this.vfio.deviceNumbers.remove(this);
    this.#ownData(false);
  }

  /** Before patch 14 the core kept itself in the device's drvdata, which is the driver's. */
  #ownData(own: boolean): void {
    const { device } = this;
    if (device.host.has(14)) return;
    if (own && device.drvdata !== undefined) this.#before(14, 'drvdata of the driver is overwritten');
    if (!own && device.drvdata !== this) this.#before(14, 'drvdata of the driver is cleared while it is bound');
    device.drvdata = own ? this : undefined;
  }

  /**
   * The first open enters the driver, the last close leaves it; both under the device set's lock.
   *
   * @returns 0; -ENODEV while the driver's module is unloaded, or what openDevice() answers @internal
   * @internal The first open enters the driver, the last close leaves it; both under the device set's lock.
   */
  *open(opener: string): Sleeps<number> {
    this.enter('open');
    if (this.#publishing && !this.device.host.has(3)) this.#before(3, 'opened before vfio_add_group_dev() has given the driver its device');
    if (this.#references === 0) this.#broken('opened outside of register and unregister (I1)');
    const { module } = this.device;
    if (module?.going === true) return this.device.host.refusals.refuse(DRIVER_GOING, { device: this.name });
    yield* this.vfio.deviceSetLock(this).lock();
    this.#openCount += 1;
    if (module !== undefined && this.#countsModule) module.users += 1;
    let error = 0;
    if (this.#openCount === 1) {
      this.#kvm = this.#group?.kvm;
      error = yield* this.#around(this.openDevice());
      if (error < 0) {
        if (module !== undefined) module.users -= 1;
        this.#openCount = 0;
        this.#kvm = undefined;
      } else {
        this.#listens(true);
      }
    }
    if (error === 0) this.#openers.push(opener);
    this.vfio.deviceSetLock(this).unlock();
    return error;
  }

  /** Undoes an open(). @internal */
  *close(opener: string): Sleeps<void> {
    this.enter('close');
    if (this.#references === 0) this.#broken('closed outside of register and unregister (I1)');
    yield* this.vfio.deviceSetLock(this).lock();
    if (this.#openCount === 1) {
      yield* this.#around(this.closeDevice());
      this.#listens(false);
      this.#kvm = undefined;
      if (this.migration !== undefined) this.migration.preCopyInfo2 = false;
    }
    const { module } = this.device;
    if (module !== undefined && module.users > 0 && this.#countsModule) module.users -= 1;
    // The kernel asserts that the device is open: a close too many must not make the next open look like the second.
    if (this.#openCount === 0) this.#broken('closed without being open');
    else this.#openCount -= 1;
    removeItem(this.#openers, opener);
    this.vfio.deviceSetLock(this).unlock();
  }

  /** The driver's module is used by each open until 6.1, by the device that is open since (6.2). */
  get #countsModule(): boolean {
    return this.#openCount === 1 || this.device.host.profile.countsEachOpen;
  }

  /** Its driver is entered or left under the group's lock. */
  #around<T>(body: Sleeps<T>): Sleeps<T> {
    return this.#group?.aroundDriver(body) ?? body;
  }

  /** A device that pins hears of unmaps while it is open. */
  #listens(on: boolean): void {
    if (this.dmaUnmap === undefined || !this.device.host.profile.emulatedDevicesPin) return;
    const backend = this.#group?.container?.backend;
    if (on) backend?.addListener?.(this.#listener);
    else backend?.removeListener?.(this.#listener);
  }

  // What a driver implements. Numbers are results >= 0 or negative errnos.

  /** Devices with the same key are reset together, and share one lock for open and close. @default the device alone */
  get deviceSet(): object {
    return this;
  }

  /** The first file descriptor is being opened. */
  protected abstract openDevice(): Sleeps<number>;

  /** The last file descriptor was closed. */
  protected abstract closeDevice(): Sleeps<void>;

  /** Another device's first open, for a driver that hands on what it is asked, as vfio_mdev of 5.13. */
  protected static openOf(device: VfioDevice): Sleeps<number> {
    return device.openDevice();
  }

  /** Another device's last close, for a driver that hands on what it is asked. */
  protected static closeOf(device: VfioDevice): Sleeps<void> {
    return device.closeDevice();
  }

  /** vfio_device_pm_runtime_get(): the device wakes up for a request of its fd (6.1). @returns 0, or -EIO */
  wake(): number {
    return 0;
  }

  /** vfio_device_pm_runtime_put(): the request is answered. */
  rest(): void {
    // A device without power management stays as it is.
  }

  /** Whether read() and write() go on behind what they have moved; a driver that leaves *ppos alone begins anew each time. */
  readonly movesPosition: boolean = true;

  /**
   * pread(): fills `into` from the device fd's offset.
   *
   * @param offset in bytes, as VFIO_DEVICE_GET_REGION_INFO tells
   * @returns the count of bytes or a negative errno; -EINVAL without the operation
   */
  read(into: Uint8Array, offset: number): number {
    return this.refuseOffset(offset, into.length);
  }

  /**
   * pwrite(): takes `from` for the device fd's offset.
   *
   * @param offset in bytes, as VFIO_DEVICE_GET_REGION_INFO tells
   * @returns the count of bytes or a negative errno; -EINVAL without the operation
   */
  write(from: Uint8Array, offset: number): number {
    return this.refuseOffset(offset, from.length);
  }

  /**
   * Any request but VFIO_DEVICE_FEATURE, where the core parses that. May answer WOULD_SLEEP.
   *
   * @param _request the number, of 32 bits
   * @returns 0 or more, a negative errno, or WOULD_SLEEP; -ENOTTY without the operation
   */
  ioctl(_process: Process, _request: number, argument: UserArgument): number {
    return argument.unknown();
  }

  /**
   * The request in a thread, where ioctl() has answered WOULD_SLEEP.
   *
   * @param request the number, of 32 bits
   * @returns 0 or more, or a negative errno
   */
  *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    return this.ioctl(process, request, argument);
  }

  /** mmap() of the device fd. @returns the mapping or a negative errno; -EINVAL without the operation */
  mmap(_process: Process, { offset, length }: MmapRequest): Mapping | number {
    return this.refuseOffset(offset, length);
  }

  /**
   * Refuses an access that hits no region, or none that can be accessed so: -EINVAL. `why` in words, where it is not that nothing is there.
   *
   * @param offset in the device's fd, in bytes
   * @param length in bytes
   * @param errno positive; EINVAL by default
   * @returns the negative errno
   */
  refuseOffset(offset: number, length: number, errno?: number, why?: string): number {
    return this.device.host.refusals.refuse(DEVICE_OFFSET, { device: this.name, offset, length, why }, errno);
  }

  /**
   * Somebody wants the device back: the `count`-th time, from 0.
   *
   * @param _count which time it is, from 0; the next comes 10 s of virtual time later
   * @default nothing, user space is not told
   */
  request(_count: number): void {
    // A driver without the operation blocks in silence, as vfio-platform does.
  }

  /** Whether the name of GET_DEVICE_FD means this device: 1, 0, or a negative errno that ends the search. */
  match(name: string): number {
    return name === this.name ? 1 : 0;
  }

  /**
   * An emulated device must let these IOVAs go: it unpins them before it returns. Only a device that has this may pin (6.1).
   * `iova` and `length` in bytes.
   */
  dmaUnmap?(iova: number, length: number): void;

  /**
   * A feature that the core does not answer itself (6.1). `flags` has GET, SET and PROBE; `argument` starts behind the header.
   *
   * @param feature its number
   * @param _flags GET, SET and PROBE of the call
   * @returns 0 or more, or a negative errno; -ENOTTY without the feature
   */
  deviceFeature(_process: Process, feature: number, _flags: number, argument: FeatureArgument): number {
    return noFeature(this, feature, argument);
  }

  /** Migration (v2), where the device can. */
  get migration(): MigrationDriver | undefined {
    return undefined;
  }

  /** A log of the pages that the device writes, where it keeps one. */
  get dmaLogger(): DmaLogger | undefined {
    return undefined;
  }

  #coherent(group: IommuGroup): boolean {
    return !this.device.host.profile.needsCoherentDma || group.kind !== 'iommu' || group.unit.coherent;
  }

  #before(patch: SeriesPatch, what: string): void {
    this.device.host.trace.emit(BEFORE_SERIES, { patch, device: this.name, what });
  }

  #broken(what: string): void {
    this.device.host.trace.emit(LIFE_CYCLE_BROKEN, { device: this.name, what });
  }
}

function* uninterrupted(wait: Sleeps<boolean>): Sleeps<WaitEnd> {
  return (yield* wait) ? 'ready' : 'timeout';
}
