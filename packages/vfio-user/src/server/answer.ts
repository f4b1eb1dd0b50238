/** What a handler of a command has to say. */
import { type Refused, type Reply, refused } from '../wire/messages.ts';
import type { Descriptor } from '../wire/descriptor.ts';

/** A reply, and what goes beside it. */
export interface Answered {
  readonly reply: Reply;
  /** Closed once they are sent. */
  readonly descriptors?: readonly Descriptor[];
}

/** A reply, or why there is none. */
export type Answer = Answered | Refused;

/** The answer to a command that is done and has no payload. */
export const DONE: Answered = { reply: { name: 'DONE' } };

/** What the device refused. @param code a negative errno @param call what was asked of it */
export function deviceRefused(code: number, call: string): Refused {
  return refused(-code, `the device refuses ${call}`);
}
