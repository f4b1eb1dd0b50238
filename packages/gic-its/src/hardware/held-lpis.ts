/**
 * LPIs as a redistributor with caches holds them: pending bits until it is closed, configuration until an invalidation.
 *
 * Reference: Arm IHI 0069, "caching of LPI configuration data", GICR_PENDBASER, VMAPP.
 * A pending LPI's configuration is always held, and indexed by it: whatever memory says meanwhile, it is found again by what it was
 * put in with. Memory is read when bits are taken over and when a configuration byte is needed that is not held.
 */
import type { Memory } from '@vsim/vfio-core';
import type { LpiBank } from './lpi-bank.ts';
import { BLOCK, Candidate, configByte, FIRST_LPI, MemoryPendingBits, NO_PRIORITY } from './pending-bits.ts';
import { PriorityIndex } from './priority-index.ts';

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const FIRST = FIRST_LPI;
const LEAST = NO_PRIORITY;

/** Set in each configuration byte that is held; architected RES1. */
const HELD = 2;
const ENABLED = 1;
const FIRST_WORD = FIRST / 32;

export class HeldLpis implements LpiBank {
  readonly best: Candidate = new Candidate();
  readonly #memory: Memory;
  readonly #table: MemoryPendingBits;
  /** Signed, because masks are: unsigned words would be converted on each access. */
  #pending = new Int32Array(0);
  /** Configuration bytes; 0 is one that is not held. Like the pending bits, for the LPIs up to the highest that was needed. */
  #config = new Uint8Array(0);
  /** All that are pending and enabled but the best one: most are alone. */
  readonly #index = new PriorityIndex();
  #propertyTable = 0;
  #bits = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#table = new MemoryPendingBits(memory);
  }

  place(pendingTable: number, propertyTable: number, bits: number): void {
    this.#table.base = pendingTable;
    this.#propertyTable = propertyTable;
    this.#bits = bits;
  }

  open(zero: boolean): void {
    this.reset();
    if (zero) return;
    const words = this.#words;
    const untouched = this.#table.untouchedWords(FIRST_WORD);
    for (let n = untouched - (untouched % BLOCK); n < words; n += BLOCK) {
      const block = this.#table.block(FIRST_WORD + n);
      for (let i = 0; i < BLOCK; i += 1) if (block[i] !== 0) this.putWord(FIRST_WORD + n + i, block[i]!);
    }
  }

  close(): void {
    const words = this.#words;
    const untouched = this.#table.untouchedWords(FIRST_WORD);
    for (let n = 0; n < words; n += BLOCK) {
      if (n >= this.#pending.length && n + BLOCK <= untouched) continue;
      const block = this.#table.block(FIRST_WORD + n);
      for (let i = n; i < n + BLOCK; i += 1) {
        const word = i < this.#pending.length ? this.#pending[i]! >>> 0 : 0;
        if (word !== block[i - n]) this.#table.setWord(FIRST_WORD + i, word);
      }
    }
    this.#pending.fill(0);
    this.#index.clear();
    this.best.clear();
  }

  reset(): void {
    this.#pending.fill(0);
    this.#config.fill(0);
    this.#index.clear();
    this.best.clear();
  }

  test(intid: number): boolean {
    const n = intid - FIRST;
    return n < this.#config.length && (this.#pending[n >>> 5]! & (1 << (n & 31))) !== 0;
  }

  set(intid: number): boolean {
    const n = intid - FIRST;
    if (n >= this.#config.length) this.#makeRoom(n);
    const old = this.#pending[n >>> 5]!;
    const bit = 1 << (n & 31);
    if ((old & bit) !== 0) return false;
    this.#pending[n >>> 5] = old | bit;
    // There is room; what is not held is read.
    this.#enter(intid, this.#config[n]! || this.#configOf(intid));
    return true;
  }

  clear(intid: number): boolean {
    const n = intid - FIRST;
    if (n >= this.#config.length) return false;
    const old = this.#pending[n >>> 5]!;
    const bit = 1 << (n & 31);
    if ((old & bit) === 0) return false;
    this.#pending[n >>> 5] = old & ~bit;
    this.#leave(intid);
    return true;
  }

  take(intid: number): void {
    this.clear(intid);
  }

  enabled(intid: number): boolean {
    return (this.#configOf(intid) & ENABLED) !== 0;
  }

  invalidate(intid: number): boolean {
    const n = intid - FIRST;
    if (!this.test(intid)) {
      this.#config[n] = 0;
      return false;
    }
    const config = this.#read(intid);
    if (config === this.#config[n]) return false;
    this.#leave(intid);
    this.#config[n] = config;
    this.#enter(intid, config);
    return true;
  }

  forget(intid: number): void {
    if (!this.test(intid)) this.#config[intid - FIRST] = 0;
  }

  invalidateAll(): void {
    this.#config.fill(0);
    this.#index.clear();
    this.best.clear();
    const words = Math.min(this.#words, this.#pending.length);
    for (let n = 0; n < words; n += 1) {
      for (let word = this.#pending[n]!; word !== 0; word = (word & (word - 1)) >>> 0) {
        const intid = FIRST + n * 32 + 31 - Math.clz32(word & -word);
        this.#enter(intid, this.#configOf(intid));
      }
    }
  }

  takeWord(index: number): number {
    const n = index - FIRST_WORD;
    const all = n < this.#pending.length ? this.#pending[n]! >>> 0 : 0;
    for (let word = all; word !== 0; word = (word & (word - 1)) >>> 0) this.clear(index * 32 + 31 - Math.clz32(word & -word));
    return all;
  }

  putWord(index: number, bits: number): void {
    for (let word = bits; word !== 0; word = (word & (word - 1)) >>> 0) this.set(index * 32 + 31 - Math.clz32(word & -word));
  }

  settle(): void {
    // The index is always up to date.
  }

  get #words(): number {
    return Math.max(0, 2 ** this.#bits - FIRST) / 32;
  }

  #configOf(intid: number): number {
    const n = intid - FIRST;
    if (n >= this.#config.length) this.#makeRoom(n);
    const held = this.#config[n]!;
    return held !== 0 ? held : (this.#config[n] = this.#read(intid));
  }

  /** Room for LPI 8192 + `n`. */
  #makeRoom(n: number): void {
    const count = Math.max(1024, 2 ** (32 - Math.clz32(n)));
    const pending = new Int32Array(count / 32);
    const config = new Uint8Array(count);
    pending.set(this.#pending);
    config.set(this.#config);
    this.#pending = pending;
    this.#config = config;
  }

  #read(intid: number): number {
    return configByte(this.#memory, this.#propertyTable, intid) | HELD;
  }

  #enter(intid: number, config: number): void {
    if ((config & ENABLED) === 0) return;
    const { best } = this;
    if (best.priority === LEAST) {
      best.intid = intid;
      best.priority = config & 0xfc;
    } else this.#enterBeside(intid, config & 0xfc);
  }

  /** There is a best one already. */
  #enterBeside(intid: number, priority: number): void {
    const { best } = this;
    if (priority < best.priority || (priority === best.priority && intid < best.intid)) {
      this.#index.add(best.intid, best.priority);
      best.intid = intid;
      best.priority = priority;
    } else {
      this.#index.add(intid, priority);
    }
  }

  #leave(intid: number): void {
    if (intid !== this.best.intid) this.#leaveIndex(intid);
    else if (this.#index.empty) this.best.clear();
    else this.#index.takeFirst(this.best);
  }

  /** It is not the best one. */
  #leaveIndex(intid: number): void {
    const config = this.#config[intid - FIRST]!;
    if ((config & ENABLED) !== 0) this.#index.remove(intid, config & 0xfc);
  }
}
