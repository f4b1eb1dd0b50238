/**
 * 64-bit values: two uint32 halves inside, `number` for what fits 53 bits, bigint at the public edge only.
 * Crossing goes through one shared buffer, which costs a tenth of shifting bigints.
 */

const words = new Uint32Array(2);
const wide = new BigUint64Array(words.buffer);
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const LO = LITTLE_ENDIAN ? 0 : 1;
const HI = LITTLE_ENDIAN ? 1 : 0;

/** Joins halves of 64 bits to a bigint. @param lo bits 31 to 0 @param hi bits 63 to 32 */
export function toBigint(lo: number, hi: number): bigint {
  words[LO] = lo;
  words[HI] = hi;
  return wide[0]!;
}

/** Bits [31:0] of a value of 64 bits. */
export function lowHalf(value: bigint | number): number {
  if (typeof value === 'number') return value % 0x1_0000_0000 >>> 0;
  wide[0] = BigInt.asUintN(64, value);
  return words[LO]!;
}

/** Bits [63:32] of a value of 64 bits. A number must be an integer in [0, 2^53). */
export function highHalf(value: bigint | number): number {
  if (typeof value === 'number') return Math.floor(value / 0x1_0000_0000) >>> 0;
  wide[0] = BigInt.asUintN(64, value);
  return words[HI]!;
}

/** Joins halves of 64 bits to a number: exact below 2^53. @param lo bits 31 to 0 @param hi bits 63 to 32 */
export function toNumber(lo: number, hi: number): number {
  return (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0);
}

/** `0x` and at least `digits` hex digits, for messages. */
export function hex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
