/** Names of the GIC part of linux/kvm.h and arm64's asm/kvm.h (Linux 7.3) that uapi.ts has not, since no part of the model acts on them. Made by scripts/generate-uapi.mjs. */

/** First bit of kvm_arm_device_addr.id that says which address of the device is meant. */
export const KVM_ARM_DEVICE_TYPE_SHIFT = 0;
/** Bits of kvm_arm_device_addr.id that say which address of the device is meant: KVM_VGIC_V2_ADDR_TYPE_*. */
export const KVM_ARM_DEVICE_TYPE_MASK = 65535;
/** First bit of kvm_arm_device_addr.id that says which device is meant. */
export const KVM_ARM_DEVICE_ID_SHIFT = 16;
/** Bits of kvm_arm_device_addr.id that say which device is meant: KVM_ARM_DEVICE_VGIC_V2. */
export const KVM_ARM_DEVICE_ID_MASK = 4294901760;
/** The one device of kvm_arm_device_addr.id: a GICv2 that KVM_CREATE_IRQCHIP made. */
export const KVM_ARM_DEVICE_VGIC_V2 = 0;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR, of a GICv2: where the distributor is, 4 KiB aligned. */
export const KVM_VGIC_V2_ADDR_TYPE_DIST = 0;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_ADDR, of a GICv2: where the CPU interface is, 4 KiB aligned. */
export const KVM_VGIC_V2_ADDR_TYPE_CPU = 1;
/** Bytes of a GICv2's distributor. */
export const KVM_VGIC_V2_DIST_SIZE = 4096;
/** Bytes of a GICv2's CPU interface. */
export const KVM_VGIC_V2_CPU_SIZE = 8192;
/** Bytes of a GICv3's distributor: one frame of 64 KiB. */
export const KVM_VGIC_V3_DIST_SIZE = 65536;
/** Bytes of one redistributor: two frames of 64 KiB. */
export const KVM_VGIC_V3_REDIST_SIZE = 131072;
/** Bytes of an ITS: two frames of 64 KiB. */
export const KVM_VGIC_V3_ITS_SIZE = 131072;
/** First bit of an attribute that names a vCPU of a GICv2 by its index. */
export const KVM_DEV_ARM_VGIC_CPUID_SHIFT = 32;
/** Bits of an attribute that name a vCPU of a GICv2 by its index. */
export const KVM_DEV_ARM_VGIC_CPUID_MASK = 0xff00000000n;
/** First bit of an attribute that names a vCPU of a GICv3 by its affinity. */
export const KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT = 32;
/** Bits of an attribute that name a vCPU of a GICv3 by its affinity: Aff3 to Aff0, 8 bits each. */
export const KVM_DEV_ARM_VGIC_V3_MPIDR_MASK = 0xffffffff00000000n;
/** First bit of an attribute that says a register's offset in its frame. */
export const KVM_DEV_ARM_VGIC_OFFSET_SHIFT = 0;
/** Bits of an attribute that say a register's offset in its frame, in bytes. */
export const KVM_DEV_ARM_VGIC_OFFSET_MASK = 0xffffffffn;
/** Bits of an attribute of KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS: op0, op1, CRn, CRm and op2, as registerEncoding() has them. */
export const KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK = 65535;
/** Bits of an attribute of KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO that say what is asked for. */
export const KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_MASK = 0xfffffc00n;
/** Attribute of KVM_DEV_ARM_VGIC_GRP_CTRL, of a GICv5: which PPIs user space may drive. */
export const KVM_DEV_ARM_VGIC_USERSPACE_PPIS = 5;
/** Group of attributes of a vCPU: its PMU. */
export const KVM_ARM_VCPU_PMU_V3_CTRL = 0;
/** Attribute of KVM_ARM_VCPU_PMU_V3_CTRL: INTID of the overflow interrupt, of 4 bytes. */
export const KVM_ARM_VCPU_PMU_V3_IRQ = 0;
/** Group of attributes of a vCPU: the PPIs of its timers, INTIDs of 4 bytes. */
export const KVM_ARM_VCPU_TIMER_CTRL = 1;
/** Attribute of KVM_ARM_VCPU_TIMER_CTRL: EL1's virtual timer, 27 unless it is set. */
export const KVM_ARM_VCPU_TIMER_IRQ_VTIMER = 0;
/** Attribute of KVM_ARM_VCPU_TIMER_CTRL: EL1's physical timer, 30 unless it is set. */
export const KVM_ARM_VCPU_TIMER_IRQ_PTIMER = 1;
/** Attribute of KVM_ARM_VCPU_TIMER_CTRL: EL2's virtual timer, for nested virtualisation. */
export const KVM_ARM_VCPU_TIMER_IRQ_HVTIMER = 2;
/** Attribute of KVM_ARM_VCPU_TIMER_CTRL: EL2's physical timer, for nested virtualisation. */
export const KVM_ARM_VCPU_TIMER_IRQ_HPTIMER = 3;
/** Width of the field of struct kvm_irq_level.irq at KVM_ARM_IRQ_VCPU2_SHIFT, as a mask that is not shifted. */
export const KVM_ARM_IRQ_VCPU2_MASK = 15;
/** Width of the field of struct kvm_irq_level.irq at KVM_ARM_IRQ_TYPE_SHIFT, as a mask that is not shifted. */
export const KVM_ARM_IRQ_TYPE_MASK = 15;
/** Width of the field of struct kvm_irq_level.irq at KVM_ARM_IRQ_VCPU_SHIFT, as a mask that is not shifted. */
export const KVM_ARM_IRQ_VCPU_MASK = 255;
/** First bit of the INTID in struct kvm_irq_level.irq. */
export const KVM_ARM_IRQ_NUM_SHIFT = 0;
/** Number of a line of KVM_ARM_IRQ_TYPE_CPU: the vCPU's IRQ. */
export const KVM_ARM_IRQ_CPU_IRQ = 0;
/** Number of a line of KVM_ARM_IRQ_TYPE_CPU: the vCPU's FIQ. */
export const KVM_ARM_IRQ_CPU_FIQ = 1;
/** The highest INTID that there once was. Obsolete: KVM_DEV_ARM_VGIC_GRP_NR_IRQS says how many there are. */
export const KVM_ARM_IRQ_GIC_MAX = 127;
/** How many irqchips an entry of KVM_IRQ_ROUTING_IRQCHIP can name on arm64: the vgic alone. */
export const KVM_NR_IRQCHIPS = 1;
/** 1: KVM_IRQ_LINE_STATUS tells what became of the level. */
export const KVM_CAP_IRQ_INJECT_STATUS = 26;
/** 1: KVM_ARM_SET_DEVICE_ADDR. */
export const KVM_CAP_ARM_SET_DEVICE_ADDR = 88;
/** 1: an ioeventfd of length 0 takes a store whose length was not decoded. */
export const KVM_CAP_IOEVENTFD_NO_LENGTH = 100;
/** 1: vCPUs have attributes, of KVM_SET_DEVICE_ATTR and its like. The model's have none. */
export const KVM_CAP_VCPU_ATTRIBUTES = 127;
/** 1: the lines of timers and PMU go to user space where the VM has no vgic, in kvm_run. */
export const KVM_CAP_ARM_USER_IRQ = 144;
/** The priority of a Xen event channel that has none: its 2-level ABI. */
export const KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL = 4294967295;
/** Type of struct kvm_irq_routing_entry: an adapter interrupt of s390. */
export const KVM_IRQ_ROUTING_S390_ADAPTER = 3;
/** Type of struct kvm_irq_routing_entry: a synthetic interrupt of Hyper-V, x86. */
export const KVM_IRQ_ROUTING_HV_SINT = 4;
/** Type of struct kvm_irq_routing_entry: a Xen event channel, x86. */
export const KVM_IRQ_ROUTING_XEN_EVTCHN = 5;
/** Group of attributes of a kvm-vfio device: files of VFIO, a group or a device of iommufd; KVM_DEV_VFIO_GROUP is its older name. */
export const KVM_DEV_VFIO_FILE = 1;
/** Attribute of KVM_DEV_VFIO_FILE: the VM uses a file of VFIO, whose fd is the data. */
export const KVM_DEV_VFIO_FILE_ADD = 1;
/** Attribute of KVM_DEV_VFIO_FILE: the VM uses a file of VFIO no more. */
export const KVM_DEV_VFIO_FILE_DEL = 2;
/** Attribute of KVM_DEV_VFIO_GROUP: ties a group to a TCE table, POWER; -ENXIO elsewhere. */
export const KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE = 3;
/** Of struct kvm_create_device.type: a GICv5, which this GIC does not emulate. */
export const KVM_DEV_TYPE_ARM_VGIC_V5 = 16;
/** On a VM, with struct kvm_arm_device_addr: places a GICv2, as KVM_DEV_ARM_VGIC_GRP_ADDR does. */
export const KVM_ARM_SET_DEVICE_ADDR = 1074835115;
/** Of an entry of KVM_IRQ_ROUTING_IRQCHIP: which irqchip, and which of its pins. */
export const kvm_irq_routing_irqchip = { size: 8, irqchip: [0, 'u32'], pin: [4, 'u32'] } as const;
/** Of an entry of KVM_IRQ_ROUTING_MSI: address and EventID, and with KVM_MSI_VALID_DEVID the DeviceID. */
export const kvm_irq_routing_msi = { size: 16, address_lo: [0, 'u32'], address_hi: [4, 'u32'], data: [8, 'u32'], devid: [12, 'u32'] } as const;
/** Of an entry of KVM_IRQ_ROUTING_S390_ADAPTER: where the indicator bits are, and the adapter. */
export const kvm_irq_routing_s390_adapter = { size: 32, ind_addr: [0, 'u64'], summary_addr: [8, 'u64'], ind_offset: [16, 'u64'], summary_offset: [24, 'u32'], adapter_id: [28, 'u32'] } as const;
/** Of an entry of KVM_IRQ_ROUTING_HV_SINT: a vCPU, and the number of its synthetic interrupt. */
export const kvm_irq_routing_hv_sint = { size: 8, vcpu: [0, 'u32'], sint: [4, 'u32'] } as const;
/** Of an entry of KVM_IRQ_ROUTING_XEN_EVTCHN: a port, the vCPU to which it is bound, and its priority. */
export const kvm_irq_routing_xen_evtchn = { size: 12, port: [0, 'u32'], vcpu: [4, 'u32'], priority: [8, 'u32'] } as const;
/** Which address of which device, and a guest physical address. */
export const kvm_arm_device_addr = { size: 16, id: [0, 'u64'], addr: [8, 'u64'] } as const;
/** Data of KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE: the fds of a group and of a TCE table. */
export const kvm_vfio_spapr_tce = { size: 8, groupfd: [0, 's32'], tablefd: [4, 's32'] } as const;
