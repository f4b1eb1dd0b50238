/** Why the driver core and attributes in sysfs refuse what is written. Kernel: drivers/base/. */
import { reason, type Reason } from '../host/reason.ts';
import { EAGAIN, EBUSY, EINVAL, EIO, ENODEV } from '../uapi/errno.ts';

const BIND = 'sysfs bind';

/**
 * Refusal of sysfs bind, unbind, drivers_probe (ENODEV). The rule: what is written is the name of a device on the bus. Kernel:
 * bus_find_device_by_name().
 */
export const NO_DEVICE: Reason<{ readonly bus: string; readonly name: string }> = reason({
  id: 'sysfs/no-device',
  errno: ENODEV,
  call: 'sysfs bind, unbind, drivers_probe',
  rule: 'what is written is the name of a device on the bus',
  kernel: 'bus_find_device_by_name()',
  wayOut: 'look into the devices folder of the bus; PCI devices have their domain in the name: 0000:01:00.0',
  text: ({ bus, name }) => `bus ${bus} has no device "${name}"`,
});

/**
 * Refusal of sysfs bind (ENODEV). The rule: the driver knows the ids of the device, and driver_override, where set, names the driver.
 * Kernel: driver_match_device().
 */
export const NO_MATCH: Reason<{ readonly device: string; readonly driver: string; readonly override: string | undefined }> = reason({
  id: 'sysfs/no-match',
  errno: ENODEV,
  call: BIND,
  rule: 'the driver knows the ids of the device, and driver_override, where set, names the driver',
  kernel: 'driver_match_device()',
  wayOut: 'write the name of the driver to driver_override of the device, and bind again',
  text: ({ device, driver, override }) =>
    override === undefined || override === driver ? `${driver} does not know ${device}` : `driver_override of ${device} is "${override}", not ${driver}`,
});

/** Refusal of sysfs bind (EBUSY or ENODEV). The rule: the device has no driver yet. Kernel: bind_store(), device_driver_attach(). */
export const HAS_DRIVER: Reason<{ readonly device: string; readonly driver: string }> = reason({
  id: 'sysfs/has-driver',
  errno: [EBUSY, ENODEV],
  call: BIND,
  rule: 'the device has no driver yet',
  kernel: 'bind_store(), device_driver_attach()',
  wayOut: "write its name to driver/unbind of the device's folder first",
  text: ({ device, driver }) => `${device} is bound to ${driver}`,
});

/** Refusal of sysfs unbind (ENODEV). The rule: the device is bound to this driver. Kernel: unbind_store(). */
export const NOT_BOUND: Reason<{ readonly device: string; readonly driver: string; readonly bound: string | undefined }> = reason({
  id: 'sysfs/not-bound',
  errno: ENODEV,
  call: 'sysfs unbind',
  rule: 'the device is bound to this driver',
  kernel: 'unbind_store()',
  wayOut: 'write to unbind of the driver that the link driver of the device leads to',
  text: ({ device, driver, bound }) => `${device} is bound to ${bound ?? 'no driver'}, not to ${driver}`,
});

/**
 * Refusal of sysfs drivers_probe (EINVAL). The rule: the registers of an AMBA device say what it is, or its node does. Kernel:
 * amba_match(): -EPROBE_DEFER.
 */
export const NOT_IDENTIFIED: Reason<{ readonly device: string }> = reason({
  id: 'sysfs/not-identified',
  errno: EINVAL,
  call: 'sysfs drivers_probe',
  rule: 'the registers of an AMBA device say what it is, or its node does',
  kernel: 'amba_match(): -EPROBE_DEFER',
  wayOut: 'give the node arm,primecell-periphid; or write to bind of the driver, which does not ask',
  text: ({ device }) => `nobody can tell what ${device} is`,
});

/**
 * Refusal of sysfs bind, drivers_probe (EBUSY, EINVAL or ENODEV). The rule: a driver of its own does not bind to a device whose group is in
 * a container. Kernel: iommu_device_use_default_domain().
 */
export const DMA_CLAIMED: Reason<{ readonly device: string; readonly driver: string; readonly group: number }> = reason({
  id: 'sysfs/dma-claimed',
  errno: [EBUSY, EINVAL, ENODEV],
  call: 'sysfs bind, drivers_probe',
  rule: 'a driver of its own does not bind to a device whose group is in a container',
  kernel: 'iommu_device_use_default_domain()',
  wayOut: 'first end the user of the group: close its devices, its group and its container',
  text: ({ device, driver, group }) => `${driver} does not get ${device}: the DMA of group ${group} is a user's`,
});

/** Refusal of rmmod (EAGAIN). The rule: nobody uses the module. Kernel: try_stop_module(). */
export const MODULE_USED: Reason<{ readonly driver: string; readonly users: number }> = reason({
  id: 'sysfs/module-used',
  errno: EAGAIN,
  call: 'rmmod',
  rule: 'nobody uses the module',
  kernel: 'try_stop_module()',
  wayOut: 'close what is open of its devices first',
  text: ({ driver, users }) => `${driver} has ${users} users`,
});

/** Refusal of write of an attribute (EINVAL). The rule: what is written is what the attribute takes. Kernel: kstrtoul(), kstrtobool(). */
export const BAD_VALUE: Reason<{ readonly attribute: string; readonly text: string; readonly wants: string }> = reason({
  id: 'sysfs/bad-value',
  errno: EINVAL,
  call: 'write of an attribute',
  rule: 'what is written is what the attribute takes',
  kernel: 'kstrtoul(), kstrtobool()',
  wayOut: 'write one value, with or without a newline',
  text: ({ attribute, text, wants }) => `${attribute} takes ${wants}, not ${JSON.stringify(text)}`,
});

/**
 * Refusal of read and write of sysfs power/autosuspend_delay_ms (EIO). The rule: the driver of the device suspends it after a delay; none
 * here does. Kernel: autosuspend_delay_ms_show(), autosuspend_delay_ms_store().
 */
export const NO_AUTOSUSPEND: Reason<{ readonly device: string }> = reason({
  id: 'sysfs/no-autosuspend',
  errno: EIO,
  call: 'read and write of sysfs power/autosuspend_delay_ms',
  rule: 'the driver of the device suspends it after a delay; none here does',
  kernel: 'autosuspend_delay_ms_show(), autosuspend_delay_ms_store()',
  wayOut: 'write on or auto to power/control',
  text: ({ device }) => `${device} is suspended at once, or never`,
});
