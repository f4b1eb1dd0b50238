/**
 * SGIs, PPIs and SPIs: the interrupts that a distributor or redistributor keeps in registers.
 *
 * Reference: Arm IHI 0069, GICD_IGROUPR<n> to GICD_NSACR<n> and their GICR_ twins at the same offsets.
 * Modelled: group, enable, pending, active, priority, configuration; an input level per interrupt; candidates of both groups.
 * Not modelled: two security states (GICD_CTLR.DS is 1; IGRPMODR and NSACR are RAZ/WI), extended ranges.
 */
import type { Candidate } from './pending-bits.ts';

const IGROUPR = 0x0080;
const ISENABLER = 0x0100;
const ICENABLER = 0x0180;
const ISPENDR = 0x0200;
const ICPENDR = 0x0280;
const ISACTIVER = 0x0300;
const ICACTIVER = 0x0380;
const IPRIORITYR = 0x0400;
const ICFGR = 0x0c00;

/** Knows the PE to which SPI `index` goes. */
export interface SpiRouter {
  target(index: number): number;
}

/** Registers of one bank of interrupts. INTIDs run from `first` to `first + count`, both multiples of 32. */
export class WiredInterrupts {
  readonly first: number;
  readonly count: number;
  readonly group: Uint8Array;
  readonly enabled: Uint8Array;
  readonly latch: Uint8Array;
  readonly level: Uint8Array;
  readonly active: Uint8Array;
  readonly priority: Uint8Array;
  readonly edge: Uint8Array;

  constructor(first: number, count: number) {
    this.first = first;
    this.count = count;
    this.group = new Uint8Array(count);
    this.enabled = new Uint8Array(count);
    this.latch = new Uint8Array(count);
    this.level = new Uint8Array(count);
    this.active = new Uint8Array(count);
    this.priority = new Uint8Array(count);
    this.edge = new Uint8Array(count);
    this.reset();
  }

  /** Registers as after a warm reset; inputs keep their levels. */
  reset(): void {
    for (const bits of [this.group, this.enabled, this.latch, this.active, this.priority, this.edge]) bits.fill(0);
    // SGIs are edge-triggered and cannot be configured.
    if (this.first === 0) this.edge.fill(1, 0, 16);
  }

  pending(index: number): boolean {
    return this.latch[index] !== 0 || (this.edge[index] === 0 && this.level[index] !== 0);
  }

  /** Offers every enabled, pending, inactive interrupt to the candidate of its group. @param router of SPIs: those that go to PE `cpu` */
  scan(best1: Candidate, best0: Candidate, router?: SpiRouter, cpu = 0): void {
    for (let i = 0; i < this.count; i += 1) {
      if (this.enabled[i] === 0 || this.active[i] !== 0 || !this.pending(i) || (router !== undefined && router.target(i) !== cpu)) continue;
      const best = this.group[i] === 0 ? best0 : best1;
      const priority = this.priority[i]!;
      if (priority >= best.priority) continue;
      best.intid = this.first + i;
      best.priority = priority;
    }
  }

  /** The input's level, or an edge on it. @param index INTID less the first one */
  setLevel(index: number, level: boolean): void {
    if (level && this.edge[index] !== 0 && this.level[index] === 0) this.latch[index] = 1;
    this.level[index] = level ? 1 : 0;
  }

  /** Acknowledged by a CPU: active, and an edge is consumed. @param index INTID less the first one */
  acknowledge(index: number): void {
    this.active[index] = 1;
    if (this.edge[index] !== 0) this.latch[index] = 0;
  }

  /** Inputs of 32 interrupts, one bit each. @param first INTID of the first */
  readLevels(first: number): number {
    return this.#word(this.level, first - this.first);
  }

  /** Sets inputs alone: no edge is seen. @param first index of bit 0 @param levels 32 bits */
  writeLevels(first: number, levels: number): void {
    for (let i = 0; i < 32; i += 1) if (first + i - this.first < this.count) this.level[first + i - this.first] = (levels >>> i) & 1;
  }

  read(offset: number, width: number): number {
    if (offset >= IPRIORITYR && offset < 0x0800) {
      let value = 0;
      for (let i = width - 1; i >= 0; i -= 1) value = value * 256 + (this.priority[offset - IPRIORITYR - this.first + i] ?? 0);
      return value;
    }
    if (width !== 4) return 0;
    if (offset >= ICFGR && offset < 0x0d00) return this.#readConfig((offset - ICFGR) * 4 - this.first);
    const at = (offset & 0x7f) * 8 - this.first;
    switch (offset & ~0x7f) {
      case IGROUPR:
        return this.#word(this.group, at);
      case ISENABLER:
      case ICENABLER:
        return this.#word(this.enabled, at);
      case ISPENDR:
      case ICPENDR:
        return this.#pendingWord(at);
      case ISACTIVER:
      case ICACTIVER:
        return this.#word(this.active, at);
      default:
        return 0;
    }
  }

  write(offset: number, width: number, value: number): void {
    if (offset >= IPRIORITYR && offset < 0x0800) {
      for (let i = 0; i < width; i += 1) this.#setPriority(offset - IPRIORITYR - this.first + i, (value >>> (8 * i)) & 0xff);
      return;
    }
    if (width !== 4) return;
    if (offset >= ICFGR && offset < 0x0d00) {
      this.#writeConfig((offset - ICFGR) * 4 - this.first, value);
      return;
    }
    const at = (offset & 0x7f) * 8 - this.first;
    switch (offset & ~0x7f) {
      case IGROUPR:
        for (let i = 0; i < 32; i += 1) if (at + i >= 0 && at + i < this.count) this.group[at + i] = (value >>> i) & 1;
        return;
      case ISENABLER:
        this.#setBits(this.enabled, at, value, 1);
        return;
      case ICENABLER:
        this.#setBits(this.enabled, at, value, 0);
        return;
      case ISPENDR:
        this.#setBits(this.latch, at, value, 1);
        return;
      case ICPENDR:
        this.#setBits(this.latch, at, value, 0);
        return;
      case ISACTIVER:
        this.#setBits(this.active, at, value, 1);
        return;
      case ICACTIVER:
        this.#setBits(this.active, at, value, 0);
        return;
    }
  }

  #word(bits: Uint8Array, at: number): number {
    let word = 0;
    for (let i = 0; i < 32; i += 1) word |= (bits[at + i] ?? 0) << i;
    return word >>> 0;
  }

  #pendingWord(at: number): number {
    let word = 0;
    for (let i = 0; i < 32; i += 1) if (at + i >= 0 && at + i < this.count && this.pending(at + i)) word |= 1 << i;
    return word >>> 0;
  }

  #setBits(bits: Uint8Array, at: number, value: number, to: number): void {
    for (let i = 0; i < 32; i += 1) if ((value & (1 << i)) !== 0 && at + i >= 0 && at + i < this.count) bits[at + i] = to;
  }

  #setPriority(index: number, value: number): void {
    if (index >= 0 && index < this.count) this.priority[index] = value & 0xf8;
  }

  #readConfig(at: number): number {
    let word = 0;
    for (let i = 0; i < 16; i += 1) word |= (this.edge[at + i] ?? 0) << (2 * i + 1);
    return word >>> 0;
  }

  #writeConfig(at: number, value: number): void {
    for (let i = 0; i < 16; i += 1) {
      const index = at + i;
      if (index >= 0 && index < this.count && this.first + index >= 16) this.edge[index] = (value >>> (2 * i + 1)) & 1;
    }
  }
}
