import { read32 } from '../pci/capabilities.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PCI_REVISION_ID } from '../pci/registers.ts';

/** Base class, subclass and interface: the 24 bits behind Revision ID. */
export function classOf(device: { readonly function: PciFunction }): number {
  return read32(device.function.config.bytes, PCI_REVISION_ID) >>> 8;
}
