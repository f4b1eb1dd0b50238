import { expect, it } from 'vitest';
import { RUNS, SEED, fc, forSeeds, parameters } from '../../testing/random.ts';

it('runs as many programs as asked, from the seed on', () => {
  const seen: number[] = [];
  forSeeds((seed) => seen.push(seed));
  expect(seen).toHaveLength(RUNS);
  expect(seen[0]).toBe(SEED);
  forSeeds(() => seen.push(0), 0);
  expect(seen).toHaveLength(RUNS + 1);
});

it('names the seed of a failure', () => {
  expect(() => {
    forSeeds((seed) => {
      if (seed === SEED + 2) throw new Error('lost an interrupt');
    });
  }).toThrow(`VSIM_SEED=${SEED + 2} VSIM_RUNS=1: lost an interrupt`);
});

it('gives fast-check its size and seed', () => {
  expect(parameters()).toEqual({ numRuns: RUNS, seed: SEED });
  expect(() => {
    fc.assert(fc.property(fc.nat(), (n) => n < 0), parameters());
  }).toThrow(`seed: ${SEED}`);
});
