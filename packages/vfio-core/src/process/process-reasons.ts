/** Why a process is refused a call before, or by whatever, the file behind its fd: fds, paths, addresses, arguments. */
import { reason, type Reason } from '../host/reason.ts';
import { hex } from '../memory/u64.ts';
import { E2BIG, EACCES, EAGAIN, EBADF, EFAULT, EFBIG, EINVAL, EISDIR, EMFILE, ENODEV, ENOENT, ENOMEM, ENOTDIR, ENOTTY, EOVERFLOW, EPERM, ESPIPE, ESRCH } from '../uapi/errno.ts';

/** Refusal of any call on an fd (EBADF). The rule: the fd is open in the process. Kernel: fdget(). */
export const BAD_FD: Reason<{ readonly fd: number; readonly task: string }> = reason({
  id: 'process/bad-fd',
  errno: EBADF,
  call: 'any call on an fd',
  rule: 'the fd is open in the process',
  kernel: 'fdget()',
  wayOut: 'use an fd that open(), eventfd2(), dup() or VFIO_GROUP_GET_DEVICE_FD gave, and that was not closed',
  text: ({ fd, task }) => `fd ${fd} is not open in ${task}`,
});

/** Refusal of any call that makes an fd (EMFILE). The rule: a process has at most RLIMIT_NOFILE fds. Kernel: alloc_fd(). */
export const FD_LIMIT: Reason<{ readonly task: string; readonly limit: number }> = reason({
  id: 'process/fd-limit',
  errno: EMFILE,
  call: 'any call that makes an fd',
  rule: 'a process has at most RLIMIT_NOFILE fds',
  kernel: 'alloc_fd()',
  wayOut: 'close some, or raise RLIMIT_NOFILE (ulimit -n)',
  text: ({ task, limit }) => `${task} has its ${limit} fds`,
});

/** Refusal of open (ENOENT). The rule: the path leads to something. Kernel: link_path_walk(). */
export const NO_ENTRY: Reason<{ readonly path: string }> = reason({
  id: 'process/no-entry',
  errno: ENOENT,
  call: 'open',
  rule: 'the path leads to something',
  kernel: 'link_path_walk()',
  wayOut: 'look with ls which part of the path is there; /dev/vfio/N comes when a device of group N is bound to a VFIO driver',
  text: ({ path }) => `${path} does not exist`,
});

/** Refusal of open (EISDIR). The rule: a folder is listed, and not opened to be read or written. Kernel: do_open(). */
export const IS_FOLDER: Reason<{ readonly path: string }> = reason({
  id: 'process/is-folder',
  errno: EISDIR,
  call: 'open',
  rule: 'a folder is listed, and not opened to be read or written',
  kernel: 'do_open()',
  wayOut: 'name a file in it',
  text: ({ path }) => `${path} is a folder`,
});

/**
 * Refusal of readdir, readlink (ENOTDIR or EINVAL). The rule: a folder is listed, and a link is read. Kernel: iterate_dir(),
 * do_readlinkat().
 */
export const WRONG_KIND: Reason<{ readonly path: string; readonly wanted: 'folder' | 'link' }> = reason({
  id: 'process/wrong-kind',
  errno: [ENOTDIR, EINVAL],
  call: 'readdir, readlink',
  rule: 'a folder is listed, and a link is read',
  kernel: 'iterate_dir(), do_readlinkat()',
  wayOut: 'look with ls -l what is there',
  text: ({ path, wanted }) => `${path} is no ${wanted}`,
});

/** Refusal of open (EACCES). The rule: the mode of the file lets the user read or write it as asked. Kernel: inode_permission(). */
export const NOT_PERMITTED: Reason<{ readonly path: string; readonly mode: number; readonly task: string; readonly uid: number }> = reason({
  id: 'process/not-permitted',
  errno: EACCES,
  call: 'open',
  rule: 'the mode of the file lets the user read or write it as asked',
  kernel: 'inode_permission()',
  wayOut: 'run as root, or give the user rights to the file (chown, chmod, a udev rule)',
  text: ({ path, mode, task, uid }) => `${path} has mode ${mode.toString(8).padStart(4, '0')}, and ${task} is user ${uid}`,
});

/**
 * Refusal of open of an attribute (EACCES). The rule: an attribute is read or written only where it has an operation for that, also by
 * root. Kernel: kernfs_fop_open().
 */
export const ONE_WAY: Reason<{ readonly path: string; readonly lacks: 'read' | 'write' }> = reason({
  id: 'process/one-way',
  errno: EACCES,
  call: 'open of an attribute',
  rule: 'an attribute is read or written only where it has an operation for that, also by root',
  kernel: 'kernfs_fop_open()',
  wayOut: 'look at its mode with ls -l',
  text: ({ path, lacks }) => `${path} cannot be ${lacks === 'read' ? 'read' : 'written'}`,
});

/**
 * Refusal of readFile(), writeFile(), open() (ENODEV or EINVAL). The rule: attributes are read and written whole, devices are opened (how
 * this model does it).
 */
export const NOT_ATTRIBUTE: Reason<{ readonly path: string }> = reason({
  id: 'process/not-attribute',
  errno: [ENODEV, EINVAL],
  call: 'readFile(), writeFile(), open()',
  rule: 'attributes are read and written whole, devices are opened (how this model does it)',
  kernel: 'none: a kernel has no such difference',
  wayOut: 'use readFile() and writeFile() on attributes, open() on devices',
  text: ({ path }) => `${path} is not of the kind that this call takes`,
});

/**
 * Refusal of pread, pwrite (EFAULT). The rule: all of the buffer is memory of the process, and may be accessed so. Kernel: copy_to_user(),
 * copy_from_user().
 */
export const BUFFER_FAULT: Reason<{ readonly file: string; readonly address: number; readonly length: number; readonly reach: number }> = reason({
  id: 'process/buffer-fault',
  errno: EFAULT,
  call: 'pread, pwrite',
  rule: 'all of the buffer is memory of the process, and may be accessed so',
  kernel: 'copy_to_user(), copy_from_user()',
  wayOut: 'what lies before the end of the buffer is done: begin again behind it',
  text: ({ file, address, length, reach }) => `${file}: of ${length} bytes at ${hex(address)} ${reach} can be reached`,
});

/**
 * Refusal of mmap (EPERM). The rule: what is mapped with PROT_EXEC does not lie on a file system of the kernel alone, as files without a
 * path do (7.x). Kernel: do_mmap(): path_noexec().
 */
export const NO_EXEC: Reason<{ readonly file: string }> = reason({
  id: 'process/no-exec',
  errno: EPERM,
  call: 'mmap',
  rule: 'what is mapped with PROT_EXEC does not lie on a file system of the kernel alone, as files without a path do (7.x)',
  kernel: 'do_mmap(): path_noexec()',
  wayOut: 'leave PROT_EXEC out: nobody executes registers',
  text: ({ file }) => `${file} has no path`,
});

/**
 * Refusal of pread, pwrite (EINVAL). The rule: the offset is not negative, and offset + length does not pass 2^63. Kernel:
 * rw_verify_area().
 */
export const BAD_OFFSET: Reason<{ readonly offset: number; readonly length: number }> = reason({
  id: 'process/bad-offset',
  errno: EINVAL,
  call: 'pread, pwrite',
  rule: 'the offset is not negative, and offset + length does not pass 2^63',
  kernel: 'rw_verify_area()',
  wayOut: 'take the offset from VFIO_DEVICE_GET_REGION_INFO',
  text: ({ offset, length }) => `offset ${offset} with length ${length} is no file offset`,
});

/**
 * Refusal of mmap (EINVAL, EOVERFLOW or ENOMEM). The rule: length is above 0 and fits into the address space, offset is a multiple of the
 * page size, and offset + length is a file offset. Kernel: do_mmap().
 */
export const MMAP_RANGE: Reason<{ readonly length: number; readonly offset: number }> = reason({
  id: 'process/mmap-range',
  errno: [EINVAL, EOVERFLOW, ENOMEM],
  call: 'mmap',
  rule: 'length is above 0 and fits into the address space, offset is a multiple of the page size, and offset + length is a file offset',
  kernel: 'do_mmap()',
  wayOut: 'align the offset down to 4096, and give the bytes to map',
  text: ({ length, offset }) => `length ${hex(length)} at offset ${hex(offset)}`,
});

/**
 * Refusal of mmap, fork, ftruncate and pwrite of a memfd (ENOMEM). The rule: there are pages, and addresses in the process, for all of it.
 * Kernel: get_unmapped_area(), alloc_pages().
 */
export const NO_ADDRESSES: Reason<{ readonly length: number }> = reason({
  id: 'process/no-memory',
  errno: ENOMEM,
  call: 'mmap, fork, ftruncate and pwrite of a memfd',
  rule: 'there are pages, and addresses in the process, for all of it',
  kernel: 'get_unmapped_area(), alloc_pages()',
  wayOut: 'map less, unmap something, or give the host more memory',
  text: ({ length }) => `no room for ${hex(length)} bytes`,
});

/**
 * Refusal of read, write, mmap, lseek, ftruncate (EINVAL, ENODEV or ESPIPE). The rule: the file has the operation. Kernel: its struct
 * file_operations.
 */
export const NO_OPERATION: Reason<{ readonly file: string; readonly operation: 'read' | 'write' | 'mmap' | 'lseek' | 'ftruncate' }> = reason({
  id: 'process/no-operation',
  errno: [EINVAL, ENODEV, ESPIPE],
  call: 'read, write, mmap, lseek, ftruncate',
  rule: 'the file has the operation',
  kernel: 'its struct file_operations',
  wayOut: 'registers and memory of a device are reached by the fd of the device, as VFIO_DEVICE_GET_REGION_INFO tells',
  text: ({ file, operation }) => `${file} has no ${operation}`,
});

/**
 * Refusal of ioctl (ENOTTY or EINVAL). The rule: the request is one that this kind of fd knows, in this kernel. Kernel: its
 * unlocked_ioctl().
 */
export const UNKNOWN_REQUEST: Reason<{ readonly file: string; readonly request: string }> = reason({
  id: 'process/unknown-request',
  errno: [ENOTTY, EINVAL],
  call: 'ioctl',
  rule: 'the request is one that this kind of fd knows, in this kernel',
  kernel: 'its unlocked_ioctl()',
  wayOut: 'requests of container, group and device go to the fd of the container, the group and the device',
  text: ({ file, request }) => `${file} does not know ${request}`,
});

/** Anything that user space hands to the kernel and that cannot be read or written. */
export const ARGUMENT_FAULT: Reason<{ readonly request: string }> = reason({
  id: 'uapi/argument-fault',
  errno: [EFAULT, E2BIG, EINVAL, ENOMEM],
  call: 'any request',
  rule: 'the argument, and what it points to, is readable and writable memory of the whole struct',
  kernel: 'copy_from_user(), copy_to_user()',
  wayOut: 'pass a pointer to memory of the process that holds all of argsz',
  text: ({ request }) => `the argument of ${request} cannot be read or written`,
});

/**
 * Refusal of any request whose struct begins with argsz (EINVAL). The rule: argsz is at least the size of the struct, and of what follows
 * it. Kernel: its ioctl function: minsz.
 */
export const ARGUMENT_SIZE: Reason<{ readonly request: string; readonly argsz: number; readonly least: number }> = reason({
  id: 'uapi/argsz',
  errno: EINVAL,
  call: 'any request whose struct begins with argsz',
  rule: 'argsz is at least the size of the struct, and of what follows it',
  kernel: 'its ioctl function: minsz',
  wayOut: 'set argsz to the size of the struct and its data',
  text: ({ request, argsz, least }) => `argsz of ${request} is ${argsz}, and at least ${least} is needed`,
});

/** Refusal of VFIO_GROUP_GET_DEVICE_FD (EINVAL). The rule: the string ends with a NUL inside the limit. Kernel: strndup_user(). */
export const ARGUMENT_STRING: Reason<{ readonly request: string; readonly limit: number }> = reason({
  id: 'uapi/string',
  errno: EINVAL,
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'the string ends with a NUL inside the limit',
  kernel: 'strndup_user()',
  wayOut: 'end the name with a NUL',
  text: ({ request, limit }) => `the string of ${request} has no NUL in ${limit} bytes`,
});

/** Refusal of any request that takes an eventfd (EINVAL). The rule: the fd is an eventfd. Kernel: eventfd_ctx_fileget(). */
export const NOT_EVENTFD: Reason<{ readonly fd: number; readonly file: string }> = reason({
  id: 'process/not-eventfd',
  errno: EINVAL,
  call: 'any request that takes an eventfd',
  rule: 'the fd is an eventfd',
  kernel: 'eventfd_ctx_fileget()',
  wayOut: 'make it by eventfd2()',
  text: ({ fd, file }) => `fd ${fd} is ${file}, not an eventfd`,
});

/**
 * Refusal of read and write of an eventfd (EINVAL). The rule: the buffer has 8 bytes, and what is written is not 2^64 - 1. Kernel:
 * eventfd_read(), eventfd_write().
 */
export const EVENTFD_BUFFER: Reason<{ readonly length: number }> = reason({
  id: 'eventfd/buffer',
  errno: EINVAL,
  call: 'read and write of an eventfd',
  rule: 'the buffer has 8 bytes, and what is written is not 2^64 - 1',
  kernel: 'eventfd_read(), eventfd_write()',
  wayOut: 'read and write a uint64_t',
  text: ({ length }) => `${length} bytes, or a count that no eventfd can have`,
});

/** One of these is made for an eventfd, and told each time that it is empty: an empty eventfd is polled often. */
export interface EventFdState {
  /** The eventfd by its name in messages: `PROCESS eventfd FD`. */
  readonly eventfd: string;
  /** What it counts, up to 2^64 - 1. */
  readonly count: bigint;
  /** What is to be added; undefined for a read. */
  readonly adds: bigint | undefined;
}

/**
 * Refusal of read and write of an eventfd with EFD_NONBLOCK (EAGAIN). The rule: a read finds a count above 0, and a write leaves one of at
 * most 2^64 - 2. Kernel: eventfd_read(), eventfd_write().
 */
export const EVENTFD_NOT_READY: Reason<EventFdState> = reason({
  id: 'eventfd/not-ready',
  errno: EAGAIN,
  call: 'read and write of an eventfd with EFD_NONBLOCK',
  rule: 'a read finds a count above 0, and a write leaves one of at most 2^64 - 2',
  kernel: 'eventfd_read(), eventfd_write()',
  wayOut: 'wait with poll() until it is ready, or make it without EFD_NONBLOCK',
  text: ({ eventfd, count, adds }) => `${eventfd} counts ${count}${adds === undefined ? '' : `, and has no room for ${adds}`}`,
});

/**
 * Refusal of ftruncate and pwrite of a memfd (EINVAL, EFBIG or EPERM). The rule: a size is a count of bytes up to the longest that a file
 * can be; a memfd does not shrink (how this model does it). Kernel: do_sys_ftruncate(), shmem_setattr().
 */
export const MEMFD_SIZE: Reason<{ readonly file: string; readonly size: number; readonly wanted: number; readonly most: number }> = reason({
  id: 'process/memfd-size',
  errno: [EINVAL, EFBIG, EPERM],
  call: 'ftruncate and pwrite of a memfd',
  rule: 'a size is a count of bytes up to the longest that a file can be; a memfd does not shrink (how this model does it)',
  kernel: 'do_sys_ftruncate(), shmem_setattr()',
  wayOut: 'give a size between the present one and the longest',
  text: ({ file, size, wanted, most }) => `${file} has ${size} bytes, and ${wanted} are wanted, where ${most} are the most`,
});

/** Refusal of mprotect (ENOMEM). The rule: the pages are those of one mapping. Kernel: do_mprotect_pkey(). */
export const NOT_MAPPED: Reason<{ readonly address: number; readonly length: number }> = reason({
  id: 'process/not-mapped',
  errno: ENOMEM,
  call: 'mprotect',
  rule: 'the pages are those of one mapping',
  kernel: 'do_mprotect_pkey()',
  wayOut: 'map them first, and change each mapping by itself',
  text: ({ address, length }) => `${hex(length)} bytes at ${hex(address)} are not within one mapping`,
});

/** Refusal of any call (ESRCH). The rule: a process that exits makes no new calls (how this model does it). Kernel: do_exit(). */
export const PROCESS_EXITS: Reason<{ readonly task: string }> = reason({
  id: 'process/exits',
  errno: ESRCH,
  call: 'any call',
  rule: 'a process that exits makes no new calls (how this model does it)',
  kernel: 'do_exit()',
  wayOut: 'call exit() last',
  text: ({ task }) => `${task} is about to exit`,
});
