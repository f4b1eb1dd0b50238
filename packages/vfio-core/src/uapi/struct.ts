/**
 * Access to C structs by fields from a table: `get(bytes, VFIO_DEVICE_INFO.flags)`. Little-endian, as the uAPI is on every
 * machine modelled here.
 */

/** A field: its offset in bytes and its C type. */
export type Field = readonly [offset: number, type: 'u8' | 'u16' | 'u32' | 's32' | 'u64'];
export type Field64 = readonly [offset: number, type: 'u64'];
export type Field32 = readonly [offset: number, type: 'u8' | 'u16' | 'u32' | 's32'];

export function get(bytes: Uint8Array, field: Field64): bigint;
export function get(bytes: Uint8Array, field: Field32): number;
export function get(bytes: Uint8Array, [offset, type]: Field): bigint | number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'u8':
      return view.getUint8(offset);
    case 'u16':
      return view.getUint16(offset, true);
    case 'u32':
      return view.getUint32(offset, true);
    case 's32':
      return view.getInt32(offset, true);
    case 'u64':
      return view.getBigUint64(offset, true);
  }
}

/** Stores a field; a number is cut to the field's width. */
export function set(bytes: Uint8Array, [offset, type]: Field, value: bigint | number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'u8':
      view.setUint8(offset, Number(value));
      return;
    case 'u16':
      view.setUint16(offset, Number(value), true);
      return;
    case 'u32':
    case 's32':
      view.setInt32(offset, Number(value), true);
      return;
    case 'u64':
      view.setBigUint64(offset, BigInt(value), true);
      return;
  }
}
