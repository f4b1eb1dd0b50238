/** Files that live in this program, for channels that do: a memfd as bytes, an eventfd as a count. They count who has them open, so that a leak shows. */
import { EINVAL, ENODEV } from '@vsim/vfio-core';
import type { Descriptor, SharedMemory } from './descriptor.ts';

const PAGE = 4096;

/** A file of which there are descriptors and mappings. */
class CountedFile {
  #open = 0;
  #mapped = 0;

  /** Descriptors that are open. */
  get open(): number {
    return this.#open;
  }

  /** Mappings that are there. */
  get mapped(): number {
    return this.#mapped;
  }

  /** @returns what ends it, once */
  protected opened(): () => void {
    this.#open += 1;
    return once(() => (this.#open -= 1));
  }

  /** @returns what ends it, once */
  protected mapping(): () => void {
    this.#mapped += 1;
    return once(() => (this.#mapped -= 1));
  }
}

function once(end: () => void): () => void {
  let ended = false;
  return () => {
    if (!ended) end();
    ended = true;
  };
}

/** A memfd. */
export class MemoryFile extends CountedFile {
  /** Its content: what writes through mappings change, too. */
  readonly bytes: Uint8Array;

  /** @param size in bytes */
  constructor(size: number) {
    super();
    this.bytes = new Uint8Array(size);
  }

  /** A descriptor of it. */
  descriptor(): Descriptor {
    const close = this.opened();
    return {
      map: (offset, size, write) => this.#map(offset, size, write),
      signal: () => false,
      listen: () => undefined,
      duplicate: () => this.descriptor(),
      close,
    };
  }

  #map(offset: number, size: number, write: boolean): SharedMemory | number {
    if (offset % PAGE !== 0 || size % PAGE !== 0 || offset + size > this.bytes.length) return -EINVAL;
    return new MappedBytes(this.bytes.subarray(offset, offset + size), write, this.mapping());
  }
}

/** A mapping of bytes of this program. */
class MappedBytes implements SharedMemory {
  #bytes: Uint8Array;
  readonly #write: boolean;
  readonly #end: () => void;

  constructor(bytes: Uint8Array, write: boolean, end: () => void) {
    this.#bytes = bytes;
    this.#write = write;
    this.#end = end;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, into: Uint8Array): void {
    if (offset + into.length > this.#bytes.length) into.fill(0xff);
    else into.set(this.#bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    if (this.#write && offset + from.length <= this.#bytes.length) this.#bytes.set(from, offset);
  }

  unmap(): void {
    this.#bytes = new Uint8Array(0);
    this.#end();
  }
}

/** An eventfd. */
export class EventFile extends CountedFile {
  #count = 0;
  readonly #listeners = new Set<() => void>();

  /** What it counts, which is 0 from now on. */
  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }

  /** Listeners that it has. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** Adds one, and tells the listeners. */
  signal(): void {
    this.#count += 1;
    for (const told of [...this.#listeners]) told();
  }

  /** A descriptor of it. */
  descriptor(): Descriptor {
    const close = this.opened();
    return {
      map: () => -ENODEV,
      signal: () => {
        this.signal();
        return true;
      },
      listen: (told) => {
        const listener = (): void => told();
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      duplicate: () => this.descriptor(),
      close,
    };
  }
}
