/**
 * RAM: ranges of physical addresses, sparse, backed by typed arrays.
 *
 * A range of gigabytes costs nothing until it is written: it is cut in 64 KiB chunks, made on the first write; a chunk
 * never written reads as zero. Outside every range there is no RAM (see Memory for what then happens).
 */
import type { Memory } from './memory.ts';
import { holdsAddress, isInside, overlaps } from './range.ts';

const CHUNK = 0x1_0000;

/** A range of RAM. `base` and `size` are multiples of 64 KiB; the end is at most 2^52. */
export interface RamRange {
  readonly base: number;
  readonly size: number;
}

class Range {
  readonly base: number;
  readonly size: number;
  readonly chunks: (Uint8Array | undefined)[];
  readonly views: (DataView | undefined)[];

  constructor({ base, size }: RamRange) {
    if (base % CHUNK !== 0 || size % CHUNK !== 0 || size <= 0 || !isInside(base, size, 0, 2 ** 52)) {
      throw new RangeError(`"ram" expected 64 KiB multiples below 2^52, got base 0x${base.toString(16)} size 0x${size.toString(16)}`);
    }
    this.base = base;
    this.size = size;
    this.chunks = new Array<Uint8Array | undefined>(size / CHUNK).fill(undefined);
    this.views = new Array<DataView | undefined>(size / CHUNK).fill(undefined);
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
    const at = address - range.base;
    const chunk = range.chunks[Math.floor(at / CHUNK)];
    return chunk === undefined ? 0 : chunk[at % CHUNK]!;
  }

  read16(address: number): number {
    if (address % CHUNK > CHUNK - 2) return this.read8(address) | (this.read8(address + 1) << 8);
    const range = this.#find(address);
    if (range === undefined) return 0xffff;
    const at = address - range.base;
    const view = range.views[Math.floor(at / CHUNK)];
    return view === undefined ? 0 : view.getUint16(at % CHUNK, true);
  }

  read32(address: number): number {
    if (address % CHUNK > CHUNK - 4) return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
    const range = this.#find(address);
    if (range === undefined) return 0xffff_ffff;
    const at = address - range.base;
    const view = range.views[Math.floor(at / CHUNK)];
    return view === undefined ? 0 : view.getUint32(at % CHUNK, true);
  }

  write8(address: number, value: number): void {
    const view = this.#viewFor(address);
    view?.setUint8(address % CHUNK, value);
  }

  write16(address: number, value: number): void {
    if (address % CHUNK > CHUNK - 2) {
      this.write8(address, value);
      this.write8(address + 1, value >>> 8);
      return;
    }
    this.#viewFor(address)?.setUint16(address % CHUNK, value, true);
  }

  write32(address: number, value: number): void {
    if (address % CHUNK > CHUNK - 4) {
      this.write16(address, value);
      this.write16(address + 2, value >>> 16);
      return;
    }
    this.#viewFor(address)?.setUint32(address % CHUNK, value, true);
  }

  readBytes(address: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const at = address + done;
      const take = Math.min(into.length - done, CHUNK - (at % CHUNK));
      const range = this.#find(at);
      const chunk = range?.chunks[Math.floor((at - range.base) / CHUNK)];
      if (chunk !== undefined) into.set(chunk.subarray(at % CHUNK, (at % CHUNK) + take), done);
      else into.fill(range === undefined ? 0xff : 0, done, done + take);
      done += take;
    }
  }

  writeBytes(address: number, from: Uint8Array): void {
    for (let done = 0; done < from.length; ) {
      const at = address + done;
      const take = Math.min(from.length - done, CHUNK - (at % CHUNK));
      const view = this.#viewFor(at);
      if (view !== undefined) new Uint8Array(view.buffer).set(from.subarray(done, done + take), at % CHUNK);
      done += take;
    }
  }

  /** Makes [address, address + length) zero, giving whole chunks back. */
  clear(address: number, length: number): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const take = Math.min(length - done, CHUNK - (at % CHUNK));
      const range = this.#find(at);
      if (range === undefined) return;
      const index = Math.floor((at - range.base) / CHUNK);
      if (take === CHUNK) {
        range.chunks[index] = undefined;
        range.views[index] = undefined;
      } else {
        range.chunks[index]?.fill(0, at % CHUNK, (at % CHUNK) + take);
      }
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
  #viewFor(address: number): DataView | undefined {
    const range = this.#find(address);
    if (range === undefined) return undefined;
    const index = Math.floor((address - range.base) / CHUNK);
    const view = range.views[index];
    if (view !== undefined) return view;
    const chunk = new Uint8Array(CHUNK);
    const made = new DataView(chunk.buffer);
    range.chunks[index] = chunk;
    range.views[index] = made;
    return made;
  }
}
