/** Why KVM's fds refuse: /dev/kvm, VMs, vCPUs, devices. Why the virtual GIC and its ITS refuse is in ../vgic. */
import { E2BIG, EBUSY, EEXIST, EFAULT, EINVAL, EIO, ENODEV, ENOENT, ENOEXEC, ENOMEM, ENOTTY, ENXIO, EPERM, hex, reason, type Reason } from '@vsim/vfio-core';

/**
 * -EIO of any ioctl on a VM, a vCPU or a device of KVM. The rule: a VM is used by the process that made it, whose memory its guest
 * has.
 */
export const KVM_OTHER_PROCESS: Reason<{ readonly task: string; readonly owner: string }> = reason({
  id: 'kvm/other-process',
  errno: EIO,
  call: 'any ioctl on a VM, a vCPU or a device of KVM',
  rule: 'a VM is used by the process that made it, whose memory its guest has',
  kernel: 'kvm_vm_ioctl(), kvm_vcpu_ioctl(), kvm_device_ioctl()',
  wayOut: 'make the call in that process; a child of fork() makes a VM of its own',
  text: ({ task, owner }) => `${task} asks, the VM is that of ${owner}`,
});

/** -EINVAL of KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE, KVM_RUN. The rule: a request without argument has 0 there. */
export const KVM_ARGUMENT: Reason<{ readonly request: string; readonly argument: number }> = reason({
  id: 'kvm/argument',
  errno: EINVAL,
  call: 'KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE, KVM_RUN',
  rule: 'a request without argument has 0 there',
  kernel: 'kvm_dev_ioctl(), kvm_vcpu_ioctl()',
  wayOut: 'pass 0',
  text: ({ request, argument }) => `${request} has the argument ${argument}`,
});

/**
 * -EINVAL of KVM_CREATE_VM. The rule: the type is 0, for 40 bits of guest physical address, or the count of bits: 32 to
 * KVM_CAP_ARM_VM_IPA_SIZE.
 */
export const KVM_VM_TYPE: Reason<{ readonly type: number; readonly most: number }> = reason({
  id: 'kvm/vm-type',
  errno: EINVAL,
  call: 'KVM_CREATE_VM',
  rule: 'the type is 0, for 40 bits of guest physical address, or the count of bits: 32 to KVM_CAP_ARM_VM_IPA_SIZE',
  kernel: 'kvm_init_ipa_range()',
  wayOut: 'pass 0, or what KVM_CHECK_EXTENSION(KVM_CAP_ARM_VM_IPA_SIZE) gives at most',
  text: ({ type, most }) => `type ${hex(type)} on a host of ${most} bits`,
});

/** -ENODEV of KVM_CREATE_DEVICE. The rule: the type is one that this kernel has: VFIO (4), ARM_VGIC_V3 (7), ARM_VGIC_ITS (8). */
export const KVM_DEVICE_TYPE: Reason<{ readonly type: number }> = reason({
  id: 'kvm/device-type',
  errno: ENODEV,
  call: 'KVM_CREATE_DEVICE',
  rule: 'the type is one that this kernel has: VFIO (4), ARM_VGIC_V3 (7), ARM_VGIC_ITS (8)',
  kernel: 'kvm_ioctl_create_device()',
  wayOut: 'ask with KVM_CREATE_DEVICE_TEST; the GICv2 is not emulated on this GIC',
  text: ({ type }) => `there is no device of type ${type}`,
});

/** -EPERM of KVM_GET_DEVICE_ATTR. The rule: the kind of device has the operation. */
export const KVM_DEVICE_OPERATION: Reason<{ readonly device: string; readonly operation: string }> = reason({
  id: 'kvm/device-operation',
  errno: EPERM,
  call: 'KVM_GET_DEVICE_ATTR',
  rule: 'the kind of device has the operation',
  kernel: 'kvm_device_ioctl_attr()',
  wayOut: 'none: kvm-vfio has attributes that are set, and none that is read',
  text: ({ device, operation }) => `${device} has no ${operation}`,
});

/** -EINVAL of KVM_SET_USER_MEMORY_REGION. The rule: flags are KVM_MEM_LOG_DIRTY_PAGES and KVM_MEM_READONLY. */
export const KVM_MEMORY_FLAGS: Reason<{ readonly flags: number }> = reason({
  id: 'kvm/memory-flags',
  errno: EINVAL,
  call: 'KVM_SET_USER_MEMORY_REGION',
  rule: 'flags are KVM_MEM_LOG_DIRTY_PAGES and KVM_MEM_READONLY',
  kernel: 'check_memory_region_flags()',
  wayOut: 'leave the other flags out',
  text: ({ flags }) => `flags are ${hex(flags)}`,
});

/**
 * -EINVAL of KVM_SET_USER_MEMORY_REGION. The rule: addresses and size are multiples of the page size and do not pass their end, the
 * slot is below KVM_CAP_NR_MEMSLOTS, and a slot that is deleted exists.
 */
export const KVM_MEMORY_REGION: Reason<{ readonly slot: number; readonly field: string; readonly value: bigint }> = reason({
  id: 'kvm/memory-region',
  errno: EINVAL,
  call: 'KVM_SET_USER_MEMORY_REGION',
  rule: 'addresses and size are multiples of the page size and do not pass their end, the slot is below KVM_CAP_NR_MEMSLOTS, and a slot that is deleted exists',
  kernel: '__kvm_set_memory_region()',
  wayOut: 'align guest_phys_addr, memory_size and userspace_addr to pages; address space 0 is the only one',
  text: ({ slot, field, value }) => `slot ${hex(slot)}: ${field} is ${hex(value)}`,
});

/** -EINVAL of KVM_SET_USER_MEMORY_REGION. The rule: a slot that exists keeps its size, its memory and KVM_MEM_READONLY. */
export const KVM_MEMORY_CHANGE: Reason<{ readonly slot: number; readonly field: string }> = reason({
  id: 'kvm/memory-change',
  errno: EINVAL,
  call: 'KVM_SET_USER_MEMORY_REGION',
  rule: 'a slot that exists keeps its size, its memory and KVM_MEM_READONLY',
  kernel: '__kvm_set_memory_region()',
  wayOut: 'delete the slot by a size of 0, then make it anew',
  text: ({ slot, field }) => `slot ${hex(slot)} would change its ${field}`,
});

/** -EEXIST of KVM_SET_USER_MEMORY_REGION. The rule: slots of an address space do not overlap. */
export const KVM_MEMORY_OVERLAP: Reason<{ readonly slot: number; readonly other: number }> = reason({
  id: 'kvm/memory-overlap',
  errno: EEXIST,
  call: 'KVM_SET_USER_MEMORY_REGION',
  rule: 'slots of an address space do not overlap',
  kernel: 'kvm_check_memslot_overlap()',
  wayOut: 'choose another guest_phys_addr, or delete the other slot first',
  text: ({ slot, other }) => `slot ${hex(slot)} would overlap slot ${hex(other)}`,
});

/** -EFAULT of KVM_SET_USER_MEMORY_REGION. The rule: a slot ends within the guest physical addresses of the VM. */
export const KVM_MEMORY_IPA: Reason<{ readonly slot: number; readonly ipaBits: number }> = reason({
  id: 'kvm/memory-ipa',
  errno: EFAULT,
  call: 'KVM_SET_USER_MEMORY_REGION',
  rule: 'a slot ends within the guest physical addresses of the VM',
  kernel: 'kvm_arch_prepare_memory_region()',
  wayOut: 'make the VM with more bits (KVM_CREATE_VM), or put the slot lower',
  text: ({ slot, ipaBits }) => `slot ${hex(slot)} ends behind ${ipaBits} bits`,
});

/** -ENOENT or -EINVAL of KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG. The rule: the slot exists and has KVM_MEM_LOG_DIRTY_PAGES. */
export const KVM_DIRTY_SLOT: Reason<{ readonly slot: number; readonly exists: boolean }> = reason({
  id: 'kvm/dirty-slot',
  errno: [ENOENT, EINVAL],
  call: 'KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG',
  rule: 'the slot exists and has KVM_MEM_LOG_DIRTY_PAGES',
  kernel: 'kvm_get_dirty_log_protect(), kvm_clear_dirty_log_protect()',
  wayOut: 'set the flag by KVM_SET_USER_MEMORY_REGION first',
  text: ({ slot, exists }) => `slot ${hex(slot)} ${exists ? 'has no dirty log' : 'does not exist'}`,
});

/** -EINVAL of KVM_CLEAR_DIRTY_LOG. The rule: pages are cleared by whole words of 64, but for the last ones of the slot. */
export const KVM_DIRTY_RANGE: Reason<{ readonly slot: number; readonly first: bigint; readonly count: number; readonly pages: number }> = reason({
  id: 'kvm/dirty-range',
  errno: EINVAL,
  call: 'KVM_CLEAR_DIRTY_LOG',
  rule: 'pages are cleared by whole words of 64, but for the last ones of the slot',
  kernel: 'kvm_clear_dirty_log_protect()',
  wayOut: 'begin at a multiple of 64 and clear a multiple of 64, or up to the end of the slot',
  text: ({ slot, first, count, pages }) => `${count} pages from ${first} on, of ${pages} of slot ${hex(slot)}`,
});

/** -EINVAL of KVM_ENABLE_CAP. The rule: a capability that can be enabled, without flags, and an argument that it knows. */
export const KVM_CAPABILITY: Reason<{ readonly cap: number; readonly flags: number; readonly argument: bigint }> = reason({
  id: 'kvm/capability',
  errno: EINVAL,
  call: 'KVM_ENABLE_CAP',
  rule: 'a capability that can be enabled, without flags, and an argument that it knows',
  kernel: 'kvm_vm_ioctl_enable_cap_generic(), kvm_vm_ioctl_enable_cap()',
  wayOut: 'KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 and KVM_CAP_HALT_POLL can be enabled here',
  text: ({ cap, flags, argument }) => `capability ${cap}, flags ${hex(flags)}, argument ${hex(argument)}`,
});

/**
 * -EINVAL of KVM_SET_GSI_ROUTING. The rule: at most 4096 routes, without flags of the table, of type IRQCHIP (irqchip 0, a pin below
 * 988) or MSI, one for each GSI.
 */
export const KVM_ROUTING: Reason<{ readonly entry: number | undefined; readonly field: string; readonly value: number }> = reason({
  id: 'kvm/routing',
  errno: EINVAL,
  call: 'KVM_SET_GSI_ROUTING',
  rule: 'at most 4096 routes, without flags of the table, of type IRQCHIP (irqchip 0, a pin below 988) or MSI, one for each GSI',
  kernel: 'kvm_vm_ioctl(), kvm_set_irq_routing(), kvm_set_routing_entry()',
  wayOut: 'correct the field; a pin is an SPI less 32',
  text: ({ entry, field, value }) => `${entry === undefined ? 'the table' : `entry ${entry}`}: ${field} is ${value}`,
});

/**
 * -EINVAL of KVM_IRQ_LINE. The rule: the type is SPI or PPI, a PPI is 16 to 31 of a vCPU that exists, an SPI is 32 or more and below
 * the count of the GIC.
 */
export const KVM_IRQ_LINE_NUMBER: Reason<{ readonly irq: number; readonly field: string; readonly value: number }> = reason({
  id: 'kvm/irq-line',
  errno: EINVAL,
  call: 'KVM_IRQ_LINE',
  rule: 'the type is SPI or PPI, a PPI is 16 to 31 of a vCPU that exists, an SPI is 32 or more and below the count of the GIC',
  kernel: 'kvm_vm_ioctl_irq_line(), kvm_vgic_inject_irq()',
  wayOut: 'compose irq of type << 24, vCPU index << 16 and INTID; KVM_DEV_ARM_VGIC_GRP_NR_IRQS sets the count',
  text: ({ irq, field, value }) => `irq ${hex(irq)}: ${field} is ${value}`,
});

/**
 * -ENXIO or -EBUSY of KVM_IRQ_LINE. The rule: the VM has a GIC in the kernel, and it is initialised; a line of a CPU is for VMs
 * without one.
 */
export const KVM_IRQ_LINE_NO_GIC: Reason<{ readonly irq: number }> = reason({
  id: 'kvm/irq-line-no-gic',
  errno: [ENXIO, EBUSY],
  call: 'KVM_IRQ_LINE',
  rule: 'the VM has a GIC in the kernel, and it is initialised; a line of a CPU is for VMs without one',
  kernel: 'kvm_vm_ioctl_irq_line(), vgic_lazy_init()',
  wayOut: 'KVM_CREATE_DEVICE(ARM_VGIC_V3), then the attribute CTRL INIT',
  text: ({ irq }) => `irq ${hex(irq)} has no GIC that could take it`,
});

/**
 * -EINVAL of KVM_IOEVENTFD. The rule: the length is 0, 1, 2, 4 or 8, the range does not pass 2^64, flags are known, and without
 * length there is no DATAMATCH.
 */
export const KVM_IOEVENTFD_SHAPE: Reason<{ readonly field: string; readonly value: bigint }> = reason({
  id: 'kvm/ioeventfd',
  errno: EINVAL,
  call: 'KVM_IOEVENTFD',
  rule: 'the length is 0, 1, 2, 4 or 8, the range does not pass 2^64, flags are known, and without length there is no DATAMATCH',
  kernel: 'kvm_assign_ioeventfd()',
  wayOut: 'correct the field',
  text: ({ field, value }) => `${field} is ${hex(value)}`,
});

/** -EEXIST of KVM_IOEVENTFD. The rule: a store signals one eventfd. */
export const KVM_IOEVENTFD_TAKEN: Reason<{ readonly address: bigint; readonly length: number }> = reason({
  id: 'kvm/ioeventfd-taken',
  errno: EEXIST,
  call: 'KVM_IOEVENTFD',
  rule: 'a store signals one eventfd',
  kernel: 'ioeventfd_check_collision()',
  wayOut: 'deassign the other one, or tell them apart by DATAMATCH',
  text: ({ address, length }) => `stores of ${length} bytes at ${hex(address)} signal another eventfd`,
});

/** -ENOENT of KVM_IOEVENTFD with DEASSIGN. The rule: an ioeventfd with this eventfd, address, length and DATAMATCH exists. */
export const KVM_IOEVENTFD_NONE: Reason<{ readonly address: bigint; readonly length: number }> = reason({
  id: 'kvm/ioeventfd-none',
  errno: ENOENT,
  call: 'KVM_IOEVENTFD with DEASSIGN',
  rule: 'an ioeventfd with this eventfd, address, length and DATAMATCH exists',
  kernel: 'kvm_deassign_ioeventfd_idx()',
  wayOut: 'pass what it was assigned with',
  text: ({ address, length }) => `no ioeventfd of ${length} bytes at ${hex(address)} is like that`,
});

/** -ENOMEM of KVM_CREATE_VCPU. The rule: the host has pages for struct kvm_run. */
export const KVM_NO_PAGES: Reason<object> = reason({
  id: 'kvm/no-pages',
  errno: ENOMEM,
  call: 'KVM_CREATE_VCPU',
  rule: 'the host has pages for struct kvm_run',
  kernel: 'kvm_vm_ioctl_create_vcpu()',
  wayOut: 'give the host more memory',
  text: () => 'the host has no free pages',
});

/**
 * -ENOEXEC of KVM_RUN, KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST. The rule: a vCPU is told what it is before it is used.
 */
export const KVM_VCPU_UNINITIALISED: Reason<{ readonly vcpu: number }> = reason({
  id: 'kvm/vcpu-uninitialised',
  errno: ENOEXEC,
  call: 'KVM_RUN, KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_GET_REG_LIST',
  rule: 'a vCPU is told what it is before it is used',
  kernel: 'kvm_arch_vcpu_ioctl(), kvm_arch_vcpu_run_pid_change()',
  wayOut: 'KVM_ARM_VCPU_INIT with what KVM_ARM_PREFERRED_TARGET gives',
  text: ({ vcpu }) => `vCPU ${vcpu} had no KVM_ARM_VCPU_INIT`,
});

/**
 * -EINVAL or -ENOENT of KVM_ARM_VCPU_INIT. The rule: the target is that of the CPU, features are ones that it has, and a second call
 * asks for the same.
 */
export const KVM_VCPU_TARGET: Reason<{ readonly vcpu: number; readonly field: string; readonly value: number }> = reason({
  id: 'kvm/vcpu-target',
  errno: [EINVAL, ENOENT],
  call: 'KVM_ARM_VCPU_INIT',
  rule: 'the target is that of the CPU, features are ones that it has, and a second call asks for the same',
  kernel: 'kvm_vcpu_set_target(), kvm_vcpu_init_check_features()',
  wayOut: 'pass what KVM_ARM_PREFERRED_TARGET gives, with the bits POWER_OFF and PSCI_0_2 as wanted',
  text: ({ vcpu, field, value }) => `vCPU ${vcpu}: ${field} is ${hex(value)}`,
});

/**
 * -ENOENT or -EINVAL of KVM_GET_ONE_REG, KVM_SET_ONE_REG. The rule: the register is one of KVM_GET_REG_LIST, in its size, and takes
 * the value.
 */
export const KVM_REGISTER: Reason<{ readonly vcpu: number; readonly id: bigint }> = reason({
  id: 'kvm/register',
  errno: [ENOENT, EINVAL],
  call: 'KVM_GET_ONE_REG, KVM_SET_ONE_REG',
  rule: 'the register is one of KVM_GET_REG_LIST, in its size, and takes the value',
  kernel: 'kvm_arm_get_reg(), kvm_arm_set_reg()',
  wayOut: 'use the ids that KVM_GET_REG_LIST gives; here those are general registers, MPIDR_EL1 and the version of PSCI',
  text: ({ vcpu, id }) => `vCPU ${vcpu}: register ${hex(id, 16)}`,
});

/** -E2BIG of KVM_GET_REG_LIST. The rule: there is room for all ids. */
export const KVM_REGISTER_LIST: Reason<{ readonly room: bigint; readonly count: number }> = reason({
  id: 'kvm/register-list',
  errno: E2BIG,
  call: 'KVM_GET_REG_LIST',
  rule: 'there is room for all ids',
  kernel: 'kvm_arch_vcpu_ioctl()',
  wayOut: 'call again with the n that this call has left behind',
  text: ({ room, count }) => `room for ${room} of ${count}`,
});

/** -EINVAL of KVM_SET_MP_STATE. The rule: a vCPU of arm64 is RUNNABLE (0), STOPPED (5) or SUSPENDED (10). */
export const KVM_MP_STATE_UNKNOWN: Reason<{ readonly vcpu: number; readonly state: number }> = reason({
  id: 'kvm/mp-state',
  errno: EINVAL,
  call: 'KVM_SET_MP_STATE',
  rule: 'a vCPU of arm64 is RUNNABLE (0), STOPPED (5) or SUSPENDED (10)',
  kernel: 'kvm_arch_vcpu_ioctl_set_mpstate()',
  wayOut: 'pass one of them',
  text: ({ vcpu, state }) => `vCPU ${vcpu}: state ${state}`,
});

/**
 * -ENOTTY of any ioctl on a device of KVM. The rule: a device has KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR and KVM_HAS_DEVICE_ATTR.
 */
export const KVM_DEVICE_REQUEST: Reason<{ readonly device: string; readonly request: string }> = reason({
  id: 'kvm/device-request',
  errno: ENOTTY,
  call: 'any ioctl on a device of KVM',
  rule: 'a device has KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR and KVM_HAS_DEVICE_ATTR',
  kernel: 'kvm_device_ioctl()',
  wayOut: 'look whether the fd is the one that was meant',
  text: ({ device, request }) => `${device} has no ${request}`,
});
