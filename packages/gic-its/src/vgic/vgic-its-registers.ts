/**
 * The registers of an emulated ITS, and the tables in guest memory that they describe.
 *
 * Kernel: vgic_mmio_*_its_*(), vgic_sanitise_its_baser(), vgic_its_check_id() of vgic-its.c. CBASER, CWRITER, CREADR, BASER0 and BASER1
 * are kept in halves; every other BASER is RAZ/WI. Modelled: all that a guest or user space can reach.
 */
import { EBUSY, EINVAL, hex, highHalf, lowHalf, toBigint, toNumber, type Host, type Refusals, type Sleeps, type Trace } from '@vsim/vfio-core';
import type { GuestMemory } from './guest-memory.ts';
import { QUEUE_DEFERRED } from './events.ts';
import { REGISTER_VALUE } from './vm-reasons.ts';
import type { GuestDevice } from './guest-bus.ts';
import type { VgicProfile } from './vgic-profile.ts';

// Offsets of registers.
const REG = { CTLR: 0x0, IIDR: 0x4, TYPER: 0x8, CBASER: 0x80, CWRITER: 0x88, CREADR: 0x90, BASER: 0x100, IDREGS: 0xffd0 } as const;

const PAGE_64K = 0x1_0000;
const VALID = 0x8000_0000;
const INDIRECT = 0x4000_0000;
const OFFSET_MASK = 0xf_ffe0;
const QUIESCENT = 0x8000_0000;
const COMMAND_BYTES = 32;
/** Steps of one store's commands. What is left goes on with the guest's next load here, or as time passes: as much each millisecond. */
const STEPS_AT_ONCE = 0x10_0000;
const MILLISECOND = 1_000_000;

// Low halves in #regs.
const CBASER = 0;
const CWRITER = 2;
const CREADR = 4;
/** BASER0, the table of devices. */
export const BASER_DEVICE = 6;
/** BASER1, the table of collections. */
export const BASER_COLLECTION = 8;
export type ItsTableRegister = typeof BASER_DEVICE | typeof BASER_COLLECTION;

/** Type and Entry_Size, which are read-only: high halves. */
const BASER_FIXED: Readonly<Record<ItsTableRegister, number>> = { [BASER_DEVICE]: 0x0107_0000, [BASER_COLLECTION]: 0x0407_0000 };

/** What a register write brings about. */
export interface RegisterEffects {
  /** A table is not valid any more, or, since 6.12.113, another one. */
  tableGone(table: ItsTableRegister): void;
  /** CWRITER was written. */
  posted(): void;
  /** The ITS was disabled. */
  disabled(): void;
  /** The command at a guest physical address is next. @param address of its 32 bytes */
  command(address: number): void;
  /** The next command cannot be read. @param address where it is, guest physical */
  unreadable(address: number): void;
}

/** A VM as the registers of its ITS know it: the memory that has the command queue, and how long commands take. */
export interface QueueVm {
  readonly host: Host;
  readonly profile: VgicProfile;
  readonly memory: GuestMemory;
  readonly refusals: Refusals;
  readonly trace: Trace;
  /** Steps of commands that were done. */
  work: number;
}

export class ItsRegisters {
  readonly #vm: QueueVm;
  readonly #memory: GuestMemory;
  /** The ITS' number in the VM. */
  readonly #its: number;
  readonly #effects: RegisterEffects;
  readonly #regs = new Uint32Array(10);
  #enabled = false;
  #running = false;
  /** A thread has the rest of the queue. */
  #deferred = false;

  constructor(vm: QueueVm, its: number, effects: RegisterEffects) {
    this.#vm = vm;
    this.#memory = vm.memory;
    this.#its = its;
    this.#effects = effects;
    for (const table of [BASER_DEVICE, BASER_COLLECTION] as const) this.#regs.set([0x600, 0x1800_0000 | BASER_FIXED[table]], table);
  }

  /** GITS_CTLR.Enabled. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** KVM_DEV_ARM_ITS_CTRL_RESET: the BASERs keep all but Valid. */
  reset(): void {
    this.#regs[BASER_DEVICE + 1]! &= ~VALID;
    this.#regs[BASER_COLLECTION + 1]! &= ~VALID;
    this.#regs.fill(0, 0, BASER_DEVICE);
    this.#enabled = false;
  }

  /** The control frame as the guest's aligned loads and stores of 4 and 8 bytes find it; GITS_TRANSLATER takes none. */
  frame(): GuestDevice {
    return {
      load: (_vcpu, offset, width) => {
        this.#processCommands();
        return width === 8 ? this.readWide(offset) : BigInt(this.#read(offset));
      },
      store: (_vcpu, offset, width, value) => {
        if (width === 8) this.#write(offset, lowHalf(value), highHalf(value));
        else this.#writeHalf(offset, lowHalf(value));
      },
    };
  }

  /** The register at `offset`, 32 or 64 bits of it. */
  readWide(offset: number): bigint {
    return isWide(offset) ? toBigint(this.#read(offset), this.#read(offset + 4)) : BigInt(this.#read(offset));
  }

  /**
   * A write by user space, which may also move CREADR and choose a table format.
   *
   * @param offset bytes from the control frame
   * @returns 0, -EINVAL or -EBUSY
   */
  writeUser(offset: number, value: bigint): number {
    if (offset === REG.IIDR) return (lowHalf(value) & 0xf000) === 0 ? 0 : this.#refuse('GITS_IIDR', value, BigInt(this.#read(REG.IIDR)), EINVAL);
    if (offset !== REG.CREADR) {
      this.#write(offset, lowHalf(value), highHalf(value));
      return 0;
    }
    if (this.#enabled) return this.#refuse('GITS_CREADR of an ITS that is on', value, BigInt(this.#regs[CREADR]!), EBUSY);
    const at = lowHalf(value) & OFFSET_MASK;
    if (at >= this.#queueBytes) return this.#refuse('GITS_CREADR beyond the queue', value, BigInt(this.#queueBytes), EINVAL);
    this.#regs[CREADR] = at;
    return 0;
  }

  #refuse(register: string, value: bigint, has: bigint, errno: number): number {
    return this.#vm.refusals.refuse(REGISTER_VALUE, { register, value, has }, errno);
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

  #writeHalf(offset: number, word: number): void {
    const register = offset & ~4;
    if (!isWide(register)) this.#write(offset, word, 0);
    else if (offset === register) this.#write(register, word, this.#read(register + 4));
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
        this.#effects.posted();
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

  #setBaser(table: ItsTableRegister, lo: number, hi: number): void {
    if (this.#enabled) return;
    const low = ((sanitiseShareability(lo) & ~0x300) | 0x200) >>> 0;
    const high = (sanitiseHigh(hi & 0xf8e0_ffff) | BASER_FIXED[table]) >>> 0;
    const changes = low !== this.#regs[table] || high !== this.#regs[table + 1];
    this.#regs[table] = low;
    this.#regs[table + 1] = high;
    if (this.#vm.profile.baserChangeFrees ? changes : (hi & VALID) === 0) this.#effects.tableGone(table);
  }

  #setEnabled(enable: boolean): void {
    const ready = this.tableValid(BASER_DEVICE) && this.tableValid(BASER_COLLECTION) && (this.#regs[CBASER + 1]! & VALID) !== 0;
    if (!this.#enabled && enable && !ready) return;
    this.#enabled = enable;
    if (!enable) this.#effects.disabled();
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
    const end = this.#vm.work + STEPS_AT_ONCE;
    while (this.#vm.work < end && regs[CREADR] !== regs[CWRITER] && regs[CREADR]! < this.#queueBytes) {
      const at = base + regs[CREADR]!;
      // A command that cannot be read is skipped.
      if (this.#memory.accessible(at, COMMAND_BYTES)) this.#effects.command(at);
      else this.#effects.unreadable(at);
      regs[CREADR] = (regs[CREADR]! + COMMAND_BYTES) % this.#queueBytes;
      this.#vm.work += 1;
    }
    this.#running = false;
    if (this.#vm.work >= end && !this.#deferred && regs[CREADR] !== regs[CWRITER]) this.#defer();
  }

  #defer(): void {
    const { host, trace } = this.#vm;
    if (trace.on) trace.emit(QUEUE_DEFERRED, { its: this.#its });
    this.#deferred = true;
    host.scheduler.spawn('its-commands', this.#rest());
  }

  *#rest(): Sleeps<void> {
    while (this.#enabled && this.#regs[CREADR] !== this.#regs[CWRITER] && this.#regs[CREADR]! < this.#queueBytes) {
      yield* this.#vm.host.scheduler.sleep(MILLISECOND);
      this.#processCommands();
    }
    this.#deferred = false;
  }

  // Tables

  tableValid(table: ItsTableRegister): boolean {
    return (this.#regs[table + 1]! & VALID) !== 0;
  }

  tableIndirect(table: ItsTableRegister): boolean {
    return (this.#regs[table + 1]! & INDIRECT) !== 0;
  }

  /** Guest physical address of a table: 64 KiB pages, so bits [15:12] are address bits [51:48]. */
  tableAddress(table: ItsTableRegister): number {
    return toNumber(this.#regs[table]! & 0xffff_0000, (this.#regs[table + 1]! & 0xffff) + ((this.#regs[table]! >>> 12) & 0xf) * 0x1_0000);
  }

  /** Bytes of a flat table, or of the first level of an indirect one. */
  tableBytes(table: ItsTableRegister): number {
    return ((this.#regs[table]! & 0xff) + 1) * PAGE_64K;
  }

  /**
   * The guest physical address of an id's entry; undefined when it has none in guest memory. Kernel: vgic_its_check_id().
   *
   * @param id DeviceID or ICID
   */
  entryAddress(table: ItsTableRegister, id: number): number | undefined {
    if (id >= 0x1_0000) return undefined;
    const memory = this.#memory;
    const base = this.tableAddress(table);
    const bytes = this.tableBytes(table);
    if (!this.tableIndirect(table)) {
      if (id >= bytes / 8) return undefined;
      return memory.visible(base + id * 8) ? base + id * 8 : undefined;
    }
    const index = Math.floor(id / (PAGE_64K / 8));
    if (index >= bytes / 8 || !memory.accessible(base + index * 8, 8)) return undefined;
    const hi = memory.read32(base + index * 8 + 4);
    if ((hi & VALID) === 0) return undefined;
    const page = toNumber(memory.read32(base + index * 8) & 0xffff_0000, hi & 0xf_ffff);
    const address = page + (id % (PAGE_64K / 8)) * 8;
    return memory.visible(address) ? address : undefined;
  }

  /** Why an id has no entry; undefined when it has one. @param id DeviceID or ICID */
  entryProblem(table: ItsTableRegister, id: number): { readonly table: number; readonly is: string } | undefined {
    if (this.entryAddress(table, id) !== undefined) return undefined;
    const base = this.tableAddress(table);
    const indirect = this.tableIndirect(table);
    const index = indirect ? Math.floor(id / (PAGE_64K / 8)) : id;
    const within = id < 0x1_0000 && index < this.tableBytes(table) / 8;
    const first = base + index * 8;
    if (!within) return { table: base, is: 'beyond the table' };
    if (!indirect || !this.#memory.accessible(first, 8)) return { table: base, is: `entry at ${hex(first)} is not in memory` };
    const valid = (this.#memory.read32(first + 4) & VALID) !== 0;
    return { table: base, is: valid ? `the page that the first level at ${hex(first)} names is not in memory` : `the first level at ${hex(first)} is not valid` };
  }
}

/** What an access by user space has to be a multiple of. @param offset bytes from the control frame */
export function alignmentOf(offset: number): number {
  return offset < REG.TYPER || offset >= REG.IDREGS ? 4 : 8;
}

/** Whether there is a register at an offset. @param offset bytes from the control frame */
export function isItsRegister(offset: number): boolean {
  return offset < REG.TYPER || isWide(offset) || (offset >= REG.IDREGS && offset < 0x1_0000);
}

/** Whether an offset is in a register of 64 bits. @param offset bytes from the control frame */
export function isWide(offset: number): boolean {
  return (offset & ~4) === REG.TYPER || (offset >= REG.CBASER && offset < REG.CREADR + 8) || (offset >= REG.BASER && offset < REG.BASER + 64);
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
