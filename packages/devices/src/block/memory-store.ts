import type { BlockStore } from './block-store.ts';

const CHUNK = 4096;

/** A store in memory that takes room for what was written, in chunks of 4 KiB; the rest reads zero. */
export class MemoryStore implements BlockStore {
  /** How much it keeps, in bytes. */
  readonly size: number;
  readonly #chunks = new Map<number, Uint8Array>();

  /** @param size bytes, from 0 to below 2^53 @throws RangeError for another */
  constructor(size: number) {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`"size" expected bytes in [0, 2^53), got ${size}`);
    this.size = size;
  }

  /** Bytes of memory that its data take. */
  get used(): number {
    return this.#chunks.size * CHUNK;
  }

  /** Copies bytes out. @param offset bytes @returns true */
  read(offset: number, into: Uint8Array): boolean {
    for (let done = 0; done < into.length; ) {
      const chunk = this.#chunks.get(Math.floor((offset + done) / CHUNK));
      const within = (offset + done) % CHUNK;
      const take = Math.min(into.length - done, CHUNK - within);
      if (chunk === undefined) into.fill(0, done, done + take);
      else if (take === CHUNK) into.set(chunk, done);
      else into.set(chunk.subarray(within, within + take), done);
      done += take;
    }
    return true;
  }

  /** Copies bytes in. @param offset bytes @returns true */
  write(offset: number, from: Uint8Array): boolean {
    for (let done = 0; done < from.length; ) {
      const within = (offset + done) % CHUNK;
      const take = Math.min(from.length - done, CHUNK - within);
      this.#chunk(Math.floor((offset + done) / CHUNK)).set(take === from.length ? from : from.subarray(done, done + take), within);
      done += take;
    }
    return true;
  }

  /** Zeros, with the room given back for whole chunks. @param offset bytes @param length bytes @returns true */
  discard(offset: number, length: number): boolean {
    // A length may be that of the whole store: what has chunks is asked, and not every chunk that there could be.
    if (length / CHUNK > this.#chunks.size) {
      for (const [index, chunk] of this.#chunks) this.#clear(index, chunk, offset - index * CHUNK, offset + length - index * CHUNK);
      return true;
    }
    for (let index = Math.floor(offset / CHUNK); index * CHUNK < offset + length; index += 1) {
      const chunk = this.#chunks.get(index);
      if (chunk !== undefined) this.#clear(index, chunk, offset - index * CHUNK, offset + length - index * CHUNK);
    }
    return true;
  }

  /** Clears [from, to) of a chunk, as far as it lies in it. */
  #clear(index: number, chunk: Uint8Array, from: number, to: number): void {
    if (from <= 0 && to >= CHUNK) this.#chunks.delete(index);
    else if (from < CHUNK && to > 0) chunk.fill(0, Math.max(from, 0), Math.min(to, CHUNK));
  }

  #chunk(index: number): Uint8Array {
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = new Uint8Array(CHUNK);
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }
}
