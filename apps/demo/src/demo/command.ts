/** `vsim demo [--seed N] [--json]`. */
import { recordedMachine } from '@vsim/conformance';
import { Options } from '../args.ts';
import { EXIT, type Io } from '../io.ts';
import { runDemo } from './demo.ts';
import { printReport } from './report.ts';

const DEFAULT_SEED = 1;
const MAX_SEED = 0xffff_fffe;

export function demoCommand(args: readonly string[], io: Io): number {
  const options = new Options(args, { seed: 'string', json: 'boolean' });
  const seed = options.number('seed', 0, MAX_SEED, DEFAULT_SEED);
  const report = runDemo(seed, recordedMachine(), (text) => { io.progress(text); });
  io.progress('');
  if (options.flag('json')) io.out(JSON.stringify(report));
  else printReport(report, (line) => { io.out(line); });
  const delivered = report.before.delivered + report.after.delivered;
  const bad = report.outcome !== 'migrated' || report.lost !== 0 || report.doubled !== 0 || report.guestCount !== delivered;
  return bad ? EXIT.failed : EXIT.ok;
}
