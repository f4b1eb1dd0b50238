/** What a command has. */
import type * as Conformance from '@vsim/conformance';
import type { Io } from './io.ts';

/** @vsim/conformance, which only some commands need. */
export type Recordings = typeof Conformance;

/** What a command has: the world, the recordings, and where its exit code goes. */
export interface Context {
  readonly io: Io;
  /** @throws TypeError unless they were given */
  readonly recordings: Recordings;
  readonly end: (code: number) => void;
  /** A command that is not over when its action is. @param run gives its exit code @throws UsageError */
  readonly later: (run: () => Promise<number>) => void;
}
