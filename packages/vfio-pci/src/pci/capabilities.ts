/** Walking the capability lists of a configuration space. Reference: PCI Local Bus 3.0, 6.7; PCI Express Base, 7.6.3. */
import { PCI_CAPABILITY_LIST, PCI_CAP_LIST_NEXT, PCI_CFG_SPACE_SIZE, PCI_STATUS, PCI_STATUS_CAP_LIST } from './registers.ts';

/** A capability in the list of the first 256 bytes. */
export interface Capability {
  /** PCI_CAP_ID_*, 8 bits. */
  readonly id: number;
  /** Offset in configuration space, in bytes, from 0x40. */
  readonly at: number;
  /** Offset of the next one; 0 ends the list. */
  readonly next: number;
}

/** An extended capability, from 0x100 on. */
export interface ExtendedCapability {
  /** PCI_EXT_CAP_ID_*, 16 bits. */
  readonly id: number;
  /** Capability Version, 4 bits. */
  readonly version: number;
  /** Offset in configuration space, in bytes, from 0x100. */
  readonly at: number;
  /** Offset of the next one; 0 ends the list. */
  readonly next: number;
}

// A list cannot be longer than its space: a loop in it ends the walk.
const MAX_CAPABILITIES = 48;
const MAX_EXTENDED = 480;

/** The capabilities in list order; none if STATUS says that there is no list. */
export function capabilities(config: Uint8Array): readonly Capability[] {
  const out: Capability[] = [];
  if ((config[PCI_STATUS]! & PCI_STATUS_CAP_LIST) === 0) return out;
  for (let at = config[PCI_CAPABILITY_LIST]! & 0xfc; at >= 0x40 && out.length < MAX_CAPABILITIES; ) {
    const next = config[at + PCI_CAP_LIST_NEXT]! & 0xfc;
    out.push({ id: config[at]!, at, next });
    at = next;
  }
  return out;
}

/** The extended capabilities in list order. An empty space has one of id 0, as its first dword says. */
export function extendedCapabilities(config: Uint8Array): readonly ExtendedCapability[] {
  const out: ExtendedCapability[] = [];
  if (config.length <= PCI_CFG_SPACE_SIZE) return out;
  for (let at = PCI_CFG_SPACE_SIZE; at >= PCI_CFG_SPACE_SIZE && at < config.length && out.length < MAX_EXTENDED; ) {
    const header = read32(config, at);
    if (header === 0xffff_ffff) break;
    const next = (header >>> 20) & 0xffc;
    out.push({ id: header & 0xffff, version: (header >>> 16) & 0xf, at, next });
    at = next;
  }
  return out;
}

/** Where the first capability with this id is; 0 if there is none. @param id PCI_CAP_ID_*, 8 bits @returns offset in bytes */
export function findCapability(config: Uint8Array, id: number): number {
  return capabilities(config).find((capability) => capability.id === id)?.at ?? 0;
}

/**
 * Where the first extended capability with this id is; 0 if there is none.
 *
 * @param id PCI_EXT_CAP_ID_*, 16 bits
 * @returns offset in bytes, 0x100 or more
 */
export function findExtendedCapability(config: Uint8Array, id: number): number {
  return extendedCapabilities(config).find((capability) => capability.id === id)?.at ?? 0;
}

/** 16 bits, little-endian. @param at offset in bytes, of any alignment */
export function read16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** 32 bits, little-endian, unsigned. @param at offset in bytes, of any alignment */
export function read32(bytes: Uint8Array, at: number): number {
  return (read16(bytes, at) | (read16(bytes, at + 2) << 16)) >>> 0;
}

/** Stores 16 bits, little-endian. @param at offset in bytes, of any alignment @param value whose lowest 16 bits are stored */
export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** Stores 32 bits, little-endian. @param at offset in bytes, of any alignment @param value whose lowest 32 bits are stored */
export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value);
  write16(bytes, at + 2, value >>> 16);
}
