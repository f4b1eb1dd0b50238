import { describe, expect, it } from 'vitest';
import { staysBounded } from '../../../../testing/cost.ts';
import { fc, parameters } from '../../../../testing/random.ts';
import { SparseArray } from './sparse-array.ts';

describe('SparseArray', () => {
  it('answers as a Map does', () => {
    const index = fc.constantFrom(0, 1, 63, 64, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff);
    const step = fc.record({ kind: fc.constantFrom('set', 'delete'), index });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const array = new SparseArray<{ readonly n: number }>();
        const map = new Map<number, { readonly n: number }>();
        steps.forEach(({ kind, index: at }, n) => {
          if (kind === 'set') {
            array.set(at, { n });
            map.set(at, { n });
          } else {
            array.delete(at);
            map.delete(at);
          }
          expect(array.get(at)).toEqual(map.get(at));
          expect(array.size).toBe(map.size);
          expect([...array.indices()]).toEqual([...map.keys()].sort((a, b) => a - b));
          for (const key of map.keys()) expect(array.get(key)).toEqual(map.get(key));
        });
      }),
      parameters(5),
    );
  });

  it('finds what is set where the only object of a page was deleted', () => {
    const array = new SparseArray<object>();
    array.set(5, {});
    array.delete(5);
    array.set(5, {});
    expect([...array.indices()]).toEqual([5]);
  });

  it('has no pages of objects that are no more', () => {
    const array = new SparseArray<object>();
    const object = {};
    for (let index = 0; index < 0x1_0000; index += 1) array.set(index, object);
    for (let index = 0; index < 0x1_0000; index += 1) array.delete(index);
    expect(staysBounded(() => { for (let n = 0; n < 1_000_000; n += 1) array.indices(); })).toBe(true);
  });
});
