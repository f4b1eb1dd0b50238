import { PCI_CFG_SPACE_EXP_SIZE, PCI_CFG_SPACE_SIZE } from './registers.ts';

/**
 * A function's configuration space as hardware keeps it: bytes, the bits that software can write, and the bits that it clears by writing
 * ones. What a write sets off is the function's affair (pci-function.ts).
 */
export class ConfigSpace {
  /** What a read shows. Hardware changes its own registers here. */
  readonly bytes: Uint8Array;
  /** Bits that take what software writes. */
  readonly writable: Uint8Array;
  /** Bits that software clears by writing ones. */
  readonly clearable: Uint8Array;

  /** @param bytes what a read shows first; copied @throws RangeError unless there are 256 or 4096 bytes */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== PCI_CFG_SPACE_SIZE && bytes.length !== PCI_CFG_SPACE_EXP_SIZE) {
      throw new RangeError(`"config" expected 256 or 4096 bytes, got ${bytes.length}`);
    }
    this.bytes = bytes.slice();
    this.writable = new Uint8Array(bytes.length);
    this.clearable = new Uint8Array(bytes.length);
  }

  /** 256 or 4096 bytes. */
  get size(): number {
    return this.bytes.length;
  }

  /**
   * A read; past the end it reads ones.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @returns unsigned
   */
  read(offset: number, width: number): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + (this.bytes[offset + i] ?? 0xff);
    return value;
  }

  /**
   * A write as software does it: by the masks `writable` and `clearable`.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @param value unsigned
   */
  write(offset: number, width: number, value: number): void {
    for (let i = 0; i < width && offset + i < this.bytes.length; i += 1) {
      const at = offset + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const writable = this.writable[at]!;
      const kept = this.bytes[at]! & ~writable & ~(this.clearable[at]! & byte);
      this.bytes[at] = kept | (byte & writable);
    }
  }

  /**
   * Stores as hardware does: nothing is masked.
   *
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   * @param value unsigned
   */
  set(offset: number, width: number, value: number): void {
    for (let i = 0; i < width; i += 1) this.bytes[offset + i] = value >>> (8 * i);
  }
}
