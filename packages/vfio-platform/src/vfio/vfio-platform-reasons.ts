/** Why vfio-platform and vfio-amba refuse: probe, open, reset, interrupts. */
import { EACCES, EBUSY, EINVAL, EIO, ENODATA, ENOENT, ENOMEM, ETIMEDOUT, errnoName, reason, type Reason } from '@vsim/vfio-core';
import type { Trigger } from '../fdt/interrupts.ts';

interface OfDevice {
  readonly device: string;
}

/** The firmware names the device by no ACPI hardware id and no compatible string: bind is -EINVAL, or -ENODATA for an empty property. */
export const UNIDENTIFIED: Reason<OfDevice & { readonly acpi: string | undefined; readonly compatible: readonly string[] | undefined }> = reason({
  id: 'vfio-platform/unidentified',
  errno: [EINVAL, ENODATA],
  call: 'sysfs bind',
  rule: 'the firmware gives the device an ACPI hardware id, or the property compatible with at least one string',
  kernel: 'vfio_platform_acpi_probe(), vfio_platform_of_probe()',
  wayOut: 'describe the device in the firmware: its reset function is looked for by that name',
  text: ({ device, acpi, compatible }) => `${device} has ${acpi === undefined ? 'no ACPI companion' : `the ACPI hardware id "${acpi}"`}, and ${compatible === undefined ? 'no property compatible' : `${compatible.length} strings in compatible`}`,
});

/** Also what the kernel prints where it looks for a reset function in vain. */
export const NO_RESET: Reason<OfDevice> = reason({
  id: 'vfio-platform/no-reset',
  errno: [ENOENT, EINVAL],
  call: 'sysfs bind, VFIO_DEVICE_RESET',
  rule: 'the device has a reset function: _RST, or a module for its first compatible string',
  kernel: 'vfio_platform_get_reset(), vfio_platform_ioctl()',
  wayOut: 'install a reset module for the device, or load vfio-platform with reset_required=0',
  text: ({ device }) => `no reset function is found for ${device}`,
});

/** The reset function answers an errno: VFIO_DEVICE_RESET, and where a reset is required the first open, answer it too. */
export const RESET_ERROR: Reason<OfDevice & { readonly error: number }> = reason({
  id: 'vfio-platform/reset-error',
  errno: [EINVAL, EIO, ENOMEM, ETIMEDOUT],
  call: 'VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_RESET',
  rule: 'the reset function of the device succeeds; at the first open only where it is required',
  kernel: 'vfio_platform_call_reset()',
  wayOut: 'see why the hardware does not answer, or load vfio-platform with reset_required=0',
  text: ({ device, error }) => `the reset function of ${device} answers ${errnoName(-error)}`,
});

/** The first open cannot wake the device: -EACCES before the probe has ended, -EIO or -EINVAL after a failed resume(). */
export const NOT_AWAKE: Reason<OfDevice & { readonly status: string }> = reason({
  id: 'vfio-platform/not-awake',
  errno: [EACCES, EINVAL, EIO],
  call: 'VFIO_GROUP_GET_DEVICE_FD',
  rule: 'runtime power management is on, which the probe does last, and wakes the device',
  kernel: 'vfio_platform_open_device(): pm_runtime_get_sync()',
  wayOut: 'open it again when the bind has returned; where the status is error, bind it anew',
  text: ({ device, status }) => `the runtime status of ${device} is ${status}`,
});

/**
 * SET_IRQS on an interrupt that request_irq() refused: -EBUSY where its line is taken, -EINVAL for a chained one or a trigger that SPIs do
 * not know.
 */
export const IRQ_NOT_GRANTED: Reason<OfDevice & { readonly index: number; readonly line: number; readonly trigger: Trigger }> = reason({
  id: 'vfio-platform/irq-not-granted',
  errno: [EBUSY, EINVAL],
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'the kernel was granted the interrupt at the first open (5.13: now): nobody else has its line, and the GIC knows its trigger',
  kernel: 'vfio_platform_irq_init(), vfio_set_trigger(): request_irq()',
  wayOut: 'close the device, see to it that the line has no other user, and open it again',
  text: ({ device, index, line, trigger }) => `interrupt ${index} of ${device} is line ${line} (${trigger}), which was not to be had`,
});

/** A second eventfd for the same action, mask or unmask, is -EBUSY until the first is taken away. */
export const MASK_TAKEN: Reason<OfDevice & { readonly index: number; readonly action: 'mask' | 'unmask' }> = reason({
  id: 'vfio-platform/mask-taken',
  errno: EBUSY,
  call: 'VFIO_DEVICE_SET_IRQS',
  rule: 'an interrupt has one eventfd that masks it, and one that unmasks it',
  kernel: 'vfio_virqfd_enable()',
  wayOut: 'take the first away: the same action with DATA_EVENTFD and fd -1',
  text: ({ device, index, action }) => `interrupt ${index} of ${device} has an eventfd to ${action} it`,
});
