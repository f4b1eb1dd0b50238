import { removeItem } from '../memory/list.ts';
import type { Host } from '../host/host.ts';
import { Mutex } from '../host/mutex.ts';
import { constant, WaitQueue, type Point, type Sleeps } from '../host/scheduler.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { WOULD_SLEEP, type File } from '../process/file.ts';
import { O_RDWR } from '../process/flags.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EBADFD, EINVAL, EPERM } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import { VFIO_GROUP_FLAGS_CONTAINER_SET, VFIO_GROUP_FLAGS_VIABLE, vfio_group_status } from '../uapi/vfio.ts';
import { VfioDeviceFile } from './device-file.ts';
import { GroupFile } from './group-file.ts';
import { GroupNotifier } from './group-notifier.ts';
import { ContainerFile, type VfioContainer } from './vfio-container.ts';
import { refuseNotViable } from './viability.ts';
import type { VfioDevice } from './vfio-device.ts';
import {
  GROUP_GONE,
  GROUP_HAS_CONTAINER,
  GROUP_IN_USE,
  GROUP_NO_CONTAINER,
  GROUP_NOT_READY,
  GROUP_OPEN,
  NOIOMMU_ALONE,
  NOIOMMU_RIGHTS,
  NOT_CONTAINER,
  NO_SUCH_DEVICE,
} from './vfio-reasons.ts';
import type { Vfio } from './vfio.ts';

const PAGE = 4096;

/** GET_DEVICE_FD has taken its reference on the device; 5.13 has looked at the container before, later kernels do so next. */
export const DEVICE_FOUND: Point = { point: 'vfio/device-found' };

/** The device is open, and 5.13 has not yet counted it as a user of the container. */
export const DEVICE_OPENED: Point = { point: 'vfio/device-opened' };

/** 5.13 lost a race: a group without container has users, and whoever follows its pointer follows NULL. */
export const CONTAINER_LOST: EventKind<{ readonly group: string; readonly what: string }> = eventKind(
  'vfio/container-lost',
  'bug',
  ({ group, what }) => `group ${group}: ${what}`,
);

/** A group was put more often than it was got: each of its devices and its file hold one reference. */
export const GROUP_UNBALANCED: EventKind<{ readonly group: string; readonly references: number }> = eventKind(
  'vfio/group-unbalanced',
  'bug',
  ({ group, references }) => `group ${group}: ${references} references are too few for its devices and its file`,
);

/** The kernel's dev_warn: a device without IOMMU was opened. */
export const NOIOMMU_OPENED: EventKind<{ readonly device: string; readonly task: string }> = eventKind(
  'vfio/noiommu-opened',
  'warn',
  ({ device, task }) => `${device}: opened by ${task} without an IOMMU`,
);

/**
 * A VFIO group: an IOMMU group that has VFIO devices, its node /dev/vfio/N, and its place in a container. Kernel: struct vfio_group.
 *
 * 5.13 looks at the container, opens the device, and only then counts it as a user, all without a lock: a thread that says UNSET_CONTAINER
 * in between leaves a device open in a group without container. Later kernels hold the group's lock, and count first.
 */
export class VfioGroup {
  /** The module that it belongs to. */
  readonly vfio: Vfio;
  /** The IOMMU group, which it holds. */
  readonly iommuGroup: IommuGroup;
  /** The VM of kvm-vfio, handed to devices at their first open (6.1), or by the group's notifiers (5.13). */
  #kvm: object | undefined;
  readonly #kvmListeners = new Set<(kvm: object | undefined) => void>();
  readonly #devices: VfioDevice[] = [];
  readonly #notifier: GroupNotifier | undefined;
  readonly #unlisten: () => void;
  #references = 0;
  /** Drivers that have registered a device and not yet unregistered it: one more than is listed, while one is on its way out. */
  #drivers = 0;
  /** group_lock: see the profile's groupLock. */
  readonly #lock: Mutex;
  #container: VfioContainer | undefined;
  #containerUsers = 0;
  #file: GroupFile | undefined;
  readonly #detached: WaitQueue;
  /** The last device left: 6.1 answers ENODEV from here on. */
  #gone = false;
  #released = false;

  /** Made by Vfio.findOrCreateGroup() for the first device that registers. */
  constructor(vfio: Vfio, iommuGroup: IommuGroup) {
    this.vfio = vfio;
    this.iommuGroup = iommuGroup;
    iommuGroup.get();
    this.#lock = new Mutex(vfio.host.scheduler, `the lock of group ${this.name}`, true);
    this.#detached = new WaitQueue(`group ${this.name} to leave its container`, () => (this.#file === undefined ? [] : [this.#file.holder]));
    if (!vfio.host.profile.dmaOwnership) this.#notifier = new GroupNotifier(this);
    this.#unlisten = this.#notifier === undefined ? () => undefined : iommuGroup.listen(this.#notifier);
    vfio.groupNodes.add(this.name, (process) => this.#open(process));
  }

  /** The number of the IOMMU group. */
  get id(): number {
    return this.iommuGroup.id;
  }

  /** The host that it is of. */
  get host(): Host {
    return this.vfio.host;
  }

  /** Its file name in /dev/vfio. */
  get name(): string {
    return this.iommuGroup.kind === 'noiommu' ? `noiommu-${this.id}` : `${this.id}`;
  }

  /** One for each registered device, one for the open file, one for each user inside the kernel. */
  get references(): number {
    return this.#references;
  }

  /** Registered devices; one at reference zero is listed until its unregister goes on. */
  get devices(): readonly VfioDevice[] {
    return this.#devices;
  }

  /** The container that it is in. */
  get container(): VfioContainer | undefined {
    return this.#container;
  }

  /** Users of the container: the group itself, each device fd, each user inside the kernel. */
  get containerUsers(): number {
    return this.#containerUsers;
  }

  /** Whether the container has a user by this group. */
  get inUse(): boolean {
    return this.#containerUsers > 0;
  }

  /** The VM that kvm-vfio was told of, until it is forgotten. */
  get kvm(): object | undefined {
    return this.#kvm;
  }

  /** vfio_group_set_kvm(): those who listen are told; undefined forgets the VM. */
  setKvm(kvm: object | undefined): void {
    this.#kvm = kvm;
    for (const told of [...this.#kvmListeners]) told(kvm);
  }

  /** VFIO_GROUP_NOTIFY_SET_KVM (5.13): told at once of the VM that there is. @returns what ends it */
  listenKvm(told: (kvm: object | undefined) => void): () => void {
    this.#kvmListeners.add(told);
    if (this.#kvm !== undefined) told(this.#kvm);
    return () => this.#kvmListeners.delete(told);
  }

  /** Somebody has the group's lock: whoever asks has to wait. */
  get locked(): boolean {
    return this.#lock.locked;
  }

  /** Runs a part of a call under the group's lock, where the kernel has one. */
  *underLock<T>(body: Sleeps<T>): Sleeps<T> {
    if (this.vfio.host.profile.groupLock === 'none') return yield* body;
    yield* this.#lock.lock();
    const result = yield* body;
    this.#lock.unlock();
    return result;
  }

  /** A driver opens or closes a device: the lock is held already where calls hold it. */
  aroundDriver<T>(body: Sleeps<T>): Sleeps<T> {
    return this.vfio.host.profile.groupLock === 'driver' ? this.underLock(body) : body;
  }

  /** The last part of a close: the lock is held to its end where calls hold it. */
  closing(body: Sleeps<void>): Sleeps<void> {
    return this.vfio.host.profile.groupLock === 'call' ? this.underLock(body) : body;
  }

  /** A user of the container goes: under the lock, which a close may hold already. */
  letContainerGo(): Sleeps<void> {
    return this.aroundDriver(this.#letContainerGo());
  }

  *#letContainerGo(): Sleeps<void> {
    this.dropContainerUser();
  }

  /** Takes a reference. */
  get(): void {
    this.#references += 1;
  }

  /** Drops a reference; with the last one the node goes. */
  put(): void {
    this.#references -= 1;
    if (this.#references < this.#devices.length + (this.#file === undefined ? 0 : 1)) {
      this.vfio.host.trace.emit(GROUP_UNBALANCED, { group: this.name, references: this.#references });
    }
    if (this.#references === 0) this.#disappear();
  }

  /** A device is registered: it is listed. */
  addDevice(device: VfioDevice): void {
    this.#devices.push(device);
    this.#drivers += 1;
  }

  /** unregister() begins. */
  deviceLeaves(device: VfioDevice): void {
    this.#notifier?.unregistering(device.device);
  }

  /** The last reference is put: takes the device off its list. */
  unlistDevice(device: VfioDevice): void {
    removeItem(this.#devices, device);
  }

  /** After its last device (by the list; since 6.1 by the count of drivers) the group leaves its container: when user space lets it go, or by force. Drops the device's reference. */
  *deviceGone(): Sleeps<void> {
    const { profile, scheduler } = this.vfio.host;
    this.#drivers -= 1;
    if (!profile.forcedDetach) {
      if (this.#devices.length === 0) yield* this.#detached.wait(scheduler, () => this.#container === undefined);
    } else if (this.#drivers === 0) {
      this.#disappear();
      if (this.#container !== undefined) this.#detach();
      this.#gone = true;
    }
    this.put();
  }

  /** A user of the container goes; with the last one the group leaves it. */
  dropContainerUser(): void {
    if (this.#containerUsers === 0) return; // detached by force meanwhile
    this.#containerUsers -= 1;
    if (this.#containerUsers === 0) this.#detach();
  }

  /**
   * vfio_group_add_container_user(): for users inside the kernel.
   *
   * @returns 0; -EINVAL without container or backend, or if it is not viable; -EPERM without IOMMU
   */
  addContainerUser(): number {
    const { refusals } = this.vfio.host;
    if (this.#containerUsers === 0) return refusals.refuse(GROUP_NOT_READY, { group: this.name, lacks: 'container' });
    if (this.iommuGroup.kind === 'noiommu') return refusals.refuse(NOIOMMU_ALONE, { group: this.name });
    if (this.#container?.backend === undefined) return refusals.refuse(GROUP_NOT_READY, { group: this.name, lacks: 'backend' });
    if (!this.viable) return refuseNotViable(this, EINVAL);
    this.#containerUsers += 1;
    return 0;
  }

  *#open(process: Process): Sleeps<File | number> {
    const { refusals } = this.vfio.host;
    if (!this.#allowed(process)) return this.#notAllowed(process);
    if (this.#file !== undefined || this.#container !== undefined) {
      return refusals.refuse(GROUP_OPEN, { group: this.name, holder: this.#file?.holder ?? (this.#users().join(', ') || 'its container') });
    }
    this.get();
    this.#file = new GroupFile(this, process.name);
    return this.#file;
  }

  /** The group fd and every device fd are closed. @internal */
  fileReleased(): void {
    this.#file = undefined;
    this.dropContainerUser();
    this.put();
  }

  /** VFIO_GROUP_GET_STATUS. @returns 0; -EFAULT, -EINVAL for a short argsz, -ENODEV when the last device has left (6.1) */
  status(argument: UserArgument): number {
    const status = argument.copyIn(vfio_group_status.size);
    if (status === undefined) return argument.fault();
    const argsz = get(status, vfio_group_status.argsz);
    if (argsz < vfio_group_status.size) return argument.tooShort(argsz, vfio_group_status.size);
    if (this.#gone) return argument.refuse(GROUP_GONE, { group: this.name });
    let flags = 0;
    if (this.#container !== undefined) flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
    if (this.viable) flags |= VFIO_GROUP_FLAGS_VIABLE;
    set(status, vfio_group_status.flags, flags);
    return argument.copyOut(status) ? 0 : argument.fault();
  }

  /**
   * VFIO_GROUP_SET_CONTAINER.
   *
   * @returns 0; -EFAULT, -EBADF, -EINVAL if it is in a container, -EINVAL or -EBADFD for an fd that is no container's, -ENODEV when the
   * last device has left (6.1), -EPERM without the rights or if the group is not viable, or what the backend answers; WOULD_SLEEP where the
   * container has to wait for user space
   */
  setContainer(process: Process, argument: UserArgument): number {
    const bytes = argument.copyIn(4);
    if (bytes === undefined) return argument.fault();
    const fd = get(bytes, [0, 's32']);
    const { profile } = this.vfio.host;
    const file = process.file(fd);
    if (profile.dmaOwnership) {
      if (file === undefined) return process.badFd(fd);
      if (this.#container !== undefined) return argument.refuse(GROUP_HAS_CONTAINER, { group: this.name });
      if (this.#gone) return argument.refuse(GROUP_GONE, { group: this.name });
    } else {
      if (fd < 0) return argument.refuse(NOT_CONTAINER, { fd, file: 'no fd' });
      if (this.#containerUsers > 0) return argument.refuse(GROUP_HAS_CONTAINER, { group: this.name });
      if (!this.#allowed(process)) return this.#notAllowed(process);
      if (file === undefined) return process.badFd(fd);
    }
    if (!(file instanceof ContainerFile)) {
      return argument.refuse(NOT_CONTAINER, { fd, file: file.subject }, profile.foreignContainerFd === 'EBADFD' ? EBADFD : EINVAL);
    }
    return this.#allowed(process) ? this.#join(file.container) : this.#notAllowed(process);
  }

  /** The same, where the container has to wait for user space. */
  *setContainerSleeps(process: Process, argument: UserArgument): Sleeps<number> {
    for (;;) {
      const result = this.setContainer(process, argument);
      if (result !== WOULD_SLEEP) return result;
      const file = process.file(get(argument.copyIn(4) ?? new Uint8Array(4), [0, 's32']));
      const error = file instanceof ContainerFile ? yield* file.container.backend?.waitToAttach?.() ?? constant(0) : 0;
      if (error < 0) return error;
    }
  }

  #join(container: VfioContainer): number {
    const mixed = container.admits(this);
    if (mixed < 0) return mixed;
    if (container.backend?.attachWaits === true) return WOULD_SLEEP;
    const claims = this.#ownsDma;
    if (claims && this.iommuGroup.claimDmaOwner(this) < 0) return refuseNotViable(this, EPERM);
    const error = container.attachGroup(this);
    if (error < 0) {
      if (claims) this.iommuGroup.releaseDmaOwner();
      return error;
    }
    this.#container = container;
    this.#containerUsers = 1;
    return 0;
  }

  /** VFIO_GROUP_UNSET_CONTAINER. @returns 0; -EINVAL without container, -EBUSY while a device is open or the kernel uses it */
  unsetContainer(): number {
    const { refusals } = this.vfio.host;
    // 5.13 asks its count alone, which may be that of a device that was opened too late.
    if (this.#container === undefined && this.#containerUsers === 0) return refusals.refuse(GROUP_NO_CONTAINER, { group: this.name });
    if (this.#containerUsers !== 1) return refusals.refuse(GROUP_IN_USE, { group: this.name, users: this.#users() });
    this.dropContainerUser();
    return 0;
  }

  /**
   * VFIO_GROUP_GET_DEVICE_FD.
   *
   * @returns the fd; -EFAULT, -EINVAL without container or backend, -EPERM, -EMFILE, -ENODEV for a name that no device has, or what the
   * driver answers
   */
  *getDeviceFd(process: Process, groupFile: GroupFile, argument: UserArgument): Sleeps<number> {
    const name = argument.copyInString(PAGE);
    if (typeof name === 'number') return name;
    const { profile } = this.vfio.host;
    const early = profile.nameBeforeContainer ? 0 : this.#usable(process);
    if (early < 0) return early;
    const device = this.#deviceByName(name);
    if (typeof device === 'number') return device;
    yield DEVICE_FOUND;
    // 5.13 asks for a number only once the device is open; the error is the same, and comes after the driver was entered.
    const fd = process.reserveFd();
    let error = fd;
    if (profile.containerUserLate) error = yield* this.#openUncounted(device, process, fd);
    else if (fd >= 0 && profile.groupLock === 'call') error = yield* this.underLock(this.#openCounted(device, process, fd));
    else if (fd >= 0) error = yield* this.#openCounted(device, process, fd);
    if (error < 0) {
      if (fd >= 0) process.unreserveFd(fd);
      device.put();
      return error;
    }
    if (device.group?.iommuGroup.kind === 'noiommu') this.vfio.host.trace.emit(NOIOMMU_OPENED, { device: device.name, task: process.name });
    groupFile.get();
    return process.install(new VfioDeviceFile(device, opener(process, fd), groupFile), O_RDWR, fd);
  }

  /** Opens the device as a user of the container. */
  *#openCounted(device: VfioDevice, process: Process, fd: number): Sleeps<number> {
    const counted = yield* this.aroundDriver(this.#count(device, process));
    if (counted < 0) return counted;
    const error = yield* device.open(opener(process, fd));
    if (error < 0) yield* this.letContainerGo();
    return error;
  }

  *#count(device: VfioDevice, process: Process): Sleeps<number> {
    const unusable = this.#usable(process, device);
    if (unusable === 0) this.#containerUsers += 1;
    return unusable;
  }

  /** Opens the device, and counts it behind that: nobody looks whether the container is there still. A missing fd number takes the open back. */
  *#openUncounted(device: VfioDevice, process: Process, fd: number): Sleeps<number> {
    const error = yield* device.open(opener(process, fd));
    if (error < 0) return error;
    if (fd < 0) {
      yield* device.close(opener(process, fd));
      return fd;
    }
    yield DEVICE_OPENED;
    this.#containerUsers += 1;
    if (this.#container === undefined) this.#lost(`${device.name} is open, and its container was unset meanwhile`);
    return 0;
  }

  #lost(what: string): void {
    this.vfio.host.trace.emit(CONTAINER_LOST, { group: this.name, what });
  }

  /** Whether devices can be opened: -EINVAL without backend or (5.13) in a group that is not viable, -EPERM. */
  #usable(process: Process, device?: VfioDevice): number {
    const { profile, refusals } = this.vfio.host;
    if (this.#container === undefined && this.#containerUsers > 0) this.#lost('a device is opened without a container: NULL dereference');
    if (this.#container?.backend === undefined) {
      return refusals.refuse(GROUP_NOT_READY, { group: this.name, lacks: this.#container === undefined ? 'container' : 'backend' });
    }
    if (!profile.dmaOwnership && !this.viable) return refuseNotViable(this, EINVAL);
    const asked = profile.rawioForEachOpen || device === undefined || device.openCount === 0;
    return !asked || this.#allowed(process) ? 0 : this.#notAllowed(process);
  }

  /** Who has devices of the group open. */
  #users(): readonly string[] {
    return this.#devices.flatMap(({ name, openers }) => openers.map((opener) => `${opener} (${name})`));
  }

  #notAllowed(process: Process): number {
    return this.vfio.host.refusals.refuse(NOIOMMU_RIGHTS, { group: this.name, task: process.name });
  }

  /** Groups without IOMMU are for those who may do anything to the machine. */
  #allowed(process: Process): boolean {
    return this.iommuGroup.kind !== 'noiommu' || process.capable('CAP_SYS_RAWIO');
  }

  /** VFIO_GROUP_FLAGS_VIABLE: no driver of the host has the DMA of one of its devices. */
  get viable(): boolean {
    if (this.#notifier !== undefined) return this.#notifier.viable;
    return this.#container !== undefined || !this.#ownsDma || !this.iommuGroup.dmaInUse;
  }

  /** Whether user space takes the group's DMA from the kernel when the group joins a container. */
  get #ownsDma(): boolean {
    return this.vfio.host.profile.dmaOwnership && this.iommuGroup.kind === 'iommu';
  }

  /** vfio_device_get_from_name(): a reference, -ENODEV, or what a driver's match answered. */
  #deviceByName(name: string): VfioDevice | number {
    const { dyingCanBeOpened } = this.vfio.host.profile;
    for (const device of this.#devices) {
      if (!dyingCanBeOpened && device.state === 'dying') continue;
      device.enter('match');
      const match = device.match(name);
      if (match < 0) return match;
      if (match > 0 && device.tryGet()) return device;
    }
    return this.vfio.host.refusals.refuse(NO_SUCH_DEVICE, { group: this.name, name, devices: this.#devices.map((device) => device.name) });
  }

  #detach(): void {
    if (this.#container === undefined) this.#lost('leaves a container that it is not in: NULL dereference');
    this.#container?.detachGroup(this);
    this.#container = undefined;
    this.#containerUsers = 0;
    if (this.#ownsDma) this.iommuGroup.releaseDmaOwner();
    this.#detached.wake();
  }

  /** The node goes; a device that is bound again makes a new group. */
  #disappear(): void {
    if (this.#released) return;
    this.#released = true;
    this.#unlisten();
    this.vfio.groupNodes.remove(this.name);
    this.vfio.forgetGroup(this);
    this.iommuGroup.put();
  }
}

function opener(process: Process, fd: number): string {
  return `${process.name} fd ${fd}`;
}
