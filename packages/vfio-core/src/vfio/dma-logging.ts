import { wideOverlaps, wideRangeEnd } from '../memory/range.ts';
import type { Process } from '../process/process.ts';
import { E2BIG, EBUSY, EINVAL, EOVERFLOW } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_SET,
  vfio_device_feature_dma_logging_control,
  vfio_device_feature_dma_logging_range,
  vfio_device_feature_dma_logging_report,
} from '../uapi/vfio.ts';
import { checkFeature } from './feature-check.ts';
import { LOG_RANGE, LOG_RANGES, LOG_STATE } from './feature-reasons.ts';
import type { FeatureArgument } from './feature-argument.ts';

const END = 1n << 64n;
const PAGE = 4096n;
/** As many as fit in one page. */
const MAX_RANGES = 256;

/** Bytes [iova, iova + length). */
export interface IovaRange {
  /** The first IOVA. */
  readonly iova: bigint;
  /** In bytes. */
  readonly length: bigint;
}

/** What a device that logs its DMA writes answers to. Kernel: struct vfio_log_ops. */
export interface DmaLogger {
  /**
   * Logs writes to these disjoint ranges. -EBUSY if it is on already.
   *
   * @returns the page size in bytes that it keeps, near the one asked for; or a negative errno
   */
  start(ranges: readonly IovaRange[], pageSize: bigint): bigint | number;
  /** Ends the log. @returns 0 or a negative errno */
  stop(): number;
  /**
   * Tells of each stretch of a range that was written since the last report, and forgets it.
   *
   * @returns 0, or a negative errno where the log is off
   */
  readAndClear(range: IovaRange, wrote: (iova: bigint, length: bigint) => void): number;
}

/**
 * The features DMA_LOGGING_START, STOP and REPORT of VFIO_DEVICE_FEATURE (6.1), for a device that logs its DMA. Kernel:
 * vfio_ioctl_device_feature_logging_*(), iova_bitmap.
 *
 * @param feature one of VFIO_DEVICE_FEATURE_DMA_LOGGING_*
 * @param flags GET, SET and PROBE of the call
 * @returns 0; -EINVAL, -E2BIG for more than 256 ranges, -EOVERFLOW for one that passes 2^64, -EFAULT, or what the logger answers
 */
export function dmaLoggingFeature(logger: DmaLogger, process: Process, feature: number, flags: number, data: FeatureArgument): number {
  switch (feature) {
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
      return start(logger, process, flags, data);
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
      return report(logger, process, flags, data);
    default: {
      const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, 0);
      return go <= 0 ? go : logger.stop();
    }
  }
}

function start(logger: DmaLogger, process: Process, flags: number, data: FeatureArgument): number {
  const layout = vfio_device_feature_dma_logging_control;
  const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, layout.size);
  if (go <= 0) return go;
  const control = data.copyIn(layout.size);
  if (control === undefined) return data.argument.fault();
  const pageSize = get(control, layout.page_size);
  const count = get(control, layout.num_ranges);
  if (count === 0) return data.argument.refuse(LOG_RANGES, { count, limit: MAX_RANGES });
  if (count > MAX_RANGES) return data.argument.refuse(LOG_RANGES, { count, limit: MAX_RANGES }, E2BIG);
  const ranges = readRanges(process, data, get(control, layout.ranges), count, pageSize);
  if (typeof ranges === 'number') return ranges;
  const kept = logger.start(ranges, pageSize);
  if (typeof kept === 'number') return data.argument.refuse(LOG_STATE, { on: kept === -EBUSY }, -kept);
  set(control, layout.page_size, kept);
  if (data.copyOut(control)) return 0;
  logger.stop();
  return data.argument.fault();
}

/** The ranges in user memory: aligned to the page size, inside the space, disjoint. */
function readRanges(process: Process, { argument }: FeatureArgument, address: bigint, count: number, pageSize: bigint): readonly IovaRange[] | number {
  const layout = vfio_device_feature_dma_logging_range;
  const ranges: IovaRange[] = [];
  const mask = BigInt.asUintN(64, pageSize - 1n);
  for (let i = 0; i < count; i += 1) {
    const bytes = new Uint8Array(layout.size);
    if (!process.mm.copyFromUser(Number(address) + i * layout.size, bytes)) return argument.fault();
    const iova = get(bytes, layout.iova);
    const length = get(bytes, layout.range_length);
    const refused = { iova, length, pageSize };
    if (((iova | length) & mask) !== 0n) return argument.refuse(LOG_RANGE, refused);
    if (wideRangeEnd(iova, length) >= END) return argument.refuse(LOG_RANGE, refused, EOVERFLOW);
    if (ranges.some((other) => wideOverlaps(iova, length, other.iova, other.length))) return argument.refuse(LOG_RANGE, refused);
    ranges.push({ iova, length });
  }
  return ranges;
}

function report(logger: DmaLogger, process: Process, flags: number, data: FeatureArgument): number {
  const layout = vfio_device_feature_dma_logging_report;
  const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_GET, layout.size);
  if (go <= 0) return go;
  const bytes = data.copyIn(layout.size);
  if (bytes === undefined) return data.argument.fault();
  const pageSize = get(bytes, layout.page_size);
  const iova = get(bytes, layout.iova);
  const length = get(bytes, layout.range_length);
  const bitmap = Number(get(bytes, layout.bitmap));
  if (pageSize < PAGE || (pageSize & (pageSize - 1n)) !== 0n) return data.argument.refuse(LOG_RANGE, { iova, length, pageSize }, EINVAL);
  if (wideRangeEnd(iova, length) >= END) return data.argument.refuse(LOG_RANGE, { iova, length, pageSize }, EOVERFLOW);
  const pages: number[] = [];
  const error = logger.readAndClear({ iova, length }, (at, size) => {
    const last = (at + size - 1n - iova) / pageSize;
    for (let page = (at - iova) / pageSize; page <= last; page += 1n) pages.push(Number(page));
  });
  if (error < 0) return data.argument.refuse(LOG_STATE, { on: false }, -error);
  return pages.every((page) => setBit(process, bitmap, page)) ? 0 : data.argument.fault();
}

/** Bits are only set: what the caller had stays. */
function setBit(process: Process, bitmap: number, page: number): boolean {
  const byte = new Uint8Array(1);
  const at = bitmap + Math.floor(page / 8);
  if (!process.mm.copyFromUser(at, byte)) return false;
  byte[0]! |= 1 << (page % 8);
  return process.mm.copyToUser(at, byte);
}
