import type { Memory } from './memory.ts';
import { rangeEnd } from './range.ts';

const LINE = 64;
/** Lines are kept by the page: most come and go with a whole table. */
const PAGE = 4096;
const LINES = PAGE / LINE;

/** What the cache has of a line. */
const NOTHING = 0;
const CLEAN = 1;
const DIRTY = 2;

interface Page {
  readonly bytes: Uint8Array;
  /** NOTHING, CLEAN or DIRTY, of each line. */
  readonly lines: Uint8Array;
}

/**
 * What a CPU sees of memory when other masters do not snoop its cache: lines of 64 bytes that it read or wrote stay as they were until they
 * are maintained by address.
 *
 * Reads fill a line; writes stay in the line until it is cleaned. Kernel: dcache_clean_poc() and dcache_clean_inval_poc(). Not modelled:
 * eviction and speculative fills (a line leaves the cache by maintenance only), so that a program repeats exactly.
 */
export class CpuCache implements Memory {
  readonly #memory: Memory;
  readonly #pages = new Map<number, Page>();

  /** Puts a cache, empty, before a memory. @param memory what is behind the cache, as other masters see it. */
  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Lines held now. */
  get lines(): number {
    let count = 0;
    for (const { lines } of this.#pages.values()) for (const line of lines) if (line !== NOTHING) count += 1;
    return count;
  }

  /** Writes dirty lines of [address, address + length) to memory; they stay in the cache. @param address in bytes @param length in bytes */
  clean(address: number, length: number): void {
    this.#maintain(address, length, false);
  }

  /**
   * Writes dirty lines of [address, address + length) to memory and drops them: the next read sees memory.
   *
   * @param address in bytes
   * @param length in bytes
   */
  cleanInvalidate(address: number, length: number): void {
    this.#maintain(address, length, true);
  }

  /** As the memory behind it answers. @param address in bytes @param length in bytes */
  accessible(address: number, length: number, write?: boolean): boolean {
    return this.#memory.accessible(address, length, write);
  }

  /** Loads a byte of the line, which is filled if it is not held. @param address in bytes */
  read8(address: number): number {
    return this.#line(address, false).bytes[address % PAGE]!;
  }

  /** Loads 2 bytes, little-endian of the line, which is filled if it is not held. @param address in bytes */
  read16(address: number): number {
    return this.read8(address) | (this.read8(address + 1) << 8);
  }

  /** Loads 4 bytes, little-endian of the line, which is filled if it is not held. @param address in bytes */
  read32(address: number): number {
    return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
  }

  /** Stores a byte into the line, where they stay until it is cleaned. @param address in bytes @param value cut to 8 bits */
  write8(address: number, value: number): void {
    const page = this.#line(address, false);
    page.bytes[address % PAGE] = value;
    page.lines[lineOf(address)] = DIRTY;
  }

  /**
   * Stores 2 bytes, little-endian into the line, where they stay until it is cleaned.
   *
   * @param address in bytes
   * @param value cut to 16 bits
   */
  write16(address: number, value: number): void {
    this.write8(address, value);
    this.write8(address + 1, value >>> 8);
  }

  /**
   * Stores 4 bytes, little-endian into the line, where they stay until it is cleaned.
   *
   * @param address in bytes
   * @param value cut to 32 bits
   */
  write32(address: number, value: number): void {
    this.write16(address, value);
    this.write16(address + 2, value >>> 16);
  }

  /** Loads bytes of lines, which are filled if they are not held. @param address in bytes */
  readBytes(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const start = (address + done) % PAGE;
      const take = Math.min(into.length - done, LINE - (start % LINE));
      into.set(this.#line(address + done, false).bytes.subarray(start, start + take), done);
      done += take;
    }
  }

  /** Stores bytes into lines, where they stay until those are cleaned. @param address in bytes */
  writeBytes(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const start = (address + done) % PAGE;
      const take = Math.min(from.length - done, LINE - (start % LINE));
      const page = this.#line(address + done, take === LINE);
      page.bytes.set(from.subarray(done, done + take), start);
      page.lines[lineOf(address + done)] = DIRTY;
      done += take;
    }
  }

  /** The page of a line that is held from now on. @param whole all of it is about to be written: memory need not be read */
  #line(address: number, whole: boolean): Page {
    const base = address - (address % PAGE);
    let page = this.#pages.get(base);
    if (page === undefined) {
      page = { bytes: new Uint8Array(PAGE), lines: new Uint8Array(LINES) };
      this.#pages.set(base, page);
    }
    const line = lineOf(address);
    if (page.lines[line] !== NOTHING) return page;
    page.lines[line] = CLEAN;
    if (!whole) this.#memory.readBytes(base + line * LINE, page.bytes.subarray(line * LINE, (line + 1) * LINE));
    return page;
  }

  #maintain(address: number, length: number, invalidate: boolean): void {
    const end = rangeEnd(address, length);
    for (let base = address - (address % PAGE); base < end; base += PAGE) {
      const page = this.#pages.get(base);
      if (page === undefined) continue;
      const first = base < address ? lineOf(address) : 0;
      const last = end - base < PAGE ? lineOf(end - 1) : LINES - 1;
      for (let line = first; line <= last; line += 1) {
        const start = line;
        while (line <= last && page.lines[line] === DIRTY) line += 1;
        if (line > start) this.#memory.writeBytes(base + start * LINE, page.bytes.subarray(start * LINE, line * LINE));
      }
      for (let line = first; line <= last; line += 1) {
        if (invalidate) page.lines[line] = NOTHING;
        else if (page.lines[line] === DIRTY) page.lines[line] = CLEAN;
      }
    }
  }
}

/** The number of a line in its page. */
function lineOf(address: number): number {
  return Math.floor((address % PAGE) / LINE);
}
