/** Which commands /dev/dprc.1 lets through: the recorder swept all of them with an MC that answers each with BUSY. */
import { EBUSY, errnoName } from '@vsim/vfio-core';
import { FSL_MC_SEND_MC_COMMAND, mcCommand, PARAMS } from '@vsim/vfio-fslmc';
import { isList, type Fields } from '../json.ts';
import { NO_FD, type Session } from './session.ts';

const COMMANDS = 0x1000;
const COMMAND_BYTES = 64;
const TOKEN = 0x77;

export class CommandGate {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Every command, with one token and one version: ranges by outcome. */
  sweep(step: Fields): void {
    const send = this.#sender();
    const rest = step.string('rest');
    const by = new Map<string, number[]>();
    for (let command = 0; command < COMMANDS; command += 1) {
      const outcome = send(mcCommand(command, step.number('version'), step.number('token')));
      if (outcome !== rest) by.set(outcome, [...(by.get(outcome) ?? []), command]);
    }
    const results = step.object('results');
    for (const outcome of new Set([...results.keys, ...by.keys()])) {
      this.#session.report.compare(outcome, results.has(outcome) ? results.string(outcome) : '', ranges(by.get(outcome) ?? []));
    }
  }

  /** Some commands with one version, without token and with. */
  versions(step: Fields): void {
    const send = this.#sender();
    for (const row of step.list('results')) {
      const [command, ...expected] = isList(row) ? row : step.fail('results', 'rows of a command and two outcomes');
      const outcomes = [0, TOKEN].map((token) => send(mcCommand(Number(command), step.number('version'), token)));
      this.#session.report.compare(`command ${Number(command)}`, JSON.stringify(expected), JSON.stringify(outcomes));
    }
  }

  /** For each command: the first byte that has to be zero, and whether all behind it have to. */
  sizes(step: Fields): void {
    const send = this.#sender();
    for (const row of step.list('results')) {
      const [command, token, ...expected] = isList(row) ? row : step.fail('results', 'rows of a command, its token, its size');
      const passes = (at: number): boolean => {
        const bytes = mcCommand(Number(command), 1, Number(token));
        bytes[at] = 1;
        return send(bytes) === 'sent';
      };
      let size = PARAMS;
      while (size < COMMAND_BYTES && passes(size)) size += 1;
      const rest = Array.from({ length: COMMAND_BYTES - size }, (_, i) => passes(size + i)).every((passed) => !passed);
      this.#session.report.compare(`command ${Number(command)}`, JSON.stringify(expected), JSON.stringify([size, rest]));
    }
  }

  /** Sends through the fd that is open: `sent` where the MC was asked, which answers BUSY by a rule, or the errno. */
  #sender(): (command: Uint8Array) => string {
    const { process } = this.#session.machine;
    const [fd = NO_FD] = this.#session.fds.values();
    return (command) => {
      const result = process.tryIoctl(fd, FSL_MC_SEND_MC_COMMAND, command);
      return result === -EBUSY ? 'sent' : errnoName(result);
    };
  }
}

/** As the recorder writes them: `0x801-0x810 0x830`. */
function ranges(commands: readonly number[]): string {
  const out: [number, number][] = [];
  for (const command of commands) {
    const last = out.at(-1);
    if (last?.[1] === command - 1) last[1] = command;
    else out.push([command, command]);
  }
  return out.map(([first, last]) => (first === last ? `0x${first.toString(16)}` : `0x${first.toString(16)}-0x${last.toString(16)}`)).join(' ');
}
