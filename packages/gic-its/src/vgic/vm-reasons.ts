/** Why KVM refuses a call on a VM, its vgic or its ITSs. */
import { E2BIG, EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENXIO, EPERM, hex, reason, type Reason } from '@vsim/vfio-core';

/** -EINVAL of KVM_CREATE_VCPU. The rule: ids are below KVM_MAX_VCPUS, and so is the number of vCPUs. */
export const VCPU_ID: Reason<{ readonly id: number; readonly vcpus: number; readonly limit: number }> = reason({
  id: 'kvm/vcpu-id',
  errno: EINVAL,
  call: 'KVM_CREATE_VCPU',
  rule: 'ids are below KVM_MAX_VCPUS, and so is the number of vCPUs',
  kernel: 'kvm_vm_ioctl_create_vcpu()',
  wayOut: 'take a smaller id: KVM_CAP_MAX_VCPU_ID tells the limit',
  text: ({ id, vcpus, limit }) => `vcpu id ${id} of a vm with ${vcpus} vcpus: both are below ${limit}`,
});

/** -EEXIST of KVM_CREATE_VCPU. The rule: no vCPU of the VM has the id. */
export const VCPU_TAKEN: Reason<{ readonly id: number; readonly index: number }> = reason({
  id: 'kvm/vcpu-taken',
  errno: EEXIST,
  call: 'KVM_CREATE_VCPU',
  rule: 'no vCPU of the VM has the id',
  kernel: 'kvm_vm_ioctl_create_vcpu()',
  wayOut: 'take another id: the redistributor that this attempt took stays taken',
  text: ({ id, index }) => `the vcpu that was created as number ${index} has id ${id}`,
});

/** -EBUSY of KVM_CREATE_VCPU. The rule: vCPUs are created before the vgic is initialised. */
export const VCPU_LATE: Reason<{ readonly id: number }> = reason({
  id: 'kvm/vcpu-late',
  errno: EBUSY,
  call: 'KVM_CREATE_VCPU',
  rule: 'vCPUs are created before the vgic is initialised',
  kernel: 'kvm_arch_vcpu_precreate()',
  wayOut: 'create every vCPU, then set CTRL to INIT',
  text: ({ id }) => `vcpu ${id} comes after the vgic was initialised`,
});

/** -EEXIST of KVM_CREATE_DEVICE. The rule: a VM has one vgic. */
export const VGIC_EXISTS: Reason<{ readonly type: string }> = reason({
  id: 'kvm/vgic-exists',
  errno: EEXIST,
  call: 'KVM_CREATE_DEVICE',
  rule: 'a VM has one vgic',
  kernel: 'kvm_vgic_create()',
  wayOut: 'use the one that was made',
  text: ({ type }) => `there is a vgic: no second ${type}`,
});

/** -EBUSY of KVM_CREATE_DEVICE. The rule: the vgic is made before any vCPU runs, and, from 7.3 on, while none is being made. */
export const VGIC_LATE: Reason<{ readonly vcpu: number; readonly is: string }> = reason({
  id: 'kvm/vgic-late',
  errno: EBUSY,
  call: 'KVM_CREATE_DEVICE',
  rule: 'the vgic is made before any vCPU runs, and, from 7.3 on, while none is being made',
  kernel: 'kvm_vgic_create()',
  wayOut: 'make the vgic before KVM_RUN',
  text: ({ vcpu, is }) => `vcpu ${vcpu} ${is}`,
});

/** -ENOMEM of KVM_CREATE_DEVICE, CTRL INIT. The rule: the host has memory and vPEIDs for the vPEs of the VM. */
export const NO_VPES: Reason<{ readonly vcpus: number }> = reason({
  id: 'kvm/no-vpes',
  errno: ENOMEM,
  call: 'KVM_CREATE_DEVICE, CTRL INIT',
  rule: 'the host has memory and vPEIDs for the vPEs of the VM',
  kernel: 'vgic_v4_init()',
  wayOut: 'give the host memory, or end another VM',
  text: ({ vcpus }) => `no vpes for ${vcpus} vcpus`,
});

/** -EBUSY of KVM_CREATE_DEVICE. The rule: a VM has one kvm-vfio device. */
export const KVM_VFIO_EXISTS: Reason<{ readonly groups: number }> = reason({
  id: 'kvm/vfio-exists',
  errno: EBUSY,
  call: 'KVM_CREATE_DEVICE',
  rule: 'a VM has one kvm-vfio device',
  kernel: 'kvm_vfio_create()',
  wayOut: 'add groups to the one that was made',
  text: ({ groups }) => `there is a kvm-vfio device, with ${groups} groups`,
});

/** -EIO of KVM_RUN, any call on the fds of the VM. The rule: no first KVM_RUN of the VM has failed. */
export const VM_DEAD: Reason<{ readonly first: string }> = reason({
  id: 'kvm/vm-dead',
  errno: EIO,
  call: 'KVM_RUN, any call on the fds of the VM',
  rule: 'no first KVM_RUN of the VM has failed',
  kernel: 'kvm_vm_dead()',
  wayOut: 'make the VM again, and do first what that first run asked for',
  text: ({ first }) => `the first KVM_RUN failed with ${first}`,
});

/**
 * -ENXIO of KVM_RUN, ITS_REGS. The rule: the distributor, each vCPU's redistributor, and an ITS whose registers are accessed have an
 * address.
 */
export const NO_ADDRESS: Reason<{ readonly frame: string; readonly vcpu?: number | undefined }> = reason({
  id: 'kvm-vgic/no-address',
  errno: ENXIO,
  call: 'KVM_RUN, ITS_REGS',
  rule: 'the distributor, each vCPU\'s redistributor, and an ITS whose registers are accessed have an address',
  kernel: 'vgic_v3_map_resources(), vgic_its_attr_regs_access()',
  wayOut: 'set ADDR: DIST, REDIST or enough of REDIST_REGION, and ITS',
  text: ({ frame, vcpu }) => `the ${frame}${vcpu === undefined ? '' : ` of vcpu ${vcpu}`} has no address`,
});

/**
 * -EINVAL of KVM_RUN, KVM_CREATE_VCPU, ADDR REDIST and REDIST_REGION. The rule: regions of redistributors, which grow with the vCPUs
 * if they have no count, lie in the guest's address space and not on the distributor.
 */
export const FRAMES_OVERLAP: Reason<{ readonly region: number; readonly base: number; readonly bytes: number; readonly distributor: number | undefined }> = reason({
  id: 'kvm-vgic/frames-overlap',
  errno: EINVAL,
  call: 'KVM_RUN, KVM_CREATE_VCPU, ADDR REDIST and REDIST_REGION',
  rule: 'regions of redistributors, which grow with the vCPUs if they have no count, lie in the guest\'s address space and not on the distributor',
  kernel: 'vgic_v3_check_base()',
  wayOut: 'move the distributor, or leave room for a redistributor of 128 KiB for each vCPU',
  text: ({ region, base, bytes, distributor }) => `redistributors of region ${region} at ${hex(base)}, ${hex(bytes)} bytes; distributor ${distributor === undefined ? 'nowhere' : `at ${hex(distributor)}`}`,
});

/**
 * -EBUSY, -ENXIO or -EAGAIN of KVM_RUN, KVM_IRQFD, registers and SAVE_PENDING_TABLES of the vgic. The rule: the vgic is initialised.
 */
export const NOT_INITIALISED: Reason<{ readonly what: string }> = reason({
  id: 'kvm-vgic/not-initialised',
  errno: [EBUSY, ENXIO, EAGAIN],
  call: 'KVM_RUN, KVM_IRQFD, registers and SAVE_PENDING_TABLES of the vgic',
  rule: 'the vgic is initialised',
  kernel: 'vgic_initialized()',
  wayOut: 'create the vCPUs, then set CTRL to INIT',
  text: ({ what }) => `${what}: the vgic is not initialised`,
});

/** -EBUSY of CTRL INIT. The rule: no vCPU is being created. */
export const VCPU_IN_CREATION: Reason<{ readonly vcpus: number }> = reason({
  id: 'kvm-vgic/vcpu-in-creation',
  errno: EBUSY,
  call: 'CTRL INIT',
  rule: 'no vCPU is being created',
  kernel: 'vgic_init()',
  wayOut: 'wait until KVM_CREATE_VCPU has returned',
  text: ({ vcpus }) => `a vcpu is being created beside ${vcpus}`,
});

/** -EBUSY of registers, tables and CTRL of the vgic and its ITSs. The rule: no vCPU is in KVM_RUN. */
export const VCPU_RUNS: Reason<{ readonly what: string; readonly vcpu: number }> = reason({
  id: 'kvm-vgic/vcpu-runs',
  errno: EBUSY,
  call: 'registers, tables and CTRL of the vgic and its ITSs',
  rule: 'no vCPU is in KVM_RUN',
  kernel: 'lock_all_vcpus()',
  wayOut: 'stop the vCPUs first',
  text: ({ what, vcpu }) => `${what}: vcpu ${vcpu} runs`,
});

/**
 * -ENXIO or -ENODEV of KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR. The rule: the device has the attribute, in
 * this kernel and for this call.
 */
export const ATTRIBUTE_UNKNOWN: Reason<{ readonly device: string; readonly call: string; readonly group: number; readonly attr: bigint }> = reason({
  id: 'kvm-vgic/attribute-unknown',
  errno: [ENXIO, ENODEV],
  call: 'KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR',
  rule: 'the device has the attribute, in this kernel and for this call',
  kernel: 'struct kvm_device_ops of the device',
  wayOut: 'ask with KVM_HAS_DEVICE_ATTR first',
  text: ({ device, call, group, attr }) => `${device} has no attribute ${hex(attr)} in group ${group} to ${call}`,
});

/** -EFAULT of KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR. The rule: kvm_device_attr.addr points to memory of the caller. */
export const ATTRIBUTE_MEMORY: Reason<{ readonly device: string; readonly group: number; readonly attr: bigint }> = reason({
  id: 'kvm-vgic/attribute-memory',
  errno: EFAULT,
  call: 'KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR',
  rule: 'kvm_device_attr.addr points to memory of the caller',
  kernel: 'get_user()',
  wayOut: 'point addr to the value',
  text: ({ device, group, attr }) => `${device}: the value of attribute ${hex(attr)} in group ${group} cannot be read`,
});

/**
 * -EINVAL of DIST_REGS, REDIST_REGS, CPU_SYSREGS, LEVEL_INFO. The rule: the upper half of the attribute is the affinity of a vCPU:
 * Aff0 has 16, then Aff1 counts; the distributor needs any vCPU.
 */
export const NO_SUCH_VCPU: Reason<{ readonly group: number; readonly affinity: number }> = reason({
  id: 'kvm-vgic/no-vcpu',
  errno: EINVAL,
  call: 'DIST_REGS, REDIST_REGS, CPU_SYSREGS, LEVEL_INFO',
  rule: 'the upper half of the attribute is the affinity of a vCPU: Aff0 has 16, then Aff1 counts; the distributor needs any vCPU',
  kernel: 'vgic_v3_parse_attr()',
  wayOut: 'make it from the vCPU\'s MPIDR_EL1, and create the vCPU first',
  text: ({ group, affinity }) => `no vcpu with affinity ${hex(affinity)} for group ${group}`,
});

/**
 * -ENXIO, -EINVAL or -ENOENT of DIST_REGS, REDIST_REGS, CPU_SYSREGS, ITS_REGS. The rule: a register begins at the offset, and
 * belongs to an interrupt that the VM has.
 */
export const NO_REGISTER: Reason<{ readonly device: string; readonly offset: number }> = reason({
  id: 'kvm-vgic/no-register',
  errno: [ENXIO, EINVAL, ENOENT],
  call: 'DIST_REGS, REDIST_REGS, CPU_SYSREGS, ITS_REGS',
  rule: 'a register begins at the offset, and belongs to an interrupt that the VM has',
  kernel: 'vgic_get_mmio_region(), vgic_its_attr_regs_access()',
  wayOut: 'access 32 bits at their offset (an ITS\' wide registers as 64 bits), and set NR_IRQS first',
  text: ({ device, offset }) => `${device} has no register at ${hex(offset)}`,
});

/**
 * -EINVAL or -EBUSY of DIST_REGS, CPU_SYSREGS, ITS_REGS. The rule: what identifies the hardware is written as it reads, but for what
 * user space may choose; a queue's position lies in the queue of an ITS that is off.
 */
export const REGISTER_VALUE: Reason<{ readonly register: string; readonly value: bigint; readonly has: bigint }> = reason({
  id: 'kvm-vgic/register-value',
  errno: [EINVAL, EBUSY],
  call: 'DIST_REGS, CPU_SYSREGS, ITS_REGS',
  rule: 'what identifies the hardware is written as it reads, but for what user space may choose; a queue\'s position lies in the queue of an ITS that is off',
  kernel: 'vgic_mmio_uaccess_write_v3_misc(), vgic_mmio_uaccess_write_its_creadr(), struct sys_reg_desc',
  wayOut: 'write what the same kernel gave, in the order that the documentation names',
  text: ({ register, value, has }) => `${register} cannot become ${hex(value)}: ${hex(has)}`,
});

/** -EINVAL of LEVEL_INFO. The rule: LINE_LEVEL is asked for, of 32 interrupts from a multiple of 32 on. */
export const LEVEL_INFO_KIND: Reason<{ readonly attr: number }> = reason({
  id: 'kvm-vgic/level-info',
  errno: EINVAL,
  call: 'LEVEL_INFO',
  rule: 'LINE_LEVEL is asked for, of 32 interrupts from a multiple of 32 on',
  kernel: 'vgic_v3_line_level_info_uaccess()',
  wayOut: 'use INTIDs 0, 32, 64 and so on',
  text: ({ attr }) => `level info ${hex(attr)}`,
});

/** -EINVAL or -EBUSY of NR_IRQS. The rule: a multiple of 32 from 64 to 992, once, before INIT. */
export const NR_IRQS_VALUE: Reason<{ readonly count: number; readonly spis: number }> = reason({
  id: 'kvm-vgic/nr-irqs',
  errno: [EINVAL, EBUSY],
  call: 'NR_IRQS',
  rule: 'a multiple of 32 from 64 to 992, once, before INIT',
  kernel: 'vgic_set_common_attr()',
  wayOut: 'set it once, before INIT',
  text: ({ count, spis }) => `${count} interrupts, of a vgic that has ${spis} spis`,
});

/**
 * -EINVAL, -E2BIG or -EEXIST of ADDR. The rule: an address is a multiple of 64 KiB, the frame ends below 2^64 and within the VM's
 * address space, and it is set once.
 */
export const FRAME_ADDRESS: Reason<{ readonly frame: string; readonly address: number; readonly bytes: number; readonly limit: number; readonly old?: number | undefined }> = reason({
  id: 'kvm-vgic/address',
  errno: [EINVAL, E2BIG, EEXIST],
  call: 'ADDR',
  rule: 'an address is a multiple of 64 KiB, the frame ends below 2^64 and within the VM\'s address space, and it is set once',
  kernel: 'vgic_check_iorange()',
  wayOut: 'choose it by KVM_CAP_ARM_VM_IPA_SIZE, once for each frame',
  text: ({ frame, address, bytes, limit, old }) => `${frame} at ${hex(address)}, ${hex(bytes)} bytes of ${hex(limit)}${old === undefined ? '' : `; it is at ${hex(old)}`}`,
});

/**
 * -EINVAL, -EEXIST or -ENOENT of ADDR REDIST and REDIST_REGION. The rule: regions are numbered from 0 on and set in that order, with
 * a count and no flags; REDIST is the one region of a VM that has no others; none overlaps another.
 */
export const REDIST_REGION_RULE: Reason<{ readonly field: string; readonly index: number; readonly base: number; readonly count: number; readonly is?: number | undefined }> = reason({
  id: 'kvm-vgic/redist-region',
  errno: [EINVAL, EEXIST, ENOENT],
  call: 'ADDR REDIST and REDIST_REGION',
  rule: 'regions are numbered from 0 on and set in that order, with a count and no flags; REDIST is the one region of a VM that has no others; none overlaps another',
  kernel: 'vgic_v3_alloc_redist_region(), kvm_vgic_addr()',
  wayOut: 'set either REDIST once, or REDIST_REGION 0, 1 and so on',
  text: ({ field, index, base, count, is }) => `region ${index} of ${count} at ${hex(base)}: ${field}${is === undefined ? '' : ` ${hex(is)}`}`,
});

/** -EINVAL or -EBUSY of MAINT_IRQ. The rule: a PPI, set before INIT. */
export const MAINT_IRQ_VALUE: Reason<{ readonly intid: number }> = reason({
  id: 'kvm-vgic/maint-irq',
  errno: [EINVAL, EBUSY],
  call: 'MAINT_IRQ',
  rule: 'a PPI, set before INIT',
  kernel: 'vgic_set_common_attr()',
  wayOut: 'choose one from 16 to 31 before INIT',
  text: ({ intid }) => `maintenance interrupt ${intid}`,
});

/**
 * -EFAULT of SAVE_PENDING_TABLES. The rule: the pending table of each vCPU that an LPI targets is in memory that KVM can read and
 * write.
 */
export const PENDING_TABLE: Reason<{ readonly vcpu: number; readonly lpi: number; readonly address: number; readonly access: string }> = reason({
  id: 'kvm-vgic/pending-table',
  errno: EFAULT,
  call: 'SAVE_PENDING_TABLES',
  rule: 'the pending table of each vCPU that an LPI targets is in memory that KVM can read and write',
  kernel: 'vgic_v3_save_pending_tables()',
  wayOut: 'add the memory slot that GICR_PENDBASER points to',
  text: ({ vcpu, lpi, address, access }) => `lpi ${lpi} of vcpu ${vcpu}: ${hex(address)} cannot be ${access}`,
});

/** -EINVAL of KVM_SIGNAL_MSI. The rule: the VM has a vgic, and flags are none or KVM_MSI_VALID_DEVID. */
export const MSI_REFUSED: Reason<{ readonly address: number; readonly flags: number }> = reason({
  id: 'kvm/msi-refused',
  errno: EINVAL,
  call: 'KVM_SIGNAL_MSI',
  rule: 'the VM has a vgic, and flags are none or KVM_MSI_VALID_DEVID',
  kernel: 'kvm_send_userspace_msi()',
  wayOut: 'create the vgic first, and zero what is not used',
  text: ({ address, flags }) => `msi to ${hex(address)} with flags ${hex(flags)}`,
});

/**
 * -EINVAL or -ENODEV of KVM_SIGNAL_MSI, KVM_IRQFD. The rule: an MSI carries a DeviceID, and its address is in a frame of an ITS of
 * the VM.
 */
export const MSI_ADDRESS: Reason<{ readonly address: number; readonly device: number | undefined; readonly event: number; readonly itss: number }> = reason({
  id: 'kvm/msi-address',
  errno: [EINVAL, ENODEV],
  call: 'KVM_SIGNAL_MSI, KVM_IRQFD',
  rule: 'an MSI carries a DeviceID, and its address is in a frame of an ITS of the VM',
  kernel: 'vgic_its_inject_msi(), vgic_msi_to_its()',
  wayOut: 'create the ITS and set its address; set KVM_MSI_VALID_DEVID and the DeviceID in the route',
  text: ({ address, device, event, itss }) => `msi to ${hex(address)}, ${device === undefined ? 'no device' : `device ${hex(device)}`}, event ${event}: ${itss} itss`,
});

/** -EINVAL or -EBUSY of KVM_IRQFD. The rule: flags are known, and an eventfd has one irqfd in a VM. */
export const IRQFD_REFUSED: Reason<{ readonly gsi: number; readonly flags: number }> = reason({
  id: 'kvm/irqfd',
  errno: [EINVAL, EBUSY],
  call: 'KVM_IRQFD',
  rule: 'flags are known, and an eventfd has one irqfd in a VM',
  kernel: 'kvm_irqfd_assign()',
  wayOut: 'deassign it first; flags are DEASSIGN and RESAMPLE',
  text: ({ gsi, flags }) => `irqfd for gsi ${gsi} with flags ${hex(flags)}`,
});

/**
 * -EINVAL, -EEXIST, -ENOENT, -ENXIO, -EFAULT, -EBADF or -EPERM of KVM_SET_DEVICE_ATTR of kvm-vfio. The rule: the attribute is
 * GROUP_ADD of a group that is not added yet, or GROUP_DEL of one that is, with an fd of the group; before 5.19 the group is in a container
 * that is set up.
 */
export const KVM_VFIO_GROUP: Reason<{ readonly fd: number; readonly attr: number }> = reason({
  id: 'kvm/vfio-group',
  errno: [EINVAL, EEXIST, ENOENT, ENXIO, EFAULT, EBADF, EPERM],
  call: 'KVM_SET_DEVICE_ATTR of kvm-vfio',
  rule: 'the attribute is GROUP_ADD of a group that is not added yet, or GROUP_DEL of one that is, with an fd of the group; before 5.19 the group is in a container that is set up',
  kernel: 'kvm_vfio_group_add(), kvm_vfio_group_del()',
  wayOut: 'open the group, put it into a container, and add it once',
  text: ({ fd, attr }) => `fd ${fd} for attribute ${attr}`,
});
