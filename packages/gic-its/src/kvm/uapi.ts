/**
 * linux/kvm.h and arm64's asm/kvm.h as data: request numbers, struct layouts, flags. Device attributes of the GIC are in ../vgic/uapi.ts.
 * scripts/check-uapi.mjs compares every number and offset with the C headers.
 */

export const KVM_API_VERSION = 12;

// On /dev/kvm
export const KVM_GET_API_VERSION = 0xae00;
export const KVM_CREATE_VM = 0xae01;
export const KVM_CHECK_EXTENSION = 0xae03;
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04;

// On a VM
export const KVM_CREATE_VCPU = 0xae41;
export const KVM_GET_DIRTY_LOG = 0x4010_ae42;
export const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
export const KVM_SET_USER_MEMORY_REGION2 = 0x40a0_ae49;
export const KVM_CREATE_IRQCHIP = 0xae60;
export const KVM_IRQ_LINE = 0x4008_ae61;
export const KVM_IRQ_LINE_STATUS = 0xc008_ae67;
export const KVM_SET_GSI_ROUTING = 0x4008_ae6a;
export const KVM_IRQFD = 0x4020_ae76;
export const KVM_IOEVENTFD = 0x4040_ae79;
export const KVM_ENABLE_CAP = 0x4068_aea3;
export const KVM_SIGNAL_MSI = 0x4020_aea5;
export const KVM_ARM_PREFERRED_TARGET = 0x8020_aeaf;
export const KVM_CLEAR_DIRTY_LOG = 0xc018_aec0;
export const KVM_CREATE_DEVICE = 0xc00c_aee0;

// On a device; and on a vCPU, which has none of these attributes here
export const KVM_SET_DEVICE_ATTR = 0x4018_aee1;
export const KVM_GET_DEVICE_ATTR = 0x4018_aee2;
export const KVM_HAS_DEVICE_ATTR = 0x4018_aee3;

// On a vCPU
export const KVM_RUN = 0xae80;
export const KVM_GET_MP_STATE = 0x8004_ae98;
export const KVM_SET_MP_STATE = 0x4004_ae99;
export const KVM_GET_ONE_REG = 0x4010_aeab;
export const KVM_SET_ONE_REG = 0x4010_aeac;
export const KVM_ARM_VCPU_INIT = 0x4020_aeae;
export const KVM_GET_REG_LIST = 0xc008_aeb0;

/** Requests by name, as messages have them. */
export const KVM_REQUESTS: Readonly<Record<string, number>> = {
  KVM_GET_API_VERSION,
  KVM_CREATE_VM,
  KVM_CHECK_EXTENSION,
  KVM_GET_VCPU_MMAP_SIZE,
  KVM_CREATE_VCPU,
  KVM_GET_DIRTY_LOG,
  KVM_SET_USER_MEMORY_REGION,
  KVM_SET_USER_MEMORY_REGION2,
  KVM_CREATE_IRQCHIP,
  KVM_IRQ_LINE,
  KVM_IRQ_LINE_STATUS,
  KVM_SET_GSI_ROUTING,
  KVM_IRQFD,
  KVM_IOEVENTFD,
  KVM_ENABLE_CAP,
  KVM_SIGNAL_MSI,
  KVM_ARM_PREFERRED_TARGET,
  KVM_CLEAR_DIRTY_LOG,
  KVM_CREATE_DEVICE,
  KVM_SET_DEVICE_ATTR,
  KVM_GET_DEVICE_ATTR,
  KVM_HAS_DEVICE_ATTR,
  KVM_RUN,
  KVM_GET_MP_STATE,
  KVM_SET_MP_STATE,
  KVM_GET_ONE_REG,
  KVM_SET_ONE_REG,
  KVM_ARM_VCPU_INIT,
  KVM_GET_REG_LIST,
};

// Arguments of KVM_CHECK_EXTENSION and KVM_ENABLE_CAP
export const KVM_CAP_IRQCHIP = 0;
export const KVM_CAP_USER_MEMORY = 3;
export const KVM_CAP_NR_VCPUS = 9;
export const KVM_CAP_NR_MEMSLOTS = 10;
export const KVM_CAP_MP_STATE = 14;
export const KVM_CAP_COALESCED_MMIO = 15;
export const KVM_CAP_SYNC_MMU = 16;
export const KVM_CAP_DESTROY_MEMORY_REGION_WORKS = 21;
export const KVM_CAP_IRQ_ROUTING = 25;
export const KVM_CAP_JOIN_MEMORY_REGIONS_WORKS = 30;
export const KVM_CAP_IRQFD = 32;
export const KVM_CAP_IOEVENTFD = 36;
export const KVM_CAP_INTERNAL_ERROR_DATA = 40;
export const KVM_CAP_MAX_VCPUS = 66;
export const KVM_CAP_ONE_REG = 70;
export const KVM_CAP_SIGNAL_MSI = 77;
export const KVM_CAP_READONLY_MEM = 81;
export const KVM_CAP_IRQFD_RESAMPLE = 82;
export const KVM_CAP_ARM_PSCI = 87;
export const KVM_CAP_DEVICE_CTRL = 89;
export const KVM_CAP_ENABLE_CAP_VM = 98;
export const KVM_CAP_ARM_PSCI_0_2 = 102;
export const KVM_CAP_CHECK_EXTENSION_VM = 105;
export const KVM_CAP_IOEVENTFD_ANY_LENGTH = 122;
export const KVM_CAP_MAX_VCPU_ID = 128;
export const KVM_CAP_MSI_DEVID = 131;
export const KVM_CAP_IMMEDIATE_EXIT = 136;
export const KVM_CAP_ARM_VM_IPA_SIZE = 165;
export const KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 = 168;
export const KVM_CAP_ARM_IRQ_LINE_LAYOUT_2 = 174;
export const KVM_CAP_HALT_POLL = 182;
export const KVM_CAP_SYSTEM_EVENT_DATA = 215;
export const KVM_CAP_USER_MEMORY2 = 231;

export const KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 1;
export const KVM_DIRTY_LOG_INITIALLY_SET = 2;

export const KVM_MEM_LOG_DIRTY_PAGES = 1;
export const KVM_MEM_READONLY = 2;

/** Of struct kvm_create_device.type. */
export const KVM_DEV_TYPE_VFIO = 4;
export const KVM_DEV_TYPE_ARM_VGIC_V2 = 5;
export const KVM_DEV_TYPE_ARM_VGIC_V3 = 7;
export const KVM_DEV_TYPE_ARM_VGIC_ITS = 8;
export const KVM_CREATE_DEVICE_TEST = 1;

export const KVM_IRQ_ROUTING_IRQCHIP = 1;
export const KVM_IRQ_ROUTING_MSI = 2;

export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_PIO = 2;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/** Of struct kvm_irq_level.irq on arm64: which kind of line, of which vCPU (by index), and the INTID. */
export const KVM_ARM_IRQ_VCPU2_SHIFT = 28;
export const KVM_ARM_IRQ_TYPE_SHIFT = 24;
export const KVM_ARM_IRQ_VCPU_SHIFT = 16;
export const KVM_ARM_IRQ_NUM_MASK = 0xffff;
export const KVM_ARM_IRQ_TYPE_CPU = 0;
export const KVM_ARM_IRQ_TYPE_SPI = 1;
export const KVM_ARM_IRQ_TYPE_PPI = 2;

export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_SYSTEM_EVENT = 24;
export const KVM_SYSTEM_EVENT_SHUTDOWN = 1;
export const KVM_SYSTEM_EVENT_RESET = 2;

export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_STOPPED = 5;
export const KVM_MP_STATE_SUSPENDED = 10;

/** Of struct kvm_vcpu_init. */
export const KVM_ARM_TARGET_GENERIC_V8 = 5;
export const KVM_ARM_VCPU_POWER_OFF = 0;
export const KVM_ARM_VCPU_PSCI_0_2 = 2;

export const kvm_userspace_memory_region = {
  size: 32,
  slot: [0, 'u32'],
  flags: [4, 'u32'],
  guest_phys_addr: [8, 'u64'],
  memory_size: [16, 'u64'],
  userspace_addr: [24, 'u64'],
} as const;
export const kvm_userspace_memory_region2 = {
  size: 160,
  slot: [0, 'u32'],
  flags: [4, 'u32'],
  guest_phys_addr: [8, 'u64'],
  memory_size: [16, 'u64'],
  userspace_addr: [24, 'u64'],
  guest_memfd_offset: [32, 'u64'],
  guest_memfd: [40, 'u32'],
} as const;
export const kvm_dirty_log = { size: 16, slot: [0, 'u32'], dirty_bitmap: [8, 'u64'] } as const;
export const kvm_clear_dirty_log = { size: 24, slot: [0, 'u32'], num_pages: [4, 'u32'], first_page: [8, 'u64'], dirty_bitmap: [16, 'u64'] } as const;
export const kvm_irq_level = { size: 8, irq: [0, 'u32'], level: [4, 'u32'] } as const;
export const kvm_irq_routing = { size: 8, nr: [0, 'u32'], flags: [4, 'u32'] } as const;
/** `u` is a union: here its irqchip and msi. */
export const kvm_irq_routing_entry = {
  size: 48,
  gsi: [0, 'u32'],
  type: [4, 'u32'],
  flags: [8, 'u32'],
  u_irqchip_irqchip: [16, 'u32'],
  u_irqchip_pin: [20, 'u32'],
  u_msi_address_lo: [16, 'u32'],
  u_msi_address_hi: [20, 'u32'],
  u_msi_data: [24, 'u32'],
  u_msi_devid: [28, 'u32'],
} as const;
export const kvm_irqfd = { size: 32, fd: [0, 's32'], gsi: [4, 'u32'], flags: [8, 'u32'], resamplefd: [12, 's32'] } as const;
export const kvm_ioeventfd = { size: 64, datamatch: [0, 'u64'], addr: [8, 'u64'], len: [16, 'u32'], fd: [20, 's32'], flags: [24, 'u32'] } as const;
export const kvm_msi = { size: 32, address_lo: [0, 'u32'], address_hi: [4, 'u32'], data: [8, 'u32'], flags: [12, 'u32'], devid: [16, 'u32'] } as const;
export const kvm_enable_cap = { size: 104, cap: [0, 'u32'], flags: [4, 'u32'], args: [8, 'u64'] } as const;
export const kvm_create_device = { size: 12, type: [0, 'u32'], fd: [4, 'u32'], flags: [8, 'u32'] } as const;
export const kvm_device_attr = { size: 24, flags: [0, 'u32'], group: [4, 'u32'], attr: [8, 'u64'], addr: [16, 'u64'] } as const;
export const kvm_mp_state = { size: 4, mp_state: [0, 'u32'] } as const;
export const kvm_one_reg = { size: 16, id: [0, 'u64'], addr: [8, 'u64'] } as const;
export const kvm_reg_list = { size: 8, n: [0, 'u64'] } as const;
/** `features` is seven words of bits. */
export const kvm_vcpu_init = { size: 32, target: [0, 'u32'], features: [4, 'u32'] } as const;
/** What a vCPU's fd shows at offset 0 to mmap(). Of the union: mmio and system_event. */
export const kvm_run = {
  size: 2352,
  immediate_exit: [1, 'u8'],
  exit_reason: [8, 'u32'],
  flags: [14, 'u16'],
  mmio_phys_addr: [32, 'u64'],
  mmio_data: [40, 'u64'],
  mmio_len: [48, 'u32'],
  mmio_is_write: [52, 'u8'],
  system_event_type: [32, 'u32'],
  system_event_ndata: [36, 'u32'],
} as const;

// Register ids of KVM_GET_ONE_REG: 64 bits wide, of arm64; struct kvm_regs by word, a system register by its encoding
export const KVM_REG_ARM64 = 0x6000_0000_0000_0000n;
export const KVM_REG_SIZE_MASK = 0x00f0_0000_0000_0000n;
export const KVM_REG_SIZE_U64 = 0x0030_0000_0000_0000n;
export const KVM_REG_ARM_COPROC_MASK = 0x0fff_0000n;
export const KVM_REG_ARM_CORE = 0x0010_0000n;
export const KVM_REG_ARM64_SYSREG = 0x0013_0000n;
