/**
 * The kernel's workqueue, for the second step of what must not happen inside the first: the handler of an eventfd that a user wrote
 * signals another, or the same. Kernel: schedule_work(), as virqfd does.
 *
 * Work that comes from outside of all work runs at once; work that comes out of work waits for its turn, so that a circle of
 * eventfds takes no stack. A circle never ends: what is not done after LIMIT waits until the host settles again.
 */
import { eventKind, type EventKind, type Trace } from './trace.ts';

/** Work at one go. A device has at most 1000 ioeventfds. */
const LIMIT = 2048;

/** Work makes work without end: user space has closed a circle, of eventfds for example. */
export const WORK_WITHOUT_END: EventKind<{ readonly waiting: number }> = eventKind(
  'host/work-without-end',
  'warn',
  ({ waiting }) => `${waiting} works wait: each makes another`,
);

export interface Work {
  work(): void;
}

export class WorkQueue {
  readonly #trace: Trace;
  #waiting: Work[] = [];
  #busy = false;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /** schedule_work(). */
  run(work: Work): void {
    this.#waiting.push(work);
    this.drain();
  }

  /** Does what waits; nothing inside of work. */
  drain(): void {
    if (this.#busy || this.#waiting.length === 0) return;
    this.#busy = true;
    let done = 0;
    try {
      while (done < this.#waiting.length && done < LIMIT) {
        const next = this.#waiting[done]!;
        done += 1;
        next.work();
      }
    } finally {
      if (done === this.#waiting.length) this.#waiting.length = 0;
      else this.#waiting.splice(0, done);
      this.#busy = false;
    }
    if (this.#waiting.length > 0) this.#trace.emit(WORK_WITHOUT_END, { waiting: this.#waiting.length });
  }
}
