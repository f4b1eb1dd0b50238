/**
 * RAM: ranges of physical addresses, sparse, backed by typed arrays.
 *
 * A range costs what is written of it: it is cut in 64 KiB chunks, made on the first write, in a table of two levels; a chunk
 * never written reads as zero. Outside every range there is no RAM (see Memory for what then happens).
 */
import type { Memory } from './memory.ts';
import { holdsAddress, isInside, overlaps } from './range.ts';

const CHUNK = 0x1_0000;
/** So many bytes are moved one by one, which makes no object. */
const FEW = 64;

/** A range of RAM. `base` and `size` are multiples of 64 KiB; the end is at most 2^52. */
export interface RamRange {
  readonly base: number;
  readonly size: number;
}

/** The leaf of chunks of which none was written. */
const NOTHING: (DataView | undefined)[] = [];

/** An address within its chunk. Twice as fast as `%` where addresses are no 32-bit integers. */
function inChunk(address: number): number {
  return address - Math.floor(address / CHUNK) * CHUNK;
}

/** Leaves that are there from the start; what lies above, in more than a terabyte, is added when it is written. */
const ROOT = 4096;

class Range {
  readonly base: number;
  readonly size: number;
  /** Chunks by index / leafSize, then by index % leafSize: both levels are as long as the root of what there may be. */
  readonly #leaves: ((DataView | undefined)[] | undefined)[];
  readonly #leafSize: number;

  constructor({ base, size }: RamRange) {
    if (base % CHUNK !== 0 || size % CHUNK !== 0 || size <= 0 || !isInside(base, size, 0, 2 ** 52)) {
      throw new RangeError(`"ram" expected 64 KiB multiples below 2^52, got base 0x${base.toString(16)} size 0x${size.toString(16)}`);
    }
    this.base = base;
    this.size = size;
    this.#leafSize = 2 ** Math.ceil(Math.log2(size / CHUNK) / 2);
    this.#leaves = new Array<(DataView | undefined)[]>(Math.min(Math.ceil(size / CHUNK / this.#leafSize), ROOT)).fill(NOTHING);
  }

  /** The chunk with a byte of the range; undefined: it was never written. */
  chunk(offset: number): DataView | undefined {
    const index = Math.floor(offset / CHUNK);
    const at = Math.floor(index / this.#leafSize);
    return (this.#leaves[at] ?? NOTHING)[index - at * this.#leafSize];
  }

  /** The chunk with a byte of the range, made if it was never written. */
  made(offset: number): DataView {
    const index = Math.floor(offset / CHUNK);
    const at = Math.floor(index / this.#leafSize);
    let leaf = this.#leaves[at] ?? NOTHING;
    if (leaf === NOTHING) this.#leaves[at] = leaf = new Array<DataView | undefined>(this.#leafSize).fill(undefined);
    return (leaf[index - at * this.#leafSize] ??= new DataView(new ArrayBuffer(CHUNK)));
  }

  /** Gives a chunk back. @returns the bytes from `offset` to the next that may have been written */
  drop(offset: number): number {
    const index = Math.floor(offset / CHUNK);
    const at = Math.floor(index / this.#leafSize);
    const leaf = this.#leaves[at] ?? NOTHING;
    const inside = index - at * this.#leafSize;
    if (leaf === NOTHING) return (this.#leafSize - inside) * CHUNK;
    leaf[inside] = undefined;
    return CHUNK;
  }
}

export class PhysicalMemory implements Memory {
  readonly #ranges: Range[];
  #last: Range;

  /** @throws RangeError if a range is malformed or two overlap. */
  constructor(ranges: readonly RamRange[]) {
    this.#ranges = ranges.map((range) => new Range(range)).sort((a, b) => a.base - b.base);
    const first = this.#ranges[0];
    if (first === undefined) throw new RangeError('"ranges" expected at least one range of RAM, got none');
    for (let i = 1; i < this.#ranges.length; i += 1) {
      const { base, size } = this.#ranges[i]!;
      const before = this.#ranges[i - 1]!;
      if (overlaps(base, size, before.base, before.size)) throw new RangeError('"ranges" expected disjoint ranges, got an overlap');
    }
    this.#last = first;
  }

  get ranges(): readonly RamRange[] {
    return this.#ranges.map(({ base, size }) => ({ base, size }));
  }

  accessible(address: number, length: number): boolean {
    const range = this.#find(address);
    return range !== undefined && isInside(address, length, range.base, range.size);
  }

  read8(address: number): number {
    const range = this.#find(address);
    if (range === undefined) return 0xff;
    return range.chunk(address - range.base)?.getUint8(inChunk(address)) ?? 0;
  }

  read16(address: number): number {
    if (inChunk(address) > CHUNK - 2) return this.read8(address) | (this.read8(address + 1) << 8);
    const range = this.#find(address);
    if (range === undefined) return 0xffff;
    return range.chunk(address - range.base)?.getUint16(inChunk(address), true) ?? 0;
  }

  read32(address: number): number {
    if (inChunk(address) > CHUNK - 4) return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
    const range = this.#find(address);
    if (range === undefined) return 0xffff_ffff;
    return range.chunk(address - range.base)?.getUint32(inChunk(address), true) ?? 0;
  }

  write8(address: number, value: number): void {
    this.#chunkFor(address)?.setUint8(inChunk(address), value);
  }

  write16(address: number, value: number): void {
    if (inChunk(address) > CHUNK - 2) {
      this.write8(address, value);
      this.write8(address + 1, value >>> 8);
      return;
    }
    this.#chunkFor(address)?.setUint16(inChunk(address), value, true);
  }

  write32(address: number, value: number): void {
    if (inChunk(address) > CHUNK - 4) {
      this.write16(address, value);
      this.write16(address + 2, value >>> 16);
      return;
    }
    this.#chunkFor(address)?.setUint32(inChunk(address), value, true);
  }

  /** readBytes() of a few bytes of one chunk, without making an object. @returns false, with nothing read, where it is anything else */
  readFew(address: number, into: Uint8Array): boolean {
    const start = inChunk(address);
    const range = this.#find(address);
    if (range === undefined || into.length > FEW || start + into.length > CHUNK) return false;
    const chunk = range.chunk(address - range.base);
    for (let i = 0; i < into.length; i += 1) into[i] = chunk === undefined ? 0 : chunk.getUint8(start + i);
    return true;
  }

  /** writeBytes() of a few bytes to one chunk. @returns false, with nothing written, where it is anything else */
  writeFew(address: number, from: Uint8Array): boolean {
    const start = inChunk(address);
    const range = this.#find(address);
    if (range === undefined || from.length === 0 || from.length > FEW || start + from.length > CHUNK) return false;
    const chunk = range.made(address - range.base);
    for (let i = 0; i < from.length; i += 1) chunk.setUint8(start + i, from[i]!);
    return true;
  }

  readBytes(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = address + done;
      const start = inChunk(at);
      const take = Math.min(into.length - done, CHUNK - start);
      const range = this.#find(at);
      const chunk = range?.chunk(at - range.base);
      if (chunk !== undefined) into.set(new Uint8Array(chunk.buffer, start, take), done);
      else into.fill(range === undefined ? 0xff : 0, done, done + take);
      done += take;
    }
  }

  writeBytes(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const at = address + done;
      const start = inChunk(at);
      const take = Math.min(from.length - done, CHUNK - start);
      const chunk = this.#chunkFor(at);
      if (chunk !== undefined) new Uint8Array(chunk.buffer).set(from.subarray(done, done + take), start);
      done += take;
    }
  }

  /** Makes [address, address + length) zero, giving whole chunks back. */
  clear(address: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const take = Math.min(length - done, CHUNK - inChunk(at));
      const range = this.#find(at);
      if (range === undefined) return;
      if (take === CHUNK) {
        done += range.drop(at - range.base);
        continue;
      }
      const chunk = range.chunk(at - range.base);
      if (chunk !== undefined) new Uint8Array(chunk.buffer, inChunk(at), take).fill(0);
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

  /** The chunk at `address`, made if it was never written; undefined where there is no RAM. */
  #chunkFor(address: number): DataView | undefined {
    const range = this.#find(address);
    return range?.made(address - range.base);
  }
}
