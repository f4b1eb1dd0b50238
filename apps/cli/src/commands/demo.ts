/** `vsim demo`. */
import { reportLines, runDemo } from '@vsim/demo';
import type { Command } from 'commander';
import { wholeNumber } from '../args.ts';
import { EXIT } from '../io.ts';
import type { Context } from '../context.ts';
import { traced, traceOption } from '../trace/trace-file.ts';

const MAX_SEED = 0xffff_fffe;

interface DemoOptions {
  readonly seed: number;
  readonly json?: true;
  readonly trace?: string;
}

export function addDemo(program: Command, context: Context): void {
  const { io, end } = context;
  program
    .command('demo')
    .summary('live-migrates a VM with assigned devices between two Arm hosts')
    .description('Builds two Arm hosts with GICv4.1, runs a VM with assigned devices on one, live-migrates it to the other, and accounts for every interrupt.')
    .option('--seed <n>', 'what the traffic is a function of', wholeNumber(0, MAX_SEED), 1)
    .option('--json', 'one object instead of a report')
    .addOption(traceOption('both hosts'))
    .addHelpText('after', '\nExamples:\n  vsim demo --seed 7\n  vsim demo --trace demo.pftrace')
    .action(({ seed, json, trace }: DemoOptions) => {
      const report = traced(trace, io, (tracing) => {
        const done = runDemo(seed, context.recordings.recordedMachine(), (text) => { io.progress(text); }, tracing.group(''));
        io.progress('');
        if (json === true) tracing.io.out(JSON.stringify(done));
        else for (const line of reportLines(done)) tracing.io.out(line);
        return done;
      });
      const delivered = report.before.delivered + report.after.delivered;
      const bad = report.outcome !== 'migrated' || report.lost !== 0 || report.doubled !== 0 || report.guestCount !== delivered;
      end(bad ? EXIT.failed : EXIT.ok);
    });
}
