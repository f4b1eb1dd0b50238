/** The host's scheduler: kernel threads as generators, wait queues, and the virtual clock. No promise, timer or wall clock takes part. */
import { Heap } from './heap.ts';
import { OrderedSet } from './ordered-set.ts';
import { THREAD_ASLEEP, THREAD_ENDED, THREAD_HELD, THREAD_STARTED, THREAD_WOKEN, type ThreadEvent } from './thread-events.ts';
import type { EventKind, Trace } from './trace.ts';

/** A place where another thread may run; made once, at module load; its name is public API. */
export interface Point {
  /** Its name, `room/what-happened`: API, never changes. */
  readonly point: string;
}

/** What a thread yields while it waits on a queue. `until` is virtual time in ns. */
export interface Sleep {
  /** The queue that wakes it. */
  readonly on: WaitQueue;
  /** When it wakes by itself, in virtual time, ns; undefined for never. */
  readonly until: number | undefined;
  /** One of those who wait so is woken at a time. @default false */
  readonly exclusive?: boolean | undefined;
  /** More queues, of which each wakes. */
  readonly also?: readonly WaitQueue[] | undefined;
}

/**
 * Code that may sleep. Called with `yield*`, only from a thread.
 *
 * Each `yield` of a Point is a place where another thread may run; each wait on a WaitQueue says what is waited for and who holds it.
 */
export type Sleeps<T> = Generator<Point | Sleep, T, void>;

/** A Sleeps<T> that does not sleep. */
export function* constant<T>(value: T): Sleeps<T> {
  return value;
}

/** Why an interruptible wait ended. */
export type WaitEnd = 'ready' | 'timeout' | 'signal';

/** What a scheduler does besides, before it settles. */
interface Background {
  drain(): void;
}

interface Deadline {
  readonly thread: Thread<unknown>;
  readonly sleep: Sleep;
  readonly until: number;
}

/** Where sleepers wait. As the kernel's: the waker says so, the sleeper looks again. */
export class WaitQueue {
  /** What is waited for, in words. */
  readonly what: string;
  /** Who has what is waited for, by name. */
  readonly holders: () => readonly string[];
  readonly #sleepers = new OrderedSet<Thread<unknown>>();
  readonly #exclusive = new OrderedSet<Thread<unknown>>();

  /** @param what what is waited for, in words */
  constructor(what: string, holders: () => readonly string[] = () => []) {
    this.what = what;
    this.holders = holders;
  }

  /** Sleeps until `ready()` holds. False when virtual time, in ns, reached `until` first. */
  *wait(sched: Scheduler, ready: () => boolean, until?: number): Sleeps<boolean> {
    while (!ready()) {
      if (until !== undefined && sched.now >= until) return false;
      yield { on: this, until };
    }
    return true;
  }

  /**
   * As wait(), but ends early when the thread has a signal; the signal stays pending. Whoever wakes one of `also` wakes it, too.
   *
   * @param until virtual time in ns; none by default
   */
  *waitInterruptible(sched: Scheduler, ready: () => boolean, until?: number, also?: readonly WaitQueue[]): Sleeps<WaitEnd> {
    while (!ready()) {
      if (sched.current?.signalPending === true) return 'signal';
      if (until !== undefined && sched.now >= until) return 'timeout';
      yield { on: this, until, also };
    }
    return 'ready';
  }

  /** As waitInterruptible(), and alone: of those who wait so, a wake goes to the first. Whoever leaves something for the next wakes it. */
  *waitExclusive(sched: Scheduler, ready: () => boolean): Sleeps<WaitEnd> {
    while (!ready()) {
      if (sched.current?.signalPending === true) return 'signal';
      yield { on: this, until: undefined, exclusive: true };
    }
    return 'ready';
  }

  /** Sleeps until `ready()` holds or the thread is killed. Kernel: TASK_KILLABLE. */
  *waitKillable(sched: Scheduler, ready: () => boolean): Sleeps<void> {
    while (!ready() && sched.current?.killed !== true) yield { on: this, until: undefined };
  }

  /** Makes all sleepers runnable, of the exclusive ones the first; runs nothing. */
  wake(): void {
    if (this.#sleepers.size > 0) for (const thread of this.#sleepers.take()) thread.wakeUp();
    this.#exclusive.first()?.wakeUp();
  }

  /** For the scheduler: a thread sleeps here. @internal */
  add(thread: Thread<unknown>, exclusive: boolean): void {
    (exclusive ? this.#exclusive : this.#sleepers).add(thread);
  }

  /** For the scheduler: a thread sleeps here no longer. @internal */
  remove(thread: Thread<unknown>): void {
    this.#sleepers.delete(thread);
    this.#exclusive.delete(thread);
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
  /** Always `BlockedError`. */
  override readonly name = 'BlockedError';
  /** The name of the thread. */
  readonly thread: string;
  /** What it waits for, in words; the point where it is held, or may go on. */
  readonly waitsFor: string;
  /** Who has that, by name. */
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
  /** For messages, and for whoever waits for a lock that it holds. */
  readonly name: string;
  /** Its number in the order of creation, which no other thread of the host has. */
  readonly serial: number;
  /** A signal was sent and nobody has taken it: ends interruptible waits. */
  signalPending = false;
  /** A fatal signal: its process exits. Also ends killable waits. */
  killed = false;
  readonly #sched: Scheduler;
  readonly #body: Sleeps<T>;
  #outcome: Outcome<T> = { state: 'runnable', at: 'start' };
  #sleep: Sleep | undefined;

  /**
   * Threads are made by Scheduler.spawn().
   *
   * @param serial its number in the order of creation @internal
   * @internal Threads are made by Scheduler.spawn.
   */
  constructor(sched: Scheduler, name: string, body: Sleeps<T>, serial: number) {
    this.serial = serial;
    this.#sched = sched;
    this.name = name;
    this.#body = body;
  }

  /** Where it stands now. */
  get outcome(): Outcome<T> {
    return this.#sleep === undefined
      ? this.#outcome
      : { state: 'asleep', what: this.#sleep.on.what, heldBy: this.#sleep.on.holders() };
  }

  /** Whether it has ended, by a value or an error. */
  get finished(): boolean {
    return this.#outcome.state === 'done' || this.#outcome.state === 'failed';
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

  /** SIGKILL, of a process that exits: ends an interruptible or killable sleep; a thread that is held stays so. */
  kill(): void {
    this.signalPending = true;
    this.killed = true;
    if (this.#sleep !== undefined) this.wakeUp();
  }

  /** Whether it is this sleep that the thread is in. @internal */
  sleepsIn(sleep: Sleep): boolean {
    return this.#sleep === sleep;
  }

  /** Ends a sleep or a hold. @internal */
  wakeUp(): void {
    if (this.#sleep !== undefined) {
      this.#sleep.on.remove(this);
      if (this.#sleep.also !== undefined) for (const queue of this.#sleep.also) queue.remove(this);
      this.#sleep = undefined;
    } else if (this.#outcome.state !== 'held') {
      return;
    }
    this.#outcome = { state: 'runnable', at: 'woken' };
    if (this.#sched.traced) this.#tell(THREAD_WOKEN, {});
    this.#sched.makeRunnable(this);
  }

  /** Runs to the next yield; true while the thread stays runnable. @internal */
  step(held: ReadonlySet<Point>): boolean {
    let next: IteratorResult<Point | Sleep, T>;
    try {
      next = this.#body.next();
    } catch (error) {
      this.#outcome = { state: 'failed', error };
      if (this.#sched.traced) this.#tell(THREAD_ENDED, { error: error instanceof Error ? error.message : String(error) });
      return false;
    }
    if (next.done === true) {
      this.#outcome = { state: 'done', value: next.value };
      if (this.#sched.traced) this.#tell(THREAD_ENDED, {});
      return false;
    }
    const at = next.value;
    if ('on' in at) {
      this.#sleep = at;
      at.on.add(this, at.exclusive === true);
      if (at.also !== undefined) for (const queue of at.also) queue.add(this, false);
      if (at.until !== undefined) this.#sched.wakeAt({ thread: this, sleep: at, until: at.until });
      if (this.#sched.traced) this.#tell(THREAD_ASLEEP, { what: at.on.what, heldBy: at.on.holders(), until: at.until });
      return false;
    }
    if (held.has(at)) {
      this.#outcome = { state: 'held', at: at.point };
      if (this.#sched.traced) this.#tell(THREAD_HELD, { at: at.point });
      return false;
    }
    this.#outcome = { state: 'runnable', at: at.point };
    return true;
  }

  #tell<F extends object>(kind: EventKind<F & ThreadEvent>, fields: F): void {
    this.#sched.tell(kind, { thread: this.name, serial: this.serial, ...fields });
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

/**
 * Runs threads, one at a time, and owns the virtual clock; a host has one.
 *
 * The default schedule lets the current thread run as long as it can, so that a simple program looks synchronous; tests hold threads at
 * points and put user space between any two steps.
 *
 * @example
 * ```ts
 * import { Host } from '@vsim/vfio-core';
 *
 * const { scheduler } = new Host();
 * const sleeper = scheduler.spawn('sleeper', scheduler.sleep(1_000_000));
 * console.log(sleeper.outcome.state); // asleep
 * scheduler.advance(1_000_000);
 * console.log(sleeper.outcome.state); // done
 * ```
 */
export class Scheduler {
  readonly #schedule: Schedule;
  readonly #held = new Set<Point>();
  readonly #threads = new OrderedSet<Thread<unknown>>();
  readonly #runnable = new OrderedSet<Thread<unknown>>();
  readonly #deadlines = new Heap<Deadline>(
    ({ until }) => until,
    ({ thread, sleep }) => thread.sleepsIn(sleep),
  );
  readonly #background: Background | undefined;
  readonly #expected = new Set<{ readonly what: string }>();
  readonly #trace: Trace | undefined;
  #serial = 0;
  #current: Thread<unknown> | undefined;
  #running = false;
  #now = 0;

  /** @param schedule which thread runs next; runToBlock by default @param trace what hears of threads; nobody by default */
  constructor(schedule: Schedule = runToBlock, background?: Background, trace?: Trace) {
    this.#schedule = schedule;
    this.#background = background;
    this.#trace = trace;
  }

  /** Whether anybody follows what threads do. @internal */
  get traced(): boolean {
    return this.#trace?.followed === true;
  }

  /** Tells of a thread. @internal */
  tell<F extends object>(kind: EventKind<F>, fields: F): void {
    this.#trace?.step(kind, fields);
  }

  /** Virtual time in ns since the host was made. */
  get now(): number {
    return this.#now;
  }

  /** Threads that have not finished, in the order of their creation. */
  get threads(): readonly Thread<unknown>[] {
    return this.#threads.toArray();
  }

  /** The thread that runs now; undefined outside of every thread. */
  get current(): Thread<unknown> | undefined {
    return this.#running ? this.#current : undefined;
  }

  /** Starts a thread. From outside: settles before it returns. From inside a thread: only makes it runnable. */
  spawn<T>(name: string, body: Sleeps<T>): Thread<T> {
    this.#serial += 1;
    const thread = new Thread(this, name, body, this.#serial);
    this.#threads.add(thread);
    this.#runnable.add(thread);
    if (this.traced) this.tell(THREAD_STARTED, { thread: name, serial: this.#serial });
    this.settle();
    return thread;
  }

  /** spawn() and result(): for callers that do not expect to sleep. @throws BlockedError if it does. */
  call<T>(name: string, body: Sleeps<T>): T {
    return this.spawn(name, body).result();
  }

  /**
   * What a host's author has to run, as `bus.addDriver(driver)`: a body that nobody runs does nothing, and says so nowhere.
   *
   * @param what as the author wrote it
   * @returns the same, which demandRun() misses until it has begun
   */
  expectRun<T>(what: string, body: Sleeps<T>): Sleeps<T> {
    const expected = { what };
    this.#expected.add(expected);
    return begun(this.#expected, expected, body);
  }

  /** Somebody begins to use the host. @throws TypeError for a body that was made and has not begun: expectRun() */
  demandRun(): void {
    for (const { what } of this.#expected) throw new TypeError(`"${what}" expected to be run, as host.scheduler.call('boot', ${what}), got a generator that nobody ran`);
  }

  /** Refuses to go on in no thread of this scheduler. @param what as the author wrote it @throws TypeError on another host's scheduler, or none */
  assertRunsHere(what: string): void {
    if (!this.#running) throw new TypeError(`"${what}" expected to be run by the scheduler of its own host, got another host's`);
  }

  /** From now on every thread that comes to `point` is held there. */
  stopAt(point: Point): void {
    this.#held.add(point);
  }

  /** Whether threads that come to `point` are held: for code that leaves the rest to a thread only then. */
  holds(point: Point): boolean {
    return this.#held.has(point);
  }

  /** Lets go the threads held at `point`, and settles. */
  release(point: Point): void {
    this.#held.delete(point);
    for (const thread of this.threads) {
      const outcome = thread.outcome;
      if (outcome.state === 'held' && outcome.at === point.point) thread.wakeUp();
    }
    this.settle();
  }

  /** Runs until no thread is runnable. Only the outermost entry does so. */
  settle(): void {
    if (this.#running) return;
    this.#background?.drain();
    if (this.#runnable.size === 0) return;
    this.#running = true;
    try {
      while (this.#runnable.size > 0) this.#step(this.#next());
    } finally {
      this.#running = false;
      this.#current = undefined;
    }
  }

  /**
   * Moves the clock `ns` nanoseconds forward, waking each timed sleeper at its time, in order.
   *
   * @throws RangeError if `ns` is negative or not finite.
   */
  advance(ns: number): void {
    if (!(ns >= 0 && Number.isFinite(ns))) throw new RangeError(`"ns" expected a time >= 0, got ${ns}`);
    const end = this.#now + ns;
    this.settle();
    for (;;) {
      const next = this.#deadlines.peek()?.until;
      if (next === undefined || next > end) break;
      this.#now = Math.max(this.#now, next);
      const due: Thread<unknown>[] = [];
      for (let first = this.#deadlines.peek(); first !== undefined && first.until <= this.#now; first = this.#deadlines.peek()) {
        due.push(first.thread);
        this.#deadlines.pop();
      }
      due.sort((a, b) => a.serial - b.serial);
      for (const thread of due) thread.wakeUp();
      this.settle();
    }
    this.#now = Math.max(this.#now, end);
  }

  /**
   * Whoever runs keeps the processor for `ns` nanoseconds, as a driver that polls does: the clock moves and nobody else runs, so that timed
   * sleepers are late.
   *
   * @throws RangeError if `ns` is negative or not finite.
   */
  pass(ns: number): void {
    if (!(ns >= 0 && Number.isFinite(ns))) throw new RangeError(`"ns" expected a time >= 0, got ${ns}`);
    this.#now += ns;
  }

  /** Sleeps `ns` nanoseconds of virtual time. */
  *sleep(ns: number): Sleeps<void> {
    yield* new WaitQueue(`${ns} ns`).wait(this, () => false, this.#now + ns);
  }

  /** A thread can go on. @internal */
  makeRunnable(thread: Thread<unknown>): void {
    this.#runnable.add(thread);
  }

  /** A thread has gone to sleep until a time. @internal */
  wakeAt(deadline: Deadline): void {
    this.#deadlines.push(deadline);
    // Sleeps that ended early leave their deadlines behind: no more of them than there are threads.
    if (this.#deadlines.size > 2 * this.#threads.size + 32) this.#deadlines.sweep();
  }

  /** The default order needs no list. */
  #next(): Thread<unknown> {
    const first = this.#runnable.first()!;
    if (this.#schedule !== runToBlock) return this.#schedule(this.#runnable.toArray(), this.#current);
    return this.#current !== undefined && this.#runnable.has(this.#current) ? this.#current : first;
  }

  #step(thread: Thread<unknown>): void {
    this.#current = thread;
    if (thread.step(this.#held)) return;
    this.#runnable.delete(thread);
    if (thread.finished) this.#threads.delete(thread);
  }
}

/** The body of expectRun(): it has begun. */
function* begun<T, E>(missing: Set<E>, expected: E, body: Sleeps<T>): Sleeps<T> {
  missing.delete(expected);
  return yield* body;
}
