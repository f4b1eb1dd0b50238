/** Dirty page tracking of a type1 container: VFIO_IOMMU_DIRTY_PAGES, and the bitmap of an UNMAP_DMA. Catalogue: vfio 2.15. */
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { TASK_SIZE } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EFAULT, EINVAL } from '../uapi/errno.ts';
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
import { cuts, type FrameMap, type FrameRange } from './frame-map.ts';

const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const PAGE = BigInt(PAGE_SIZE);

/** What tracking needs of a mapping. */
export interface Trackable extends FrameRange {
  /** While tracking is on. */
  dirty: DirtyBitmap | undefined;
}

/** What tracking needs of its container. */
export interface Tracked<M extends Trackable> {
  readonly mappings: FrameMap<M>;
  /** The smallest page size, which is the granule of every bitmap. */
  readonly pageSize: bigint;
  /** Whether an IOMMU can write the pages: without drivers that pin, every one of them may then be dirty, each time. */
  readonly hasDomain: boolean;
}

export class DirtyTracking<M extends Trackable> {
  readonly #of: Tracked<M>;
  #on = false;

  constructor(of: Tracked<M>) {
    this.#of = of;
  }

  get on(): boolean {
    return this.#on;
  }

  /** A mapping was made: it is tracked like the others. */
  mapped(mapping: M): void {
    if (this.#on) mapping.dirty = new DirtyBitmap(mapping.last - mapping.first + 1);
  }

  /** VFIO_IOMMU_DIRTY_PAGES. */
  ioctl(process: Process, argument: UserArgument): number {
    const layout = vfio_iommu_type1_dirty_bitmap;
    const header = argument.copyIn(layout.size);
    if (header === undefined) return -EFAULT;
    if (get(header, layout.argsz) < layout.size) return -EINVAL;
    switch (get(header, layout.flags)) {
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
        return this.#start();
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
        this.#on = false;
        for (const mapping of this.#of.mappings) mapping.dirty = undefined;
        return 0;
      case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
        return this.#getBitmap(process, argument, get(header, layout.argsz));
      default:
        return -EINVAL;
    }
  }

  /** The struct vfio_bitmap at `offset` of an argument, checked against the bytes that it is for: -EFAULT, -EINVAL. */
  readBitmap(process: Process, argument: UserArgument, argsz: number, offset: number, size: bigint): UserBitmap | number {
    if (argsz < offset + vfio_bitmap.size) return -EINVAL;
    const bytes = argument.copyIn(vfio_bitmap.size, offset);
    if (bytes === undefined) return -EFAULT;
    const pageSize = get(bytes, vfio_bitmap.pgsize);
    const length = get(bytes, vfio_bitmap.bitmap_size);
    const data = get(bytes, vfio_bitmap.data);
    if (data + length > BigInt(TASK_SIZE)) return -EINVAL;
    const pages = pageSize === 0n ? 0n : size / (pageSize & -pageSize);
    if (pages === 0n || length === 0n || length > BigInt(MAX_DIRTY_BITMAP)) return -EINVAL;
    if (length < ((pages + 63n) / 64n) * 8n || pageSize !== this.#of.pageSize) return -EINVAL;
    const { mm } = process;
    const base = Number(data);
    return {
      read: (at, into) => mm.copyFromUser(base + at, into),
      write: (at, from) => mm.copyToUser(base + at, from),
    };
  }

  /** Hands out one mapping's bits, relative to the first frame of the range, and forgets them. False is a fault. */
  report(mapping: M, rangeFirst: number, bitmap: UserBitmap): boolean {
    const { dirty } = mapping;
    if (dirty === undefined) return true;
    if (this.#of.hasDomain) dirty.setAll();
    if (!dirty.copyTo(bitmap, mapping.first - rangeFirst)) return false;
    dirty.clear();
    return true;
  }

  #start(): number {
    if (this.#on) return 0;
    const { mappings } = this.#of;
    for (const { first, last } of mappings) if (dirtyBitmapBytes(last - first + 1) > MAX_DIRTY_BITMAP) return -EINVAL;
    this.#on = true;
    for (const mapping of mappings) this.mapped(mapping);
    return 0;
  }

  #getBitmap(process: Process, argument: UserArgument, argsz: number): number {
    const at = vfio_iommu_type1_dirty_bitmap.size;
    const layout = vfio_iommu_type1_dirty_bitmap_get;
    if (argsz - at < layout.size) return -EINVAL;
    const range = argument.copyIn(layout.size, at);
    if (range === undefined) return -EFAULT;
    const iova = get(range, layout.iova);
    const size = get(range, layout.range_size);
    if (iova + size > ALL_ONES) return -EINVAL;
    const bitmap = this.readBitmap(process, argument, argsz, at + 16, size);
    if (typeof bitmap === 'number') return bitmap;
    const { mappings, pageSize } = this.#of;
    if (((iova | size) & (pageSize - 1n)) !== 0n || size === 0n || !this.#on) return -EINVAL;
    const first = Number(iova / PAGE);
    const last = Number((iova + size - 1n) / PAGE);
    if (cuts(mappings, first, last)) return -EINVAL;
    for (let from = first; from <= last; ) {
      const mapping = mappings.firstIn(from, last);
      if (mapping === undefined) break;
      if (!this.report(mapping, first, bitmap)) return -EFAULT;
      from = mapping.last + 1;
    }
    return 0;
  }
}
