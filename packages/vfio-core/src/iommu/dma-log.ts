/** A log of the pages that a device has written, for devices that log their DMA themselves. */
import { EBUSY, EINVAL } from '../uapi/errno.ts';
import type { DmaLogger, IovaRange } from '../vfio/dma-logging.ts';

/** The page sizes that it can keep. */
const SMALLEST = 4096n;
const LARGEST = 0x10_0000n;

export class DmaLog implements DmaLogger {
  #ranges: readonly IovaRange[] | undefined;
  #pageSize: bigint = SMALLEST;
  /** Page numbers that were written since the last report. */
  readonly #dirty = new Set<bigint>();

  get on(): boolean {
    return this.#ranges !== undefined;
  }

  /** The device has written `length` bytes at `iova`: give this to DmaPort.written. */
  wrote(iova: number, length: number): void {
    if (this.#ranges === undefined) return;
    const first = BigInt(iova);
    const last = first + BigInt(length) - 1n;
    for (let page = first / this.#pageSize; page <= last / this.#pageSize; page += 1n) {
      const at = page * this.#pageSize;
      if (this.#ranges.some((range) => at < range.iova + range.length && range.iova < at + this.#pageSize)) this.#dirty.add(page);
    }
  }

  start(ranges: readonly IovaRange[], pageSize: bigint): bigint | number {
    if (this.#ranges !== undefined) return -EBUSY;
    this.#ranges = ranges;
    this.#pageSize = pageSize < SMALLEST ? SMALLEST : pageSize > LARGEST ? LARGEST : pageSize;
    return this.#pageSize;
  }

  stop(): number {
    this.#ranges = undefined;
    this.#dirty.clear();
    return 0;
  }

  readAndClear({ iova, length }: IovaRange, wrote: (iova: bigint, length: bigint) => void): number {
    if (this.#ranges === undefined) return -EINVAL;
    for (const page of [...this.#dirty]) {
      const from = page * this.#pageSize > iova ? page * this.#pageSize : iova;
      const end = (page + 1n) * this.#pageSize < iova + length ? (page + 1n) * this.#pageSize : iova + length;
      if (from >= end) continue;
      this.#dirty.delete(page);
      wrote(from, end - from);
    }
    return 0;
  }
}
