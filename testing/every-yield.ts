/** Runs a kernel thread again and again, each time with user space between two other of its steps, until it has been everywhere. */
import type { Host, Point, Sleeps, Thread } from '../packages/vfio-core/src/index.ts';

const HERE: Point = { point: 'test/here' };

/** `body`, held before its `n`-th yield, counted from 0. */
function* interrupted<T>(body: Sleeps<T>, n: number): Sleeps<T> {
  for (let i = 0; ; i += 1) {
    const step = body.next();
    if (step.done === true) return step.value;
    if (i === n) yield HERE;
    yield step.value;
  }
}

/** One run: what the thread does, and what user space does while it is held at yield `n`. */
export interface Interruption {
  readonly host: Host;
  readonly kernel: Sleeps<unknown>;
  readonly user: () => void;
  /** After the thread was let go. */
  readonly end: (thread: Thread<unknown>) => void;
}

/** `setUp(n)` makes a fresh world for each yield of its thread. @returns how many yields there were */
export function atEveryYield(setUp: (n: number) => Interruption): number {
  for (let n = 0; ; n += 1) {
    const { host, kernel, user, end } = setUp(n);
    host.scheduler.stopAt(HERE);
    const thread = host.scheduler.spawn('kernel', interrupted(kernel, n));
    if (thread.outcome.state !== 'held') return n;
    user();
    host.scheduler.release(HERE);
    end(thread);
  }
}
