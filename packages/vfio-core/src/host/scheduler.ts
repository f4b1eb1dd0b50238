/**
 * The host's scheduler: kernel threads as generators, wait queues, and the virtual clock.
 *
 * Code that may sleep in the kernel is a generator function, `Sleeps<T>`. Each `yield` of a Point is a place where
 * another thread may run; each wait on a WaitQueue says what is waited for and who holds it. The default
 * schedule lets the current thread run as long as it can, so that a simple program looks synchronous; tests hold
 * threads at points and put user space between any two steps. No promise, timer or wall clock takes part.
 */
import { removeItem } from '../memory/list.ts';

/** A place where another thread may run; made once, at module load; its name is public API. */
export interface Point {
  readonly point: string;
}

/** What a thread yields while it waits on a queue. `until` is virtual time in ns. */
export interface Sleep {
  readonly on: WaitQueue;
  readonly until: number | undefined;
}

/** Code that may sleep. Called with `yield*`, only from a thread. */
export type Sleeps<T> = Generator<Point | Sleep, T, void>;

/** Why an interruptible wait ended. */
export type WaitEnd = 'ready' | 'timeout' | 'signal';

/** Where sleepers wait. As the kernel's: the waker says so, the sleeper looks again. */
export class WaitQueue {
  readonly what: string;
  readonly holders: () => readonly string[];
  readonly #sleepers: Thread<unknown>[] = [];

  constructor(what: string, holders: () => readonly string[] = () => []) {
    this.what = what;
    this.holders = holders;
  }

  /** Sleeps until `ready()` holds. False when virtual time reached `until` first. */
  *wait(sched: Scheduler, ready: () => boolean, until?: number): Sleeps<boolean> {
    while (!ready()) {
      if (until !== undefined && sched.now >= until) return false;
      yield { on: this, until };
    }
    return true;
  }

  /** As wait(), but ends early when the thread has a signal; the signal stays pending. */
  *waitInterruptible(sched: Scheduler, ready: () => boolean, until?: number): Sleeps<WaitEnd> {
    while (!ready()) {
      if (sched.current?.signalPending === true) return 'signal';
      if (until !== undefined && sched.now >= until) return 'timeout';
      yield { on: this, until };
    }
    return 'ready';
  }

  /** Makes all sleepers runnable; runs nothing. */
  wake(): void {
    const woken = this.#sleepers.splice(0);
    for (const thread of woken) thread.wakeUp();
  }

  /** @internal For the scheduler. */
  add(thread: Thread<unknown>): void {
    this.#sleepers.push(thread);
  }

  /** @internal For the scheduler. */
  remove(thread: Thread<unknown>): void {
    removeItem(this.#sleepers, thread);
  }
}

/** Where a thread stands. */
export type Outcome<T> =
  | { readonly state: 'runnable' | 'held'; readonly at: string }
  | { readonly state: 'asleep'; readonly what: string; readonly heldBy: readonly string[] }
  | { readonly state: 'done'; readonly value: T }
  | { readonly state: 'failed'; readonly error: unknown };

/** A result was asked of a thread that has none yet: it says what the thread waits for, and who holds it. */
export class BlockedError extends Error {
  override readonly name = 'BlockedError';
  readonly thread: string;
  readonly waitsFor: string;
  readonly heldBy: readonly string[];

  constructor(thread: string, waitsFor: string, heldBy: readonly string[]) {
    const by = heldBy.length === 0 ? '' : `, held by ${heldBy.join(', ')}`;
    super(`${thread}: waits for ${waitsFor}${by}`);
    this.thread = thread;
    this.waitsFor = waitsFor;
    this.heldBy = heldBy;
  }
}

/** A kernel thread, or a system call of a process. Not thenable: a blocked one would never settle. */
export class Thread<out T> {
  readonly name: string;
  /** A signal was sent and nobody has taken it: ends interruptible waits. */
  signalPending = false;
  readonly #sched: Scheduler;
  readonly #body: Sleeps<T>;
  #outcome: Outcome<T> = { state: 'runnable', at: 'start' };
  #sleep: Sleep | undefined;

  /** @internal Threads are made by Scheduler.spawn. */
  constructor(sched: Scheduler, name: string, body: Sleeps<T>) {
    this.#sched = sched;
    this.name = name;
    this.#body = body;
  }

  get outcome(): Outcome<T> {
    return this.#sleep === undefined
      ? this.#outcome
      : { state: 'asleep', what: this.#sleep.on.what, heldBy: this.#sleep.on.holders() };
  }

  get finished(): boolean {
    return this.#outcome.state === 'done' || this.#outcome.state === 'failed';
  }

  /** Virtual time at which this thread wakes by itself. @internal */
  get deadline(): number | undefined {
    return this.#sleep?.until;
  }

  /**
   * The value of the finished thread.
   *
   * @throws the thread's own error, or BlockedError while it has not finished.
   */
  result(): T {
    const outcome = this.outcome;
    switch (outcome.state) {
      case 'done':
        return outcome.value;
      case 'failed':
        throw outcome.error;
      case 'asleep':
        throw new BlockedError(this.name, outcome.what, outcome.heldBy);
      case 'runnable':
      case 'held':
        throw new BlockedError(this.name, outcome.at, []);
    }
  }

  /** Sends a signal: a sleeping thread looks again, and an interruptible wait ends. */
  signal(): void {
    if (this.finished) return;
    this.signalPending = true;
    this.wakeUp();
    this.#sched.settle();
  }

  /** @internal Ends a sleep or a hold. */
  wakeUp(): void {
    if (this.#sleep !== undefined) {
      this.#sleep.on.remove(this);
      this.#sleep = undefined;
    } else if (this.#outcome.state !== 'held') {
      return;
    }
    this.#outcome = { state: 'runnable', at: 'woken' };
    this.#sched.makeRunnable(this);
  }

  /** @internal Runs to the next yield; true while the thread stays runnable. */
  step(held: ReadonlySet<Point>): boolean {
    let next: IteratorResult<Point | Sleep, T>;
    try {
      next = this.#body.next();
    } catch (error) {
      this.#outcome = { state: 'failed', error };
      return false;
    }
    if (next.done === true) {
      this.#outcome = { state: 'done', value: next.value };
      return false;
    }
    const at = next.value;
    if ('on' in at) {
      this.#sleep = at;
      at.on.add(this);
      return false;
    }
    if (held.has(at)) {
      this.#outcome = { state: 'held', at: at.point };
      return false;
    }
    this.#outcome = { state: 'runnable', at: at.point };
    return true;
  }
}

/** Picks the thread that runs next: the only place where order is decided. */
export type Schedule = (
  runnable: readonly Thread<unknown>[],
  current: Thread<unknown> | undefined,
) => Thread<unknown>;

/** The default order: the current thread while it can run, else the one that has been runnable longest. */
export const runToBlock: Schedule = (runnable, current) =>
  current !== undefined && runnable.includes(current) ? current : runnable[0]!;

/** Runs threads, one at a time, and owns the virtual clock. */
export class Scheduler {
  readonly #schedule: Schedule;
  readonly #held = new Set<Point>();
  readonly #threads: Thread<unknown>[] = [];
  readonly #runnable: Thread<unknown>[] = [];
  #current: Thread<unknown> | undefined;
  #running = false;
  #now = 0;

  constructor(schedule: Schedule = runToBlock) {
    this.#schedule = schedule;
  }

  /** Virtual time in ns since the host was made. */
  get now(): number {
    return this.#now;
  }

  /** Threads that have not finished, in the order of their creation. */
  get threads(): readonly Thread<unknown>[] {
    return this.#threads;
  }

  /** The thread that runs now; undefined outside of every thread. */
  get current(): Thread<unknown> | undefined {
    return this.#running ? this.#current : undefined;
  }

  /** Starts a thread. From outside: settles before it returns. From inside a thread: only makes it runnable. */
  spawn<T>(name: string, body: Sleeps<T>): Thread<T> {
    const thread = new Thread(this, name, body);
    this.#threads.push(thread);
    this.#runnable.push(thread);
    this.settle();
    return thread;
  }

  /** spawn() and result(): for callers that do not expect to sleep. @throws BlockedError if it does. */
  call<T>(name: string, body: Sleeps<T>): T {
    return this.spawn(name, body).result();
  }

  /** From now on every thread that comes to `point` is held there. */
  stopAt(point: Point): void {
    this.#held.add(point);
  }

  /** Lets go the threads held at `point`, and settles. */
  release(point: Point): void {
    this.#held.delete(point);
    for (const thread of this.#threads) {
      const outcome = thread.outcome;
      if (outcome.state === 'held' && outcome.at === point.point) thread.wakeUp();
    }
    this.settle();
  }

  /** Runs until no thread is runnable. Only the outermost entry does so. */
  settle(): void {
    if (this.#running || this.#runnable.length === 0) return;
    this.#running = true;
    try {
      while (this.#runnable.length > 0) this.#step(this.#schedule(this.#runnable, this.#current));
    } finally {
      this.#running = false;
      this.#current = undefined;
    }
  }

  /**
   * Moves the clock `ns` forward, waking each timed sleeper at its time, in order.
   *
   * @throws RangeError if `ns` is negative or not finite.
   */
  advance(ns: number): void {
    if (!(ns >= 0 && Number.isFinite(ns))) throw new RangeError(`"ns" expected a time >= 0, got ${ns}`);
    const end = this.#now + ns;
    this.settle();
    for (;;) {
      const next = this.#nextDeadline();
      if (next === undefined || next > end) break;
      this.#now = Math.max(this.#now, next);
      for (const thread of [...this.#threads]) {
        if (thread.deadline !== undefined && thread.deadline <= this.#now) thread.wakeUp();
      }
      this.settle();
    }
    this.#now = end;
  }

  /** Sleeps `ns` of virtual time. */
  *sleep(ns: number): Sleeps<void> {
    yield* new WaitQueue(`${ns} ns`).wait(this, () => false, this.#now + ns);
  }

  /** @internal */
  makeRunnable(thread: Thread<unknown>): void {
    this.#runnable.push(thread);
  }

  #step(thread: Thread<unknown>): void {
    this.#current = thread;
    if (thread.step(this.#held)) return;
    removeItem(this.#runnable, thread);
    if (thread.finished) removeItem(this.#threads, thread);
  }

  #nextDeadline(): number | undefined {
    let next: number | undefined;
    for (const { deadline } of this.#threads) {
      if (deadline !== undefined && (next === undefined || deadline < next)) next = deadline;
    }
    return next;
  }
}
