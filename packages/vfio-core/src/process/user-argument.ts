/**
 * The third argument of ioctl(): a number, or an address in user memory, and which of the two it is only the request knows.
 */
import { exactAddress, isInside } from '../memory/range.ts';
import { EFAULT, EINVAL } from '../uapi/errno.ts';
import type { Mm } from './mm.ts';

/** What a caller may pass: a value or address; or bytes, standing for a buffer of that length in user memory. */
export type IoctlInput = number | bigint | Uint8Array;

export class UserArgument {
  readonly #mm: Mm;
  readonly #input: IoctlInput;

  constructor(mm: Mm, input: IoctlInput) {
    this.#mm = mm;
    this.#input = input;
  }

  /** The argument as an unsigned long, for requests that take a number. A buffer has an address that no request expects. */
  get value(): number {
    return this.#input instanceof Uint8Array ? 0x7fff_dead_0000 : Number(this.#input);
  }

  /** The argument as an int, as C code would cut it. */
  get int(): number {
    return this.#input instanceof Uint8Array ? 0 : Number(BigInt.asIntN(32, BigInt(this.#input)));
  }

  /** copy_from_user(): `length` bytes from `offset` on; undefined is a fault. */
  copyIn(length: number, offset = 0): Uint8Array | undefined {
    if (this.#input instanceof Uint8Array) {
      return isInside(offset, length, 0, this.#input.length) ? this.#input.slice(offset, offset + length) : undefined;
    }
    const at = exactAddress(this.#input);
    const out = new Uint8Array(length);
    return at !== undefined && this.#mm.copyFromUser(at + offset, out) ? out : undefined;
  }

  /** copy_to_user(): false is a fault. */
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
      if (byte === undefined) return -EFAULT;
      if (byte === 0) return text;
      text += String.fromCharCode(byte);
    }
    return -EINVAL;
  }
}
