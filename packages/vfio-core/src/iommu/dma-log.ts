import { FrameMap, type FrameRange } from '../memory/frame-map.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { framesTouched, wideRangeEnd } from '../memory/range.ts';
import { EBUSY, EINVAL } from '../uapi/errno.ts';
import type { DmaLogger, IovaRange } from '../vfio/dma-logging.ts';

const SMALLEST = BigInt(PAGE_SIZE);

/**
 * A log of the pages that a device has written, for models of devices that log their DMA themselves: a VfioDevice gives it as `dmaLogger`,
 * and a DmaPort tells it of writes.
 */
export class DmaLog implements DmaLogger {
  readonly #largest: bigint;
  /** What is logged, in frames; undefined while the log is off. */
  #ranges: FrameMap<FrameRange> | undefined;
  /** Frames of a page of the log. */
  #frames = 1;
  /** Pages of the log that were written since they were reported last. */
  readonly #dirty = new FrameMap<FrameRange>();

  /** `largest`: the largest page size that it keeps, a power of two. @default 1 MiB */
  constructor(largest = 0x10_0000n) {
    this.#largest = largest;
  }

  /** Whether the log has been started. */
  get on(): boolean {
    return this.#ranges !== undefined;
  }

  /** The device has written `length` bytes at `iova`, which is below 2^53. */
  wrote(iova: number, length: number): void {
    const frame = Math.floor(iova / PAGE_SIZE);
    this.wroteFrames(frame, iova - frame * PAGE_SIZE, length);
  }

  /**
   * wrote(), from a page frame and an offset on: give this to DmaPort.written.
   *
   * @param frame IOVA / 4096
   * @param offset in bytes from there
   * @param length in bytes
   */
  wroteFrames(frame: number, offset: number, length: number): void {
    const ranges = this.#ranges;
    if (ranges === undefined || length === 0) return;
    const frames = this.#frames;
    const last = Math.floor((frame + framesTouched(offset, length) - 1) / frames);
    for (let page = Math.floor(frame / frames); page <= last; page += 1) {
      if (this.#dirty.find(page) !== undefined) continue;
      if (ranges.firstIn(page * frames, page * frames + frames - 1) !== undefined) this.#dirty.insert({ first: page, last: page });
    }
  }

  /**
   * Begins to log writes to these ranges.
   *
   * @returns the page size that it keeps: the largest power of two from 4096 up to what was asked for and what it can; -EBUSY if it is on
   * already
   */
  start(ranges: readonly IovaRange[], pageSize: bigint): bigint | number {
    if (this.#ranges !== undefined) return -EBUSY;
    this.#ranges = framesOf(ranges);
    let size = SMALLEST;
    while (size * 2n <= pageSize && size < this.#largest) size *= 2n;
    this.#frames = Number(size / SMALLEST);
    return size;
  }

  /** Ends the log and forgets it. @returns 0 */
  stop(): number {
    this.#ranges = undefined;
    this.#dirty.clear();
    return 0;
  }

  /** Tells of each stretch of a range that was written since the last report, and forgets it. @returns 0; -EINVAL while the log is off */
  readAndClear({ iova, length }: IovaRange, wrote: (iova: bigint, length: bigint) => void): number {
    if (this.#ranges === undefined) return -EINVAL;
    if (length === 0n) return 0;
    const end = wideRangeEnd(iova, length);
    const size = BigInt(this.#frames) * SMALLEST;
    const last = Number((end - 1n) / size);
    for (let first = Number(iova / size); ; ) {
      const page = this.#dirty.firstIn(first, last);
      if (page === undefined) return 0;
      this.#dirty.remove(page.first);
      const start = BigInt(page.first) * size;
      const from = start > iova ? start : iova;
      const to = start + size < end ? start + size : end;
      wrote(from, to - from);
      first = page.last + 1;
    }
  }
}

/** The frames of ranges that may meet in one frame. */
function framesOf(ranges: readonly IovaRange[]): FrameMap<FrameRange> {
  const out = new FrameMap<FrameRange>();
  for (const { iova, length } of [...ranges].sort((a, b) => (a.iova < b.iova ? -1 : 1))) {
    if (length === 0n) continue;
    let first = Number(iova / SMALLEST);
    const last = Number((wideRangeEnd(iova, length) - 1n) / SMALLEST);
    const before = out.find(first);
    if (before !== undefined) first = before.last + 1;
    if (first <= last) out.insert({ first, last });
  }
  return out;
}
