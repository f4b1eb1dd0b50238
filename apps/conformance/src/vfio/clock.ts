/** Time of the recordings on the host's clock. */
import type { Host, Sleeps } from '@vsim/vfio-core';

/** A millisecond of the recordings, in the nanoseconds of the clock. */
export const MS = 1_000_000;
/** The longest that a step takes: a day. */
export const MOST_MS = 86_400_000;

/** How far the clock moves between two looks, and how long a call of the recorder may take. */
const SLICE = 10 * MS;
const LONGEST_CALL = 30_000 * MS;

/** Runs a thread to its end, as long as it takes. @throws BlockedError if it takes too long */
export function complete<T>({ scheduler }: Host, name: string, body: Sleeps<T>): T {
  const thread = scheduler.spawn(name, body);
  for (const end = scheduler.now + LONGEST_CALL; !thread.finished && scheduler.now < end; ) scheduler.advance(SLICE);
  return thread.result();
}
