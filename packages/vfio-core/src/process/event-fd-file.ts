import type { Scheduler, Sleeps, WaitQueue } from '../host/scheduler.ts';
import { EVENTFD_MOST, type EventFdContext } from '../irq/event-fd.ts';
import { EINTR } from '../uapi/errno.ts';
import { File, POLLERR, POLLIN, POLLOUT, WOULD_SLEEP } from './file.ts';
import { EVENTFD_BUFFER, EVENTFD_NOT_READY, type EventFdState } from './process-reasons.ts';

/**
 * An eventfd as user space sees it: reads and writes of 8 bytes, little-endian. Kernel: fs/eventfd.c.
 *
 * A read of fewer than 8 bytes is -EINVAL, one that finds 0 is -EAGAIN without blocking. -EINTR is an answer (a signal came), and refuses
 * nothing: no event tells of it.
 */
export class EventFdFile extends File {
  /** What /proc/PID/fd shows of every eventfd. */
  override readonly label: string = 'anon_inode:[eventfd]';
  /** The counter behind the fd, which the kernel's users of the eventfd share. */
  readonly context: EventFdContext;
  readonly #sched: Scheduler;
  #nonblocking: boolean;
  readonly #empty: EventFdState;

  /**
   * Makes the open file of a counter; eventfd2() is Process.eventfd().
   *
   * @param nonblocking EFD_NONBLOCK: where a call would wait it is -EAGAIN
   */
  constructor(sched: Scheduler, context: EventFdContext, nonblocking: boolean) {
    super();
    this.#sched = sched;
    this.context = context;
    this.#nonblocking = nonblocking;
    this.#empty = { eventfd: context.name, count: 0n, adds: undefined };
  }

  /** eventfd_poll(): POLLIN for a count above 0, POLLOUT while one more has room, POLLERR for a count that signals have overflown. */
  override poll(): number {
    const { count } = this.context;
    return (count > 0n ? POLLIN : 0) | (count < EVENTFD_MOST ? POLLOUT : 0) | (count > EVENTFD_MOST ? POLLERR : 0);
  }

  /** Woken when the count rises, and when it falls. */
  override get pollQueues(): readonly WaitQueue[] {
    return [this.context.queue, this.context.drained];
  }

  /** As fcntl() and FIONBIO change O_NONBLOCK. */
  override setNonblocking(on: boolean): void {
    this.#nonblocking = on;
  }

  /** noop_llseek(): position 0, whatever is asked. */
  override seek(): number {
    return 0;
  }

  /**
   * eventfd_read(): takes the count, or 1 of a semaphore.
   *
   * @returns 8; -EINVAL for a buffer that is too short, -EAGAIN for a count of 0 without blocking, else WOULD_SLEEP
   */
  override read(into: Uint8Array): number {
    if (into.length < 8) return this.refuse(EVENTFD_BUFFER, { length: into.length });
    const count = this.context.take();
    if (count === undefined) return this.#nonblocking ? this.refuse(EVENTFD_NOT_READY, this.#empty) : WOULD_SLEEP;
    new DataView(into.buffer, into.byteOffset).setBigUint64(0, count, true);
    return 8;
  }

  /** eventfd_read() that waits for a count above 0. @returns 8, or -EINTR after a signal */
  override *readSleeps(into: Uint8Array): Sleeps<number> {
    const { context } = this;
    const end = yield* context.queue.waitExclusive(this.#sched, () => !context.isZero);
    const result = end === 'signal' ? -EINTR : this.read(into);
    // A semaphore that is not zero yet, or a wake that this reader does not use, is the next one's.
    if (!context.isZero) context.queue.wake();
    return result;
  }

  /**
   * eventfd_write(): adds to the count.
   *
   * @returns 8; -EINVAL for fewer than 8 bytes and for 2^64 - 1, -EAGAIN for a sum above 2^64 - 2 without blocking, else WOULD_SLEEP
   */
  override write(from: Uint8Array): number {
    if (from.length < 8) return this.refuse(EVENTFD_BUFFER, { length: from.length });
    const value = new DataView(from.buffer, from.byteOffset).getBigUint64(0, true);
    if (value === 0xffff_ffff_ffff_ffffn) return this.refuse(EVENTFD_BUFFER, { length: from.length });
    const error = this.context.write(value);
    if (error === 0) return 8;
    return this.#nonblocking ? this.refuse(EVENTFD_NOT_READY, { eventfd: this.context.name, count: this.context.count, adds: value }) : WOULD_SLEEP;
  }

  /** eventfd_write() that waits until the sum has room. @returns 8, or -EINTR after a signal */
  override *writeSleeps(from: Uint8Array): Sleeps<number> {
    const value = new DataView(from.buffer, from.byteOffset).getBigUint64(0, true);
    const { context } = this;
    const end = yield* context.waitForRoom(this.#sched, value);
    const result = end === 'signal' ? -EINTR : this.write(from);
    context.wakeWriter();
    return result;
  }

  /** eventfd_release(): whoever listens in the kernel is told that the eventfd is gone. */
  protected override *release(): Sleeps<void> {
    this.context.close();
  }
}
