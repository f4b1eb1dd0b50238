/** `vsim migrate`: migrations under traffic, with whatever is to go wrong. */
import { isSound, matrixRow, MAX_TICKERS, PATCHES, runMigration, type MigrateOptions, type MigrateReport } from '@vsim/demo';
import type { GicVersion } from '@vsim/gic-its';
import { PHASES } from '@vsim/vmm';
import { oneOf, Options } from '../args.ts';
import { EXIT, UsageError, type Io } from '../io.ts';

export const MIGRATE_USAGE =
  'migrate [--devices N] [--vcpus N] [--rate N] [--instant N] [--source GIC] [--dest GIC] [--fail-at PHASE] [--corrupt N] [--fault-after N] [--swap PHASE,PHASE[,...]] [--without PATCH] [--repeat N] [--seed S] [--json]';

export const MIGRATE_HELP: readonly string[] = [
  '--devices N          assigned devices that raise interrupts',
  '--rate N             how many of a hundred steps of traffic are interrupts',
  '--instant N          steps of traffic before the migration begins',
  '--source, --dest     gicv3, gicv4 or gicv4.1: what the hosts have',
  `--fail-at PHASE      one of ${PHASES.join(', ')}`,
  '--corrupt N          flips byte N of the state on the wire',
  '--fault-after N      the write of KVM to guest memory after N of them, while the source is saved, fails',
  '--swap PHASE,PHASE   two phases in each other\'s place; more pairs after them, one by one',
  `--without PATCH      ${Object.keys(PATCHES).join(', ')}: a patch of the kernel series left out; prints what is seen then`,
  '--repeat N           migrations with the seeds S, S + 1, ...; each that fails prints the call that shows it again',
];

const GICS: readonly GicVersion[] = ['gicv3', 'gicv4', 'gicv4.1'];
const MAX_SEED = 0xffff_fffe;
const MAX_VCPUS = 3; // one physical CPU stays free, for vCPUs to move to
const PROGRESS_EVERY = 16;

export function migrateCommand(args: readonly string[], io: Io): number {
  const options = new Options(args, {
    devices: 'string',
    vcpus: 'string',
    rate: 'string',
    instant: 'string',
    source: 'string',
    dest: 'string',
    'fail-at': 'string',
    corrupt: 'string',
    'fault-after': 'string',
    swap: 'string',
    without: 'string',
    repeat: 'string',
    seed: 'string',
    json: 'boolean',
  });
  const migration: MigrateOptions = {
    seed: options.number('seed', 0, MAX_SEED, 1),
    devices: options.number('devices', 1, MAX_TICKERS, 2),
    vcpus: options.number('vcpus', 1, MAX_VCPUS, 2),
    rate: options.number('rate', 0, 100, 50),
    instant: options.number('instant', 0, 1_000_000, 200),
    source: options.choice('source', GICS, 'gicv4.1'),
    destination: options.choice('dest', GICS, 'gicv4.1'),
    switches: {},
    failAt: options.choice('fail-at', PHASES),
    corrupt: options.text('corrupt') === undefined ? undefined : options.number('corrupt', 0, 0xffff_ffff, 0),
    swap: pairs(options.text('swap')),
    faultAfter: options.text('fault-after') === undefined ? undefined : options.number('fault-after', 0, 1_000_000, 0),
  };
  const patch = options.choice('without', Object.keys(PATCHES));
  if (patch !== undefined) return printMatrix(migration, patch, options.flag('json'), io);
  const repeat = options.number('repeat', 1, 1_000_000, 1);
  return repeat === 1 ? printOne(migration, options.flag('json'), io) : printMany(migration, repeat, options.flag('json'), io);
}

function pairs(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',');
  if (names.length % 2 !== 0) throw new UsageError(`--swap: expected two phases or more pairs of them with commas, got ${text}`);
  return names.map((name) => oneOf('--swap', name, PHASES));
}

function printMatrix(options: MigrateOptions, patch: string, json: boolean, io: Io): number {
  const rows = [matrixRow(options, 'none'), matrixRow(options, patch)];
  if (json) io.out(JSON.stringify(rows));
  else {
    io.out('without   seen on destination   seen on source when cancelled');
    for (const { without, destination, source } of rows) io.out(`${without.padEnd(8)}  ${destination.padEnd(20)}  ${source}`);
  }
  return EXIT.ok;
}

function printOne(options: MigrateOptions, json: boolean, io: Io): number {
  const report = runMigration(options);
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
function printMany(options: MigrateOptions, repeat: number, json: boolean, io: Io): number {
  const bad: MigrateReport[] = [];
  const outcomes = new Map<string, number>();
  let delivered = 0;
  const start = io.now();
  for (let i = 0; i < repeat; i += 1) {
    const report = runMigration({ ...options, seed: options.seed + i });
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
