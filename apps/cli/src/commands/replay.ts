/** `vsim replay`. */
import type { MakeServed } from '@vsim/conformance';
import { PROFILE_NAMES, type Host, type ProfileName } from '@vsim/vfio-core';
import { Option, type Command } from 'commander';
import { wholeNumber } from '../args.ts';
import { EXIT, UsageError } from '../io.ts';
import type { Context } from '../context.ts';
import { deviceChoice } from '../serve/device-choice.ts';
import { traced, traceOption } from '../trace/trace-file.ts';

interface ReplayOptions {
  readonly profile?: ProfileName;
  readonly host?: string;
  readonly first: number;
  readonly case?: string;
  readonly json?: true;
  readonly mcLog?: true;
  readonly trace?: string;
  readonly device?: string;
}

export function addReplay(program: Command, context: Context): void {
  const { io, end, later } = context;
  program
    .command('replay')
    .summary('replays recordings of real systems against the model')
    .description('Replays recordings of real kernels, KVM and QEMU, step by step, and counts where the model answers differently.')
    .argument('<path...>', 'recordings (.jsonl or .json, or either with .gz), or folders of them; - is standard input')
    .addOption(new Option('--profile <name>', 'the kernel that answers, in place of the one that was recorded').choices(PROFILE_NAMES))
    .option('--host <file>', 'the machine of VFIO recordings that stand alone: its host.json')
    .option('--first <n>', 'how many divergences of each file are shown', wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--case <prefix>', 'only the cases whose names begin so')
    .option('--device <device>', 'what conversations of vfio-user (vsim capture) are said to, as serve takes it')
    .option('--json', 'one object instead of lines')
    .option('--mc-log', 'a line for each command that a Management Complex of DPAA2 gets (not with --json)')
    .addOption(traceOption('each host that a case is replayed on'))
    .addHelpText('after', '\nExamples:\n  vsim replay recordings/ --first 3\n  vsim replay talk.jsonl --device ./my-device.ts')
    .action((paths: readonly string[], options: ReplayOptions) => {
      const { device } = options;
      if (device === undefined) {
        end(replayed(paths, options, context));
        return;
      }
      const choice = deviceChoice(device, {}, io.cwd);
      // A file of theirs is read first; who needs none loads nothing.
      later(async () => {
        const [{ makerOf }, { machineOf }] = await Promise.all([import('../serve/maker.ts'), import('../serve/machine.ts')]);
        const make = await makerOf(choice);
        const failed = (error: unknown): void => { io.err(`${device}: ${String(error)}`); };
        return replayed(paths, options, context, (watch) => machineOf(make, failed, (host) => watch?.('session', host)).device);
      });
    });
}

/** @returns the exit code */
function replayed(paths: readonly string[], options: ReplayOptions, { io, recordings }: Context, device?: MakeServed): number {
  const { case: casePrefix, first, host, json, mcLog, profile, trace } = options;
  const { replay, ReplayError } = recordings;
  try {
    const agrees = traced(trace, io, (tracing) => {
      const watch = tracing.on ? (name: string, made: Host): void => { tracing.host(name, made); } : undefined;
      return replay({ paths, profile, hostFile: host, first, casePrefix, json: json === true, mcLog: mcLog === true, watch, device }, tracing.io);
    });
    return agrees ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (error instanceof ReplayError) throw new UsageError(error.message);
    throw error;
  }
}
