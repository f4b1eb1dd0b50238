import { PhysicalMemory } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { checkPages, PAGE, packPages, storePages } from './ram.ts';

const BASE = 0x4000_0000;
const FRAME = BASE / PAGE;

function guestMemory(): PhysicalMemory {
  return new PhysicalMemory([{ base: BASE, size: 0x60_0000 }]);
}

describe('memory on its way', () => {
  const source = guestMemory();
  source.write32(BASE + PAGE, 0x1234_5678);
  const message = packPages(source, [FRAME, FRAME + 1, FRAME + 0x5ff]);

  it('is a number for each run of zeros, and a number and bytes for another page', () => {
    expect(message.length).toBe(8 + 4 + PAGE + 8);
    expect(packPages(guestMemory(), [FRAME + 1, FRAME + 2])).toEqual(new Uint8Array([1, 0, 4, 0x80, 2, 0, 0, 0]));
  });

  it('comes out as it went in, zeros over what was there', () => {
    const twin = guestMemory();
    checkPages(twin, message);
    twin.write32(BASE, 7);
    storePages(twin, message);
    expect([twin.read32(BASE), twin.read32(BASE + PAGE)]).toEqual([0, 0x1234_5678]);
    storePages(twin, packPages(guestMemory(), [FRAME + 1]));
    expect(twin.read32(BASE + PAGE)).toBe(0);
  });

  it.each([5, message.length - 2])('is refused when %i bytes are cut', (cut) => {
    expect(() => { checkPages(source, message.subarray(0, -cut)); }).toThrow(/cut/);
  });

  it.each([
    ['below', [0, 0, 0, 0x80, 1, 0, 0, 0], '0x0'],
    ['of no pages', [0, 0, 4, 0x80, 0, 0, 0, 0], '0x40000'],
    ['that ends behind', [0xff, 5, 4, 0x80, 2, 0, 0, 0], '0x405ff'],
  ])('is refused with a run %s the guest\'s memory', (_where, bytes, page) => {
    expect(() => { checkPages(source, new Uint8Array(bytes)); }).toThrow(`page ${page} is not the guest's`);
  });
});
