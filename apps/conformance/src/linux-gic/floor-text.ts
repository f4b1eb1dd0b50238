/** The text of a recording of commands: scenarios (`# name`), actions (`> ...`), accesses (two spaces), results. */
import { MalformedRecording } from '../json.ts';

export interface FloorScenario {
  readonly name: string;
  /** The first line of the file that is its. */
  readonly at: number;
  readonly lines: readonly string[];
}

/** What says nothing about the floors, or says again what another line says. */
const DROPPED = /^(vcpu \d took |exits during |linux irq |trigger \d|sent \d|done at )/;

/** The scenarios of a recording, without what is dropped. @throws MalformedRecording */
export function scenariosOf(path: string, text: string): readonly FloorScenario[] {
  const scenarios: { name: string; at: number; lines: string[] }[] = [];
  text.split('\n').forEach((line, n) => {
    if (line === '' || DROPPED.test(line)) return;
    if (line.startsWith('# ')) {
      scenarios.push({ name: line.slice(2), at: n + 1, lines: [] });
      return;
    }
    const scenario = scenarios.at(-1);
    if (scenario === undefined) throw new MalformedRecording(path, n + 1, 'expected a scenario first');
    scenario.lines.push(line);
  });
  return scenarios;
}

/** A step of a guest's program, with what it came to. */
export interface GuestStep {
  readonly op: string;
  readonly argument: number;
  readonly result: number;
}

const DONE = /^vcpu (\d) done: ret (-?\d+) exit \d+ runs \d+:(.*)$/;

/** How a vCPU's run ended: the line that says it has the whole program. */
export interface GuestRun {
  readonly vcpu: number;
  readonly steps: readonly GuestStep[];
}

export function guestRunOf(line: string): GuestRun | undefined {
  const match = DONE.exec(line);
  if (match === null) return undefined;
  const steps = [...(match[3] ?? '').matchAll(/([a-z0-9_]+)\((0x[0-9a-f]+)\)=(0x[0-9a-f]+)/g)];
  return { vcpu: Number(match[1]), steps: steps.map(([, op = '', argument, result]) => ({ op, argument: Number(argument), result: Number(result) })) };
}
