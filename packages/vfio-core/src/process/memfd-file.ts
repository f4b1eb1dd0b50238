import type { Host } from '../host/host.ts';
import { PAGE_SIZE, type PageRun } from '../memory/page-allocator.ts';
import type { Sleeps } from '../host/scheduler.ts';
import { EFBIG, EINVAL, EPERM } from '../uapi/errno.ts';
import { File, STREAM, type MmapRequest } from './file.ts';
import type { Mapping, MappedPages } from './mm.ts';
import { MEMFD_SIZE, NO_ADDRESSES } from './process-reasons.ts';
import type { Process } from './process.ts';

/** No file is longer than a loff_t, and no memory here is nearly as long. */
const MAX_SIZE = 2 ** 47;

/**
 * Memory that has an fd, so that several processes map the same pages: memfd_create(). Kernel: mm/shmem.c, mm/memfd.c.
 *
 * Not modelled: a memfd that shrinks, as one sealed against that (F_SEAL_SHRINK); a mapping past its end that sees it grow, and a private
 * one that sees later stores: both show the file as it was when they were made.
 */
export class MemfdFile extends File {
  /** `/memfd:NAME (deleted)`, as /proc/PID/fd shows it. */
  override readonly label: string;
  readonly #host: Host;
  /** Its pages in order: a run for each time that it grew. */
  readonly #runs: PageRun[] = [];
  #size = 0;

  /** Makes one of 0 bytes; programs call Process.memfd(). */
  constructor(host: Host, name: string) {
    super();
    this.#host = host;
    this.label = `/memfd:${name} (deleted)`;
  }

  /** In bytes. */
  get size(): number {
    return this.#size;
  }

  /**
   * ftruncate(): new pages are zero.
   *
   * @param size in bytes, up to 2^47
   * @returns 0; -EINVAL, -EFBIG, -ENOMEM; -EPERM for a size that is smaller
   */
  override truncate(size: number): number {
    if (!Number.isInteger(size) || size < 0) return this.#refuseSize(size, EINVAL);
    if (size > MAX_SIZE) return this.#refuseSize(size, EFBIG);
    if (size < this.#size) return this.#refuseSize(size, EPERM);
    const missing = Math.ceil(size / PAGE_SIZE) - this.#runs.reduce((sum, { count }) => sum + count, 0);
    if (missing > 0) {
      const run = this.#host.pages.allocate(missing);
      if (run === undefined) return this.refuse(NO_ADDRESSES, { length: missing * PAGE_SIZE });
      this.#runs.push(run);
    }
    this.#size = size;
    return 0;
  }

  #refuseSize(wanted: number, errno: number): number {
    return this.refuse(MEMFD_SIZE, { file: this.label, size: this.#size, wanted, most: MAX_SIZE }, errno);
  }

  /** pread(): fewer bytes at the end, 0 behind it. @param offset in bytes; STREAM, for read(), is -EINVAL */
  override read(into: Uint8Array, offset: number): number {
    if (offset === STREAM) return super.read(into, offset);
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    this.#pieces(offset, count, (physical, done, take) => { this.#host.memory.readBytes(physical, into.subarray(done, done + take)); });
    return count;
  }

  /**
   * pwrite(): past the end the file grows.
   *
   * @param offset in bytes; STREAM, for write(), is -EINVAL
   * @returns the count of bytes, or what truncate() refuses
   */
  override write(from: Uint8Array, offset: number): number {
    if (offset === STREAM) return super.write(from, offset);
    const grown = offset + from.length > this.#size ? this.truncate(offset + from.length) : 0;
    if (grown < 0) return grown;
    this.#pieces(offset, from.length, (physical, done, take) => { this.#host.memory.writeBytes(physical, from.subarray(done, done + take)); });
    return from.length;
  }

  /** Maps its pages; those behind its end are SIGBUS. @returns -ENOMEM where no addresses, or for a private mapping no pages, are left */
  override mmap(process: Process, { length, offset, read, write, shared }: MmapRequest): Mapping | number {
    return process.mm.mapPages(this.#pages(offset / PAGE_SIZE, Math.ceil(length / PAGE_SIZE)), read, write, shared);
  }

  /** `count` pages from the file's page `first` on; behind its end there are none. */
  #pages(first: number, count: number): readonly MappedPages[] {
    const pages: MappedPages[] = [];
    let at = 0;
    for (const run of this.#runs) {
      const from = Math.max(first, at);
      const to = Math.min(first + count, at + run.count);
      if (from < to) pages.push({ run, frame: run.first + (from - at), count: to - from });
      at += run.count;
    }
    const behind = first + count - Math.max(first, at);
    if (behind > 0) pages.push({ run: undefined, frame: 0, count: behind });
    return pages;
  }

  #pieces(offset: number, length: number, piece: (physical: number, done: number, take: number) => void): void {
    let at = 0;
    for (const { first, count } of this.#runs) {
      const from = Math.max(offset, at);
      const to = Math.min(offset + length, at + count * PAGE_SIZE);
      if (from < to) piece(first * PAGE_SIZE + (from - at), from - offset, to - from);
      at += count * PAGE_SIZE;
    }
  }

  /** Gives its pages back, of which mappings keep theirs. */
  protected override *release(): Sleeps<void> {
    for (const run of this.#runs.splice(0)) run.put();
  }
}
