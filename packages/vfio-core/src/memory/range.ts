/**
 * Ranges of addresses, exact to 2^64: the one place that compares an address with a length.
 *
 * Numbers are exact below 2^53, and `address + length` is not exact above that: `at < address + length` is then always, or never, true. So
 * nothing is added here: what is known to be small is subtracted. An address that is no integer in [0, 2^64) lies nowhere. Where both may
 * be anything of 64 bits they are bigints, or a page frame (at most 2^52, always exact) and an offset.
 */

/** Bytes of a page frame. */
const FRAME = 4096;
/** Page frames below 2^64. */
export const FRAMES: number = 2 ** 52;
const END = 1n << 64n;

/**
 * Whether [address, address + length) lies in [start, start + size). `address` is any number.
 *
 * @param length in the units of the address
 * @param start of the second range, whose end is at most 2^53
 * @param size of the second range
 */
export function isInside(address: number, length: number, start: number, size: number): boolean {
  const at = address - start;
  return address >= start && length >= 0 && at <= size && length <= size - at;
}

/** Whether `address` lies in [start, start + size). @param start the range's first address @param size its length */
export function holdsAddress(start: number, size: number, address: number): boolean {
  return address >= start && address - start < size;
}

/**
 * Whether two ranges have a byte in common; an empty one has none.
 *
 * @param address where the first begins
 * @param length of the first
 * @param start where the second begins
 * @param size of the second
 */
export function overlaps(address: number, length: number, start: number, size: number): boolean {
  if (length <= 0 || size <= 0) return false;
  return address >= start ? address - start < size : start - address < length;
}

/**
 * Bytes of [start, start + size) from `address`, which lies in it, to its end.
 *
 * @param start the range's first address
 * @param size its length
 */
export function bytesToEnd(start: number, size: number, address: number): number {
  return size - (address - start);
}

/** The end of a range that is known to lie below 2^53. @param address where it begins @param length in the same units */
export function rangeEnd(address: number, length: number): number {
  return address + length;
}

/** The end of a range of 64-bit addresses; 2^64 and more where it does not lie below that. */
export function wideRangeEnd(address: bigint, length: bigint): bigint {
  return address + length;
}

/** Whether [address, address + length) goes beyond 2^64: where C's `address + length - 1 < address` says so. */
export function passes64(address: bigint, length: bigint): boolean {
  return address + length > END;
}

/** Whether two ranges of 64-bit addresses have a byte in common; an empty one has none. */
export function wideOverlaps(address: bigint, length: bigint, start: bigint, size: bigint): boolean {
  return length > 0n && size > 0n && address < start + size && start < address + length;
}

/** The page frame of an address of 64 bits in halves. @param lo bits 31 to 0 @param hi bits 63 to 32 */
export function frameOf(lo: number, hi: number): number {
  return (hi >>> 0) * 0x10_0000 + (lo >>> 12);
}

/**
 * An address for an event: a number where that is exact, else a bigint. What is no address stays as it is.
 *
 * @param frame a page frame number
 * @param offset in bytes from there
 */
export function addressOf(frame: number, offset: number): number | bigint {
  return Number.isInteger(frame) && frame >= 2 ** 41 ? BigInt(frame) * BigInt(FRAME) + BigInt(offset) : frame * FRAME + offset;
}

/** How many page frames [offset, offset + length) of the first touches. @param offset in bytes, below 4096 @param length in bytes */
export function framesTouched(offset: number, length: number): number {
  return Math.ceil((offset + length) / FRAME);
}

/** An address as user space or a register gave it, as a number; undefined where numbers are not exact: there is no memory. */
export function exactAddress(address: number | bigint): number | undefined {
  const value = typeof address === 'bigint' ? Number(BigInt.asUintN(64, address)) : address;
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
