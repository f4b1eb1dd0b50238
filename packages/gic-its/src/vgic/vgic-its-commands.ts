/**
 * The commands of an emulated ITS.
 *
 * Kernel: vgic_its_cmd_handle_*() of vgic-its.c. Errors are internal codes: the guest sees CREADR advance. Commands for VLPIs are
 * ignored, as KVM ignores them.
 */
import { EBUSY, ENODEV, toNumber, type Refusals, type Trace } from '@vsim/vfio-core';
import { FIRST_LPI, OPCODE } from '../hardware/index.ts';
import { EVENT_TAKEN } from './its-reasons.ts';
import type { IrqTarget } from './vgic-irq.ts';
import { NOT_MAPPED, type ItsMappings, type MappingVm } from './vgic-its-mappings.ts';
import { BASER_COLLECTION, BASER_DEVICE, type ItsRegisters } from './vgic-its-registers.ts';

/** Codes of the guest's commands that come to nothing: Arm IHI 0069's numbers of ITS command errors, which the guest does not see. */
export const E_ITS = {
  MOVI_UNMAPPED_INTERRUPT: 0x01_0107,
  MOVI_UNMAPPED_COLLECTION: 0x01_0109,
  INT_UNMAPPED_INTERRUPT: 0x01_0307,
  CLEAR_UNMAPPED_INTERRUPT: 0x01_0507,
  MAPD_DEVICE_OOR: 0x01_0801,
  MAPD_ITTSIZE_OOR: 0x01_0802,
  MAPC_PROCNUM_OOR: 0x01_0902,
  MAPC_COLLECTION_OOR: 0x01_0903,
  MAPTI_UNMAPPED_DEVICE: 0x01_0a04,
  MAPTI_ID_OOR: 0x01_0a05,
  MAPTI_PHYSICALID_OOR: 0x01_0a06,
  INV_UNMAPPED_INTERRUPT: 0x01_0c07,
  INVALL_UNMAPPED_COLLECTION: 0x01_0d09,
  MOVALL_PROCNUM_OOR: 0x01_0e01,
  DISCARD_UNMAPPED_INTERRUPT: 0x01_0f07,
} as const;

const VALID = 0x8000_0000;

/** The fields of a command, whichever of them its opcode has. */
export interface ItsCommand {
  readonly opcode: number;
  /** Guest physical address at which it lies. */
  readonly address: number;
  readonly device: number;
  readonly event: number;
  readonly intid: number;
  readonly icid: number;
  /** EventID bits of MAPD. */
  readonly bits: number;
  /** RDbase, of MOVALL the first, and its second. */
  readonly target: number;
  readonly other: number;
}

/** A VM as the commands of its ITS know it: what they map, and where it is told of them. */
export interface CommandVm extends MappingVm {
  readonly refusals: Refusals;
  readonly trace: Trace;
}

export class ItsCommands {
  readonly #vm: CommandVm;
  readonly #registers: ItsRegisters;
  readonly #mappings: ItsMappings;
  readonly #triggerMsi: (device: number, event: number) => number;
  /** vCPUs whose LPIs were all read again since a command or the guest may have changed one. */
  readonly #invalidated = new Set<IrqTarget>();

  constructor(vm: CommandVm, registers: ItsRegisters, mappings: ItsMappings, triggerMsi: (device: number, event: number) => number) {
    this.#vm = vm;
    this.#registers = registers;
    this.#mappings = mappings;
    this.#triggerMsi = triggerMsi;
  }

  /** The guest has posted commands: what it wrote to its tables before is to be seen. */
  posted(): void {
    this.#invalidated.clear();
  }

  /** The command at a guest physical address, for whoever tells of it. @param address of its 32 bytes */
  read(address: number): ItsCommand {
    const word = (n: number): number => this.#vm.memory.read32(address + 4 * n);
    const target = (n: number): number => (((word(n + 1) & 0xffff) << 16) | (word(n) >>> 16)) >>> 0;
    return {
      opcode: word(0) & 0xff,
      address,
      device: word(1),
      event: word(2),
      intid: word(3),
      icid: word(4) & 0xffff,
      bits: (word(2) & 0x1f) + 1,
      target: target(4),
      other: target(6),
    };
  }

  /**
   * Executes the command at a guest physical address.
   *
   * @param at address of its 32 bytes
   * @returns 0; if it is ignored an ITS code or a negative errno, -ENODEV for an opcode that is none: all the same to the guest
   */
  execute(at: number): number {
    const { memory } = this.#vm;
    const word = (n: number): number => memory.read32(at + 4 * n);
    const device = word(1);
    const event = word(2);
    const icid = word(4) & 0xffff;
    /** RDbase, a vCPU: 32 bits from bit 16 on. */
    const target = (n: number): number => (((word(n + 1) & 0xffff) << 16) | (word(n) >>> 16)) >>> 0;
    const valid = (word(5) & VALID) !== 0;
    const opcode = word(0) & 0xff;
    if (opcode !== OPCODE.INVALL && opcode !== OPCODE.SYNC) this.#invalidated.clear();
    switch (opcode) {
      case OPCODE.MAPD:
        return this.#mapd(device, (word(2) & 0x1f) + 1, toNumber(word(4) & 0xffff_ff00, word(5) & 0xf_ffff), valid);
      case OPCODE.MAPC:
        return this.#mapc(icid, target(4), valid);
      case OPCODE.MAPTI:
        return this.#mapti('MAPTI', device, event, word(3), icid);
      case OPCODE.MAPI:
        return this.#mapti('MAPI', device, event, event, icid);
      case OPCODE.MOVI:
        return this.#movi(device, event, icid);
      case OPCODE.DISCARD:
        return this.#discard(device, event);
      case OPCODE.CLEAR:
        return this.#clear(device, event);
      case OPCODE.INT:
        return this.#triggerMsi(device, event);
      case OPCODE.INV: {
        const found = this.#mappings.findEvent(device, event);
        return found === undefined ? E_ITS.INV_UNMAPPED_INTERRUPT : this.#mappings.readConfiguration(found.irq, undefined, true);
      }
      case OPCODE.INVALL: {
        const vcpu = this.#mappings.vcpuOf(this.#mappings.findCollection(icid));
        if (vcpu === undefined) return E_ITS.INVALL_UNMAPPED_COLLECTION;
        if (this.#invalidated.has(vcpu)) return 0;
        this.#invalidated.add(vcpu);
        this.#mappings.invalidateAll(vcpu);
        return 0;
      }
      case OPCODE.MOVALL:
        return this.#movall(target(4), target(6));
      case OPCODE.SYNC:
        return 0;
      default:
        return -ENODEV;
    }
  }

  #mapd(id: number, bits: number, itt: number, valid: boolean): number {
    const entry = this.#registers.entryAddress(BASER_DEVICE, id);
    if (entry === undefined) return E_ITS.MAPD_DEVICE_OOR;
    if (valid && bits > 16) return E_ITS.MAPD_ITTSIZE_OOR;
    const old = this.#mappings.findDevice(id);
    if (old !== undefined) this.#mappings.freeDevice(old);
    if (valid) this.#mappings.addDevice(id, bits, itt);
    else this.#zero(entry);
    return 0;
  }

  /** So that a later save and restore cannot bring an unmapped entry back (since 6.13, and in 6.1.192). */
  #zero(entry: number): void {
    const { memory, profile } = this.#vm;
    if (!profile.zeroesUnmapped || !memory.accessible(entry, 8, true)) return;
    memory.write32(entry, 0);
    memory.write32(entry + 4, 0);
  }

  #mapc(icid: number, target: number, valid: boolean): number {
    if ((valid || this.#vm.profile.unmapChecksTarget) && this.#vm.vcpuOfTarget(target) === undefined) return E_ITS.MAPC_PROCNUM_OOR;
    const old = this.#mappings.findCollection(icid);
    if (!valid) {
      if (old !== undefined) this.#mappings.freeCollection(old);
      this.#mappings.dropTranslations();
      return 0;
    }
    if (old === undefined) {
      if (this.#registers.entryAddress(BASER_COLLECTION, icid) === undefined) return E_ITS.MAPC_COLLECTION_OOR;
      this.#mappings.addCollection(icid, target);
      return 0;
    }
    old.target = target;
    for (const { events } of this.#mappings.devices) {
      this.#vm.work += 1 + events.size;
      for (const { irq, collection } of events.values()) if (collection === old) this.#mappings.retarget(irq, this.#mappings.vcpuOf(old));
    }
    return 0;
  }

  #mapti(what: string, deviceId: number, eventId: number, intid: number, icid: number): number {
    const device = this.#mappings.findDevice(deviceId);
    if (device === undefined) return E_ITS.MAPTI_UNMAPPED_DEVICE;
    if (!this.#mappings.eventInRange(device, eventId)) return E_ITS.MAPTI_ID_OOR;
    if (intid < FIRST_LPI || intid >= (this.#vm.vgic?.lpiLimit ?? 0)) return E_ITS.MAPTI_PHYSICALID_OOR;
    const known = device.events.irq(eventId);
    if (known !== undefined) {
      // A success, of which nothing comes.
      if (this.#vm.trace.on) this.#vm.refusals.refuse(EVENT_TAKEN, { what, device: deviceId, event: eventId, lpi: known.intid });
      return 0;
    }
    let collection = this.#mappings.findCollection(icid);
    const fresh = collection === undefined;
    if (collection === undefined) {
      if (this.#registers.entryAddress(BASER_COLLECTION, icid) === undefined) return E_ITS.MAPC_COLLECTION_OOR;
      collection = this.#mappings.addCollection(icid, NOT_MAPPED);
    }
    const irq = this.#mappings.addLpi(intid, this.#mappings.vcpuOf(collection));
    if (typeof irq !== 'object') {
      if (fresh) this.#mappings.freeCollection(collection);
      return irq ?? -EBUSY;
    }
    device.events.add(eventId, irq, collection);
    return 0;
  }

  #movi(device: number, event: number, icid: number): number {
    const events = this.#mappings.findDevice(device)?.events;
    const irq = events?.irq(event);
    if (events === undefined || irq === undefined) return E_ITS.MOVI_UNMAPPED_INTERRUPT;
    const collection = this.#mappings.findCollection(icid);
    const vcpu = this.#mappings.vcpuOf(collection);
    if (this.#mappings.vcpuOf(events.collection(event)) === undefined || collection === undefined || vcpu === undefined) return E_ITS.MOVI_UNMAPPED_COLLECTION;
    events.move(event, collection);
    this.#mappings.dropTranslations();
    this.#mappings.retarget(irq, vcpu);
    return 0;
  }

  #discard(deviceId: number, eventId: number): number {
    const device = this.#mappings.findDevice(deviceId);
    if (device === undefined || this.#mappings.vcpuOf(device.events.collection(eventId)) === undefined) return E_ITS.DISCARD_UNMAPPED_INTERRUPT;
    this.#mappings.dropTranslations();
    this.#mappings.freeEvent(device, eventId);
    this.#zero(device.itt + eventId * 8);
    return 0;
  }

  #clear(device: number, event: number): number {
    const found = this.#mappings.findEvent(device, event);
    if (found === undefined) return E_ITS.CLEAR_UNMAPPED_INTERRUPT;
    found.irq.pendingLatch = false;
    if (found.irq.hw) found.irq.hostIrq?.setPending(false);
    return 0;
  }

  #movall(from: number, to: number): number {
    const source = this.#vm.vcpuOfTarget(from);
    const destination = this.#vm.vcpuOfTarget(to);
    if (source === undefined || destination === undefined) return E_ITS.MOVALL_PROCNUM_OOR;
    if (from === to) return 0;
    const all = this.#vm.profile.movallMovesAll;
    this.#vm.work += this.#vm.lpis.count;
    for (const irq of this.#vm.lpis.all()) if (all || irq.target === source) this.#mappings.retarget(irq, destination);
    this.#mappings.dropTranslations();
    return 0;
  }
}
