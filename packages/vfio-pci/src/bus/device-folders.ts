/**
 * Folders below a device's own in sysfs: aer, link, power, wakeup; and serial_number. Kernel 7.x: pci_dev_attr_groups, aer_attr_group,
 * aspm_ctrl_attr_group.
 *
 * Not modelled: what is written to them, and the counters of power and wakeup, which are constants.
 */
import { constant } from '@vsim/vfio-core';
import { findExtendedCapability, read16, read32 } from '../pci/capabilities.ts';
import { PCI_EXP_LNKCAP, PCI_EXT_CAP_ID_ERR, PCI_PM_CAP_PME_MASK, PCI_PM_PMC } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';

const PCI_EXT_CAP_ID_DSN = 3;
/** How many messages of a kind go to the log, and in which time: DEFAULT_RATELIMIT_BURST, and its interval in ms at 250 Hz. */
const RATELIMITS: readonly (readonly [name: string, text: string])[] = [
  ['correctable_ratelimit_burst', '10'],
  ['correctable_ratelimit_interval_ms', '1250'],
  ['nonfatal_ratelimit_burst', '10'],
  ['nonfatal_ratelimit_interval_ms', '1250'],
];
const POWER: readonly (readonly [name: string, text: string])[] = [
  ['async', 'enabled'],
  ['autosuspend_delay_ms', ''],
  ['control', 'on'],
  ['runtime_active_kids', '0'],
  ['runtime_active_time', '0'],
  ['runtime_enabled', 'forbidden'],
  ['runtime_status', 'active'],
  ['runtime_suspended_time', '0'],
  ['runtime_usage', '1'],
];
const WAKEUP: readonly (readonly [name: string, text: string])[] = [
  ['wakeup', 'disabled'],
  ...['abort_count', 'active', 'active_count', 'count', 'expire_count', 'last_time_ms', 'max_time_ms', 'total_time_ms'].map((name): [string, string] => [
    `wakeup_${name}`,
    '',
  ]),
];
/** Bits of LNKCAP: a link that both ends can put into L0s, or L1. */
const ASPM: readonly (readonly [name: string, bit: number])[] = [
  ['l0s_aspm', 0x400],
  ['l1_aspm', 0x800],
];

/** @param source number of the device's wakeup source */
export function createDeviceFolders(device: PciDevice, source: number): void {
  const { files, profile } = device.host;
  if (!profile.serialNumberAttribute) {
    files.constant(`${device.sysfs}/power/runtime_status`, () => (device.suspended === undefined ? 'active\n' : 'suspended\n'));
    return;
  }
  const { bytes } = device.function.config;
  const serial = findExtendedCapability(bytes, PCI_EXT_CAP_ID_DSN);
  if (serial !== 0) files.constant(`${device.sysfs}/serial_number`, `${serialNumber(bytes.subarray(serial + 4, serial + 12))}\n`);
  folder(device, 'aer', findExtendedCapability(bytes, PCI_EXT_CAP_ID_ERR) === 0 ? [] : RATELIMITS);
  folder(device, 'link', ASPM.filter(([, bit]) => linkHas(device, bit)).map(([name]) => [name, '0']));
  folder(device, 'power', POWER);
  if (device.pm !== 0 && (read16(bytes, device.pm + PCI_PM_PMC) & PCI_PM_CAP_PME_MASK) !== 0) createWakeupFiles(device);
  folder(device, 'wakeup', []);
  if (!device.isVirtual) files.folder(`${device.sysfs}/wakeup/wakeup${source}`);
}

/**
 * device_set_wakeup_capable(): the device can wake the machine, as it has PME#, or as the PME service of a root port found it below.
 * Kernel: pci_pm_init(), pcie_pme_mark_devices().
 */
export function createWakeupFiles(device: PciDevice): void {
  const { files, profile } = device.host;
  if (profile.serialNumberAttribute && files.lookup(`${device.sysfs}/power/wakeup`) === undefined) folder(device, 'power', WAKEUP);
}

function folder({ host, sysfs }: PciDevice, name: string, lines: readonly (readonly [string, string])[]): void {
  host.files.folder(`${sysfs}/${name}`);
  for (const [file, text] of lines) host.files.add(`${sysfs}/${name}/${file}`, { kind: 'attribute', mode: 0o644, show: () => constant(`${text}\n`) });
}

/** Eight bytes, the highest first. */
function serialNumber(bytes: Uint8Array): string {
  return [...bytes].reverse().map((byte) => byte.toString(16).padStart(2, '0')).join('-');
}

/** Whether the link above a device has a power state at both of its ends. */
function linkHas(device: PciDevice, bit: number): boolean {
  const port = device.bus.bridgeOf(device);
  const has = ({ express, function: fn }: PciDevice): boolean => express !== 0 && (read32(fn.config.bytes, express + PCI_EXP_LNKCAP) & bit) !== 0;
  return port !== undefined && has(port) && has(device);
}
