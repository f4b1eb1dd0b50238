/** A disk's bytes in a file. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { reading, UnreadableText } from '@vsim/conformance/read-text';
import type { BlockStore } from '@vsim/devices';
import { UsageError } from '../io.ts';

/** A block of a namespace, in bytes. */
export const BLOCK = 512;

/** A store in a file or a block device. What the operating system refuses is a medium error. */
export class FileStore implements BlockStore {
  readonly size: number;
  readonly #fd: number;

  /** @param size in bytes: a file that is not there, or is empty, is made so large; undefined: it has to be there @throws UsageError */
  constructor(path: string, size: number | undefined) {
    try {
      this.#fd = reading(() => openSync(path, size === undefined ? 'r+' : 'a+'));
    } catch (error) {
      throw error instanceof UnreadableText ? new UsageError(`${path}: ${error.message}`) : error;
    }
    // 'a+' makes it, but writes at its end alone.
    if (size !== undefined) {
      if (fstatSync(this.#fd).size === 0) ftruncateSync(this.#fd, size);
      closeSync(this.#fd);
      this.#fd = openSync(path, 'r+');
    }
    const { size: is } = fstatSync(this.#fd);
    if (is < BLOCK) throw new UsageError(`${path}: has ${is} bytes, less than a block; --size says how large it is to be`);
    this.size = is;
  }

  read(offset: number, into: Uint8Array): boolean {
    return whole(into.length, (done) => readSync(this.#fd, into, done, into.length - done, offset + done));
  }

  write(offset: number, from: Uint8Array): boolean {
    return whole(from.length, (done) => writeSync(this.#fd, from, done, from.length - done, offset + done));
  }

  flush(): boolean {
    return whole(1, () => {
      fsyncSync(this.#fd);
      return 1;
    });
  }
}

/** Repeats a call until all is done. @returns false where it fails, or does nothing */
function whole(length: number, part: (done: number) => number): boolean {
  try {
    for (let done = 0; done < length; ) {
      const took = part(done);
      if (took === 0) return false;
      done += took;
    }
    return true;
  } catch {
    return false;
  }
}
