/** A sleeping lock that knows its holder. Kernel: struct mutex. */
import { WaitQueue, type Scheduler, type Sleeps } from './scheduler.ts';

export class Mutex {
  readonly #sched: Scheduler;
  readonly #queue: WaitQueue;
  #holder: string | undefined;

  constructor(sched: Scheduler, what: string) {
    this.#sched = sched;
    this.#queue = new WaitQueue(what, () => (this.#holder === undefined ? [] : [this.#holder]));
  }

  get locked(): boolean {
    return this.#holder !== undefined;
  }

  /** Sleeps until the lock is free, then takes it for the current thread. */
  *lock(): Sleeps<void> {
    yield* this.#queue.wait(this.#sched, () => this.#holder === undefined);
    this.#holder = this.#sched.current?.name ?? 'host program';
  }

  /** Takes the lock if it is free. */
  tryLock(): boolean {
    if (this.#holder !== undefined) return false;
    this.#holder = this.#sched.current?.name ?? 'host program';
    return true;
  }

  unlock(): void {
    this.#holder = undefined;
    this.#queue.wake();
  }
}
