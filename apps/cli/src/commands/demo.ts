/** `vsim demo [--seed N] [--json]`. */
import { reportLines, runDemo } from '@vsim/demo';
import { Options } from '../args.ts';
import { EXIT, type Io } from '../io.ts';
import type { Recordings } from '../main.ts';

const DEFAULT_SEED = 1;
const MAX_SEED = 0xffff_fffe;

export function demoCommand(args: readonly string[], io: Io, { recordedMachine }: Recordings): number {
  const options = new Options(args, { seed: 'string', json: 'boolean' });
  const seed = options.number('seed', 0, MAX_SEED, DEFAULT_SEED);
  const report = runDemo(seed, recordedMachine(), (text) => { io.progress(text); });
  io.progress('');
  if (options.flag('json')) io.out(JSON.stringify(report));
  else for (const line of reportLines(report)) io.out(line);
  const delivered = report.before.delivered + report.after.delivered;
  const bad = report.outcome !== 'migrated' || report.lost !== 0 || report.doubled !== 0 || report.guestCount !== delivered;
  return bad ? EXIT.failed : EXIT.ok;
}
