/** Why vfio-pci does not take a device, before its probe begins. */
import { EBUSY, EINVAL, ENODEV, eventKind, reason, type EventKind, type Reason } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';

/** Probe refused a device: the rule, and what would help. */
export const PROBE_REFUSED: Reason<{ readonly device: string; readonly rule: string; readonly help: string; readonly error: number }> = reason({
  id: 'vfio-pci/probe-refused',
  errno: [EINVAL, EBUSY, ENODEV],
  call: 'sysfs bind',
  rule: 'the device is not denied by its makers, no bridge, and no PF that has VFs',
  kernel: 'vfio_pci_probe(), vfio_pci_core_register_device()',
  wayOut: 'see there which of them it is',
  text: ({ device, rule, help }) => `${device}: ${rule}: ${help}`,
});
/** The kernel's warning: a denied device is bound all the same, as disable_denylist says. */
export const DENYLIST_DISABLED: EventKind<{ readonly device: string }> = eventKind(
  'vfio-pci/denylist-disabled',
  'warn',
  ({ device }) => `${device}: known to be unsafe, allowed by disable_denylist`,
);

/** Intel QuickAssist devices whose isolation is broken: C3XXX, C62X, DH895XCC and their VFs. */
const DENIED: ReadonlySet<number> = new Set([0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443]);

/** The checks before the first step of probe. @returns 0, -EINVAL, -EBUSY */
export function refusal(device: PciDevice, disableDenylist: boolean): number {
  const denied = device.vendor === 0x8086 && DENIED.has(device.deviceId);
  if (denied && !disableDenylist) {
    return refuse(device, 'its makers say that it is not isolated', 'load the module with disable_denylist=1 to take it all the same', EINVAL);
  }
  if (denied) device.host.trace.emit(DENYLIST_DISABLED, { device: device.name });
  if (device.function.isBridge) {
    return refuse(device, 'a bridge is not given to users', 'bind the devices behind it; a bridge does not stand in the way of its group', EINVAL);
  }
  if (device.virtualFunctions > 0) {
    return refuse(device, 'it has VFs, which its user could disturb', `write 0 to ${device.sysfs}/sriov_numvfs first`, EBUSY);
  }
  return 0;
}

/** Tells of a refusal. @returns the negative errno */
function refuse(device: PciDevice, rule: string, help: string, error: number): number {
  return device.host.refusals.refuse(PROBE_REFUSED, { device: device.name, rule, help, error: -error }, error);
}
