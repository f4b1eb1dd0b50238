import type { Refusal } from '../host/reason.ts';
import { errnoName } from '../uapi/errno.ts';

/** What a system call was about, for its error. */
export interface SyscallSubject {
  /** The path, or what /proc/PID/fd shows of the fd. */
  readonly path?: string | undefined;
  /** The request of an ioctl, by name. */
  readonly request?: string | undefined;
  /** Which rule was broken. */
  readonly why?: Refusal | undefined;
}

/** A system call that failed. All but the message is API: the message is one line for a person. */
export class SyscallError extends Error {
  /** Always `SyscallError`. */
  override readonly name = 'SyscallError';
  /** The errno by name, such as `EBUSY`. */
  readonly code: string;
  /** Negative, as libuv has it. */
  readonly errno: number;
  /** The call that failed, such as `ioctl`. */
  readonly syscall: string;
  /** The path, or what /proc/PID/fd shows of the fd. */
  readonly path: string | undefined;
  /** The request of an ioctl, by name or in hexadecimal. */
  readonly request: string | undefined;
  /** The rule that was broken, and the numbers and names that decided. */
  readonly why: Refusal | undefined;

  /** @param errno with either sign @param what the fd or path that the message names */
  constructor(syscall: string, errno: number, what: string, { path, request, why }: SyscallSubject = {}) {
    const on = path === undefined || path === what ? what : `${what} (${path})`;
    const rule = why === undefined ? '' : `: ${why.text}; ${why.reason.wayOut}`;
    super(`${syscall} ${request === undefined ? '' : `${request} `}${on}: ${errnoName(errno)}${rule}`);
    this.code = errnoName(errno);
    this.errno = -Math.abs(errno);
    this.syscall = syscall;
    this.path = path;
    this.request = request;
    this.why = why;
  }
}
