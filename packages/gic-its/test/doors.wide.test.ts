/** Fuzzers of the doors in doors.ts. */
import { describe, it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { LONG } from '../../../testing/random.ts';
import { DOORS } from './doors.ts';

describe('doors', () => {
  // One program of the store takes seconds: the long run has it.
  for (const door of DOORS.filter(({ length }) => length >= 10 || LONG)) {
    it(door.name, () => {
      hold(door, door.length < 10 ? 0.02 : 0.5);
    }, 600_000);
  }
});
