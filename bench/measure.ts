/** What the benchmarks share: a collection on demand, and targets told as met or missed. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what was thrown away before, so that it is not collected in the middle of a measurement. */
export function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

/** What was measured, the value, and the most that it may be. */
export type Target = readonly [what: string, value: number, most: number];

/** Prints each target. @returns whether all are met */
export function report(targets: readonly Target[]): boolean {
  for (const [what, value, most] of targets) console.log(`${value <= most ? 'met   ' : 'MISSED'} ${what}: ${value.toFixed(2)}, at most ${most}`);
  return targets.every(([, value, most]) => value <= most);
}
