import { describe, expect, it } from 'vitest';
import type { Random } from '../../packages/vfio-core/src/index.ts';
import { edgeAddress, fuzz, line, type Depth, type Door } from '../../testing/fuzz.ts';

/** Inputs are numbers below 10; `answer` is the code and the oracle. */
function door(answer: (input: number) => Depth, ends: () => void = () => undefined): Door<number> {
  return {
    name: 'numbers',
    length: 100,
    open: () => ({ generate: (random: Random) => random.below(10), check: answer, end: ends }),
  };
}

describe('fuzz', () => {
  it('counts how far inputs came', () => {
    const figures = fuzz(door((input) => (input === 0 ? 'refused' : input === 1 ? 'past' : 'succeeded')), 1, 1000);
    expect([figures.inputs, figures.failures]).toEqual([1000, 0]);
    expect(figures.past).toBeGreaterThan(figures.succeeded);
    expect(figures.past).toBeLessThan(figures.inputs);
  });

  it('names the seed and the number of the first failing input, and finds it there again', () => {
    const fails = (input: number): Depth => {
      if (input === 7) throw new Error('wrong');
      return 'succeeded';
    };
    const [, seed] = /first: seed (\d+) input \d+: 7: Error: wrong$/.exec(line(fuzz(door(fails), 3, 1000)))!;
    expect(fuzz(door(fails), Number(seed), 100).first).toBe(fuzz(door(fails), 3, 1000).first);
  });

  it('counts what is left at the end of a program, and a world that does not open', () => {
    const leaks = (): void => {
      throw new Error('a thread is left');
    };
    expect(fuzz(door(() => 'succeeded', leaks), 1, 200).failures).toBe(2);
    expect(fuzz({ name: 'shut', length: 10, open: leaks as () => never }, 1, 3).failures).toBe(3);
  });

  it('biases addresses to the edges, and keeps them in 64 bits', () => {
    const seen: bigint[] = [];
    fuzz({ name: 'edges', length: 1000, open: () => ({ generate: edgeAddress, check: (at) => (seen.push(at), 'past') }) }, 1, 1000);
    for (const at of seen) expect(at >= 0n && at < 1n << 64n).toBe(true);
    expect(seen.filter((at) => at > 1n << 53n).length).toBeGreaterThan(300);
    expect(seen.some((at) => at === (1n << 64n) - 1n)).toBe(true);
  });
});
