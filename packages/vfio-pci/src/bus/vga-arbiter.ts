import { ENODEV, ENOMEM, type BusEvent, type BusListener, type FaultPoint } from '@vsim/vfio-core';
import { PCI_CLASS_DISPLAY_VGA } from '../pci/registers.ts';
import type { PciDevice } from './pci-device.ts';
import { classOf } from './class-of.ts';

/** Bit 0: the ports 0x3b0 to 0x3bb and 0x3c0 to 0x3df. Resources of a VGA device are bits: linux/vgaarb.h. */
export const VGA_RSRC_LEGACY_IO = 0x01;
/** Bit 1: memory from 0xa0000 to 0xbffff. */
export const VGA_RSRC_LEGACY_MEM = 0x02;
/** Bit 2: ports of the device's own BARs. */
export const VGA_RSRC_NORMAL_IO = 0x04;
/** Bit 3: memory of the device's own BARs. */
export const VGA_RSRC_NORMAL_MEM = 0x08;
/** All four resources. */
export const VGA_RSRC_ALL = 0x0f;
const LEGACY: number = VGA_RSRC_LEGACY_IO | VGA_RSRC_LEGACY_MEM;

/** No memory for a VGA device that appears: the arbiter never hears of it. */
export const VGA_ARBITER_ALLOCATION: FaultPoint = { fault: 'pci/vga-arbiter-allocation', error: ENOMEM };

/** Asked of a client: the resources that its device decodes. `single`: it is the only VGA device. */
export type VgaDecode = (single: boolean) => number;

interface Arbitrated {
  decodes: number;
  decode: VgaDecode | undefined;
}

/** Whether the class is a VGA compatible controller, 0x0300. */
export function isVga(device: PciDevice): boolean {
  return classOf(device) >>> 8 === PCI_CLASS_DISPLAY_VGA;
}

/**
 * The VGA arbiter: which VGA device answers to the legacy addresses that all of them have. Kernel: drivers/pci/vgaarb.c.
 *
 * Modelled: who decodes what, clients that are asked what they decode when the number of VGA devices changes, the first use. Not modelled:
 * the routing itself (bridge windows, decoding switched off in the others), locks held over more than one access, /dev/vga_arbiter, the
 * default device.
 */
export class VgaArbiter implements BusListener<PciDevice> {
  readonly #devices = new Map<PciDevice, Arbitrated>();
  #used = false;

  /**
   * A VGA device appears or goes: clients are asked what they decode. Where there is no memory for a new one (VGA_ARBITER_ALLOCATION) it is
   * not arbitrated.
   */
  busEvent(event: BusEvent, device: PciDevice): void {
    if (event === 'add' && isVga(device) && device.host.faults.at(VGA_ARBITER_ALLOCATION) === 0) {
      this.#devices.set(device, { decodes: VGA_RSRC_ALL, decode: undefined });
    } else if (event !== 'del' || !this.#devices.delete(device)) return;
    this.notifyClients();
  }

  /** VGA devices that answer to legacy addresses: vga_decode_count. */
  get legacyDecoders(): number {
    return [...this.#devices.values()].filter(({ decodes }) => (decodes & LEGACY) !== 0).length;
  }

  /** What a device decodes; undefined for one that is not arbitrated. */
  decodes(device: PciDevice): number | undefined {
    return this.#devices.get(device)?.decodes;
  }

  /** Whether somebody answers for what the device decodes. */
  hasClient(device: PciDevice): boolean {
    return this.#devices.get(device)?.decode !== undefined;
  }

  /** vga_client_register(); undefined takes the client away. @returns 0, or -ENODEV for a device that is not arbitrated */
  setClient(device: PciDevice, decode: VgaDecode | undefined): number {
    const held = this.#devices.get(device);
    if (held === undefined) return -ENODEV;
    held.decode = decode;
    return 0;
  }

  /** vga_set_legacy_decoding(). @param decodes VGA_RSRC_* bits, of which the legacy ones count */
  setLegacyDecoding(device: PciDevice, decodes: number): void {
    const held = this.#devices.get(device);
    if (held !== undefined) held.decodes = decodes & LEGACY;
  }

  /** vga_get() and vga_put() around one access. @returns 0, or -ENODEV for a device that is not arbitrated */
  access(device: PciDevice): number {
    if (!this.#used) {
      this.#used = true;
      this.notifyClients();
    }
    return this.#devices.has(device) ? 0 : -ENODEV;
  }

  /** vga_arbiter_notify_clients(): each client says anew what it decodes. Nothing happens before the arbiter is used. */
  notifyClients(): void {
    if (!this.#used) return;
    for (const held of [...this.#devices.values()]) {
      if (held.decode !== undefined) held.decodes = held.decode(this.#devices.size === 1);
    }
  }
}
