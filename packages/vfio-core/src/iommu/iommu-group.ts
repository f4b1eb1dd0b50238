/**
 * An IOMMU group: the devices that an IOMMU cannot tell apart, and who owns their DMA. Kernel: struct iommu_group.
 */
import type { Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import { EBUSY, EPERM } from '../uapi/errno.ts';
import type { IommuDomain, IommuUnit } from './iommu.ts';

export class IommuGroup {
  readonly host: Host;
  readonly id: number;
  readonly unit: IommuUnit;
  readonly #devices: Device[] = [];
  /** Bound drivers that use the kernel's own (default) domain. */
  #defaultUsers = 0;
  #owner: object | undefined;
  #domain: IommuDomain | undefined;

  constructor(host: Host, unit: IommuUnit, id: number) {
    this.host = host;
    this.unit = unit;
    this.id = id;
    host.files.folder(`${this.#sysfs}/devices`);
    host.files.constant(`${this.#sysfs}/type`, 'identity\n', 0o644);
    host.files.constant(`${this.#sysfs}/reserved_regions`, () =>
      unit.reservedRegions.map(({ first, last, type }) => `0x${pad(first)} 0x${pad(last)} ${type}\n`).join(''),
    );
  }

  get devices(): readonly Device[] {
    return this.#devices;
  }

  addDevice(device: Device): void {
    this.#devices.push(device);
    device.iommuGroup = this;
    this.host.files.link(`${this.#sysfs}/devices/${device.name}`, device.sysfs);
    this.host.files.link(`${device.sysfs}/iommu_group`, this.#sysfs);
  }

  /** The group goes with its last device. */
  removeDevice(device: Device): void {
    const at = this.#devices.indexOf(device);
    if (at < 0) return;
    this.#devices.splice(at, 1);
    device.iommuGroup = undefined;
    this.host.files.remove(`${this.#sysfs}/devices/${device.name}`);
    if (this.#devices.length === 0) {
      this.host.files.remove(this.#sysfs);
      this.unit.groupGone(this);
    }
  }

  /** The domain that translates the group's DMA; undefined is the kernel's default, identity. */
  get domain(): IommuDomain | undefined {
    return this.#domain;
  }

  /** iommu_device_use_default_domain(): a native driver binds. False while user space owns the DMA. */
  useDefaultDomain(): boolean {
    if (this.#owner !== undefined) return false;
    this.#defaultUsers += 1;
    return true;
  }

  unuseDefaultDomain(): void {
    this.#defaultUsers -= 1;
  }

  /** iommu_group_claim_dma_owner(). @returns 0, or -EPERM while a native driver or another user has the DMA. */
  claimDmaOwner(owner: object): number {
    if (this.dmaInUse) return -EPERM;
    this.#owner = owner;
    return 0;
  }

  releaseDmaOwner(): void {
    this.#owner = undefined;
  }

  get dmaOwnerClaimed(): boolean {
    return this.#owner !== undefined;
  }

  /** Whether anybody, kernel or user space, owns the group's DMA. */
  get dmaInUse(): boolean {
    return this.#owner !== undefined || this.#defaultUsers > 0;
  }

  /** iommu_attach_group(). */
  attachDomain(domain: IommuDomain): number {
    if (this.#domain !== undefined) return -EBUSY;
    this.#domain = domain;
    return 0;
  }

  detachDomain(): void {
    this.#domain = undefined;
  }

  get #sysfs(): string {
    return `/sys/kernel/iommu_groups/${this.id}`;
  }
}

function pad(value: number): string {
  return value.toString(16).padStart(16, '0');
}
