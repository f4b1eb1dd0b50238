/** What a kept recording gives when it is replayed: all that its test compares, in one value. */
import { join } from 'node:path';
import { RECORDINGS, replayFile } from '../replay.ts';

export interface Kept {
  /** `scenario step field`, of each value that differs. */
  readonly divergences: readonly string[];
  readonly counts: readonly [cases: number, steps: number, compared: number];
  /** Values that were compared less strictly, by rule. */
  readonly relaxed: Readonly<Record<string, number>>;
  /** Failures for which the model gives no reason, or more than one. */
  readonly untold: readonly unknown[];
  readonly profile: string | undefined;
}

export function kept(folder: string, name: string): Kept {
  const { divergences, cases, steps, compared, relaxed, untold, profile } = replayFile(join(RECORDINGS, folder, name));
  return {
    divergences: divergences.map(({ case: scenario, step, field }) => `${scenario} ${step} ${field}`),
    counts: [cases, steps, compared],
    relaxed: Object.fromEntries(relaxed),
    untold: [...untold],
    profile,
  };
}
