/**
 * Pending bits of LPIs and VLPIs: one bit an INTID, bit (n % 8) of byte n / 8, in memory or held by the GIC.
 *
 * Reference: Arm IHI 0069, "LPI pending tables" and "LPI configuration tables".
 * Modelled: tables of up to 16 INTID bits; the choice of the best pending LPI. The first KiB is never touched.
 * Not modelled: a coarse map in the first KiB.
 */
import type { Memory } from '@vsim/vfio-core';

/** The first LPI. */
export const FIRST_LPI = 8192;
/** No interrupt: ICC_IAR1_EL1 of nothing pending. */
export const SPURIOUS = 1023;
/** Bytes of a pending table for 16 INTID bits. */
export const PENDING_TABLE_BYTES = 8192;
/** A priority lower than any. */
export const NO_PRIORITY = 0xff;

/** Pending bits wherever they are. An INTID is in [8192, 65536). */
export interface PendingBits {
  test(intid: number): boolean;
  /** Sets or clears; true if that changed the bit. */
  change(intid: number, pending: boolean): boolean;
  /** Bits of INTIDs [32 * index, 32 * index + 32). */
  word(index: number): number;
}

/** Pending bits in a table in memory. Outside RAM no bit is ever pending. */
export class MemoryPendingBits implements PendingBits {
  readonly #memory: Memory;
  /** Physical address of the table. */
  base = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The same object for another table: what the hot path uses. */
  at(base: number): this {
    this.base = base;
    return this;
  }

  test(intid: number): boolean {
    const address = this.base + (intid >>> 3);
    return this.#memory.accessible(address, 1) && (this.#memory.read8(address) & (1 << (intid & 7))) !== 0;
  }

  change(intid: number, pending: boolean): boolean {
    const address = this.base + (intid >>> 3);
    if (!this.#memory.accessible(address, 1)) return false;
    const old = this.#memory.read8(address);
    const bit = 1 << (intid & 7);
    if (((old & bit) !== 0) === pending) return false;
    this.#memory.write8(address, old ^ bit);
    return true;
  }

  word(index: number): number {
    const address = this.base + 4 * index;
    return this.#memory.accessible(address, 4) ? this.#memory.read32(address) : 0;
  }
}

/** Pending bits that the GIC holds for a vPE, between its first mapping and its last unmapping. */
export class HeldPendingBits implements PendingBits {
  readonly #bytes = new Uint8Array(PENDING_TABLE_BYTES);

  /** Takes the bits of a table in memory, all but the first KiB. */
  load(memory: Memory, base: number, bytes: number): void {
    for (let i = FIRST_LPI / 8; i < bytes; i += 1) this.#bytes[i] = memory.accessible(base + i, 1) ? memory.read8(base + i) : 0;
  }

  /** Writes the bits to memory, all but the first KiB, and only bytes that differ. */
  store(memory: Memory, base: number, bytes: number): void {
    for (let i = FIRST_LPI / 8; i < bytes; i += 1) {
      if (memory.accessible(base + i, 1) && memory.read8(base + i) !== this.#bytes[i]) memory.write8(base + i, this.#bytes[i]!);
    }
  }

  test(intid: number): boolean {
    return (this.#bytes[intid >>> 3]! & (1 << (intid & 7))) !== 0;
  }

  change(intid: number, pending: boolean): boolean {
    if (this.test(intid) === pending) return false;
    this.#bytes[intid >>> 3]! ^= 1 << (intid & 7);
    return true;
  }

  word(index: number): number {
    const at = 4 * index;
    const bytes = this.#bytes;
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  }
}

/** The configuration byte of an LPI: Enable is bit 0, the priority bits [7:2]. Outside RAM: disabled. */
export function configByte(memory: Memory, propertyTable: number, intid: number): number {
  const address = propertyTable + intid - FIRST_LPI;
  return memory.accessible(address, 1) ? memory.read8(address) : 0;
}

/** An interrupt and its priority; NO_PRIORITY when there is none. */
export class Candidate {
  intid: number = SPURIOUS;
  priority: number = NO_PRIORITY;

  clear(): void {
    this.intid = SPURIOUS;
    this.priority = NO_PRIORITY;
  }

  /** Takes an LPI that is pending and has this configuration, if it beats the one held. Ties go to the lower INTID. */
  offer(intid: number, config: number): void {
    if ((config & 1) === 0) return;
    const priority = config & 0xfc;
    if (priority < this.priority || (priority === this.priority && intid <= this.intid)) {
      this.intid = intid;
      this.priority = priority;
    }
  }

  /** Looks through a table for the best of the pending, enabled LPIs below 2^bits. */
  scan(pending: PendingBits, memory: Memory, propertyTable: number, bits: number): void {
    this.clear();
    const words = 2 ** Math.min(bits, 16) / 32;
    for (let index = FIRST_LPI / 32; index < words; index += 1) {
      let word = pending.word(index);
      while (word !== 0) {
        const bit = 31 - Math.clz32(word & -word);
        const intid = index * 32 + bit;
        this.offer(intid, configByte(memory, propertyTable, intid));
        word = (word & (word - 1)) >>> 0;
      }
    }
  }
}
