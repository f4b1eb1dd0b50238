/** KVM device attributes of the GICv3, its ITS and kvm-vfio (include/uapi/linux/kvm.h, arch/arm64/include/uapi/asm/kvm.h). */

/** Groups of attributes of a vgic or an ITS: KVM_DEV_ARM_VGIC_GRP_*. */
export const GRP = { ADDR: 0, DIST_REGS: 1, CPU_REGS: 2, NR_IRQS: 3, CTRL: 4, REDIST_REGS: 5, CPU_SYSREGS: 6, LEVEL_INFO: 7, ITS_REGS: 8, MAINT_IRQ: 9 } as const;

/** Attributes of GRP.ADDR: KVM_VGIC_V3_ADDR_TYPE_* and KVM_VGIC_ITS_ADDR_TYPE. The data is a guest physical address of 8 bytes. */
export const ADDR_TYPE = { DIST: 2, REDIST: 3, ITS: 4, REDIST_REGION: 5 } as const;

/** Fields of ADDR_TYPE.REDIST_REGION: how many redistributors, where, flags, and which region, of which KVM takes 8 bits. */
export const REGION = { COUNT_SHIFT: 52n, BASE: 0xf_ffff_ffff_0000n, FLAGS: 0xf000n, INDEX: 0xffn } as const;

/** Attributes of GRP.CTRL, without data: KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES and KVM_DEV_ARM_ITS_*. */
export const CTRL = { INIT: 0, ITS_SAVE_TABLES: 1, ITS_RESTORE_TABLES: 2, SAVE_PENDING_TABLES: 3, ITS_RESET: 4 } as const;

/** Attributes of GRP.LEVEL_INFO: what, from bit INFO_SHIFT on, and the first of 32 INTIDs. KVM_DEV_ARM_VGIC_LINE_LEVEL_*. */
export const LEVEL_INFO = { INFO_SHIFT: 10, INTID_MASK: 0x3ff, LINE_LEVEL: 0 } as const;

/** Flag of struct kvm_msi and of an MSI's struct kvm_irq_routing_entry: the DeviceID is there. */
export const KVM_MSI_VALID_DEVID = 1;

/** Flag of struct kvm_irqfd: takes the irqfd away. */
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
/** Flag of struct kvm_irqfd: `resamplefd` is signalled when the guest is done with a level. No effect on MSIs. */
export const KVM_IRQFD_FLAG_RESAMPLE = 2;
export const KVM_IRQFD_FLAGS = 3;

/** Group of attributes of a kvm-vfio device: VFIO groups, by their fds. */
export const KVM_DEV_VFIO_GROUP = 1;
/** Attribute of KVM_DEV_VFIO_GROUP: the VM uses a VFIO group, whose fd is the data. */
export const KVM_DEV_VFIO_GROUP_ADD = 1;
/** Attribute of KVM_DEV_VFIO_GROUP: the VM uses a VFIO group no more. */
export const KVM_DEV_VFIO_GROUP_DEL = 2;
