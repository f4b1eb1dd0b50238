import { WaitQueue, type Scheduler, type Sleeps } from './scheduler.ts';

/** A sleeping lock that knows its holder. Kernel: struct mutex. */
export class Mutex {
  readonly #sched: Scheduler;
  readonly #queue: WaitQueue;
  readonly #fair: boolean;
  #holder: string | undefined;
  /** Of a fair one: who came, and who is next. */
  #came = 0;
  #next = 0;

  /** @param fair whoever came first has it first: who lets go and asks again stands behind those who wait. @default whoever runs first */
  constructor(sched: Scheduler, what: string, fair = false) {
    this.#sched = sched;
    this.#fair = fair;
    this.#queue = new WaitQueue(what, () => (this.#holder === undefined ? [] : [this.#holder]));
  }

  /** Whether somebody holds it. */
  get locked(): boolean {
    return this.#holder !== undefined;
  }

  /** Sleeps until the lock is free, then takes it for the current thread. */
  *lock(): Sleeps<void> {
    const turn = this.#came;
    this.#came += 1;
    yield* this.#queue.wait(this.#sched, () => this.#holder === undefined && (!this.#fair || this.#next === turn));
    this.#next += 1;
    this.#holder = this.#sched.current?.name ?? 'host program';
  }

  /** Takes the lock if it is free. */
  tryLock(): boolean {
    if (this.#holder !== undefined || (this.#fair && this.#next !== this.#came)) return false;
    this.#came += 1;
    this.#next += 1;
    this.#holder = this.#sched.current?.name ?? 'host program';
    return true;
  }

  /** Lets go of it; whoever waits looks again. */
  unlock(): void {
    this.#holder = undefined;
    this.#queue.wake();
  }
}
