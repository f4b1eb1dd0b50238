/** Why VFIO's core refuses: containers, groups, devices by name, indices, interrupts. */
import { reason, type Reason } from '../host/reason.ts';
import { hex } from '../memory/u64.ts';
import { EBADFD, EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, ENOTTY, EPERM } from '../uapi/errno.ts';

interface OfGroup {
  readonly group: string;
}

/**
 * Refusal of VFIO_IOMMU_* on a container (EINVAL). The rule: a container has an IOMMU backend before it maps anything. Kernel:
 * vfio_fops_unl_ioctl().
 */
export const CONTAINER_NOT_SET: Reason<{ readonly request: string }> = reason({
  id: 'vfio/container-not-set',
  errno: EINVAL,
  call: 'VFIO_IOMMU_* on a container',
  rule: 'a container has an IOMMU backend before it maps anything',
  kernel: 'vfio_fops_unl_ioctl()',
  wayOut: 'first VFIO_GROUP_SET_CONTAINER, then VFIO_SET_IOMMU',
  text: ({ request }) => `${request} comes before VFIO_SET_IOMMU`,
});

/**
 * Refusal of VFIO_SET_IOMMU (EINVAL). The rule: a container has at least one group, and its backend is set once. Kernel:
 * vfio_ioctl_set_iommu().
 */
export const SET_IOMMU_ORDER: Reason<{ readonly groups: number; readonly set: boolean }> = reason({
  id: 'vfio/set-iommu-order',
  errno: EINVAL,
  call: 'VFIO_SET_IOMMU',
  rule: 'a container has at least one group, and its backend is set once',
  kernel: 'vfio_ioctl_set_iommu()',
  wayOut: 'call it once, after the first VFIO_GROUP_SET_CONTAINER; the backend goes with the last group',
  text: ({ groups, set }) => (set ? 'the container has its backend already' : `the container has ${groups} groups`),
});

/**
 * Refusal of VFIO_SET_IOMMU (ENODEV or EINVAL). The rule: a backend that fits the groups knows the type. Kernel: vfio_ioctl_set_iommu().
 */
export const SET_IOMMU_TYPE: Reason<{ readonly type: number }> = reason({
  id: 'vfio/set-iommu-type',
  errno: [ENODEV, EINVAL],
  call: 'VFIO_SET_IOMMU',
  rule: 'a backend that fits the groups knows the type',
  kernel: 'vfio_ioctl_set_iommu()',
  wayOut: 'ask with VFIO_CHECK_EXTENSION; VFIO_TYPE1v2_IOMMU (3) is the usual one, VFIO_NOIOMMU_IOMMU (8) that of groups without IOMMU',
  text: ({ type }) => `no backend for these groups knows type ${type}`,
});

/**
 * Refusal of open of /dev/vfio/N (EBUSY). The rule: a group is opened once at a time, and not while it is in a container. Kernel:
 * vfio_group_fops_open().
 */
export const GROUP_OPEN: Reason<OfGroup & { readonly holder: string }> = reason({
  id: 'vfio/group-open',
  errno: EBUSY,
  call: 'open of /dev/vfio/N',
  rule: 'a group is opened once at a time, and not while it is in a container',
  kernel: 'vfio_group_fops_open()',
  wayOut: 'close the other fd and its devices, or get that fd from whoever has it',
  text: ({ group, holder }) => `group ${group} is held by ${holder}`,
});

/**
 * Refusal of any use of a group without IOMMU (EPERM). The rule: devices whose DMA nothing restricts are for CAP_SYS_RAWIO. Kernel:
 * vfio_group_fops_open().
 */
export const NOIOMMU_RIGHTS: Reason<OfGroup & { readonly task: string }> = reason({
  id: 'vfio/noiommu-rights',
  errno: EPERM,
  call: 'any use of a group without IOMMU',
  rule: 'devices whose DMA nothing restricts are for CAP_SYS_RAWIO',
  kernel: 'vfio_group_fops_open()',
  wayOut: 'run with CAP_SYS_RAWIO, or give the machine an IOMMU',
  text: ({ group, task }) => `${task} has no CAP_SYS_RAWIO for group ${group}`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER, KVM_DEV_VFIO_GROUP_ADD (EPERM or EINVAL). The rule: groups with and without an IOMMU are in no
 * container together, and only the former can be used from inside the kernel. Kernel: vfio_container_attach_group().
 */
export const NOIOMMU_ALONE: Reason<OfGroup> = reason({
  id: 'vfio/noiommu-alone',
  errno: [EPERM, EINVAL],
  call: 'VFIO_GROUP_SET_CONTAINER, KVM_DEV_VFIO_GROUP_ADD',
  rule: 'groups with and without an IOMMU are in no container together, and only the former can be used from inside the kernel',
  kernel: 'vfio_container_attach_group()',
  wayOut: 'open a container of its own for it',
  text: ({ group }) => `group ${group} and the groups of the container differ in whether they have an IOMMU`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER (EINVAL). The rule: a group is in one container at a time. Kernel: vfio_group_ioctl_set_container().
 */
export const GROUP_HAS_CONTAINER: Reason<OfGroup> = reason({
  id: 'vfio/group-has-container',
  errno: EINVAL,
  call: 'VFIO_GROUP_SET_CONTAINER',
  rule: 'a group is in one container at a time',
  kernel: 'vfio_group_ioctl_set_container()',
  wayOut: 'VFIO_GROUP_UNSET_CONTAINER first',
  text: ({ group }) => `group ${group} is in a container`,
});

/**
 * Refusal of requests on a group (ENODEV). The rule: a group lasts as long as one of its devices is bound to a VFIO driver. Kernel:
 * vfio_group_ioctl_set_container().
 */
export const GROUP_GONE: Reason<OfGroup> = reason({
  id: 'vfio/group-gone',
  errno: ENODEV,
  call: 'requests on a group',
  rule: 'a group lasts as long as one of its devices is bound to a VFIO driver',
  kernel: 'vfio_group_ioctl_set_container()',
  wayOut: 'close the fd, bind the device again, and open the new group',
  text: ({ group }) => `the last device of group ${group} was unbound`,
});

/**
 * Refusal of VFIO_GROUP_SET_CONTAINER (EINVAL or EBADFD). The rule: the argument points to the fd of a container. Kernel:
 * vfio_container_from_file().
 */
export const NOT_CONTAINER: Reason<{ readonly fd: number; readonly file: string }> = reason({
  id: 'vfio/not-container',
  errno: [EINVAL, EBADFD],
  call: 'VFIO_GROUP_SET_CONTAINER',
  rule: 'the argument points to the fd of a container',
  kernel: 'vfio_container_from_file()',
  wayOut: 'open /dev/vfio/vfio, and pass a pointer to that fd',
  text: ({ fd, file }) => `fd ${fd} is ${file}`,
});

/** Refusal of VFIO_GROUP_UNSET_CONTAINER (EINVAL). The rule: the group is in a container. Kernel: vfio_group_ioctl_unset_container(). */
export const GROUP_NO_CONTAINER: Reason<OfGroup> = reason({
  id: 'vfio/group-no-container',
  errno: EINVAL,
  call: 'VFIO_GROUP_UNSET_CONTAINER',
  rule: 'the group is in a container',
  kernel: 'vfio_group_ioctl_unset_container()',
  wayOut: 'nothing is to be done: it is out already',
  text: ({ group }) => `group ${group} is in no container`,
});

/**
 * Refusal of VFIO_GROUP_UNSET_CONTAINER (EBUSY). The rule: no device of the group is open, and the kernel does not use the container.
 * Kernel: vfio_group_ioctl_unset_container().
 */
export const GROUP_IN_USE: Reason<OfGroup & { readonly users: readonly string[] }> = reason({
  id: 'vfio/group-in-use',
  errno: EBUSY,
  call: 'VFIO_GROUP_UNSET_CONTAINER',
  rule: 'no device of the group is open, and the kernel does not use the container',
  kernel: 'vfio_group_ioctl_unset_container()',
  wayOut: 'close the devices first',
  text: ({ group, users }) => `group ${group} is used by ${users.length === 0 ? 'the kernel' : users.join(', ')}`,
});

/**
 * Refusal of VFIO_GROUP_GET_DEVICE_FD, users inside the kernel (EINVAL). The rule: a group is in a container that has its IOMMU backend
 * before its devices are opened. Kernel: vfio_device_open_file().
 */
export const GROUP_NOT_READY: Reason<OfGroup & { readonly lacks: 'container' | 'backend' }> = reason({
  id: 'vfio/group-not-ready',
  errno: EINVAL,
  call: 'VFIO_GROUP_GET_DEVICE_FD, users inside the kernel',
  rule: 'a group is in a container that has its IOMMU backend before its devices are opened',
  kernel: 'vfio_device_open_file()',
  wayOut: 'VFIO_GROUP_SET_CONTAINER, then VFIO_SET_IOMMU on the container, then this',
  text: ({ group, lacks }) => (lacks === 'container' ? `group ${group} is in no container` : `the container of group ${group} has had no VFIO_SET_IOMMU`),
});

/**
 * Refusal of VFIO_GROUP_GET_DEVICE_FD (ENODEV). The rule: the name is that of a device in this group that a VFIO driver is bound to and
 * that is not being unbound. Kernel: vfio_device_get_from_name().
 */
export const NO_SUCH_DEVICE: Reason<OfGroup & { readonly name: string; readonly devices: readonly string[] }> = reason({
  id: 'vfio/no-such-device',
  errno: ENODEV,
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'the name is that of a device in this group that a VFIO driver is bound to and that is not being unbound',
  kernel: 'vfio_device_get_from_name()',
  wayOut: 'look into /sys/kernel/iommu_groups for the group of the device, and bind it to vfio-pci',
  text: ({ group, name, devices }) => `group ${group} has no device "${name}": it has ${devices.length === 0 ? 'none' : devices.join(', ')}`,
});

/**
 * Refusal of VFIO_GROUP_GET_DEVICE_FD (ENODEV). The rule: the module of the device's driver is not being unloaded. Kernel:
 * try_module_get().
 */
export const DRIVER_GOING: Reason<{ readonly device: string }> = reason({
  id: 'vfio/driver-going',
  errno: ENODEV,
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: "the module of the device's driver is not being unloaded",
  kernel: 'try_module_get()',
  wayOut: 'load the module again',
  text: ({ device }) => `the driver of ${device} is being unloaded`,
});

/**
 * Refusal of sysfs bind (EINVAL or ENODEV). The rule: a device for users has an IOMMU group, or enable_unsafe_noiommu_mode is on. Kernel:
 * vfio_group_find_or_alloc().
 */
export const NO_IOMMU_GROUP: Reason<{ readonly device: string }> = reason({
  id: 'vfio/no-iommu-group',
  errno: [EINVAL, ENODEV],
  call: 'sysfs bind',
  rule: 'a device for users has an IOMMU group, or enable_unsafe_noiommu_mode is on',
  kernel: 'vfio_group_find_or_alloc()',
  wayOut: "switch the IOMMU on, in the firmware and on the kernel's command line; without one only enable_unsafe_noiommu_mode helps",
  text: ({ device }) => `${device} has no IOMMU group`,
});

/**
 * Refusal of sysfs bind (EINVAL or ENODEV). The rule: the IOMMU keeps DMA coherent with the caches, which users could not do. Kernel:
 * vfio_group_find_or_alloc().
 */
export const NOT_COHERENT: Reason<{ readonly device: string; readonly group: string }> = reason({
  id: 'vfio/not-coherent',
  errno: [EINVAL, ENODEV],
  call: 'sysfs bind',
  rule: 'the IOMMU keeps DMA coherent with the caches, which users could not do',
  kernel: 'vfio_group_find_or_alloc()',
  wayOut: 'there is no remedy on this machine: its host driver has to use the device',
  text: ({ device, group }) => `${device}: the IOMMU of group ${group} does not keep DMA coherent with the caches`,
});

/**
 * Refusal of VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO (EINVAL). The rule: the index is below num_regions or num_irqs of
 * VFIO_DEVICE_GET_INFO, and the device has what it stands for. Kernel: the ioctl function of the driver.
 */
export const NO_INDEX: Reason<{ readonly request: string; readonly index: number }> = reason({
  id: 'vfio/no-index',
  errno: EINVAL,
  call: 'VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO',
  rule: 'the index is below num_regions or num_irqs of VFIO_DEVICE_GET_INFO, and the device has what it stands for',
  kernel: 'the ioctl function of the driver',
  wayOut: 'count from 0, and take EINVAL for one that the device lacks',
  text: ({ request, index }) => `${request} has no index ${index}`,
});

/**
 * Refusal of VFIO_DEVICE_SET_IRQS (EINVAL). The rule: the index exists, and start to start + count lie within its interrupts. Kernel:
 * vfio_set_irqs_validate_and_prepare().
 */
export const IRQ_RANGE: Reason<{ readonly index: number; readonly start: number; readonly count: number; readonly irqs: number }> = reason({
  id: 'vfio/irq-range',
  errno: EINVAL,
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'the index exists, and start to start + count lie within its interrupts',
  kernel: 'vfio_set_irqs_validate_and_prepare()',
  wayOut: 'stay within the count that VFIO_DEVICE_GET_IRQ_INFO gives for the index',
  text: ({ index, start, count, irqs }) => `index ${index} has ${irqs} interrupts, and start is ${start}, count ${count}`,
});

/**
 * Refusal of VFIO_DEVICE_SET_IRQS (EINVAL). The rule: flags have one DATA bit, and no bits that are not known. Kernel:
 * vfio_set_irqs_validate_and_prepare().
 */
export const IRQ_FLAGS: Reason<{ readonly flags: number }> = reason({
  id: 'vfio/irq-flags',
  errno: EINVAL,
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'flags have one DATA bit, and no bits that are not known',
  kernel: 'vfio_set_irqs_validate_and_prepare()',
  wayOut: 'set exactly one of VFIO_IRQ_SET_DATA_NONE, _BOOL and _EVENTFD, and one ACTION',
  text: ({ flags }) => `flags ${hex(flags)}`,
});

/** Of the drivers that take one interrupt an index. */
export const IRQ_ACTION_LACKS: Reason<{ readonly device: string; readonly index: number; readonly action: number }> = reason({
  id: 'vfio/irq-action',
  errno: [ENOTTY, EINVAL],
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'there is one action, and the interrupt has it: MASK and UNMASK only where it is maskable, TRIGGER always',
  kernel: "the driver's set_irqs function",
  wayOut: 'ask VFIO_DEVICE_GET_IRQ_INFO: MASKABLE is for MASK and UNMASK',
  text: ({ device, index, action }) => `interrupt ${index} of ${device} does not have action ${hex(action)}`,
});

/**
 * Refusal of VFIO_DEVICE_SET_IRQS (EINVAL). The rule: an index of these drivers has interrupt 0 alone: start is 0 and count 1; count 0 only
 * with TRIGGER and DATA_NONE, which takes the eventfd away. Kernel: the driver's set_irqs function.
 */
export const IRQ_ALONE: Reason<{ readonly device: string; readonly index: number; readonly start: number; readonly count: number }> = reason({
  id: 'vfio/irq-alone',
  errno: EINVAL,
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'an index of these drivers has interrupt 0 alone: start is 0 and count 1; count 0 only with TRIGGER and DATA_NONE, which takes the eventfd away',
  kernel: "the driver's set_irqs function",
  wayOut: 'make one request for each index, with start 0 and count 1',
  text: ({ device, index, start, count }) => `start ${start}, count ${count} of interrupt ${index} of ${device}`,
});

/**
 * Refusal of pread, pwrite and mmap of a device fd (EINVAL, EFAULT or ENOMEM). The rule: the offset lies in a region of the device, which
 * has the operation. Kernel: the driver's read, write and mmap.
 */
export const DEVICE_OFFSET: Reason<{ readonly device: string; readonly offset: number; readonly length: number; readonly why?: string | undefined }> = reason({
  id: 'vfio/device-offset',
  errno: [EINVAL, EFAULT, ENOMEM],
  call: 'pread, pwrite and mmap of a device fd',
  rule: 'the offset lies in a region of the device, which has the operation',
  kernel: "the driver's read, write and mmap",
  wayOut: 'take offset, size and flags from VFIO_DEVICE_GET_REGION_INFO',
  text: ({ device, offset, length, why }) => `${device} has nothing for ${length} bytes at offset ${hex(offset)}${why === undefined ? '' : `: ${why}`}`,
});
