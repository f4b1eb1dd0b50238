import { removeItem } from '../memory/list.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import { assertSameHost, type Host } from '../host/host.ts';
import type { BusEvent } from '../model/bus.ts';
import type { Device } from '../model/device.ts';
import { EBUSY, EPERM } from '../uapi/errno.ts';
import type { IommuDomain, IommuUnit } from './iommu.ts';

/** `iommu`: behind an IOMMU. `emulated`: devices without DMA of their own (mdev). `noiommu`: VFIO's for a device without IOMMU. */
export type IommuGroupKind = 'iommu' | 'emulated' | 'noiommu';

/** Hears what happens to the group's devices. Kernel: iommu_group_register_notifier(). */
export interface IommuGroupListener {
  /** A device joins or leaves the group, or its driver comes or goes. */
  groupEvent(event: BusEvent, device: Device): void;
}

/** DMA ownership was given back by somebody who did not have it: the kernel's WARN_ON. */
export const DMA_OWNER_UNBALANCED: EventKind<{ readonly group: number }> = eventKind(
  'iommu/dma-owner-unbalanced',
  'warn',
  ({ group }) => `group ${group}: DMA ownership released without being claimed`,
);

/** Numbers in use, by host. */
const taken = new WeakMap<Host, Set<number>>();

/**
 * An IOMMU group: the devices that an IOMMU cannot tell apart, and who owns their DMA. Kernel: struct iommu_group.
 *
 * Groups are numbered over the whole host, whatever makes them: an IOMMU, a bus of emulated devices, or VFIO itself for a device without
 * IOMMU. A group goes when its last device and the last reference are gone.
 */
export class IommuGroup {
  /** The host that it is a group of. */
  readonly host: Host;
  /** Its number: /sys/kernel/iommu_groups/N, /dev/vfio/N. */
  readonly id: number;
  /** The IOMMU that translates its DMA. */
  readonly unit: IommuUnit;
  /** What is behind it: an IOMMU or not. */
  readonly kind: IommuGroupKind;
  readonly #devices: Device[] = [];
  readonly #listeners: IommuGroupListener[] = [];
  #references = 0;
  /** Bound drivers that use the kernel's own (default) domain. */
  #defaultUsers = 0;
  #owner: object | undefined;
  #domain: IommuDomain | undefined;
  /** Nothing is mapped in it; there while the DMA is claimed. */
  #blocking: IommuDomain | undefined;

  /**
   * Makes an empty group, with its folder in sysfs. IommuUnitBase.addGroup() makes one with devices.
   *
   * @param id its number; the lowest free one by default
   * @param kind `iommu` by default
   * @default the lowest free one
   * @throws RangeError if the number is taken
   */
  constructor(host: Host, unit: IommuUnit, id?: number, kind: IommuGroupKind = 'iommu') {
    this.host = host;
    this.unit = unit;
    this.id = takeNumber(host, id);
    this.kind = kind;
    host.files.folder(`${this.#sysfs}/devices`);
    // mdev made its groups itself before 5.16, without a name.
    if (kind === 'noiommu' || (kind === 'emulated' && host.profile.mdevParentDrivers)) host.files.constant(`${this.#sysfs}/name`, 'vfio-noiommu\n');
    host.files.constant(`${this.#sysfs}/type`, kind === 'iommu' ? `${unit.defaultDomain}\n` : 'unknown\n', 0o644);
    host.files.constant(`${this.#sysfs}/reserved_regions`, () => this.#reservedRegions());
  }

  /** Its devices, in the order in which they joined. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  /** iommu_group_add_device(): a device joins, with its links in sysfs. */
  addDevice(device: Device): void {
    assertSameHost(this.host, device, 'device', device.name, 'the IOMMU group');
    this.#devices.push(device);
    device.iommuGroup = this;
    this.host.files.link(`${this.#sysfs}/devices/${device.name}`, device.sysfs);
    this.host.files.link(`${device.sysfs}/iommu_group`, this.#sysfs);
    for (const [name, target] of this.#unitLinks) this.host.files.link(`${device.sysfs}/${name}`, target);
    this.notify('add', device);
  }

  /**
   * iommu_group_remove_device(): a device leaves; the last one takes the group along, unless somebody keeps it. One that is not in it:
   * nothing happens.
   */
  removeDevice(device: Device): void {
    const at = this.#devices.indexOf(device);
    if (at < 0) return;
    this.notify('del', device);
    this.#devices.splice(at, 1);
    device.iommuGroup = undefined;
    this.host.files.remove(`${this.#sysfs}/devices/${device.name}`);
    this.host.files.remove(`${device.sysfs}/iommu_group`);
    for (const [name] of this.#unitLinks) this.host.files.remove(`${device.sysfs}/${name}`);
    this.#release();
  }

  /** iommu_device_link(), and the device link that has the IOMMU come first. */
  get #unitLinks(): readonly (readonly [name: string, target: string])[] {
    const { name, device } = this.unit;
    if (device === undefined) return [];
    return [['iommu', `/sys/devices/platform/${device}/iommu/${name}`], [`supplier:platform:${device}`, `/sys/devices/virtual/devlink/platform:${device}`]];
  }

  /** iommu_group_get(): keeps the group, and its folder, beyond its last device. */
  get(): void {
    this.#references += 1;
  }

  /** iommu_group_put(): undoes get(). */
  put(): void {
    this.#references -= 1;
    this.#release();
  }

  /** Who keeps it, besides its devices. */
  get references(): number {
    return this.#references;
  }

  /** iommu_group_register_notifier(). @returns what ends it */
  listen(listener: IommuGroupListener): () => void {
    this.#listeners.push(listener);
    return () => {
      removeItem(this.#listeners, listener);
    };
  }

  /** The driver core, and the group itself, tell what happens to a device. @internal */
  notify(event: BusEvent, device: Device): void {
    for (const listener of [...this.#listeners]) listener.groupEvent(event, device);
  }

  /** The domain that somebody has attached. */
  get domain(): IommuDomain | undefined {
    return this.#domain;
  }

  /**
   * The domain that translates the group's DMA; undefined is the kernel's default, identity. While somebody has claimed the DMA and
   * attached nothing it is one in which nothing is mapped. Kernel: __iommu_group_alloc_blocking_domain(), __iommu_group_set_core_domain().
   */
  get translation(): IommuDomain | undefined {
    return this.#domain ?? this.#blocking;
  }

  /** iommu_device_use_default_domain(): a native driver binds. False while user space owns the DMA. */
  useDefaultDomain(): boolean {
    if (this.#owner !== undefined) return false;
    this.#defaultUsers += 1;
    return true;
  }

  /** iommu_device_unuse_default_domain(): a native driver has gone. */
  unuseDefaultDomain(): void {
    this.#defaultUsers -= 1;
  }

  /** iommu_group_claim_dma_owner(). @returns 0, or -EPERM while a native driver or another user has the DMA. */
  claimDmaOwner(owner: object): number {
    if (this.dmaInUse) return -EPERM;
    this.#owner = owner;
    this.#blocking = this.unit.createDomain();
    return 0;
  }

  /** iommu_group_release_dma_owner(): undoes claimDmaOwner(). Without an owner it is DMA_OWNER_UNBALANCED. */
  releaseDmaOwner(): void {
    if (this.#owner === undefined) this.host.trace.emit(DMA_OWNER_UNBALANCED, { group: this.id });
    this.#owner = undefined;
    this.#blocking = undefined;
  }

  /** iommu_group_dma_owner_claimed(): whether claimDmaOwner() holds. */
  get dmaOwnerClaimed(): boolean {
    return this.#owner !== undefined;
  }

  /** Whether anybody, kernel or user space, owns the group's DMA. */
  get dmaInUse(): boolean {
    return this.#owner !== undefined || this.#defaultUsers > 0;
  }

  /** iommu_attach_group(): the domain translates its DMA from now on. @returns 0; -EBUSY if it has one */
  attachDomain(domain: IommuDomain): number {
    if (this.#domain !== undefined) return -EBUSY;
    this.#domain = domain;
    return 0;
  }

  /** iommu_detach_group(): undoes attachDomain(). */
  detachDomain(): void {
    this.#domain = undefined;
  }

  #release(): void {
    if (this.#devices.length > 0 || this.#references > 0) return;
    this.host.files.remove(this.#sysfs);
    taken.get(this.host)?.delete(this.id);
    this.unit.groupGone(this);
  }

  #reservedRegions(): string {
    const lines = this.unit.reservedRegions.map(({ first, last, type }) => `0x${pad(first)} 0x${pad(last)} ${type === 'sw-msi' ? 'msi' : type}\n`);
    return lines.join('');
  }

  get #sysfs(): string {
    return `/sys/kernel/iommu_groups/${this.id}`;
  }
}

function takeNumber(host: Host, wanted: number | undefined): number {
  const used = taken.get(host) ?? new Set<number>();
  taken.set(host, used);
  let id = wanted ?? 0;
  if (wanted !== undefined && used.has(wanted)) throw new RangeError(`"id" expected a free group number, got ${wanted}`);
  while (wanted === undefined && used.has(id)) id += 1;
  used.add(id);
  return id;
}

function pad(value: number): string {
  return value.toString(16).padStart(16, '0');
}
