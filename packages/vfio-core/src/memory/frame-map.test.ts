import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import { FrameMap, type FrameRange } from './frame-map.ts';

describe('FrameMap', () => {
  it('answers as a plain list does', () => {
    const operation = fc.record({ kind: fc.constantFrom('insert', 'remove', 'inside', 'find'), at: fc.nat(400), length: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
        const map = new FrameMap<FrameRange>();
        let naive: FrameRange[] = [];
        for (const { kind, at, length } of operations) {
          const first = at;
          const last = at + length - 1;
          const overlap = naive.filter((range) => range.first <= last && first <= range.last).sort((a, b) => a.first - b.first);
          expect(map.firstIn(first, last)).toEqual(overlap[0]);
          expect(map.find(at)).toEqual(naive.find((range) => range.first <= at && at <= range.last));
          if (kind === 'insert' && overlap.length === 0) {
            map.insert({ first, last });
            naive.push({ first, last });
          } else if (kind === 'remove') {
            expect(map.remove(at)).toEqual(naive.find((range) => range.first === at));
            naive = naive.filter((range) => range.first !== at);
          } else if (kind === 'inside') {
            map.removeInside(first, last);
            naive = naive.filter((range) => range.first < first || range.last > last);
          }
          expect(map.size).toBe(naive.length);
        }
        expect([...map]).toEqual(naive.sort((a, b) => a.first - b.first));
      }),
      parameters(5),
    );
  });

  it('splits and empties its leaves, up to the last frame below 2^64 bytes', () => {
    const map = new FrameMap<FrameRange>();
    const top = 2 ** 52 - 1;
    for (let i = 0; i < 5000; i += 1) {
      const first = i % 2 === 0 ? top - i : i;
      map.insert({ first, last: first });
    }
    expect(map.find(top)).toEqual({ first: top, last: top });
    expect([...map].every((range, i, all) => i === 0 || all[i - 1]!.last < range.first)).toBe(true);
    map.removeInside(0, top);
    expect([map.size, map.find(top)]).toEqual([0, undefined]);
    map.insert({ first: 3, last: 4 });
    map.clear();
    expect(map.firstIn(0, top)).toBeUndefined();
  });
});
