/** The buffer of a read or write as the kernel sees it: user memory that may not all be there. */

export class UserBuffer extends ArrayBuffer {
  /** Bytes from its start that can be reached: what lies behind is a fault. */
  readonly reach: number;
  /** read(): the kernel stores into it, when the device has been asked. write(): it loads from it first. */
  readonly filled: boolean;
  /** Bytes from its start that were moved before the fault. */
  moved = 0;

  constructor(length: number, reach: number, filled: boolean) {
    super(length);
    this.reach = Math.min(reach, length);
    this.filled = filled;
  }
}

/** Whether all of the bytes of a read or write can be reached, as far as the kernel knows. */
export function reachable(bytes: Uint8Array): boolean {
  return !(bytes.buffer instanceof UserBuffer) || bytes.byteOffset + bytes.length <= bytes.buffer.reach;
}
