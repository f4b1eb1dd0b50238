import type { Attribute } from '../host/file-tree.ts';
import { WaitQueue, type Sleeps } from '../host/scheduler.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { FRAMES, isInside } from '../memory/range.ts';
import { EINTR, EINVAL } from '../uapi/errno.ts';
import { STREAM, WOULD_SLEEP, type File, type PollRequest } from './file.ts';
import { O_RDONLY, O_WRONLY } from './flags.ts';
import { IS_FOLDER, NOT_ATTRIBUTE, NO_ENTRY, ONE_WAY } from './process-reasons.ts';
import type { Process } from './process.ts';
import { UserArgument, type IoctlInput } from './user-argument.ts';
import { vfsIoctl } from './vfs-ioctl.ts';

const NS_PER_MS = 1e6;

const text = new TextEncoder();

/**
 * The system calls that may sleep, as generators for threads: `yield*` them, or give them to the scheduler. They give the kernel's number,
 * a negative errno for an error; -ESRCH in a process that exits.
 */
export class Syscalls {
  readonly #process: Process;

  constructor(process: Process) {
    this.#process = process;
  }

  /**
   * open(2) of a device node.
   *
   * @param flags O_RDONLY, O_WRONLY or O_RDWR
   * @returns the lowest free fd; -ENOENT, -EISDIR, -EACCES, -EMFILE, -EINVAL for an attribute, or what the driver answers
   */
  open(path: string, flags: number): Sleeps<number> {
    return this.#process.inCall(this.#open(path, flags));
  }

  *#open(path: string, flags: number): Sleeps<number> {
    const process = this.#process;
    const { refusals } = process.host;
    const node = process.host.files.lookup(path);
    if (node === undefined) return refusals.refuse(NO_ENTRY, { path });
    if (node.kind === 'folder' || node.kind === 'link') return refusals.refuse(IS_FOLDER, { path });
    if (!process.mayAccess(node.mode, flags)) return process.notPermitted(path, node.mode);
    if (node.kind === 'attribute') return refusals.refuse(NOT_ATTRIBUTE, { path }, EINVAL); // attributes are read and written whole: readFile, writeFile
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file = yield* node.open(process, flags);
    if (typeof file === 'number') {
      process.unreserveFd(fd);
      return file;
    }
    return process.install(file, flags, fd);
  }

  /** close(2): the last reference to the file releases it. @param fd an open fd @returns 0 or -EBADF */
  close(fd: number): Sleeps<number> {
    return this.#process.inCall(this.#close(fd));
  }

  *#close(fd: number): Sleeps<number> {
    const file = this.#process.takeFd(fd);
    if (file === undefined) return this.#process.badFd(fd);
    yield* file.put();
    return 0;
  }

  /**
   * ioctl(2).
   *
   * @param fd an open fd
   * @param request the number; cut to 32 bits
   * @param argument as Process.ioctl() takes it
   * @returns 0 or more; -EBADF, -ENOTTY, or what the file answers
   */
  ioctl(fd: number, request: number, argument: IoctlInput): Sleeps<number> {
    return this.#process.inCall(this.#ioctl(fd, request, argument));
  }

  *#ioctl(fd: number, request: number, argument: IoctlInput): Sleeps<number> {
    const file = this.#process.file(fd);
    if (file === undefined) return this.#process.badFd(fd);
    const user = new UserArgument(this.#process.mm, argument, file, request >>> 0);
    const result = vfsIoctl(file, request >>> 0, user) ?? file.ioctl(this.#process, request >>> 0, user);
    return result === WOULD_SLEEP ? yield* held(file, file.ioctlSleeps(this.#process, request >>> 0, user)) : result;
  }

  /**
   * pread(2).
   *
   * @param fd an open fd
   * @param offset in bytes, an integer from 0 to 2^63 - 1
   * @returns the count of bytes; -EBADF, -EINVAL, or what the file answers
   */
  pread(fd: number, into: Uint8Array, offset: number): Sleeps<number> {
    return this.#process.inCall(isOffset(offset, into.length) ? this.#read(fd, into, offset) : this.#badOffset(fd, offset, into.length));
  }

  /**
   * read(2): at the file's own position.
   *
   * @param fd an open fd
   * @returns the count of bytes; -EBADF, -EINTR after a signal, or what the file answers
   */
  read(fd: number, into: Uint8Array): Sleeps<number> {
    return this.#process.inCall(this.#read(fd, into, STREAM));
  }

  *#badOffset(fd: number, offset: number, length: number): Sleeps<number> {
    return this.#process.file(fd) === undefined ? this.#process.badFd(fd) : this.#process.badOffset(offset, length);
  }

  *#read(fd: number, into: Uint8Array, offset: number): Sleeps<number> {
    const file = this.#process.file(fd);
    if (file === undefined) return this.#process.badFd(fd);
    const result = file.read(into, offset);
    return result === WOULD_SLEEP ? yield* held(file, file.readSleeps(into, offset)) : result;
  }

  /**
   * pwrite(2).
   *
   * @param fd an open fd
   * @param offset in bytes, an integer from 0 to 2^63 - 1
   * @returns the count of bytes; -EBADF, -EINVAL, or what the file answers
   */
  pwrite(fd: number, from: Uint8Array, offset: number): Sleeps<number> {
    return this.#process.inCall(isOffset(offset, from.length) ? this.#write(fd, from, offset) : this.#badOffset(fd, offset, from.length));
  }

  /**
   * write(2): at the file's own position.
   *
   * @param fd an open fd
   * @returns the count of bytes; -EBADF, -EINTR after a signal, or what the file answers
   */
  write(fd: number, from: Uint8Array): Sleeps<number> {
    return this.#process.inCall(this.#write(fd, from, STREAM));
  }

  *#write(fd: number, from: Uint8Array, offset: number): Sleeps<number> {
    const file = this.#process.file(fd);
    if (file === undefined) return this.#process.badFd(fd);
    const result = file.write(from, offset);
    return result === WOULD_SLEEP ? yield* held(file, file.writeSleeps(from, offset)) : result;
  }

  /**
   * As Process.poll(), asleep until an fd is ready, or the time is over.
   *
   * @param timeout in ms of virtual time; below 0 for ever
   * @returns -EINTR after a signal
   */
  poll(requests: readonly PollRequest[], timeout: number): Sleeps<readonly number[] | number> {
    return this.#process.inCall(this.#poll(requests, timeout));
  }

  *#poll(requests: readonly PollRequest[], timeout: number): Sleeps<readonly number[] | number> {
    const process = this.#process;
    const { scheduler } = process.host;
    let found = process.look(requests);
    if (found.some(Boolean)) return found;
    // The file behind a queue stays while somebody sleeps there, whoever closes the fd.
    const files = requests.flatMap(({ fd }) => process.file(fd) ?? []);
    for (const file of files) file.get();
    const ready = (): boolean => {
      found = process.look(requests);
      return found.some(Boolean);
    };
    const until = timeout < 0 ? undefined : scheduler.now + timeout * NS_PER_MS;
    const end = yield* new WaitQueue('a polled fd').waitInterruptible(scheduler, ready, until, files.flatMap(({ pollQueues }) => pollQueues));
    for (const file of files) yield* file.put();
    return end === 'signal' ? -EINTR : found;
  }

  /**
   * open(), one write() of all of `content`, close(), on a sysfs attribute.
   *
   * @returns bytes taken; -ENOENT, -EISDIR, -ENODEV for what is no attribute, -EACCES, or what the attribute answers
   */
  writeFile(path: string, content: string | Uint8Array): Sleeps<number> {
    return this.#process.inCall(this.#writeFile(path, content));
  }

  *#writeFile(path: string, content: string | Uint8Array): Sleeps<number> {
    const found = this.#attribute(path, O_WRONLY);
    if (typeof found === 'number') return found;
    const bytes = typeof content === 'string' ? text.encode(content) : content;
    if (found.store === undefined) return this.#process.host.refusals.refuse(ONE_WAY, { path, lacks: 'write' });
    return bytes.length === 0 ? 0 : yield* found.store(bytes, 0);
  }

  /**
   * open(), read() and close() of a sysfs attribute.
   *
   * @returns its content; -ENOENT, -EISDIR, -ENODEV for what is no attribute, -EACCES, or what the attribute answers
   */
  readFile(path: string): Sleeps<string | Uint8Array | number> {
    return this.#process.inCall(this.#readFile(path));
  }

  *#readFile(path: string): Sleeps<string | Uint8Array | number> {
    const found = this.#attribute(path, O_RDONLY);
    if (typeof found === 'number') return found;
    return found.show === undefined ? this.#process.host.refusals.refuse(ONE_WAY, { path, lacks: 'read' }) : yield* found.show();
  }

  /**
   * exit(): kills the process' other threads. The last of them, or this one, closes every fd in order and drops the memory: what a
   * call gets that is still under way is closed, too.
   */
  exit(): Sleeps<void> {
    return this.#process.exitCall();
  }

  #attribute(path: string, flags: number): Attribute | number {
    const { files, refusals } = this.#process.host;
    const node = files.lookup(path);
    if (node === undefined) return refusals.refuse(NO_ENTRY, { path });
    if (node.kind === 'folder') return refusals.refuse(IS_FOLDER, { path });
    if (node.kind !== 'attribute') return refusals.refuse(NOT_ATTRIBUTE, { path });
    return this.#process.mayAccess(node.mode, flags) ? node : this.#process.notPermitted(path, node.mode);
  }
}

/**
 * @param offset in bytes
 * @param length in bytes
 * @internal rw_verify_area(): whether a file offset, and where it ends, is a loff_t that is not negative.
 */
export function isOffset(offset: number, length: number): boolean {
  return isInside(offset / PAGE_SIZE, Math.ceil(length / PAGE_SIZE) + 1, 0, FRAMES / 2);
}

/** @internal fdget(): a call that sleeps keeps its file, though another thread may close the fd meanwhile. */
export function* held<T>(file: File, body: Sleeps<T>): Sleeps<T> {
  file.get();
  const result = yield* body;
  yield* file.put();
  return result;
}
