/**
 * linux/vfio.h as data: request numbers, one table of struct layouts, flags and indices. x86-64 and arm64 agree on all of it.
 * scripts/check-uapi.mjs compares every offset with the C header's.
 */

/** Request numbers. The same number on another kind of fd is another request. */
export const VFIO_GET_API_VERSION = 0x3b64;
export const VFIO_CHECK_EXTENSION = 0x3b65;
export const VFIO_SET_IOMMU = 0x3b66;
export const VFIO_GROUP_GET_STATUS = 0x3b67;
export const VFIO_GROUP_SET_CONTAINER = 0x3b68;
export const VFIO_GROUP_UNSET_CONTAINER = 0x3b69;
export const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a;
export const VFIO_DEVICE_GET_INFO = 0x3b6b;
export const VFIO_DEVICE_GET_REGION_INFO = 0x3b6c;
export const VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d;
export const VFIO_DEVICE_SET_IRQS = 0x3b6e;
export const VFIO_DEVICE_RESET = 0x3b6f;
export const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70;
export const VFIO_DEVICE_PCI_HOT_RESET = 0x3b71;
export const VFIO_DEVICE_QUERY_GFX_PLANE = 0x3b72;
export const VFIO_DEVICE_GET_GFX_DMABUF = 0x3b73;
export const VFIO_DEVICE_IOEVENTFD = 0x3b74;
export const VFIO_DEVICE_FEATURE = 0x3b75;
export const VFIO_IOMMU_GET_INFO = 0x3b70;
export const VFIO_IOMMU_MAP_DMA = 0x3b71;
export const VFIO_IOMMU_UNMAP_DMA = 0x3b72;
export const VFIO_IOMMU_ENABLE = 0x3b73;
export const VFIO_IOMMU_DISABLE = 0x3b74;
export const VFIO_IOMMU_DIRTY_PAGES = 0x3b75;
/** On the data fd of a migration. */
export const VFIO_MIG_GET_PRECOPY_INFO = 0x3b79;

/** Requests by name, as recordings and messages have them. */
export const REQUESTS: Readonly<Record<string, number>> = {
  VFIO_GET_API_VERSION,
  VFIO_CHECK_EXTENSION,
  VFIO_SET_IOMMU,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_DEVICE_QUERY_GFX_PLANE,
  VFIO_DEVICE_GET_GFX_DMABUF,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_FEATURE,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_IOMMU_ENABLE,
  VFIO_IOMMU_DISABLE,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_MIG_GET_PRECOPY_INFO,
};

/** The name of a request among those that begin so: the numbers of containers, groups and devices overlap. */
export function requestName(request: number, ...prefixes: readonly string[]): string | undefined {
  return Object.keys(REQUESTS).find((name) => REQUESTS[name] === request && prefixes.some((prefix) => name.startsWith(prefix)));
}

export const VFIO_API_VERSION = 0;

// VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU
export const VFIO_TYPE1_IOMMU = 1;
export const VFIO_SPAPR_TCE_IOMMU = 2;
export const VFIO_TYPE1v2_IOMMU = 3;
export const VFIO_DMA_CC_IOMMU = 4;
export const VFIO_EEH = 5;
export const VFIO_TYPE1_NESTING_IOMMU = 6;
export const VFIO_SPAPR_TCE_v2_IOMMU = 7;
export const VFIO_NOIOMMU_IOMMU = 8;
export const VFIO_UNMAP_ALL = 9;
export const VFIO_UPDATE_VADDR = 10;

export const VFIO_GROUP_FLAGS_VIABLE = 1;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

export const VFIO_DEVICE_FLAGS_RESET = 1;
export const VFIO_DEVICE_FLAGS_PCI = 2;
export const VFIO_DEVICE_FLAGS_PLATFORM = 4;
export const VFIO_DEVICE_FLAGS_AMBA = 8;
export const VFIO_DEVICE_FLAGS_FSL_MC = 64;
export const VFIO_DEVICE_FLAGS_CAPS = 128;

export const VFIO_REGION_INFO_FLAG_READ = 1;
export const VFIO_REGION_INFO_FLAG_WRITE = 2;
export const VFIO_REGION_INFO_FLAG_MMAP = 4;
export const VFIO_REGION_INFO_FLAG_CAPS = 8;

export const VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1;
export const VFIO_REGION_INFO_CAP_TYPE = 2;
export const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3;

export const VFIO_IRQ_INFO_EVENTFD = 1;
export const VFIO_IRQ_INFO_MASKABLE = 2;
export const VFIO_IRQ_INFO_AUTOMASKED = 4;
export const VFIO_IRQ_INFO_NORESIZE = 8;

export const VFIO_IRQ_SET_DATA_NONE = 1;
export const VFIO_IRQ_SET_DATA_BOOL = 2;
export const VFIO_IRQ_SET_DATA_EVENTFD = 4;
export const VFIO_IRQ_SET_ACTION_MASK = 8;
export const VFIO_IRQ_SET_ACTION_UNMASK = 16;
export const VFIO_IRQ_SET_ACTION_TRIGGER = 32;

export const VFIO_PCI_BAR0_REGION_INDEX = 0;
export const VFIO_PCI_ROM_REGION_INDEX = 6;
export const VFIO_PCI_CONFIG_REGION_INDEX = 7;
export const VFIO_PCI_VGA_REGION_INDEX = 8;
export const VFIO_PCI_NUM_REGIONS = 9;
export const VFIO_PCI_INTX_IRQ_INDEX = 0;
export const VFIO_PCI_MSI_IRQ_INDEX = 1;
export const VFIO_PCI_MSIX_IRQ_INDEX = 2;
export const VFIO_PCI_ERR_IRQ_INDEX = 3;
export const VFIO_PCI_REQ_IRQ_INDEX = 4;
export const VFIO_PCI_NUM_IRQS = 5;

export const VFIO_DEVICE_FEATURE_MASK = 0xffff;
export const VFIO_DEVICE_FEATURE_GET = 0x1_0000;
export const VFIO_DEVICE_FEATURE_SET = 0x2_0000;
export const VFIO_DEVICE_FEATURE_PROBE = 0x4_0000;
export const VFIO_DEVICE_FEATURE_PCI_VF_TOKEN = 0;
export const VFIO_DEVICE_FEATURE_MIGRATION = 1;
export const VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE = 2;
export const VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY = 3;
export const VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP = 4;
export const VFIO_DEVICE_FEATURE_LOW_POWER_EXIT = 5;
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_START = 6;
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP = 7;
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT = 8;
export const VFIO_DEVICE_FEATURE_MIG_DATA_SIZE = 9;
export const VFIO_DEVICE_FEATURE_DMA_BUF = 11;
export const VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 = 12;

/** With a vendor id in the low 16 bits. */
export const VFIO_REGION_TYPE_PCI_VENDOR_TYPE = 0x8000_0000;
export const VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION = 1;
export const VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG = 2;
export const VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG = 3;
/** The type and subtype of a migration region, version 1. */
export const VFIO_REGION_TYPE_MIGRATION_DEPRECATED = 3;
export const VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED = 1;
/** Bits of device_state, version 1, as later headers name them. */
export const VFIO_DEVICE_STATE_V1_RUNNING = 1;
export const VFIO_DEVICE_STATE_V1_SAVING = 2;
export const VFIO_DEVICE_STATE_V1_RESUMING = 4;

export const VFIO_MIGRATION_STOP_COPY = 1;
export const VFIO_MIGRATION_P2P = 2;
export const VFIO_MIGRATION_PRE_COPY = 4;

export const VFIO_DMA_MAP_FLAG_READ = 1;
export const VFIO_DMA_MAP_FLAG_WRITE = 2;
export const VFIO_DMA_MAP_FLAG_VADDR = 4;
export const VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1;
export const VFIO_DMA_UNMAP_FLAG_ALL = 2;
export const VFIO_DMA_UNMAP_FLAG_VADDR = 4;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 2;
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 4;
export const VFIO_IOMMU_INFO_PGSIZES = 1;
export const VFIO_IOMMU_INFO_CAPS = 2;
export const VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1;
export const VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2;
export const VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3;

// Struct layouts. `size` is sizeof in 5.13 and 6.1, without flexible arrays.

export const vfio_info_cap_header = { size: 8, id: [0, 'u16'], version: [2, 'u16'], next: [4, 'u32'] } as const;
export const vfio_group_status = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
export const vfio_device_info = {
  size: 20,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  num_regions: [8, 'u32'],
  num_irqs: [12, 'u32'],
  cap_offset: [16, 'u32'],
} as const;
export const vfio_region_info = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  index: [8, 'u32'],
  cap_offset: [12, 'u32'],
  // The header's names are size and offset; size is taken here by the struct's own.
  region_size: [16, 'u64'],
  offset: [24, 'u64'],
} as const;
export const vfio_region_sparse_mmap_area = { size: 16, offset: [0, 'u64'], area_size: [8, 'u64'] } as const;
export const vfio_region_info_cap_sparse_mmap = { size: 16, nr_areas: [8, 'u32'], reserved: [12, 'u32'] } as const;
export const vfio_region_info_cap_type = { size: 16, type: [8, 'u32'], subtype: [12, 'u32'] } as const;
export const vfio_irq_info = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], index: [8, 'u32'], count: [12, 'u32'] } as const;
export const vfio_irq_set = {
  size: 20,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  index: [8, 'u32'],
  start: [12, 'u32'],
  count: [16, 'u32'],
} as const;
export const vfio_pci_dependent_device = { size: 8, group_id: [0, 'u32'], segment: [4, 'u16'], bus: [6, 'u8'], devfn: [7, 'u8'] } as const;
export const vfio_pci_hot_reset_info = { size: 12, argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] } as const;
export const vfio_pci_hot_reset = { size: 12, argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] } as const;
export const vfio_device_gfx_plane_info = {
  size: 64,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  drm_plane_type: [8, 'u32'],
  drm_format: [12, 'u32'],
  drm_format_mod: [16, 'u64'],
  width: [24, 'u32'],
  height: [28, 'u32'],
  stride: [32, 'u32'],
  plane_size: [36, 'u32'],
  x_pos: [40, 'u32'],
  y_pos: [44, 'u32'],
  x_hot: [48, 'u32'],
  y_hot: [52, 'u32'],
  // A union with dmabuf_id.
  region_index: [56, 'u32'],
} as const;
export const vfio_device_ioeventfd = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  offset: [8, 'u64'],
  data: [16, 'u64'],
  fd: [24, 's32'],
} as const;
export const vfio_device_feature = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
export const vfio_device_feature_migration = { size: 8, flags: [0, 'u64'] } as const;
export const vfio_device_feature_mig_state = { size: 8, device_state: [0, 'u32'], data_fd: [4, 's32'] } as const;
/** Migration, version 1: the registers at the start of a device's migration region. */
export const vfio_device_migration_info = {
  size: 32,
  device_state: [0, 'u32'],
  reserved: [4, 'u32'],
  pending_bytes: [8, 'u64'],
  data_offset: [16, 'u64'],
  data_size: [24, 'u64'],
} as const;
/** Of vfio_precopy_info.flags: new initial data is in the stream (7.3). */
export const VFIO_PRECOPY_INFO_REINIT = 1;

export const vfio_precopy_info = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  initial_bytes: [8, 'u64'],
  dirty_bytes: [16, 'u64'],
} as const;
export const vfio_device_feature_dma_logging_control = {
  size: 24,
  page_size: [0, 'u64'],
  num_ranges: [8, 'u32'],
  __reserved: [12, 'u32'],
  ranges: [16, 'u64'],
} as const;
export const vfio_device_feature_dma_logging_range = { size: 16, iova: [0, 'u64'], range_length: [8, 'u64'] } as const;
export const vfio_device_feature_dma_logging_report = {
  size: 32,
  iova: [0, 'u64'],
  range_length: [8, 'u64'],
  page_size: [16, 'u64'],
  bitmap: [24, 'u64'],
} as const;
export const vfio_device_low_power_entry_with_wakeup = { size: 8, wakeup_eventfd: [0, 's32'], reserved: [4, 'u32'] } as const;
export const vfio_device_feature_mig_data_size = { size: 8, stop_copy_length: [0, 'u64'] } as const;
export const vfio_iommu_type1_info = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  iova_pgsizes: [8, 'u64'],
  cap_offset: [16, 'u32'],
} as const;
export const vfio_iova_range = { size: 16, start: [0, 'u64'], end: [8, 'u64'] } as const;
export const vfio_iommu_type1_info_cap_iova_range = { size: 16, nr_iovas: [8, 'u32'], reserved: [12, 'u32'] } as const;
export const vfio_iommu_type1_info_cap_migration = {
  size: 32,
  flags: [8, 'u32'],
  pgsize_bitmap: [16, 'u64'],
  max_dirty_bitmap_size: [24, 'u64'],
} as const;
export const vfio_iommu_type1_info_dma_avail = { size: 12, avail: [8, 'u32'] } as const;
export const vfio_iommu_type1_dma_map = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  vaddr: [8, 'u64'],
  iova: [16, 'u64'],
  map_size: [24, 'u64'],
} as const;
export const vfio_bitmap = { size: 24, pgsize: [0, 'u64'], bitmap_size: [8, 'u64'], data: [16, 'u64'] } as const;
export const vfio_iommu_type1_dma_unmap = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  iova: [8, 'u64'],
  unmap_size: [16, 'u64'],
} as const;
export const vfio_iommu_type1_dirty_bitmap = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
export const vfio_iommu_type1_dirty_bitmap_get = { size: 40, iova: [0, 'u64'], range_size: [8, 'u64'] } as const;
