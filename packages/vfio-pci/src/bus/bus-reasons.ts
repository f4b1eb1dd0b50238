/** Why the PCI core refuses what is written to sysfs. Kernel: drivers/pci/. */
import { EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOTTY, ERANGE, reason, type Reason } from '@vsim/vfio-core';

interface OfDevice {
  readonly device: string;
}

/** More VFs are written to `sriov_numvfs` than the PF can have: -ERANGE. */
export const NUMVFS_RANGE: Reason<OfDevice & { readonly wanted: number; readonly total: number }> = reason({
  id: 'pci/numvfs-range',
  errno: ERANGE,
  call: 'sysfs sriov_numvfs',
  rule: 'there are at most as many VFs as sriov_totalvfs says',
  kernel: 'sriov_numvfs_store()',
  wayOut: 'write a number up to sriov_totalvfs',
  text: ({ device, wanted, total }) => `${wanted} VFs are wanted of ${device}, which has ${total} at most`,
});

/** A PF that has VFs is given another number of them than 0: -EBUSY. */
export const NUMVFS_SET: Reason<OfDevice & { readonly wanted: number; readonly count: number }> = reason({
  id: 'pci/numvfs-set',
  errno: EBUSY,
  call: 'sysfs sriov_numvfs',
  rule: 'the number of VFs changes only from and to 0',
  kernel: 'sriov_numvfs_store()',
  wayOut: 'write 0 first',
  text: ({ device, wanted, count }) => `${wanted} VFs are wanted of ${device}, which has ${count}`,
});

/** The PF has no driver, or one that makes no VFs: -ENOENT, and -ENODEV of vfio-pci for a device that is not registered. */
export const NUMVFS_DRIVER: Reason<OfDevice & { readonly driver: string | undefined }> = reason({
  id: 'pci/numvfs-driver',
  errno: [ENOENT, ENODEV],
  call: 'sysfs sriov_numvfs',
  rule: 'the PF has a driver that can make VFs',
  kernel: 'sriov_numvfs_store()',
  wayOut: "bind the PF to its host driver, or to vfio-pci with enable_sriov=1",
  text: ({ device, driver }) => `${device} is bound to ${driver ?? 'no driver'}, which makes no VFs`,
});

/** The model of the PF makes no VFs: -ENOTTY, as hardware that fails. */
export const NUMVFS_HARDWARE: Reason<OfDevice & { readonly wanted: number }> = reason({
  id: 'pci/numvfs-hardware',
  errno: ENOTTY,
  call: 'sysfs sriov_numvfs',
  rule: 'the hardware makes the VFs (how this model does it: the function has a model for them)',
  kernel: 'pci_iov_add_virtfn()',
  wayOut: 'give the function a makeVirtualFunction()',
  text: ({ device, wanted }) => `${device} does not make ${wanted} VFs`,
});

/** No reset method works, or the link does not come back: -ENOTTY. */
export const RESET_FAILED: Reason<OfDevice & { readonly methods: readonly string[] }> = reason({
  id: 'pci/reset-failed',
  errno: ENOTTY,
  call: 'sysfs reset, VFIO_DEVICE_PCI_HOT_RESET',
  rule: 'one of the methods in reset_method works, and the device and its link come back',
  kernel: '__pci_reset_function_locked(), pci_reset_bus()',
  wayOut: 'see whether the device is still there; write another method to reset_method',
  text: ({ device, methods }) => `${device}: ${methods.length === 0 ? 'there is no method' : `${methods.join(', ')} did not work`}`,
});

/** What is written to `new_id` the driver knows already: -EEXIST. */
export const ID_KNOWN: Reason<{ readonly driver: string; readonly id: string }> = reason({
  id: 'pci/id-known',
  errno: EEXIST,
  call: 'sysfs new_id',
  rule: 'the driver does not know the id yet',
  kernel: 'new_id_store()',
  wayOut: 'write the device to bind of the driver: its id is known',
  text: ({ driver, id }) => `${driver} knows ${id}`,
});

/** What is written to `remove_id` was never added: -ENODEV. */
export const ID_UNKNOWN: Reason<{ readonly driver: string; readonly id: string }> = reason({
  id: 'pci/id-unknown',
  errno: ENODEV,
  call: 'sysfs remove_id',
  rule: 'the id was added by new_id',
  kernel: 'remove_id_store()',
  wayOut: 'write the same fields as to new_id',
  text: ({ driver, id }) => `${driver} was given no id ${id}`,
});

/** pcieport does not take a bridge that is no root port and no port of a switch: -EINVAL. */
export const NOT_PORT: Reason<OfDevice & { readonly type: number | undefined }> = reason({
  id: 'pci/not-port',
  errno: EINVAL,
  call: 'sysfs bind',
  rule: 'pcieport takes root ports, and the ports of switches',
  kernel: 'pcie_portdrv_probe()',
  wayOut: 'leave other bridges without a driver, or bind them to vfio-pci or pci-stub',
  text: ({ device, type }) => (type === undefined ? `${device} has no PCI Express capability` : `${device} is of PCI Express type ${type}`),
});

/** A slot's `power` is written as it is already, -EINVAL, or switched on without a card that comes up, -ENODEV. */
export const SLOT_STATE: Reason<{ readonly slot: string; readonly state: string; readonly wanted: string }> = reason({
  id: 'pci/slot-state',
  errno: [EINVAL, ENODEV],
  call: 'sysfs slots/N/power',
  rule: 'a slot is switched on when it is off, and off when it is on, and there is a card that comes up',
  kernel: 'pciehp_sysfs_enable_slot(), pciehp_sysfs_disable_slot()',
  wayOut: 'read power first, and see in adapter whether there is a card',
  text: ({ slot, state, wanted }) => `${slot} is ${state}, and ${wanted} is written`,
});
