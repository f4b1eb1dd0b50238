import type { Reason } from '../host/reason.ts';
import { exactAddress, isInside } from '../memory/range.ts';
import { hex } from '../memory/u64.ts';
import type { File } from './file.ts';
import type { Mm } from './mm.ts';
import { ARGUMENT_FAULT, ARGUMENT_SIZE, ARGUMENT_STRING, UNKNOWN_REQUEST } from './process-reasons.ts';

/** What a caller may pass: a value or address; or bytes, standing for a buffer of that length in user memory. */
export type IoctlInput = number | bigint | Uint8Array;

/** The third argument of ioctl(): a number, or an address in user memory, and which of the two it is only the request knows. */
export class UserArgument {
  readonly #mm: Mm;
  readonly #input: IoctlInput;

  readonly #file: File | undefined;
  readonly #request: number;

  /** Made by Process and Syscalls for each ioctl(). `file` and `request`: what it is an argument of, for whoever refuses it. */
  constructor(mm: Mm, input: IoctlInput, file?: File, request = 0) {
    this.#mm = mm;
    this.#input = input;
    this.#file = file;
    this.#request = request;
  }

  /** The request that it is the argument of, for people. */
  get request(): string {
    return this.#file?.requestName(this.#request) ?? hex(this.#request);
  }

  /** Refuses the call. @param errno positive; one of the reason's, the first by default @returns the negative errno */
  refuse<F extends object>(reason: Reason<F>, fields: F, errno?: number): number {
    return this.#mm.host.refusals.refuse(reason, fields, errno);
  }

  /** Refuses the call: memory of the user cannot be reached. @param errno positive; EFAULT by default @returns the negative errno */
  fault(errno?: number): number {
    return this.refuse(ARGUMENT_FAULT, { request: this.request }, errno);
  }

  /**
   * Refuses the call: argsz is less than `least`.
   *
   * @param argsz what the struct says, in bytes
   * @param least how many bytes are needed
   * @returns -EINVAL
   */
  tooShort(argsz: number, least: number): number {
    return this.refuse(ARGUMENT_SIZE, { request: this.request, argsz, least });
  }

  /** Refuses the call: the file does not know the request. @param errno positive; ENOTTY by default @returns the negative errno */
  unknown(errno?: number): number {
    return this.refuse(UNKNOWN_REQUEST, { file: this.#file?.subject ?? 'the file', request: this.request }, errno);
  }

  /** The argument as an unsigned long, for requests that take a number. A buffer has an address that no request expects. */
  get value(): number {
    return this.#input instanceof Uint8Array ? 0x7fff_dead_0000 : Number(this.#input);
  }

  /** The argument as an int, as C code would cut it. */
  get int(): number {
    return this.#input instanceof Uint8Array ? 0 : Number(BigInt.asIntN(32, BigInt(this.#input)));
  }

  /**
   * copy_from_user(): `length` bytes from `offset` on; undefined is a fault.
   *
   * @param offset in bytes from the address
   * @param length in bytes
   */
  copyIn(length: number, offset = 0): Uint8Array | undefined {
    if (this.#input instanceof Uint8Array) {
      return isInside(offset, length, 0, this.#input.length) ? this.#input.slice(offset, offset + length) : undefined;
    }
    const at = exactAddress(this.#input);
    const out = new Uint8Array(length);
    return at !== undefined && this.#mm.copyFromUser(at + offset, out) ? out : undefined;
  }

  /** copy_to_user(): false is a fault. @param offset in bytes from the address */
  copyOut(bytes: Uint8Array, offset = 0): boolean {
    if (this.#input instanceof Uint8Array) {
      if (!isInside(offset, bytes.length, 0, this.#input.length)) return false;
      this.#input.set(bytes, offset);
      return true;
    }
    const at = exactAddress(this.#input);
    return at !== undefined && this.#mm.copyToUser(at + offset, bytes);
  }

  /** strndup_user(): a C string of at most `limit` bytes, its NUL included; -EFAULT, or -EINVAL when longer. */
  copyInString(limit: number): string | number {
    let text = '';
    for (let i = 0; i < limit; i += 1) {
      const byte = this.copyIn(1, i)?.[0];
      if (byte === undefined) return this.fault();
      if (byte === 0) return text;
      text += String.fromCharCode(byte);
    }
    return this.refuse(ARGUMENT_STRING, { request: this.request, limit });
  }
}
