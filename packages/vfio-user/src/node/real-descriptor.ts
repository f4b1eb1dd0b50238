/** Descriptors of this process as a channel's descriptors. */
import { closeSync, fstatSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { EINVAL, ENODEV, SyscallError } from '@vsim/vfio-core';
import type { Descriptor, SharedMemory } from '../wire/descriptor.ts';
import { dup, EFD_FLAGS, errno, eventfd, isReady, POLLOUT } from './libc.ts';

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
/** The type in a mode; an eventfd, as all anonymous inodes, has none. */
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Told of eventfds that somebody listens to: the channel polls them. */
export interface Listened {
  /** Begins to poll an eventfd. @param fd its number, open until it ends @returns what ends it */
  listen(fd: number, told: () => void): () => void;
}

/** A file that several mappings share, closed with the last of them. */
class SharedFile {
  static readonly #open = new Map<string, SharedFile>();
  readonly fd: number;
  readonly #key: string;
  #users = 0;

  private constructor(fd: number, key: string) {
    this.fd = fd;
    this.#key = key;
  }

  /** The file behind a descriptor: one for all mappings that may do the same with it, as a client may map each of its pages apart. Undefined: none is left. */
  static of(fd: number, dev: bigint, ino: bigint): SharedFile | undefined {
    const key = `${dev}:${ino}:${access(fd)}`;
    let file = SharedFile.#open.get(key);
    if (file === undefined) {
      const own = dup(fd);
      if (own < 0) return undefined;
      file = new SharedFile(own, key);
      SharedFile.#open.set(key, file);
    }
    file.#users += 1;
    return file;
  }

  put(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    SharedFile.#open.delete(this.#key);
    closeSync(this.fd);
  }
}

/**
 * A part of a file, by pread() and pwrite(). A mapping would be faster by a microsecond, but the other side may shrink its file at any time, and what is
 * behind the end of a mapped file ends the program that touches it.
 */
class FileMemory implements SharedMemory {
  readonly size: number;
  readonly #offset: number;
  #file: SharedFile | undefined;

  constructor(file: SharedFile, offset: number, size: number) {
    this.#file = file;
    this.#offset = offset;
    this.size = size;
  }

  read(offset: number, into: Uint8Array): void {
    const { fd } = this.#file ?? CLOSED;
    let done = 0;
    if (offset + into.length <= this.size) for (let took = 1; done < into.length && took > 0; done += took) took = readAt(fd, into, done, this.#offset + offset + done);
    into.fill(0xff, done);
  }

  write(offset: number, from: Uint8Array): void {
    const { fd } = this.#file ?? CLOSED;
    if (offset + from.length > this.size) return;
    for (let done = 0, took = 1; done < from.length && took > 0; done += took) took = writeAt(fd, from, done, this.#offset + offset + done);
  }

  unmap(): void {
    this.#file?.put();
    this.#file = undefined;
  }
}

const CLOSED = { fd: -1 };

/** Whether a descriptor reads, writes, or both: the last digit of its flags, in octal. */
function access(fd: number): string {
  return /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '';
}

/** @returns bytes read: 0 where none are left, or the file cannot be read */
function readAt(fd: number, into: Uint8Array, done: number, at: number): number {
  try {
    return readSync(fd, into, done, into.length - done, at);
  } catch {
    return 0;
  }
}

/** @returns bytes written: 0 where the file is sealed, or no memory is left for it */
function writeAt(fd: number, from: Uint8Array, done: number, at: number): number {
  try {
    return writeSync(fd, from, done, from.length - done, at);
  } catch {
    return 0;
  }
}

/** A descriptor of this process; it owns the number. */
export class RealDescriptor implements Descriptor {
  /** The number; -1 once it is closed. */
  fd: number;
  readonly #listened: Listened;
  #eventfd: boolean | undefined;

  /** @param fd a number of this process, owned from now on @param listened who polls it when somebody listens */
  constructor(fd: number, listened: Listened) {
    this.fd = fd;
    this.#listened = listened;
  }

  /**
   * By pread() and pwrite(), so that a file that is cut does no harm.
   *
   * @param offset in bytes, a multiple of 4096
   * @param size in bytes, a multiple of 4096
   * @returns -ENODEV where it is no file with bytes; -EINVAL where it ends before, or no descriptor is left
   */
  map(offset: number, size: number): SharedMemory | number {
    const stat = fstatSync(this.fd, { bigint: true });
    if ((Number(stat.mode) & S_IFMT) !== S_IFREG) return -ENODEV;
    if (BigInt(offset) + BigInt(size) > stat.size) return -EINVAL;
    const file = SharedFile.of(this.fd, stat.dev, stat.ino);
    return file === undefined ? -EINVAL : new FileMemory(file, offset, size);
  }

  /** Adds one, unless there is no room: it never waits. */
  signal(): boolean {
    if (!this.#isEventfd()) return false;
    // One that is full, and blocks, would hold the device for as long as the other side likes.
    if (isReady(this.fd, POLLOUT)) writeSync(this.fd, ONE);
    return true;
  }

  /** As Descriptor says: told when the channel polls. */
  listen(told: () => void): (() => void) | undefined {
    return this.#isEventfd() ? this.#listened.listen(this.fd, told) : undefined;
  }

  /** What it is, in a word: `memfd`, `eventfd`, `socket`, `file`, or what the kernel calls it else. */
  get kind(): string {
    const name = readlinkSync(`/proc/self/fd/${this.fd}`);
    const [, memfd, anonymous, other] = /^\/(memfd):|^anon_inode:\[(\w+)\]|^(socket|pipe):/.exec(name) ?? [];
    return memfd ?? anonymous ?? other ?? 'file';
  }

  /** The same file under another number. */
  duplicate(): RealDescriptor {
    return new RealDescriptor(dup(this.fd), this.#listened);
  }

  /** Closes the number; once. */
  close(): void {
    if (this.fd < 0) return;
    closeSync(this.fd);
    this.fd = -1;
  }

  #isEventfd(): boolean {
    if (this.fd < 0) return false;
    return (this.#eventfd ??= (fstatSync(this.fd).mode & S_IFMT) === 0);
  }
}

/** An eventfd of this process that is zero, as a number; adding to it never waits. @throws SyscallError EMFILE */
export function makeEventfd(): number {
  const fd = eventfd(0, EFD_FLAGS);
  if (fd < 0) throw new SyscallError('eventfd', errno(), '0');
  return fd;
}
