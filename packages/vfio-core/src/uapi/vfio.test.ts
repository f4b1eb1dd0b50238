/** Request numbers and struct layouts as the catalogue has them; scripts/check-uapi.mjs compares the same with a C compiler. */
import { expect, it } from 'vitest';
import * as uapi from './vfio.ts';

const { REQUESTS } = uapi;

const NUMBERS: readonly (readonly [row: number, k: number, names: readonly string[]])[] = [
  [1, 0, ['VFIO_GET_API_VERSION']],
  [2, 1, ['VFIO_CHECK_EXTENSION']],
  [3, 2, ['VFIO_SET_IOMMU']],
  [4, 3, ['VFIO_GROUP_GET_STATUS']],
  [5, 4, ['VFIO_GROUP_SET_CONTAINER']],
  [6, 5, ['VFIO_GROUP_UNSET_CONTAINER']],
  [7, 6, ['VFIO_GROUP_GET_DEVICE_FD']],
  [8, 7, ['VFIO_DEVICE_GET_INFO']],
  [9, 8, ['VFIO_DEVICE_GET_REGION_INFO']],
  [10, 9, ['VFIO_DEVICE_GET_IRQ_INFO']],
  [11, 10, ['VFIO_DEVICE_SET_IRQS']],
  [12, 11, ['VFIO_DEVICE_RESET']],
  [13, 12, ['VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', 'VFIO_IOMMU_GET_INFO']],
  [14, 13, ['VFIO_DEVICE_PCI_HOT_RESET', 'VFIO_IOMMU_MAP_DMA']],
  [15, 14, ['VFIO_DEVICE_QUERY_GFX_PLANE', 'VFIO_IOMMU_UNMAP_DMA']],
  [16, 15, ['VFIO_DEVICE_GET_GFX_DMABUF', 'VFIO_IOMMU_ENABLE']],
  [17, 16, ['VFIO_DEVICE_IOEVENTFD', 'VFIO_IOMMU_DISABLE']],
  [18, 17, ['VFIO_DEVICE_FEATURE', 'VFIO_IOMMU_DIRTY_PAGES']],
  [22, 21, ['VFIO_MIG_GET_PRECOPY_INFO']],
];

it.each(NUMBERS)('[vfio 2.2/%i] request 100 + %i is %s', (_row, k, names) => {
  for (const name of names) expect(REQUESTS[name]).toBe(0x3b64 + k);
});

type Layout = Readonly<Record<string, number | readonly [number, string]>>;

/** Size, then the offset of each field in order. */
const LAYOUTS: readonly (readonly [row: number, name: string, layout: Layout, size: number, offsets: readonly number[]])[] = [
  [1, 'vfio_info_cap_header', uapi.vfio_info_cap_header, 8, [0, 2, 4]],
  [2, 'vfio_group_status', uapi.vfio_group_status, 8, [0, 4]],
  [3, 'vfio_device_info', uapi.vfio_device_info, 20, [0, 4, 8, 12, 16]],
  [4, 'vfio_region_info', uapi.vfio_region_info, 32, [0, 4, 8, 12, 16, 24]],
  [5, 'vfio_region_sparse_mmap_area', uapi.vfio_region_sparse_mmap_area, 16, [0, 8]],
  [6, 'vfio_region_info_cap_sparse_mmap', uapi.vfio_region_info_cap_sparse_mmap, 16, [8, 12]],
  [7, 'vfio_region_info_cap_type', uapi.vfio_region_info_cap_type, 16, [8, 12]],
  [9, 'vfio_device_migration_info', uapi.vfio_device_migration_info, 32, [0, 4, 8, 16, 24]],
  [11, 'vfio_irq_info', uapi.vfio_irq_info, 16, [0, 4, 8, 12]],
  [12, 'vfio_irq_set', uapi.vfio_irq_set, 20, [0, 4, 8, 12, 16]],
  [13, 'vfio_pci_dependent_device', uapi.vfio_pci_dependent_device, 8, [0, 4, 6, 7]],
  [14, 'vfio_pci_hot_reset_info', uapi.vfio_pci_hot_reset_info, 12, [0, 4, 8]],
  [15, 'vfio_pci_hot_reset', uapi.vfio_pci_hot_reset, 12, [0, 4, 8]],
  [16, 'vfio_device_gfx_plane_info', uapi.vfio_device_gfx_plane_info, 64, [0, 4, 8, 12, 16, 24, 28, 32, 36, 40, 44, 48, 52, 56]],
  [17, 'vfio_device_ioeventfd', uapi.vfio_device_ioeventfd, 32, [0, 4, 8, 16, 24]],
  [18, 'vfio_device_feature', uapi.vfio_device_feature, 8, [0, 4]],
  [19, 'vfio_iommu_type1_info', uapi.vfio_iommu_type1_info, 24, [0, 4, 8, 16]],
  [20, 'vfio_iommu_type1_info_cap_iova_range', uapi.vfio_iommu_type1_info_cap_iova_range, 16, [8, 12]],
  [21, 'vfio_iommu_type1_info_cap_migration', uapi.vfio_iommu_type1_info_cap_migration, 32, [8, 16, 24]],
  [22, 'vfio_iommu_type1_info_dma_avail', uapi.vfio_iommu_type1_info_dma_avail, 12, [8]],
  [23, 'vfio_iommu_type1_dma_map', uapi.vfio_iommu_type1_dma_map, 32, [0, 4, 8, 16, 24]],
  [24, 'vfio_bitmap', uapi.vfio_bitmap, 24, [0, 8, 16]],
  [25, 'vfio_iommu_type1_dma_unmap', uapi.vfio_iommu_type1_dma_unmap, 24, [0, 4, 8, 16]],
  [26, 'vfio_iommu_type1_dirty_bitmap', uapi.vfio_iommu_type1_dirty_bitmap, 8, [0, 4]],
  [27, 'vfio_iommu_type1_dirty_bitmap_get', uapi.vfio_iommu_type1_dirty_bitmap_get, 40, [0, 8]],
  [30, 'vfio_device_feature_migration', uapi.vfio_device_feature_migration, 8, [0]],
  [31, 'vfio_device_feature_mig_state', uapi.vfio_device_feature_mig_state, 8, [0, 4]],
  [32, 'vfio_precopy_info', uapi.vfio_precopy_info, 24, [0, 4, 8, 16]],
  [33, 'vfio_device_feature_dma_logging_control', uapi.vfio_device_feature_dma_logging_control, 24, [0, 8, 12, 16]],
  [34, 'vfio_device_feature_dma_logging_range', uapi.vfio_device_feature_dma_logging_range, 16, [0, 8]],
  [35, 'vfio_device_feature_dma_logging_report', uapi.vfio_device_feature_dma_logging_report, 32, [0, 8, 16, 24]],
  [36, 'vfio_device_feature_mig_data_size', uapi.vfio_device_feature_mig_data_size, 8, [0]],
  [37, 'vfio_device_low_power_entry_with_wakeup', uapi.vfio_device_low_power_entry_with_wakeup, 8, [0, 4]],
];

it.each(LAYOUTS)('[vfio 2.3/%i] struct %s', (_row, _name, layout, size, offsets) => {
  expect(layout['size']).toBe(size);
  expect(Object.values(layout).flatMap((field) => (typeof field === 'number' ? [] : [field[0]]))).toEqual(offsets);
});
