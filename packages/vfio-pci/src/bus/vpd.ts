/** Vital product data as the kernel reads and writes it: pci_read_vpd(), pci_write_vpd(). An access that never ends has failed at once here. */
import { eventKind, type EventKind } from '@vsim/vfio-core';
import { findCapability } from '../pci/capabilities.ts';
import { PCI_CAP_ID_VPD, PCI_VPD_ADDR, PCI_VPD_ADDR_F, PCI_VPD_DATA } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';

/** The device did not turn the flag in time. */
export const VPD_FAILED: EventKind<{ readonly device: string; readonly address: number }> = eventKind(
  'pci/vpd-failed',
  'warn',
  ({ device, address }) => `${device}: VPD access at ${address} did not end`,
);

const MAX = 0x8000;
const LARGE = 0x80;
const END_TAG = 0x0f;

/** The dword at `address`, 0 past the end of the data; undefined if the device has none or does not answer. */
export function readVpd(device: PciDevice, address: number): number | undefined {
  const length = vpdLength(device);
  if (length === undefined) return undefined;
  let value = 0;
  for (let i = Math.min(4, length - address) - 1; i >= 0; i -= 1) {
    const byte = readByte(device, address + i);
    if (byte === undefined) return undefined;
    value = value * 0x100 + byte;
  }
  return value;
}

/** Stores a dword. @returns whether it was stored: not if the address is unaligned or past the end */
export function writeVpd(device: PciDevice, address: number, value: number): boolean {
  const length = vpdLength(device);
  if (length === undefined || address % 4 !== 0 || address + 4 > length) return false;
  const at = findCapability(device.function.config.bytes, PCI_CAP_ID_VPD);
  device.function.configWrite(at + PCI_VPD_DATA, 4, value);
  return turns(device, at, address | PCI_VPD_ADDR_F);
}

/** Where the resource tags end: found at the first use. Undefined: no data, or none that begins with a tag. */
function vpdLength(device: PciDevice): number | undefined {
  if (findCapability(device.function.config.bytes, PCI_CAP_ID_VPD) === 0) return undefined;
  device.vpdLength ??= findEnd(device);
  return device.vpdLength === 0 ? undefined : device.vpdLength;
}

function findEnd(device: PciDevice): number {
  for (let at = 0; at < MAX; ) {
    const tag = readByte(device, at);
    if (tag === undefined || (at === 0 && (tag === 0 || tag === 0xff))) return at;
    let length = 1 + (tag & 7);
    if ((tag & LARGE) !== 0) {
      const low = readByte(device, at + 1);
      const high = readByte(device, at + 2);
      if (low === undefined || high === undefined) return at;
      length = 3 + low + 0x100 * high;
    }
    if (at + length > MAX) return at;
    at += length;
    if ((tag & LARGE) === 0 && tag >> 3 === END_TAG) return at;
  }
  return MAX;
}

function readByte(device: PciDevice, address: number): number | undefined {
  const at = findCapability(device.function.config.bytes, PCI_CAP_ID_VPD);
  if (!turns(device, at, address & ~3)) return undefined;
  return device.function.configRead(at + PCI_VPD_DATA + (address & 3), 1);
}

/** Starts an access and sees whether the flag turns. */
function turns(device: PciDevice, at: number, address: number): boolean {
  device.function.configWrite(at + PCI_VPD_ADDR, 2, address);
  const done = ((device.function.configRead(at + PCI_VPD_ADDR, 2) ^ address) & PCI_VPD_ADDR_F) !== 0;
  if (!done) device.host.trace.emit(VPD_FAILED, { device: device.name, address: address & ~PCI_VPD_ADDR_F });
  return done;
}
