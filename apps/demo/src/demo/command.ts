/** `vsim demo [--seed N] [--json]`. */
import { parseArgs } from 'node:util';
import { recordedMachine } from '@vsim/conformance';
import { EXIT, UsageError, type Io } from '../io.ts';
import { runDemo } from './demo.ts';
import { printReport } from './report.ts';

const DEFAULT_SEED = 1;
const MAX_SEED = 0xffff_fffe;

export function demoCommand(args: readonly string[], io: Io): number {
  const { seed, json } = parse(args);
  const report = runDemo(seed, recordedMachine(), (text) => { io.progress(text); });
  io.progress('');
  if (json) io.out(JSON.stringify(report));
  else printReport(report, (line) => { io.out(line); });
  const delivered = report.before.delivered + report.after.delivered;
  const bad = report.outcome !== 'migrated' || report.lost !== 0 || report.doubled !== 0 || report.guestCount !== delivered;
  return bad ? EXIT.failed : EXIT.ok;
}

function parse(args: readonly string[]): { readonly seed: number; readonly json: boolean } {
  let values: { seed?: string; json?: boolean };
  try {
    ({ values } = parseArgs({ args: [...args], options: { seed: { type: 'string' }, json: { type: 'boolean' } } }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split('\n', 1)[0]! : 'bad arguments');
  }
  const seed = values.seed === undefined ? DEFAULT_SEED : Number(values.seed);
  if (!(Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED)) {
    throw new UsageError(`--seed: expected a whole number from 0 to ${MAX_SEED}, got ${values.seed ?? ''}`);
  }
  return { seed, json: values.json ?? false };
}
