/**
 * The emulated ITS of a VM: registers, commands, and MSI translation, all from the guest's flat or two-level tables.
 *
 * Kernel: vgic-its.c. Devices, collections and translations are kept in lists, as the kernel does; guest memory has them only
 * when they are saved (vgic-its-tables.ts). Errors of commands are internal codes: the guest sees CREADR advance.
 * Modelled: all physical commands, every KVM device attribute. Commands for VLPIs are ignored, as KVM ignores them.
 */
import { EBUSY, EFAULT, EINVAL, ENODEV, ENXIO, highHalf, lowHalf, toBigint, toNumber } from '@vsim/vfio-core';
import { FIRST_LPI, OPCODE } from '../hardware/index.ts';
import type { GuestDevice, KvmVm } from './kvm-vm.ts';
import { ADDR_TYPE, CTRL, GRP } from './uapi.ts';
import type { Vcpu } from './vcpu.ts';
import { VgicIrq } from './vgic-irq.ts';
import { restoreTables, saveTables } from './vgic-its-tables.ts';
import { moveVlpi, propertiesOf, unmapVlpi } from './vgic-v4.ts';
import { checkFrame } from './vgic.ts';

/** A collection: which vCPU an ICID means. */
export interface Collection {
  readonly icid: number;
  /** A vCPU's number, or NOT_MAPPED. */
  target: number;
}

/** RDbase of a collection that has no target. */
export const NOT_MAPPED = 0xffff_ffff;

/** An event of a device and the LPI that it raises. Kernel: struct its_ite. */
export interface Event {
  readonly id: number;
  readonly irq: VgicIrq;
  /** undefined once the collection was unmapped: the event is an orphan. */
  collection: Collection | undefined;
}

/** Kernel: struct its_device. */
export interface ItsGuestDevice {
  readonly id: number;
  /** EventID bits, in [1, 16]. */
  readonly bits: number;
  /** Guest physical address of the ITT. */
  readonly itt: number;
  readonly events: Map<number, Event>;
}

/** Internal codes of failed commands: Arm IHI 0069's numbers. */
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

const FRAME_BYTES = 0x2_0000;
const TRANSLATER = 0x1_0040;
const PAGE_64K = 0x1_0000;
const VALID = 0x8000_0000;
const INDIRECT = 0x4000_0000;
const OFFSET_MASK = 0xf_ffe0;
const QUIESCENT = 0x8000_0000;

// Offsets of registers.
const REG = { CTLR: 0x0, IIDR: 0x4, TYPER: 0x8, CBASER: 0x80, CWRITER: 0x88, CREADR: 0x90, BASER: 0x100, IDREGS: 0xffd0 } as const;

/** Halves in #regs. */
const CBASER = 0;
const CWRITER = 2;
const CREADR = 4;
export const BASER_DEVICE = 6;
export const BASER_COLLECTION = 8;

const BASER_RESET: Readonly<Record<number, number>> = { [BASER_DEVICE]: 0x0107_0000, [BASER_COLLECTION]: 0x0407_0000 };

export class VgicIts {
  readonly vm: KvmVm;
  readonly index: number;
  readonly devices: ItsGuestDevice[] = [];
  readonly collections: Collection[] = [];
  readonly #regs = new Uint32Array(10);
  #base: number | undefined;
  #enabled = false;
  #running = false;

  /** @internal Made by KvmVm.createIts(). */
  constructor(vm: KvmVm, index: number) {
    this.vm = vm;
    this.index = index;
    this.#regs[BASER_DEVICE] = 0x600;
    this.#regs[BASER_DEVICE + 1] = 0x1907_0000;
    this.#regs[BASER_COLLECTION] = 0x600;
    this.#regs[BASER_COLLECTION + 1] = 0x1c07_0000;
  }

  /** Guest physical address of GITS_TRANSLATER. */
  get doorbell(): number | undefined {
    return this.#base === undefined ? undefined : this.#base + TRANSLATER;
  }

  /** Whether a guest physical address is in one of its frames. */
  contains(address: number): boolean {
    return this.#base !== undefined && address >= this.#base && address < this.#base + FRAME_BYTES;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  destroy(): void {
    this.freeDevices();
    this.collections.length = 0;
    this.vm.cache.invalidate();
  }

  // Device attributes

  hasAttr(group: number, attr: bigint | number): number {
    const which = Number(attr);
    switch (group) {
      case GRP.ADDR:
        return which === ADDR_TYPE.ITS ? 0 : -ENXIO;
      case GRP.CTRL:
        return which === CTRL.INIT || which === CTRL.ITS_SAVE_TABLES || which === CTRL.ITS_RESTORE_TABLES || which === CTRL.ITS_RESET ? 0 : -ENXIO;
      case GRP.ITS_REGS:
        if (which % alignmentOf(which) !== 0) return -EINVAL;
        return isRegister(which) ? 0 : -ENXIO;
      default:
        return -ENXIO;
    }
  }

  /**
   * KVM_SET_DEVICE_ATTR.
   *
   * @param value undefined when it cannot be read from the caller's memory
   * @returns 0 or a negative errno
   */
  setAttr(group: number, attr: bigint | number, value: bigint | number | undefined): number {
    if (group === GRP.CTRL) return this.#control(Number(attr));
    if (value === undefined) return -EFAULT;
    switch (group) {
      case GRP.ADDR:
        return this.#setAddress(Number(attr), Number(value));
      case GRP.ITS_REGS: {
        const error = this.#checkRegister(Number(attr));
        return error < 0 ? error : this.#writeUser(Number(attr), BigInt(value));
      }
      default:
        return -ENXIO;
    }
  }

  /** KVM_GET_DEVICE_ATTR. @returns the value, or a negative errno as a number */
  getAttr(group: number, attr: bigint | number): bigint | number {
    switch (group) {
      case GRP.ADDR:
        if (Number(attr) !== ADDR_TYPE.ITS) return -ENODEV;
        return this.#base === undefined ? 0xffff_ffff_ffff_ffffn : BigInt(this.#base);
      case GRP.ITS_REGS: {
        const offset = Number(attr);
        const error = this.#checkRegister(offset);
        if (error < 0) return error;
        return isWide(offset) ? toBigint(this.#read(offset), this.#read(offset + 4)) : BigInt(this.#read(offset));
      }
      default:
        return -ENXIO;
    }
  }

  #setAddress(type: number, address: number): number {
    if (type !== ADDR_TYPE.ITS) return -ENODEV;
    const error = checkFrame(this.vm, this.#base, address, FRAME_BYTES);
    if (error < 0) return error;
    this.#base = address;
    this.vm.mapWindow(address, FRAME_BYTES, this.#frame());
    return 0;
  }

  #control(attr: number): number {
    if (attr === CTRL.INIT) return 0;
    if (!this.vm.allVcpusStopped) return -EBUSY;
    switch (attr) {
      case CTRL.ITS_RESET:
        this.#reset();
        return 0;
      case CTRL.ITS_SAVE_TABLES:
        return saveTables(this);
      case CTRL.ITS_RESTORE_TABLES:
        return restoreTables(this);
      default:
        return 0;
    }
  }

  /** What a register access needs, in the kernel's order of checks. */
  #checkRegister(offset: number): number {
    if (offset % alignmentOf(offset) !== 0) return -EINVAL;
    if (this.#base === undefined) return -ENXIO;
    if (!isRegister(offset)) return -ENXIO;
    return this.vm.allVcpusStopped ? 0 : -EBUSY;
  }

  #reset(): void {
    this.#regs[BASER_DEVICE + 1]! &= ~VALID;
    this.#regs[BASER_COLLECTION + 1]! &= ~VALID;
    this.#regs.fill(0, 0, 6);
    this.#enabled = false;
    this.freeDevices();
    this.collections.length = 0;
  }

  // Registers

  #frame(): GuestDevice {
    return {
      load: (_vcpu, offset, width) => {
        if (width === 8) return isWide(offset) ? toBigint(this.#read(offset), this.#read(offset + 4)) : 0n;
        return width === 4 ? BigInt(this.#read(offset)) : 0n;
      },
      store: (_vcpu, offset, width, value) => {
        if (width === 8 && isWide(offset)) this.#write(offset, lowHalf(value), highHalf(value));
        else if (width === 4) this.#writeHalf(offset, lowHalf(value));
      },
    };
  }

  #read(offset: number): number {
    switch (offset) {
      case REG.CTLR:
        return ((this.#enabled ? 1 : 0) | (this.#regs[CREADR] === this.#regs[CWRITER] ? QUIESCENT : 0)) >>> 0;
      case REG.IIDR:
        return 0x4b00_043b;
      case REG.TYPER:
        return 0x1_ef71;
      case REG.TYPER + 4:
        return 0;
      default:
        if (offset >= REG.CBASER && offset < REG.CREADR + 8) return this.#regs[(offset - REG.CBASER) / 4]!;
        if (offset >= REG.BASER && offset < REG.BASER + 16) return this.#regs[BASER_DEVICE + (offset - REG.BASER) / 4]!;
        return [0x40, 0, 0, 0, 0x92, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1][(offset - REG.IDREGS) / 4] ?? 0;
    }
  }

  /** A write by user space, which may also move CREADR and choose a table format. */
  #writeUser(offset: number, value: bigint): number {
    if (offset === REG.IIDR) return (lowHalf(value) & 0xf000) === 0 ? 0 : -EINVAL;
    if (offset !== REG.CREADR) {
      this.#write(offset, lowHalf(value), highHalf(value));
      return 0;
    }
    if (this.#enabled) return -EBUSY;
    const at = lowHalf(value) & OFFSET_MASK;
    if (at >= this.#queueBytes) return -EINVAL;
    this.#regs[CREADR] = at;
    return 0;
  }

  #writeHalf(offset: number, word: number): void {
    if (!isWide(offset & ~4)) {
      this.#write(offset, word, 0);
      return;
    }
    const register = offset & ~4;
    if (offset === register) this.#write(register, word, this.#read(register + 4));
    else this.#write(register, this.#read(register), word);
  }

  #write(offset: number, lo: number, hi: number): void {
    const regs = this.#regs;
    switch (offset) {
      case REG.CTLR:
        this.#setEnabled((lo & 1) !== 0);
        return;
      case REG.CBASER:
        if (this.#enabled) return;
        regs[CBASER] = (sanitiseShareability(lo) & ~0xf000) >>> 0;
        regs[CBASER + 1] = sanitiseHigh(hi);
        regs.fill(0, CWRITER, CREADR + 2);
        return;
      case REG.CWRITER: {
        const at = lo & OFFSET_MASK;
        if (at >= this.#queueBytes) return;
        regs[CWRITER] = at;
        this.#processCommands();
        return;
      }
      case REG.BASER:
        this.#setBaser(BASER_DEVICE, lo, hi);
        return;
      case REG.BASER + 8:
        this.#setBaser(BASER_COLLECTION, lo, hi & ~INDIRECT);
        return;
    }
  }

  #setBaser(half: number, lo: number, hi: number): void {
    if (this.#enabled) return;
    this.#regs[half] = ((sanitiseShareability(lo) & ~0x300) | 0x200) >>> 0;
    this.#regs[half + 1] = (sanitiseHigh(hi & 0xf8e0_ffff) | BASER_RESET[half]!) >>> 0;
    if ((hi & VALID) !== 0) return;
    if (half === BASER_DEVICE) this.freeDevices();
    else this.freeCollections();
  }

  #setEnabled(enable: boolean): void {
    const ready = this.baserValid(BASER_DEVICE) && this.baserValid(BASER_COLLECTION) && (this.#regs[CBASER + 1]! & VALID) !== 0;
    if (!this.#enabled && enable && !ready) return;
    this.#enabled = enable;
    if (!enable) this.vm.cache.invalidate();
    this.#processCommands();
  }

  get #queueBytes(): number {
    return ((this.#regs[CBASER]! & 0xff) + 1) * 4096;
  }

  #processCommands(): void {
    const regs = this.#regs;
    if (!this.#enabled || this.#running) return;
    this.#running = true;
    const base = toNumber(regs[CBASER]! & 0xffff_f000, regs[CBASER + 1]! & 0xf_ffff);
    const { memory } = this.vm;
    while (regs[CREADR] !== regs[CWRITER] && regs[CREADR]! < this.#queueBytes) {
      const at = base + regs[CREADR]!;
      // A command that cannot be read is skipped.
      if (memory.accessible(at, 32)) this.#command(at);
      regs[CREADR] = (regs[CREADR]! + 32) % this.#queueBytes;
    }
    this.#running = false;
  }

  // Tables

  baserValid(half: number): boolean {
    return (this.#regs[half + 1]! & VALID) !== 0;
  }

  baserIndirect(half: number): boolean {
    return (this.#regs[half + 1]! & INDIRECT) !== 0;
  }

  /** Guest physical address of a table: 64 KiB pages, so bits [15:12] are address bits [51:48]. */
  baserAddress(half: number): number {
    return toNumber(this.#regs[half]! & 0xffff_0000, (this.#regs[half + 1]! & 0xffff) + ((this.#regs[half]! >>> 12) & 0xf) * 0x1_0000);
  }

  baserBytes(half: number): number {
    return ((this.#regs[half]! & 0xff) + 1) * PAGE_64K;
  }

  /** vgic_its_check_id(): the guest physical address of an id's entry; undefined when it has none in guest memory. */
  entryAddress(half: number, id: number): number | undefined {
    if (id >= 0x1_0000) return undefined;
    const { memory } = this.vm;
    const base = this.baserAddress(half);
    const bytes = this.baserBytes(half);
    if (!this.baserIndirect(half)) {
      if (id >= bytes / 8) return undefined;
      return memory.accessible(base + id * 8, 1) ? base + id * 8 : undefined;
    }
    const index = Math.floor(id / (PAGE_64K / 8));
    if (index >= bytes / 8 || !memory.accessible(base + index * 8, 8)) return undefined;
    const hi = memory.read32(base + index * 8 + 4);
    if ((hi & VALID) === 0) return undefined;
    const page = toNumber(memory.read32(base + index * 8) & 0xffff_0000, hi & 0xf_ffff);
    const address = page + (id % (PAGE_64K / 8)) * 8;
    return memory.accessible(address, 1) ? address : undefined;
  }

  /** vgic_its_check_event_id(): the event is in the ITT, and its entry is in guest memory. */
  eventInRange(device: ItsGuestDevice, event: number): boolean {
    if (event >= 2 ** device.bits) return false;
    return !this.vm.profile.checksItePage || this.vm.memory.accessible(device.itt + event * 8, 1);
  }

  // Look-ups

  findDevice(id: number): ItsGuestDevice | undefined {
    return this.devices.find((device) => device.id === id);
  }

  findCollection(icid: number): Collection | undefined {
    return this.collections.find((collection) => collection.icid === icid);
  }

  findEvent(device: number, event: number): Event | undefined {
    return this.findDevice(device)?.events.get(event);
  }

  vcpuOf(collection: Collection | undefined): Vcpu | undefined {
    return collection === undefined || collection.target === NOT_MAPPED ? undefined : this.vm.vcpus[collection.target];
  }

  /** vgic_its_resolve_lpi(). @returns the LPI, a positive ITS code, or -EBUSY */
  resolve(device: number, event: number): VgicIrq | number {
    if (!this.#enabled) return -EBUSY;
    const found = this.findEvent(device, event);
    const vcpu = this.vcpuOf(found?.collection);
    if (found === undefined || vcpu === undefined) return E_ITS.INT_UNMAPPED_INTERRUPT;
    if (!vcpu.lpisEnabled) return -EBUSY;
    this.vm.cache.add(this.index, device, event, found.irq);
    return found.irq;
  }

  /** vgic_its_trigger_msi(). @returns 0, a positive ITS code, or a negative errno */
  triggerMsi(device: number, event: number): number {
    const irq = this.resolve(device, event);
    if (typeof irq === 'number') return irq;
    if (irq.hw) {
      irq.hostIrq?.setPending(true);
      return 0;
    }
    irq.pendingLatch = true;
    this.vm.lpis.queue(irq);
    return 0;
  }

  // LPIs

  /** vgic_add_lpi(). @returns the LPI with a reference, or -EFAULT when its configuration cannot be read */
  addLpi(intid: number, vcpu: Vcpu | undefined): VgicIrq | number {
    const { lpis } = this.vm;
    const known = lpis.find(intid);
    if (known !== undefined) {
      known.references += 1;
      return known;
    }
    const irq = new VgicIrq(intid);
    irq.target = vcpu;
    lpis.add(irq);
    const error = this.#readConfiguration(irq, undefined, false) || this.#takePendingBit(irq);
    if (error < 0) {
      lpis.unqueue(irq);
      lpis.put(irq);
      return error;
    }
    return irq;
  }

  /** update_lpi_config(). @param only leaves LPIs of other vCPUs alone */
  #readConfiguration(irq: VgicIrq, only: Vcpu | undefined, invalidate: boolean): number {
    const { memory, vgic } = this.vm;
    const address = (vgic?.propertyTable ?? 0) + irq.intid - FIRST_LPI;
    if (!memory.accessible(address, 1)) return -EFAULT;
    const property = memory.read8(address);
    if (only === undefined || only === irq.target) {
      irq.priority = property & 0xfc;
      irq.enabled = (property & 1) !== 0;
      if (!irq.hw) {
        this.vm.lpis.queue(irq);
        return 0;
      }
    }
    if (irq.hw) irq.hostIrq?.updateVlpi(propertiesOf(irq), invalidate);
    return 0;
  }

  /** vgic_v3_lpi_sync_pending_status(): the bit in guest memory moves to the latch. */
  #takePendingBit(irq: VgicIrq): number {
    const { memory, vgic } = this.vm;
    if (irq.target === undefined || vgic === undefined) return 0;
    const address = vgic.pendingTable(irq.target) + (irq.intid >>> 3);
    if (!memory.accessible(address, 1)) return -EFAULT;
    const byte = memory.read8(address);
    const bit = 1 << (irq.intid & 7);
    irq.pendingLatch = (byte & bit) !== 0;
    this.vm.lpis.queue(irq);
    if ((byte & bit) === 0) return 0;
    if (!memory.accessible(address, 1, true)) return -EFAULT;
    memory.write8(address, byte & ~bit);
    return 0;
  }

  /** update_affinity(). */
  #retarget(irq: VgicIrq, vcpu: Vcpu | undefined): void {
    const from = irq.target;
    irq.target = vcpu;
    if (irq.hw) moveVlpi(irq, from);
  }

  #freeEvent(device: ItsGuestDevice, event: Event): void {
    device.events.delete(event.id);
    if (event.irq.hw) unmapVlpi(event.irq);
    this.vm.lpis.put(event.irq);
  }

  freeDevice(device: ItsGuestDevice): void {
    for (const event of [...device.events.values()]) this.#freeEvent(device, event);
    this.devices.splice(this.devices.indexOf(device), 1);
    this.vm.cache.invalidate();
  }

  freeDevices(): void {
    for (const device of [...this.devices]) this.freeDevice(device);
  }

  freeCollections(): void {
    for (const collection of [...this.collections]) this.freeCollection(collection);
  }

  /** The collection's events become orphans, for good. */
  freeCollection(collection: Collection): void {
    for (const device of this.devices) {
      for (const event of device.events.values()) if (event.collection === collection) event.collection = undefined;
    }
    this.collections.splice(this.collections.indexOf(collection), 1);
  }

  /** GICR_INVLPIR of the guest. */
  invalidateLpi(intid: number): void {
    const irq = this.vm.lpis.find(intid);
    if (irq !== undefined) this.#readConfiguration(irq, undefined, true);
  }

  /** INVALL, and GICR_INVALLR of the guest. */
  invalidateAll(vcpu: Vcpu): void {
    for (const irq of [...this.vm.lpis.all()]) this.#readConfiguration(irq, vcpu, false);
    if (vcpu.vpe?.mapped === true) vcpu.vpe.invalidateAll();
  }

  // Commands

  /** @returns 0, an ITS code, or a negative errno: all the same to the guest */
  #command(at: number): number {
    const { memory } = this.vm;
    const word = (n: number): number => memory.read32(at + 4 * n);
    const device = word(1);
    const event = word(2);
    const icid = word(4) & 0xffff;
    /** A vCPU's number: 32 bits from bit 16 on. */
    const target = (n: number): number => (((word(n + 1) & 0xffff) << 16) | (word(n) >>> 16)) >>> 0;
    const valid = (word(5) & VALID) !== 0;
    switch (word(0) & 0xff) {
      case OPCODE.MAPD:
        return this.#mapd(device, (word(2) & 0x1f) + 1, toNumber(word(4) & 0xffff_ff00, word(5) & 0xf_ffff), valid);
      case OPCODE.MAPC:
        return this.#mapc(icid, target(4), valid);
      case OPCODE.MAPTI:
        return this.#mapti(device, event, word(3), icid);
      case OPCODE.MAPI:
        return this.#mapti(device, event, event, icid);
      case OPCODE.MOVI:
        return this.#movi(device, event, icid);
      case OPCODE.DISCARD:
        return this.#discard(device, event);
      case OPCODE.CLEAR:
        return this.#clear(device, event);
      case OPCODE.INT:
        return this.triggerMsi(device, event);
      case OPCODE.INV: {
        const found = this.findEvent(device, event);
        return found === undefined ? E_ITS.INV_UNMAPPED_INTERRUPT : this.#readConfiguration(found.irq, undefined, true);
      }
      case OPCODE.INVALL: {
        const vcpu = this.vcpuOf(this.findCollection(icid));
        if (vcpu === undefined) return E_ITS.INVALL_UNMAPPED_COLLECTION;
        this.invalidateAll(vcpu);
        return 0;
      }
      case OPCODE.MOVALL:
        return this.#movall(target(4), target(6));
      default:
        return word(0) === OPCODE.SYNC ? 0 : -ENODEV;
    }
  }

  #mapd(id: number, bits: number, itt: number, valid: boolean): number {
    const entry = this.entryAddress(BASER_DEVICE, id);
    if (entry === undefined) return E_ITS.MAPD_DEVICE_OOR;
    if (valid && bits > 16) return E_ITS.MAPD_ITTSIZE_OOR;
    const old = this.findDevice(id);
    if (old !== undefined) this.freeDevice(old);
    if (valid) this.devices.push({ id, bits, itt, events: new Map() });
    else this.#zero(entry);
    return 0;
  }

  /** So that a later save and restore cannot bring an unmapped entry back (since 6.13, and in 6.1.192). */
  #zero(entry: number): void {
    const { memory, profile } = this.vm;
    if (!profile.zeroesUnmapped || !memory.accessible(entry, 8, true)) return;
    memory.write32(entry, 0);
    memory.write32(entry + 4, 0);
  }

  #mapc(icid: number, target: number, valid: boolean): number {
    if ((valid || this.vm.profile.unmapChecksTarget) && target >= this.vm.vcpus.length) return E_ITS.MAPC_PROCNUM_OOR;
    const old = this.findCollection(icid);
    if (!valid) {
      if (old !== undefined) this.freeCollection(old);
      this.vm.cache.invalidate();
      return 0;
    }
    if (old === undefined) {
      if (this.entryAddress(BASER_COLLECTION, icid) === undefined) return E_ITS.MAPC_COLLECTION_OOR;
      this.collections.push({ icid, target });
      return 0;
    }
    old.target = target;
    for (const device of this.devices) {
      for (const event of device.events.values()) if (event.collection === old) this.#retarget(event.irq, this.vcpuOf(old));
    }
    return 0;
  }

  #mapti(deviceId: number, eventId: number, intid: number, icid: number): number {
    const device = this.findDevice(deviceId);
    if (device === undefined) return E_ITS.MAPTI_UNMAPPED_DEVICE;
    if (!this.eventInRange(device, eventId)) return E_ITS.MAPTI_ID_OOR;
    if (intid < FIRST_LPI || intid >= (this.vm.vgic?.lpiLimit ?? 0)) return E_ITS.MAPTI_PHYSICALID_OOR;
    if (device.events.has(eventId)) return 0;
    let collection = this.findCollection(icid);
    const fresh = collection === undefined;
    if (collection === undefined) {
      if (this.entryAddress(BASER_COLLECTION, icid) === undefined) return E_ITS.MAPC_COLLECTION_OOR;
      collection = { icid, target: NOT_MAPPED };
      this.collections.push(collection);
    }
    const irq = this.addLpi(intid, this.vcpuOf(collection));
    if (typeof irq === 'number') {
      if (fresh) this.freeCollection(collection);
      return irq;
    }
    device.events.set(eventId, { id: eventId, irq, collection });
    return 0;
  }

  #movi(device: number, event: number, icid: number): number {
    const found = this.findEvent(device, event);
    if (found === undefined) return E_ITS.MOVI_UNMAPPED_INTERRUPT;
    const collection = this.findCollection(icid);
    const vcpu = this.vcpuOf(collection);
    if (this.vcpuOf(found.collection) === undefined || vcpu === undefined) return E_ITS.MOVI_UNMAPPED_COLLECTION;
    found.collection = collection;
    this.vm.cache.invalidate();
    this.#retarget(found.irq, vcpu);
    return 0;
  }

  #discard(deviceId: number, eventId: number): number {
    const device = this.findDevice(deviceId);
    const found = device?.events.get(eventId);
    if (device === undefined || found === undefined || this.vcpuOf(found.collection) === undefined) return E_ITS.DISCARD_UNMAPPED_INTERRUPT;
    this.vm.cache.invalidate();
    this.#freeEvent(device, found);
    this.#zero(device.itt + eventId * 8);
    return 0;
  }

  #clear(device: number, event: number): number {
    const found = this.findEvent(device, event);
    if (found === undefined) return E_ITS.CLEAR_UNMAPPED_INTERRUPT;
    found.irq.pendingLatch = false;
    if (found.irq.hw) found.irq.hostIrq?.setPending(false);
    return 0;
  }

  #movall(from: number, to: number): number {
    const { vcpus } = this.vm;
    if (from >= vcpus.length || to >= vcpus.length) return E_ITS.MOVALL_PROCNUM_OOR;
    if (from === to) return 0;
    const all = this.vm.profile.movallMovesAll;
    for (const irq of this.vm.lpis.all()) if (all || irq.target === vcpus[from]) this.#retarget(irq, vcpus[to]);
    this.vm.cache.invalidate();
    return 0;
  }
}

/** Shareability, bits [11:10]: outer becomes inner. */
function sanitiseShareability(lo: number): number {
  return ((lo >>> 10) & 3) === 2 ? ((lo & ~0xc00) | 0x400) >>> 0 : lo;
}

/** Inner cacheability, bits [61:59], and outer, bits [55:53]. */
function sanitiseHigh(hi: number): number {
  const inner = (hi >>> 27) & 7;
  const outer = (hi >>> 21) & 7;
  return ((hi & ~0x38e0_0000) | ((inner < 2 ? 3 : inner) << 27) | ((outer >= 2 ? 0 : outer) << 21)) >>> 0;
}

function alignmentOf(offset: number): number {
  return offset < REG.TYPER || offset >= REG.IDREGS ? 4 : 8;
}

function isWide(offset: number): boolean {
  return offset === REG.TYPER || (offset >= REG.CBASER && offset < REG.CREADR + 8) || (offset >= REG.BASER && offset < REG.BASER + 64);
}

function isRegister(offset: number): boolean {
  return offset < REG.TYPER || isWide(offset) || (offset >= REG.IDREGS && offset < 0x1_0000);
}
