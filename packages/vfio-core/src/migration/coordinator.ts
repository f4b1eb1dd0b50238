import type { Sleeps } from '../host/scheduler.ts';

/** A part of a migration. */
export interface Phase {
  /** For progress and results; `commit` of coordinate() is one of them. */
  readonly name: string;
  /** Does it. @returns 0 or a negative errno */
  run(): Sleeps<number>;
  /** Takes back as much of the phase as has been done, be it all or nothing, while the source can still run. */
  undo?(): Sleeps<void>;
}

/** What became of a migration. */
export type MigrationResult =
  | { readonly outcome: 'migrated' }
  | { readonly outcome: 'cancelled'; readonly phase: string; readonly error: number }
  | { readonly outcome: 'committed-with-error'; readonly phase: string; readonly error: number };

/**
 * The coordinator of a migration: runs phases in an order that the caller can see and change. On failure it undoes the one that failed and
 * those before it, last first.
 *
 * The phase named `commit` is the commit point: before it has succeeded a failure is undone, and the source runs on; after it the
 * destination owns the machine, so that a failure is told and the phases that are left still run.
 *
 * @throws what a phase threw, once it and the phases before it are undone
 */
export function* coordinate(phases: readonly Phase[], commit: string, progress: (phase: string) => void = () => undefined): Sleeps<MigrationResult> {
  let committed = false;
  let late: MigrationResult | undefined;
  for (let i = 0; i < phases.length; i += 1) {
    const phase = phases[i]!;
    progress(phase.name);
    let error: number;
    try {
      error = yield* phase.run();
    } catch (thrown) {
      if (!committed) yield* undo(phases.slice(0, i + 1));
      throw thrown;
    }
    if (error < 0 && !committed) {
      yield* undo(phases.slice(0, i + 1));
      return { outcome: 'cancelled', phase: phase.name, error };
    }
    if (error < 0) late ??= { outcome: 'committed-with-error', phase: phase.name, error };
    if (phase.name === commit) committed = true;
  }
  return late ?? { outcome: 'migrated' };
}

function* undo(done: readonly Phase[]): Sleeps<void> {
  for (const phase of done.toReversed()) if (phase.undo !== undefined) yield* phase.undo();
}
