/** The error of a system call, as programs see it: Node's convention. */
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
  override readonly name = 'SyscallError';
  readonly code: string;
  /** Negative, as libuv has it. */
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;
  readonly request: string | undefined;
  /** The rule that was broken, and the numbers and names that decided. */
  readonly why: Refusal | undefined;

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
