/** Why vfio-pci refuses: regions, mappings, interrupts, ioeventfds, resets, low power. */
import { EAGAIN, EBUSY, EEXIST, EFAULT, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTCONN, ENOTTY, EOVERFLOW, EPERM, ERANGE, ESPIPE, hex, reason, type Reason } from '@vsim/vfio-core';

interface OfDevice {
  readonly device: string;
}

const SET_IRQS = 'VFIO_DEVICE_SET_IRQS';
const INTX = ['INTx', 'MSI', 'MSI-X', 'ERR', 'REQ'];

function indexName(index: number): string {
  return INTX[index] ?? `index ${index}`;
}

/** An access begins outside of a region, or writes the ROM: -EINVAL. */
export const REGION_RANGE: Reason<OfDevice & { readonly region: number; readonly at: number; readonly size: number }> = reason({
  id: 'vfio-pci/region-range',
  errno: EINVAL,
  call: 'pread, pwrite and mmap of a BAR, the ROM or VGA',
  rule: 'the device has the region, and the access begins inside of it; the ROM cannot be written',
  kernel: 'vfio_pci_bar_rw()',
  wayOut: 'take offset, size and flags from VFIO_DEVICE_GET_REGION_INFO: size 0 is a region that is not there',
  text: ({ device, region, at, size }) => `${device}: offset ${hex(at)} of region ${region}, which has ${hex(size)} bytes to access so`,
});

/** A memory BAR or the ROM is accessed while memory decoding is off, or the device sleeps: -EIO. */
export const MEMORY_OFF: Reason<OfDevice & { readonly region: number }> = reason({
  id: 'vfio-pci/memory-off',
  errno: EIO,
  call: 'pread and pwrite of a memory BAR or the ROM',
  rule: 'memory decoding is on, and the device is in D0',
  kernel: '__vfio_pci_memory_enabled()',
  wayOut: 'set bit 1 (memory space) of COMMAND in the CONFIG region, and write D0 to the power state',
  text: ({ device, region }) => `${device}: region ${region} does not decode: COMMAND has memory space off, or the device sleeps`,
});

/** A ROM without image is read: -ENOMEM. */
export const NO_ROM: Reason<OfDevice> = reason({
  id: 'vfio-pci/no-rom',
  errno: ENOMEM,
  call: 'pread of the ROM',
  rule: 'the ROM holds an image',
  kernel: 'vfio_pci_bar_rw(): pci_map_rom()',
  wayOut: 'there is none: the device has no ROM image',
  text: ({ device }) => `${device} has no ROM image`,
});

/** A BAR that the kernel could not map for itself is accessed: -ENODEV. */
export const NON_MAPPABLE: Reason<OfDevice & { readonly region: number }> = reason({
  id: 'vfio-pci/non-mappable-bars',
  errno: ENODEV,
  call: 'pread and pwrite of a BAR, VFIO_DEVICE_IOEVENTFD',
  rule: 'the kernel has mapped the BAR when the device was opened',
  kernel: 'vfio_pci_core_map_bars()',
  wayOut: 'use the driver of vfio that is made for this device: its BARs answer to special instructions alone',
  text: ({ device, region }) => `${device}: region ${region} is of a function whose BARs cannot be mapped`,
});

/** An access leaves the configuration space: -EFAULT. */
export const CONFIG_RANGE: Reason<OfDevice & { readonly at: number; readonly length: number; readonly size: number }> = reason({
  id: 'vfio-pci/config-range',
  errno: EFAULT,
  call: 'pread and pwrite of CONFIG',
  rule: 'the access lies within the configuration space',
  kernel: 'vfio_config_do_rw()',
  wayOut: 'stay within the size that VFIO_DEVICE_GET_REGION_INFO gives: 256 or 4096 bytes',
  text: ({ device, at, length, size }) => `${device}: ${length} bytes at ${hex(at)} leave the configuration space of ${size} bytes`,
});

/** A mapping is private, or leaves a BAR that can be mapped: -EINVAL. */
export const MMAP_BAR: Reason<OfDevice & { readonly region: number; readonly why: string }> = reason({
  id: 'vfio-pci/mmap-bar',
  errno: EINVAL,
  call: 'mmap of a device fd',
  rule: 'a mapping is shared, and lies within a BAR that has the flag MMAP',
  kernel: 'vfio_pci_core_mmap()',
  wayOut: 'use MAP_SHARED, within the size of a region with VFIO_REGION_INFO_FLAG_MMAP; the others by pread and pwrite',
  text: ({ device, region, why }) => `${device}: region ${region}: ${why}`,
});

/** The VGA arbiter does not know the device: -ENODEV, for the VGA region and for a bind. */
export const VGA_ARBITER: Reason<OfDevice> = reason({
  id: 'vfio-pci/vga-arbiter',
  errno: ENODEV,
  call: 'pread and pwrite of VGA, sysfs bind',
  rule: 'the VGA arbiter knows the device',
  kernel: 'vga_get(), vga_client_register()',
  wayOut: 'there is none: the device is not the arbiter\'s',
  text: ({ device }) => `the VGA arbiter does not know ${device}`,
});

/** A device that the user lets sleep does not wake up: -EIO. */
export const STAYS_ASLEEP: Reason<OfDevice> = reason({
  id: 'vfio-pci/stays-asleep',
  errno: EIO,
  call: 'any use of a device in low power',
  rule: 'the device wakes up when it is used',
  kernel: 'pm_runtime_resume_and_get()',
  wayOut: 'see whether the device is still in its slot',
  text: ({ device }) => `${device} does not wake up`,
});

/** SET_IRQS with an action that the index does not have: -ENOTTY. */
export const IRQ_ACTION: Reason<{ readonly index: number; readonly flags: number }> = reason({
  id: 'vfio-pci/irq-action',
  errno: ENOTTY,
  call: SET_IRQS,
  rule: 'there is one action, and the index has it: INTx has MASK, UNMASK and TRIGGER, all others TRIGGER alone; MASK by an eventfd is not built',
  kernel: 'vfio_pci_set_irqs_ioctl()',
  wayOut: 'ask VFIO_DEVICE_GET_IRQ_INFO: MASKABLE is for MASK and UNMASK',
  text: ({ index, flags }) => `${indexName(index)} does not have the action of flags ${hex(flags)}`,
});

/** SET_IRQS for another kind than the one in use, or for one that has no eventfd yet: -EINVAL. */
export const IRQ_KIND: Reason<OfDevice & { readonly index: number; readonly active: string }> = reason({
  id: 'vfio-pci/irq-kind',
  errno: EINVAL,
  call: SET_IRQS,
  rule: 'one of INTx, MSI and MSI-X is in use at a time, and it is given an eventfd before it is triggered, masked or unmasked',
  kernel: 'vfio_pci_set_intx_trigger(), vfio_pci_set_msi_trigger()',
  wayOut: 'switch the other off (DATA_NONE, count 0), or give this one its eventfds (DATA_EVENTFD with ACTION_TRIGGER) first',
  text: ({ device, index, active }) => `${device}: ${indexName(index)} is asked for, and ${active === 'none' ? 'nothing' : active} is in use`,
});

/** SET_IRQS for interrupts that an index does not have: -EINVAL, or -ERANGE for none at all. */
export const IRQ_COUNT: Reason<OfDevice & { readonly index: number; readonly start: number; readonly count: number; readonly enabled: number }> = reason({
  id: 'vfio-pci/irq-count',
  errno: [EINVAL, ERANGE],
  call: SET_IRQS,
  rule: 'INTx, ERR and REQ have interrupt 0 alone; MSI is enabled with all of its vectors at once, and has no others afterwards',
  kernel: 'vfio_pci_set_intx_trigger(), vfio_msi_set_block(), vfio_pci_set_ctx_trigger_single()',
  wayOut: 'give start 0 and count 1; for vectors, switch MSI off and enable as many as are wanted',
  text: ({ device, index, start, count, enabled }) => `${device}: start ${start}, count ${count} of ${indexName(index)}, which has ${enabled}`,
});

/** The device has no INTx for the user, -ENODEV, or its pin is wired to nothing, -ENOTCONN. */
export const NO_INTX: Reason<OfDevice> = reason({
  id: 'vfio-pci/no-intx',
  errno: [ENODEV, ENOTCONN],
  call: SET_IRQS,
  rule: 'the device has an INTx pin that is wired to an interrupt',
  kernel: 'vfio_intx_enable()',
  wayOut: 'use MSI or MSI-X',
  text: ({ device }) => `${device} has no INTx, or it is wired to nothing`,
});

/** An INTx that cannot be masked is on a line that somebody else has: -EBUSY. */
export const INTX_SHARED: Reason<OfDevice> = reason({
  id: 'vfio-pci/intx-shared',
  errno: EBUSY,
  call: SET_IRQS,
  rule: 'an INTx that the device cannot mask (DisINTx) has its line alone',
  kernel: 'request_irq()',
  wayOut: 'unbind the other drivers of the line, or use MSI',
  text: ({ device }) => `the line of ${device} is somebody else's, too`,
});

/** INTx has an eventfd that unmasks it already: -EBUSY. */
export const UNMASK_TAKEN: Reason<OfDevice> = reason({
  id: 'vfio-pci/unmask-taken',
  errno: EBUSY,
  call: SET_IRQS,
  rule: 'INTx has one eventfd that unmasks it',
  kernel: 'vfio_virqfd_enable()',
  wayOut: 'take the first away: ACTION_UNMASK with DATA_EVENTFD and fd -1',
  text: ({ device }) => `INTx of ${device} has an eventfd that unmasks it`,
});

/** ERR or REQ is given what it does not take, or triggered without an eventfd: -EINVAL. */
export const NOTIFIER: Reason<{ readonly index: number; readonly armed: boolean }> = reason({
  id: 'vfio-pci/notifier',
  errno: EINVAL,
  call: SET_IRQS,
  rule: 'ERR and REQ take an eventfd or -1; without one there is nothing to signal or to take away',
  kernel: 'vfio_pci_set_ctx_trigger_single()',
  wayOut: 'give an eventfd first: DATA_EVENTFD, start 0, count 1',
  text: ({ index, armed }) => `${indexName(index)} ${armed ? 'takes no such data' : 'has no eventfd'}`,
});

/** VFIO_DEVICE_IOEVENTFD with a size, a place or an fd that there is not: -EINVAL. */
export const IOEVENTFD_REQUEST: Reason<OfDevice & { readonly flags: number; readonly region: number; readonly at: number }> = reason({
  id: 'vfio-pci/ioeventfd-request',
  errno: EINVAL,
  call: 'VFIO_DEVICE_IOEVENTFD',
  rule: 'flags are one size (1, 2, 4; 8 where the kernel can), and the write lies within a BAR and outside of the MSI-X table; fd is -1 or more',
  kernel: 'vfio_pci_ioeventfd()',
  wayOut: 'give one size bit, and an offset as VFIO_DEVICE_GET_REGION_INFO has it',
  text: ({ device, flags, region, at }) => `${device}: flags ${hex(flags)} at ${hex(at)} of region ${region}`,
});

/** The same write has an eventfd already: -EEXIST. */
export const IOEVENTFD_TWICE: Reason<OfDevice & { readonly region: number; readonly at: number }> = reason({
  id: 'vfio-pci/ioeventfd-twice',
  errno: EEXIST,
  call: 'VFIO_DEVICE_IOEVENTFD',
  rule: 'the same write (offset, data, size) is bound to one eventfd',
  kernel: 'vfio_pci_ioeventfd()',
  wayOut: 'take the first away: the same request with fd -1',
  text: ({ device, region, at }) => `${device}: the write to ${hex(at)} of region ${region} has its eventfd`,
});

/** The write whose eventfd is taken away has none: -ENODEV. */
export const IOEVENTFD_NONE: Reason<OfDevice & { readonly region: number; readonly at: number }> = reason({
  id: 'vfio-pci/ioeventfd-none',
  errno: ENODEV,
  call: 'VFIO_DEVICE_IOEVENTFD with fd -1',
  rule: 'offset, data and size are those of one that there is',
  kernel: 'vfio_pci_ioeventfd()',
  wayOut: 'give the same data and size as when it was made',
  text: ({ device, region, at }) => `${device}: no such write to ${hex(at)} of region ${region} has an eventfd`,
});

/** A device has 1000 ioeventfds (VFIO_PCI_IOEVENTFD_MAX): -ENOSPC. */
export const IOEVENTFD_LIMIT: Reason<OfDevice & { readonly limit: number }> = reason({
  id: 'vfio-pci/ioeventfd-limit',
  errno: ENOSPC,
  call: 'VFIO_DEVICE_IOEVENTFD',
  rule: 'a device has at most 1000',
  kernel: 'VFIO_PCI_IOEVENTFD_MAX',
  wayOut: 'take some away',
  text: ({ device, limit }) => `${device} has its ${limit} ioeventfds`,
});

/** VFIO_DEVICE_RESET of a device whose reset did not work at the open, -EINVAL, or does not now: -ENOTTY, or -EAGAIN while it is locked. */
export const NO_RESET: Reason<OfDevice & { readonly methods: readonly string[] }> = reason({
  id: 'vfio-pci/no-reset',
  errno: [EINVAL, ENOTTY, EAGAIN],
  call: 'VFIO_DEVICE_RESET',
  rule: 'the device could be reset when it was opened, and can now',
  kernel: 'vfio_pci_ioctl_reset(), pci_try_reset_function()',
  wayOut: 'use VFIO_DEVICE_PCI_HOT_RESET, if the flags of VFIO_DEVICE_GET_INFO have no RESET',
  text: ({ device, methods }) => `${device}: ${methods.length === 0 ? 'no reset method works' : `${methods.join(', ')} did not work, or somebody has the device locked`}`,
});

/** Somebody binds, unbinds or resets a device that is to be reset: -EAGAIN. */
export const DEVICE_LOCKED: Reason<OfDevice> = reason({
  id: 'vfio-pci/device-locked',
  errno: EAGAIN,
  call: 'VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_PCI_HOT_RESET',
  rule: 'nobody binds, unbinds or resets one of the devices at the same time',
  kernel: 'pci_try_reset_function(), pci_reset_bus()',
  wayOut: 'try again',
  text: ({ device }) => `${device}, or a device on its bus, is locked`,
});

const HOT = 'VFIO_DEVICE_PCI_HOT_RESET';

/** The device is below no bridge whose bus can be reset: -ENODEV. */
export const HOT_RESET_BUS: Reason<OfDevice> = reason({
  id: 'vfio-pci/hot-reset-bus',
  errno: ENODEV,
  call: `${HOT}, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`,
  rule: 'the device is below a bridge or port whose bus can be reset',
  kernel: 'pci_probe_reset_slot(), pci_probe_reset_bus()',
  wayOut: 'use VFIO_DEVICE_RESET: a device on a root bus has no hot reset',
  text: ({ device }) => `the bus of ${device} cannot be reset`,
});

/** GET_PCI_HOT_RESET_INFO has no room for all devices, and tells their count: -ENOSPC. */
export const HOT_RESET_SPACE: Reason<OfDevice & { readonly devices: number; readonly needed: number }> = reason({
  id: 'vfio-pci/hot-reset-space',
  errno: ENOSPC,
  call: 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
  rule: 'argsz has room for all devices of the reset',
  kernel: 'vfio_pci_ioctl_get_pci_hot_reset_info()',
  wayOut: 'call it again with 12 bytes and 8 for each of count, which is told',
  text: ({ device, devices, needed }) => `a reset of the bus of ${device} hits ${devices} devices: argsz ${needed} is needed`,
});

/** A hot reset hits a device that is in no IOMMU group: -EPERM. */
export const HOT_RESET_GROUPLESS: Reason<OfDevice> = reason({
  id: 'vfio-pci/hot-reset-groupless',
  errno: EPERM,
  call: 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO',
  rule: 'every device that the reset hits is in a group',
  kernel: 'vfio_pci_fill_devs()',
  wayOut: 'there is none: the device cannot be owned',
  text: ({ device }) => `${device} is hit, and is in no IOMMU group`,
});

/** A hot reset with flags, or with no group fds or too many: -EINVAL. */
export const HOT_RESET_REQUEST: Reason<OfDevice & { readonly count: number; readonly devices: number; readonly flags: number }> = reason({
  id: 'vfio-pci/hot-reset-request',
  errno: EINVAL,
  call: HOT,
  rule: 'flags are 0, and there are as many group fds as there are devices to reset, or fewer, and one at least',
  kernel: 'vfio_pci_ioctl_pci_hot_reset_groups()',
  wayOut: 'give the fd of each group that VFIO_DEVICE_GET_PCI_HOT_RESET_INFO lists, once',
  text: ({ device, count, devices, flags }) => `${count} group fds with flags ${flags} for ${devices} devices on the bus of ${device}`,
});

/** An fd of a hot reset is not a group's: -EINVAL. */
export const HOT_RESET_NOT_GROUP: Reason<{ readonly fd: number; readonly file: string }> = reason({
  id: 'vfio-pci/hot-reset-not-group',
  errno: EINVAL,
  call: HOT,
  rule: 'each fd is that of a group; in 5.13, of one that is in a container',
  kernel: 'vfio_file_is_group(); 5.13: vfio_group_get_external_user()',
  wayOut: 'pass the fds of /dev/vfio/N, not of devices',
  text: ({ fd, file }) => `fd ${fd} is ${file}, or in no container`,
});

/** The groups of a hot reset do not own every device that it hits: -EINVAL. */
export const HOT_RESET_MISSING: Reason<OfDevice & { readonly missing: string; readonly group: number | undefined }> = reason({
  id: 'vfio-pci/hot-reset-missing',
  errno: EINVAL,
  call: HOT,
  rule: 'the groups given own every device that the reset hits',
  kernel: 'vfio_pci_is_device_in_set(), vfio_dev_in_groups()',
  wayOut: 'open the missing group, too, and pass its fd: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO lists all',
  text: ({ device, missing, group }) => `the reset of the bus of ${device} hits ${missing}, and group ${group ?? 'none'}, which has it, is not given`,
});

/** A hot reset hits a device that another driver has: -EINVAL, or -EBUSY in 5.13 for one that is registered with VFIO. */
export const HOT_RESET_DRIVER: Reason<OfDevice & { readonly other: string; readonly driver: string | undefined }> = reason({
  id: 'vfio-pci/hot-reset-driver',
  errno: [EINVAL, EBUSY],
  call: HOT,
  rule: 'every device that the reset hits is bound to vfio-pci, or a driver made of it',
  kernel: 'vfio_pci_is_device_in_set()',
  wayOut: 'bind the device to vfio-pci',
  text: ({ device, other, driver }) => `the reset of the bus of ${device} hits ${other}, which is bound to ${driver ?? 'no driver'}`,
});

/** A device in low power is to enter it again, or the wakeup is no fd: -EINVAL. */
export const LOW_POWER: Reason<OfDevice & { readonly fd: number | undefined }> = reason({
  id: 'vfio-pci/low-power',
  errno: EINVAL,
  call: 'LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP',
  rule: 'the device is not in low power already; the wakeup is an fd',
  kernel: 'vfio_pci_runtime_pm_entry()',
  wayOut: 'LOW_POWER_EXIT first; give an eventfd',
  text: ({ device, fd }) => (fd === undefined ? `${device} is in low power already` : `${device}: fd ${fd} is no eventfd`),
});

/** Behind a device's name stands what is no vf_token: -EINVAL. */
export const VF_OPTION: Reason<OfDevice & { readonly name: string }> = reason({
  id: 'vfio-pci/vf-option',
  errno: EINVAL,
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'behind the name of a device comes nothing, or " vf_token=" and a UUID of 36 characters',
  kernel: 'vfio_pci_core_match()',
  wayOut: 'write it as 0000:01:00.1 vf_token=xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx',
  text: ({ device, name }) => `"${name}" is the name of ${device}, and an option that it does not have`,
});

/** Firmware has left the OpRegion of Intel graphics broken: the open is -EINVAL. */
export const IGD_OPREGION: Reason<OfDevice> = reason({
  id: 'vfio-pci/igd',
  errno: EINVAL,
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'the OpRegion and the bridges of Intel graphics are what they should be',
  kernel: 'vfio_pci_igd_init()',
  wayOut: 'there is none: firmware has left them broken',
  text: ({ device }) => `${device}: its OpRegion has no signature or size, or a bridge of the chipset is not Intel's`,
});

/** A region that can only be read is written: -EINVAL. */
export const READ_ONLY_REGION: Reason<{ readonly region: string }> = reason({
  id: 'vfio-pci/read-only-region',
  errno: EINVAL,
  call: 'pwrite of a region of the device\'s own',
  rule: 'the region has the flag WRITE',
  kernel: 'its vfio_pci_regops',
  wayOut: 'look at the flags in VFIO_DEVICE_GET_REGION_INFO',
  text: ({ region }) => `${region} can only be read`,
});

/** `sriov_numvfs` of a device of vfio-pci, with enable_sriov off: -ENOENT. */
export const SRIOV_OFF: Reason<OfDevice> = reason({
  id: 'vfio-pci/sriov-off',
  errno: ENOENT,
  call: 'sysfs sriov_numvfs',
  rule: 'vfio-pci makes VFs only where its parameter enable_sriov is on',
  kernel: 'vfio_pci_sriov_configure()',
  wayOut: 'load vfio-pci with enable_sriov=1',
  text: ({ device }) => `vfio-pci has ${device}, and enable_sriov is off`,
});

/** DMA_BUF with flags or without ranges, -EINVAL, or of a region that is no BAR in use, -ENODEV. */
export const DMA_BUF_REQUEST: Reason<OfDevice & { readonly region: number; readonly count: number; readonly flags: number }> = reason({
  id: 'vfio-pci/dma-buf-request',
  errno: [EINVAL, ENODEV],
  call: 'VFIO_DEVICE_FEATURE_DMA_BUF',
  rule: 'flags are 0, there is a range, and the region is a memory BAR that is claimed',
  kernel: 'vfio_pci_core_feature_dma_buf()',
  wayOut: 'name a BAR with the flag MMAP, and at least one range',
  text: ({ device, region, count, flags }) => `${device}: region ${region}, ${count} ranges, flags ${hex(flags)}`,
});

/**
 * A range of DMA_BUF is not whole pages or leaves the BAR, -EINVAL; leaves the address space, -EOVERFLOW; or there are too many, -ENOMEM.
 */
export const DMA_BUF_RANGE: Reason<OfDevice & { readonly offset: bigint; readonly length: bigint; readonly size: number }> = reason({
  id: 'vfio-pci/dma-buf-range',
  errno: [EINVAL, EOVERFLOW, ENOMEM],
  call: 'VFIO_DEVICE_FEATURE_DMA_BUF',
  rule: 'ranges are whole pages within the BAR, and their sum is a size',
  kernel: 'validate_dmabuf_input()',
  wayOut: 'align offset and length to 4096, and stay within the size of the region',
  text: ({ device, offset, length, size }) => `${device}: offset ${hex(offset)}, length ${hex(length)} of a BAR of ${hex(size)} bytes`,
});

/** A dma-buf's fd is asked for what it does not do: -EINVAL, or -ESPIPE for read and write. */
export const DMA_BUF_CALL: Reason<{ readonly call: string }> = reason({
  id: 'vfio-pci/dma-buf-call',
  errno: [EINVAL, ESPIPE],
  call: 'calls on the fd of a dma-buf',
  rule: 'its size is asked by lseek() to its end, and DMA_BUF_IOCTL_SYNC has a direction; it is not read, written or mapped',
  kernel: 'dma_buf_fops',
  wayOut: 'hand the fd to a driver that imports it',
  text: ({ call }) => `${call} is not for a dma-buf`,
});
