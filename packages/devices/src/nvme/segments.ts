import type { BusMaster } from './bus-master.ts';
import type { TransferBuffer } from './transfer-buffer.ts';

/** The most pieces that a command's data may have. A PRP list of the largest transfer has fewer. */
export const MAX_SEGMENTS = 1024;

/** Where a command's data are in the driver's memory, piece after piece. @internal */
export class Segments {
  /** How many pieces there are. */
  count = 0;
  /** Length of all of them. */
  bytes = 0;
  readonly #lo = new Uint32Array(MAX_SEGMENTS);
  readonly #hi = new Uint32Array(MAX_SEGMENTS);
  readonly #length = new Uint32Array(MAX_SEGMENTS);
  /** 1: a bit bucket, whose bytes go nowhere. */
  readonly #bucket = new Uint8Array(MAX_SEGMENTS);

  clear(): void {
    this.count = 0;
    this.bytes = 0;
  }

  /** One piece more. @param lo bits 31:0 of its address @param hi bits 63:32 @param length bytes @param bucket it is a bit bucket @returns false where there is no room for it */
  add(lo: number, hi: number, length: number, bucket = false): boolean {
    if (this.count === MAX_SEGMENTS) return false;
    this.#lo[this.count] = lo;
    this.#hi[this.count] = hi;
    this.#length[this.count] = length;
    this.#bucket[this.count] = bucket ? 1 : 0;
    this.count += 1;
    this.bytes += length;
    return true;
  }

  /** From the driver's memory into the buffer; false at a fault. */
  gather(memory: BusMaster, buffer: TransferBuffer): boolean {
    for (let n = 0, at = 0; n < this.count; n += 1) {
      const length = this.#length[n]!;
      if (!memory.read(this.#lo[n]!, this.#hi[n]!, buffer.part(at, length), 0)) return false;
      at += length;
    }
    return true;
  }

  /** From the buffer into the driver's memory; false at a fault, with the pieces before it written. */
  scatter(memory: BusMaster, buffer: TransferBuffer): boolean {
    for (let n = 0, at = 0; n < this.count; n += 1) {
      const length = this.#length[n]!;
      if (this.#bucket[n] === 0 && !memory.write(this.#lo[n]!, this.#hi[n]!, buffer.part(at, length), 0)) return false;
      at += length;
    }
    return true;
  }
}
