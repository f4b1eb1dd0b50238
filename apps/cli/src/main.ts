/** The `vsim` command: which subcommand runs, and how its errors reach the person. */
import type * as Conformance from '@vsim/conformance';
import { demoCommand } from './commands/demo.ts';
import { GROUPS_HELP, GROUPS_SUMMARY, GROUPS_USAGE, LSPCI_SUMMARY, LSPCI_USAGE, groupsCommand, lspciCommand } from './commands/groups.ts';
import { MIGRATE_HELP, MIGRATE_USAGE, migrateCommand } from './commands/migrate.ts';
import { EXIT, UsageError, type Io } from './io.ts';

/** @vsim/conformance, which only some commands need. */
export type Recordings = typeof Conformance;

interface Command {
  readonly usage: string;
  readonly summary: string;
  /** A line for each option that does not explain itself. */
  readonly help?: readonly string[];
  readonly run: ((args: readonly string[], io: Io) => number) | { readonly withRecordings: (args: readonly string[], io: Io, recordings: Recordings) => number };
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['demo', { usage: 'demo [--seed N] [--json]', summary: 'live-migrates a VM with assigned devices between two Arm hosts', run: { withRecordings: demoCommand } }],
  ['migrate', { usage: MIGRATE_USAGE, summary: 'migrations under traffic, with whatever is to go wrong', help: MIGRATE_HELP, run: migrateCommand }],
  ['groups', { usage: GROUPS_USAGE, summary: GROUPS_SUMMARY, help: GROUPS_HELP, run: groupsCommand }],
  ['lspci', { usage: LSPCI_USAGE, summary: LSPCI_SUMMARY, run: { withRecordings: lspciCommand } }],
  [
    'replay',
    {
      usage: 'replay PATH... [--profile NAME] [--host FILE] [--first N] [--case PREFIX] [--json]',
      summary: 'replays recordings of real systems against the model',
      help: [
        'PATH            a recording (.jsonl or .json, or either with .gz), or a folder of them',
        '--profile NAME  the kernel that answers, in place of the one that was recorded: linux-5.10, linux-5.13, linux-6.1, linux-6.12, linux-6.12.117 or linux-7.3',
        '--host FILE     the machine of VFIO recordings that stand alone: its host.json.gz',
        '--first N       how many divergences of each file are shown',
        '--case PREFIX   only the cases whose names begin so',
      ],
      run: { withRecordings: (args, io, { replayCommand }) => replayCommand(args, io) },
    },
  ],
]);

/** Whether a call needs the recordings. They are large: who has not loaded them need not. */
export function needsRecordings(args: readonly string[]): boolean {
  const command = COMMANDS.get(args[0] ?? '');
  return command !== undefined && typeof command.run !== 'function';
}

/**
 * Runs one call.
 *
 * @param recordings where needsRecordings() says so
 * @returns its exit code: 0, 1 where the result is bad, 2 where the call cannot be served
 */
export function main(args: readonly string[], io: Io, recordings: Recordings | undefined): number {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    for (const { usage, summary } of COMMANDS.values()) io.out(`vsim ${usage}\n    ${summary}`);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) {
    io.err(`vsim: unknown command ${name}; there are ${[...COMMANDS.keys()].join(', ')}`);
    return EXIT.usage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    for (const line of [`vsim ${command.usage}`, `    ${command.summary}`, ...(command.help ?? []).map((line) => `  ${line}`)]) io.out(line);
    return EXIT.ok;
  }
  try {
    return run(command, rest, io, recordings);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`vsim ${name}: ${error.message}`);
    return EXIT.usage;
  }
}

function run({ run }: Command, args: readonly string[], io: Io, recordings: Recordings | undefined): number {
  if (typeof run === 'function') return run(args, io);
  if (recordings === undefined) throw new TypeError('"recordings" expected @vsim/conformance, got nothing');
  return run.withRecordings(args, io, recordings);
}
