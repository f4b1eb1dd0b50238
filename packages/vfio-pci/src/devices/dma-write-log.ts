/** Which pages a device wrote by DMA, for VFIO's DMA logging: a device model calls wrote() at each of its writes. */
import type { DmaLogger, IovaRange } from '@vsim/vfio-core';

const SMALLEST = 4096n;
const LARGEST = 2n ** 30n;

export class DmaWriteLog implements DmaLogger {
  #ranges: readonly IovaRange[] = [];
  #pageSize = SMALLEST;
  #logging = false;
  readonly #pages = new Set<bigint>();

  get isLogging(): boolean {
    return this.#logging;
  }

  /** Page sizes from 4 KiB to 1 GiB, whatever is asked for. */
  start(ranges: readonly IovaRange[], pageSize: bigint): bigint {
    this.#ranges = ranges;
    this.#pageSize = pageSize < SMALLEST ? SMALLEST : pageSize > LARGEST ? LARGEST : pageSize;
    this.#pages.clear();
    this.#logging = true;
    return this.#pageSize;
  }

  stop(): number {
    this.#logging = false;
    this.#pages.clear();
    return 0;
  }

  readAndClear(range: IovaRange, wrote: (iova: bigint, length: bigint) => void): number {
    const first = range.iova / this.#pageSize;
    const last = (range.iova + range.length - 1n) / this.#pageSize;
    for (const page of [...this.#pages].sort((a, b) => (a < b ? -1 : 1))) {
      if (page < first || page > last) continue;
      wrote(page * this.#pageSize, this.#pageSize);
      this.#pages.delete(page);
    }
    return 0;
  }

  /** The device wrote `length` bytes at `iova`. */
  wrote(iova: number, length: number): void {
    if (!this.#logging || length === 0) return;
    const start = BigInt(iova);
    const end = start + BigInt(length) - 1n;
    for (let page = start / this.#pageSize; page <= end / this.#pageSize; page += 1n) {
      const at = page * this.#pageSize;
      if (this.#ranges.some((range) => at < range.iova + range.length && at + this.#pageSize > range.iova)) this.#pages.add(page);
    }
  }
}
