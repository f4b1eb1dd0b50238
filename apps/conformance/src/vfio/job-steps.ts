/** Jobs: a second process of the recorder, that may sleep in a write or a read. */
import type { Sleeps, Thread } from '@vsim/vfio-core';
import type { Fields } from '../json.ts';
import { MOST_MS, MS, type Session } from './session.ts';

/** How far the clock moves between two looks. */
const SLICE = 10 * MS;
const LIMIT = 30_000 * MS;

export class JobSteps {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  spawn(step: Fields, body: Sleeps<unknown>): void {
    this.#session.jobs.set(step.string('job'), this.#session.machine.process.start(`job ${step.string('job')}`, body));
  }

  state(step: Fields): void {
    this.#session.machine.host.scheduler.advance(step.count('wait_ms', MOST_MS) * MS);
    this.#compare(step);
  }

  wait(step: Fields): void {
    const { scheduler } = this.#session.machine.host;
    const job = this.#job(step);
    for (const end = scheduler.now + LIMIT; !job.finished && scheduler.now < end; ) scheduler.advance(SLICE);
    this.#compare(step);
  }

  #compare(step: Fields): void {
    const { outcome } = this.#job(step);
    const done = outcome.state === 'done' || outcome.state === 'failed';
    this.#session.report.compare('done', step.boolean('done'), done);
    // One that was looked at right at its end has no status yet.
    if (step.has('exit') ? step.raw('exit') === null : !step.boolean('done')) return;
    // The shell's status: 1 when the write or read failed.
    const failed = outcome.state !== 'done' || (typeof outcome.value === 'number' && outcome.value < 0);
    this.#session.report.compare('exit', step.number('exit'), failed ? 1 : 0);
  }

  #job(step: Fields): Thread<unknown> {
    return this.#session.jobs.get(step.string('job')) ?? step.fail('job', 'the name of a job');
  }
}
