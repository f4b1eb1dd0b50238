/** VFIO_IOMMU_UNMAP_DMA. Kernel: vfio_dma_do_unmap(). */
import { eventKind, type EventKind } from '../host/trace.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { passes64, wideRangeEnd } from '../memory/range.ts';
import { hex } from '../memory/u64.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EINVAL, EOVERFLOW } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  vfio_iommu_type1_dma_unmap,
} from '../uapi/vfio.ts';
import type { UserBitmap } from './dirty-bitmap.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { DirtyTracking } from './type1-dirty.ts';
import { wrappedEnd } from './rb-tree.ts';
import { DIRTY_OFF, UNMAP_CUTS, UNMAP_FLAGS, UNMAP_RANGE, VADDR_EMULATED, VADDR_INVALID } from './type1-reasons.ts';
import { LAST_FRAME, PAGE, bytesOf, type DmaMapping, type Type1State } from './type1-state.ts';

/** The kernel's BUG_ON: a device was told of an unmap more than ten times and still has pages of the mapping pinned. */
export const UNMAP_IGNORED: EventKind<{ readonly iova: number }> = eventKind(
  'type1/unmap-ignored',
  'bug',
  ({ iova }) => `the mapping at iova ${hex(iova)} stays pinned, though its user was told of the unmap`,
);

/** How often a device is told of an unmap before the kernel gives up. */
const UNMAP_RETRIES = 10;

interface UnmapRequest {
  readonly range: FrameRange;
  /** UNMAP_ALL: no mapping is cut. */
  readonly all: boolean;
  readonly vaddrOnly: boolean;
  readonly bitmap: UserBitmap | undefined;
}

export function unmapDma(state: Type1State, tracking: DirtyTracking, process: Process, argument: UserArgument): number {
  const layout = vfio_iommu_type1_dma_unmap;
  const bytes = argument.copyIn(layout.size);
  if (bytes === undefined) return argument.fault();
  const request = parse(state, tracking, process, argument, bytes);
  if (typeof request === 'number') return request;
  const frames = unmapRange(state, tracking, process, argument, request);
  if (frames < 0) return frames;
  set(bytes, layout.unmap_size, BigInt(frames) * PAGE);
  return argument.copyOut(bytes) ? 0 : argument.fault();
}

/** The checks, in the kernel's order. */
function parse(state: Type1State, tracking: DirtyTracking, process: Process, argument: UserArgument, bytes: Uint8Array): UnmapRequest | number {
  const layout = vfio_iommu_type1_dma_unmap;
  const { profile } = state.module.host;
  const flags = get(bytes, layout.flags);
  const argsz = get(bytes, layout.argsz);
  const size = get(bytes, layout.unmap_size);
  const iova = get(bytes, layout.iova);
  const all = (flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0;
  const vaddrOnly = (flags & VFIO_DMA_UNMAP_FLAG_VADDR) !== 0;
  const dirty = (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0;
  const known =
    VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
    (profile.unmapAll ? VFIO_DMA_UNMAP_FLAG_ALL : 0) |
    (profile.updateVaddr ? VFIO_DMA_UNMAP_FLAG_VADDR : 0);
  if (argsz < layout.size) return argument.tooShort(argsz, layout.size);
  if ((flags & ~known) !== 0 || (dirty && (all || vaddrOnly))) return argument.refuse(UNMAP_FLAGS, { flags });
  let bitmap: UserBitmap | undefined;
  if (dirty) {
    const told = tracking.readBitmap(process, argument, argsz, layout.size, size);
    if (typeof told === 'number') return told;
    bitmap = told;
  }
  // A device that pins could be caught waiting for an address that never comes.
  if (vaddrOnly && profile.vaddrNeedsInstance && state.emulated.size > 0) return argument.refuse(VADDR_EMULATED, { groups: [...state.emulated].map(({ id }) => id) });
  const pageMask = state.pageSize - 1n;
  if ((iova & pageMask) !== 0n) return badRange(state, argument, iova, size, all);
  let range: FrameRange;
  if (all) {
    if (iova !== 0n || size !== 0n) return badRange(state, argument, iova, size, all);
    range = { first: 0, last: LAST_FRAME };
  } else {
    if (size === 0n || (size & pageMask) !== 0n) return badRange(state, argument, iova, size, all);
    if (passes64(iova, size)) return badRange(state, argument, iova, size, all, profile.overflowIsTold ? EOVERFLOW : EINVAL);
    range = { first: Number(iova / PAGE), last: Number((wideRangeEnd(iova, size) - 1n) / PAGE) };
  }
  if (dirty && !tracking.on) return argument.refuse(DIRTY_OFF, { request: argument.request, iova, size });
  return { range, all, vaddrOnly, bitmap };
}

function badRange(state: Type1State, argument: UserArgument, iova: bigint, size: bigint, all: boolean, errno?: number): number {
  return argument.refuse(UNMAP_RANGE, { iova, size, pageSize: state.pageSize, all }, errno);
}

/** @returns the count of frames unmapped or invalidated, -EINVAL, or -EFAULT from the bitmap. */
function unmapRange(
  state: Type1State,
  tracking: DirtyTracking,
  process: Process,
  argument: UserArgument,
  { range, all, vaddrOnly, bitmap }: UnmapRequest,
): number {
  const { first } = range;
  const { unmapAscends, unmapOwnOnly, inclusiveEnds } = state.module.host.profile;
  // v2: a mapping that the range would cut refuses the whole call.
  if (state.v2 && !all && state.cuts(range)) return argument.refuse(UNMAP_CUTS, { ...bytesOf(range), mapping: state.cutBy(range) });
  // Where ends are sums, that of a range that ends at 2^64 is 0; UNMAP_ALL takes one byte less.
  const end = inclusiveEnds || all ? range.last + 1 : wrappedEnd(range);
  let frames = 0;
  const invalidated: DmaMapping[] = [];
  let next: DmaMapping | undefined;
  for (let mapping = state.firstToUnmap(first, end); mapping !== undefined; mapping = unmapAscends ? next : state.firstToUnmap(first, end)) {
    if (unmapAscends) next = state.nextToUnmap(mapping, end);
    // v1: a range that begins inside a mapping ends there, before anything else.
    if (!state.v2 && mapping.first < first) break;
    if (unmapOwnOnly && mapping.mm !== process.mm) break;
    if (vaddrOnly) {
      if (!mapping.vaddrValid) {
        for (const undo of invalidated) state.setValid(undo, true);
        return argument.refuse(VADDR_INVALID, bytesOf(mapping));
      }
      state.setValid(mapping, false);
      invalidated.push(mapping);
    } else {
      takePinsBack(state, mapping);
      if (bitmap !== undefined && !tracking.report(mapping, first, bitmap)) return argument.fault();
      state.drop(mapping);
    }
    frames += mapping.last - mapping.first + 1;
  }
  return frames;
}

/** Devices that have pages of the mapping pinned must let them go first. */
function takePinsBack(state: Type1State, mapping: DmaMapping): void {
  const iova = mapping.first * PAGE_SIZE;
  const length = (mapping.last - mapping.first + 1) * PAGE_SIZE;
  for (let told = 0; (mapping.pins?.size ?? 0) > 0; told += 1) {
    if (told > UNMAP_RETRIES) {
      state.module.host.trace.emit(UNMAP_IGNORED, { iova });
      return;
    }
    for (const listener of [...state.listeners]) listener.dmaUnmap(iova, length);
  }
}
