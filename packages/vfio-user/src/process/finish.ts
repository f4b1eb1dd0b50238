/** Calls that may sleep, made by somebody who waits for their end. */
import { BlockedError, EINTR, type Process, type Sleeps } from '@vsim/vfio-core';

/** The clock goes on in steps of 1 ms. */
const STEP = 1_000_000;
/** The longest wait: 10 s of the host's clock. */
const LONGEST = 10_000 * STEP;

/**
 * Makes a call in a thread of the process, and lets the host's clock go on while it sleeps: a client waits, and nobody else moves the clock.
 *
 * @param name of the call, as `ioctl`
 * @returns what the call returns; -EINTR where it sleeps for more than 10 s, after a signal that kills
 */
export function finish(process: Process, name: string, body: Sleeps<number>): number {
  const { scheduler } = process.host;
  const thread = process.start(name, body);
  for (let waited = 0; !thread.finished && waited < LONGEST; waited += STEP) scheduler.advance(STEP);
  if (!thread.finished) thread.kill();
  return thread.finished ? thread.result() : -EINTR;
}

/** What a call answers that would have slept behind another thread. @param error what it threw @throws error, if it is another @returns -EINTR */
export function wouldBlock(error: unknown): number {
  if (error instanceof BlockedError) return -EINTR;
  throw error;
}
