/** Linux errno values (asm-generic/errno-base.h, errno.h). The kernel side returns them negated. */

/** The caller lacks a capability or right. */
export const EPERM = 1;
/** There is no such file or object. */
export const ENOENT = 2;
/** There is no such process. */
export const ESRCH = 3;
/** A signal came while the call slept. */
export const EINTR = 4;
/** A device did not do what it was asked, or the access was not possible. */
export const EIO = 5;
/** There is no such device, address or index behind the fd. */
export const ENXIO = 6;
/** The argument is larger than is allowed. */
export const E2BIG = 7;
/** No file that could be run or loaded. */
export const ENOEXEC = 8;
/** The fd is not open, or is not open for this. */
export const EBADF = 9;
/** Not now; a call that may not sleep would have to. */
export const EAGAIN = 11;
/** There is no memory, or the limit on locked memory (RLIMIT_MEMLOCK) stands against it. */
export const ENOMEM = 12;
/** The permissions of the file or object forbid it. */
export const EACCES = 13;
/** An address of the process that the kernel cannot read or write. */
export const EFAULT = 14;
/** Somebody uses it. */
export const EBUSY = 16;
/** It is there already. */
export const EEXIST = 17;
/** There is no such device, or it does not offer this. */
export const ENODEV = 19;
/** A part of a path is no directory. */
export const ENOTDIR = 20;
/** A directory where a file is needed. */
export const EISDIR = 21;
/** An argument that the call does not take. */
export const EINVAL = 22;
/** The process has as many open fds as RLIMIT_NOFILE allows. */
export const EMFILE = 24;
/** The fd does not know this request. */
export const ENOTTY = 25;
/** The file would become too large. */
export const EFBIG = 27;
/** There is no room left in the device, the buffer or the range of numbers. */
export const ENOSPC = 28;
/** The fd has no position to seek to. */
export const ESPIPE = 29;
/** Nobody reads the other end. */
export const EPIPE = 32;
/** A number that is outside of what can be held. */
export const ERANGE = 34;
/** A name or path that is longer than the kernel takes. */
export const ENAMETOOLONG = 36;
/** The kernel does not have this call. */
export const ENOSYS = 38;
/** No data now, though more may come: what a migration's data fd answers in PRE_COPY when all has been read. */
export const ENOMSG = 42;
/** There is nothing to read. */
export const ENODATA = 61;
/** A timer ran out. */
export const ETIME = 62;
/** A number or a sum does not fit its type. */
export const EOVERFLOW = 75;
/** The fd is not of the kind, or in the state, that the call needs. */
export const EBADFD = 77;
/** There are too many users. */
export const EUSERS = 87;
/** The object does not support the operation. */
export const EOPNOTSUPP = 95;
/** The address is taken. */
export const EADDRINUSE = 98;
/** What the call needs is not connected to it. */
export const ENOTCONN = 107;
/** The other side did not answer in time. */
export const ETIMEDOUT = 110;
/** Nobody listens there. */
export const ECONNREFUSED = 111;
/** Nothing of that kind is to be had. */
export const ENAVAIL = 119;
/** Of a probe that is tried again later; never for user space. */
export const EPROBE_DEFER = 517;
/** Not for user space; the kernel lets it out all the same. */
export const ENOTSUPP = 524;

const NAMES: ReadonlyMap<number, string> = new Map([
  [EPERM, 'EPERM'],
  [ENOENT, 'ENOENT'],
  [ESRCH, 'ESRCH'],
  [EINTR, 'EINTR'],
  [EIO, 'EIO'],
  [ENXIO, 'ENXIO'],
  [E2BIG, 'E2BIG'],
  [ENOEXEC, 'ENOEXEC'],
  [EBADF, 'EBADF'],
  [EAGAIN, 'EAGAIN'],
  [ENOMEM, 'ENOMEM'],
  [EACCES, 'EACCES'],
  [EFAULT, 'EFAULT'],
  [EBUSY, 'EBUSY'],
  [EEXIST, 'EEXIST'],
  [ENODEV, 'ENODEV'],
  [ENOTDIR, 'ENOTDIR'],
  [EISDIR, 'EISDIR'],
  [EINVAL, 'EINVAL'],
  [EMFILE, 'EMFILE'],
  [ENOTTY, 'ENOTTY'],
  [EFBIG, 'EFBIG'],
  [ENOSPC, 'ENOSPC'],
  [ESPIPE, 'ESPIPE'],
  [EPIPE, 'EPIPE'],
  [ERANGE, 'ERANGE'],
  [ENAMETOOLONG, 'ENAMETOOLONG'],
  [ENOSYS, 'ENOSYS'],
  [ENOMSG, 'ENOMSG'],
  [ENODATA, 'ENODATA'],
  [ETIME, 'ETIME'],
  [EOVERFLOW, 'EOVERFLOW'],
  [EBADFD, 'EBADFD'],
  [EUSERS, 'EUSERS'],
  [EOPNOTSUPP, 'EOPNOTSUPP'],
  [EADDRINUSE, 'EADDRINUSE'],
  [ENOTCONN, 'ENOTCONN'],
  [ETIMEDOUT, 'ETIMEDOUT'],
  [ECONNREFUSED, 'ECONNREFUSED'],
  [ENAVAIL, 'ENAVAIL'],
  [EPROBE_DEFER, 'EPROBE_DEFER'],
  [ENOTSUPP, 'ENOTSUPP'],
]);

/**
 * The name of an errno, for messages.
 *
 * @param errno the number, with either sign
 * @returns `E` and the number for one that is not among those here
 */
export function errnoName(errno: number): string {
  return NAMES.get(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
}
