/**
 * linux/vfio.h as data: request numbers, one table of struct layouts, flags and indices. x86-64 and arm64 agree on all of it.
 * scripts/check-uapi.mjs compares every offset with the C header's.
 */

// Request numbers. The same number on another kind of fd is another request.

/** Request on a container: returns VFIO_API_VERSION. Takes no argument. */
export const VFIO_GET_API_VERSION = 0x3b64;
/**
 * Request on a container: whether the extension whose number is the argument is there (VFIO_TYPE1_IOMMU and those below it); returns 0 or
 * 1.
 */
export const VFIO_CHECK_EXTENSION = 0x3b65;
/** Request on a container with a group: the argument is the number of the IOMMU model that it uses from now on. */
export const VFIO_SET_IOMMU = 0x3b66;
/** Request on a group: whether it is viable and has a container (vfio_group_status). */
export const VFIO_GROUP_GET_STATUS = 0x3b67;
/** Request on a group: puts it into the container whose fd, an s32, the argument points to. */
export const VFIO_GROUP_SET_CONTAINER = 0x3b68;
/** Request on a group: takes it out of its container. Takes no argument. */
export const VFIO_GROUP_UNSET_CONTAINER = 0x3b69;
/** Request on a group with a container: opens the device whose name, a text with a NUL, the argument points to; returns its fd. */
export const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a;
/** Request on a device: its kind, and how many regions and interrupt indices it has (vfio_device_info). */
export const VFIO_DEVICE_GET_INFO = 0x3b6b;
/** Request on a device: size, access and place of a region (vfio_region_info). */
export const VFIO_DEVICE_GET_REGION_INFO = 0x3b6c;
/** Request on a device: how many interrupts an index has, and what can be done with them (vfio_irq_info). */
export const VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d;
/** Request on a device: triggers, masks and unmasks interrupts, or gives them eventfds (vfio_irq_set). */
export const VFIO_DEVICE_SET_IRQS = 0x3b6e;
/** Request on a device: resets it alone. Takes no argument; a device without VFIO_DEVICE_FLAGS_RESET cannot. */
export const VFIO_DEVICE_RESET = 0x3b6f;
/** Request on a PCI device: which devices a reset of its bus or slot would touch (vfio_pci_hot_reset_info). */
export const VFIO_DEVICE_GET_PCI_HOT_RESET_INFO = 0x3b70;
/** Request on a PCI device: resets its bus or slot, for a caller who shows the groups of all that it touches (vfio_pci_hot_reset). */
export const VFIO_DEVICE_PCI_HOT_RESET = 0x3b71;
/** Request on a device with a display: what a plane shows (vfio_device_gfx_plane_info). */
export const VFIO_DEVICE_QUERY_GFX_PLANE = 0x3b72;
/** Request on a device with a display: a new fd of the dma-buf whose id, a u32, the argument points to. */
export const VFIO_DEVICE_GET_GFX_DMABUF = 0x3b73;
/** Request on a PCI device: an eventfd whose signal makes a write to a BAR (vfio_device_ioeventfd). */
export const VFIO_DEVICE_IOEVENTFD = 0x3b74;
/** Request on a device: gets, sets or probes one of VFIO_DEVICE_FEATURE_* (vfio_device_feature). */
export const VFIO_DEVICE_FEATURE = 0x3b75;
/** Request on a container with an IOMMU: page sizes, IOVA ranges, room for mappings (vfio_iommu_type1_info). */
export const VFIO_IOMMU_GET_INFO = 0x3b70;
/** Request on a container with an IOMMU: maps memory of the process at IOVAs (vfio_iommu_type1_dma_map). */
export const VFIO_IOMMU_MAP_DMA = 0x3b71;
/** Request on a container with an IOMMU: unmaps IOVAs (vfio_iommu_type1_dma_unmap). */
export const VFIO_IOMMU_UNMAP_DMA = 0x3b72;
/** Request on a container of POWER: lets its IOMMU be used. Type1 has no such request. */
export const VFIO_IOMMU_ENABLE = 0x3b73;
/** Request on a container of POWER: undoes VFIO_IOMMU_ENABLE. Type1 has no such request. */
export const VFIO_IOMMU_DISABLE = 0x3b74;
/**
 * Request on a container with type1: begins, ends or reads the log of pages that devices may have written (vfio_iommu_type1_dirty_bitmap).
 */
export const VFIO_IOMMU_DIRTY_PAGES = 0x3b75;
/** Request on the data fd of a migration, in PRE_COPY and PRE_COPY_P2P: how much there is to read (vfio_precopy_info). */
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

/**
 * The name of a request among those that begin so: the numbers of containers, groups and devices overlap.
 *
 * @param request the number, as ioctl(2) takes it
 * @param prefixes beginnings of names, such as `VFIO_GROUP_`; the first name that fits is given
 * @returns undefined if no name fits
 */
export function requestName(request: number, ...prefixes: readonly string[]): string | undefined {
  return Object.keys(REQUESTS).find((name) => REQUESTS[name] === request && prefixes.some((prefix) => name.startsWith(prefix)));
}

/** The version of the interface, that VFIO_GET_API_VERSION returns. It has never been another. */
export const VFIO_API_VERSION = 0;

// VFIO_CHECK_EXTENSION and VFIO_SET_IOMMU
/** Extension and IOMMU model: type1, whose unmap may cut a mapping down or take more than was asked for. */
export const VFIO_TYPE1_IOMMU = 1;
/** Extension and IOMMU model of POWER. */
export const VFIO_SPAPR_TCE_IOMMU = 2;
/** Extension and IOMMU model: type1 in which an unmap takes whole mappings only; what a VMM should use. */
export const VFIO_TYPE1v2_IOMMU = 3;
/** Extension: all IOMMUs of the container keep DMA coherent with caches (for KVM's view of WBINVD). */
export const VFIO_DMA_CC_IOMMU = 4;
/** Extension of POWER: error handling by VFIO_EEH_PE_OP. */
export const VFIO_EEH = 5;
/** Extension and IOMMU model: type1v2 over the IOMMU's second stage, so that the first may be the guest's (until Linux 6.12). */
export const VFIO_TYPE1_NESTING_IOMMU = 6;
/** Extension and IOMMU model of POWER in which memory is registered before it is mapped. */
export const VFIO_SPAPR_TCE_v2_IOMMU = 7;
/** Extension and IOMMU model: no translation and no isolation at all, for groups that /dev/vfio/noiommu-N names. */
export const VFIO_NOIOMMU_IOMMU = 8;
/** Extension: VFIO_DMA_UNMAP_FLAG_ALL is known (5.12). */
export const VFIO_UNMAP_ALL = 9;
/** Extension: VFIO_DMA_UNMAP_FLAG_VADDR and VFIO_DMA_MAP_FLAG_VADDR are known (5.12). */
export const VFIO_UPDATE_VADDR = 10;

/** Flag of vfio_group_status: no device of the group is bound to a driver of the host, so that the group can be used. */
export const VFIO_GROUP_FLAGS_VIABLE = 1;
/** Flag of vfio_group_status: the group is in a container. */
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

/** Flag of vfio_device_info: VFIO_DEVICE_RESET works. */
export const VFIO_DEVICE_FLAGS_RESET = 1;
/** Flag of vfio_device_info: a PCI function, whose regions and interrupts have the indices VFIO_PCI_*. */
export const VFIO_DEVICE_FLAGS_PCI = 2;
/** Flag of vfio_device_info: a platform device (vfio-platform). */
export const VFIO_DEVICE_FLAGS_PLATFORM = 4;
/** Flag of vfio_device_info: a device on the AMBA bus (vfio-amba). */
export const VFIO_DEVICE_FLAGS_AMBA = 8;
/** Flag of vfio_device_info: an object of an fsl-mc bus (vfio-fsl-mc). */
export const VFIO_DEVICE_FLAGS_FSL_MC = 64;
/** Flag of vfio_device_info: there are capabilities, at cap_offset if they had room. */
export const VFIO_DEVICE_FLAGS_CAPS = 128;

/** Flag of vfio_region_info: the region can be read. */
export const VFIO_REGION_INFO_FLAG_READ = 1;
/** Flag of vfio_region_info: the region can be written. */
export const VFIO_REGION_INFO_FLAG_WRITE = 2;
/** Flag of vfio_region_info: the region can be mapped, whole or in the areas of its sparse mmap capability. */
export const VFIO_REGION_INFO_FLAG_MMAP = 4;
/** Flag of vfio_region_info: there are capabilities, at cap_offset if they had room. */
export const VFIO_REGION_INFO_FLAG_CAPS = 8;

/** Capability id of VFIO_DEVICE_GET_REGION_INFO: only these areas of the region can be mapped (vfio_region_info_cap_sparse_mmap). */
export const VFIO_REGION_INFO_CAP_SPARSE_MMAP = 1;
/** Capability id of VFIO_DEVICE_GET_REGION_INFO: what a region without a fixed index is (vfio_region_info_cap_type). */
export const VFIO_REGION_INFO_CAP_TYPE = 2;
/** Capability id of VFIO_DEVICE_GET_REGION_INFO: the BAR can be mapped together with its MSI-X table (4.16). A header without data. */
export const VFIO_REGION_INFO_CAP_MSIX_MAPPABLE = 3;

/** Flag of vfio_irq_info: eventfds can be signalled. */
export const VFIO_IRQ_INFO_EVENTFD = 1;
/** Flag of vfio_irq_info: the interrupts can be masked and unmasked. */
export const VFIO_IRQ_INFO_MASKABLE = 2;
/** Flag of vfio_irq_info: a level interrupt, which the kernel masks when it fires and user space unmasks. */
export const VFIO_IRQ_INFO_AUTOMASKED = 4;
/** Flag of vfio_irq_info: no vector can be added while the index is enabled; disable it first. */
export const VFIO_IRQ_INFO_NORESIZE = 8;

/** Flag of vfio_irq_set: no data; with ACTION_TRIGGER and count 0 the index is disabled. */
export const VFIO_IRQ_SET_DATA_NONE = 1;
/** Flag of vfio_irq_set: a u8 for each interrupt; those with 0 are left alone. */
export const VFIO_IRQ_SET_DATA_BOOL = 2;
/** Flag of vfio_irq_set: an s32 for each interrupt, the fd of its eventfd, or -1 to take it away. */
export const VFIO_IRQ_SET_DATA_EVENTFD = 4;
/** Flag of vfio_irq_set: masks, or names the eventfds that will. */
export const VFIO_IRQ_SET_ACTION_MASK = 8;
/** Flag of vfio_irq_set: unmasks, or names the eventfds that will. */
export const VFIO_IRQ_SET_ACTION_UNMASK = 16;
/** Flag of vfio_irq_set: names the eventfds that are signalled, or signals them as a test (DATA_NONE, DATA_BOOL). */
export const VFIO_IRQ_SET_ACTION_TRIGGER = 32;

/** Region of vfio-pci: BAR 0. BARs 1 to 5 follow it. */
export const VFIO_PCI_BAR0_REGION_INDEX = 0;
/** Region of vfio-pci: the expansion ROM. */
export const VFIO_PCI_ROM_REGION_INDEX = 6;
/** Region of vfio-pci: configuration space, of 256 or 4096 bytes, with registers that vfio-pci virtualises. */
export const VFIO_PCI_CONFIG_REGION_INDEX = 7;
/** Region of vfio-pci: the legacy VGA ports and memory, at their own addresses in the region. */
export const VFIO_PCI_VGA_REGION_INDEX = 8;
/** How many regions of vfio-pci have fixed indices; those behind have a type capability. */
export const VFIO_PCI_NUM_REGIONS = 9;
/** Interrupt index of vfio-pci: INTx, one level interrupt. */
export const VFIO_PCI_INTX_IRQ_INDEX = 0;
/** Interrupt index of vfio-pci: MSI, 1 to 32 vectors. */
export const VFIO_PCI_MSI_IRQ_INDEX = 1;
/** Interrupt index of vfio-pci: MSI-X, 1 to 2048 vectors. */
export const VFIO_PCI_MSIX_IRQ_INDEX = 2;
/**
 * Interrupt index of vfio-pci: the host's error handling has reported an uncorrected error of the function; until 6.12 of PCI Express
 * functions only.
 */
export const VFIO_PCI_ERR_IRQ_INDEX = 3;
/** Interrupt index of vfio-pci: the host asks for the device back. */
export const VFIO_PCI_REQ_IRQ_INDEX = 4;
/** How many interrupt indices vfio-pci has. */
export const VFIO_PCI_NUM_IRQS = 5;

/** The bits of vfio_device_feature.flags that hold the feature's number. */
export const VFIO_DEVICE_FEATURE_MASK = 0xffff;
/** Flag of vfio_device_feature: reads the feature into data; with PROBE: whether it can be read. */
export const VFIO_DEVICE_FEATURE_GET = 0x1_0000;
/** Flag of vfio_device_feature: sets the feature from data; with PROBE: whether it can be set. */
export const VFIO_DEVICE_FEATURE_SET = 0x2_0000;
/** Flag of vfio_device_feature: only whether the device has the feature, without data. */
export const VFIO_DEVICE_FEATURE_PROBE = 0x4_0000;
/** Feature, to set on a physical function with SR-IOV: a UUID of 16 bytes that those who open its virtual functions must name. */
export const VFIO_DEVICE_FEATURE_PCI_VF_TOKEN = 0;
/** Feature, to get: which states of migration version 2 the device has (vfio_device_feature_migration). */
export const VFIO_DEVICE_FEATURE_MIGRATION = 1;
/** Feature, to get and set: the device's state of migration version 2 (vfio_device_feature_mig_state). */
export const VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE = 2;
/** Feature, to set without data: the device may sleep when nobody uses it; a use wakes it, and it may sleep again. */
export const VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY = 3;
/** Feature, to set: as LOW_POWER_ENTRY, but the first waking signals an eventfd and ends it (vfio_device_low_power_entry_with_wakeup). */
export const VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP = 4;
/** Feature, to set without data: the device is awake from now on. */
export const VFIO_DEVICE_FEATURE_LOW_POWER_EXIT = 5;
/** Feature, to set: the device notes which pages it writes (vfio_device_feature_dma_logging_control). */
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_START = 6;
/** Feature, to set without data: the device no longer notes which pages it writes. */
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP = 7;
/** Feature, to get: the pages of a range that the device has written since the last time (vfio_device_feature_dma_logging_report). */
export const VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT = 8;
/** Feature, to get: an estimate of what STOP_COPY will transfer (vfio_device_feature_mig_data_size). */
export const VFIO_DEVICE_FEATURE_MIG_DATA_SIZE = 9;
/** Feature, to get: an fd of a dma-buf made of parts of a BAR (vfio_device_feature_dma_buf; 6.19). */
export const VFIO_DEVICE_FEATURE_DMA_BUF = 11;
/** Feature, to set without data: vfio_precopy_info.flags has a meaning from now on (7.3). */
export const VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 = 12;

/** Bit of a region type that says that its low 16 bits are a PCI vendor id. */
export const VFIO_REGION_TYPE_PCI_VENDOR_TYPE = 0x8000_0000;
/** Region subtype of vendor 8086: the OpRegion of Intel graphics. */
export const VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION = 1;
/** Region subtype of vendor 8086: configuration space of the host bridge, read-only, for Intel graphics. */
export const VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG = 2;
/** Region subtype of vendor 8086: configuration space of the LPC bridge, read-only, for Intel graphics. */
export const VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG = 3;
/** Region type of migration version 1. */
export const VFIO_REGION_TYPE_MIGRATION_DEPRECATED = 3;
/** Region subtype of migration version 1, whose region begins with vfio_device_migration_info. */
export const VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED = 1;
/** Bit of device_state, migration version 1: the device works; without it, it stands. */
export const VFIO_DEVICE_STATE_V1_RUNNING = 1;
/** Bit of device_state, migration version 1: the state can be read from the region. With RUNNING this is pre-copy. */
export const VFIO_DEVICE_STATE_V1_SAVING = 2;
/** Bit of device_state, migration version 1: a state is written to the region. */
export const VFIO_DEVICE_STATE_V1_RESUMING = 4;

/** Flag of vfio_device_feature_migration: STOP, STOP_COPY and RESUMING are there. Every device that migrates has it. */
export const VFIO_MIGRATION_STOP_COPY = 1;
/** Flag of vfio_device_feature_migration: RUNNING_P2P is there. */
export const VFIO_MIGRATION_P2P = 2;
/** Flag of vfio_device_feature_migration: PRE_COPY is there, with P2P PRE_COPY_P2P also. */
export const VFIO_MIGRATION_PRE_COPY = 4;

/** Flag of vfio_iommu_type1_dma_map: devices may read the memory. */
export const VFIO_DMA_MAP_FLAG_READ = 1;
/** Flag of vfio_iommu_type1_dma_map: devices may write the memory. */
export const VFIO_DMA_MAP_FLAG_WRITE = 2;
/** Flag of vfio_iommu_type1_dma_map: gives a mapping whose address VFIO_DMA_UNMAP_FLAG_VADDR took a new one. */
export const VFIO_DMA_MAP_FLAG_VADDR = 4;
/** Flag of vfio_iommu_type1_dma_unmap: a vfio_bitmap behind the struct takes the pages that were dirty. */
export const VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1;
/** Flag of vfio_iommu_type1_dma_unmap: all mappings; IOVA and size are 0. */
export const VFIO_DMA_UNMAP_FLAG_ALL = 2;
/** Flag of vfio_iommu_type1_dma_unmap: DMA goes on, but the mappings lose their addresses in the process until they are given new ones. */
export const VFIO_DMA_UNMAP_FLAG_VADDR = 4;
/** Flag of vfio_iommu_type1_dirty_bitmap: the log begins. */
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_START = 1;
/** Flag of vfio_iommu_type1_dirty_bitmap: the log ends. */
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP = 2;
/** Flag of vfio_iommu_type1_dirty_bitmap: reads the log of a range (vfio_iommu_type1_dirty_bitmap_get behind the struct), and clears it. */
export const VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP = 4;
/** Flag of vfio_iommu_type1_info: iova_pgsizes is valid. */
export const VFIO_IOMMU_INFO_PGSIZES = 1;
/** Flag of vfio_iommu_type1_info: there are capabilities, at cap_offset if they had room. */
export const VFIO_IOMMU_INFO_CAPS = 2;
/** Capability id of VFIO_IOMMU_GET_INFO: which IOVAs can be mapped (vfio_iommu_type1_info_cap_iova_range). */
export const VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE = 1;
/** Capability id of VFIO_IOMMU_GET_INFO: dirty pages can be logged (vfio_iommu_type1_info_cap_migration). */
export const VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION = 2;
/** Capability id of VFIO_IOMMU_GET_INFO: how many mappings there is still room for (vfio_iommu_type1_info_dma_avail). */
export const VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL = 3;

// Struct layouts. `size` is sizeof in 5.13 and 6.1, without flexible arrays.

/** Layout of the header of a capability; next is the offset of the next one from the start of the whole answer, or 0. */
export const vfio_info_cap_header = { size: 8, id: [0, 'u16'], version: [2, 'u16'], next: [4, 'u32'] } as const;
/** Layout of VFIO_GROUP_GET_STATUS's answer: flags are VFIO_GROUP_FLAGS_*. */
export const vfio_group_status = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
/** Layout of VFIO_DEVICE_GET_INFO's answer: flags are VFIO_DEVICE_FLAGS_*, cap_offset that of the first capability, 0 for none. */
export const vfio_device_info = {
  size: 20,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  num_regions: [8, 'u32'],
  num_irqs: [12, 'u32'],
  cap_offset: [16, 'u32'],
} as const;
/**
 * Layout of VFIO_DEVICE_GET_REGION_INFO's argument and answer: flags are VFIO_REGION_INFO_FLAG_*, region_size is in bytes, offset is where
 * the region begins in the device's fd.
 */
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
/** Layout of an area of a sparse mmap capability: its offset in the region and its size, in bytes. */
export const vfio_region_sparse_mmap_area = { size: 16, offset: [0, 'u64'], area_size: [8, 'u64'] } as const;
/** Layout of VFIO_REGION_INFO_CAP_SPARSE_MMAP, before its nr_areas areas (vfio_region_sparse_mmap_area). */
export const vfio_region_info_cap_sparse_mmap = { size: 16, nr_areas: [8, 'u32'], reserved: [12, 'u32'] } as const;
/** Layout of VFIO_REGION_INFO_CAP_TYPE: VFIO_REGION_TYPE_* and VFIO_REGION_SUBTYPE_*. */
export const vfio_region_info_cap_type = { size: 16, type: [8, 'u32'], subtype: [12, 'u32'] } as const;
/**
 * Layout of VFIO_DEVICE_GET_IRQ_INFO's argument and answer: flags are VFIO_IRQ_INFO_*; a count of 0 is an index that the device has not.
 */
export const vfio_irq_info = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], index: [8, 'u32'], count: [12, 'u32'] } as const;
/**
 * Layout of VFIO_DEVICE_SET_IRQS's argument, before its data: flags are one VFIO_IRQ_SET_DATA_* and one VFIO_IRQ_SET_ACTION_*, for count
 * interrupts of the index from start on.
 */
export const vfio_irq_set = {
  size: 20,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  index: [8, 'u32'],
  start: [12, 'u32'],
  count: [16, 'u32'],
} as const;
/**
 * Layout of a device in vfio_pci_hot_reset_info; group_id is a devid if the flags say so, devfn has the device in bits 7 to 3 and the
 * function in bits 2 to 0.
 */
export const vfio_pci_dependent_device = { size: 8, group_id: [0, 'u32'], segment: [4, 'u16'], bus: [6, 'u8'], devfn: [7, 'u8'] } as const;
/** Layout of VFIO_DEVICE_GET_PCI_HOT_RESET_INFO's answer, before its count devices (vfio_pci_dependent_device). */
export const vfio_pci_hot_reset_info = { size: 12, argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] } as const;
/** Layout of VFIO_DEVICE_PCI_HOT_RESET's argument, before its count group fds, an s32 each. */
export const vfio_pci_hot_reset = { size: 12, argsz: [0, 'u32'], flags: [4, 'u32'], count: [8, 'u32'] } as const;
/**
 * Layout of VFIO_DEVICE_QUERY_GFX_PLANE's argument and answer: sizes and places in pixels, stride and plane_size in bytes; the place of the
 * hotspot is 0xffff_ffff if there is none.
 */
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
/**
 * Layout of VFIO_DEVICE_IOEVENTFD's argument: flags are the width, VFIO_DEVICE_IOEVENTFD_*, offset is in the device's fd, data is written
 * each time; fd is -1 to end it.
 */
export const vfio_device_ioeventfd = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  offset: [8, 'u64'],
  data: [16, 'u64'],
  fd: [24, 's32'],
} as const;
/** Layout of VFIO_DEVICE_FEATURE's argument, before the feature's data: flags are its number with GET, SET or PROBE. */
export const vfio_device_feature = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_MIGRATION: flags are VFIO_MIGRATION_*. */
export const vfio_device_feature_migration = { size: 8, flags: [0, 'u64'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: VFIO_DEVICE_STATE_*, and after a set the fd that carries the data, or -1. */
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

/** Layout of VFIO_MIG_GET_PRECOPY_INFO's answer, in bytes: what of the initial data is left, and what has changed since. */
export const vfio_precopy_info = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  initial_bytes: [8, 'u64'],
  dirty_bytes: [16, 'u64'],
} as const;
/**
 * Layout of the data of VFIO_DEVICE_FEATURE_DMA_LOGGING_START: page_size in bytes is a wish, and on return what the device took; ranges is
 * the address of num_ranges vfio_device_feature_dma_logging_range.
 */
export const vfio_device_feature_dma_logging_control = {
  size: 24,
  page_size: [0, 'u64'],
  num_ranges: [8, 'u32'],
  __reserved: [12, 'u32'],
  ranges: [16, 'u64'],
} as const;
/** Layout of a range of VFIO_DEVICE_FEATURE_DMA_LOGGING_START: its first IOVA and its length in bytes. */
export const vfio_device_feature_dma_logging_range = { size: 16, iova: [0, 'u64'], range_length: [8, 'u64'] } as const;
/**
 * Layout of the data of VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: bitmap is the address of a bitmap with one bit for each page_size bytes
 * from iova on; bits are only set.
 */
export const vfio_device_feature_dma_logging_report = {
  size: 32,
  iova: [0, 'u64'],
  range_length: [8, 'u64'],
  page_size: [16, 'u64'],
  bitmap: [24, 'u64'],
} as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP: the fd of the eventfd that is signalled. */
export const vfio_device_low_power_entry_with_wakeup = { size: 8, wakeup_eventfd: [0, 's32'], reserved: [4, 'u32'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, in bytes. */
export const vfio_device_feature_mig_data_size = { size: 8, stop_copy_length: [0, 'u64'] } as const;
/** Layout of VFIO_IOMMU_GET_INFO's answer: bit n of iova_pgsizes says that pages of 2^n bytes can be mapped. */
export const vfio_iommu_type1_info = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  iova_pgsizes: [8, 'u64'],
  cap_offset: [16, 'u32'],
} as const;
/** Layout of a range of VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE: its first and its last IOVA. */
export const vfio_iova_range = { size: 16, start: [0, 'u64'], end: [8, 'u64'] } as const;
/** Layout of VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, before its nr_iovas ranges (vfio_iova_range). */
export const vfio_iommu_type1_info_cap_iova_range = { size: 16, nr_iovas: [8, 'u32'], reserved: [12, 'u32'] } as const;
/**
 * Layout of VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION: bit n of pgsize_bitmap is a page of 2^n bytes that can be logged; the largest bitmap is in
 * bytes.
 */
export const vfio_iommu_type1_info_cap_migration = {
  size: 32,
  flags: [8, 'u32'],
  pgsize_bitmap: [16, 'u64'],
  max_dirty_bitmap_size: [24, 'u64'],
} as const;
/** Layout of VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL: how many more mappings the container takes. */
export const vfio_iommu_type1_info_dma_avail = { size: 12, avail: [8, 'u32'] } as const;
/** Layout of VFIO_IOMMU_MAP_DMA's argument: an address of the process, an IOVA, and map_size in bytes, the header's `size`. */
export const vfio_iommu_type1_dma_map = {
  size: 32,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  vaddr: [8, 'u64'],
  iova: [16, 'u64'],
  map_size: [24, 'u64'],
} as const;
/**
 * Layout of a dirty bitmap: pgsize is the bytes that a bit stands for, bitmap_size the bitmap's bytes (the header's `size`), data its
 * address.
 */
export const vfio_bitmap = { size: 24, pgsize: [0, 'u64'], bitmap_size: [8, 'u64'], data: [16, 'u64'] } as const;
/** Layout of VFIO_IOMMU_UNMAP_DMA's argument: unmap_size in bytes is the header's `size`, and on return what was unmapped. */
export const vfio_iommu_type1_dma_unmap = {
  size: 24,
  argsz: [0, 'u32'],
  flags: [4, 'u32'],
  iova: [8, 'u64'],
  unmap_size: [16, 'u64'],
} as const;
/** Layout of VFIO_IOMMU_DIRTY_PAGES's argument: flags are one of VFIO_IOMMU_DIRTY_PAGES_FLAG_*. */
export const vfio_iommu_type1_dirty_bitmap = { size: 8, argsz: [0, 'u32'], flags: [4, 'u32'] } as const;
/** Layout of what follows vfio_iommu_type1_dirty_bitmap for GET_BITMAP: a range of IOVAs in bytes; a vfio_bitmap at offset 16. */
export const vfio_iommu_type1_dirty_bitmap_get = { size: 40, iova: [0, 'u64'], range_size: [8, 'u64'] } as const;
