import { expect, it } from 'vitest';
import { forSeeds } from '../../../../testing/random.ts';
import { OrderedSet } from './ordered-set.ts';
import { Random } from './random.ts';

it('an ordered set is what a Set of the same things is, with few of them and with many', () => {
  forSeeds((seed) => {
    const random = new Random(seed);
    const things = Array.from({ length: 40 }, (_, n) => ({ n }));
    const set = new OrderedSet<{ readonly n: number }>();
    const plain = new Set<{ readonly n: number }>();
    let most = 0;
    for (let step = 0; step < 600; step += 1) {
      // Few things for a while, then all of them, and few again.
      const thing = things[random.below(step % 300 < 150 ? 6 : 40)]!;
      const what = random.below(40);
      if (what === 0) {
        expect(set.take()).toEqual([...plain]);
        plain.clear();
      } else if (what < 22) {
        set.add(thing);
        plain.add(thing);
      } else {
        set.delete(thing);
        plain.delete(thing);
      }
      most = Math.max(most, plain.size);
      expect([set.size, set.has(thing), set.first()]).toEqual([plain.size, plain.has(thing), [...plain][0]]);
      expect(set.toArray()).toEqual([...plain]);
    }
    expect(most).toBeGreaterThan(8);
  });
});
