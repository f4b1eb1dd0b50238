/** RAM costs what is written of it. */
import { describe, expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { Process } from '../process/process.ts';
import { PhysicalMemory } from './physical-memory.ts';

describe('RAM that is larger than anything', () => {
  for (const bits of [40, 51]) {
    it(`of 2^${bits} bytes is there at once, and keeps what is written at its ends and between [R14]`, () => {
      const size = 2 ** bits;
      const ram = new PhysicalMemory([{ base: 0, size }]);
      const places = [0, 0xfffe, size / 2 - 2, size / 2, size - 4];
      places.forEach((at, n) => ram.write32(at, 0x1111_1111 * (n + 1)));
      expect([places.slice(1).map((at) => ram.read32(at)), ram.read32(size / 4), ram.read8(0x1_0001)]).toEqual([[0x2222_2222, 0x4444_3333, 0x4444_4444, 0x5555_5555], 0, 0x22]);
      ram.clear(0x1_0000, size - 0x2_0000);
      expect([ram.read16(0xfffe), ram.read16(0x1_0000), ram.read32(size / 2), ram.read32(size - 4)]).toEqual([0x2222, 0, 0, 0x5555_5555]);
    });
  }

  it('a process maps and unmaps a terabyte of it, and finds zeros again [R14]', () => {
    const user = new Process(new Host({ ram: [{ base: 0, size: 2 ** 41 }] }));
    const mapping = user.mmap(-1, 2 ** 40);
    mapping.write(2 ** 39, 4, 7);
    mapping.unmap();
    const again = user.mmap(-1, 2 ** 40);
    expect(again.read(2 ** 39, 4)).toBe(0);
  });

  it('chunks that are cleared in part keep the rest [R14]', () => {
    const ram = new PhysicalMemory([{ base: 0x1_0000, size: 0x4_0000 }]);
    ram.writeBytes(0x1_0000, new Uint8Array(0x4_0000).fill(0xaa));
    ram.clear(0x1_8000, 0x1_8000);
    const bytes = new Uint8Array(0x4_0000);
    ram.readBytes(0x1_0000, bytes);
    expect(bytes.findIndex((byte) => byte === 0)).toBe(0x8000);
    expect(bytes.lastIndexOf(0)).toBe(0x1_ffff);
  });
});
