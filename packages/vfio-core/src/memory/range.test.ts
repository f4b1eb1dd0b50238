import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { addressOf, exactAddress, FRAMES, frameOf, framesTouched, holdsAddress, isInside, overlaps, passes64, wideOverlaps } from './range.ts';

const END = 1n << 64n;
const LIMIT = 2 ** 52;
/** Any integer that a number can be, near the edges more often than not. */
const number = fc.oneof(
  fc.maxSafeNat(),
  fc.tuple(fc.constantFrom(0, 32, 47, 52, 53, 56, 63, 64), fc.integer({ min: -4097, max: 4097 })).map(([bit, near]) => 2 ** bit + near),
);
const inside = fc.oneof(fc.nat(), fc.tuple(fc.constantFrom(12, 32, 47, 51), fc.nat(4097)).map(([bit, near]) => 2 ** bit + near));
const wide = fc.oneof(fc.bigInt({ min: 0n, max: END - 1n }), fc.tuple(fc.constantFrom(53n, 63n, 64n), fc.bigInt({ min: 1n, max: 4097n })).map(([bit, near]) => (1n << bit) - near));

describe('ranges are exact', () => {
  it('[R1] [R4] whether one lies inside another, at any number', () => {
    fc.assert(
      fc.property(number, inside, inside, inside, (address, length, start, size) => {
        fc.pre(start + size <= LIMIT);
        const [a, b, c, d] = [BigInt(address), BigInt(length), BigInt(start), BigInt(size)];
        expect(isInside(address, length, start, size)).toBe(a >= c && a + b <= c + d);
        expect(holdsAddress(start, size, address)).toBe(a >= c && a < c + d);
        expect(overlaps(address, length, start, size)).toBe(b > 0n && d > 0n && a < c + d && c < a + b);
      }),
      parameters(20),
    );
  });

  it('[R1] halves as frames, and addresses of 64 bits', () => {
    fc.assert(
      fc.property(wide, wide, wide, wide, fc.nat(0x10_0000), (a, b, c, d, length) => {
        const lo = Number(a & 0xffff_ffffn);
        const frame = frameOf(lo, Number(a >> 32n));
        expect(BigInt(frame)).toBe(a >> 12n);
        expect(BigInt(addressOf(frame, lo % 4096))).toBe(a);
        expect(BigInt(framesTouched(lo % 4096, length))).toBe(((a % 4096n) + BigInt(length) + 4095n) / 4096n);
        expect(passes64(a, b)).toBe(a + b > END);
        expect(wideOverlaps(a, b, c, d)).toBe(b > 0n && d > 0n && a < c + d && c < a + b);
        expect(exactAddress(a)).toBe(a < 1n << 53n ? Number(a) : undefined);
      }),
      parameters(20),
    );
  });

  it('what is no address lies nowhere', () => {
    for (const address of [Number.NaN, Infinity, -1, -4096, 2 ** 64, 2 ** 70]) {
      expect([isInside(address, 1, 0, LIMIT), holdsAddress(0, LIMIT, address), exactAddress(address)]).toEqual([false, false, undefined]);
    }
    expect([exactAddress(-1n), exactAddress(0.5), FRAMES]).toEqual([undefined, undefined, 2 ** 52]);
  });
});
