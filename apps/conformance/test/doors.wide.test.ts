/** Fuzzers of the doors in doors.ts. */
import { describe, it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { CAPTURES_DOOR } from './captures-door.ts';
import { DOORS } from './doors.ts';

describe('doors', () => {
  for (const door of DOORS) {
    it(door.name, () => {
      hold(door, door === CAPTURES_DOOR ? 0.5 : 0.1);
    }, 600_000);
  }
});
