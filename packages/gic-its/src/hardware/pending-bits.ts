/**
 * Pending and configuration tables of LPIs and VLPIs in memory: bit (n % 8) of byte n / 8, and a byte for each INTID.
 *
 * Reference: Arm IHI 0069, "LPI pending tables" and "LPI configuration tables".
 * Modelled: tables of up to 16 INTID bits. Not modelled: a coarse map in the first KiB of a pending table.
 */
import { readWords, type Memory } from '@vsim/vfio-core';

/** The first LPI. */
export const FIRST_LPI = 8192;
/** LPIs of 16 INTID bits. */
export const LPI_COUNT = 57344;

// V8 folds a module's own constants, but loads what is imported or exported at each use.
const NOTHING = 1023;
const LEAST = 0xff;

/** No interrupt: ICC_IAR1_EL1 of nothing pending. */
export const SPURIOUS: number = NOTHING;
/** A priority lower than any. */
export const NO_PRIORITY: number = LEAST;
/** Words that are read at a time, where a whole table is: a divisor of those of any number of INTID bits. */
export const BLOCK = 64;

/** Pending bits in a table in memory. Outside RAM no bit is ever pending. */
export class MemoryPendingBits {
  readonly #memory: Memory;
  /** Physical address of the table. */
  base = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The same object for another table: what the hot path uses. @param base physical address */
  at(base: number): this {
    this.base = base;
    return this;
  }

  test(intid: number): boolean {
    const address = this.base + (intid >>> 3);
    return this.#memory.accessible(address, 1) && (this.#memory.read8(address) & (1 << (intid & 7))) !== 0;
  }

  /** Sets or clears; true if that changed the bit. @param intid below the table's end */
  change(intid: number, pending: boolean): boolean {
    const address = this.base + (intid >>> 3);
    if (!this.#memory.accessible(address, 1)) return false;
    const old = this.#memory.read8(address);
    const bit = 1 << (intid & 7);
    if (((old & bit) !== 0) === pending) return false;
    this.#memory.write8(address, old ^ bit);
    return true;
  }

  /** Bits of INTIDs [32 * index, 32 * index + 32). @param index of a word of 4 bytes */
  word(index: number): number {
    const address = this.base + 4 * index;
    return this.#memory.accessible(address, 4) ? this.#memory.read32(address) : 0;
  }

  /** The BLOCK words from `index` on, in an array that is theirs until the next call. */
  block(index: number): Uint32Array {
    if (!readWords(this.#memory, this.base + 4 * index, block, BLOCK)) for (let i = 0; i < BLOCK; i += 1) block[i] = this.word(index + i);
    return block;
  }

  /** How many words from `index` on are zero because nobody ever wrote them. */
  untouchedWords(index: number): number {
    return Math.floor((this.#memory.untouched?.(this.base + 4 * index) ?? 0) / 4);
  }

  setWord(index: number, word: number): void {
    const address = this.base + 4 * index;
    if (this.#memory.accessible(address, 4) && this.#memory.read32(address) !== word) this.#memory.write32(address, word);
  }
}

const block = new Uint32Array(BLOCK);
const word = new Uint32Array(1);

/**
 * The configuration byte of an LPI: Enable is bit 0, the priority bits [7:2]. Outside RAM: disabled.
 *
 * @param propertyTable physical address
 * @param intid 8192 or more
 */
export function configByte(memory: Memory, propertyTable: number, intid: number): number {
  // A word, for which memory is looked at once.
  const n = intid - FIRST_LPI;
  return readWords(memory, propertyTable + (n & ~3), word, 1) ? (word[0]! >>> ((n & 3) * 8)) & 0xff : 0;
}

/** An interrupt and its priority; NO_PRIORITY when there is none. */
export class Candidate {
  intid: number = NOTHING;
  priority: number = LEAST;

  clear(): void {
    this.intid = NOTHING;
    this.priority = LEAST;
  }

  set(from: Candidate): void {
    this.intid = from.intid;
    this.priority = from.priority;
  }

  /**
   * Takes an LPI that is pending and has this configuration, if it beats the one held. Ties go to the lower INTID.
   *
   * @param intid an LPI
   * @param config its configuration byte
   */
  offer(intid: number, config: number): void {
    if ((config & 1) === 0) return;
    const priority = config & 0xfc;
    if (priority < this.priority || (priority === this.priority && intid <= this.intid)) {
      this.intid = intid;
      this.priority = priority;
    }
  }
}
