import { describe, expect, it } from 'vitest';
import { Random } from '../host/random.ts';
import { forSeeds } from '../../../../testing/random.ts';
import { CpuCache } from './cpu-cache.ts';
import { PhysicalMemory } from './physical-memory.ts';

const BASE = 0x1_0000;
const SIZE = 0x1_0000;
const LINE = 64;

function machine() {
  const memory = new PhysicalMemory([{ base: BASE, size: SIZE }]);
  return { memory, cache: new CpuCache(memory) };
}

describe('CpuCache', () => {
  it('keeps what it read until it is maintained, and what was written until it is cleaned', () => {
    const { memory, cache } = machine();
    expect(cache.read8(BASE)).toBe(0);
    memory.write8(BASE, 1);
    cache.clean(BASE, 1);
    expect([cache.read8(BASE), cache.lines]).toEqual([0, 1]);
    cache.cleanInvalidate(BASE + 63, 1);
    expect([cache.lines, cache.read8(BASE)]).toEqual([0, 1]);
    cache.write8(BASE + 64, 2);
    expect(memory.read8(BASE + 64)).toBe(0);
    cache.clean(BASE + 64, 1);
    expect([memory.read8(BASE + 64), cache.lines]).toEqual([2, 2]);
  });

  it('is a cache of lines, whatever is read, written and maintained', () => {
    forSeeds((seed) => {
      const random = new Random(seed);
      const { memory, cache } = machine();
      /** The lines that a CPU holds, and which of them are dirty. */
      const held = new Map<number, { bytes: Uint8Array; dirty: boolean }>();
      const truth = new Uint8Array(SIZE);
      const line = (at: number) => {
        const n = Math.floor(at / LINE);
        const known = held.get(n) ?? { bytes: truth.slice(n * LINE, (n + 1) * LINE), dirty: false };
        held.set(n, known);
        return known;
      };
      for (let step = 0; step < 200; step += 1) {
        const at = random.below(SIZE);
        const length = Math.min(1 + random.below(random.below(4) === 0 ? 6000 : 130), SIZE - at);
        const bytes = random.bytes(length);
        switch (random.below(5)) {
          case 0:
            cache.writeBytes(BASE + at, bytes);
            bytes.forEach((byte, i) => {
              const one = line(at + i);
              one.bytes[(at + i) % LINE] = byte;
              one.dirty = true;
            });
            break;
          case 1:
            memory.writeBytes(BASE + at, bytes);
            truth.set(bytes, at);
            break;
          case 2:
            cache.readBytes(BASE + at, bytes);
            expect(bytes.every((byte, i) => byte === line(at + i).bytes[(at + i) % LINE])).toBe(true);
            break;
          default: {
            const drop = random.below(2) === 0;
            if (drop) cache.cleanInvalidate(BASE + at, length);
            else cache.clean(BASE + at, length);
            for (const [n, one] of held) {
              if ((n + 1) * LINE <= at || n * LINE >= at + length) continue;
              if (one.dirty) truth.set(one.bytes, n * LINE);
              one.dirty = false;
              if (drop) held.delete(n);
            }
          }
        }
        expect(cache.lines).toBe(held.size);
      }
      const all = new Uint8Array(SIZE);
      memory.readBytes(BASE, all);
      expect(Buffer.from(all).equals(Buffer.from(truth))).toBe(true);
    });
  });
});
