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
}
