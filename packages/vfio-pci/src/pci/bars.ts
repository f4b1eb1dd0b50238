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

/** The last that is no ROM. */
const LAST_BAR = 5;

/** Memory of 32 or 64 bits, or I/O ports. A 64-bit BAR takes the next register as well. */
export type BarKind = 'mem32' | 'mem64' | 'io';

/** A range that a function decodes. Index 6 is the expansion ROM. */
export interface Bar {
  /** 0 to 5, 6 for the expansion ROM. */
  readonly index: number;
  /** What the type bits of the register say. */
  readonly kind: BarKind;
  /** Bit 3 of a memory BAR. */
  readonly prefetchable: boolean;
  /** In bytes: a power of two, except for a shadowed ROM. */
  readonly size: number;
  /** Where the machine put it: a physical address or an I/O port; 0 is nowhere. */
  address: number;
  /** The image lies in RAM, where firmware copied it, and the register decodes nothing. */
  readonly shadow: boolean;
  /** A slice of the PF's VF BAR: the virtual function's own register reads zero. */
  readonly slice: boolean;
}

/** A BAR as a model declares it. */
export interface BarInit {
  /** 0 to 5, 6 for the expansion ROM. */
  readonly index: number;
  /** Memory of 32 or 64 bits, or I/O ports. @default 'mem32' */
  readonly kind?: BarKind | undefined;
  /** Bit 3 of a memory BAR. @default false */
  readonly prefetchable?: boolean | undefined;
  /** In bytes: a power of two of at least 4, for I/O ports of at least 1. Memory below 4096 bytes can be mapped only alone on its page. */
  readonly size: number;
  /** Where it is; left out, the bus finds a place. */
  readonly address?: number | undefined;
  /** A ROM whose image firmware copied to RAM. @default false */
  readonly shadow?: boolean | undefined;
}

/** A BAR out of what a model declares. @param slice whether it is a VF's @throws RangeError for an index or a size that no BAR has */
export function makeBar(init: BarInit, slice: boolean): Bar {
  const { index, size } = init;
  const powerOfTwo = Number.isInteger(Math.log2(size));
  if (!(Number.isInteger(index) && index >= 0 && index <= PCI_ROM_RESOURCE)) throw new RangeError(`"index" expected a BAR in [0, 6], got ${index}`);
  // Legacy IDE has one port in a register of its own.
  if (!powerOfTwo || size < (init.kind === 'io' ? 1 : 4)) throw new RangeError(`"size" expected a power of two for BAR ${index}, got ${size}`);
  return {
    index,
    size,
    kind: init.kind ?? 'mem32',
    prefetchable: init.prefetchable ?? false,
    address: init.address ?? 0,
    shadow: init.shadow ?? false,
    slice,
  };
}

/**
 * Looks at the BARs of a function together.
 *
 * @throws RangeError for two of one index, and for a 64-bit BAR without a second register, or whose second register is another BAR
 */
export function checkBars(bars: readonly Pick<BarInit, 'index' | 'kind'>[]): void {
  for (const [n, { index, kind }] of bars.entries()) {
    if (bars.findIndex((other) => other.index === index) !== n) throw new RangeError(`"bars" expected each BAR once, got BAR ${index} twice`);
    if (kind !== 'mem64') continue;
    if (index >= LAST_BAR) throw new RangeError(`"bars" expected a 64-bit BAR below ${LAST_BAR}, which takes two registers, got BAR ${index}`);
    if (bars.some((other) => other.index === index + 1)) throw new RangeError(`"bars" expected nothing at ${index + 1}, the second register of the 64-bit BAR ${index}, got BAR ${index + 1}`);
  }
}

/**
 * Looks whether the registers of a configuration space are of the BARs that a model decodes.
 *
 * @throws RangeError for a register whose type bits are another BAR's; a slice of a VF BAR has no register
 */
export function checkBarsMatch(config: Uint8Array, bars: readonly Bar[]): void {
  for (const bar of bars) {
    if (bar.slice || bar.index === PCI_ROM_RESOURCE) continue;
    const has = config[barRegister(bar.index)]! & ((config[barRegister(bar.index)]! & PCI_BASE_ADDRESS_SPACE_IO) === 0 ? 0xf : 0x3);
    if (has !== barFlags(bar)) throw new RangeError(`"bars" expected BAR ${bar.index} as its register says, ${told(has)}, got ${told(barFlags(bar))}`);
  }
}

/** Type bits in words. */
function told(flags: number): string {
  if ((flags & PCI_BASE_ADDRESS_SPACE_IO) !== 0) return 'I/O ports';
  return `${(flags & PCI_BASE_ADDRESS_MEM_PREFETCH) === 0 ? '' : 'prefetchable '}memory of ${(flags & PCI_BASE_ADDRESS_MEM_TYPE_64) === 0 ? 32 : 64} bits`;
}

/** Offset of the register in configuration space, in bytes. @param index 0 to 5, 6 for the expansion ROM */
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

/**
 * Stores an address in the register, as firmware or the kernel's resource allocator does.
 *
 * @param address physical, or an I/O port; a multiple of the size
 */
export function setBarAddress(config: Uint8Array, bar: Bar, address: number): void {
  const at = barRegister(bar.index);
  write32(config, at, (address % 0x1_0000_0000) + barFlags(bar));
  if (bar.kind === 'mem64') write32(config, at + 4, Math.floor(address / 0x1_0000_0000));
}
