import { removeItem } from '../memory/list.ts';
import { Heap } from '../host/heap.ts';
import { WaitQueue, type Scheduler, type Sleeps, type WaitEnd } from '../host/scheduler.ts';
import { highHalf, lowHalf, toBigint } from '../memory/u64.ts';
import { EAGAIN } from '../uapi/errno.ts';

const ALL_ONES = 0xffff_ffff;
/** The largest count that writes reach: 2^64 - 2. @internal */
export const EVENTFD_MOST = 0xffff_ffff_ffff_fffen;

/** A writer that sleeps until its value has room. */
interface Writer {
  readonly value: bigint;
  /** In the order in which they came. */
  readonly serial: bigint;
  readonly queue: WaitQueue;
  waits: boolean;
}

/**
 * The counter inside an eventfd, which the kernel hands around as eventfd_ctx: devices signal it, KVM's irqfd and VFIO's virqfd listen to
 * it, user space reads it through a file (EventFdFile). Kernel: fs/eventfd.c.
 */
export class EventFdContext {
  /** What messages call it. */
  readonly name: string;
  /** EFD_SEMAPHORE: a read takes 1, not all. */
  readonly semaphore: boolean;
  /** Where readers sleep; woken by every signal and by close. */
  readonly queue: WaitQueue;
  /** Where those sleep who poll for room; woken by every read. */
  readonly drained: WaitQueue;
  /** Writers that found it full, the one with the least to write first: where that has no room, none has. Made for the first of them. */
  #writers: Heap<Writer> | undefined;
  #writersAsleep = 0;
  #writersSoFar = 0n;
  readonly #listeners: EventFdListener[] = [];
  // The count in halves: signals come from the interrupt path, which does without bigint.
  #lo: number;
  #hi: number;
  #closed = false;

  /** @param count what it begins with, from 0 to 2^32 - 1 */
  constructor(name: string, count = 0, semaphore = false) {
    this.name = name;
    this.#lo = count >>> 0;
    this.#hi = 0;
    this.semaphore = semaphore;
    this.queue = new WaitQueue(`a count in ${name}`);
    this.drained = new WaitQueue(`room in ${name}`);
  }

  /** The counter, in [0, 2^64 - 1]; the largest value only by signals that overflowed it. */
  get count(): bigint {
    return toBigint(this.#lo, this.#hi);
  }

  /** Whether a read would find nothing. */
  get isZero(): boolean {
    return this.#lo === 0 && this.#hi === 0;
  }

  /** eventfd_signal(): adds one, saturating, and tells the first listener with priority; where there is none all of them, the one that came last first. */
  signal(): void {
    this.#add(1, 0);
  }

  /** A write by user space. @returns 0, or -EAGAIN when the count would pass 2^64 - 2. */
  write(value: bigint): number {
    const sum = this.count + value;
    if (sum > EVENTFD_MOST) return -EAGAIN;
    if (value > 0n) this.#add(lowHalf(value), highHalf(value));
    return 0;
  }

  /** Takes the count (or 1, of a semaphore); undefined when it is zero. */
  take(): bigint | undefined {
    if (this.isZero) return undefined;
    const taken = this.semaphore ? 1n : this.count;
    const left = this.count - taken;
    this.#lo = lowHalf(left);
    this.#hi = highHalf(left);
    this.drained.wake();
    this.wakeWriter();
    return taken;
  }

  /** Empties the counter without building its value. */
  drain(): void {
    this.#lo = 0;
    this.#hi = 0;
    this.drained.wake();
    this.wakeWriter();
  }

  /** Sleeps until there is room for `value`. Who has waited wakes the next one when it has written, or left. */
  *waitForRoom(sched: Scheduler, value: bigint): Sleeps<WaitEnd> {
    const writer: Writer = { value, serial: this.#writersSoFar, queue: new WaitQueue(`room in ${this.name}`), waits: true };
    this.#writersSoFar += 1n;
    this.#writers ??= new Heap(({ value: most, serial }) => (most << 64n) | serial, ({ waits }) => waits);
    // Writers that a signal took away leave their places behind: no more of them than there are sleepers.
    if (this.#writers.size > 2 * this.#writersAsleep + 32) this.#writers.sweep();
    this.#writers.push(writer);
    this.#writersAsleep += 1;
    const end = yield* writer.queue.waitInterruptible(sched, () => this.count + value <= EVENTFD_MOST);
    writer.waits = false;
    this.#writersAsleep -= 1;
    return end;
  }

  /** One of the writers, if there is room for any. */
  wakeWriter(): void {
    const first = this.#writers?.peek();
    if (first !== undefined && this.count + first.value <= EVENTFD_MOST) first.queue.wake();
  }

  #add(lo: number, hi: number): void {
    const low = this.#lo + lo;
    const high = this.#hi + hi + (low > ALL_ONES ? 1 : 0);
    this.#lo = high > ALL_ONES ? ALL_ONES : low >>> 0;
    this.#hi = high > ALL_ONES ? ALL_ONES : high;
    this.queue.wake();
    // No copy is made: a listener may detach itself while it is told.
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; ) {
      const listener = listeners[i]!;
      listener.signalled();
      // It has taken what there was, as an exclusive waiter: nobody behind it is woken. Kernel: __wake_up_common()
      if (listener.priority === true) return;
      if (listeners[i] === listener) i += 1;
    }
    for (const listener of listeners) listener.allTold?.();
  }

  /**
   * Adds a waiter inside the kernel, told at once if the count is not zero. One with priority stands behind those that have it, and before the
   * others; of these the last is the first. Kernel: add_wait_queue(), add_wait_queue_priority().
   */
  listen(listener: EventFdListener): void {
    const behind = this.#listeners.findIndex(({ priority }) => priority !== true);
    this.#listeners.splice(behind < 0 ? this.#listeners.length : behind, 0, listener);
    if (this.isZero) return;
    listener.signalled();
    listener.allTold?.();
  }

  /** Somebody listens who is told before the others. */
  get hasPriorityListener(): boolean {
    return this.#listeners[0]?.priority === true;
  }

  /** Takes a waiter away; one that does not listen: nothing happens. */
  unlisten(listener: EventFdListener): void {
    removeItem(this.#listeners, listener);
  }

  /** Whether the last file reference is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The last file reference is gone: listeners detach themselves (EPOLLHUP). */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners.splice(0)) listener.closed?.();
    this.queue.wake();
  }
}

/** Who listens inside the kernel. Kernel: a wait queue entry with its own wake function. */
export interface EventFdListener {
  /** It is told alone, before those that have none, as KVM's irqfds are. @default false */
  readonly priority?: boolean;
  /** The count has risen, inside of the signal. */
  signalled(): void;
  /** All of them were told: the interrupts of the CPU, which were off meanwhile, come now. */
  allTold?(): void;
  /** The eventfd was closed; the listener is detached already. */
  closed?(): void;
}
