/**
 * Recordings of what Linux wrote to the GIC for each action (`NAME.commands.txt`), replayed on the model's host driver and virtual GIC.
 *
 * A case is a scenario. Its actions are done again; what the floors then write to the GIC, and what the guests' programs and the VMM's calls
 * come to, is compared line by line, field by field, in order. When a thread was preempted, and when an interrupt handler ran, is the
 * recording's schedule, which is an input.
 */
import type { ProfileName } from '@vsim/vfio-core';
import type { GicVersion } from '@vsim/gic-its';
import type { ReplayOptions } from '../format.ts';
import { MalformedRecording } from '../json.ts';
import { CaseRecorder, type CaseReport } from '../report.ts';
import { compareLines, normalised } from './floor-compare.ts';
import { preemptionsOf, resultsOf, runProgram, timesLeft } from './floor-guest.ts';
import { DEVICES, FloorMachine, guestLpi, NotReplayable } from './floor-machine.ts';
import { beforeRun, commandOf, DIRECT_WFI, LATE_MSI, SAVED_BEFORE_WORK, setUpCommand } from './floor-scenarios.ts';
import { guestRunOf, scenariosOf, type FloorScenario, type GuestStep } from './floor-text.ts';

/** The kernel and the GIC of a recording, which its name tells. */
const NAME = /linux(510|61|73)-gicv(3|41|4)\.commands\.txt/;
const PROFILES: Readonly<Record<string, ProfileName>> = { 510: 'linux-5.10', 61: 'linux-6.1', 73: 'linux-7.3' };
const VERSIONS: Readonly<Record<string, GicVersion>> = { 3: 'gicv3', 4: 'gicv4', 41: 'gicv4.1' };

/** An interrupt handler ran on its PE later than the program went on. */
const LATE_HANDLER = 'late-handler';
/** Exits that a host interrupt caused while list registers were too few: each entry pulses the maintenance interrupt. */
const HOST_EXIT = 'host-exit';
/** How long a wait had still to go is time, and not compared. */
const TIME_LEFT = 'time-left';

/** The maintenance interrupt rises, and falls. */
const PULSE = /^ {2}\(maintenance cpu (\d) 1\) {2}\(maintenance cpu \1 0\)$/;

/** Lines that are no command of the program to the machine but begin what it did next all the same. */
const BEGINS = /^(> |slot |irqfd \d, signalled|eventfd count)/;

export function isCommandsFile(path: string): boolean {
  return /\.commands\.txt(\.gz)?$/.test(path);
}

/** The kernel profile of a recording. @throws MalformedRecording for a name that tells none */
export function floorProfileOf(path: string): { readonly profile: ProfileName; readonly version: GicVersion } {
  const match = NAME.exec(path);
  const profile = PROFILES[match?.[1] ?? ''];
  const version = VERSIONS[match?.[2] ?? ''];
  if (profile === undefined || version === undefined) throw new MalformedRecording(path, undefined, 'expected a name that tells kernel and GIC, as linux61-gicv41.commands.txt');
  return { profile, version };
}

/** Replays a recording, scenario by scenario: each goes on with what the one before left. @throws MalformedRecording */
export function* replayFloor(path: string, text: string, options: ReplayOptions): Generator<CaseReport> {
  const { profile, version } = floorProfileOf(path);
  const machine = new FloorMachine(version, options.profile ?? profile, (host) => { options.watch?.('all scenarios', host); });
  for (const scenario of scenariosOf(path, text)) {
    const report = new FloorReplay(machine, scenario).run();
    if (options.casePrefix === undefined || scenario.name.startsWith(options.casePrefix)) yield report;
  }
}

class FloorReplay {
  readonly #machine: FloorMachine;
  readonly #scenario: FloorScenario;
  readonly #lines: readonly string[];
  readonly #report: CaseRecorder;
  /** Commands of the guest so far, and of its set-up by name. */
  #commands = 0;
  readonly #setUp = new Map<string, number>();
  #ranOnce = false;
  #msis = 0;
  /** The device of an MSI whose handler has not run yet. */
  #late: number | undefined;
  /** Interrupts that the recorded program had not seen when it read its eventfd. */
  #unseen = 0;
  /** The steps in which the programs of the window were resumed, by vCPU. */
  readonly #resumed = new Map<number, number>();
  /** Where the programs of vCPUs were kicked out. */
  static readonly #stuck = new WeakMap<object, { readonly at: number; readonly waits: boolean }>();
  /** The first line of the window that is compared, and how many lines the model has made of it. */
  #window = 0;
  #made = 0;

  constructor(machine: FloorMachine, scenario: FloorScenario) {
    this.#machine = machine;
    this.#scenario = scenario;
    this.#report = new CaseRecorder(scenario.name);
    this.#lines = scenario.lines.map((line) => normalised(line, this.#report));
  }

  /** Window after window: an action, and all that comes of it. */
  run(): CaseRecorder {
    const { stream } = this.#machine;
    stream.take();
    for (let at = 0; at < this.#lines.length; ) {
      this.#report.begin(this.#scenario.at + at);
      this.#window = at;
      this.#made = 0;
      this.#resumed.clear();
      stream.onLine = (): void => {
        this.#made += 1;
      };
      let end: number;
      try {
        end = this.#perform(at);
      } catch (error) {
        if (!(error instanceof NotReplayable)) throw error;
        this.#report.notExecuted(`${this.#lines[at]!}: ${error.message}`);
        break;
      }
      for (; end < this.#lines.length && !BEGINS.test(this.#lines[end]!); end += 1) this.#answer(this.#lines[end]!);
      const recorded = this.#lines.slice(at, end);
      const threads = recorded.slice(1).some((line) => line.startsWith('> ')) || recorded[0] === '> vm close';
      const made = stream.take();
      const pulses = this.#pulses(recorded) - this.#pulses(made);
      for (let n = pulses; n > 0; n -= 1) this.#report.relax(HOST_EXIT);
      if (pulses < 0) this.#report.diverge('maintenance', `${this.#pulses(recorded)} lines of pulses more`, String(this.#pulses(made)));
      compareLines(this.#report, onePulse(recorded.map((line) => this.#comparable(line))), onePulse(made), threads);
      at = end;
    }
    stream.onLine = undefined;
    if (this.#unseen !== 0) this.#report.diverge('eventfd', '0 interrupts unseen', String(this.#unseen));
    return this.#report;
  }

  /** How many pulses of the maintenance interrupt follow another at once. */
  #pulses(lines: readonly string[]): number {
    return lines.length - onePulse(lines).length;
  }

  /** Of the end of a program its results. */
  #comparable(line: string): string {
    const done = guestRunOf(line);
    if (done === undefined) return line;
    const ret = /ret (-?\d+)/.exec(line)?.[1] ?? '';
    for (let n = timesLeft(done.steps); n > 0; n -= 1) this.#report.relax(TIME_LEFT);
    return `vcpu ${done.vcpu} done: ret ${ret} ${resultsOf(done.steps, done.steps.map(({ result }) => result), this.#resumed.get(done.vcpu))}`;
  }

  /** Does the action that begins at a line. @returns the line after it */
  #perform(at: number): number {
    const line = this.#lines[at]!;
    const machine = this.#machine;
    const { stream } = machine;
    if (!SAVED_BEFORE_WORK.includes(this.#scenario.name) || !/^> (save|msi)/.test(line)) machine.timePasses();
    const run = /^> run vcpu (\d) on cpu (\d)$/.exec(line);
    if (run !== null) return this.#run(at, Number(run[1]), Number(run[2]));
    const counted = /^eventfd count (\d+)$/.exec(line);
    if (counted !== null) stream.line(this.#eventfdCount(Number(counted[1])));
    else this.#act(line);
    return at + 1;
  }

  #eventfdCount(recorded: number): string {
    const { eventfd } = this.#machine.device(0);
    const seen = this.#unseen + Number(eventfd?.count ?? 0);
    eventfd?.drain();
    const taken = Math.min(recorded, seen);
    this.#unseen = seen - taken;
    if (this.#unseen > 0) this.#report.relax(LATE_HANDLER);
    return `eventfd count ${taken}`;
  }

  /** Lines that say what something came to, and are asked for only by being there. */
  #answer(line: string): void {
    const machine = this.#machine;
    const hex = (value: number): string => `0x${value.toString(16)}`;
    const answers: readonly (readonly [prefix: string, answer: () => string])[] = [
      ['gicd ctlr reads', (): string => `gicd ctlr reads ${hex(machine.gicd(0))}`],
      ['gicd typer2', (): string => `gicd typer2 ${hex(machine.gicd(0xc))}`],
      ['ispendr0 of vCPU 1', (): string => `ispendr0 of vCPU 1: ${hex(machine.gicr(1, 0x1_0200))}`],
      ['gpt after restore', (): string => `gpt after restore: ${machine.pendingBit(0, guestLpi(0))} ${machine.pendingBit(1, guestLpi(1))}`],
      ['gicd_ctlr', (): string => machine.readRegisters()],
    ];
    const found = answers.find(([prefix]) => line.startsWith(prefix));
    if (found !== undefined) machine.stream.line(found[1]());
  }

  /** An action that is no run. */
  #act(line: string): void {
    const machine = this.#machine;
    const { stream } = machine;
    stream.line(line);
    const [, verb = '', rest = ''] = /^> (forward edu|unforward edu|msi of edu|vm create|guest its:|guest gicd ctlr|affinity cpu|cpu) ?(.*)$/.exec(line) ?? [];
    const n = Number(rest.split(' ')[0]);
    switch (verb) {
      case 'forward edu':
        machine.newEventfd(n);
        machine.irqfd(n);
        machine.trigger(n);
        // An LPI that was a doorbell before may wait for it (K7).
        machine.timePasses();
        return;
      case 'unforward edu':
        if (rest.endsWith('irqfd first')) machine.deassign(n);
        machine.untrigger(n);
        if (!rest.endsWith('irqfd first')) machine.deassign(n);
        return;
      case 'msi of edu':
        this.#msi(n);
        return;
      case 'vm create':
        this.#setUp.clear();
        machine.create(n, rest.endsWith('ram kept'));
        return;
      case 'guest gicd ctlr':
        machine.setUp(n);
        return;
      case 'guest its:':
        this.#guestCommand(rest);
        return;
      case 'affinity cpu':
        stream.line(`affinity ${1 << n}: ${machine.device(0).irq?.setAffinity(n) ?? ''}`);
        return;
      case 'cpu':
        if (rest.endsWith(' on')) stream.line(`on ${machine.driver.onlineCpu(n)}`);
        else stream.line(`off ${machine.driver.offlineCpu(n)}`);
        return;
    }
    this.#actByName(line);
  }

  #msi(n: number): void {
    this.#msis += 1;
    const { scenario, version, msi } = LATE_MSI;
    if (this.#scenario.name === scenario && this.#machine.gic.version === version && this.#msis === msi) {
      this.#report.relax(LATE_HANDLER);
      this.#late = n;
    } else this.#machine.raise(n);
  }

  #actByName(line: string): void {
    const machine = this.#machine;
    const { stream } = machine;
    switch (line) {
      case '> vgic init':
        stream.line(machine.init());
        return;
      case '> vm close':
        machine.close();
        stream.line('vm closed');
        // The program closes the devices that are left.
        for (let n = 0; n < DEVICES; n += 1) machine.untrigger(n);
        return;
      case '> msis of edu 0 and 2':
        machine.raise(0);
        machine.raise(2);
        return;
      case '> save its tables':
        stream.line(machine.saveTables());
        return;
      case '> save pending tables':
        if (this.#scenario.name === 'save_stale') machine.setPendingBit(0, guestLpi(2));
        stream.line(machine.savePending());
        if (this.#late !== undefined) machine.raise(this.#late);
        this.#late = undefined;
        return;
      case '> restore registers':
        machine.restoreRegisters();
        return;
      case '> restore its tables':
        stream.line(machine.restoreTables());
        return;
      case 'slot gone: 0':
        machine.setSlot(false);
        return;
      case 'slot back: 0':
        machine.setSlot(true);
        return;
      case '> trigger on':
        machine.newEventfd(0);
        machine.trigger(0);
        return;
      case '> trigger off':
        machine.untrigger(0);
        return;
      case 'irqfd 0, signalled':
        machine.newEventfd(0);
        machine.irqfd(0);
        machine.signal(0);
        machine.timePasses();
        machine.trigger(0);
    }
  }

  #guestCommand(rest: string): void {
    const machine = this.#machine;
    const [name = ''] = rest.split(' ');
    const n = this.#setUp.get(name) ?? 0;
    const command = commandOf(this.#scenario.name, this.#commands) ?? setUpCommand(name, n, machine.vm.vcpus.length);
    if (command === undefined) throw new NotReplayable(`a guest command ${name} of ${this.#scenario.name} whose fields are not known`);
    this.#commands += 1;
    this.#setUp.set(name, n + 1);
    command.prepare?.(machine);
    // One that a vCPU posts is taken with its own store.
    if (rest.includes(' by vcpu ')) machine.place(command.build);
    else machine.command(command.build);
  }

  /** A vCPU's run, with the actions in it. @returns the line after its end */
  #run(at: number, id: number, cpu: number): number {
    const machine = this.#machine;
    const { stream } = machine;
    const end = this.#lines.findIndex((line, n) => n > at && guestRunOf(line)?.vcpu === id);
    const done = end < 0 ? undefined : guestRunOf(this.#lines[end]!);
    const vcpu = machine.vm.vcpus[id];
    if (done === undefined || vcpu === undefined) throw new NotReplayable(`a run of vcpu ${id} without an end`);
    stream.line(this.#lines[at]!);
    if (!this.#ranOnce) beforeRun(this.#scenario.name, machine);
    this.#ranOnce = true;
    let next = at + 1;
    const nested = (): boolean => {
      while (next < end && !this.#lines[next]!.startsWith('> ')) next += 1;
      if (next >= end) return false;
      next = this.#perform(next);
      return true;
    };
    const preemptions = preemptionsOf(this.#lines.slice(at, end), cpu).map((n) => n + at - this.#window);
    const between = (): void => {
      while (preemptions[0] !== undefined && this.#made >= preemptions[0] && vcpu.state === 'running') {
        preemptions.shift();
        vcpu.reload();
      }
    };
    stream.beforeVsgir = between;
    const result = vcpu.run(cpu);
    if (result !== 0) stream.line(`run: ${result}`);
    const from = FloorReplay.#stuck.get(vcpu);
    if (from !== undefined) this.#resumed.set(id, from.at);
    const world = {
      next: nested,
      between: (): void => {
        machine.timePasses();
        between();
      },
      direct: this.#scenario.name === DIRECT_WFI && vcpu.vlpiCount > 0,
    };
    const outcome = runProgram(machine, vcpu, done.steps, world, from);
    if (outcome.stuckAt === undefined) FloorReplay.#stuck.delete(vcpu);
    else {
      FloorReplay.#stuck.set(vcpu, { at: outcome.stuckAt, waits: waitsFor(done.steps[outcome.stuckAt]) });
      stream.line(`vcpu ${id} STUCK, kicked`);
    }
    vcpu.stop();
    stream.beforeVsgir = undefined;
    stream.line(`vcpu ${id} done: ret ${outcome.stuckAt === undefined ? 0 : -4} ${outcome.results}`);
    return end + 1;
  }
}

/** Of pulses of the maintenance interrupt that follow each other the first. */
function onePulse(lines: readonly string[]): readonly string[] {
  const pulse = (n: number): boolean => PULSE.test(`${lines[n] ?? ''}${lines[n + 1] ?? ''}`);
  const kept: string[] = [];
  for (let n = 0; n < lines.length; n += 1) {
    kept.push(lines[n]!);
    if (!pulse(n)) continue;
    kept.push(lines[n + 1]!);
    while (pulse(n + 2)) n += 2;
    n += 1;
  }
  return kept;
}

/** A loop of WFI goes on until its interrupt comes; a single one is over. */
function waitsFor(step: GuestStep | undefined): boolean {
  return step?.op === 'wfi';
}
