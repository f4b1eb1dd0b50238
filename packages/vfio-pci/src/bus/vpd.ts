/**
 * Vital product data as the kernel reads and writes it: pci_read_vpd(), pci_write_vpd(). An access that never ends has failed at once here.
 */
import { bytesToEnd, eventKind, isInside, type EventKind } from '@vsim/vfio-core';
import { read32 } from '../pci/capabilities.ts';
import { PCI_VPD_ADDR, PCI_VPD_ADDR_F, PCI_VPD_DATA } from '../pci/registers.ts';
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

/**
 * The dword at an address, 0 past the end of the data; undefined if the device has none or does not answer.
 *
 * @param address bytes from the start of the data
 */
export function readVpd(device: PciDevice, address: number): number | undefined {
  const length = vpdLength(device);
  if (length === undefined) return undefined;
  const bytes = new Uint8Array(4);
  return readBytes(device, address, bytes.subarray(0, Math.max(0, bytesToEnd(0, length, address)))) ? read32(bytes, 0) : undefined;
}

/**
 * Stores a dword.
 *
 * @param address bytes from the start of the data
 * @param value 32 bits
 * @returns whether it was stored: not if the address is unaligned or past the end
 */
export function writeVpd(device: PciDevice, address: number, value: number): boolean {
  const length = vpdLength(device);
  if (length === undefined || address % 4 !== 0 || !isInside(address, 4, 0, length)) return false;
  device.function.configWrite(device.vpd + PCI_VPD_DATA, 4, value);
  return turns(device, address | PCI_VPD_ADDR_F);
}

/** Where the resource tags end: found at the first use. Undefined: no data, or none that begins with a tag. */
function vpdLength(device: PciDevice): number | undefined {
  if (device.vpd === 0) return undefined;
  device.vpdLength ??= findEnd(device);
  return device.vpdLength === 0 ? undefined : device.vpdLength;
}

function findEnd(device: PciDevice): number {
  const head = new Uint8Array(3);
  for (let at = 0; at < MAX; ) {
    if (!readBytes(device, at, head.subarray(0, 1))) return at;
    const tag = head[0]!;
    if (at === 0 && (tag === 0 || tag === 0xff)) return 0;
    const large = (tag & LARGE) !== 0;
    if (large && !readBytes(device, at + 1, head.subarray(1))) return at;
    const length = large ? 3 + head[1]! + 0x100 * head[2]! : 1 + (tag & 7);
    if (at + length > MAX) return at;
    at += length;
    if (!large && tag >> 3 === END_TAG) return at;
  }
  return MAX;
}

/** One access for each dword that the bytes lie in. */
function readBytes(device: PciDevice, address: number, into: Uint8Array): boolean {
  for (let i = 0; i < into.length; i += 1) {
    const at = address + i;
    if ((i === 0 || at % 4 === 0) && !turns(device, at & ~3)) return false;
    into[i] = device.function.configRead(device.vpd + PCI_VPD_DATA + (at & 3), 1);
  }
  return true;
}

/** Starts an access and sees whether the flag turns. */
function turns(device: PciDevice, address: number): boolean {
  const { function: fn, vpd, host } = device;
  fn.configWrite(vpd + PCI_VPD_ADDR, 2, address);
  const done = ((fn.configRead(vpd + PCI_VPD_ADDR, 2) ^ address) & PCI_VPD_ADDR_F) !== 0;
  if (!done) host.trace.emit(VPD_FAILED, { device: device.name, address: address & ~PCI_VPD_ADDR_F });
  return done;
}
