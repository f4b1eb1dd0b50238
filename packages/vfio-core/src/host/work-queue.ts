import { OrderedSet } from './ordered-set.ts';
import { eventKind, type EventKind, type Trace } from './trace.ts';

/** Work at one go. A device has at most 1000 ioeventfds. */
const LIMIT = 2048;

/** Work makes work without end: user space has closed a circle, of eventfds for example. */
export const WORK_WITHOUT_END: EventKind<{ readonly waiting: number }> = eventKind(
  'host/work-without-end',
  'warn',
  ({ waiting }) => `${waiting} works wait: each makes another`,
);

/** Something that the kernel queues to do behind the call that asked for it. */
export interface Work {
  /** Does it. */
  work(): void;
}

/**
 * The kernel's workqueue, for the second step of what must not happen inside the first: the handler of an eventfd that a user wrote signals
 * another, or the same. Kernel: schedule_work(), as virqfd does.
 *
 * Work that comes from outside of all work runs at once; work that comes out of work waits for its turn, so that a circle of eventfds takes
 * no stack. What waits is not queued a second time, so that a circle takes no more room than it has works. A circle never ends: what is not
 * done after 2048 works waits until the host settles again.
 */
export class WorkQueue {
  readonly #trace: Trace;
  readonly #waiting = new OrderedSet<Work>();
  #busy = false;
  /** Some of it waits until the host settles again. */
  #putOff = false;

  /** Made by Host, as `work`. */
  constructor(trace: Trace) {
    this.#trace = trace;
  }

  /**
   * schedule_work(): nothing for work that waits already; work that runs may be queued again. Behind what was put off it waits, too, so
   * that a signal to many does not drain a circle once for each.
   */
  run(work: Work): void {
    if (this.#waiting.has(work)) return;
    this.#waiting.add(work);
    if (this.#waiting.size === 1) this.drain();
  }

  /** Like run(), but it waits for doQueued(): for several that are told of one thing, before any of them acts. */
  queue(work: Work): void {
    if (!this.#waiting.has(work)) this.#waiting.add(work);
  }

  /** Does what was queued, behind what was put off. */
  doQueued(): void {
    if (!this.#putOff) this.drain();
  }

  /** Work is being done. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Does what waits; nothing inside of work. */
  drain(): void {
    if (this.#busy || this.#waiting.size === 0) return;
    this.#busy = true;
    try {
      for (let done = 0; done < LIMIT; done += 1) {
        const next = this.#waiting.first();
        if (next === undefined) break;
        this.#waiting.delete(next);
        next.work();
      }
    } finally {
      this.#busy = false;
    }
    this.#putOff = this.#waiting.size > 0;
    if (this.#putOff) this.#trace.emit(WORK_WITHOUT_END, { waiting: this.#waiting.size });
  }
}
