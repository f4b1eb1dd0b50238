/** What the benchmarks share: loops timed in turn, a collection on demand, and targets told as met or missed. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Body } from './floor.ts';

const ROUNDS = 12;

/** ns an iteration of each body: the best of several rounds, taken in turn so that they share what disturbs the machine. */
export function times(iterations: number, bodies: readonly Body[]): number[] {
  const best = bodies.map(() => Infinity);
  for (let round = 0; round <= ROUNDS; round += 1) {
    bodies.forEach((body, i) => {
      const ns = nsOf(() => body(iterations)) / iterations;
      if (round > 0) best[i] = Math.min(best[i]!, ns);
    });
  }
  return best;
}

/** ns that something takes. */
export function nsOf(what: () => void): number {
  const start = process.hrtime.bigint();
  what();
  return Number(process.hrtime.bigint() - start);
}

/** Collects what was thrown away before, so that it is not collected in the middle of a measurement. */
export function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

/** What was measured, the value, and the most that it may be. */
export type Target = readonly [what: string, value: number, most: number];

/** How many times a bound a value may be: the first argument, for machines that others use too. */
const SLACK = Number(process.argv[2] ?? 1);

/** Prints each target. @returns whether none is beyond its bound by more than the slack */
export function report(targets: readonly Target[]): boolean {
  for (const [what, value, most] of targets) {
    const verdict = value <= most ? 'met   ' : value <= most * SLACK ? 'near  ' : 'MISSED';
    console.log(`${verdict} ${what}: ${value.toFixed(2)}, at most ${most}`);
  }
  return targets.every(([, value, most]) => value <= most * SLACK);
}
