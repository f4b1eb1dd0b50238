/**
 * What an emulated ITS has mapped: devices with their events, collections, and the LPIs to which events lead.
 *
 * Kernel: struct its_device, its_ite, its_collection and the lists of struct vgic_its; vgic_add_lpi(), update_lpi_config(). Guest memory has
 * them only once they are saved (vgic-its-tables.ts).
 */
import { EFAULT, removeItem } from '@vsim/vfio-core';
import { FIRST_LPI } from '../hardware/index.ts';
import { LPI_GROUP1 } from '../host/index.ts';
import { EventTable, type Collection, type Event } from './event-table.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { TranslationCache } from './translation-cache.ts';
import { VgicIrq, type IrqTarget, type LpiList } from './vgic-irq.ts';
import type { VgicProfile } from './vgic-profile.ts';
import { moveVlpi, unmapVlpi } from './vgic-v4.ts';

/** RDbase of a collection that has no target. */
export const NOT_MAPPED = 0xffff_ffff;

/** Where the guest has put the tables of its LPIs, and how many there may be. */
export interface LpiTables {
  /** INTIDs of LPIs are below this. */
  readonly lpiLimit: number;
  /** Guest physical address of the property table. */
  readonly propertyTable: number;
  /** Guest physical address of a vCPU's pending table. */
  pendingTable(vcpu: IrqTarget): number;
}

/** A VM as the mappings of its ITS know it: the LPIs to which events lead, and the vCPUs that collections mean. */
export interface MappingVm {
  /** What the kernel's vgic does otherwise than another's. */
  readonly profile: VgicProfile;
  /** Its memory slots. */
  readonly memory: GuestMemory;
  /** Its LPIs. */
  readonly lpis: LpiList;
  /** Translations of MSIs that were made before. */
  readonly cache: TranslationCache;
  /** Its GICv3. */
  readonly vgic: LpiTables | undefined;
  /** Steps of commands that grow with what the guest has mapped. */
  work: number;
  /** The vCPU that RDbase names. @param target an id or an index */
  vcpuOfTarget(target: number): IrqTarget | undefined;
}

/** Kernel: struct its_device. */
export interface ItsGuestDevice {
  readonly id: number;
  /** EventID bits, in [1, 16]. */
  readonly bits: number;
  /** EventIDs are below this: 2 ** bits. */
  readonly end: number;
  /** Guest physical address of the ITT. */
  readonly itt: number;
  readonly events: EventTable;
}

export class ItsMappings {
  /** In order of creation, or of DeviceID since the last save. A restore over live devices can give an id twice: the first is found. */
  readonly devices: ItsGuestDevice[] = [];
  /** In order of creation: the order in which they are saved. */
  readonly collections: Collection[] = [];
  readonly #byIcid = new Map<number, Collection>();
  readonly #byId = new Map<number, ItsGuestDevice>();
  readonly #vm: MappingVm;
  readonly #its: number;

  /** @param its the ITS' number in the VM */
  constructor(vm: MappingVm, its: number) {
    this.#vm = vm;
    this.#its = its;
  }

  /** A translation may have changed. */
  dropTranslations(): void {
    this.#vm.cache.invalidate(this.#its);
  }

  /** vgic_its_check_event_id(): the event is in the ITT, and its entry is in guest memory. @param event EventID */
  eventInRange(device: ItsGuestDevice, event: number): boolean {
    if (event >= device.end) return false;
    return !this.#vm.profile.checksItePage || this.#vm.memory.visible(device.itt + event * 8);
  }

  // Look-ups

  findDevice(id: number): ItsGuestDevice | undefined {
    return this.#byId.get(id);
  }

  findCollection(icid: number): Collection | undefined {
    return this.#byIcid.get(icid);
  }

  findEvent(device: number, event: number): Event | undefined {
    return this.findDevice(device)?.events.get(event);
  }

  vcpuOf(collection: Collection | undefined): IrqTarget | undefined {
    return collection === undefined || collection.target === NOT_MAPPED ? undefined : this.#vm.vcpuOfTarget(collection.target);
  }

  // LPIs

  /**
   * vgic_add_lpi() for a new event, and vgic_its_map_lpi().
   *
   * @param intid 8192 or more
   * @returns the LPI with a reference; undefined when another event has it and each has one (VgicProfile.oneEventPerLpi); -EFAULT when its
   * configuration cannot be read
   */
  addLpi(intid: number, vcpu: IrqTarget | undefined): VgicIrq | number | undefined {
    const { lpis, profile } = this.#vm;
    const known = lpis.find(intid);
    if (known !== undefined) {
      if (profile.oneEventPerLpi) {
        if (known.mapped) return undefined;
        known.target = vcpu;
      }
      known.mapped = true;
      known.references += 1;
      return known;
    }
    const irq = new VgicIrq(intid);
    irq.target = vcpu;
    lpis.add(irq);
    const error = this.readConfiguration(irq, undefined, false) || this.#takePendingBit(irq);
    if (error < 0) {
      lpis.unqueue(irq);
      lpis.put(irq);
      return error;
    }
    irq.mapped = true;
    return irq;
  }

  /** Where the property table has an LPI's byte. @param intid 8192 or more */
  propertyAddress(intid: number): number {
    return (this.#vm.vgic?.propertyTable ?? 0) + intid - FIRST_LPI;
  }

  /**
   * update_lpi_config().
   *
   * @param only leaves LPIs of other vCPUs alone
   * @returns 0, or -EFAULT when the property table is not in guest memory
   */
  readConfiguration(irq: VgicIrq, only: IrqTarget | undefined, invalidate: boolean): number {
    const { memory } = this.#vm;
    const address = this.propertyAddress(irq.intid);
    if (!memory.accessible(address, 1)) return -EFAULT;
    const property = memory.read8(address);
    if (only === undefined || only === irq.target) {
      irq.priority = property & 0xfc;
      irq.enabled = (property & 1) !== 0;
      if (!irq.hw) {
        this.#vm.lpis.queue(irq);
        return 0;
      }
    }
    // A VLPI gets the byte as it is, also one of another vCPU.
    if (irq.hw) irq.hostIrq?.updateVlpi(property | LPI_GROUP1, invalidate);
    return 0;
  }

  /** vgic_v3_lpi_sync_pending_status(): the bit in guest memory moves to the latch. */
  #takePendingBit(irq: VgicIrq): number {
    const { memory, vgic } = this.#vm;
    if (irq.target === undefined || vgic === undefined) return 0;
    const address = vgic.pendingTable(irq.target) + (irq.intid >>> 3);
    if (!memory.accessible(address, 1)) return -EFAULT;
    const byte = memory.read8(address);
    const bit = 1 << (irq.intid & 7);
    irq.pendingLatch = (byte & bit) !== 0;
    this.#vm.lpis.queue(irq);
    if ((byte & bit) === 0) return 0;
    if (!memory.accessible(address, 1, true)) return -EFAULT;
    memory.write8(address, byte & ~bit);
    return 0;
  }

  /** update_affinity(). */
  retarget(irq: VgicIrq, vcpu: IrqTarget | undefined): void {
    const from = irq.target;
    irq.target = vcpu;
    if (irq.hw) moveVlpi(irq, from);
  }

  /** A collection with an ICID that no other has. @param icid 16 bits @param target vCPU's number, as RDbase has it */
  addCollection(icid: number, target: number): Collection {
    const collection = { icid, target };
    this.collections.push(collection);
    this.#byIcid.set(icid, collection);
    return collection;
  }

  /** All of them; the events that had them keep them. */
  forgetCollections(): void {
    this.collections.length = 0;
    this.#byIcid.clear();
  }

  addDevice(id: number, bits: number, itt: number): ItsGuestDevice {
    const device: ItsGuestDevice = { id, bits, end: 2 ** bits, itt, events: new EventTable() };
    this.devices.push(device);
    if (!this.#byId.has(id)) this.#byId.set(id, device);
    return device;
  }

  freeEvent({ events }: ItsGuestDevice, event: number): void {
    const irq = events.irq(event);
    if (irq === undefined) return;
    events.delete(event);
    if (irq.hw) unmapVlpi(irq);
    irq.mapped = false;
    this.#vm.lpis.put(irq);
  }

  freeDevice(device: ItsGuestDevice): void {
    this.#vm.work += this.devices.length;
    for (const event of device.events.keys()) this.freeEvent(device, event);
    removeItem(this.devices, device);
    if (this.#byId.get(device.id) === device) {
      const other = this.devices.find(({ id }) => id === device.id);
      if (other === undefined) this.#byId.delete(device.id);
      else this.#byId.set(device.id, other);
    }
    this.dropTranslations();
  }

  /** All of them. */
  freeDevices(): void {
    for (const device of [...this.devices]) this.freeDevice(device);
  }

  freeCollections(): void {
    for (const collection of [...this.collections]) this.freeCollection(collection);
  }

  /** The collection's events become orphans, for good. */
  freeCollection(collection: Collection): void {
    this.#vm.work += this.collections.length;
    for (const { events } of this.devices) {
      this.#vm.work += 1 + events.size;
      events.orphan(collection);
    }
    removeItem(this.collections, collection);
    this.#byIcid.delete(collection.icid);
  }

  /** GICR_INVLPIR of the guest. @param intid any */
  invalidateLpi(intid: number): void {
    const irq = this.#vm.lpis.find(intid);
    if (irq !== undefined) this.readConfiguration(irq, undefined, true);
  }

  /** INVALL, and GICR_INVALLR of the guest. */
  invalidateAll(vcpu: IrqTarget): void {
    this.#vm.work += this.#vm.lpis.count;
    for (const irq of this.#vm.lpis.all()) this.readConfiguration(irq, vcpu, false);
    if (vcpu.vpe?.mapped === true) vcpu.vpe.invalidateAll();
  }
}
