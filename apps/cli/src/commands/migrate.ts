/** `vsim migrate`. */
import { isSound, matrixRow, MAX_TICKERS, PATCHES, runMigration, type MigrateOptions, type MigrateReport, type Watch } from '@vsim/demo';
import type { GicVersion } from '@vsim/gic-its';
import { PHASES, type PhaseName } from '@vsim/vmm';
import { Option, type Command } from 'commander';
import { pairsOf, wholeNumber } from '../args.ts';
import { EXIT, UsageError, type Io } from '../io.ts';
import type { Context } from '../context.ts';
import { traced, traceOption, type Tracing } from '../trace/trace-file.ts';

const GICS: readonly GicVersion[] = ['gicv3', 'gicv4', 'gicv4.1'];
const MAX_SEED = 0xffff_fffe;
const MAX_VCPUS = 3; // one physical CPU stays free, for vCPUs to move to
const PROGRESS_EVERY = 16;

interface Given {
  readonly devices: number;
  readonly vcpus: number;
  readonly rate: number;
  readonly instant: number;
  readonly source: GicVersion;
  readonly dest: GicVersion;
  readonly failAt?: PhaseName;
  readonly corrupt?: number;
  readonly faultAfter?: number;
  readonly swap?: readonly PhaseName[];
  readonly without?: string;
  readonly repeat: number;
  readonly seed: number;
  readonly json?: true;
  readonly trace?: string;
}

export function addMigrate(program: Command, { io, end }: Context): void {
  const gic = (flags: string, which: string): Option => new Option(flags, `what the ${which} has`).choices(GICS).default('gicv4.1');
  program
    .command('migrate')
    .summary('migrations under traffic, with whatever is to go wrong')
    .description('Live-migrates a VM under traffic, and accounts for every interrupt: none may be lost or come twice, whatever fails.')
    .option('--devices <n>', 'assigned devices that raise interrupts', wholeNumber(1, MAX_TICKERS), 2)
    .option('--vcpus <n>', 'vCPUs of the VM', wholeNumber(1, MAX_VCPUS), 2)
    .option('--rate <n>', 'how many of a hundred steps of traffic are interrupts', wholeNumber(0, 100), 50)
    .option('--instant <n>', 'steps of traffic before the migration begins', wholeNumber(0, 1_000_000), 200)
    .addOption(gic('--source <gic>', 'source'))
    .addOption(gic('--dest <gic>', 'destination'))
    .addOption(new Option('--fail-at <phase>', 'the phase that fails').choices(PHASES))
    .option('--corrupt <n>', 'flips byte N of the state on the wire', wholeNumber(0, 0xffff_ffff))
    .option('--fault-after <n>', "of KVM's writes to guest memory while the source is saved, the one after N fails", wholeNumber(0, 1_000_000))
    .option('--swap <phases>', "two phases in each other's place, with a comma; more pairs after them, one by one", pairsOf(PHASES))
    .addOption(new Option('--without <patch>', 'a patch of the kernel series left out; prints what is seen then').choices(Object.keys(PATCHES)))
    .option('--repeat <n>', 'migrations with the seeds S, S + 1, ...; each that fails prints the call that shows it again', wholeNumber(1, 1_000_000), 1)
    .option('--seed <s>', 'what traffic and states are a function of', wholeNumber(0, MAX_SEED), 1)
    .option('--json', 'one object instead of lines')
    .addOption(traceOption('both hosts of each migration'))
    .addHelpText('after', '\nExamples:\n  vsim migrate --repeat 1000\n  vsim migrate --swap stop-devices,save-pending-tables\n  vsim migrate --without P2')
    .action((given: Given) => { end(migrate(given, io)); });
}

function migrate({ failAt, corrupt, faultAfter, swap, without, repeat, json, dest, trace, ...given }: Given, io: Io): number {
  const migration: MigrateOptions = { ...given, destination: dest, switches: {}, failAt, corrupt, faultAfter, swap };
  try {
    return traced(trace, io, (tracing) => {
      if (without !== undefined) return printMatrix(migration, without, json === true, tracing);
      return repeat === 1 ? printOne(migration, json === true, tracing) : printMany(migration, repeat, json === true, tracing);
    });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function printMatrix(options: MigrateOptions, patch: string, json: boolean, { io, group }: Tracing): number {
  const watch = (name: string): Watch | undefined => group(`${name}: `);
  const rows = [matrixRow(options, 'none', watch), matrixRow(options, patch, watch)];
  if (json) io.out(JSON.stringify(rows));
  else {
    io.out('without   seen on destination   seen on source when cancelled');
    for (const { without, destination, source } of rows) io.out(`${without.padEnd(8)}  ${destination.padEnd(20)}  ${source}`);
  }
  return EXIT.ok;
}

function printOne(options: MigrateOptions, json: boolean, { io, group }: Tracing): number {
  const report = runMigration(options, group(''));
  if (json) io.out(JSON.stringify(report));
  else {
    const where = report.failed === undefined ? '' : ` in ${report.failed.phase} (${report.failed.errno})`;
    const { raised, coalesced, delivered } = report.sums;
    io.out(`${report.outcome}${where}; the VM runs on ${report.runs.join(' and ') || 'no host'}`);
    io.out(`raised ${raised}, coalesced ${coalesced}, delivered ${delivered}; pending at the stop ${report.pendingAtStop}`);
    io.out(`lost ${report.lost}, doubled ${report.doubled}; guest memory ${report.memoryAgrees ? 'agrees' : 'DISAGREES'}`);
    io.out(`${report.bytes} bytes, downtime ${(report.downtimeNs / 1e6).toFixed(3)} ms`);
  }
  return isSound(report) ? EXIT.ok : EXIT.failed;
}

/** Seeds from the given one on. A failure prints the call that shows it again. */
function printMany(options: MigrateOptions, repeat: number, json: boolean, { io, group }: Tracing): number {
  const bad: MigrateReport[] = [];
  const outcomes = new Map<string, number>();
  let delivered = 0;
  const start = io.now();
  for (let i = 0; i < repeat; i += 1) {
    const seed = options.seed + i;
    const watch = group(`seed ${seed}: `);
    const report = runMigration({ ...options, seed }, watch);
    watch?.end();
    outcomes.set(report.outcome, (outcomes.get(report.outcome) ?? 0) + 1);
    delivered += report.sums.delivered;
    if (!isSound(report)) bad.push(report);
    if (i % PROGRESS_EVERY === 0) io.progress(`${bar(i / repeat)} ${i} of ${repeat}, ${bad.length} failed`);
  }
  const rate = Math.floor((1000 * repeat) / Math.max(io.now() - start, 1));
  io.progress('');
  if (json) io.out(JSON.stringify({ migrations: repeat, outcomes: Object.fromEntries(outcomes), delivered, failed: bad }));
  else {
    const summary = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
    io.out(`${repeat} migrations: ${summary}; ${delivered} interrupts delivered; ${bad.length} failed; ${rate} a second`);
    for (const { seed, lost, doubled, runs } of bad) {
      io.out(`lost ${lost}, doubled ${doubled}, runs on ${runs.join(' and ') || 'no host'}: vsim ${reproduce(options, seed)}`);
    }
  }
  return bad.length === 0 ? EXIT.ok : EXIT.failed;
}

/** The call that runs one migration of a series again. */
function reproduce(options: MigrateOptions, seed: number): string {
  const { devices, vcpus, rate, instant, source, destination, failAt, corrupt, faultAfter, swap } = options;
  return [
    `migrate --seed ${seed} --devices ${devices} --vcpus ${vcpus} --rate ${rate} --instant ${instant} --source ${source} --dest ${destination}`,
    failAt === undefined ? '' : ` --fail-at ${failAt}`,
    corrupt === undefined ? '' : ` --corrupt ${corrupt}`,
    faultAfter === undefined ? '' : ` --fault-after ${faultAfter}`,
    swap === undefined ? '' : ` --swap ${swap.join(',')}`,
  ].join('');
}

function bar(part: number): string {
  const width = 20;
  const done = Math.floor(part * width);
  return `[${'#'.repeat(done)}${'.'.repeat(width - done)}]`;
}
