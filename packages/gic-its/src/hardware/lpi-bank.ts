/**
 * The LPIs of one redistributor, or the VLPIs of one vPE: which are pending, and which of the enabled ones is the best.
 *
 * Reference: Arm IHI 0069, "LPI pending tables", "LPI configuration tables", "caching of LPI configuration data".
 * `LpiTables` holds nothing: memory is looked at when an LPI becomes pending, when the best one goes away, and at an
 * invalidation. `held-lpis.ts` has the other implementation.
 */
import type { Memory } from '@vsim/vfio-core';
import { Candidate, configByte, FIRST_LPI, MemoryPendingBits } from './pending-bits.ts';

/** INTIDs given to it are in [8192, 2 ** bits). */
export interface LpiBank {
  /** The pending, enabled LPI of best priority; ties go to the lower INTID. */
  readonly best: Candidate;
  /**
   * Where the tables are.
   *
   * @param pendingTable physical address
   * @param propertyTable physical address
   * @param bits INTID bits, at most 16
   */
  place(pendingTable: number, propertyTable: number, bits: number): void;
  /** Starts: takes pending bits from memory, or none if the table is said to be zero. */
  open(zero: boolean): void;
  /** Ends: from now on the pending table in memory is the truth. */
  close(): void;
  /** What is held is lost; memory stays as it is. */
  reset(): void;
  test(intid: number): boolean;
  /** An LPI arrives. @param intid of the bank @returns whether it became pending: it was not before */
  set(intid: number): boolean;
  /** An LPI is pending no more. @param intid of the bank @returns whether it was pending */
  clear(intid: number): boolean;
  /** A CPU took the best one. @param intid of `best` */
  take(intid: number): void;
  enabled(intid: number): boolean;
  /** Configuration of one LPI is read again. @param intid of the bank @returns whether the best one may be another */
  invalidate(intid: number): boolean;
  /** Configuration of one LPI that has gone elsewhere is not needed any more. @param intid of the bank */
  forget(intid: number): void;
  invalidateAll(): void;
  /** Takes the pending bits of [32 * index, 32 * index + 32) away; settle() has to follow. @param index 256 or more */
  takeWord(index: number): number;
  /**
   * Adds pending bits of [32 * index, 32 * index + 32); settle() has to follow.
   *
   * @param index 256 or more
   * @param word bit n is the INTID 32 * index + n
   */
  putWord(index: number, word: number): void;
  settle(): void;
}

export class LpiTables implements LpiBank {
  readonly best: Candidate = new Candidate();
  readonly #memory: Memory;
  readonly #pending: MemoryPendingBits;
  #propertyTable = 0;
  #bits = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#pending = new MemoryPendingBits(memory);
  }

  place(pendingTable: number, propertyTable: number, bits: number): void {
    this.#pending.base = pendingTable;
    this.#propertyTable = propertyTable;
    this.#bits = bits;
  }

  open(zero: boolean): void {
    if (zero) for (let index = FIRST_LPI / 32; index < this.#words; index += 1) this.#pending.setWord(index, 0);
    this.settle();
  }

  close(): void {
    this.best.clear();
  }

  reset(): void {
    this.best.clear();
  }

  test(intid: number): boolean {
    return this.#pending.test(intid);
  }

  set(intid: number): boolean {
    if (!this.#pending.change(intid, true)) return false;
    this.best.offer(intid, configByte(this.#memory, this.#propertyTable, intid));
    return true;
  }

  clear(intid: number): boolean {
    if (!this.#pending.change(intid, false)) return false;
    if (intid === this.best.intid) this.settle();
    return true;
  }

  take(intid: number): void {
    this.#pending.change(intid, false);
    this.settle();
  }

  enabled(intid: number): boolean {
    return (configByte(this.#memory, this.#propertyTable, intid) & 1) !== 0;
  }

  /** Looks at everything again: more than is asked for, and allowed. @param _intid whichever it is */
  invalidate(_intid: number): boolean {
    this.settle();
    return true;
  }

  forget(_intid: number): void {
    // Nothing is held.
  }

  invalidateAll(): void {
    this.settle();
  }

  takeWord(index: number): number {
    const word = this.#pending.word(index);
    if (word !== 0) this.#pending.setWord(index, 0);
    return word;
  }

  putWord(index: number, word: number): void {
    this.#pending.setWord(index, (this.#pending.word(index) | word) >>> 0);
  }

  settle(): void {
    this.best.clear();
    const words = this.#words;
    for (let index = FIRST_LPI / 32; index < words; index += 1) {
      index += this.#pending.untouchedWords(index);
      if (index >= words) return;
      for (let word = this.#pending.word(index); word !== 0; word = (word & (word - 1)) >>> 0) {
        const intid = index * 32 + 31 - Math.clz32(word & -word);
        this.best.offer(intid, configByte(this.#memory, this.#propertyTable, intid));
      }
    }
  }

  get #words(): number {
    return 2 ** this.#bits / 32;
  }
}

/** Moves every pending LPI below 2 ** bits. @param intidBits at most 16 */
export function moveAll(from: LpiBank, to: LpiBank, intidBits: number): void {
  for (let index = FIRST_LPI / 32; index < 2 ** intidBits / 32; index += 1) {
    const word = from.takeWord(index);
    if (word !== 0) to.putWord(index, word);
  }
  from.settle();
  to.settle();
}
