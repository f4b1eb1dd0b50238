/** KVM device attributes of the GICv3, its ITS and kvm-vfio (include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h). */

/** Groups of attributes of a vgic or an ITS: KVM_DEV_ARM_VGIC_GRP_*. */
export const GRP = { ADDR: 0, DIST_REGS: 1, CPU_REGS: 2, NR_IRQS: 3, CTRL: 4, REDIST_REGS: 5, CPU_SYSREGS: 6, LEVEL_INFO: 7, ITS_REGS: 8, MAINT_IRQ: 9 } as const;

/** Group: guest physical addresses of frames, KVM_VGIC_V3_ADDR_TYPE_* and KVM_VGIC_ITS_ADDR_TYPE. */
export const KVM_DEV_ARM_VGIC_GRP_ADDR: typeof GRP.ADDR = GRP.ADDR;
/** Group: GICD_* registers of 32 bits, by their offset. */
export const KVM_DEV_ARM_VGIC_GRP_DIST_REGS: typeof GRP.DIST_REGS = GRP.DIST_REGS;
/** Group: CPU interface registers of a GICv2. A GICv3 has none. */
export const KVM_DEV_ARM_VGIC_GRP_CPU_REGS: typeof GRP.CPU_REGS = GRP.CPU_REGS;
/** Group: how many INTIDs of SGIs, PPIs and SPIs there are: a multiple of 32 from 64 to 992, set before CTRL_INIT. */
export const KVM_DEV_ARM_VGIC_GRP_NR_IRQS: typeof GRP.NR_IRQS = GRP.NR_IRQS;
/** Group: what a vgic or an ITS is told to do, without data. */
export const KVM_DEV_ARM_VGIC_GRP_CTRL: typeof GRP.CTRL = GRP.CTRL;
/** Group: GICR_* registers of 32 bits, by a vCPU's affinity and their offset. */
export const KVM_DEV_ARM_VGIC_GRP_REDIST_REGS: typeof GRP.REDIST_REGS = GRP.REDIST_REGS;
/** Group: ICC_* registers, by a vCPU's affinity and their encoding. */
export const KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS: typeof GRP.CPU_SYSREGS = GRP.CPU_SYSREGS;
/** Group: levels of 32 lines, by the first INTID. */
export const KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO: typeof GRP.LEVEL_INFO = GRP.LEVEL_INFO;
/** Group: GITS_* registers of 64 bits, by their offset. */
export const KVM_DEV_ARM_VGIC_GRP_ITS_REGS: typeof GRP.ITS_REGS = GRP.ITS_REGS;
/** Group: the PPI of the virtual CPU interface's maintenance interrupt, for nested virtualisation. */
export const KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ: typeof GRP.MAINT_IRQ = GRP.MAINT_IRQ;

/** Attributes of GRP.ADDR: KVM_VGIC_V3_ADDR_TYPE_* and KVM_VGIC_ITS_ADDR_TYPE. The data is a guest physical address of 8 bytes. */
export const ADDR_TYPE = { DIST: 2, REDIST: 3, ITS: 4, REDIST_REGION: 5 } as const;

/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR: where the distributor is, 64 KiB aligned. */
export const KVM_VGIC_V3_ADDR_TYPE_DIST: typeof ADDR_TYPE.DIST = ADDR_TYPE.DIST;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR: where the redistributors of all vCPUs begin, 64 KiB aligned. */
export const KVM_VGIC_V3_ADDR_TYPE_REDIST: typeof ADDR_TYPE.REDIST = ADDR_TYPE.REDIST;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR, of an ITS: where its two frames are, 64 KiB aligned. */
export const KVM_VGIC_ITS_ADDR_TYPE: typeof ADDR_TYPE.ITS = ADDR_TYPE.ITS;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR: one of several regions of redistributors, with its count and its number. */
export const KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION: typeof ADDR_TYPE.REDIST_REGION = ADDR_TYPE.REDIST_REGION;

/** Fields of ADDR_TYPE.REDIST_REGION: how many redistributors, where, flags, and which region, of which KVM takes 8 bits. */
export const REGION = { COUNT_SHIFT: 52n, BASE: 0xf_ffff_ffff_0000n, FLAGS: 0xf000n, INDEX: 0xffn } as const;

/** Attributes of GRP.CTRL, without data: KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES and KVM_DEV_ARM_ITS_*. */
export const CTRL = { INIT: 0, ITS_SAVE_TABLES: 1, ITS_RESTORE_TABLES: 2, SAVE_PENDING_TABLES: 3, ITS_RESET: 4 } as const;

/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL: initialises the vgic; nothing is to do for an ITS. */
export const KVM_DEV_ARM_VGIC_CTRL_INIT: typeof CTRL.INIT = CTRL.INIT;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL, of an ITS: what is mapped goes to its tables in guest memory. */
export const KVM_DEV_ARM_ITS_SAVE_TABLES: typeof CTRL.ITS_SAVE_TABLES = CTRL.ITS_SAVE_TABLES;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL, of an ITS: what is mapped comes from its tables in guest memory. */
export const KVM_DEV_ARM_ITS_RESTORE_TABLES: typeof CTRL.ITS_RESTORE_TABLES = CTRL.ITS_RESTORE_TABLES;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL: pending LPIs go to the pending tables in guest memory. */
export const KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES: typeof CTRL.SAVE_PENDING_TABLES = CTRL.SAVE_PENDING_TABLES;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL, of an ITS: registers and mappings as at creation. */
export const KVM_DEV_ARM_ITS_CTRL_RESET: typeof CTRL.ITS_RESET = CTRL.ITS_RESET;

/** Attributes of GRP.LEVEL_INFO: what, from bit INFO_SHIFT on, and the first of 32 INTIDs. KVM_DEV_ARM_VGIC_LINE_LEVEL_*. */
export const LEVEL_INFO = { INFO_SHIFT: 10, INTID_MASK: 0x3ff, LINE_LEVEL: 0 } as const;

/** First bit of an attribute of KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO that says what is asked for. */
export const KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT: typeof LEVEL_INFO.INFO_SHIFT = LEVEL_INFO.INFO_SHIFT;
/** Bits of an attribute of KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO that name the first INTID, a multiple of 32. */
export const KVM_DEV_ARM_VGIC_LINE_LEVEL_INTID_MASK: typeof LEVEL_INFO.INTID_MASK = LEVEL_INFO.INTID_MASK;
/** What an attribute of KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO can ask for: the levels of the lines, one bit each. */
export const VGIC_LEVEL_INFO_LINE_LEVEL: typeof LEVEL_INFO.LINE_LEVEL = LEVEL_INFO.LINE_LEVEL;

/** Flag of struct kvm_msi and of an MSI's struct kvm_irq_routing_entry: the DeviceID is there. */
export const KVM_MSI_VALID_DEVID = 1;

/** Flag of struct kvm_irqfd: takes the irqfd away. */
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
/** Flag of struct kvm_irqfd: `resamplefd` is signalled when the guest is done with a level. No effect on MSIs. */
export const KVM_IRQFD_FLAG_RESAMPLE = 2;

/** Group of attributes of a kvm-vfio device: VFIO groups, by their fds. */
export const KVM_DEV_VFIO_GROUP = 1;
/** Attribute of KVM_DEV_VFIO_GROUP: the VM uses a VFIO group, whose fd is the data. */
export const KVM_DEV_VFIO_GROUP_ADD = 1;
/** Attribute of KVM_DEV_VFIO_GROUP: the VM uses a VFIO group no more. */
export const KVM_DEV_VFIO_GROUP_DEL = 2;
