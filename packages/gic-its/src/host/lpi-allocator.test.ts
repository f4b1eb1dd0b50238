import { describe, expect, it } from 'vitest';
import { LpiAllocator } from './lpi-allocator.ts';

describe('LPI numbers', () => {
  it('are given first fit, and free ranges merge [gic D-10]', () => {
    const lpis = new LpiAllocator(8192, 64);
    expect([lpis.allocate(16), lpis.allocate(16), lpis.allocate(16)]).toEqual([8192, 8208, 8224]);
    lpis.release(8208, 16);
    expect(lpis.allocate(32)).toBeUndefined();
    expect(lpis.allocate(8)).toBe(8208);
    lpis.release(8208, 8);
    lpis.release(8192, 16);
    expect(lpis.allocate(32)).toBe(8192);
    lpis.release(8192, 32);
    lpis.release(8224, 16);
    expect([lpis.free, lpis.allocate(64)]).toEqual([64, 8192]);
  });

  it('a request is halved until it fits', () => {
    const lpis = new LpiAllocator(8192, 24);
    expect(lpis.allocateUpTo(64)).toEqual({ base: 8192, count: 16 });
    expect(lpis.allocateUpTo(64)).toEqual({ base: 8208, count: 8 });
    expect(lpis.allocateUpTo(64)).toBeUndefined();
  });
});
