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

/** Makes a call that sleeps only behind another thread. @returns what it returns; -EINTR where it would wait */
export function unlessBlocked(call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (error instanceof BlockedError) return -EINTR;
    throw error;
  }
}
