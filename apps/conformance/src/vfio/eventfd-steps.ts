/** Steps on eventfds. */
import { EventFdFile } from '@vsim/vfio-core';
import type { Fields } from '../json.ts';
import { LATE_SIGNAL_RULE, SUSPEND_RACE_RULE } from './relaxed.ts';
import { MOST_MS, MS } from './clock.ts';
import type { Session } from './session.ts';

/** How far the clock moves between two looks. */
const SLICE = 10 * MS;

export class EventfdSteps {
  readonly #session: Session;
  /** Those given to LOW_POWER_ENTRY_WITH_WAKEUP, until the first read after the first use of the device: 'used' in between. */
  readonly #wakeups = new Map<string, 'entered' | 'used'>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** LOW_POWER_ENTRY_WITH_WAKEUP was given an eventfd. */
  wakesBy(name: string): void {
    this.#wakeups.set(name, 'entered');
  }

  /** Something is done with a device fd. */
  deviceUsed(): void {
    for (const name of this.#wakeups.keys()) this.#wakeups.set(name, 'used');
  }

  make(step: Fields): void {
    this.#session.fds.set(step.string('as'), this.#session.machine.process.eventfd(step.number('init')));
    this.#session.result(step, 'fd');
  }

  read(step: Fields): void {
    this.#compareRead(step, this.#count(step));
  }

  #file(step: Fields): EventFdFile {
    const file = this.#session.machine.process.file(this.#session.fd(step));
    return file instanceof EventFdFile ? file : step.fail('fd', 'an eventfd');
  }

  /** The count taken from an eventfd, or a negative errno. */
  #count(step: Fields): bigint | number {
    const into = new Uint8Array(8);
    const result = this.#file(step).read(into);
    return result < 0 ? result : new DataView(into.buffer).getBigUint64(0, true);
  }

  #compareRead(step: Fields, count: bigint | number): void {
    const name = step.string('fd');
    const first = this.#wakeups.get(name) === 'used' && this.#wakeups.delete(name);
    if (first && step.raw('errno') === 'EAGAIN' && count === 1n) {
      this.#session.report.relax(SUSPEND_RACE_RULE);
      return;
    }
    this.#session.result(step, typeof count === 'number' ? count : 8);
    if (step.raw('ret') === 8 || step.has('count')) this.#session.report.compare('count', step.bigint('count'), typeof count === 'number' ? 0n : count);
  }

  wait(step: Fields): void {
    const { scheduler } = this.#session.machine.host;
    const end = scheduler.now + step.count('timeout_ms', MOST_MS) * MS;
    const { context } = this.#file(step);
    while (context.isZero && scheduler.now < end) scheduler.advance(Math.min(SLICE, end - scheduler.now));
    const count = this.#count(step);
    // Linux 7.3: a job was at work, and its signal came right after the wait there. It is still to be read.
    const working = [...this.#session.jobs.values()].some(({ finished }) => !finished) && this.#session.machine.host.profile.name === 'linux-7.3';
    if (working && step.raw('errno') === 'EAGAIN' && typeof count === 'bigint') {
      this.#session.report.relax(LATE_SIGNAL_RULE);
      this.#signal(step, count);
      return;
    }
    this.#compareRead(step, count);
  }

  write(step: Fields): void {
    this.#session.result(step, this.#signal(step, step.bigint('value')));
  }

  #signal(step: Fields, value: bigint): number {
    const from = new Uint8Array(8);
    new DataView(from.buffer).setBigUint64(0, value, true);
    return this.#session.machine.process.tryPwrite(this.#session.fd(step), from, 0);
  }
}
