/** The door `migrations`: random migrations, what `npm run soak` prints of them, and what a run has to show. For tests only. */
import type { Random } from '@vsim/vfio-core';
import { COMMIT, PHASES } from '@vsim/vmm';
import type { Depth, Door, Figures, Report, World } from '../../../testing/fuzz.ts';
import { KINDS } from './migration-faults.ts';
import { drawMigrations, type MigrationsInput } from './migration-inputs.ts';
import { runMigrations } from './migrations.ts';

/** Of a hundred migrations that are to have an interrupt pending in a VPT alone. */
const VPT_ALONE = 20;
/** A run of so many migrations has as many aborts in each phase. */
const MANY = 100_000;
const ABORTS = 1000;

/** Nothing is lost or doubled, one side runs, and the outcome is the fault's. */
class Migrations implements World<MigrationsInput> {
  readonly counts: Map<string, number> = new Map();

  generate(random: Random): MigrationsInput {
    return drawMigrations(random);
  }

  check(input: MigrationsInput): Depth {
    const { lost, doubled, wrong, counts, results } = runMigrations(input);
    for (const [name, count] of counts) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
    const told = [...lost.map((line) => `lost ${line}`), ...doubled.map((line) => `doubled ${line}`), ...wrong];
    if (told.length > 0) throw new Error(told.join('; '));
    if (results.some(({ outcome }) => outcome !== 'cancelled')) return 'succeeded';
    return results.some((result) => 'phase' in result && result.phase !== PHASES[0]) ? 'past' : 'refused';
  }
}

function migrationsReport({ counts }: Figures): Report {
  const of = (name: string): number => counts.get(name) ?? 0;
  const migrations = of('migrations');
  const phases = PHASES.slice(0, PHASES.indexOf(COMMIT) + 1);
  const late = PHASES.slice(PHASES.indexOf(COMMIT) + 1);
  const share = (100 * of('in a VPT alone')) / Math.max(migrations, 1);
  const few = phases.filter((phase) => of(`abort ${phase}`) < ABORTS);
  return {
    lines: [
      `${migrations} migrations; interrupts: ${['raised', 'coalesced', 'delivered', 'lost', 'doubled'].map((name) => `${of(name)} ${name}`).join(', ')}`,
      `pending in a VPT alone at the stop: ${of('in a VPT alone')} migrations (${share.toFixed(1)} %), ${of('interrupts in a VPT alone')} interrupts`,
      `aborts: ${phases.map((phase) => `${phase} ${of(`abort ${phase}`)}`).join(', ')}`,
      `errors after the commit: ${late.map((phase) => `${phase} ${of(`error after the commit ${phase}`)}`).join(', ')}`,
      `faults, armed and fired: ${KINDS.map((kind) => `${kind} ${of(`armed ${kind}`)} ${of(`fired ${kind}`)}`).join(', ')}`,
    ],
    unmet: [
      ...(migrations >= 200 && share < VPT_ALONE ? [`an interrupt is pending in a VPT alone in ${share.toFixed(1)} % of the migrations, not in ${VPT_ALONE} %`] : []),
      ...(migrations >= MANY && few.length > 0 ? [`fewer than ${ABORTS} aborts: ${few.join(', ')}`] : []),
    ],
  };
}

export const MIGRATIONS_DOOR: Door<MigrationsInput> = { name: 'migrations', length: 10, most: 80, open: () => new Migrations(), report: migrationsReport };
