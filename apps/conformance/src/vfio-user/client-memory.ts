/** The memory of a recorded client, of which nobody knows what was in it: sparse, and zero where nothing was written. */
import { EINVAL } from '@vsim/vfio-core';
import type { Descriptor, SharedMemory } from '@vsim/vfio-user';

const PAGE = 4096;
/** The largest file that a client shares, in bytes. */
const MOST = 2 ** 40;

/** A memfd as large as any: pages that are made when they are written. */
export class SparseFile {
  readonly #pages = new Map<number, Uint8Array>();
  #open = 0;

  /** Descriptors and mappings that are there. */
  get open(): number {
    return this.#open;
  }

  descriptor(): Descriptor {
    const close = this.#opened();
    return {
      map: (offset, size, write) => (offset + size > MOST ? -EINVAL : this.#map(offset, size, write)),
      signal: () => false,
      listen: () => undefined,
      duplicate: () => this.descriptor(),
      close,
    };
  }

  #opened(): () => void {
    this.#open += 1;
    let open = true;
    return () => {
      if (open) this.#open -= 1;
      open = false;
    };
  }

  #map(start: number, size: number, write: boolean): SharedMemory {
    const unmap = this.#opened();
    return {
      size,
      read: (offset, into) => { this.#each(start + offset, into.length, (page, within, done, take) => { into.set(this.#pages.get(page)?.subarray(within, within + take) ?? new Uint8Array(take), done); }); },
      write: (offset, from) => {
        if (!write) return;
        this.#each(start + offset, from.length, (page, within, done, take) => {
          const bytes = this.#pages.get(page) ?? new Uint8Array(PAGE);
          bytes.set(from.subarray(done, done + take), within);
          this.#pages.set(page, bytes);
        });
      },
      unmap,
    };
  }

  #each(offset: number, length: number, piece: (page: number, within: number, done: number, take: number) => void): void {
    for (let done = 0; done < length; ) {
      const within = (offset + done) % PAGE;
      const take = Math.min(length - done, PAGE - within);
      piece(Math.floor((offset + done) / PAGE), within, done, take);
      done += take;
    }
  }
}
