/** What the steps of a scenario share: the machine, the report, and the names that the recording gave to fds. */
import { errnoName, type ProfileName, type Sleeps, type Thread } from '@vsim/vfio-core';
import type { WatchHosts } from '../format.ts';
import type { Fields } from '../json.ts';
import { CaseRecorder } from '../report.ts';
import { complete } from './clock.ts';
import { buildMachine, type Machine } from './machine.ts';
import { MODELLED } from './relaxed.ts';

/** What an fd number is that no process has. */
export const NO_FD = 1000;
export class Session {
  readonly report: CaseRecorder;
  readonly machine: Machine;
  /** Numbers of fds by their names. */
  readonly fds: Map<string, number> = new Map<string, number>();
  /** Which device an fd is of. */
  readonly devices: Map<string, string> = new Map<string, string>();

  /** Calls of a second process. */
  readonly jobs: Map<string, Thread<unknown>> = new Map<string, Thread<unknown>>();

  /** Modules that are loaded at the scenario's start. */
  readonly modules: ReadonlySet<string>;

  /** @param kept the machine, where it is there already */
  constructor(name: string, header: Fields, host: Fields, profile: ProfileName, kept?: Machine, watch?: WatchHosts) {
    this.report = new CaseRecorder(name);
    this.machine = kept ?? buildMachine(header, host, profile, (made) => { watch?.(name, made); });
    this.modules = new Set(header.has('modules') ? header.list('modules').filter((module) => typeof module === 'string') : []);
  }

  fd(step: Fields): number {
    return this.fds.get(step.string('fd')) ?? NO_FD;
  }

  isModelled(device: string | undefined): boolean {
    const found = device === undefined ? undefined : this.machine.bus.device(device);
    if (this.machine.arm !== undefined || this.machine.fslmc !== undefined) return true;
    // What is not on the PCI bus is an mdev sample, with a model of its own.
    return found === undefined || MODELLED.has(found.idText);
  }

  /** Runs a call that may sleep, a reset that takes its time for example. One that does not come back is told as such, and lives on. */
  call<T>(name: string, body: Sleeps<T>): T {
    return complete(this.machine.host, `recorder ${name}`, body);
  }

  /** An fd that a call has made gets the name that the recording gives it. */
  named(step: Fields, result: number): number | 'fd' {
    if (!step.has('as') || result <= 0) return result;
    this.fds.set(step.string('as'), result);
    if (step.has('str')) this.devices.set(step.string('as'), step.string('str').split(' ')[0] ?? '');
    return 'fd';
  }

  /** Compares a return value: a number, `fd` or `map`; and the errno of a failure. */
  result(step: Fields, result: number | 'fd' | 'map'): void {
    const failed = typeof result === 'number' && result < 0;
    const expected = step.raw('ret');
    if (typeof expected !== 'string' && typeof expected !== 'number') return step.fail('ret', 'a return value');
    this.report.compare('ret', expected, failed ? -1 : result);
    if (step.has('errno') || failed) this.report.compare('errno', step.has('errno') ? errnoOf(step) : null, failed ? errnoName(result) : null);
  }
}

/** The errno's name; the recording machine has no names for some, and writes their numbers. */
function errnoOf(step: Fields): string {
  const text = step.string('errno');
  return /^[0-9]+$/.test(text) ? errnoName(Number(text)) : text;
}
