/**
 * Access to C structs by fields from a table: `get(bytes, vfio_device_info.flags)`. Little-endian, as the uAPI is on every
 * machine modelled here.
 */

/** A field: its offset in bytes and its C type. */
export type Field = readonly [offset: number, type: 'u8' | 'u16' | 'u32' | 's32' | 'u64'];
/** A field of 64 bits: read as a bigint. */
export type Field64 = readonly [offset: number, type: 'u64'];
/** A field of at most 32 bits: read as a number. */
export type Field32 = readonly [offset: number, type: 'u8' | 'u16' | 'u32' | 's32'];

/** Reads a field of 64 bits, little-endian, as a bigint. @throws RangeError if the bytes end within the field */
export function get(bytes: Uint8Array, field: Field64): bigint;
/** Reads a field of at most 32 bits, little-endian, as a number. @throws RangeError if the bytes end within the field */
export function get(bytes: Uint8Array, field: Field32): number;
export function get(bytes: Uint8Array, [offset, type]: Field): bigint | number {
  switch (type) {
    case 'u8':
      return byte(bytes, offset);
    case 'u16':
      return byte(bytes, offset) | (byte(bytes, offset + 1) << 8);
    case 'u32':
      return word(bytes, offset) >>> 0;
    case 's32':
      return word(bytes, offset);
    case 'u64': {
      const lo = word(bytes, offset) >>> 0;
      const hi = word(bytes, offset + 4) >>> 0;
      return hi < EXACT ? BigInt(hi * WORD + lo) : (BigInt(hi) << 32n) | BigInt(lo);
    }
  }
}

/** Stores a field, little-endian; a value is cut to the field's width. @throws RangeError if the bytes end within the field */
export function set(bytes: Uint8Array, [offset, type]: Field, value: bigint | number): void {
  switch (type) {
    case 'u8':
      store(bytes, offset, 1, Number(value));
      return;
    case 'u16':
      store(bytes, offset, 2, Number(value));
      return;
    case 'u32':
    case 's32':
      store(bytes, offset, 4, Number(value));
      return;
    case 'u64': {
      if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) {
        store(bytes, offset, 4, value % WORD);
        store(bytes, offset + 4, 4, Math.floor(value / WORD));
        return;
      }
      const whole = BigInt.asUintN(64, BigInt(value));
      store(bytes, offset, 4, Number(whole & 0xffff_ffffn));
      store(bytes, offset + 4, 4, Number(whole >> 32n));
    }
  }
}

// Byte by byte: a DataView would give each small array that it looks at a buffer outside of the heap.

const WORD = 2 ** 32;
/** High halves below this make numbers that are exact. */
const EXACT = 2 ** 21;

function byte(bytes: Uint8Array, offset: number): number {
  const value = bytes[offset];
  if (value === undefined) throw new RangeError(`"bytes" expected more than ${offset} bytes, got ${bytes.length}`);
  return value;
}

function word(bytes: Uint8Array, offset: number): number {
  return byte(bytes, offset) | (byte(bytes, offset + 1) << 8) | (byte(bytes, offset + 2) << 16) | (byte(bytes, offset + 3) << 24);
}

function store(bytes: Uint8Array, offset: number, width: number, value: number): void {
  byte(bytes, offset + width - 1);
  for (let i = 0; i < width; i += 1) bytes[offset + i] = value >>> (8 * i);
}
