/** The `vsim` command: which subcommand runs, and how its errors reach the person. */
import { readFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { Command, CommanderError } from 'commander';
import { addCapture } from './commands/capture.ts';
import { addDemo } from './commands/demo.ts';
import { addExplain } from './commands/explain.ts';
import { addGroups } from './commands/groups.ts';
import { addLspci } from './commands/lspci.ts';
import { addMigrate } from './commands/migrate.ts';
import { addReplay } from './commands/replay.ts';
import { addServe } from './commands/serve.ts';
import type { Context, Recordings } from './context.ts';
import { EXIT, UsageError, type Io } from './io.ts';

const WITH_RECORDINGS: ReadonlySet<string> = new Set(['demo', 'lspci', 'replay']);
const MOST_COLUMNS = 100;
const USUAL_COLUMNS = 80;

const EXIT_CODES = `
Exit codes:
  0  all is well
  1  the result is bad: an interrupt lost, a recording that differs
  2  the call cannot be served, and one line on stderr says why`;

/** Whether a call needs the recordings. They are large: who has not loaded them need not. */
export function needsRecordings(args: readonly string[]): boolean {
  return WITH_RECORDINGS.has(args[0] ?? '');
}

/**
 * Runs one call.
 *
 * @param recordings where needsRecordings() says so
 * @returns its exit code: 0, 1 where the result is bad, 2 where the call cannot be served; later, of a command that goes on
 */
export function main(args: readonly string[], io: Io, recordings: Recordings | undefined): number | Promise<number> {
  let code: number | Promise<number> = EXIT.ok;
  const refused = (error: unknown): number => {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof UsageError)) throw error;
    io.err(`vsim ${args[0] ?? ''}: ${error.message}`);
    return EXIT.usage;
  };
  const context: Context = {
    io,
    get recordings() {
      if (recordings === undefined) throw new TypeError('"recordings" expected @vsim/conformance, got nothing');
      return recordings;
    },
    end: (is) => (code = is),
    later: (run) => void (code = run().catch(refused)),
  };
  try {
    const program = programOf(context, args[0]);
    // Help of what is no command is as wrong as the command itself.
    const asked = args[0] === 'help' && args[1] !== undefined && !hasCommand(program, args[1]) ? args.slice(1) : args;
    program.parse(asked, { from: 'user' });
    return code;
  } catch (error) {
    return refused(error);
  }
}

/** @param called the first word of the call */
function programOf(context: Context, called: string | undefined): Command {
  const { io } = context;
  const width = Math.min(io.columns ?? USUAL_COLUMNS, MOST_COLUMNS);
  const program = new Command('vsim')
    .description('Linux VFIO and the Arm GICv4.1 as an executable model: what can be given to a VM, migrations, recordings of real kernels')
    .version(version(), '-V, --version', 'prints the version')
    .helpOption('-h, --help', 'prints this')
    .helpCommand('help [command]', 'prints what a command takes')
    .addHelpText('after', EXIT_CODES)
    .configureHelp({ styleTitle: (text) => (io.colors ? styleText('bold', text, { validateStream: false }) : text) })
    .configureOutput({
      writeOut: (text) => { io.out(text.replace(/\n$/, '')); },
      // Without a command it is the help that says why.
      writeErr: (text) => { io.err(text.startsWith('error:') ? complaint(text, hasCommand(program, called) ? called : undefined) : text.replace(/\n$/, '')); },
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      getOutHasColors: () => io.colors,
      getErrHasColors: () => false,
    })
    .exitOverride();
  for (const add of [addDemo, addMigrate, addGroups, addLspci, addReplay, addExplain, addServe, addCapture]) add(program, context);
  return program;
}

function hasCommand({ commands }: Command, name: string | undefined): name is string {
  return commands.some((command) => command.name() === name);
}

/** What is wrong with a call, as one line. */
function complaint(text: string, command: string | undefined): string {
  const what = text.replace('error: ', '').trim().replaceAll(/\s*\n\s*/g, ' ').replace(/\.$/, '');
  return command === undefined ? `vsim: ${what}; see vsim help` : `vsim ${command}: ${what}; see vsim help ${command}`;
}

/** As package.json has it. */
function version(): string {
  const { version: is } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return is;
}
