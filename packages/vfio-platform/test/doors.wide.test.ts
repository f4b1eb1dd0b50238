/** Fuzzers of the doors in doors.ts. */
import { describe, it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { DOORS } from './doors.ts';

describe('doors', () => {
  for (const door of DOORS) {
    it(door.name, () => {
      hold(door, 0.25);
    }, 600_000);
  }
});
