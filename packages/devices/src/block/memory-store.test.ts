import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { MemoryStore } from './memory-store.ts';

const SIZE = 5 * 4096;

describe('a store in memory', () => {
  it('reads as an array does, whatever was written and discarded', () => {
    const step = fc.record({ at: fc.nat(SIZE), length: fc.nat(SIZE), value: fc.nat(255), kind: fc.constantFrom('write', 'discard') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const store = new MemoryStore(SIZE);
        const expected = new Uint8Array(SIZE);
        for (const { at, length, value, kind } of steps) {
          const end = Math.min(at + length, SIZE);
          expected.fill(kind === 'write' ? value : 0, at, end);
          if (kind === 'write') store.write(at, new Uint8Array(end - at).fill(value));
          else store.discard(at, end - at);
          const part = new Uint8Array(end - at);
          store.read(at, part);
          expect(part).toEqual(expected.subarray(at, end));
        }
        const whole = new Uint8Array(SIZE);
        store.read(0, whole);
        expect(whole).toEqual(expected);
      }),
      parameters(),
    );
  });

  it('takes room for what was written, and gives back whole chunks', () => {
    const store = new MemoryStore(2 ** 50);
    store.write(2 ** 49 - 1, Uint8Array.of(1, 2));
    expect(store.used).toBe(2 * 4096);
    store.discard(0, 2 ** 49);
    expect(store.used).toBe(4096);
    store.discard(0, 2 ** 50);
    expect(store.used).toBe(0);
  });

  it.each([-1, 0.5, 2 ** 53, Number.NaN])('has no size of %d bytes', (size) => {
    expect(() => new MemoryStore(size)).toThrow(RangeError);
  });
});
