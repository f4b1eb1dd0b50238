/** Jobs: a second process or thread of the recorder, that may sleep in a call. */
import type { Sleeps, Thread } from '@vsim/vfio-core';
import type { Fields } from '../json.ts';
import { MOST_MS, MS } from './clock.ts';
import type { Session } from './session.ts';

/** How far the clock moves between two looks. */
const SLICE = 10 * MS;
const LIMIT = 30_000 * MS;

export class JobSteps {
  readonly #session: Session;
  /** Steps whose jobs are threads that make an fd. */
  readonly #spawned = new Map<string, Fields>();

  constructor(session: Session) {
    this.#session = session;
  }

  spawn(step: Fields, body: Sleeps<unknown>): void {
    this.#spawned.set(step.string('job'), step);
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
    if (outcome.state === 'done' && typeof outcome.value === 'number') this.#name(step, outcome.value);
    if (step.has('ret')) {
      this.#compareResult(step, outcome.state === 'done' && typeof outcome.value === 'number' ? outcome.value : -1);
      return;
    }
    // One that was looked at right at its end has no status yet.
    if (!done || (step.has('exit') && step.raw('exit') === null)) return;
    // The shell's status: 1 when the write or read failed.
    const failed = outcome.state !== 'done' || (typeof outcome.value === 'number' && outcome.value < 0);
    this.#session.report.compare('exit', step.number('exit'), failed ? 1 : 0);
  }

  /** The fd that a thread has got is there from now on. */
  #name(step: Fields, result: number): void {
    const spawned = this.#spawned.get(step.string('job'));
    if (spawned?.has('as') === true) this.#session.named(spawned, result);
  }

  /** Of a thread's failure only that it failed is known. */
  #compareResult(step: Fields, result: number): void {
    const expected = step.raw('ret');
    if (expected === 'fd') this.#session.report.compare('ret', 'fd', result > 0 ? 'fd' : result);
    else this.#session.report.compare('ret', step.number('ret'), Math.max(result, -1));
  }

  #job(step: Fields): Thread<unknown> {
    return this.#session.jobs.get(step.string('job')) ?? step.fail('job', 'the name of a job');
  }
}
