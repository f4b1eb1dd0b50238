import { passes64, wideRangeEnd } from '../memory/range.ts';
import { TASK_SIZE } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EINVAL, ENOMEM, EOVERFLOW } from '../uapi/errno.ts';
import { get } from '../uapi/struct.ts';
import {
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
  vfio_bitmap,
  vfio_iommu_type1_dirty_bitmap,
  vfio_iommu_type1_dirty_bitmap_get,
} from '../uapi/vfio.ts';
import { DirtyBitmap, dirtyBitmapBytes, MAX_DIRTY_BITMAP, type UserBitmap } from './dirty-bitmap.ts';
import { BITMAP, DIRTY_FLAGS, DIRTY_LIMIT, DIRTY_OFF, DIRTY_RANGE, UNMAP_CUTS } from './type1-reasons.ts';
import { PAGE, type DmaMapping, type Type1State } from './type1-state.ts';

const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/**
 * Dirty page tracking of a type1 container: VFIO_IOMMU_DIRTY_PAGES, and the bitmap of an UNMAP_DMA.
 *
 * Not modelled: the kernel's own memory. Bitmaps of more than 256 MiB in all are -ENOMEM.
 */
export class DirtyTracking {
  readonly #state: Type1State;
  #on = false;

  constructor(state: Type1State) {
    this.#state = state;
  }

  get on(): boolean {
    return this.#on;
  }

  /** A mapping was made: it is tracked like the others. @returns 0; -EINVAL, -ENOMEM for a bitmap that is too large */
  mapped(mapping: DmaMapping): number {
    return this.#on ? this.#track(mapping) : 0;
  }

  #track(mapping: DmaMapping): number {
    const pages = mapping.last - mapping.first + 1;
    const bytes = dirtyBitmapBytes(pages);
    const { refusals } = this.#state.module.host;
    const all = this.#state.dirtyBytes + bytes;
    if (bytes > MAX_DIRTY_BITMAP) return refusals.refuse(DIRTY_LIMIT, { bytes, limit: MAX_DIRTY_BITMAP });
    if (all > MAX_DIRTY_BITMAP) return refusals.refuse(DIRTY_LIMIT, { bytes: all, limit: MAX_DIRTY_BITMAP }, ENOMEM);
    const dirty = new DirtyBitmap(pages);
    markPinned(mapping, dirty);
    this.#state.setDirty(mapping, dirty);
    return 0;
  }

  /** VFIO_IOMMU_DIRTY_PAGES. */
  ioctl(process: Process, argument: UserArgument): number {
    const layout = vfio_iommu_type1_dirty_bitmap;
    const header = argument.copyIn(layout.size);
    if (header === undefined) return argument.fault();
    const argsz = get(header, layout.argsz);
    const flags = get(header, layout.flags);
    if (argsz < layout.size) return argument.tooShort(argsz, layout.size);
    switch (flags) {
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
        return this.#start();
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
        this.#stop();
        return 0;
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
        return this.#getBitmap(process, argument, argsz);
      default:
        return argument.refuse(DIRTY_FLAGS, { flags });
    }
  }

  /**
   * The struct vfio_bitmap at `offset` of an argument, checked against the bytes that it is for: -EFAULT, -EINVAL.
   *
   * @param argsz of the whole argument, in bytes
   */
  readBitmap(process: Process, argument: UserArgument, argsz: number, offset: number, size: bigint): UserBitmap | number {
    if (argsz < offset + vfio_bitmap.size) return argument.tooShort(argsz, offset + vfio_bitmap.size);
    const bytes = argument.copyIn(vfio_bitmap.size, offset);
    if (bytes === undefined) return argument.fault();
    const pageSize = get(bytes, vfio_bitmap.pgsize);
    const length = get(bytes, vfio_bitmap.bitmap_size);
    const data = get(bytes, vfio_bitmap.data);
    if (wideRangeEnd(data, length) > BigInt(TASK_SIZE)) return argument.fault(EINVAL);
    const pages = pageSize === 0n ? 0n : size / (pageSize & -pageSize);
    const none = pages === 0n || length === 0n || length > BigInt(MAX_DIRTY_BITMAP);
    if (none || length < ((pages + 63n) / 64n) * 8n || pageSize !== this.#state.pageSize) {
      return argument.refuse(BITMAP, { bytes: length, pageSize, range: size, containerPage: this.#state.pageSize });
    }
    const { mm } = process;
    const base = Number(data);
    return {
      read: (at, into) => mm.copyFromUser(base + at, into),
      write: (at, from) => mm.copyToUser(base + at, from),
    };
  }

  /**
   * Hands out one mapping's bits, relative to the first frame of the range, and forgets them. False is a fault.
   *
   * @param rangeFirst a page frame, at most the mapping's first
   */
  report(mapping: DmaMapping, rangeFirst: number, bitmap: UserBitmap): boolean {
    const { dirty } = mapping;
    if (dirty === undefined) return true;
    if (this.#state.writable(mapping)) dirty.setAll();
    if (!dirty.copyTo(bitmap, mapping.first - rangeFirst)) return false;
    dirty.clear();
    markPinned(mapping, dirty);
    return true;
  }

  /** vfio_iommu_populate_bitmap_full(): everything that an IOMMU can write is dirty, once. */
  populateFull(): void {
    if (!this.#on) return;
    for (const mapping of this.#state.all()) if (mapping.extents !== undefined) mapping.dirty?.setAll();
  }

  #start(): number {
    if (this.#on) return 0;
    this.#on = true;
    let error = 0;
    for (const mapping of this.#state.all()) if (error === 0) error = this.#track(mapping);
    if (error < 0) this.#stop();
    return error;
  }

  #stop(): void {
    this.#on = false;
    for (const mapping of this.#state.all()) this.#state.setDirty(mapping, undefined);
  }

  #getBitmap(process: Process, argument: UserArgument, argsz: number): number {
    const at = vfio_iommu_type1_dirty_bitmap.size;
    const layout = vfio_iommu_type1_dirty_bitmap_get;
    if (argsz - at < layout.size) return argument.tooShort(argsz, at + layout.size);
    const range = argument.copyIn(layout.size, at);
    if (range === undefined) return argument.fault();
    const iova = get(range, layout.iova);
    const size = get(range, layout.range_size);
    const { profile } = this.#state.module.host;
    const { pageSize } = this.#state;
    const wrong = (errno: number): number => argument.refuse(DIRTY_RANGE, { iova, size, pageSize }, errno);
    if (profile.overflowIsTold && size === 0n) return wrong(EINVAL);
    if (profile.overflowIsTold && passes64(iova, size)) return wrong(EOVERFLOW);
    // The sum of a range that ends at 2^64 is 0: less than its start.
    if (!profile.inclusiveEnds && wideRangeEnd(iova, size) > ALL_ONES) return wrong(EINVAL);
    const bitmap = this.readBitmap(process, argument, argsz, at + 16, size);
    if (typeof bitmap === 'number') return bitmap;
    if (((iova | size) & (pageSize - 1n)) !== 0n || size === 0n) return wrong(EINVAL);
    if (!this.#on) return argument.refuse(DIRTY_OFF, { request: argument.request, iova, size });
    const first = Number(iova / PAGE);
    const last = Number((wideRangeEnd(iova, size) - 1n) / PAGE);
    if (this.#state.cuts({ first, last })) return argument.refuse(UNMAP_CUTS, { iova, size, mapping: this.#state.cutBy({ first, last }) });
    for (const mapping of this.#state.walk({ first, last })) if (!this.report(mapping, first, bitmap)) return argument.fault();
    return 0;
  }
}

/** A pinned page can be written by its device at any time. */
function markPinned({ first, pins }: DmaMapping, dirty: DirtyBitmap): void {
  for (const iova of pins?.keys() ?? []) dirty.set(iova - first, 1);
}
