/** What the kernel and its users said to the Management Complex: each command of a recording, in order, against the model's. */
import { COMMAND_SIZE, DPRC_SET_OBJ_IRQ, MC_SET_IRQ, PARAMS, type ManagementComplex } from '@vsim/vfio-fslmc';
import { toHex, type Fields } from '../json.ts';
import type { CaseRecorder } from '../report.ts';
import { BESIDE_RULE } from './relaxed.ts';

/** How the threads of interrupts are called. */
const INTERRUPT_THREAD = 'irq/';
/** Of the commands that tell an interrupt its message: data, address and Linux' number are the kernel's choice. */
const CHOSEN: readonly (readonly [from: number, to: number])[] = [[PARAMS, PARAMS + 4], [PARAMS + 8, PARAMS + 20]];
const NOTE = { scenario: /^# (.*)$/, step: /^> (\d+) / } as const;

interface Said {
  /** Portal, and the 64 bytes as they were submitted. */
  readonly text: string;
  readonly name: string;
  /** By the thread of an interrupt, beside whoever else speaks. */
  readonly beside?: boolean;
}

export class Conversation {
  /** It goes on to the end of the machine: how the control register was left is told last. */
  readonly tellsTheEnd: boolean;
  /** By scenario and step; what came before the first scenario is that of the boot. */
  readonly #recorded = new Map<string, readonly Said[]>();
  #heard: Said[] = [];
  #expected: Said[] = [];
  #actual: Said[] = [];

  /** @param lines the recorded conversation */
  constructor(lines: readonly Fields[]) {
    const last = lines.at(-1);
    this.tellsTheEnd = last?.string('k') === 'gcr1' && !last.has('from');
    let scenario = '';
    let said: Said[] = [];
    for (const line of lines) {
      if (line.string('k') === 'cmd') said.push(saidOf(line.number('p'), line.bytes('q'), line.string('c')));
      if (line.string('k') !== 'note') continue;
      const note = line.string('t');
      const [, name] = NOTE.scenario.exec(note) ?? [];
      const [, step] = NOTE.step.exec(note) ?? [];
      if (name !== undefined) {
        this.#recorded.set(`${scenario} end`, said);
        scenario = name;
        said = [];
      } else if (step !== undefined) {
        this.#recorded.set(`${scenario} ${step}`, said);
        said = [];
      }
    }
    this.#recorded.set(`${scenario} end`, said);
  }

  listen(mc: ManagementComplex): void {
    // One that is answered late is heard twice: when it is submitted, and when its answer comes at last.
    mc.watch({
      answered: ({ portal, command, bytes }) => {
        const beside = mc.host.scheduler.current?.name.startsWith(INTERRUPT_THREAD) === true;
        this.#heard.push({ ...saidOf(portal.id, bytes, `0x${command.toString(16)}`), beside });
      },
    });
  }

  /** A step is done. One that is not compared (a sweep, whose order is the recorder's own) is left out on both sides. */
  step(scenario: string, step: number | 'end', compared: boolean): void {
    const key = `${scenario} ${step}`;
    if (compared) {
      this.#expected.push(...(this.#recorded.get(key) ?? []));
      this.#actual.push(...this.#heard);
    }
    this.#recorded.delete(key);
    this.#heard = [];
  }

  /** Compares what was said in a scenario. An interrupt's own scan may come a step later or earlier, between what others say: all have their order. */
  compare(scenario: string, report: CaseRecorder): void {
    this.step(scenario, 'end', true);
    let actual = this.#actual;
    const elsewhere = this.#expected.filter(({ text }, i) => text !== actual[i]?.text).length;
    if (elsewhere > 0 && interleaves(this.#expected, actual)) {
      report.relax(BESIDE_RULE);
      actual = this.#expected;
    }
    for (const [i, { text, name }] of this.#expected.entries()) report.compare(`command ${i} ${name}`, text, actual[i]?.text ?? null);
    for (const { text, name } of actual.slice(this.#expected.length)) report.compare(`command ${name}`, null, text);
    this.#expected = [];
    this.#actual = [];
  }
}

/** Whether what was expected is what the interrupts' threads said and what others said, each in its order. */
function interleaves(expected: readonly Said[], actual: readonly Said[]): boolean {
  if (expected.length !== actual.length) return false;
  const beside = actual.filter((said) => said.beside === true);
  const others = actual.filter((said) => said.beside !== true);
  // Which counts of `beside` can have been said when the first i of all were.
  let reached = new Set([0]);
  for (const [i, { text }] of expected.entries()) {
    const next = new Set<number>();
    for (const count of reached) {
      if (beside[count]?.text === text) next.add(count + 1);
      if (others[i - count]?.text === text) next.add(count);
    }
    reached = next;
  }
  return reached.size > 0;
}

function saidOf(portal: number, bytes: Uint8Array, name: string): Said {
  const whole = new Uint8Array(COMMAND_SIZE);
  whole.set(bytes);
  const command = ((whole[6]! | (whole[7]! << 8)) >>> 4);
  if (command === MC_SET_IRQ || command === DPRC_SET_OBJ_IRQ) for (const [from, to] of CHOSEN) whole.fill(0, from, to);
  return { name, text: `portal ${portal}: ${toHex(whole)}` };
}
