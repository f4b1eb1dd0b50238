import type { FaultPoint } from '../host/fault-injection.ts';
import { assertSameCore, type Host } from '../host/host.ts';
import { Mutex } from '../host/mutex.ts';
import { WaitQueue } from '../host/scheduler.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { addNoIommuGroup } from '../iommu/software-groups.ts';
import { Type1 } from '../iommu/type1.ts';
import type { Device } from '../model/device.ts';
import { addBoolParameter } from '../model/module-parameter.ts';
import { createPowerFolder, noRuntimePower } from '../model/power-folder.ts';
import { addUevent } from '../model/uevent.ts';
import { ENOMEM } from '../uapi/errno.ts';
import type { IommuBackendKind } from './iommu-backend.ts';
import { NoIommuBackend } from './noiommu.ts';
import { GroupNodes } from './group-nodes.ts';
import { ContainerFile, VfioContainer } from './vfio-container.ts';
import type { VfioDevice } from './vfio-device.ts';
import { VfioGroup } from './vfio-group.ts';

/** The kernel's warning, and taint, when a device without IOMMU is given to user space. */
export const NOIOMMU_ADDED: EventKind<{ readonly device: string }> = eventKind(
  'vfio/noiommu-added',
  'warn',
  ({ device }) => `${device}: added to a group without IOMMU: the kernel is tainted`,
);

/** vfio_create_group(): there is no memory for the group, or its node. */
export const GROUP_ALLOCATION: FaultPoint = { fault: 'vfio/group-allocation', error: ENOMEM };

/** How the kernel was built. */
export interface VfioInit {
  /** CONFIG_VFIO_NOIOMMU: there is a module parameter for it. @default true */
  readonly noiommuBuilt?: boolean | undefined;
}

/**
 * The vfio module of one host: /dev/vfio/vfio, the groups, the device numbers, and the IOMMU backends to choose from. It has to be there
 * before a VFIO driver is.
 *
 * @example
 * ```ts
 * import { Host, Process, Vfio } from '@vsim/vfio-core';
 *
 * const host = new Host();
 * new Vfio(host); // modprobe vfio
 * console.log(new Process(host).open('/dev/vfio/vfio')); // 3
 * ```
 */
export class Vfio {
  /** The host whose kernel has the module. */
  readonly host: Host;
  /** Last registered first, as VFIO_SET_IOMMU tries them. */
  readonly backends: readonly IommuBackendKind[];
  /** The numbers and folders of registered devices. */
  readonly deviceNumbers: DeviceNumbers;
  /** The nodes in /dev/vfio. */
  readonly groupNodes: GroupNodes;
  /** The type1 driver, with its module parameters. */
  readonly type1: Type1;
  /** Containers that somebody holds: for reports and tests. */
  readonly containers: Set<VfioContainer> = new Set<VfioContainer>();
  /** How many devices have lost their last reference, and who waits for any: before patch 2 of the series. @internal */
  releases = 0;
  /** Who waits for any device's last reference: before patch 2 of the series. @internal */
  readonly released: WaitQueue = new WaitQueue('the last reference of any vfio device');
  /** Module parameter enable_unsafe_noiommu_mode. */
  noiommu = false;
  readonly #groups = new Map<IommuGroup, VfioGroup>();
  readonly #setLocks = new WeakMap<object, Mutex>();
  readonly #shared = new Map<new () => object, object>();

  /**
   * Loads the module: its nodes, folders and parameters are there from then on.
   *
   * @throws TypeError if another copy of @vsim/vfio-core made the host; RangeError if the host has the module already
   */
  constructor(host: Host, init: VfioInit = {}) {
    assertSameCore(host);
    this.host = host;
    const open = () => this.#openContainer();
    // iommu_init(): there also where no group ever comes.
    host.files.folder('/sys/kernel/iommu_groups');
    host.files.add('/dev/vfio/vfio', { kind: 'device', mode: 0o666, open });
    if (init.noiommuBuilt ?? true) addBoolParameter(host, 'vfio', 'enable_unsafe_noiommu_mode', () => this.noiommu, (on) => (this.noiommu = on));
    this.type1 = new Type1(host);
    this.backends = [this.type1, new NoIommuBackend(() => this.noiommu)];
    this.deviceNumbers = new DeviceNumbers(host);
    this.groupNodes = new GroupNodes(host);
  }

  /** All VFIO groups, the oldest first. */
  get groups(): readonly VfioGroup[] {
    return [...this.#groups.values()];
  }

  /**
   * vfio_iommu_group_get(): the device's group; where there is none and the module parameter allows it, one without IOMMU.
   * Give it back with iommuGroupPut().
   */
  iommuGroupGet(device: Device): IommuGroup | undefined {
    if (device.iommuGroup !== undefined || !this.noiommu) return device.iommuGroup;
    this.host.trace.emit(NOIOMMU_ADDED, { device: device.name });
    return addNoIommuGroup(this.host, device);
  }

  /** vfio_iommu_group_put(): takes the device out of a group that iommuGroupGet() made. */
  iommuGroupPut(device: Device): void {
    if (device.iommuGroup?.kind === 'noiommu') device.iommuGroup.removeDevice(device);
  }

  /** vfio_group_find_or_alloc(). @returns the group, or -ENOMEM */
  findOrCreateGroup(iommuGroup: IommuGroup): VfioGroup | number {
    const found = this.#groups.get(iommuGroup);
    if (found !== undefined) return found;
    const error = this.host.faults.at(GROUP_ALLOCATION);
    if (error < 0) return error;
    const group = new VfioGroup(this, iommuGroup);
    this.#groups.set(iommuGroup, group);
    return group;
  }

  /** The group's last device has left. */
  forgetGroup(group: VfioGroup): void {
    if (this.#groups.get(group.iommuGroup) === group) this.#groups.delete(group.iommuGroup);
  }

  /** What the drivers of a kind have together on this host: one object of a class, made for the first that asks. */
  shared<T extends object>(kind: new () => T): T {
    const found = this.#shared.get(kind);
    if (found instanceof kind) return found;
    const made = new kind();
    this.#shared.set(kind, made);
    return made;
  }

  /** The lock under which the devices of one set are opened, closed and reset. */
  deviceSetLock(device: VfioDevice): Mutex {
    const key = device.deviceSet;
    let lock = this.#setLocks.get(key);
    if (lock === undefined) {
      lock = new Mutex(this.host.scheduler, `the device set of ${device.name}`);
      this.#setLocks.set(key, lock);
    }
    return lock;
  }

  *#openContainer() {
    return new ContainerFile(new VfioContainer(this));
  }
}

/** vfioM: the lowest free number for each registered device, and their folders in sysfs (6.1). */
export class DeviceNumbers {
  readonly #host: Host;
  readonly #devices: (VfioDevice | undefined)[] = [];

  /** Made by Vfio. */
  constructor(host: Host) {
    this.#host = host;
    if (host.profile.vfioDevClass) host.files.folder('/sys/class/vfio-dev');
  }

  /** A device is registered: it gets the lowest free number. */
  add(device: VfioDevice): void {
    const free = this.#devices.indexOf(undefined);
    const number = free < 0 ? this.#devices.length : free;
    this.#devices[number] = device;
    if (!this.#host.profile.vfioDevClass) return;
    const folder = `${device.device.sysfs}/vfio-dev/vfio${number}`;
    createPowerFolder({ host: this.#host, sysfs: folder }, noRuntimePower());
    addUevent(this.#host, folder, () => '');
    this.#host.files.link(`${folder}/device`, device.device.sysfs);
    this.#host.files.link(`${folder}/subsystem`, '/sys/class/vfio-dev');
    this.#host.files.link(`/sys/class/vfio-dev/vfio${number}`, folder);
  }

  /** A device is unregistered: its number is free again. */
  remove(device: VfioDevice): void {
    const number = this.#devices.indexOf(device);
    if (number < 0) return;
    this.#devices[number] = undefined;
    if (!this.#host.profile.vfioDevClass) return;
    this.#host.files.remove(`/sys/class/vfio-dev/vfio${number}`);
    this.#host.files.remove(`${device.device.sysfs}/vfio-dev`);
  }
}
