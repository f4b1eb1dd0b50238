/**
 * What an fd refers to. Kernel: struct file and its file_operations.
 *
 * An operation that cannot sleep is a plain method. Where one may have to wait for a lock it answers WOULD_SLEEP, and
 * the door (process.ts) runs the generator form in a thread. Results are the kernel's: >= 0, or a negative errno.
 */
import type { Host } from '../host/host.ts';
import type { Reason } from '../host/reason.ts';
import type { Sleeps, WaitQueue } from '../host/scheduler.ts';
import { EINVAL, ENODEV, ESPIPE } from '../uapi/errno.ts';
import type { Mapping } from './mm.ts';
import type { Process } from './process.ts';
import { NO_OPERATION } from './process-reasons.ts';
import type { UserArgument } from './user-argument.ts';

/** "Run the sleeping form instead": outside the range of errnos. */
export const WOULD_SLEEP = -0x8000_0000;

/** The offset that read() and write() pass, as against pread() and pwrite(): the file has its own position, or none. */
export const STREAM = -1;

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLNVAL = 0x20;

/** struct pollfd. */
export interface PollRequest {
  readonly fd: number;
  /** POLLIN, POLLOUT. */
  readonly events: number;
}

/** mmap() as a file sees it. `offset` is a file offset in bytes, a multiple of the page size. */
export interface MmapRequest {
  readonly length: number;
  readonly offset: number;
  readonly read: boolean;
  readonly write: boolean;
  readonly shared: boolean;
}

export abstract class File {
  /** As /proc/PID/fd shows it, e.g. `[vfio-device]`. */
  abstract readonly label: string;
  #references = 1;
  #host: Host | undefined;

  /** What errors call the file: its path, or the device behind it. */
  get subject(): string {
    return this.label;
  }

  /** It is on one of the kernel's own file systems, as anonymous inodes and dmabufs are: nobody can open it by a path. */
  get isPseudo(): boolean {
    return /^(anon_inode:|\/dmabuf:)/.test(this.label);
  }

  /** What an ioctl request is called on this kind of file; undefined for one that it does not have. */
  requestName(_request: number): string | undefined {
    return undefined;
  }

  /** @internal It has an fd: from here on it can say why it refuses. */
  installed(host: Host): void {
    this.#host = host;
  }

  /** Refuses a call: one event. @returns the negative errno */
  protected refuse<F extends object>(reason: Reason<F>, fields: F, errno: number = reason.errnos[0] ?? 0): number {
    return this.#host?.refusals.refuse(reason, fields, errno) ?? -errno;
  }

  get references(): number {
    return this.#references;
  }

  /** dup(), or another holder inside the kernel. */
  get(): void {
    this.#references += 1;
  }

  /** Drops a reference; the last one releases. */
  *put(): Sleeps<void> {
    this.#references -= 1;
    if (this.#references === 0) yield* this.release();
  }

  ioctl(_process: Process, _request: number, argument: UserArgument): number {
    return argument.unknown();
  }

  *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    return this.ioctl(process, request, argument);
  }

  /** Fills `into` from the file offset; the count of bytes or a negative errno. */
  read(_into: Uint8Array, _offset: number): number {
    return this.#lacks('read', EINVAL);
  }

  *readSleeps(into: Uint8Array, offset: number): Sleeps<number> {
    return this.read(into, offset);
  }

  write(_from: Uint8Array, _offset: number): number {
    return this.#lacks('write', EINVAL);
  }

  *writeSleeps(from: Uint8Array, offset: number): Sleeps<number> {
    return this.write(from, offset);
  }

  mmap(process: Process, _request: MmapRequest): Mapping | number {
    return process.host.refusals.refuse(NO_OPERATION, { file: this.subject, operation: 'mmap' }, ENODEV);
  }

  /** @returns the new position, or a negative errno. Most files here have none. */
  seek(_offset: number, _whence: number): number {
    return this.#lacks('lseek', ESPIPE);
  }

  /** What poll() finds, of POLLIN, POLLOUT and POLLERR. A file without the operation, as all of VFIO's, is always ready (DEFAULT_POLLMASK). */
  poll(): number {
    return POLLIN | POLLOUT;
  }

  /** Where poll() sleeps until what it finds may have changed. Kernel: poll_wait(). */
  get pollQueues(): readonly WaitQueue[] {
    return [];
  }

  /** O_NONBLOCK comes or goes, for files that wait. */
  setNonblocking(_on: boolean): void {
    // Most files here wait for nobody.
  }

  /** ftruncate(). @returns 0, or a negative errno: most files have no length */
  truncate(_size: number): number {
    return this.#lacks('ftruncate', EINVAL);
  }

  /** Lines of /proc/PID/fdinfo besides those that every file has. */
  fdinfo(): readonly string[] {
    return [];
  }

  #lacks(operation: 'read' | 'write' | 'lseek' | 'ftruncate', errno: number): number {
    return this.refuse(NO_OPERATION, { file: this.subject, operation }, errno);
  }

  /** The last reference is gone. */
  protected abstract release(): Sleeps<void>;
}
