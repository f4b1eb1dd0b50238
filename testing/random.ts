/**
 * Random tests whose size and seed come from outside: VSIM_RUNS (how many programs, 20 unless said)
 * and VSIM_SEED (where they start, 1 unless said). A failure names its seed. For tests only.
 *
 *     fc.assert(fc.property(fc.nat(), (n) => ...), parameters());
 *     forSeeds((seed) => { ... });
 */
import fc from 'fast-check';

export { fc };

/** How many programs a random test tries. */
export const RUNS: number = setting('VSIM_RUNS', 20);

/** The long run: what takes long is tested, too. */
export const LONG: boolean = process.env['VSIM_LONG'] === '1';

/** The seed of the first program. */
export const SEED: number = setting('VSIM_SEED', 1);

/** Parameters for `fc.assert`; a weight below 1 is for dear programs, above 1 for cheap ones. */
export function parameters(weight = 1): { numRuns: number; seed: number } {
  return { numRuns: runs(weight), seed: SEED };
}

/** Runs `body` for each seed; an error that it throws names the seed, and is its cause. */
export function forSeeds(body: (seed: number) => void, weight = 1): void {
  for (let seed = SEED; seed < SEED + runs(weight); seed += 1) {
    try {
      body(seed);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`VSIM_SEED=${seed} VSIM_RUNS=1: ${message}`, { cause });
    }
  }
}

function runs(weight: number): number {
  return Math.max(1, Math.round(RUNS * weight));
}

function setting(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} expected a positive integer, got ${text}`);
  return value;
}
