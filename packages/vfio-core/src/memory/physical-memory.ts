import type { Memory } from './memory.ts';
import { hex } from './u64.ts';
import { holdsAddress, isInside, overlaps } from './range.ts';

const CHUNK_BITS = 12;
const CHUNK = 1 << CHUNK_BITS;
/** What ranges are multiples of. */
const RANGE_UNIT = 0x1_0000;
/** So many bytes are moved one by one, which makes no object. */
const FEW = 64;
/** More words than these are moved at once: the object that it takes costs less than they would one by one. */
const FEW_WORDS = 32;

/** A range of RAM. `base` and `size` are multiples of 64 KiB; the end is at most 2^52. */
export interface RamRange {
  /** The first address, in bytes. */
  readonly base: number;
  /** In bytes, above 0. */
  readonly size: number;
}

/** A typed array of words is what memory is on a little-endian host, as nearly all are. */
const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

class Chunk {
  readonly view: DataView;
  readonly words: Uint32Array;

  constructor() {
    this.view = new DataView(new ArrayBuffer(CHUNK));
    this.words = new Uint32Array(this.view.buffer);
  }
}

/** The leaf of chunks of which none was written. */
const NOTHING: (Chunk | undefined)[] = [];

/** So many chunks are found without a look at ranges and leaves. */
const HELD = 1024;
/** The address of no chunk. */
const NO_BASE = -1;

/** An address within its chunk: a mask takes the low bits of any integer below 2^53. */
function inChunk(address: number): number {
  return address & (CHUNK - 1);
}

/** Where the chunk with a byte is held: of the address, not of the chunk's, so that neither waits for the other. */
function slotOf(address: number): number {
  return ((address | 0) >>> CHUNK_BITS) & (HELD - 1);
}

/** Leaves that are there from the start; what lies above, in more than a terabyte, is added when it is written. */
const ROOT = 4096;

class Range {
  readonly base: number;
  readonly size: number;
  /** Leaves, then the chunks of each: both levels are as long as the root of what there may be. */
  readonly #leaves: ((Chunk | undefined)[] | undefined)[];
  /** Bytes of all chunks of a leaf: a power of two. */
  readonly #leafBytes: number;
  /** Its reciprocal, exact: a product is faster than a quotient. */
  readonly #perLeaf: number;

  constructor({ base, size }: RamRange) {
    if (base % RANGE_UNIT !== 0 || size % RANGE_UNIT !== 0 || size <= 0 || !isInside(base, size, 0, 2 ** 52)) {
      throw new RangeError(`"ram" expected 64 KiB multiples below 2^52, got base 0x${base.toString(16)} size 0x${size.toString(16)}`);
    }
    this.base = base;
    this.size = size;
    this.#leafBytes = CHUNK * 2 ** Math.ceil(Math.log2(size / CHUNK) / 2);
    this.#perLeaf = 1 / this.#leafBytes;
    this.#leaves = new Array<(Chunk | undefined)[]>(Math.min(Math.ceil(size / this.#leafBytes), ROOT)).fill(NOTHING);
  }

  /** The chunk with a byte of the range; undefined: it was never written. */
  chunk(offset: number): Chunk | undefined {
    // Counts of leaves, and of chunks in one, fit 32 bits, where truncation is one instruction.
    const at = (offset * this.#perLeaf) | 0;
    return (this.#leaves[at] ?? NOTHING)[((offset - at * this.#leafBytes) / CHUNK) | 0];
  }

  /** The chunk with a byte of the range, made if it was never written. */
  made(offset: number): Chunk {
    const at = (offset * this.#perLeaf) | 0;
    let leaf = this.#leaves[at] ?? NOTHING;
    if (leaf === NOTHING) this.#leaves[at] = leaf = new Array<Chunk | undefined>(this.#leafBytes / CHUNK).fill(undefined);
    return (leaf[((offset - at * this.#leafBytes) / CHUNK) | 0] ??= new Chunk());
  }

  /** Bytes from `offset` to the next that may have been written, within its leaf. */
  untouched(offset: number): number {
    const at = (offset * this.#perLeaf) | 0;
    const leaf = this.#leaves[at] ?? NOTHING;
    let next = leaf === NOTHING ? this.#leafBytes / CHUNK : ((offset - at * this.#leafBytes) / CHUNK) | 0;
    while (next < this.#leafBytes / CHUNK && leaf[next] === undefined) next += 1;
    return Math.max(0, Math.min(at * this.#leafBytes + next * CHUNK, this.size) - offset);
  }

  /** Gives a chunk back. @returns the bytes from `offset` to the next that may have been written */
  drop(offset: number): number {
    const at = (offset * this.#perLeaf) | 0;
    const leaf = this.#leaves[at] ?? NOTHING;
    const inside = ((offset - at * this.#leafBytes) / CHUNK) | 0;
    if (leaf === NOTHING) return this.#leafBytes - inside * CHUNK;
    leaf[inside] = undefined;
    let next = inside + 1;
    while (next < leaf.length && leaf[next] === undefined) next += 1;
    return (next - inside) * CHUNK;
  }
}

/**
 * RAM: ranges of physical addresses, sparse, backed by typed arrays.
 *
 * A range costs what is written of it: it is cut in 4 KiB chunks, made on the first write, in a table of two levels; a chunk never written
 * reads as zero. Outside every range there is no RAM (see Memory for what then happens).
 */
export class PhysicalMemory implements Memory {
  readonly #ranges: Range[];
  #last: Range;
  /** Addresses of the chunks that are held, by slotOf(). */
  readonly #bases: Float64Array = new Float64Array(HELD).fill(NO_BASE);
  readonly #held: (Chunk | undefined)[] = new Array<Chunk | undefined>(HELD).fill(undefined);

  /** Makes RAM that is all zero. @throws RangeError without a range, if one is malformed, or if two overlap */
  constructor(ranges: readonly RamRange[]) {
    this.#ranges = ranges.map((range) => new Range(range)).sort((a, b) => a.base - b.base);
    const first = this.#ranges[0];
    if (first === undefined) throw new RangeError('"ram" expected at least one range, got none');
    for (let i = 1; i < this.#ranges.length; i += 1) {
      const { base, size } = this.#ranges[i]!;
      const before = this.#ranges[i - 1]!;
      if (overlaps(base, size, before.base, before.size)) throw new RangeError(`"ram" expected ranges without overlap, got ${hex(base)} size ${hex(size)} over ${hex(before.base)} size ${hex(before.size)}`);
    }
    this.#last = first;
  }

  /** Its ranges, by ascending base. */
  get ranges(): readonly RamRange[] {
    return this.#ranges.map(({ base, size }) => ({ base, size }));
  }

  /** Whether all of [address, address + length) lies in one range. @param address in bytes @param length in bytes */
  accessible(address: number, length: number): boolean {
    const range = this.#find(address);
    return range !== undefined && isInside(address, length, range.base, range.size);
  }

  /** Loads a byte of RAM; 0xff where there is none. @param address in bytes */
  read8(address: number): number {
    const chunk = this.#chunk(address);
    if (chunk !== undefined) return chunk.view.getUint8(inChunk(address));
    return this.#find(address) === undefined ? 0xff : 0;
  }

  /** Loads 2 bytes, little-endian of RAM; 0xffff where there is none. @param address in bytes */
  read16(address: number): number {
    const start = inChunk(address);
    if (start > CHUNK - 2) return this.read8(address) | (this.read8(address + 1) << 8);
    const chunk = this.#chunk(address);
    if (chunk !== undefined) return chunk.view.getUint16(start, true);
    return this.#find(address) === undefined ? 0xffff : 0;
  }

  /** Loads 4 bytes, little-endian of RAM; 0xffff_ffff where there is none. @param address in bytes */
  read32(address: number): number {
    const start = inChunk(address);
    if (start > CHUNK - 4) return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
    const chunk = this.#chunk(address);
    if (chunk !== undefined) return chunk.view.getUint32(start, true);
    return this.#find(address) === undefined ? 0xffff_ffff : 0;
  }

  /** Stores a byte of RAM; nowhere else. @param address in bytes @param value cut to 8 bits */
  write8(address: number, value: number): void {
    this.#chunkFor(address)?.view.setUint8(inChunk(address), value);
  }

  /** Stores 2 bytes, little-endian of RAM; nowhere else. @param address in bytes @param value cut to 16 bits */
  write16(address: number, value: number): void {
    if (inChunk(address) > CHUNK - 2) {
      this.write8(address, value);
      this.write8(address + 1, value >>> 8);
      return;
    }
    this.#chunkFor(address)?.view.setUint16(inChunk(address), value, true);
  }

  /** Stores 4 bytes, little-endian of RAM; nowhere else. @param address in bytes @param value cut to 32 bits */
  write32(address: number, value: number): void {
    if (inChunk(address) > CHUNK - 4) {
      this.write16(address, value);
      this.write16(address + 2, value >>> 16);
      return;
    }
    this.#chunkFor(address)?.view.setUint32(inChunk(address), value, true);
  }

  /**
   * readWords() within one chunk of 4 KiB.
   *
   * @param address in bytes
   * @param count how many words of 32 bits
   * @returns false, with nothing read, for anything else
   */
  readWords(address: number, into: Uint32Array, count: number): boolean {
    const start = inChunk(address);
    const chunk = this.#chunk(address);
    if (!LITTLE_ENDIAN || chunk === undefined || (start & 3) !== 0 || start + 4 * count > CHUNK) return this.#readWordsAnyhow(address, into, count);
    const { words } = chunk;
    if (count > FEW_WORDS) into.set(words.subarray(start >>> 2, (start >>> 2) + count));
    else for (let i = 0, at = start >>> 2; i < count; i += 1, at += 1) into[i] = words[at]!;
    return true;
  }

  #readWordsAnyhow(address: number, into: Uint32Array, count: number): boolean {
    const start = inChunk(address);
    if (start + 4 * count > CHUNK) return false;
    const chunk = this.#chunk(address);
    if (chunk === undefined && this.#find(address) === undefined) return false;
    for (let i = 0; i < count; i += 1) into[i] = chunk === undefined ? 0 : chunk.view.getUint32(start + 4 * i, true);
    return true;
  }

  /**
   * writeWords() within one chunk of 4 KiB.
   *
   * @param address in bytes
   * @param count how many words of 32 bits
   * @returns false, with nothing written, for anything else
   */
  writeWords(address: number, from: Uint32Array, count: number): boolean {
    const start = inChunk(address);
    if (!LITTLE_ENDIAN || (start & 3) !== 0 || start + 4 * count > CHUNK) return this.#writeWordsAnyhow(address, from, count);
    const chunk = this.#chunkFor(address);
    if (chunk === undefined) return false;
    const { words } = chunk;
    for (let i = 0, at = start >>> 2; i < count; i += 1, at += 1) words[at] = from[i]!;
    return true;
  }

  #writeWordsAnyhow(address: number, from: Uint32Array, count: number): boolean {
    const start = inChunk(address);
    if (start + 4 * count > CHUNK) return false;
    const chunk = this.#chunkFor(address);
    if (chunk === undefined) return false;
    for (let i = 0; i < count; i += 1) chunk.view.setUint32(start + 4 * i, from[i]!, true);
    return true;
  }

  /**
   * readBytes() of a few bytes of one chunk, without making an object.
   *
   * @param address in bytes
   * @returns false, with nothing read, where it is anything else
   */
  readFew(address: number, into: Uint8Array): boolean {
    const start = inChunk(address);
    if (into.length > FEW || start + into.length > CHUNK) return false;
    const chunk = this.#chunk(address);
    if (chunk === undefined && this.#find(address) === undefined) return false;
    for (let i = 0; i < into.length; i += 1) into[i] = chunk === undefined ? 0 : chunk.view.getUint8(start + i);
    return true;
  }

  /** writeBytes() of a few bytes to one chunk. @param address in bytes @returns false, with nothing written, where it is anything else */
  writeFew(address: number, from: Uint8Array): boolean {
    const start = inChunk(address);
    if (from.length === 0 || from.length > FEW || start + from.length > CHUNK) return false;
    const chunk = this.#chunkFor(address);
    if (chunk === undefined) return false;
    for (let i = 0; i < from.length; i += 1) chunk.view.setUint8(start + i, from[i]!);
    return true;
  }

  /** Loads bytes; 0xff where there is no RAM. @param address in bytes */
  readBytes(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = address + done;
      const start = inChunk(at);
      const take = Math.min(into.length - done, CHUNK - start);
      const chunk = this.#chunk(at);
      if (chunk !== undefined) into.set(new Uint8Array(chunk.view.buffer, start, take), done);
      else into.fill(this.#find(at) === undefined ? 0xff : 0, done, done + take);
      done += take;
    }
  }

  /** Stores bytes; nowhere where there is no RAM. @param address in bytes */
  writeBytes(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const at = address + done;
      const start = inChunk(at);
      const take = Math.min(from.length - done, CHUNK - start);
      const chunk = this.#chunkFor(at);
      if (chunk !== undefined) new Uint8Array(chunk.view.buffer).set(take === from.length ? from : from.subarray(done, done + take), start);
      done += take;
    }
  }

  /** How many bytes from an address on, at most to the end of its range, are zero since nobody ever wrote them. @param address in bytes */
  untouched(address: number): number {
    const range = this.#find(address);
    return range === undefined ? 0 : range.untouched(address - range.base);
  }

  /** Makes [address, address + length) zero, giving whole chunks back. @param address in bytes @param length in bytes */
  clear(address: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const take = Math.min(length - done, CHUNK - inChunk(at));
      const range = this.#find(at);
      if (range === undefined) return;
      if (take === CHUNK) {
        this.#bases[slotOf(at)] = NO_BASE;
        done += range.drop(at - range.base);
        continue;
      }
      const chunk = range.chunk(at - range.base);
      if (chunk !== undefined) new Uint8Array(chunk.view.buffer, inChunk(at), take).fill(0);
      done += take;
    }
  }

  #find(address: number): Range | undefined {
    const last = this.#last;
    if (holdsAddress(last.base, last.size, address)) return last;
    for (const range of this.#ranges) {
      if (holdsAddress(range.base, range.size, address)) {
        this.#last = range;
        return range;
      }
    }
    return undefined;
  }

  /** The chunk at `address`; undefined where none was written, or there is no RAM. */
  #chunk(address: number): Chunk | undefined {
    const slot = slotOf(address);
    return this.#bases[slot] === address - inChunk(address) ? this.#held[slot] : this.#findChunk(address);
  }

  #findChunk(address: number): Chunk | undefined {
    const range = this.#find(address);
    return this.#hold(address, range?.chunk(address - range.base));
  }

  /** The chunk at `address`, made if it was never written; undefined where there is no RAM. */
  #chunkFor(address: number): Chunk | undefined {
    const slot = slotOf(address);
    return this.#bases[slot] === address - inChunk(address) ? this.#held[slot] : this.#makeChunk(address);
  }

  #makeChunk(address: number): Chunk | undefined {
    const range = this.#find(address);
    return this.#hold(address, range?.made(address - range.base));
  }

  #hold(address: number, chunk: Chunk | undefined): Chunk | undefined {
    if (chunk === undefined) return undefined;
    this.#bases[slotOf(address)] = address - inChunk(address);
    this.#held[slotOf(address)] = chunk;
    return chunk;
  }
}
