import type { Host } from '../host/host.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { IommuGroup, IommuGroupListener } from '../iommu/iommu-group.ts';
import type { BusEvent } from '../model/bus.ts';
import type { Device } from '../model/device.ts';

/** A VFIO group as its notifier knows it. */
export interface WatchedGroup {
  /** The host whose trace hears of it. */
  readonly host: Host;
  /** Its number. */
  readonly id: number;
  /** Whether user space uses it. */
  readonly inUse: boolean;
  /** The IOMMU's side, with all devices. */
  readonly iommuGroup: IommuGroup;
  /** Its VFIO devices. */
  readonly devices: readonly { readonly device: Device }[];
}

interface DeviceInGroup {
  readonly device: string;
  readonly group: number;
}

/** The kernel's dev_WARN: a device joined a group that user space is using. */
export const ADDED_TO_LIVE_GROUP: EventKind<DeviceInGroup> = eventKind(
  'vfio/added-to-live-group',
  'warn',
  ({ device, group }) => `${device}: added to group ${group}, which is in use`,
);

/** The kernel's BUG_ON: a driver of its own was bound to a device whose DMA user space controls. The kernel ends here. */
export const BOUND_IN_LIVE_GROUP: EventKind<DeviceInGroup> = eventKind(
  'vfio/bound-in-live-group',
  'bug',
  ({ device, group }) => `${device}: a native driver was bound, and group ${group} is in use`,
);

/**
 * How VFIO watched a group before the driver core knew owners of DMA (5.13): it hears of every driver that comes and goes, and a native
 * driver that is bound into a group in use is a BUG. Kernel: vfio_iommu_group_notifier(), vfio_dev_viable(), unbound_list.
 */
export class GroupNotifier implements IommuGroupListener {
  readonly #group: WatchedGroup;
  /** Devices that are off the group's list and still have their driver. */
  readonly #unbound = new Set<Device>();

  /** Made by VfioGroup, for kernels without profile.dmaOwnership. */
  constructor(group: WatchedGroup) {
    this.#group = group;
  }

  /** unregister begins: from here until the driver is gone the device does not spoil its group. */
  unregistering(device: Device): void {
    this.#unbound.add(device);
  }

  /** A device was added, or its driver comes or goes. Emits ADDED_TO_LIVE_GROUP and BOUND_IN_LIVE_GROUP. */
  groupEvent(event: BusEvent, device: Device): void {
    const { trace } = this.#group.host;
    const fields: DeviceInGroup = { device: device.name, group: this.#group.id };
    if (event === 'unbound') this.#unbound.delete(device);
    if (!this.#group.inUse) return;
    if (event === 'add') trace.emit(ADDED_TO_LIVE_GROUP, fields);
    if (event === 'bound' && !this.#deviceViable(device)) trace.emit(BOUND_IN_LIVE_GROUP, fields);
  }

  /** Whether user space may have the group: no device has a driver that does DMA for the kernel. */
  get viable(): boolean {
    return this.#group.iommuGroup.devices.every((device) => this.#deviceViable(device));
  }

  #deviceViable(device: Device): boolean {
    const { driverName } = device;
    if (driverName === undefined || this.#unbound.has(device) || driverName === 'pci-stub' || device.isBridge) return true;
    return this.#group.devices.some((vfioDevice) => vfioDevice.device === device);
  }
}
