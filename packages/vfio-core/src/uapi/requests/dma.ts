/** Mappings of a container, typed: what its IOMMU offers, map, unmap, dirty pages, new addresses. */
import { get, set } from '../struct.ts';
import {
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_IOMMU_UNMAP_DMA,
  vfio_bitmap,
  vfio_info_cap_header,
  vfio_iommu_type1_dirty_bitmap,
  vfio_iommu_type1_dirty_bitmap_get,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
  vfio_iommu_type1_info,
  vfio_iommu_type1_info_cap_iova_range,
  vfio_iova_range,
} from '../vfio.ts';
import { bitmapBytes, capabilities, sized, withBuffer, type IoctlCaller, type MemoryCaller } from './caller.ts';

/** What a container's IOMMU offers. */
export interface IommuInfo {
  /** Bit n says that pages of 2^n bytes can be mapped. */
  readonly pageSizes: bigint;
  /** Inclusive ranges of IOVAs that can be mapped. */
  readonly iovaRanges: readonly { readonly start: bigint; readonly end: bigint }[];
}

/** VFIO_IOMMU_GET_INFO, asked a second time with room for the capability chain. @param container the container's fd, with type1 */
export function getIommuInfo(sys: IoctlCaller, container: number): IommuInfo {
  let info = sized(vfio_iommu_type1_info.size);
  sys.ioctl(container, VFIO_IOMMU_GET_INFO, info);
  info = sized(Math.max(get(info, vfio_iommu_type1_info.argsz), info.length));
  sys.ioctl(container, VFIO_IOMMU_GET_INFO, info);
  const caps = capabilities(info, get(info, vfio_iommu_type1_info.cap_offset));
  const ranges = caps.find(({ id }) => id === VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
  const header = vfio_iommu_type1_info_cap_iova_range.size - vfio_info_cap_header.size;
  const iovaRanges: { start: bigint; end: bigint }[] = [];
  for (let at = header; ranges !== undefined && at + vfio_iova_range.size <= ranges.data.length; at += vfio_iova_range.size) {
    const range = ranges.data.subarray(at);
    iovaRanges.push({ start: get(range, vfio_iova_range.start), end: get(range, vfio_iova_range.end) });
  }
  return { pageSizes: get(info, vfio_iommu_type1_info.iova_pgsizes), iovaRanges };
}

/** Memory of the process that devices reach. */
export interface DmaMap {
  /** Its address in the process, in bytes. */
  readonly vaddr: number | bigint;
  /** The address under which devices reach it, in bytes. */
  readonly iova: number | bigint;
  /** In bytes, a multiple of the smallest page of the IOMMU. */
  readonly size: number | bigint;
  /** Bits VFIO_DMA_MAP_FLAG_*; READ, WRITE or both. */
  readonly flags: number;
}

/**
 * VFIO_IOMMU_MAP_DMA: lets devices of a container reach memory of the process.
 *
 * @param container the container's fd, with type1
 *
 * @example
 * ```ts
 * import { mapDma, VFIO_DMA_MAP_FLAG_READ, VFIO_IOMMU_MAP_DMA } from '@vsim/vfio-core';
 *
 * // Anything with ioctl() will do: a Process, or a binding to a real kernel.
 * const requests: number[] = [];
 * const sys = { ioctl: (_fd: number, request: number) => requests.push(request) };
 * mapDma(sys, 3, { iova: 0x10000, vaddr: 0x7f0000000000, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ });
 * console.log(requests[0] === VFIO_IOMMU_MAP_DMA); // true
 * ```
 */
export function mapDma(sys: IoctlCaller, container: number, map: DmaMap): void {
  const layout = vfio_iommu_type1_dma_map;
  const request = sized(layout.size);
  set(request, layout.flags, map.flags);
  set(request, layout.vaddr, map.vaddr);
  set(request, layout.iova, map.iova);
  set(request, layout.map_size, map.size);
  sys.ioctl(container, VFIO_IOMMU_MAP_DMA, request);
}

/**
 * VFIO_IOMMU_UNMAP_DMA: takes IOVAs away from devices.
 *
 * @param container the container's fd, with type1
 * @param iova the first IOVA
 * @param size in bytes
 * @param flags bits VFIO_DMA_UNMAP_FLAG_*, of which GET_DIRTY_BITMAP is unmapDirtyDma(); 0 by default
 * @returns how many bytes were unmapped
 */
export function unmapDma(sys: IoctlCaller, container: number, iova: number | bigint, size: number | bigint, flags = 0): bigint {
  const layout = vfio_iommu_type1_dma_unmap;
  const request = sized(layout.size);
  set(request, layout.flags, flags);
  set(request, layout.iova, iova);
  set(request, layout.unmap_size, size);
  sys.ioctl(container, VFIO_IOMMU_UNMAP_DMA, request);
  return get(request, layout.unmap_size);
}

/** A range of a container's mappings, in IOVAs. */
export interface DirtyRange {
  /** The first IOVA, in bytes. */
  readonly iova: number | bigint;
  /** In bytes. */
  readonly size: number | bigint;
  /** Bytes that a bit stands for. @default 4096 */
  readonly pageSize?: number | undefined;
}

/** VFIO_IOMMU_DIRTY_PAGES, START: from now on the container notes what devices write. @param container the container's fd, with type1 */
export function startDirtyPages(sys: IoctlCaller, container: number): void {
  dirtyPages(sys, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

/** VFIO_IOMMU_DIRTY_PAGES, STOP: nothing is noted any more. @param container the container's fd, with type1 */
export function stopDirtyPages(sys: IoctlCaller, container: number): void {
  dirtyPages(sys, container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

/**
 * VFIO_IOMMU_DIRTY_PAGES, GET_BITMAP: which pages were written since the last time.
 *
 * @param container the container's fd, with type1
 * @param range whole mappings
 * @returns a bit for each page, the first the lowest of byte 0
 */
export function getDirtyPages(sys: MemoryCaller, container: number, range: DirtyRange): Uint8Array {
  const { iova, size, pageSize = 4096 } = range;
  const bytes = bitmapBytes(size, pageSize);
  return withBuffer(sys, bytes, (buffer) => {
    const request = sized(vfio_iommu_type1_dirty_bitmap.size + vfio_iommu_type1_dirty_bitmap_get.size);
    set(request, vfio_iommu_type1_dirty_bitmap.flags, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
    const asked = request.subarray(vfio_iommu_type1_dirty_bitmap.size);
    set(asked, vfio_iommu_type1_dirty_bitmap_get.iova, iova);
    set(asked, vfio_iommu_type1_dirty_bitmap_get.range_size, size);
    setBitmap(asked.subarray(vfio_iommu_type1_dirty_bitmap_get.size - vfio_bitmap.size), pageSize, bytes, buffer.address);
    sys.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, request);
    return buffer.readBytes(0, bytes);
  });
}

/**
 * VFIO_IOMMU_UNMAP_DMA with GET_DIRTY_BITMAP: takes a mapping away, and tells which of its pages were written.
 *
 * @param container the container's fd, with type1, that notes dirty pages
 * @param range one mapping, whole
 * @returns a bit for each page, the first the lowest of byte 0
 */
export function unmapDirtyDma(sys: MemoryCaller, container: number, range: DirtyRange): Uint8Array {
  const { iova, size, pageSize = 4096 } = range;
  const layout = vfio_iommu_type1_dma_unmap;
  const bytes = bitmapBytes(size, pageSize);
  return withBuffer(sys, bytes, (buffer) => {
    const request = sized(layout.size + vfio_bitmap.size);
    set(request, layout.flags, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP);
    set(request, layout.iova, iova);
    set(request, layout.unmap_size, size);
    setBitmap(request.subarray(layout.size), pageSize, bytes, buffer.address);
    sys.ioctl(container, VFIO_IOMMU_UNMAP_DMA, request);
    return buffer.readBytes(0, bytes);
  });
}

/**
 * VFIO_IOMMU_UNMAP_DMA with VADDR: a mapping keeps its pages and loses its address in the process, for a new process to give it one: remapVaddr().
 *
 * @param container the container's fd, with type1
 * @param iova the first IOVA of a mapping
 * @param size in bytes, of whole mappings
 * @returns bytes whose address went
 */
export function unmapVaddr(sys: IoctlCaller, container: number, iova: number | bigint, size: number | bigint): bigint {
  return unmapDma(sys, container, iova, size, VFIO_DMA_UNMAP_FLAG_VADDR);
}

/** VFIO_IOMMU_MAP_DMA with VADDR: a mapping that lost its address gets another. @param container the container's fd, with type1 */
export function remapVaddr(sys: IoctlCaller, container: number, map: Omit<DmaMap, 'flags'>): void {
  mapDma(sys, container, { ...map, flags: VFIO_DMA_MAP_FLAG_VADDR });
}

function dirtyPages(sys: IoctlCaller, container: number, flags: number): void {
  const request = sized(vfio_iommu_type1_dirty_bitmap.size);
  set(request, vfio_iommu_type1_dirty_bitmap.flags, flags);
  sys.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, request);
}

function setBitmap(to: Uint8Array, pageSize: number, bytes: number, address: number): void {
  set(to, vfio_bitmap.pgsize, pageSize);
  set(to, vfio_bitmap.bitmap_size, bytes);
  set(to, vfio_bitmap.data, address);
}
