/** Fuzzers of the doors in doors.ts. */
import { describe, it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { DOORS } from './doors.ts';

describe('doors', () => {
  for (const door of DOORS) {
    it(door.name, () => {
      hold(door, door.length < 10 ? 0.02 : 0.5);
    }, 600_000);
  }
});
