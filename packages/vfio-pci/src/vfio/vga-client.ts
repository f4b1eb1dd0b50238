/** vfio-pci as a client of the VGA arbiter: what a VGA device in a user's hands decodes. */
import {
  VGA_RSRC_ALL,
  VGA_RSRC_LEGACY_IO,
  VGA_RSRC_LEGACY_MEM,
  VGA_RSRC_NORMAL_IO,
  VGA_RSRC_NORMAL_MEM,
  isVga,
} from '../bus/vga-arbiter.ts';
import type { PciDevice } from '../bus/pci-device.ts';

/**
 * The decode callback. Everything, if the device is the only one, VGA access is on, or it is on a root bus; else its own resources, and
 * the legacy ones only if another VGA device of the domain, that is on no root bus, lies on its bus or below.
 */
export function vgaDecodes(device: PciDevice, single: boolean, disableVga: boolean): number {
  const { bus } = device;
  if (single || !disableVga || bus.bridgeOf(device) === undefined) return VGA_RSRC_ALL;
  const { address } = device.function;
  const last = bus.lastBusNumber(device);
  const near = bus.devices.some((other) => {
    if (other === device || !isVga(other) || bus.bridgeOf(other) === undefined) return false;
    const { domain, bus: number } = other.function.address;
    return domain === address.domain && number >= address.bus && number <= last;
  });
  return VGA_RSRC_NORMAL_IO | VGA_RSRC_NORMAL_MEM | (near ? VGA_RSRC_LEGACY_IO | VGA_RSRC_LEGACY_MEM : 0);
}

/** Registers the client, and has the arbiter know at once what it decodes. @returns 0, or -ENODEV */
export function addVgaClient(device: PciDevice, decode: (single: boolean) => number): number {
  const { vga } = device.bus;
  const error = vga.setClient(device, decode);
  if (error === 0) vga.setLegacyDecoding(device, decode(false));
  return error;
}

/** Takes the client away; the device answers to the legacy addresses again, as for a driver that knows nothing of the arbiter. */
export function removeVgaClient(device: PciDevice): void {
  const { vga } = device.bus;
  vga.setClient(device, undefined);
  vga.setLegacyDecoding(device, VGA_RSRC_ALL);
}
