/** Registers of PCI configuration space by the names of linux/pci_regs.h; offsets in bytes, masks as in the PCI specifications. */

/** Bytes of a conventional configuration space. */
export const PCI_CFG_SPACE_SIZE = 256;
/** Bytes of a PCI Express configuration space; extended capabilities lie from 256 on. */
export const PCI_CFG_SPACE_EXP_SIZE = 4096;
/** Bytes of the standard header; capabilities lie behind it. */
export const PCI_STD_HEADER_SIZEOF = 64;

// The standard header.
/** Header: Vendor ID, 16 bits at this offset in bytes, as all registers here. */
export const PCI_VENDOR_ID = 0x00;
/** Header: Device ID, 16 bits. */
export const PCI_DEVICE_ID = 0x02;
/** Header: Command, 16 bits. */
export const PCI_COMMAND = 0x04;
/** Command, bit 0: I/O Space Enable. */
export const PCI_COMMAND_IO = 0x1;
/** Command, bit 1: Memory Space Enable. */
export const PCI_COMMAND_MEMORY = 0x2;
/** Command, bit 2: Bus Master Enable, for DMA and messages. */
export const PCI_COMMAND_MASTER = 0x4;
/** Command, bit 8: SERR# Enable, which reports uncorrectable errors too. */
export const PCI_COMMAND_SERR = 0x100;
/** Command, bit 10: Interrupt Disable (DisINTx). */
export const PCI_COMMAND_INTX_DISABLE = 0x400;
/** Header: Status, 16 bits. */
export const PCI_STATUS = 0x06;
/** Status, bit 3: Interrupt Status: INTx is pending, masked or not. */
export const PCI_STATUS_INTERRUPT = 0x08;
/** Status, bit 4: Capabilities List. */
export const PCI_STATUS_CAP_LIST = 0x10;
/** Status, bits 15:11 and 8: errors, cleared by writing ones. */
export const PCI_STATUS_RW1C = 0xf900;
/** Header: Revision ID, 8 bits; the class code follows it. */
export const PCI_REVISION_ID = 0x08;
/** Header: Programming Interface, 8 bits, the lowest of the class code's 24. */
export const PCI_CLASS_PROG = 0x09;
/** Header: Cache Line Size, 8 bits. */
export const PCI_CACHE_LINE_SIZE = 0x0c;
/** Header: Latency Timer, 8 bits; zero in PCI Express. */
export const PCI_LATENCY_TIMER = 0x0d;
/** Header: Header Type, 8 bits; bit 7 says that the device has several functions. */
export const PCI_HEADER_TYPE = 0x0e;
/** Header Type, bits 6:0: the layout. */
export const PCI_HEADER_TYPE_MASK = 0x7f;
/** Header layout 0: an endpoint. */
export const PCI_HEADER_TYPE_NORMAL = 0;
/** Header layout 1: a PCI-to-PCI bridge or a port. */
export const PCI_HEADER_TYPE_BRIDGE = 1;
/** Header: BIST, 8 bits. */
export const PCI_BIST = 0x0f;
/** Header: the first of six Base Address Registers, 32 bits each. */
export const PCI_BASE_ADDRESS_0 = 0x10;
/** Header: the last Base Address Register. */
export const PCI_BASE_ADDRESS_5 = 0x24;
/** BAR, bit 0: I/O ports, not memory. */
export const PCI_BASE_ADDRESS_SPACE_IO = 0x1;
/** Memory BAR, bit 2: an address of 64 bits, with the next register. */
export const PCI_BASE_ADDRESS_MEM_TYPE_64 = 0x4;
/** Memory BAR, bit 3: Prefetchable. */
export const PCI_BASE_ADDRESS_MEM_PREFETCH = 0x8;
/** Bridge header: Primary Bus Number, 8 bits. */
export const PCI_PRIMARY_BUS = 0x18;
/** Bridge header: Secondary Bus Number, 8 bits: the bus below. */
export const PCI_SECONDARY_BUS = 0x19;
/** Bridge header: Subordinate Bus Number, 8 bits: the highest below. */
export const PCI_SUBORDINATE_BUS = 0x1a;
/** Header type 0: Subsystem Vendor ID, 16 bits. */
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
/** Header type 0: Subsystem ID, 16 bits. */
export const PCI_SUBSYSTEM_ID = 0x2e;
/** Header type 0: Expansion ROM Base Address, 32 bits. */
export const PCI_ROM_ADDRESS = 0x30;
/** Expansion ROM, bit 0: the ROM is decoded. */
export const PCI_ROM_ADDRESS_ENABLE = 0x1;
/** Bridge header: Expansion ROM Base Address, 32 bits. */
export const PCI_ROM_ADDRESS1 = 0x38;
/** Header: Capabilities Pointer, 8 bits: offset of the first capability. */
export const PCI_CAPABILITY_LIST = 0x34;
/** Header: Interrupt Line, 8 bits, which software writes for itself. */
export const PCI_INTERRUPT_LINE = 0x3c;
/** Header: Interrupt Pin, 8 bits: 1 to 4 for INTA to INTD, 0 for none. */
export const PCI_INTERRUPT_PIN = 0x3d;
/** Bridge header: Bridge Control, 16 bits. */
export const PCI_BRIDGE_CONTROL = 0x3e;

// Capabilities.
/** Capability: offset of its Capability ID, 8 bits. */
export const PCI_CAP_LIST_ID = 0;
/** Capability: offset of its Next Capability Pointer, 8 bits. */
export const PCI_CAP_LIST_NEXT = 1;
/** Capability id of Power Management. */
export const PCI_CAP_ID_PM = 0x01;
/** Capability id of AGP. */
export const PCI_CAP_ID_AGP = 0x02;
/** Capability id of Vital Product Data. */
export const PCI_CAP_ID_VPD = 0x03;
/** Capability id of the subsystem ids of a bridge. */
export const PCI_CAP_ID_SSVID = 0x0d;
/** Capability id of MSI. */
export const PCI_CAP_ID_MSI = 0x05;
/** Capability id of PCI-X. */
export const PCI_CAP_ID_PCIX = 0x07;
/** Capability id of HyperTransport. */
export const PCI_CAP_ID_HT = 0x08;
/** Capability id of vendor-specific structures; the length is in byte 2. */
export const PCI_CAP_ID_VNDR = 0x09;
/** Capability id of PCI Express. */
export const PCI_CAP_ID_EXP = 0x10;
/** Capability id of MSI-X. */
export const PCI_CAP_ID_MSIX = 0x11;
/** Capability id of SATA index and data. */
export const PCI_CAP_ID_SATA = 0x12;
/** Capability id of Advanced Features, with FLR for conventional functions. */
export const PCI_CAP_ID_AF = 0x13;
/** The highest capability id that linux/pci_regs.h knows, Enhanced Allocation. */
export const PCI_CAP_ID_MAX = 0x14;

/** Power Management: offset of PMC, the capabilities, 16 bits. */
export const PCI_PM_PMC = 2;
/** PMC, bit 9: D1 is supported. */
export const PCI_PM_CAP_D1 = 0x0200;
/** PMC, bit 10: D2 is supported. */
export const PCI_PM_CAP_D2 = 0x0400;
/** PMC, bits 15:11: the states from which PME can be sent. */
export const PCI_PM_CAP_PME_MASK = 0xf800;
/** Power Management: offset of PMCSR, 16 bits. */
export const PCI_PM_CTRL = 4;
/** PMCSR, bits 1:0: PowerState, 0 to 3 for D0 to D3hot. */
export const PCI_PM_CTRL_STATE_MASK = 0x0003;
/** PMCSR, bit 3: No_Soft_Reset: D3hot to D0 keeps the registers. */
export const PCI_PM_CTRL_NO_SOFT_RESET = 0x0008;
/** PMCSR, bit 8: PME_En. */
export const PCI_PM_CTRL_PME_ENABLE = 0x0100;
/** PMCSR, bits 12:9: Data_Select. */
export const PCI_PM_CTRL_DATA_SEL_MASK = 0x1e00;
/** PMCSR, bit 15: PME_Status, cleared by writing one. */
export const PCI_PM_CTRL_PME_STATUS = 0x8000;

/** Vital Product Data: offset of VPD Address, 16 bits. */
export const PCI_VPD_ADDR = 2;
/** VPD Address, bit 15: the flag F, which turns when the access is done. */
export const PCI_VPD_ADDR_F = 0x8000;
/** Vital Product Data: offset of VPD Data, 32 bits. */
export const PCI_VPD_DATA = 4;

/** MSI: offset of Message Control, 16 bits. */
export const PCI_MSI_FLAGS = 2;
/** MSI Message Control, bit 0: MSI Enable. */
export const PCI_MSI_FLAGS_ENABLE = 0x0001;
/** MSI Message Control, bits 3:1: Multiple Message Capable, log2 of the vectors. */
export const PCI_MSI_FLAGS_QMASK = 0x000e;
/** MSI Message Control, bits 6:4: Multiple Message Enable, log2 of the vectors. */
export const PCI_MSI_FLAGS_QSIZE = 0x0070;
/** MSI Message Control, bit 7: 64-bit Address Capable: data lies 4 bytes further on. */
export const PCI_MSI_FLAGS_64BIT = 0x0080;
/** MSI Message Control, bit 8: Per-Vector Masking Capable. */
export const PCI_MSI_FLAGS_MASKBIT = 0x0100;
/** MSI: offset of Message Address, 32 bits. */
export const PCI_MSI_ADDRESS_LO = 4;
/** MSI: offset of Message Upper Address, 32 bits, where there is one. */
export const PCI_MSI_ADDRESS_HI = 8;

/** MSI-X: offset of Message Control, 16 bits. */
export const PCI_MSIX_FLAGS = 2;
/** MSI-X Message Control, bits 10:0: Table Size, less one. */
export const PCI_MSIX_FLAGS_QSIZE = 0x07ff;
/** MSI-X Message Control, bit 14: Function Mask. */
export const PCI_MSIX_FLAGS_MASKALL = 0x4000;
/** MSI-X Message Control, bit 15: MSI-X Enable. */
export const PCI_MSIX_FLAGS_ENABLE = 0x8000;
/** MSI-X: offset of Table Offset and BIR, 32 bits. */
export const PCI_MSIX_TABLE = 4;
/** MSI-X: offset of PBA Offset and BIR, 32 bits. */
export const PCI_MSIX_PBA = 8;
/** Table and PBA, bits 2:0: BIR, the BAR's index; the rest of the dword is the offset in it. */
export const PCI_MSIX_BIR = 0x7;
/** Bytes of an entry of the MSI-X table: address, upper address, data, vector control. */
export const PCI_MSIX_ENTRY_SIZE = 16;
/** MSI-X entry: offset of Vector Control, 32 bits. */
export const PCI_MSIX_ENTRY_VECTOR_CTRL = 12;
/** Vector Control, bit 0: Mask Bit. */
export const PCI_MSIX_ENTRY_CTRL_MASKBIT = 1;

/** PCI Express: offset of PCI Express Capabilities, 16 bits. */
export const PCI_EXP_FLAGS = 2;
/** PCI Express Capabilities, bits 3:0: Capability Version. */
export const PCI_EXP_FLAGS_VERS = 0x000f;
/** PCI Express Capabilities, bits 7:4: Device/Port Type. */
export const PCI_EXP_FLAGS_TYPE = 0x00f0;
/** Device/Port Type: Root Port of a Root Complex. */
export const PCI_EXP_TYPE_ROOT_PORT = 0x4;
/** Device/Port Type: Upstream Port of a switch. */
export const PCI_EXP_TYPE_UPSTREAM = 0x5;
/** Device/Port Type: Downstream Port of a switch. */
export const PCI_EXP_TYPE_DOWNSTREAM = 0x6;
/** Device/Port Type: PCI Express to PCI/PCI-X Bridge. */
export const PCI_EXP_TYPE_PCI_BRIDGE = 0x7;
/** Device/Port Type: PCI/PCI-X to PCI Express Bridge. */
export const PCI_EXP_TYPE_PCIE_BRIDGE = 0x8;
/** Device/Port Type: Root Complex Integrated Endpoint. */
export const PCI_EXP_TYPE_RC_END = 0x9;
/** Device/Port Type: Root Complex Event Collector. */
export const PCI_EXP_TYPE_RC_EC = 0xa;
/** PCI Express: offset of Device Capabilities, 32 bits. */
export const PCI_EXP_DEVCAP = 4;
/** Device Capabilities, bit 28: Function Level Reset Capability, as a bit of its high half at +2. */
export const PCI_EXP_DEVCAP_FLR_HIGH = 0x1000;
/** PCI Express: offset of Device Control, 16 bits. */
export const PCI_EXP_DEVCTL = 8;
/** Device Control, bits 3:0: reporting of correctable, non-fatal, fatal errors and unsupported requests. */
export const PCI_EXP_DEVCTL_ERRORS = 0x000f;
/** Device Control, bits 7:5: Max_Payload_Size, 128 bytes shifted left by it. */
export const PCI_EXP_DEVCTL_PAYLOAD = 0x00e0;
/** Device Control, bit 9: Phantom Functions Enable. */
export const PCI_EXP_DEVCTL_PHANTOM = 0x0200;
/** Device Control, bits 14:12: Max_Read_Request_Size, 128 bytes shifted left by it. */
export const PCI_EXP_DEVCTL_READRQ = 0x7000;
/** Device Control, bit 15: Initiate Function Level Reset; of a bridge Bridge Configuration Retry Enable. */
export const PCI_EXP_DEVCTL_BCR_FLR = 0x8000;
/** PCI Express: offset of Device Status, 16 bits. */
export const PCI_EXP_DEVSTA = 10;
/** PCI Express: offset of Link Capabilities, 32 bits. */
export const PCI_EXP_LNKCAP = 12;
/** Link Capabilities, bits 3:0: Max Link Speed: 1 is 2.5 GT/s, 2 is 5 GT/s. */
export const PCI_EXP_LNKCAP_SLS = 0xf;
/** Link Capabilities, bit 19: Surprise Down Error Reporting Capable. */
export const PCI_EXP_LNKCAP_SDERC = 0x0008_0000;
/** Link Capabilities, bit 20: Data Link Layer Link Active Reporting Capable. */
export const PCI_EXP_LNKCAP_DLLLARC = 0x0010_0000;
/** PCI Express: offset of Link Status, 16 bits. */
export const PCI_EXP_LNKSTA = 18;
/** Link Status, bit 13: Data Link Layer Link Active. */
export const PCI_EXP_LNKSTA_DLLLA = 0x2000;
/** PCI Express: offset of Slot Capabilities, 32 bits. */
export const PCI_EXP_SLTCAP = 20;
/** Slot Capabilities, bit 0: Attention Button Present. */
export const PCI_EXP_SLTCAP_ABP = 0x01;
/** Slot Capabilities, bit 1: Power Controller Present. */
export const PCI_EXP_SLTCAP_PCP = 0x02;
/** Slot Capabilities, bit 5: Hot-Plug Surprise. */
export const PCI_EXP_SLTCAP_HPS = 0x20;
/** Slot Capabilities, bit 6: Hot-Plug Capable. */
export const PCI_EXP_SLTCAP_HPC = 0x40;
/** Slot Capabilities: Physical Slot Number begins at bit 19. */
export const PCI_EXP_SLTCAP_PSN_SHIFT = 19;
/** PCI Express: offset of Slot Control, 16 bits. */
export const PCI_EXP_SLTCTL = 24;
/** Slot Control, bit 10: Power Controller Control: 1 is off. */
export const PCI_EXP_SLTCTL_PCC = 0x0400;
/** PCI Express: offset of Slot Status, 16 bits. */
export const PCI_EXP_SLTSTA = 26;
/** Slot Status, bit 0: Attention Button Pressed, cleared by writing one. */
export const PCI_EXP_SLTSTA_ABP = 0x0001;
/** Slot Status, bit 3: Presence Detect Changed, cleared by writing one. */
export const PCI_EXP_SLTSTA_PDC = 0x0008;
/** Slot Status, bit 6: Presence Detect State: a card is there. */
export const PCI_EXP_SLTSTA_PDS = 0x0040;
/** Slot Status, bit 8: Data Link Layer State Changed, cleared by writing one. */
export const PCI_EXP_SLTSTA_DLLSC = 0x0100;
/** PCI Express Capabilities, bit 8: Slot Implemented. */
export const PCI_EXP_FLAGS_SLOT = 0x0100;
/** PCI Express, version 2: offset of Device Control 2, 16 bits. */
export const PCI_EXP_DEVCTL2 = 40;
/** Device Control 2, bit 5: ARI Forwarding Enable. */
export const PCI_EXP_DEVCTL2_ARI = 0x0020;
/** Device Control 2, bit 15: End-End TLP Prefix Blocking. */
export const PCI_EXP_DEVCTL2_EETLPPB = 0x8000;

/** Advanced Features: offset of AF Capabilities, 8 bits. */
export const PCI_AF_CAP = 3;
/** AF Capabilities, bits 1:0: Transactions Pending and Function Level Reset. */
export const PCI_AF_CAP_TP_FLR = 0x03;
/** Advanced Features: offset of AF Control, 8 bits. */
export const PCI_AF_CTRL = 4;
/** AF Control, bit 0: Initiate Function Level Reset. */
export const PCI_AF_CTRL_FLR = 0x01;

// Extended capabilities.
/** Extended capability id of Advanced Error Reporting. */
export const PCI_EXT_CAP_ID_ERR = 0x01;
/** Extended capability id of Virtual Channel, without Multi-Function Virtual Channel. */
export const PCI_EXT_CAP_ID_VC = 0x02;
/** Extended capability id of Device Serial Number. */
export const PCI_EXT_CAP_ID_DSN = 0x03;
/** Extended capability id of Power Budgeting. */
export const PCI_EXT_CAP_ID_PWR = 0x04;
/** Extended capability id of Multi-Function Virtual Channel. */
export const PCI_EXT_CAP_ID_MFVC = 0x08;
/** Extended capability id of Virtual Channel, beside Multi-Function Virtual Channel. */
export const PCI_EXT_CAP_ID_VC9 = 0x09;
/** Extended capability id of vendor-specific structures; the length is in bits 31:20 of dword 1. */
export const PCI_EXT_CAP_ID_VNDR = 0x0b;
/** Extended capability id of Access Control Services. */
export const PCI_EXT_CAP_ID_ACS = 0x0d;
/** Extended capability id of Alternative Routing-ID Interpretation. */
export const PCI_EXT_CAP_ID_ARI = 0x0e;
/** Extended capability id of Address Translation Services. */
export const PCI_EXT_CAP_ID_ATS = 0x0f;
/** Extended capability id of Single Root I/O Virtualization. */
export const PCI_EXT_CAP_ID_SRIOV = 0x10;
/** Extended capability id of Multicast. */
export const PCI_EXT_CAP_ID_MCAST = 0x12;
/** Extended capability id of the Page Request Interface. */
export const PCI_EXT_CAP_ID_PRI = 0x13;
/** Extended capability id of Resizable BAR. */
export const PCI_EXT_CAP_ID_REBAR = 0x15;
/** Extended capability id of Dynamic Power Allocation. */
export const PCI_EXT_CAP_ID_DPA = 0x16;
/** Extended capability id of the TPH Requester. */
export const PCI_EXT_CAP_ID_TPH = 0x17;
/** Extended capability id of Latency Tolerance Reporting. */
export const PCI_EXT_CAP_ID_LTR = 0x18;

/** AER: offset of Uncorrectable Error Status, 32 bits, cleared by writing ones. */
export const PCI_ERR_UNCOR_STATUS = 4;
/** AER: offset of Uncorrectable Error Mask, 32 bits; set, the error is not reported. */
export const PCI_ERR_UNCOR_MASK = 8;
/** AER: offset of Uncorrectable Error Severity, 32 bits; set, the error is fatal. */
export const PCI_ERR_UNCOR_SEVER = 12;
/** AER: offset of Correctable Error Status, 32 bits, cleared by writing ones. */
export const PCI_ERR_COR_STATUS = 16;
/** AER: offset of Correctable Error Mask, 32 bits; set, the error is not reported. */
export const PCI_ERR_COR_MASK = 20;
/** AER: offset of Advanced Error Capabilities and Control, 32 bits. */
export const PCI_ERR_CAP = 24;

/** ACS: offset of ACS Capability, 16 bits. */
export const PCI_ACS_CAP = 4;
/** ACS: offset of ACS Control, 16 bits, with the bits of the capability. */
export const PCI_ACS_CTRL = 6;
/** ACS, bit 0: Source Validation. */
export const PCI_ACS_SV = 0x01;
/** ACS, bit 2: P2P Request Redirect. */
export const PCI_ACS_RR = 0x04;
/** ACS, bit 3: P2P Completion Redirect. */
export const PCI_ACS_CR = 0x08;
/** ACS, bit 4: Upstream Forwarding. */
export const PCI_ACS_UF = 0x10;
/** ACS, bit 5: P2P Egress Control. */
export const PCI_ACS_EC = 0x20;

/** SR-IOV: offset of SR-IOV Control, 16 bits. */
export const PCI_SRIOV_CTRL = 0x08;
/** SR-IOV Control, bit 0: VF Enable. */
export const PCI_SRIOV_CTRL_VFE = 0x01;
/** SR-IOV Control, bit 3: VF Memory Space Enable. */
export const PCI_SRIOV_CTRL_MSE = 0x08;
/** SR-IOV Control, bit 4: ARI Capable Hierarchy. */
export const PCI_SRIOV_CTRL_ARI = 0x10;
/** SR-IOV: offset of InitialVFs, 16 bits. */
export const PCI_SRIOV_INITIAL_VF = 0x0c;
/** SR-IOV: offset of TotalVFs, 16 bits. */
export const PCI_SRIOV_TOTAL_VF = 0x0e;
/** SR-IOV: offset of NumVFs, 16 bits. */
export const PCI_SRIOV_NUM_VF = 0x10;
/** SR-IOV: offset of First VF Offset, 16 bits: from the PF's requester id to VF 0's. */
export const PCI_SRIOV_VF_OFFSET = 0x14;
/** SR-IOV: offset of VF Stride, 16 bits: from one VF's requester id to the next. */
export const PCI_SRIOV_VF_STRIDE = 0x16;
/** SR-IOV: offset of VF Device ID, 16 bits. */
export const PCI_SRIOV_VF_DID = 0x1a;
/** SR-IOV: offset of System Page Size, 32 bits: bit 0 is 4 KiB. */
export const PCI_SRIOV_SYS_PGSIZE = 0x20;
/** SR-IOV: offset of VF BAR0, the first of six, 32 bits each. */
export const PCI_SRIOV_BAR = 0x24;

/** Base class and subclass of a VGA compatible controller, 16 bits. */
export const PCI_CLASS_DISPLAY_VGA = 0x0300;

/** Base address registers of a function without a bridge's header. */
export const PCI_STD_NUM_BARS = 6;
/** Index of the expansion ROM, as a resource row and as a VFIO region. */
export const PCI_ROM_RESOURCE = 6;
