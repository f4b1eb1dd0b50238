/**
 * A VFIO group: an IOMMU group that has VFIO devices, its node /dev/vfio/N, and its place in a container.
 * Kernel: struct vfio_group, vfio_group_fops.
 */
import type { Sleeps } from '../host/scheduler.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { File } from '../process/file.ts';
import { O_RDWR, type Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EBADF, EBUSY, EFAULT, EINVAL, ENODEV, ENOTTY, EPERM } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_GROUP_FLAGS_CONTAINER_SET,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  vfio_group_status,
} from '../uapi/vfio.ts';
import { WaitQueue } from '../host/scheduler.ts';
import { VfioDeviceFile } from './device-file.ts';
import { VfioContainer } from './vfio-container.ts';
import type { VfioDevice } from './vfio-device.ts';
import type { Vfio } from './vfio.ts';
import { viable } from './viability.ts';
import { WOULD_SLEEP } from '../process/file.ts';

const PAGE = 4096;

export class VfioGroup {
  readonly vfio: Vfio;
  readonly iommuGroup: IommuGroup;
  readonly #devices: VfioDevice[] = [];
  /** Devices that are being unregistered and may still have their driver (5.13: unbound_list). */
  readonly #leaving = new Set<VfioDevice>();
  #container: VfioContainer | undefined;
  #containerUsers = 0;
  #file: GroupFile | undefined;
  readonly #detached: WaitQueue;
  /** The last device left: 6.1 answers ENODEV from here on. */
  #gone = false;

  constructor(vfio: Vfio, iommuGroup: IommuGroup) {
    this.vfio = vfio;
    this.iommuGroup = iommuGroup;
    this.#detached = new WaitQueue(`group ${iommuGroup.id} to leave its container`, () => this.#file === undefined ? [] : [this.#file.holder]);
    vfio.host.files.add(this.#node, { kind: 'device', mode: 0o600, open: (process) => this.#open(process) });
  }

  get id(): number {
    return this.iommuGroup.id;
  }

  /** Registered devices; one at reference zero is listed until its unregister goes on. */
  get devices(): readonly VfioDevice[] {
    return this.#devices;
  }

  get container(): VfioContainer | undefined {
    return this.#container;
  }

  /** Whether `device` is on its way out, but may still have its driver. */
  isLeaving(device: VfioDevice): boolean {
    return this.#leaving.has(device);
  }

  addDevice(device: VfioDevice): void {
    this.#devices.push(device);
  }

  /** unregister() begins. */
  deviceLeaves(device: VfioDevice): void {
    this.#leaving.add(device);
  }

  /** The last reference is put: takes the device off, and after the last device the group goes. */
  *removeDevice(device: VfioDevice): Sleeps<void> {
    this.#devices.splice(this.#devices.indexOf(device), 1);
    this.#leaving.delete(device);
    if (this.#devices.length > 0) return;
    const { profile, scheduler } = this.vfio.host;
    if (!profile.forcedDetach) {
      yield* this.#detached.wait(scheduler, () => this.#container === undefined);
      if (this.#file === undefined) this.#disappear();
      return;
    }
    this.#disappear();
    if (this.#container !== undefined) this.#detach();
    this.#gone = true;
  }

  /** A device fd was closed. */
  dropContainerUser(): void {
    this.#containerUsers -= 1;
  }

  *#open(process: Process): Sleeps<File | number> {
    if (this.#file !== undefined) return -EBUSY;
    this.#file = new GroupFile(this, process.name);
    return this.#file;
  }

  /** @internal The group fd and every device fd are closed. */
  fileReleased(): void {
    this.#file = undefined;
    if (this.#container !== undefined && !this.#gone) this.#detach();
    if (!this.vfio.host.profile.forcedDetach && this.#devices.length === 0) this.#disappear();
  }

  /** GROUP_GET_STATUS. */
  status(argument: UserArgument): number {
    const status = argument.copyIn(vfio_group_status.size);
    if (status === undefined) return -EFAULT;
    if (get(status, vfio_group_status.argsz) < vfio_group_status.size) return -EINVAL;
    if (this.#gone) return -ENODEV;
    let flags = 0;
    if (this.#container !== undefined) flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
    if (this.#viable()) flags |= VFIO_GROUP_FLAGS_VIABLE;
    set(status, vfio_group_status.flags, flags);
    return argument.copyOut(status) ? 0 : -EFAULT;
  }

  /** GROUP_SET_CONTAINER. */
  setContainer(process: Process, argument: UserArgument): number {
    const bytes = argument.copyIn(4);
    if (bytes === undefined) return -EFAULT;
    const fd = get(bytes, [0, 's32']);
    const { profile } = this.vfio.host;
    if (fd < 0) return profile.negativeContainerFd === 'EBADF' ? -EBADF : -EINVAL;
    const file = process.file(fd);
    if (!profile.dmaOwnership && this.#container !== undefined) return -EINVAL;
    if (file === undefined) return -EBADF;
    if (this.#container !== undefined) return -EINVAL;
    if (this.#gone) return -ENODEV;
    if (!(file instanceof VfioContainer)) return -EINVAL;
    if (profile.dmaOwnership && this.iommuGroup.claimDmaOwner(this) < 0) return -EPERM;
    const error = file.attachGroup(this);
    if (error < 0) {
      if (profile.dmaOwnership) this.iommuGroup.releaseDmaOwner();
      return error;
    }
    this.#container = file;
    this.#containerUsers = 1;
    return 0;
  }

  /** GROUP_UNSET_CONTAINER. */
  unsetContainer(): number {
    if (this.#container === undefined) return -EINVAL;
    if (this.#containerUsers !== 1) return -EBUSY;
    this.#detach();
    return 0;
  }

  /** GROUP_GET_DEVICE_FD. */
  *getDeviceFd(process: Process, groupFile: GroupFile, argument: UserArgument): Sleeps<number> {
    const name = argument.copyInString(PAGE);
    if (typeof name === 'number') return name;
    const early = this.vfio.host.profile.nameBeforeContainer;
    if (!early && !this.#usable()) return -EINVAL;
    const device = this.#deviceByName(name);
    if (typeof device === 'number') return device;
    const fd = process.nextFd();
    if (fd < 0) {
      device.put();
      return fd;
    }
    if (early && !this.#usable()) {
      device.put();
      return -EINVAL;
    }
    this.#containerUsers += 1;
    const opener = `${process.name} fd ${fd}`;
    const error = yield* device.open(opener);
    if (error < 0) {
      this.#containerUsers -= 1;
      device.put();
      return error;
    }
    groupFile.get();
    return process.install(new VfioDeviceFile(device, opener, groupFile), O_RDWR);
  }

  /** A container with a backend; before DMA ownership, also a viable group. */
  #usable(): boolean {
    if (this.#container?.backend === undefined) return false;
    return this.vfio.host.profile.dmaOwnership || this.#viable();
  }

  #viable(): boolean {
    if (!this.vfio.host.profile.dmaOwnership) return viable(this);
    return this.#container !== undefined || !this.iommuGroup.dmaInUse;
  }

  /** vfio_device_get_from_name(): a reference, -ENODEV, or what a driver's match answered. */
  #deviceByName(name: string): VfioDevice | number {
    for (const device of this.#devices) {
      const match = device.match(name);
      if (match < 0) return match;
      if (match > 0 && device.tryGet()) return device;
    }
    return -ENODEV;
  }

  #detach(): void {
    this.#container?.detachGroup(this);
    this.#container = undefined;
    this.#containerUsers = 0;
    if (this.vfio.host.profile.dmaOwnership) this.iommuGroup.releaseDmaOwner();
    this.#detached.wake();
  }

  /** The node goes; a device that is bound again makes a new group. */
  #disappear(): void {
    this.vfio.host.files.remove(this.#node);
    this.vfio.forgetGroup(this);
  }

  get #node(): string {
    return `/dev/vfio/${this.id}`;
  }
}

/** The fd of a group. */
export class GroupFile extends File {
  override readonly label: string;
  readonly group: VfioGroup;
  /** Who opened it. */
  readonly holder: string;

  constructor(group: VfioGroup, opener: string) {
    super();
    this.group = group;
    this.holder = `${opener} (group ${group.id})`;
    this.label = `/dev/vfio/${group.id}`;
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_GROUP_GET_STATUS:
        return this.group.status(argument);
      case VFIO_GROUP_SET_CONTAINER:
        return this.group.setContainer(process, argument);
      case VFIO_GROUP_UNSET_CONTAINER:
        return this.group.unsetContainer();
      case VFIO_GROUP_GET_DEVICE_FD:
        return WOULD_SLEEP;
      default:
        return -ENOTTY;
    }
  }

  override *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    if (request === VFIO_GROUP_GET_DEVICE_FD) return yield* this.group.getDeviceFd(process, this, argument);
    return this.ioctl(process, request, argument);
  }

  protected override *release(): Sleeps<void> {
    this.group.fileReleased();
  }
}
