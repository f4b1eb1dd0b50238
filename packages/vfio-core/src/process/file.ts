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

/** poll(): there is something to read. */
export const POLLIN = 1;
/** poll(): a write would not wait. */
export const POLLOUT = 4;
/** poll(): an error; told whether it was asked for or not. */
export const POLLERR = 8;
/** poll(): the fd is not open; told whether it was asked for or not. */
export const POLLNVAL = 0x20;

/** struct pollfd. */
export interface PollRequest {
  /** The fd to look at; a negative one is passed over. */
  readonly fd: number;
  /** POLLIN, POLLOUT. */
  readonly events: number;
}

/** mmap() as a file sees it. `offset` is a file offset in bytes, a multiple of the page size. */
export interface MmapRequest {
  /** In bytes, a multiple of the page size. */
  readonly length: number;
  /** Where the mapping begins in the file, in bytes: a multiple of the page size. */
  readonly offset: number;
  /** PROT_READ: loads are wanted. */
  readonly read: boolean;
  /** PROT_WRITE: stores are wanted. */
  readonly write: boolean;
  /** MAP_SHARED: stores reach the file; else they stay in the process (MAP_PRIVATE). */
  readonly shared: boolean;
}

/**
 * What an fd refers to. Kernel: struct file and its file_operations.
 *
 * An operation that cannot sleep is a plain method. Where one may have to wait for a lock it answers WOULD_SLEEP, and the door (Process,
 * Syscalls) runs the generator form in a thread. Results are the kernel's: 0 or more, or a negative errno.
 *
 * A class of one's own overrides what it has; what is left is refused as a file without the operation refuses it.
 */
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

  /**
   * What an ioctl request is called on this kind of file; undefined for one that it does not have.
   *
   * @param _request the number, of 32 bits
   */
  requestName(_request: number): string | undefined {
    return undefined;
  }

  /** It has an fd: from here on it can say why it refuses. @internal */
  installed(host: Host): void {
    this.#host = host;
  }

  /** Refuses a call: one event. @param errno positive; one of the reason's, the first by default @returns the negative errno */
  protected refuse<F extends object>(reason: Reason<F>, fields: F, errno: number = reason.errnos[0] ?? 0): number {
    return this.#host?.refusals.refuse(reason, fields, errno) ?? -errno;
  }

  /** How many hold the open file: fds of all processes, mappings, and calls under way. */
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

  /**
   * unlocked_ioctl(), for a caller that does not sleep. Unless it is overridden every request is -ENOTTY.
   *
   * @param _process who calls
   * @param _request the number, of 32 bits
   * @param argument the third argument, a number or memory of the caller
   * @returns 0 or more, a negative errno, or WOULD_SLEEP
   */
  ioctl(_process: Process, _request: number, argument: UserArgument): number {
    return argument.unknown();
  }

  /**
   * unlocked_ioctl() in a thread: called where ioctl() has answered WOULD_SLEEP.
   *
   * @param request the number, of 32 bits
   * @returns 0 or more, or a negative errno
   */
  *ioctlSleeps(process: Process, request: number, argument: UserArgument): Sleeps<number> {
    return this.ioctl(process, request, argument);
  }

  /**
   * read() and pread(): fills `into` from the file offset.
   *
   * @param _offset in bytes, or STREAM for read()
   * @returns the count of bytes, a negative errno (-EINVAL for a file without the operation), or WOULD_SLEEP
   */
  read(_into: Uint8Array, _offset: number): number {
    return this.#lacks('read', EINVAL);
  }

  /**
   * read() and pread() in a thread: called where read() has answered WOULD_SLEEP.
   *
   * @param offset in bytes, or STREAM
   * @returns the count of bytes or a negative errno
   */
  *readSleeps(into: Uint8Array, offset: number): Sleeps<number> {
    return this.read(into, offset);
  }

  /**
   * write() and pwrite(): takes bytes of `_from` for the file offset.
   *
   * @param _offset in bytes, or STREAM for write()
   * @returns the count of bytes, a negative errno (-EINVAL for a file without the operation), or WOULD_SLEEP
   */
  write(_from: Uint8Array, _offset: number): number {
    return this.#lacks('write', EINVAL);
  }

  /**
   * write() and pwrite() in a thread: called where write() has answered WOULD_SLEEP.
   *
   * @param offset in bytes, or STREAM
   * @returns the count of bytes or a negative errno
   */
  *writeSleeps(from: Uint8Array, offset: number): Sleeps<number> {
    return this.write(from, offset);
  }

  /**
   * mmap(): gives the process a mapping, made by its `mm`.
   *
   * @returns the mapping or a negative errno; -ENODEV for a file without the operation
   */
  mmap(process: Process, _request: MmapRequest): Mapping | number {
    return process.host.refusals.refuse(NO_OPERATION, { file: this.subject, operation: 'mmap' }, ENODEV);
  }

  /**
   * llseek(). Most files here have no position: -ESPIPE.
   *
   * @param _offset in bytes
   * @param _whence SEEK_SET 0, SEEK_CUR 1, SEEK_END 2
   * @returns the new position, or a negative errno. Most files here have none.
   */
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

  /** ftruncate(). @param _size in bytes @returns 0, or a negative errno; -EINVAL for a file without a length, as most are */
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

  /** The last reference is gone. It may sleep. */
  protected abstract release(): Sleeps<void>;
}
