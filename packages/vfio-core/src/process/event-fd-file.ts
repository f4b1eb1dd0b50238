/**
 * eventfd as user space sees it: reads and writes of 8 bytes. Kernel: fs/eventfd.c.
 *
 * EINTR is an answer (a signal came), and refuses nothing: no event tells of it.
 */
import type { Scheduler, Sleeps, WaitQueue } from '../host/scheduler.ts';
import { EVENTFD_MOST, type EventFdContext } from '../irq/event-fd.ts';
import { EINTR } from '../uapi/errno.ts';
import { File, POLLERR, POLLIN, POLLOUT, WOULD_SLEEP } from './file.ts';
import { EVENTFD_BUFFER, EVENTFD_NOT_READY, type EventFdState } from './process-reasons.ts';

export class EventFdFile extends File {
  override readonly label: string = 'anon_inode:[eventfd]';
  readonly context: EventFdContext;
  readonly #sched: Scheduler;
  #nonblocking: boolean;
  readonly #empty: EventFdState;

  constructor(sched: Scheduler, context: EventFdContext, nonblocking: boolean) {
    super();
    this.#sched = sched;
    this.context = context;
    this.#nonblocking = nonblocking;
    this.#empty = { eventfd: context.name, count: 0n, adds: undefined };
  }

  /** eventfd_poll(): an error is a count that signals have overflown. */
  override poll(): number {
    const { count } = this.context;
    return (count > 0n ? POLLIN : 0) | (count < EVENTFD_MOST ? POLLOUT : 0) | (count > EVENTFD_MOST ? POLLERR : 0);
  }

  override get pollQueues(): readonly WaitQueue[] {
    return [this.context.queue, this.context.drained];
  }

  override setNonblocking(on: boolean): void {
    this.#nonblocking = on;
  }

  /** noop_llseek(). */
  override seek(): number {
    return 0;
  }

  override read(into: Uint8Array): number {
    if (into.length < 8) return this.refuse(EVENTFD_BUFFER, { length: into.length });
    const count = this.context.take();
    if (count === undefined) return this.#nonblocking ? this.refuse(EVENTFD_NOT_READY, this.#empty) : WOULD_SLEEP;
    new DataView(into.buffer, into.byteOffset).setBigUint64(0, count, true);
    return 8;
  }

  override *readSleeps(into: Uint8Array): Sleeps<number> {
    const { context } = this;
    const end = yield* context.queue.waitExclusive(this.#sched, () => !context.isZero);
    const result = end === 'signal' ? -EINTR : this.read(into);
    // A semaphore that is not zero yet, or a wake that this reader does not use, is the next one's.
    if (!context.isZero) context.queue.wake();
    return result;
  }

  override write(from: Uint8Array): number {
    if (from.length < 8) return this.refuse(EVENTFD_BUFFER, { length: from.length });
    const value = new DataView(from.buffer, from.byteOffset).getBigUint64(0, true);
    if (value === 0xffff_ffff_ffff_ffffn) return this.refuse(EVENTFD_BUFFER, { length: from.length });
    const error = this.context.write(value);
    if (error === 0) return 8;
    return this.#nonblocking ? this.refuse(EVENTFD_NOT_READY, { eventfd: this.context.name, count: this.context.count, adds: value }) : WOULD_SLEEP;
  }

  override *writeSleeps(from: Uint8Array): Sleeps<number> {
    const value = new DataView(from.buffer, from.byteOffset).getBigUint64(0, true);
    const { context } = this;
    const end = yield* context.waitForRoom(this.#sched, value);
    const result = end === 'signal' ? -EINTR : this.write(from);
    context.wakeWriter();
    return result;
  }

  protected override *release(): Sleeps<void> {
    this.context.close();
  }
}
