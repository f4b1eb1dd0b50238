import { Heap } from '../host/heap.ts';
import { assertSameCore, type Host } from '../host/host.ts';
import type { Sleeps, Thread } from '../host/scheduler.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import { EventFdContext } from '../irq/event-fd.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { FRAMES, isInside } from '../memory/range.ts';
import { EFAULT, EINVAL, ENOMEM, ENOTDIR, EOVERFLOW } from '../uapi/errno.ts';
import { EventFdFile } from './event-fd-file.ts';
import { POLLERR, POLLNVAL, STREAM, WOULD_SLEEP, type File, type PollRequest } from './file.ts';
import { MAP_SHARED, O_RDONLY, O_RDWR, O_WRONLY, PROT_EXEC, PROT_READ, PROT_WRITE } from './flags.ts';
import { MemfdFile } from './memfd-file.ts';
import { Mm, TASK_SIZE, type Mapping } from './mm.ts';
import { BAD_FD, BAD_OFFSET, BUFFER_FAULT, FD_LIMIT, MMAP_RANGE, NOT_EVENTFD, NOT_PERMITTED, NO_ENTRY, NO_EXEC, PROCESS_EXITS, WRONG_KIND } from './process-reasons.ts';
import { SyscallError } from './syscall-error.ts';
import { Syscalls, held, isOffset } from './syscalls.ts';
import { UserArgument, type IoctlInput } from './user-argument.ts';
import { UserBuffer } from './user-buffer.ts';
import { vfsIoctl } from './vfs-ioctl.ts';

/** The capabilities that the model looks at. Root has all of them. */
export type Capability = 'CAP_IPC_LOCK' | 'CAP_NET_ADMIN' | 'CAP_SYS_ADMIN' | 'CAP_SYS_RAWIO';
const CAPABILITIES: readonly Capability[] = ['CAP_IPC_LOCK', 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_SYS_RAWIO'];

/** What a process begins with. */
export interface ProcessInit {
  /** For messages and holders. @default 'process-N' */
  readonly name?: string | undefined;
  /** 0 is root, who may open every file. @default 0 */
  readonly uid?: number | undefined;
  /** Exactly these, whatever the uid. @default all for root, none for others */
  readonly capabilities?: readonly Capability[] | undefined;
  /** RLIMIT_NOFILE. @default 1024 */
  readonly maxFiles?: number | undefined;
  /** RLIMIT_MEMLOCK in bytes. @default 8 MiB */
  readonly memlock?: number | undefined;
}

/** EFD_NONBLOCK and EFD_SEMAPHORE. */
export interface EventfdFlags {
  /** EFD_NONBLOCK: a call that would wait is EAGAIN. @default true */
  readonly nonblocking?: boolean;
  /** EFD_SEMAPHORE: a read takes 1, not all. @default false */
  readonly semaphore?: boolean;
}

interface Descriptor {
  readonly file: File;
  readonly flags: number;
}

const serials = new WeakMap<Host, number>();

/** `process/started`: a process of user space was made. Its calls that may sleep are threads, named after it: `NAME ioctl`. */
export const PROCESS_STARTED: EventKind<{ readonly process: string }> = eventKind('process/started', 'info', ({ process }) => `${process}: started`);

/** `process/exited`: a process has closed its files, and its memory is gone. */
export const PROCESS_EXITED: EventKind<{ readonly process: string }> = eventKind('process/exited', 'info', ({ process }) => `${process}: exited`);

/**
 * A process of user space: credentials, limits, an fd table, memory, and the system calls.
 *
 * Each call exists twice. The methods of Process run to their end and throw SyscallError, Node's convention, or BlockedError if the call
 * sleeps; those that begin with `try` give a negative errno instead of the former. `process.sys` has the generator forms, for threads that
 * may sleep: they give the kernel's number, a negative errno for an error.
 *
 * @example
 * ```ts
 * import { Host, Process } from '@vsim/vfio-core';
 *
 * const user = new Process(new Host(), { name: 'user', uid: 1000 });
 * const fd = user.eventfd();
 * user.writeEventfd(fd, 2n);
 * console.log(fd, user.readEventfd(fd)); // 3 2n
 * ```
 */
export class Process {
  /** The machine that it runs on. */
  readonly host: Host;
  /** What messages and holders call it. */
  readonly name: string;
  /** Its memory. */
  readonly mm: Mm;
  /** The calls as generators, for threads that may sleep. */
  readonly sys: Syscalls;
  /** Its user; 0 is root, who may open every file. */
  uid: number;
  /** RLIMIT_MEMLOCK in bytes. */
  memlock: number;
  #capabilities: ReadonlySet<Capability> | undefined;
  readonly #maxFiles: number;
  readonly #fds: (Descriptor | undefined)[] = [];
  /** Numbers that a call in progress has taken for a file to come. */
  readonly #reserved = new Set<number>();
  /** Numbers below #fds.length that may be free. */
  readonly #free = new Heap<number>(
    (fd) => fd,
    (fd) => this.#fds[fd] === undefined && !this.#reserved.has(fd),
  );
  /** The lowest number that was never in use. */
  #end = 3;
  /** Calls under way. */
  readonly #calls = new Set<{ readonly thread: Thread<unknown> | undefined }>();
  #exiting = false;

  /**
   * Begins a process with no fds open (the lowest free one is 3) and no memory.
   *
   * @throws TypeError if another copy of @vsim/vfio-core made the host, or a part of it was to be run and nobody did: Scheduler.demandRun()
   */
  constructor(host: Host, init: ProcessInit = {}) {
    assertSameCore(host);
    host.scheduler.demandRun();
    const serial = (serials.get(host) ?? 0) + 1;
    serials.set(host, serial);
    this.host = host;
    this.name = init.name ?? `process-${serial}`;
    this.uid = init.uid ?? 0;
    this.memlock = init.memlock ?? 8 * 0x10_0000;
    this.#capabilities = init.capabilities === undefined ? undefined : new Set(init.capabilities);
    this.#maxFiles = init.maxFiles ?? 1024;
    this.mm = new Mm(host);
    this.sys = new Syscalls(this);
    if (host.trace.followed) host.trace.step(PROCESS_STARTED, { process: this.name });
  }

  /** capable(): whether the process has a capability; root has all unless told otherwise. */
  capable(capability: Capability): boolean {
    return this.#capabilities?.has(capability) ?? this.uid === 0;
  }

  /** capset(): gives a capability back, or takes it. */
  setCapability(capability: Capability, on: boolean): void {
    const own = new Set(CAPABILITIES.filter((each) => this.capable(each)));
    if (on) own.add(capability);
    else own.delete(capability);
    this.#capabilities = own;
  }

  // The calls as programs use them.

  /**
   * open(2) of a device node, as `/dev/vfio/vfio`. Attributes in sysfs are read and written by readFile() and writeFile().
   *
   * @param flags O_RDONLY, O_WRONLY or O_RDWR
   * @returns the lowest free fd
   * @throws SyscallError with ENOENT, EISDIR, EACCES, EMFILE, EINVAL for an attribute, or what the driver answers
   */
  open(path: string, flags: number = O_RDWR): number {
    return this.#check('open', path, () => this.#run('open', this.sys.open(path, flags)));
  }

  /** close(2): the last reference to the file releases it. @param fd an open fd @throws SyscallError with EBADF */
  close(fd: number): void {
    this.#check('close', fd, () => this.#run('close', this.sys.close(fd)));
  }

  /**
   * ioctl(2).
   *
   * @param fd an open fd
   * @param request the number; cut to 32 bits
   * @param argument a number or an address of the process, or bytes that stand for memory, which are changed in place
   * @returns 0 or more
   * @throws SyscallError with EBADF, ENOTTY for a request that the file does not know, or what the file answers
   */
  ioctl(fd: number, request: number, argument: IoctlInput = 0): number {
    return this.#check('ioctl', fd, () => this.tryIoctl(fd, request, argument), request);
  }

  /**
   * ioctl() that gives a negative errno instead of throwing.
   *
   * @param fd an open fd
   * @param request the number; cut to 32 bits
   * @param argument as ioctl() takes it
   */
  tryIoctl(fd: number, request: number, argument: IoctlInput = 0): number {
    const file = this.file(fd);
    if (file === undefined) return this.badFd(fd);
    const user = new UserArgument(this.mm, argument, file, request >>> 0);
    const result = vfsIoctl(file, request >>> 0, user) ?? file.ioctl(this, request >>> 0, user);
    if (result === WOULD_SLEEP) return this.#run('ioctl', this.inCall(held(file, file.ioctlSleeps(this, request >>> 0, user))));
    this.host.scheduler.settle(); // the call may have woken somebody
    return result;
  }

  /**
   * Fills `into` from the file offset (an integer in [0, 2^63)).
   *
   * @param fd an open fd
   * @param offset in bytes, an integer from 0 to 2^63 - 1
   * @returns the count of bytes read.
   * @throws SyscallError with EBADF, EINVAL, or what the file answers
   */
  pread(fd: number, into: Uint8Array, offset: number): number {
    return this.#transfer('pread', 'pread', fd, into, offset);
  }

  /** pread() that gives a negative errno instead of throwing. @param fd an open fd @param offset in bytes, an integer from 0 to 2^63 - 1 */
  tryPread(fd: number, into: Uint8Array, offset: number): number {
    const file = this.file(fd);
    if (file === undefined) return this.badFd(fd);
    return isOffset(offset, into.length) ? this.#readFile(file, into, offset) : this.badOffset(offset, into.length);
  }

  /**
   * pread() into user memory, of which not all may be there.
   *
   * @param fd an open fd
   * @param address where the bytes go, in the process
   * @param length in bytes
   * @param offset in bytes, in the file
   * @returns -EFAULT behind what was read before the fault
   */
  tryPreadTo(fd: number, address: number, length: number, offset: number): number {
    const buffer = new UserBuffer(length, this.mm.reach(address, length, true), true);
    const result = this.#reached(this.tryPread(fd, new Uint8Array(buffer), offset), buffer, fd, address);
    this.mm.copyToUser(address, new Uint8Array(buffer, 0, result < 0 ? buffer.moved : result));
    return result;
  }

  /**
   * pwrite() from user memory, of which not all may be there.
   *
   * @param fd an open fd
   * @param address where the bytes are, in the process
   * @param length in bytes
   * @param offset in bytes, in the file
   * @returns -EFAULT behind what was written before the fault
   */
  tryPwriteFrom(fd: number, address: number, length: number, offset: number): number {
    const buffer = new UserBuffer(length, this.mm.reach(address, length, false), false);
    this.mm.copyFromUser(address, new Uint8Array(buffer, 0, buffer.reach));
    return this.#reached(this.tryPwrite(fd, new Uint8Array(buffer), offset), buffer, fd, address);
  }

  /** What a file that does not look at its buffer's end answers is a fault, too. */
  #reached(result: number, buffer: UserBuffer, fd: number, address: number): number {
    if (result !== -EFAULT && result <= buffer.reach) return result;
    return this.host.refusals.refuse(BUFFER_FAULT, { file: this.file(fd)?.subject ?? '', address, length: buffer.byteLength, reach: buffer.reach });
  }

  #readFile(file: File, into: Uint8Array, offset: number): number {
    const result = file.read(into, offset);
    if (result === WOULD_SLEEP) return this.#run('pread', this.inCall(held(file, file.readSleeps(into, offset))));
    this.host.scheduler.settle(); // the call may have woken somebody
    return result;
  }

  /**
   * read(): from the file's own position.
   *
   * @param fd an open fd
   * @returns the count of bytes read
   * @throws SyscallError with EBADF, EINVAL, or what the file answers; ENOMSG, EAGAIN where there is nothing to read now
   */
  read(fd: number, into: Uint8Array): number {
    return this.#transfer('read', 'read', fd, into, 0);
  }

  /** read() that gives a negative errno instead of throwing. @param fd an open fd */
  tryRead(fd: number, into: Uint8Array): number {
    const file = this.file(fd);
    return file === undefined ? this.badFd(fd) : this.#readFile(file, into, STREAM);
  }

  /**
   * write(2): at the file's own position.
   *
   * @param fd an open fd
   * @returns the count of bytes taken
   * @throws SyscallError with EBADF, EINVAL, or what the file answers
   */
  write(fd: number, from: Uint8Array): number {
    return this.#transfer('write', 'write', fd, from, 0);
  }

  /** write() that gives a negative errno instead of throwing. @param fd an open fd */
  tryWrite(fd: number, from: Uint8Array): number {
    const file = this.file(fd);
    return file === undefined ? this.badFd(fd) : this.#writeFile(file, from, STREAM);
  }

  /**
   * pwrite(2): at a file offset.
   *
   * @param fd an open fd
   * @param offset in bytes, an integer from 0 to 2^63 - 1
   * @returns the count of bytes taken
   * @throws SyscallError with EBADF, EINVAL, or what the file answers
   */
  pwrite(fd: number, from: Uint8Array, offset: number): number {
    return this.#transfer('pwrite', 'pwrite', fd, from, offset);
  }

  /**
   * pwrite() that gives a negative errno instead of throwing.
   *
   * @param fd an open fd
   * @param offset in bytes, an integer from 0 to 2^63 - 1
   */
  tryPwrite(fd: number, from: Uint8Array, offset: number): number {
    const file = this.file(fd);
    if (file === undefined) return this.badFd(fd);
    return isOffset(offset, from.length) ? this.#writeFile(file, from, offset) : this.badOffset(offset, from.length);
  }

  #writeFile(file: File, from: Uint8Array, offset: number): number {
    const result = file.write(from, offset);
    if (result === WOULD_SLEEP) return this.#run('pwrite', this.inCall(held(file, file.writeSleeps(from, offset))));
    this.host.scheduler.settle(); // the call may have woken somebody
    return result;
  }

  /**
   * mmap() of a file; with fd -1, of anonymous memory.
   *
   * @param fd an open fd, or -1
   * @param length in bytes, rounded up to pages
   * @param offset in the file, in bytes: a multiple of 4096
   * @param prot PROT_READ, PROT_WRITE, PROT_EXEC; the first two by default
   * @param flags MAP_SHARED or MAP_PRIVATE; the former by default
   * @throws SyscallError with EBADF, EINVAL, ENOMEM, EOVERFLOW, ENODEV for a file that cannot be mapped, EPERM for PROT_EXEC of a file
   * without a path (7.x), or what the file answers
   */
  mmap(fd: number, length: number, offset = 0, prot: number = PROT_READ | PROT_WRITE, flags: number = MAP_SHARED): Mapping {
    const { refusals } = this.host;
    const since = refusals.watch();
    try {
      const made = this.tryMmap(fd, length, offset, prot, flags);
      if (typeof made !== 'number') return made;
      throw new SyscallError('mmap', made, fd < 0 ? 'anonymous' : `fd ${fd}`, { path: this.file(fd)?.subject, why: refusals.last(since, `${this.name} mmap`) });
    } finally {
      refusals.unwatch(since);
    }
  }

  /**
   * mmap() that gives a negative errno instead of throwing: -EINVAL, -ENOMEM, -EOVERFLOW, -EPERM, or what the file answers.
   *
   * @param fd an open fd, or -1
   * @param length in bytes
   * @param offset in the file, in bytes
   * @param prot PROT_READ, PROT_WRITE, PROT_EXEC
   * @param flags MAP_SHARED or MAP_PRIVATE
   */
  tryMmap(fd: number, length: number, offset: number, prot: number, flags: number): Mapping | number {
    const read = (prot & PROT_READ) !== 0;
    const write = (prot & PROT_WRITE) !== 0;
    const shared = (flags & MAP_SHARED) !== 0;
    if (fd < 0) return this.mm.mapAnonymous(length, read, write, shared);
    const file = this.file(fd);
    if (file === undefined) return this.badFd(fd);
    const { refusals } = this.host;
    if (!(length > 0) || offset % PAGE_SIZE !== 0) return refusals.refuse(MMAP_RANGE, { length, offset });
    // do_mmap(): what no process has room for, then what no file offset reaches.
    if (length > TASK_SIZE) return refusals.refuse(MMAP_RANGE, { length, offset }, ENOMEM);
    if (!isInside(offset / PAGE_SIZE, Math.ceil(length / PAGE_SIZE), 0, FRAMES)) return refusals.refuse(MMAP_RANGE, { length, offset }, EOVERFLOW);
    if ((prot & PROT_EXEC) !== 0 && file.isPseudo && this.host.profile.noexecPseudoFiles) return refusals.refuse(NO_EXEC, { file: file.subject });
    const mapping = file.mmap(this, { length: Math.ceil(length / PAGE_SIZE) * PAGE_SIZE, offset, read, write, shared });
    if (typeof mapping !== 'number') this.mm.hold(mapping, file);
    return mapping;
  }

  /**
   * lseek() that gives a negative errno instead of throwing. `whence`: SEEK_SET 0, SEEK_CUR 1, SEEK_END 2.
   *
   * @param fd an open fd
   * @param offset in bytes
   */
  tryLseek(fd: number, offset: number, whence: number): number {
    return this.file(fd)?.seek(offset, whence) ?? this.badFd(fd);
  }

  /**
   * lseek(2). Most files here have no position.
   *
   * @param fd an open fd
   * @param offset in bytes
   * @param whence SEEK_SET 0, SEEK_CUR 1, SEEK_END 2
   * @returns the new position
   * @throws SyscallError with EBADF, ESPIPE, or what the file answers
   */
  lseek(fd: number, offset: number, whence: number): number {
    return this.#check('lseek', fd, () => this.tryLseek(fd, offset, whence));
  }

  /**
   * /proc/self/fdinfo/FD: what a file says of itself, without pos, flags, mnt_id and ino.
   *
   * @param fd an open fd
   * @throws SyscallError with ENOENT
   */
  fdinfo(fd: number): string {
    const path = `/proc/self/fdinfo/${fd}`;
    const lines: string[] = [];
    this.#check('open', path, () => {
      const file = this.file(fd);
      if (file === undefined) return this.host.refusals.refuse(NO_ENTRY, { path });
      lines.push(...file.fdinfo());
      return 0;
    });
    return lines.map((line) => `${line}\n`).join('');
  }

  /**
   * dup(2): another fd of the same open file.
   *
   * @param fd an open fd
   * @returns the lowest free fd
   * @throws SyscallError with EBADF, EMFILE
   */
  dup(fd: number): number {
    return this.#check('dup', fd, () => this.#share(fd, this));
  }

  /** memfd_create(): no bytes long; ftruncate() gives it some. @returns the lowest free fd @throws SyscallError with EMFILE */
  memfd(name = 'memory'): number {
    const fd = this.#check('memfd_create', '', () => this.nextFd());
    return this.install(new MemfdFile(this.host, name), O_RDWR, fd);
  }

  /**
   * ftruncate(2): gives a memfd a length.
   *
   * @param fd an open fd
   * @param size in bytes
   * @throws SyscallError with EBADF, EINVAL for another file, or what MemfdFile.truncate() refuses
   */
  ftruncate(fd: number, size: number): void {
    this.#check('ftruncate', fd, () => this.file(fd)?.truncate(size) ?? this.badFd(fd));
  }

  /**
   * poll(): what each fd is ready for, of what was asked, and errors; 0 for a negative fd, POLLNVAL for one that is not open.
   *
   * @param timeout how long it may sleep until one is ready, in ms of virtual time; below 0 for ever @default 0
   * @throws BlockedError if it sleeps: a thread waits with sys.poll()
   */
  poll(requests: readonly PollRequest[], timeout = 0): readonly number[] {
    if (timeout === 0) return this.look(requests);
    const found = this.#run('poll', this.sys.poll(requests, timeout));
    if (typeof found === 'number') throw new SyscallError('poll', found, '');
    return found;
  }

  /** What poll() finds now: an fd means what is behind it at each look. Kernel: do_pollfd(). @internal */
  look(requests: readonly PollRequest[]): readonly number[] {
    return requests.map(({ fd, events }) => {
      if (fd < 0) return 0;
      const file = this.file(fd);
      return file === undefined ? POLLNVAL : file.poll() & (events | POLLERR);
    });
  }

  /**
   * sendmsg() and recvmsg() with SCM_RIGHTS: the other process gets an fd of the same open file.
   *
   * @param fd an open fd
   * @returns its number there
   * @throws SyscallError with EBADF, or EMFILE of the other process
   */
  send(fd: number, other: Process): number {
    return this.#check(this.file(fd) === undefined ? 'sendmsg' : 'recvmsg', fd, () => this.#share(fd, other));
  }

  /** Installs the open file of an fd in a process, under its lowest free number or the one given. */
  #share(fd: number, other: Process, as?: number): number {
    const descriptor = this.#fds[fd];
    if (descriptor === undefined) return this.badFd(fd);
    const copy = as ?? other.nextFd();
    if (copy < 0) return copy;
    descriptor.file.get();
    return other.install(descriptor.file, descriptor.flags, copy);
  }

  /**
   * fork(): a process with the same rights and the same open files, under the same numbers; its memory is as Mm.copyFrom() has it.
   *
   * @throws SyscallError with ENOMEM
   */
  fork(name = `${this.name} child`): Process {
    const { uid, memlock } = this;
    const child = new Process(this.host, { name, uid, memlock, maxFiles: this.#maxFiles });
    child.#capabilities = this.#capabilities;
    this.#check('fork', '', () => child.mm.copyFrom(this.mm));
    for (const fd of this.fds) this.#share(fd, child, fd);
    return child;
  }

  /**
   * eventfd2().
   *
   * @param count what it begins with, from 0
   * @returns the lowest free fd
   * @throws SyscallError with EMFILE
   */
  eventfd(count = 0, { nonblocking = true, semaphore = false }: EventfdFlags = {}): number {
    const fd = this.#check('eventfd2', '', () => this.nextFd());
    const context = new EventFdContext(`${this.name} eventfd ${fd}`, count, semaphore);
    return this.install(new EventFdFile(this.host.scheduler, context, nonblocking), O_RDWR, fd);
  }

  /**
   * The count of an eventfd; 0n where read() would be EAGAIN.
   *
   * @param fd that of an eventfd
   * @throws SyscallError with EBADF, or EINVAL for another file
   */
  readEventfd(fd: number): bigint {
    const into = new Uint8Array(8);
    const file = this.file(fd);
    if (!(file instanceof EventFdFile)) this.#check('read', fd, () => (file === undefined ? this.badFd(fd) : this.host.refusals.refuse(NOT_EVENTFD, { fd, file: file.subject })));
    else if (file.context.isZero) return 0n;
    this.read(fd, into);
    return new DataView(into.buffer).getBigUint64(0, true);
  }

  /**
   * Adds to an eventfd.
   *
   * @param value from 0 to 2^64 - 2; cut to 64 bits
   * @param fd that of an eventfd
   * @throws SyscallError with EBADF, EINVAL, or EAGAIN where the sum has no room
   */
  writeEventfd(fd: number, value: bigint): void {
    const from = new Uint8Array(8);
    new DataView(from.buffer).setBigUint64(0, value, true);
    this.write(fd, from);
  }

  /**
   * Writes a sysfs attribute, as `echo -n` does.
   *
   * @returns the count of bytes taken.
   * @throws SyscallError with ENOENT, EISDIR, ENODEV for what is no attribute, EACCES, or what the attribute answers
   */
  writeFile(path: string, content: string | Uint8Array): number {
    return this.#check('write', path, () => this.#run('write', this.sys.writeFile(path, content)));
  }

  /**
   * The whole of a sysfs attribute as text.
   *
   * @throws SyscallError with ENOENT, EISDIR, ENODEV for what is no attribute, EACCES, or what the attribute answers
   */
  readFile(path: string): string {
    const { refusals } = this.host;
    const since = refusals.watch();
    try {
      const content = this.#run('read', this.sys.readFile(path));
      if (typeof content !== 'number') return typeof content === 'string' ? content : new TextDecoder().decode(content);
      throw new SyscallError('read', content, path, { path, why: refusals.last(since, `${this.name} read`) });
    } finally {
      refusals.unwatch(since);
    }
  }

  /** Names in a folder, sorted. @throws SyscallError with ENOENT, or ENOTDIR for what is no folder */
  readdir(path: string): string[] {
    const names: string[] = [];
    this.#check('readdir', path, () => {
      const node = this.host.files.lookup(path);
      if (node?.kind !== 'folder') return this.#wrongKind(path, node !== undefined, 'folder');
      names.push(...node.entries.keys());
      return 0;
    });
    return names.sort();
  }

  /** The target of a symbolic link. @throws SyscallError with ENOENT, or EINVAL for what is no link */
  readlink(path: string): string {
    let target = '';
    this.#check('readlink', path, () => {
      const node = this.host.files.lookup(path, true);
      if (node?.kind !== 'link') return this.#wrongKind(path, node !== undefined, 'link');
      ({ target } = node);
      return 0;
    });
    return target;
  }

  #wrongKind(path: string, exists: boolean, wanted: 'folder' | 'link'): number {
    const { refusals } = this.host;
    return exists ? refusals.refuse(WRONG_KIND, { path, wanted }, wanted === 'folder' ? ENOTDIR : EINVAL) : refusals.refuse(NO_ENTRY, { path });
  }

  /** Runs a call that may sleep as a thread of this process, and does not wait for it. */
  start<T>(name: string, body: Sleeps<T>): Thread<T> {
    return this.host.scheduler.spawn(`${this.name} ${name}`, body);
  }

  /** Ends the process: all fds are closed, its memory goes. */
  exit(): void {
    this.#run('exit', this.sys.exit());
  }

  /**
   * A call of one of its threads. The last to leave a process that exits closes what there is.
   *
   * @returns -ESRCH while it exits @internal
   * @internal A call of one of its threads. The last to leave a process that exits closes what there is.
   */
  *inCall<T>(body: Sleeps<T>): Sleeps<T | number> {
    if (this.#exiting) return this.host.refusals.refuse(PROCESS_EXITS, { task: this.name });
    const call = { thread: this.host.scheduler.current };
    this.#calls.add(call);
    let result: T;
    try {
      result = yield* body;
    } finally {
      this.#calls.delete(call);
    }
    yield* this.#exitFiles();
    return result;
  }

  /** The work of Syscalls.exit(): kills the threads that are in calls. @internal */
  *exitCall(): Sleeps<void> {
    this.#exiting = true;
    for (const { thread } of this.#calls) thread?.kill();
    yield* this.#exitFiles();
  }

  /** exit_files() and exit_mm() of the last thread. */
  *#exitFiles(): Sleeps<void> {
    if (!this.#exiting || this.#calls.size > 0) return;
    for (const fd of this.fds) {
      const file = this.takeFd(fd);
      if (file !== undefined) yield* file.put();
    }
    yield* this.mm.unmapAll();
    if (this.host.trace.followed) this.host.trace.step(PROCESS_EXITED, { process: this.name });
    // Whoever goes on with this process has the next one, with its name and rights.
    this.#exiting = false;
  }

  // What the kernel side asks of a process.

  /** The file of an fd. @param fd any number; undefined for one that is not open */
  file(fd: number): File | undefined {
    return this.#fds[fd]?.file;
  }

  /** The numbers of its open fds, ascending. */
  get fds(): readonly number[] {
    return [...this.#fds.keys()].filter((fd) => this.#fds[fd] !== undefined);
  }

  /** The lowest free fd, from 3 on, or -EMFILE at `maxFiles`. */
  nextFd(): number {
    const fd = this.#free.peek() ?? this.#end;
    return fd < this.#maxFiles ? fd : this.host.refusals.refuse(FD_LIMIT, { task: this.name, limit: this.#maxFiles });
  }

  /** get_unused_fd_flags(): the lowest free fd, kept until install() or unreserveFd(). @returns its number, or -EMFILE at `maxFiles` */
  reserveFd(): number {
    const fd = this.nextFd();
    if (fd >= 0) {
      this.#reserved.add(fd);
      this.#taken(fd);
    }
    return fd;
  }

  /** put_unused_fd(). @param fd a number that reserveFd() gave and that is not installed */
  unreserveFd(fd: number): void {
    if (this.#reserved.delete(fd)) this.#free.push(fd);
  }

  /** Numbers up to this one have been in use. */
  #taken(fd: number): void {
    for (; this.#end <= fd; this.#end += 1) if (this.#end < fd) this.#free.push(this.#end);
  }

  /**
   * fd_install(): the file's first reference belongs to the fd.
   *
   * @param flags O_RDONLY, O_WRONLY or O_RDWR, as it was opened
   * @param fd a free number; the lowest by default
   * @returns the number of the fd
   */
  install(file: File, flags: number, fd: number = this.nextFd()): number {
    this.#reserved.delete(fd);
    this.#taken(fd);
    this.#fds[fd] = { file, flags };
    file.installed(this.host);
    return fd;
  }

  /** Takes the file out of the fd table, with its reference. @param fd any number; undefined for one that is not open */
  takeFd(fd: number): File | undefined {
    const file = this.#fds[fd]?.file;
    if (file !== undefined) {
      this.#fds[fd] = undefined;
      this.#free.push(fd);
    }
    return file;
  }

  /** The eventfd behind an fd: -EBADF if it is none, -EINVAL if it is another kind of file. @param fd an eventfd */
  eventFdContext(fd: number): EventFdContext | number {
    const file = this.file(fd);
    if (file === undefined) return this.badFd(fd);
    return file instanceof EventFdFile ? file.context : this.host.refusals.refuse(NOT_EVENTFD, { fd, file: file.subject });
  }

  /** Refuses an fd that is not open: -EBADF. @param fd what the caller gave @internal @internal Refuses an fd that is not open: -EBADF. */
  badFd(fd: number): number {
    return this.host.refusals.refuse(BAD_FD, { fd, task: this.name });
  }

  /**
   * Refuses an offset that is no file offset: -EINVAL.
   *
   * @param offset in bytes
   * @param length in bytes @internal
   * @internal
   */
  badOffset(offset: number, length: number): number {
    return this.host.refusals.refuse(BAD_OFFSET, { offset, length });
  }

  /** Refuses a file whose mode lets the user not have it: -EACCES. @param mode its permission bits @internal @internal */
  notPermitted(path: string, mode: number): number {
    return this.host.refusals.refuse(NOT_PERMITTED, { path, mode, task: this.name, uid: this.uid });
  }

  /**
   * Permission bits against an access, for files that belong to root.
   *
   * @param mode permission bits; those of others count
   * @param flags O_RDONLY, O_WRONLY or O_RDWR
   */
  mayAccess(mode: number, flags: number): boolean {
    if (this.uid === 0) return true;
    const access = flags & 3;
    const wanted = access === O_RDONLY ? 4 : access === O_WRONLY ? 2 : 6;
    return (mode & wanted) === wanted;
  }

  #run<T>(name: string, body: Sleeps<T>): T {
    return this.host.scheduler.call(`${this.name} ${name}`, body);
  }

  /** Reads or writes as `call` and throws the error as `syscall`'s. Region access is hot: no closure. */
  #transfer(syscall: string, call: 'read' | 'write' | 'pread' | 'pwrite', fd: number, bytes: Uint8Array, offset: number): number {
    const { refusals } = this.host;
    const since = refusals.watch();
    try {
      let result: number;
      if (call === 'pread') result = this.tryPread(fd, bytes, offset);
      else if (call === 'pwrite') result = this.tryPwrite(fd, bytes, offset);
      else result = call === 'read' ? this.tryRead(fd, bytes) : this.tryWrite(fd, bytes);
      if (result >= 0) return result;
      throw new SyscallError(syscall, result, `fd ${fd}`, { path: this.file(fd)?.subject, why: refusals.last(since, `${this.name} ${call}`) });
    } finally {
      refusals.unwatch(since);
    }
  }

  /** Makes a call and throws its error. */
  #check(syscall: string, what: string | number, call: () => number, request?: number): number {
    const { refusals } = this.host;
    const file = typeof what === 'number' ? this.file(what) : undefined;
    const since = refusals.watch();
    try {
      const result = call();
      if (result >= 0) return result;
      const path = typeof what === 'number' ? file?.subject : what;
      const name = request === undefined ? undefined : (file?.requestName(request >>> 0) ?? `0x${(request >>> 0).toString(16)}`);
      throw new SyscallError(syscall, result, typeof what === 'number' ? `fd ${what}` : what, { path, request: name, why: refusals.last(since, `${this.name} ${syscall}`) });
    } finally {
      refusals.unwatch(since);
    }
  }
}
