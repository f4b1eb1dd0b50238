/** Base address registers: what one decodes, and how its register behaves. Reference: PCI Local Bus 3.0, 6.2.5. */
import { read32, write32 } from './capabilities.ts';
import {
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_MEM_PREFETCH,
  PCI_BASE_ADDRESS_MEM_TYPE_64,
  PCI_BASE_ADDRESS_SPACE_IO,
  PCI_ROM_ADDRESS,
  PCI_ROM_ADDRESS_ENABLE,
  PCI_ROM_RESOURCE,
} from './registers.ts';

export type BarKind = 'mem32' | 'mem64' | 'io';

/** A range that a function decodes. Index 6 is the expansion ROM. */
export interface Bar {
  readonly index: number;
  readonly kind: BarKind;
  readonly prefetchable: boolean;
  /** In bytes: a power of two, except for a shadowed ROM. */
  readonly size: number;
  /** Where the machine put it: a physical address or an I/O port; 0 is nowhere. */
  address: number;
  /** The image lies in RAM, where firmware copied it, and the register decodes nothing. */
  readonly shadow: boolean;
}

/** Offset of the register. */
export function barRegister(index: number): number {
  return index === PCI_ROM_RESOURCE ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * index;
}

/** The type bits in the register's low nibble. */
export function barFlags(bar: Bar): number {
  if (bar.index === PCI_ROM_RESOURCE) return 0;
  if (bar.kind === 'io') return PCI_BASE_ADDRESS_SPACE_IO;
  return (bar.kind === 'mem64' ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) | (bar.prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

/** Writable bits of the register's low 32 bits: those above the size. */
export function barMask(bar: Bar): number {
  const mask = bar.size >= 0x1_0000_0000 ? 0 : (-bar.size >>> 0);
  return bar.index === PCI_ROM_RESOURCE ? (mask | PCI_ROM_ADDRESS_ENABLE) >>> 0 : mask;
}

/** Writable bits of the second register of a 64-bit BAR. */
export function barMaskHigh(bar: Bar): number {
  return bar.size > 0x1_0000_0000 ? -(bar.size / 0x1_0000_0000) >>> 0 : 0xffff_ffff;
}

/** The address that the register holds now. */
export function barAddress(config: Uint8Array, bar: Bar): number {
  const at = barRegister(bar.index);
  const low = (read32(config, at) & barMask(bar) & ~PCI_ROM_ADDRESS_ENABLE) >>> 0;
  return bar.kind === 'mem64' ? read32(config, at + 4) * 0x1_0000_0000 + low : low;
}

/** Stores an address in the register, as firmware or the kernel's resource allocator does. */
export function setBarAddress(config: Uint8Array, bar: Bar, address: number): void {
  const at = barRegister(bar.index);
  write32(config, at, (address % 0x1_0000_0000) + barFlags(bar));
  if (bar.kind === 'mem64') write32(config, at + 4, Math.floor(address / 0x1_0000_0000));
}
