/** VFIO_IOMMU_GET_INFO: page sizes, and the chain MIGRATION, DMA_AVAIL, IOVA_RANGE. Kernel: vfio_iommu_type1_get_info(). */
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_IOMMU_INFO_CAPS,
  VFIO_IOMMU_INFO_PGSIZES,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
  VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
  vfio_iommu_type1_info,
  vfio_iommu_type1_info_cap_iova_range,
  vfio_iommu_type1_info_cap_migration,
  vfio_iommu_type1_info_dma_avail,
  vfio_iova_range,
} from '../uapi/vfio.ts';
import { InfoCaps } from '../vfio/info-caps.ts';
import { MAX_DIRTY_BITMAP } from './dirty-bitmap.ts';
import type { FrameRange } from '../memory/frame-map.ts';

const PAGE = BigInt(PAGE_SIZE);

export interface Type1Info {
  readonly pageSizes: bigint;
  /** Mappings that can still be made. */
  readonly available: number;
  /** What can be mapped, in frames; none: the capability is left out. */
  readonly ranges: readonly FrameRange[];
  /** profile.capabilityAlignment. */
  readonly capabilityAlignment: number;
}

export function getInfo(argument: UserArgument, type1Info: Type1Info): number {
  const layout = vfio_iommu_type1_info;
  const given = argument.copyIn(16);
  if (given === undefined) return argument.fault();
  const argsz = get(given, layout.argsz);
  if (argsz < 16) return argument.tooShort(argsz, 16);
  const info = new Uint8Array(layout.size);
  info.set(given);
  set(info, layout.flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
  set(info, layout.iova_pgsizes, type1Info.pageSizes);
  const caps = infoCaps(type1Info);
  if (argsz < layout.size + caps.length) {
    set(info, layout.argsz, layout.size + caps.length);
  } else {
    if (!argument.copyOut(caps.bytes, layout.size)) return argument.fault();
    set(info, layout.cap_offset, layout.size);
  }
  return argument.copyOut(info.subarray(0, argsz >= 20 ? 20 : 16)) ? 0 : argument.fault();
}

function infoCaps({ pageSizes, available, ranges, capabilityAlignment }: Type1Info): InfoCaps {
  const caps = new InfoCaps(vfio_iommu_type1_info.size, capabilityAlignment);
  const migration = caps.add(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1, vfio_iommu_type1_info_cap_migration.size);
  set(migration, vfio_iommu_type1_info_cap_migration.pgsize_bitmap, pageSizes & -pageSizes);
  set(migration, vfio_iommu_type1_info_cap_migration.max_dirty_bitmap_size, MAX_DIRTY_BITMAP);
  const left = caps.add(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, vfio_iommu_type1_info_dma_avail.size);
  set(left, vfio_iommu_type1_info_dma_avail.avail, available);
  if (ranges.length === 0) return caps;
  const layout = vfio_iommu_type1_info_cap_iova_range;
  const cap = caps.add(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, layout.size + ranges.length * vfio_iova_range.size);
  set(cap, layout.nr_iovas, ranges.length);
  ranges.forEach(({ first, last }, i) => {
    const range = cap.subarray(layout.size + i * vfio_iova_range.size);
    set(range, vfio_iova_range.start, BigInt(first) * PAGE);
    set(range, vfio_iova_range.end, BigInt(last) * PAGE + PAGE - 1n);
  });
  return caps;
}
