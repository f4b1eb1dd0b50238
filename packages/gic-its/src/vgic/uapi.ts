/** KVM device attributes of the GICv3, its ITS and kvm-vfio (include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h). */

/** KVM_DEV_ARM_VGIC_GRP_*. */
export const GRP = { ADDR: 0, DIST_REGS: 1, CPU_REGS: 2, NR_IRQS: 3, CTRL: 4, REDIST_REGS: 5, CPU_SYSREGS: 6, LEVEL_INFO: 7, ITS_REGS: 8, MAINT_IRQ: 9 } as const;

/** Attributes of GRP.ADDR. */
export const ADDR_TYPE = { DIST: 2, REDIST: 3, ITS: 4, REDIST_REGION: 5 } as const;

/** Fields of ADDR_TYPE.REDIST_REGION: how many redistributors, where, flags, and which region, of which KVM takes 8 bits. */
export const REGION = { COUNT_SHIFT: 52n, BASE: 0xf_ffff_ffff_0000n, FLAGS: 0xf000n, INDEX: 0xffn } as const;

/** Attributes of GRP.CTRL. */
export const CTRL = { INIT: 0, ITS_SAVE_TABLES: 1, ITS_RESTORE_TABLES: 2, SAVE_PENDING_TABLES: 3, ITS_RESET: 4 } as const;

/** Attributes of GRP.LEVEL_INFO: what, and the first of 32 INTIDs. */
export const LEVEL_INFO = { INFO_SHIFT: 10, INTID_MASK: 0x3ff, LINE_LEVEL: 0 } as const;

/** Flag of struct kvm_msi: the DeviceID is there. */
export const KVM_MSI_VALID_DEVID = 1;

/** Flags of struct kvm_irqfd: DEASSIGN, and RESAMPLE, which has no effect on MSIs. */
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
export const KVM_IRQFD_FLAG_RESAMPLE = 2;
export const KVM_IRQFD_FLAGS = 3;

/** Attributes of the kvm-vfio device: which group, and what with it. */
export const KVM_DEV_VFIO_GROUP = 1;
export const KVM_DEV_VFIO_GROUP_ADD = 1;
export const KVM_DEV_VFIO_GROUP_DEL = 2;
