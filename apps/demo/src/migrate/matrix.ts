/**
 * What each patch of the series "KVM: arm64: Add VLPI migration support on GICv4.1" is for: a VM with VLPIs pending is stopped, and
 * then migrated, or resumed on the source, with the patch and without it.
 */
import type { MigrationSwitches } from '@vsim/gic-its';
import type { Watch } from '../demo/world-clock.ts';
import { runMigration, type MigrateOptions, type MigrateReport } from './scenario.ts';

/** The patches by their number in the series. */
export const PATCHES: Readonly<Record<string, keyof MigrationSwitches>> = {
  P1: 'flushVptOnUnmap',
  P2: 'neverPtz',
  P3: 'vlpiPeek',
  P4: 'saveVlpiPending',
  P5: 'transferPendingOnForward',
  P6: 'allowSaveForwardedV41',
};

/** What became of interrupts that were pending when the VM was stopped. */
export type Fate = 'once' | 'lost' | 'doubled' | `refused (${string})`;

export interface MatrixRow {
  readonly without: string;
  /** The VM was migrated. */
  readonly destination: Fate;
  /** The migration was cancelled at the last moment. */
  readonly source: Fate;
}

/** @param watch who hears of the hosts of one migration, by what is special to it */
export function matrixRow(options: MigrateOptions, patch: string, watch?: (name: string) => Watch | undefined): MatrixRow {
  const name = Object.hasOwn(PATCHES, patch) ? PATCHES[patch] : undefined;
  const switches = name === undefined ? {} : { [name]: false };
  return {
    without: patch,
    destination: fate(runMigration({ ...options, switches }, watch?.(`without ${patch}`))),
    source: fate(runMigration({ ...options, switches, failAt: 'acknowledge' }, watch?.(`without ${patch}, cancelled`)), true),
  };
}

function fate({ outcome, failed, lost, doubled }: MigrateReport, cancelled = false): Fate {
  if (!cancelled && outcome === 'cancelled') return `refused (${failed?.errno ?? ''})`;
  if (lost > 0) return 'lost';
  return doubled > 0 ? 'doubled' : 'once';
}
