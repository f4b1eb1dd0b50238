/** What becomes of threads, on the host's trace. The events are told of who is meant: what happens to one is often another's doing. */
import { eventKind, type EventKind } from './trace.ts';

/** A thread. */
export interface ThreadEvent {
  /** Its name. */
  readonly thread: string;
  /** Its number in the order of creation, which no other thread of the host has. */
  readonly serial: number;
}

/** A thread that waits. */
export interface ThreadAsleep extends ThreadEvent {
  /** What it waits for, in words. */
  readonly what: string;
  /** Who has that, by name. */
  readonly heldBy: readonly string[];
  /** When it wakes by itself, in virtual ns. */
  readonly until?: number | undefined;
}

/** `host/thread-started`: a kernel thread, or a system call that is one, was made, and can run. */
export const THREAD_STARTED: EventKind<ThreadEvent> = eventKind('host/thread-started', 'info', ({ thread }) => `${thread}: started`);

/** `host/thread-asleep`: a thread waits for something. */
export const THREAD_ASLEEP: EventKind<ThreadAsleep> = eventKind('host/thread-asleep', 'info', ({ thread, what, heldBy }) => `${thread}: waits for ${what}${heldBy.length === 0 ? '' : `, held by ${heldBy.join(', ')}`}`);

/** `host/thread-held`: a thread came to a point where a test holds it. */
export const THREAD_HELD: EventKind<ThreadEvent & { readonly at: string }> = eventKind('host/thread-held', 'info', ({ thread, at }) => `${thread}: held at ${at}`);

/** `host/thread-woken`: a thread that waited, or was held, can go on. */
export const THREAD_WOKEN: EventKind<ThreadEvent> = eventKind('host/thread-woken', 'info', ({ thread }) => `${thread}: woken`);

/** `host/thread-ended`: a thread has its result, or has thrown an error. */
export const THREAD_ENDED: EventKind<ThreadEvent & { readonly error?: string | undefined }> = eventKind(
  'host/thread-ended',
  'info',
  ({ thread, error }) => `${thread}: ended${error === undefined ? '' : ` by ${error}`}`,
);
