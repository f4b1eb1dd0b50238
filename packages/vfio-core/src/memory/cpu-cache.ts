/**
 * What a CPU sees of memory when other masters do not snoop its cache: lines that it read or wrote stay as they were until
 * they are maintained by address.
 *
 * Reads fill a line; writes stay in the line until it is cleaned. Kernel: dcache_clean_poc() and dcache_clean_inval_poc().
 * Not modelled: eviction and speculative fills (a line leaves the cache by maintenance only), so that a program repeats exactly.
 */
import type { Memory } from './memory.ts';

const LINE = 64;

interface Line {
  readonly bytes: Uint8Array;
  dirty: boolean;
}

export class CpuCache implements Memory {
  readonly #memory: Memory;
  readonly #lines = new Map<number, Line>();

  /** @param memory what is behind the cache, as other masters see it. */
  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Lines held now. */
  get lines(): number {
    return this.#lines.size;
  }

  /** Writes dirty lines of [address, address + length) to memory; they stay in the cache. */
  clean(address: number, length: number): void {
    this.#maintain(address, length, false);
  }

  /** Writes dirty lines of [address, address + length) to memory and drops them: the next read sees memory. */
  cleanInvalidate(address: number, length: number): void {
    this.#maintain(address, length, true);
  }

  accessible(address: number, length: number, write?: boolean): boolean {
    return this.#memory.accessible(address, length, write);
  }

  read8(address: number): number {
    return this.#line(address).bytes[address % LINE]!;
  }

  read16(address: number): number {
    return this.read8(address) | (this.read8(address + 1) << 8);
  }

  read32(address: number): number {
    return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
  }

  write8(address: number, value: number): void {
    const line = this.#line(address);
    line.bytes[address % LINE] = value;
    line.dirty = true;
  }

  write16(address: number, value: number): void {
    this.write8(address, value);
    this.write8(address + 1, value >>> 8);
  }

  write32(address: number, value: number): void {
    this.write16(address, value);
    this.write16(address + 2, value >>> 16);
  }

  readBytes(address: number, into: Uint8Array): void {
    for (let i = 0; i < into.length; i += 1) into[i] = this.read8(address + i);
  }

  writeBytes(address: number, from: Uint8Array): void {
    for (let i = 0; i < from.length; i += 1) this.write8(address + i, from[i]!);
  }

  #line(address: number): Line {
    const base = address - (address % LINE);
    const held = this.#lines.get(base);
    if (held !== undefined) return held;
    const line: Line = { bytes: new Uint8Array(LINE), dirty: false };
    this.#memory.readBytes(base, line.bytes);
    this.#lines.set(base, line);
    return line;
  }

  #maintain(address: number, length: number, invalidate: boolean): void {
    for (let done = -(address % LINE); done < length; done += LINE) {
      const base = address + done;
      const line = this.#lines.get(base);
      if (line === undefined) continue;
      if (line.dirty) this.#memory.writeBytes(base, line.bytes);
      line.dirty = false;
      if (invalidate) this.#lines.delete(base);
    }
  }
}
