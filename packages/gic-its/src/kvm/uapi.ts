/**
 * linux/kvm.h and arm64's asm/kvm.h as data: request numbers, struct layouts, flags. Device attributes of the GIC are in ../vgic/uapi.ts.
 * scripts/check-uapi.mjs compares every number and offset with the C headers.
 */

/** What KVM_GET_API_VERSION answers since Linux 2.6.22. */
export const KVM_API_VERSION = 12;

// On /dev/kvm
/** On /dev/kvm, argument 0: answers KVM_API_VERSION. */
export const KVM_GET_API_VERSION = 0xae00;
/** On /dev/kvm: an fd of a new VM. The argument is the number of guest physical address bits, 0 for 40 (KVM_VM_TYPE_ARM_IPA_SIZE). */
export const KVM_CREATE_VM = 0xae01;
/** On /dev/kvm or a VM: whether there is what KVM_CAP_* names, or how many. */
export const KVM_CHECK_EXTENSION = 0xae03;
/** On /dev/kvm, argument 0: bytes to map of a vCPU's fd for struct kvm_run. */
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04;

// On a VM
/** On a VM: an fd of a new vCPU, whose id is the argument. */
export const KVM_CREATE_VCPU = 0xae41;
/** On a VM, with struct kvm_dirty_log: the pages of a slot that were written, cleared unless KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is on. */
export const KVM_GET_DIRTY_LOG = 0x4010_ae42;
/** On a VM, with struct kvm_userspace_memory_region: makes, changes or deletes a slot of guest memory. */
export const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
/** On a VM, with struct kvm_userspace_memory_region2: the same, with a guest_memfd. Since Linux 6.8. */
export const KVM_SET_USER_MEMORY_REGION2 = 0x40a0_ae49;
/** On a VM: the GICv2, which this GIC does not emulate: -ENODEV. */
export const KVM_CREATE_IRQCHIP = 0xae60;
/** On a VM, with struct kvm_irq_level: sets the level of an SPI, or of a vCPU's PPI. */
export const KVM_IRQ_LINE = 0x4008_ae61;
/** On a VM: KVM_IRQ_LINE with a status in the struct. */
export const KVM_IRQ_LINE_STATUS = 0xc008_ae67;
/** On a VM, with struct kvm_irq_routing: the whole table that leads GSIs to pins or MSIs. */
export const KVM_SET_GSI_ROUTING = 0x4008_ae6a;
/** On a VM, with struct kvm_irqfd: an eventfd that raises a GSI. */
export const KVM_IRQFD = 0x4020_ae76;
/** On a VM, with struct kvm_ioeventfd: a store of the guest that signals an eventfd. */
export const KVM_IOEVENTFD = 0x4040_ae79;
/** On a VM, with struct kvm_enable_cap: turns a capability on. */
export const KVM_ENABLE_CAP = 0x4068_aea3;
/** On a VM, with struct kvm_msi: raises an MSI; 1 if it was delivered, 0 if the guest blocks it. */
export const KVM_SIGNAL_MSI = 0x4020_aea5;
/** On a VM: fills struct kvm_vcpu_init with the host's kind of CPU. */
export const KVM_ARM_PREFERRED_TARGET = 0x8020_aeaf;
/** On a VM, with struct kvm_clear_dirty_log: clears bits of a slot's dirty log. */
export const KVM_CLEAR_DIRTY_LOG = 0xc018_aec0;
/** On a VM, with struct kvm_create_device: an fd of a vgic, an ITS or a kvm-vfio device. */
export const KVM_CREATE_DEVICE = 0xc00c_aee0;

// On a device; and on a vCPU, which has none of these attributes here
/** On a device, with struct kvm_device_attr: sets an attribute. */
export const KVM_SET_DEVICE_ATTR = 0x4018_aee1;
/** On a device, with struct kvm_device_attr: reads an attribute to `addr`. */
export const KVM_GET_DEVICE_ATTR = 0x4018_aee2;
/** On a device, with struct kvm_device_attr: 0 if there is such an attribute, else -ENXIO. */
export const KVM_HAS_DEVICE_ATTR = 0x4018_aee3;

// On a vCPU
/** On a vCPU, argument 0: runs the guest until it needs user space, or a signal comes (-EINTR). Why is in struct kvm_run. */
export const KVM_RUN = 0xae80;
/** On a vCPU: reads struct kvm_mp_state. */
export const KVM_GET_MP_STATE = 0x8004_ae98;
/** On a vCPU: stops it, suspends it or makes it runnable. */
export const KVM_SET_MP_STATE = 0x4004_ae99;
/** On a vCPU, with struct kvm_one_reg: reads a register by its id. */
export const KVM_GET_ONE_REG = 0x4010_aeab;
/** On a vCPU, with struct kvm_one_reg: writes a register by its id. */
export const KVM_SET_ONE_REG = 0x4010_aeac;
/** On a vCPU, with struct kvm_vcpu_init: says what kind of CPU it is, and resets it. */
export const KVM_ARM_VCPU_INIT = 0x4020_aeae;
/** On a vCPU, with struct kvm_reg_list: the ids of its registers. */
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
/** 1: there can be an interrupt controller in the kernel. */
export const KVM_CAP_IRQCHIP = 0;
/** 1: KVM_SET_USER_MEMORY_REGION. */
export const KVM_CAP_USER_MEMORY = 3;
/** How many vCPUs are recommended: the host's CPUs. */
export const KVM_CAP_NR_VCPUS = 9;
/** How many slots of guest memory there can be. */
export const KVM_CAP_NR_MEMSLOTS = 10;
/** 1: KVM_GET_MP_STATE and KVM_SET_MP_STATE. */
export const KVM_CAP_MP_STATE = 14;
/** The page at which the ring of coalesced MMIO is mapped; 0: the model has none. */
export const KVM_CAP_COALESCED_MMIO = 15;
/** 1: a change of the process' mappings reaches the guest. */
export const KVM_CAP_SYNC_MMU = 16;
/** 1: a slot can be deleted by a size of 0. */
export const KVM_CAP_DESTROY_MEMORY_REGION_WORKS = 21;
/** How many routes KVM_SET_GSI_ROUTING takes. */
export const KVM_CAP_IRQ_ROUTING = 25;
/** 1: slots that meet can be replaced by one. */
export const KVM_CAP_JOIN_MEMORY_REGIONS_WORKS = 30;
/** 1: KVM_IRQFD. */
export const KVM_CAP_IRQFD = 32;
/** 1: KVM_IOEVENTFD. */
export const KVM_CAP_IOEVENTFD = 36;
/** 1: KVM_EXIT_INTERNAL_ERROR comes with data. */
export const KVM_CAP_INTERNAL_ERROR_DATA = 40;
/** How many vCPUs a VM can have. */
export const KVM_CAP_MAX_VCPUS = 66;
/** 1: KVM_GET_ONE_REG and KVM_SET_ONE_REG. */
export const KVM_CAP_ONE_REG = 70;
/** 1: KVM_SIGNAL_MSI. */
export const KVM_CAP_SIGNAL_MSI = 77;
/** 1: KVM_MEM_READONLY. */
export const KVM_CAP_READONLY_MEM = 81;
/** 1: KVM_IRQFD_FLAG_RESAMPLE. */
export const KVM_CAP_IRQFD_RESAMPLE = 82;
/** 1: KVM answers PSCI. */
export const KVM_CAP_ARM_PSCI = 87;
/** 1: KVM_CREATE_DEVICE and the attributes of devices. */
export const KVM_CAP_DEVICE_CTRL = 89;
/** 1: KVM_ENABLE_CAP on a VM. */
export const KVM_CAP_ENABLE_CAP_VM = 98;
/** 1: KVM_ARM_VCPU_PSCI_0_2. */
export const KVM_CAP_ARM_PSCI_0_2 = 102;
/** 1: KVM_CHECK_EXTENSION on a VM. */
export const KVM_CAP_CHECK_EXTENSION_VM = 105;
/** 1: an ioeventfd of length 0 takes stores of any length. */
export const KVM_CAP_IOEVENTFD_ANY_LENGTH = 122;
/** The first vCPU id that is none. */
export const KVM_CAP_MAX_VCPU_ID = 128;
/** On a VM: 1 if it has an ITS, so that MSIs need a DeviceID. -EINVAL on /dev/kvm. */
export const KVM_CAP_MSI_DEVID = 131;
/** 1: kvm_run.immediate_exit. */
export const KVM_CAP_IMMEDIATE_EXIT = 136;
/** Most guest physical address bits of a VM. */
export const KVM_CAP_ARM_VM_IPA_SIZE = 165;
/** Flags KVM_DIRTY_LOG_* that KVM_ENABLE_CAP takes: the dirty log is cleared by KVM_CLEAR_DIRTY_LOG alone. */
export const KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 = 168;
/** 1: KVM_IRQ_LINE names more than 256 vCPUs, by KVM_ARM_IRQ_VCPU2_SHIFT. */
export const KVM_CAP_ARM_IRQ_LINE_LAYOUT_2 = 174;
/** 1: KVM_ENABLE_CAP sets how long a vCPU polls in WFI; nothing comes of it here. */
export const KVM_CAP_HALT_POLL = 182;
/** 1: KVM_EXIT_SYSTEM_EVENT has a count and words of data. Since Linux 5.19. */
export const KVM_CAP_SYSTEM_EVENT_DATA = 215;
/** 1: KVM_SET_USER_MEMORY_REGION2. Since Linux 6.8. */
export const KVM_CAP_USER_MEMORY2 = 231;

/** Argument of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: KVM_GET_DIRTY_LOG leaves the bits set. */
export const KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE = 1;
/** Argument of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, with the other: every page is dirty when logging begins. */
export const KVM_DIRTY_LOG_INITIALLY_SET = 2;

/** Flag of a memory slot: stores are logged for KVM_GET_DIRTY_LOG. */
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
/** Flag of a memory slot: the guest's stores are KVM_EXIT_MMIO. */
export const KVM_MEM_READONLY = 2;

/** Of struct kvm_create_device.type: kvm-vfio, which holds the VFIO groups of a VM. */
export const KVM_DEV_TYPE_VFIO = 4;
/** Of struct kvm_create_device.type: a GICv2, which this GIC does not emulate. */
export const KVM_DEV_TYPE_ARM_VGIC_V2 = 5;
/** Of struct kvm_create_device.type: a GICv3 without ITS. */
export const KVM_DEV_TYPE_ARM_VGIC_V3 = 7;
/** Of struct kvm_create_device.type: an ITS for a GICv3. */
export const KVM_DEV_TYPE_ARM_VGIC_ITS = 8;
/** Flag of struct kvm_create_device: only asks whether there is the type. */
export const KVM_CREATE_DEVICE_TEST = 1;

/** Type of struct kvm_irq_routing_entry: to a pin of the vgic, whose SPI is 32 and the pin. */
export const KVM_IRQ_ROUTING_IRQCHIP = 1;
/** Type of struct kvm_irq_routing_entry: to a message. */
export const KVM_IRQ_ROUTING_MSI = 2;

/** Flag of struct kvm_ioeventfd: only a store of `datamatch` signals. */
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
/** Flag of struct kvm_ioeventfd: an x86 port, which an arm64 guest never writes. */
export const KVM_IOEVENTFD_FLAG_PIO = 2;
/** Flag of struct kvm_ioeventfd: takes the ioeventfd away. */
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;
/** Flag of struct kvm_ioeventfd: a notification of virtio-ccw, which an arm64 guest never makes. */
export const KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY = 8;
/** The flags of struct kvm_ioeventfd that are not -EINVAL: all of them, and FAST_MMIO, which the kernel's count of flags takes in. */
export const KVM_IOEVENTFD_VALID_FLAG_MASK = 0x1f;

/** Of struct kvm_irq_level.irq on arm64: the vCPU's index is this field times 256 and that of KVM_ARM_IRQ_VCPU_SHIFT. */
export const KVM_ARM_IRQ_VCPU2_SHIFT = 28;
/** Of struct kvm_irq_level.irq on arm64: the kind of line, 4 bits. */
export const KVM_ARM_IRQ_TYPE_SHIFT = 24;
/** Of struct kvm_irq_level.irq on arm64: bits [7:0] of the vCPU's index. */
export const KVM_ARM_IRQ_VCPU_SHIFT = 16;
/** Of struct kvm_irq_level.irq on arm64: the INTID, 16 bits from bit 0 on. */
export const KVM_ARM_IRQ_NUM_MASK = 0xffff;
/** Kind of line: IRQ or FIQ of a vCPU whose GIC is not in the kernel. */
export const KVM_ARM_IRQ_TYPE_CPU = 0;
/** Kind of line: an SPI, INTID from 32 on. */
export const KVM_ARM_IRQ_TYPE_SPI = 1;
/** Kind of line: a PPI of one vCPU, INTID 16 to 31. */
export const KVM_ARM_IRQ_TYPE_PPI = 2;

/** Of kvm_run.exit_reason: KVM_RUN has not come back with an exit. */
export const KVM_EXIT_UNKNOWN = 0;
/** Of kvm_run.exit_reason: a guest access that user space emulates, in kvm_run.mmio. */
export const KVM_EXIT_MMIO = 6;
/** Of kvm_run.exit_reason: a signal came; KVM_RUN is -EINTR. */
export const KVM_EXIT_INTR = 10;
/** Of kvm_run.exit_reason: the guest asked PSCI for what KVM_SYSTEM_EVENT_* says. */
export const KVM_EXIT_SYSTEM_EVENT = 24;
/** PSCI SYSTEM_OFF. */
export const KVM_SYSTEM_EVENT_SHUTDOWN = 1;
/** PSCI SYSTEM_RESET. */
export const KVM_SYSTEM_EVENT_RESET = 2;

/** The vCPU runs when KVM_RUN is called. */
export const KVM_MP_STATE_RUNNABLE = 0;
/** The vCPU is off, until PSCI's CPU_ON or KVM_SET_MP_STATE: KVM_RUN waits. */
export const KVM_MP_STATE_STOPPED = 5;
/** The vCPU waits for an event. */
export const KVM_MP_STATE_SUSPENDED = 10;

/** Of struct kvm_vcpu_init.target: a CPU as the host has it. */
export const KVM_ARM_TARGET_GENERIC_V8 = 5;
/** Number of a feature bit of struct kvm_vcpu_init: the vCPU is off until PSCI's CPU_ON. */
export const KVM_ARM_VCPU_POWER_OFF = 0;
/** Number of a feature bit of struct kvm_vcpu_init: the guest has PSCI 0.2 or later. */
export const KVM_ARM_VCPU_PSCI_0_2 = 2;

/** A slot of guest memory: where it is for the guest, bytes, and where in the process. */
export const kvm_userspace_memory_region = {
  size: 32,
  slot: [0, 'u32'],
  flags: [4, 'u32'],
  guest_phys_addr: [8, 'u64'],
  memory_size: [16, 'u64'],
  userspace_addr: [24, 'u64'],
} as const;
/** The same with a guest_memfd, which the model has none of. */
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
/** Where KVM_GET_DIRTY_LOG puts one bit for each page of a slot, in words of 64. */
export const kvm_dirty_log = { size: 16, slot: [0, 'u32'], dirty_bitmap: [8, 'u64'] } as const;
/** Which pages of a slot KVM_CLEAR_DIRTY_LOG clears: `first_page` and `num_pages` are multiples of 64. */
export const kvm_clear_dirty_log = { size: 24, slot: [0, 'u32'], num_pages: [4, 'u32'], first_page: [8, 'u64'], dirty_bitmap: [16, 'u64'] } as const;
/** A line, as KVM_ARM_IRQ_* compose it, and its level; `status` is in the line's place, and arm64 leaves it alone. */
export const kvm_irq_level = { size: 8, irq: [0, 'u32'], status: [0, 's32'], level: [4, 'u32'] } as const;
/** Head of the table of KVM_SET_GSI_ROUTING: `nr` entries follow. */
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
/** An eventfd, the GSI that it raises, flags KVM_IRQFD_FLAG_*, and the eventfd that tells the end of a level. */
export const kvm_irqfd = { size: 32, fd: [0, 's32'], gsi: [4, 'u32'], flags: [8, 'u32'], resamplefd: [12, 's32'] } as const;
/** Where a store of the guest signals `fd`: address, bytes, value, flags KVM_IOEVENTFD_FLAG_*. */
export const kvm_ioeventfd = { size: 64, datamatch: [0, 'u64'], addr: [8, 'u64'], len: [16, 'u32'], fd: [20, 's32'], flags: [24, 'u32'] } as const;
/** A message: address and EventID, and with KVM_MSI_VALID_DEVID the DeviceID. */
export const kvm_msi = { size: 32, address_lo: [0, 'u32'], address_hi: [4, 'u32'], data: [8, 'u32'], flags: [12, 'u32'], devid: [16, 'u32'] } as const;
/** A capability, and up to four arguments of 64 bits, of which the first is named here. */
export const kvm_enable_cap = { size: 104, cap: [0, 'u32'], flags: [4, 'u32'], args: [8, 'u64'] } as const;
/** A type KVM_DEV_TYPE_*; the answer has the fd. */
export const kvm_create_device = { size: 12, type: [0, 'u32'], fd: [4, 'u32'], flags: [8, 'u32'] } as const;
/** An attribute of a device: group, number, and the address of its data in the process. */
export const kvm_device_attr = { size: 24, flags: [0, 'u32'], group: [4, 'u32'], attr: [8, 'u64'], addr: [16, 'u64'] } as const;
/** KVM_MP_STATE_*. */
export const kvm_mp_state = { size: 4, mp_state: [0, 'u32'] } as const;
/** A register's id, and the address of its value in the process. */
export const kvm_one_reg = { size: 16, id: [0, 'u64'], addr: [8, 'u64'] } as const;
/** How many ids there is room for behind it; the answer has how many there are. */
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
/** Bits of a register's id: a register of arm64. */
export const KVM_REG_ARM64 = 0x6000_0000_0000_0000n;
/** Bits of a register's id that say its size. */
export const KVM_REG_SIZE_MASK = 0x00f0_0000_0000_0000n;
/** Bits of a register's id: 8 bytes. */
export const KVM_REG_SIZE_U64 = 0x0030_0000_0000_0000n;
/** Bits of a register's id that say what part of the vCPU it is of. */
export const KVM_REG_ARM_COPROC_MASK = 0x0fff_0000n;
/** Bits of a register's id: a word of struct kvm_regs, by its number in bits [15:0]. */
export const KVM_REG_ARM_CORE = 0x0010_0000n;
/** Bits of a register's id: a system register, by op0, op1, CRn, CRm and op2 in bits [15:0]. */
export const KVM_REG_ARM64_SYSREG = 0x0013_0000n;
