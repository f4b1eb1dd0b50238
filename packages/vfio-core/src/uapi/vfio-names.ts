/** Names of linux/vfio.h (Linux 7.3) that vfio.ts has not, since no part of the model acts on them. Made by scripts/generate-uapi.mjs. */

/** The ioctl type of all requests of linux/vfio.h, the character `;`: bits 15 to 8 of a request number. */
export const VFIO_TYPE = 59;
/** The lowest ioctl number of linux/vfio.h, added to each request's own: bits 7 to 0 of a request number. */
export const VFIO_BASE = 100;
/** Flag of vfio_device_info: an s390 channel I/O subchannel (vfio-ccw). */
export const VFIO_DEVICE_FLAGS_CCW = 16;
/** Flag of vfio_device_info: an s390 matrix of cryptographic adapters (vfio-ap). */
export const VFIO_DEVICE_FLAGS_AP = 32;
/** Flag of vfio_device_info: a device on AMD's CDX bus (vfio-cdx). */
export const VFIO_DEVICE_FLAGS_CDX = 256;
/** The `device_api` attribute in sysfs of an mdev type whose devices look like PCI functions. */
export const VFIO_DEVICE_API_PCI_STRING = 'vfio-pci';
/** The `device_api` attribute in sysfs of an mdev type whose devices look like platform devices. */
export const VFIO_DEVICE_API_PLATFORM_STRING = 'vfio-platform';
/** The `device_api` attribute in sysfs of an mdev type whose devices look like AMBA devices. */
export const VFIO_DEVICE_API_AMBA_STRING = 'vfio-amba';
/** The `device_api` attribute in sysfs of an mdev type whose devices are s390 subchannels. */
export const VFIO_DEVICE_API_CCW_STRING = 'vfio-ccw';
/** The `device_api` attribute in sysfs of an mdev type whose devices are s390 crypto matrices. */
export const VFIO_DEVICE_API_AP_STRING = 'vfio-ap';
/** Capability id of VFIO_DEVICE_GET_INFO, s390: what the zPCI function itself offers (struct in linux/vfio_zdev.h). */
export const VFIO_DEVICE_INFO_CAP_ZPCI_BASE = 1;
/** Capability id of VFIO_DEVICE_GET_INFO, s390: what holds for the zPCI function's group (struct in linux/vfio_zdev.h). */
export const VFIO_DEVICE_INFO_CAP_ZPCI_GROUP = 2;
/** Capability id of VFIO_DEVICE_GET_INFO, s390: the utility string of the zPCI function (struct in linux/vfio_zdev.h). */
export const VFIO_DEVICE_INFO_CAP_ZPCI_UTIL = 3;
/** Capability id of VFIO_DEVICE_GET_INFO, s390: the path of the zPCI function's internal parts (struct in linux/vfio_zdev.h). */
export const VFIO_DEVICE_INFO_CAP_ZPCI_PFIP = 4;
/** Capability id of VFIO_DEVICE_GET_INFO: the PCIe AtomicOps that the root port completes (vfio_device_info_cap_pci_atomic_comp). */
export const VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP = 5;
/** Flag of vfio_device_info_cap_pci_atomic_comp: AtomicOps of 32 bits are completed. */
export const VFIO_PCI_ATOMIC_COMP32 = 1;
/** Flag of vfio_device_info_cap_pci_atomic_comp: AtomicOps of 64 bits are completed. */
export const VFIO_PCI_ATOMIC_COMP64 = 2;
/** Flag of vfio_device_info_cap_pci_atomic_comp: compare-and-swap of 128 bits is completed. */
export const VFIO_PCI_ATOMIC_COMP128 = 4;
/** The bits of a region type with VFIO_REGION_TYPE_PCI_VENDOR_TYPE set that hold the PCI vendor id. */
export const VFIO_REGION_TYPE_PCI_VENDOR_MASK = 65535;
/** Region type of graphics devices; its subtypes are VFIO_REGION_SUBTYPE_GFX_*. */
export const VFIO_REGION_TYPE_GFX = 1;
/** Region type of s390 subchannels; its subtypes are VFIO_REGION_SUBTYPE_CCW_*. */
export const VFIO_REGION_TYPE_CCW = 2;
/** Region subtype of vendor 10de: a GPU's coherent memory over NVLink2. No kernel gives it any more (removed in 5.13). */
export const VFIO_REGION_SUBTYPE_NVIDIA_NVLINK2_RAM = 1;
/** Region subtype of vendor 1014: the register with which an NPU drops translations of a GPU. No kernel gives it any more (removed in 5.13). */
export const VFIO_REGION_SUBTYPE_IBM_NVLINK2_ATSD = 1;
/** Region subtype of VFIO_REGION_TYPE_GFX: the EDID of the virtual monitor, laid out as vfio_region_gfx_edid. */
export const VFIO_REGION_SUBTYPE_GFX_EDID = 1;
/** Value of vfio_region_gfx_edid.link_state: the monitor is on. */
export const VFIO_DEVICE_GFX_LINK_STATE_UP = 1;
/** Value of vfio_region_gfx_edid.link_state: the monitor is off; the EDID may be changed. */
export const VFIO_DEVICE_GFX_LINK_STATE_DOWN = 2;
/** Region subtype of VFIO_REGION_TYPE_CCW: halt and clear commands to the subchannel. */
export const VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD = 1;
/** Region subtype of VFIO_REGION_TYPE_CCW: the subchannel information block, to read. */
export const VFIO_REGION_SUBTYPE_CCW_SCHIB = 2;
/** Region subtype of VFIO_REGION_TYPE_CCW: channel report words that are queued, to read. */
export const VFIO_REGION_SUBTYPE_CCW_CRW = 3;
/** device_state of migration version 1 with no bit set: the device stands. */
export const VFIO_DEVICE_STATE_V1_STOP = 0;
/** The bits of device_state that migration version 1 defines: RUNNING, SAVING, RESUMING. */
export const VFIO_DEVICE_STATE_MASK = 7;
/** Capability id of VFIO_DEVICE_GET_REGION_INFO: where a GPU's memory lies on the system bus. No kernel gives it any more (removed in 5.13). */
export const VFIO_REGION_INFO_CAP_NVLINK2_SSATGT = 4;
/** Capability id of VFIO_DEVICE_GET_REGION_INFO: the speed of an NVLink2 link. No kernel gives it any more (removed in 5.13). */
export const VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD = 5;
/** The bits of vfio_irq_set.flags that say what data follows (DATA_NONE, DATA_BOOL, DATA_EVENTFD): exactly one is set. */
export const VFIO_IRQ_SET_DATA_TYPE_MASK = 7;
/** The bits of vfio_irq_set.flags that say what to do (MASK, UNMASK, TRIGGER): exactly one is set. */
export const VFIO_IRQ_SET_ACTION_TYPE_MASK = 56;
/** Value of devid in vfio_pci_dependent_device: the caller owns the device by its IOMMU group, without an id in its iommufd. */
export const VFIO_PCI_DEVID_OWNED = 0;
/** Value of devid in vfio_pci_dependent_device: the caller does not own the device, so that it stands in the way of a hot reset. */
export const VFIO_PCI_DEVID_NOT_OWNED = -1;
/** Flag of vfio_pci_hot_reset_info: the entries have devids of the caller's iommufd, not group ids. */
export const VFIO_PCI_HOT_RESET_FLAG_DEV_ID = 1;
/** Flag of vfio_pci_hot_reset_info, with DEV_ID: the caller owns all devices that a hot reset would touch. */
export const VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED = 2;
/** Flag of vfio_device_gfx_plane_info: only ask whether the type beside it (DMABUF or REGION) is supported. */
export const VFIO_GFX_PLANE_TYPE_PROBE = 1;
/** Flag of vfio_device_gfx_plane_info: the plane as a dma-buf, named by dmabuf_id. */
export const VFIO_GFX_PLANE_TYPE_DMABUF = 2;
/** Flag of vfio_device_gfx_plane_info: the plane as a region of the device, named by region_index. */
export const VFIO_GFX_PLANE_TYPE_REGION = 4;
/** Flag of vfio_device_ioeventfd: the eventfd makes a write of 1 byte. */
export const VFIO_DEVICE_IOEVENTFD_8 = 1;
/** Flag of vfio_device_ioeventfd: the eventfd makes a write of 2 bytes. */
export const VFIO_DEVICE_IOEVENTFD_16 = 2;
/** Flag of vfio_device_ioeventfd: the eventfd makes a write of 4 bytes. */
export const VFIO_DEVICE_IOEVENTFD_32 = 4;
/** Flag of vfio_device_ioeventfd: the eventfd makes a write of 8 bytes. */
export const VFIO_DEVICE_IOEVENTFD_64 = 8;
/** The bits of vfio_device_ioeventfd.flags that hold the width of the write: exactly one is set. */
export const VFIO_DEVICE_IOEVENTFD_SIZE_MASK = 15;
/** Flag of vfio_device_bind_iommufd: token_uuid_ptr points to the 16 bytes of a VF token. */
export const VFIO_DEVICE_BIND_FLAG_TOKEN = 1;
/** Request on a device opened as a character device: ties it to an iommufd (vfio_device_bind_iommufd; drivers/vfio/device_cdev.c, 6.6). */
export const VFIO_DEVICE_BIND_IOMMUFD = 15222;
/** Flag of vfio_device_attach_iommufd_pt: for the PASID of the struct only, not for the whole device. */
export const VFIO_DEVICE_ATTACH_PASID = 1;
/** Request on a device's character device: attaches it to an address space or page table of its iommufd (vfio_device_attach_iommufd_pt). */
export const VFIO_DEVICE_ATTACH_IOMMUFD_PT = 15223;
/** Flag of vfio_device_detach_iommufd_pt: for the PASID of the struct only, not for the whole device. */
export const VFIO_DEVICE_DETACH_PASID = 1;
/** Request on a device's character device: detaches it from its address space, so that its DMA is blocked (vfio_device_detach_iommufd_pt). */
export const VFIO_DEVICE_DETACH_IOMMUFD_PT = 15224;
/** Value of vfio_device_feature_bus_master.op: the device's DMA is blocked. */
export const VFIO_DEVICE_FEATURE_CLEAR_MASTER = 0;
/** Value of vfio_device_feature_bus_master.op: the device may make DMA. */
export const VFIO_DEVICE_FEATURE_SET_MASTER = 1;
/** Feature, to set: bus mastering of a device that has no register for it, as on CDX (vfio_device_feature_bus_master). */
export const VFIO_DEVICE_FEATURE_BUS_MASTER = 10;
/** Feature, to get, s390: a pending PCI error of the zPCI function; -ENOMSG without one (vfio_device_feature_zpci_err). */
export const VFIO_DEVICE_FEATURE_ZPCI_ERROR = 13;
/** Flag of vfio_iommu_spapr_tce_info: its part about dynamic DMA windows is valid. */
export const VFIO_IOMMU_SPAPR_INFO_DDW = 1;
/** Request on a container with a POWER IOMMU: where its 32-bit DMA window lies (vfio_iommu_spapr_tce_info). */
export const VFIO_IOMMU_SPAPR_TCE_GET_INFO = 15216;
/** Operation of VFIO_EEH_PE_OP: error handling (EEH) of the partitionable endpoint off. */
export const VFIO_EEH_PE_DISABLE = 0;
/** Operation of VFIO_EEH_PE_OP: error handling (EEH) of the partitionable endpoint on. */
export const VFIO_EEH_PE_ENABLE = 1;
/** Operation of VFIO_EEH_PE_OP: lets loads and stores reach a frozen endpoint again. */
export const VFIO_EEH_PE_UNFREEZE_IO = 2;
/** Operation of VFIO_EEH_PE_OP: lets a frozen endpoint make DMA again. */
export const VFIO_EEH_PE_UNFREEZE_DMA = 3;
/** Operation of VFIO_EEH_PE_OP: returns one of VFIO_EEH_PE_STATE_*. */
export const VFIO_EEH_PE_GET_STATE = 4;
/** State of an EEH endpoint: it works. */
export const VFIO_EEH_PE_STATE_NORMAL = 0;
/** State of an EEH endpoint: its reset line is held. */
export const VFIO_EEH_PE_STATE_RESET = 1;
/** State of an EEH endpoint: frozen, neither DMA nor loads and stores. */
export const VFIO_EEH_PE_STATE_STOPPED = 2;
/** State of an EEH endpoint: no DMA, while loads and stores work. */
export const VFIO_EEH_PE_STATE_STOPPED_DMA = 4;
/** State of an EEH endpoint: the firmware cannot tell, for now or for good. */
export const VFIO_EEH_PE_STATE_UNAVAIL = 5;
/** Operation of VFIO_EEH_PE_OP: releases the reset line. */
export const VFIO_EEH_PE_RESET_DEACTIVATE = 5;
/** Operation of VFIO_EEH_PE_OP: begins a hot reset. */
export const VFIO_EEH_PE_RESET_HOT = 6;
/** Operation of VFIO_EEH_PE_OP: begins a fundamental reset. */
export const VFIO_EEH_PE_RESET_FUNDAMENTAL = 7;
/** Operation of VFIO_EEH_PE_OP: puts bridges and BARs of the endpoint back after a reset. */
export const VFIO_EEH_PE_CONFIGURE = 8;
/** Operation of VFIO_EEH_PE_OP: makes the error that vfio_eeh_pe_err tells. */
export const VFIO_EEH_PE_INJECT_ERR = 9;
/** Request on a container of POWER with VFIO_EEH: one operation of error handling (vfio_eeh_pe_op). */
export const VFIO_EEH_PE_OP = 15225;
/** Request on a container with VFIO_SPAPR_TCE_v2_IOMMU: pins memory that may be mapped later (vfio_iommu_spapr_register_memory). */
export const VFIO_IOMMU_SPAPR_REGISTER_MEMORY = 15221;
/** Request on a container with VFIO_SPAPR_TCE_v2_IOMMU: undoes VFIO_IOMMU_SPAPR_REGISTER_MEMORY, with the same struct. */
export const VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY = 15222;
/** Request on a container with VFIO_SPAPR_TCE_v2_IOMMU: makes a DMA window (vfio_iommu_spapr_tce_create). */
export const VFIO_IOMMU_SPAPR_TCE_CREATE = 15223;
/** Request on a container with VFIO_SPAPR_TCE_v2_IOMMU: removes a DMA window (vfio_iommu_spapr_tce_remove). */
export const VFIO_IOMMU_SPAPR_TCE_REMOVE = 15224;
/** Region of vfio-pci: BAR 1; of size 0 if BAR 0 is of 64 bits or the function has none. */
export const VFIO_PCI_BAR1_REGION_INDEX = 1;
/** Region of vfio-pci: BAR 2; of size 0 if the function has none. */
export const VFIO_PCI_BAR2_REGION_INDEX = 2;
/** Region of vfio-pci: BAR 3; of size 0 if BAR 2 is of 64 bits or the function has none. */
export const VFIO_PCI_BAR3_REGION_INDEX = 3;
/** Region of vfio-pci: BAR 4; of size 0 if the function has none. */
export const VFIO_PCI_BAR4_REGION_INDEX = 4;
/** Region of vfio-pci: BAR 5; of size 0 if BAR 4 is of 64 bits or the function has none. */
export const VFIO_PCI_BAR5_REGION_INDEX = 5;
/** Region of vfio-ccw: where channel programs are started. */
export const VFIO_CCW_CONFIG_REGION_INDEX = 0;
/** How many regions of vfio-ccw have fixed indices; those behind have a type capability. */
export const VFIO_CCW_NUM_REGIONS = 1;
/** Interrupt of vfio-ccw: a channel program has ended. */
export const VFIO_CCW_IO_IRQ_INDEX = 0;
/** Interrupt of vfio-ccw: a channel report word is there to be read. */
export const VFIO_CCW_CRW_IRQ_INDEX = 1;
/** Interrupt of vfio-ccw: the host asks for the device back. */
export const VFIO_CCW_REQ_IRQ_INDEX = 2;
/** How many interrupt indices vfio-ccw has. */
export const VFIO_CCW_NUM_IRQS = 3;
/** Interrupt of vfio-ap: the host asks for the device back. */
export const VFIO_AP_REQ_IRQ_INDEX = 0;
/** Interrupt of vfio-ap: the matrix of adapters and domains has changed. */
export const VFIO_AP_CFG_CHG_IRQ_INDEX = 1;
/** How many interrupt indices vfio-ap has. */
export const VFIO_AP_NUM_IRQS = 2;
/** State of migration version 2 (enum vfio_device_mig_state): the device has failed; only a reset leads out. */
export const VFIO_DEVICE_STATE_ERROR = 0;
/** State of migration version 2: the device stands, with no DMA, no interrupts and no change to itself. */
export const VFIO_DEVICE_STATE_STOP = 1;
/** State of migration version 2: the device works as usual; the state after open and after a reset. */
export const VFIO_DEVICE_STATE_RUNNING = 2;
/** State of migration version 2: the device stands, and its state is read from the data fd until the end of the stream. */
export const VFIO_DEVICE_STATE_STOP_COPY = 3;
/** State of migration version 2: the device stands, and takes a state that is written to the data fd. */
export const VFIO_DEVICE_STATE_RESUMING = 4;
/** State of migration version 2: as RUNNING, but the device begins no DMA to other devices. */
export const VFIO_DEVICE_STATE_RUNNING_P2P = 5;
/** State of migration version 2: as RUNNING, while a first part of the state is read from the data fd. */
export const VFIO_DEVICE_STATE_PRE_COPY = 6;
/** State of migration version 2: as PRE_COPY, but the device begins no DMA to other devices. */
export const VFIO_DEVICE_STATE_PRE_COPY_P2P = 7;
/** How many states migration version 2 has. */
export const VFIO_DEVICE_STATE_NR = 8;
/** Layout of a capability of VFIO_DEVICE_GET_INFO: flags of VFIO_PCI_ATOMIC_COMP*, behind the header of 8 bytes. */
export const vfio_device_info_cap_pci_atomic_comp = { size: 16, flags: [8, 'u32'], reserved: [12, 'u32'] } as const;
/** Layout of the head of a VFIO_REGION_SUBTYPE_GFX_EDID region: the EDID's place and sizes in bytes, the largest resolution in pixels (0: any), the state of the link. */
export const vfio_region_gfx_edid = { size: 24, edid_offset: [0, 'u32'], edid_max_size: [4, 'u32'], edid_size: [8, 'u32'], max_xres: [12, 'u32'], max_yres: [16, 'u32'], link_state: [20, 'u32'] } as const;
/** Layout of VFIO_REGION_INFO_CAP_NVLINK2_SSATGT, behind the header of 8 bytes: an address on the system bus. */
export const vfio_region_info_cap_nvlink2_ssatgt = { size: 16, tgt: [8, 'u64'] } as const;
/** Layout of VFIO_REGION_INFO_CAP_NVLINK2_LNKSPD, behind the header of 8 bytes: the number that the device tree has as the link's speed. */
export const vfio_region_info_cap_nvlink2_lnkspd = { size: 16, link_speed: [8, 'u32'], __pad: [12, 'u32'] } as const;
/** Layout of VFIO_DEVICE_BIND_IOMMUFD's argument; out_devid is the kernel's answer. */
export const vfio_device_bind_iommufd = { size: 24, argsz: [0, 'u32'], flags: [4, 'u32'], iommufd: [8, 's32'], out_devid: [12, 'u32'], token_uuid_ptr: [16, 'u64'] } as const;
/** Layout of VFIO_DEVICE_ATTACH_IOMMUFD_PT's argument; pt_id is an IOAS or a page table, and on return the page table's id. */
export const vfio_device_attach_iommufd_pt = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], pt_id: [8, 'u32'], pasid: [12, 'u32'] } as const;
/** Layout of VFIO_DEVICE_DETACH_IOMMUFD_PT's argument. */
export const vfio_device_detach_iommufd_pt = { size: 12, argsz: [0, 'u32'], flags: [4, 'u32'], pasid: [8, 'u32'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_BUS_MASTER: the operation, VFIO_DEVICE_FEATURE_*_MASTER. */
export const vfio_device_feature_bus_master = { size: 4, op: [0, 'u32'] } as const;
/** Layout of one range of VFIO_DEVICE_FEATURE_DMA_BUF: offset in the region and length, both in bytes. */
export const vfio_region_dma_range = { size: 16, offset: [0, 'u64'], length: [8, 'u64'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_DMA_BUF, without its ranges (vfio_region_dma_range), of which there are nr_ranges; open_flags are those of open(2), flags is 0. */
export const vfio_device_feature_dma_buf = { size: 16, region_index: [0, 'u32'], open_flags: [4, 'u32'], flags: [8, 'u32'], nr_ranges: [12, 'u32'] } as const;
/** Layout of the data of VFIO_DEVICE_FEATURE_ZPCI_ERROR: filled by the kernel with an s390 error record. */
export const vfio_device_feature_zpci_err = { size: 8, data: [0, 'u64'] } as const;
/** Layout of the part of vfio_iommu_spapr_tce_info about dynamic DMA windows: page sizes as a bitmap, the most windows, the most levels of tables. */
export const vfio_iommu_spapr_tce_ddw_info = { size: 16, pgsizes: [0, 'u64'], max_dynamic_windows_supported: [8, 'u32'], levels: [12, 'u32'] } as const;
/** Layout of VFIO_IOMMU_SPAPR_TCE_GET_INFO's answer: start (an address on the PCI bus) and size in bytes of the 32-bit window; vfio_iommu_spapr_tce_ddw_info is behind it. */
export const vfio_iommu_spapr_tce_info = { size: 32, argsz: [0, 'u32'], flags: [4, 'u32'], dma32_window_start: [8, 'u32'], dma32_window_size: [12, 'u32'] } as const;
/** Layout of the error that VFIO_EEH_PE_INJECT_ERR makes: its kind, and the addresses that it strikes. */
export const vfio_eeh_pe_err = { size: 24, type: [0, 'u32'], func: [4, 'u32'], addr: [8, 'u64'], mask: [16, 'u64'] } as const;
/** Layout of VFIO_EEH_PE_OP's argument: the operation, VFIO_EEH_PE_*; a vfio_eeh_pe_err is behind it. */
export const vfio_eeh_pe_op = { size: 40, argsz: [0, 'u32'], flags: [4, 'u32'], op: [8, 'u32'] } as const;
/** Layout of VFIO_IOMMU_SPAPR_REGISTER_MEMORY's argument: an address of the process and a size in bytes, the header's `size`. */
export const vfio_iommu_spapr_register_memory = { size: 24, argsz: [0, 'u32'], flags: [4, 'u32'], vaddr: [8, 'u64'], registered_size: [16, 'u64'] } as const;
/** Layout of VFIO_IOMMU_SPAPR_TCE_CREATE's argument: log2 of the page, the window in bytes, levels of tables; start_addr is the kernel's answer, an address on the PCI bus. */
export const vfio_iommu_spapr_tce_create = { size: 40, argsz: [0, 'u32'], flags: [4, 'u32'], page_shift: [8, 'u32'], __resv1: [12, 'u32'], window_size: [16, 'u64'], levels: [24, 'u32'], __resv2: [28, 'u32'], start_addr: [32, 'u64'] } as const;
/** Layout of VFIO_IOMMU_SPAPR_TCE_REMOVE's argument: the window's start on the PCI bus. */
export const vfio_iommu_spapr_tce_remove = { size: 16, argsz: [0, 'u32'], flags: [4, 'u32'], start_addr: [8, 'u64'] } as const;
