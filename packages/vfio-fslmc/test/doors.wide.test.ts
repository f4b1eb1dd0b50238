/** Fuzzers of the doors in doors.ts. */
import { describe, it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { DOORS } from './doors.ts';

describe('doors', () => {
  for (const door of DOORS) {
    it(`${door.name}: [fslmc D23] [fslmc 50] [fslmc 55]`, () => {
      hold(door, 0.5);
    }, 600_000);
  }
});
