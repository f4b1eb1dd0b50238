/**
 * A guest of the recordings: a program of register accesses on a vCPU, and where the host preempted its thread.
 *
 * A program is what the line of its end says. A step that waits lets the recording's next action happen; when there is none left, the vCPU
 * is kicked out, and its next program goes on where the last one stood, as the recorded guest did.
 */
import type { Vcpu } from '@vsim/gic-its';
import { NotReplayable, type FloorMachine } from './floor-machine.ts';
import type { GuestStep } from './floor-text.ts';

/** WFI loops end: a wake without an interrupt is allowed, not for ever. */
const MOST_WAKES = 16;
const SPURIOUS = 1023;

/** What happens to a vCPU from outside. */
export interface GuestWorld {
  /** The recording's next action of this run. @returns false when there is none */
  next(): boolean;
  /** Between two steps: time passes, and the thread may be preempted. */
  between(): void;
  /** KVM does not trap WFI: only this one runs on its PE, and its VLPIs wake it. */
  readonly direct: boolean;
}

export interface GuestEnd {
  /** Where its program stands when it was kicked out of a wait. */
  readonly stuckAt: number | undefined;
  /** Of the steps that read or wait, in the form of resultsOf(). */
  readonly results: string;
}

/** Runs a program. @param from the step in which the last program of this vCPU was kicked out, with what it waits for */
export function runProgram(machine: FloorMachine, vcpu: Vcpu, steps: readonly GuestStep[], world: GuestWorld, from?: { readonly at: number; readonly waits: boolean }): GuestEnd {
  const results: (number | undefined)[] = steps.map(() => undefined);
  let at = from?.at ?? 0;
  const running = (): boolean => vcpu.state === 'running';
  const asserted = (): boolean => running() && machine.gic.cpu(vcpu.cpu).virtual.irq;
  /** @returns whether the virtual IRQ came */
  const waitFor = (block: boolean): boolean => {
    for (let wakes = 0; ; ) {
      world.between();
      if (asserted()) return true;
      if (block && running()) {
        wakes += 1;
        if (wakes > MOST_WAKES) return false;
        vcpu.wfi();
        if (running()) continue;
      }
      if (!world.next()) return false;
    }
  };
  if (from !== undefined) {
    if (from.waits && !waitFor(!world.direct)) return { stuckAt: at, results: resultsOf(steps, results, at) };
    at += 1;
  }
  for (; at < steps.length; at += 1) {
    world.between();
    const { op, argument, result } = steps[at]!;
    if (op === 'wfi' || op === 'wfi1') {
      const came = op === 'wfi' ? waitFor(!world.direct) : waitOnce(vcpu, world);
      if (!came) return { stuckAt: at, results: resultsOf(steps, results, from?.at) };
      results[at] = 1;
    } else if (op === 'poll') {
      results[at] = waitFor(false) ? 1 : 0;
    } else if (op === 'tell') {
      while (world.next());
    } else {
      results[at] = perform(machine, vcpu, op, argument, result);
    }
  }
  while (world.next());
  world.between();
  return { stuckAt: undefined, results: resultsOf(steps, results, from?.at) };
}

/** One WFI. @returns false if nothing wakes it */
function waitOnce(vcpu: Vcpu, world: GuestWorld): boolean {
  vcpu.wfi();
  while (vcpu.state === 'blocked') {
    if (!world.next()) return false;
    world.between();
  }
  return true;
}

/** A step that does not wait. What a recording's result is, is for a store what was stored. @returns what a load read */
function perform(machine: FloorMachine, vcpu: Vcpu, op: string, argument: number, result: number): number | undefined {
  const { virtual } = machine.gic.cpu(vcpu.cpu);
  switch (op) {
    case 'icc_init':
      vcpu.setPriorityMask(0xff);
      vcpu.setGroup1(true);
      return undefined;
    case 'pmr':
      vcpu.setPriorityMask(result);
      return undefined;
    case 'iar1':
      return vcpu.acknowledge();
    case 'eoir1':
      vcpu.endOfInterrupt(result);
      return undefined;
    case 'timer':
      // Ticks until it rings: they have passed when the guest looks.
      vcpu.setTimer(argument !== 0);
      return undefined;
    case 'hppir1':
      return Number(virtual.read('ICC_HPPIR1_EL1'));
    case 'rpr':
      return Number(virtual.read('ICC_RPR_EL1'));
    case 'sgi1r':
      vcpu.sendSgi(BigInt(result));
      return undefined;
    case 'st32':
    case 'st64':
      machine.vm.store(vcpu, argument, op === 'st32' ? 4 : 8, BigInt(result));
      return undefined;
    case 'ld32':
      return Number(machine.vm.load(vcpu, argument, 4));
    case 'drain': {
      let taken = 0;
      for (let intid = vcpu.acknowledge(); intid !== SPURIOUS; intid = vcpu.acknowledge()) {
        vcpu.endOfInterrupt(intid);
        taken += 1;
      }
      return taken;
    }
    default:
      throw new NotReplayable(`a guest that does ${op}`);
  }
}

/** Ops whose result is read, and those whose result is the time that was left of a wait. */
const READS = ['iar1', 'hppir1', 'rpr', 'ld32', 'drain'];
const WAITS = ['poll', 'wfi'];

/**
 * Results side by side: what was read, 0 where the step was not reached; of a wait whether it ended in time. Of the step in which the last
 * program was kicked out, nothing: its result is that program's.
 */
export function resultsOf(steps: readonly GuestStep[], results: readonly (number | undefined)[], resumed: number | undefined): string {
  return steps
    .flatMap(({ op }, n) => {
      if (n === resumed) return [];
      const value = results[n] ?? 0;
      if (READS.includes(op)) return [`${op}=0x${value.toString(16)}`];
      return WAITS.includes(op) ? [`${op}=${value === 0 ? 'no' : 'yes'}`] : [];
    })
    .join(' ');
}

/** How many of a program's results are times left. */
export function timesLeft(steps: readonly GuestStep[]): number {
  return steps.filter(({ op, result }) => WAITS.includes(op) && result !== 0).length;
}

/**
 * Where in a run its thread was preempted: put without a doorbell, then loaded as before. The schedule is the recording's, so it is an input.
 *
 * @param lines of the run @param cpu where the vCPU runs @returns how many lines come before each put
 */
export function preemptionsOf(lines: readonly string[], cpu: number): readonly number[] {
  const residency = `  GICR${cpu} VPENDBASER `;
  const at: number[] = [];
  let groups: string | undefined;
  let changed = false;
  lines.forEach((line, n) => {
    if (!line.startsWith(residency)) return;
    if (line.includes('Valid')) {
      groups ??= groupsOf(line);
      return;
    }
    // GICv4.0 enables a doorbell before.
    if (line.includes('Doorbell') || lines[n - 1]?.startsWith(`  GICR${cpu} INVLPIR physical`) === true) return;
    const load = lines.findIndex((other, m) => m > n && !other.startsWith(`  GICR${cpu} VPROPBASER`));
    const next = lines[load];
    if (next === undefined || !next.startsWith(residency) || !next.includes('Valid')) return;
    const inStore = lines[load + 1]?.includes(' VSGIR ') === true;
    const same = groupsOf(next) === groups;
    if (inStore || (same && !changed)) at.push(n);
    // Loaded in the midst of a change of groups: the load that the change asks for comes later.
    changed = inStore && !same;
    groups = groupsOf(next);
  });
  return at;
}

function groupsOf(line: string): string {
  return /vGrp\S*/.exec(line)?.[0] ?? '';
}
