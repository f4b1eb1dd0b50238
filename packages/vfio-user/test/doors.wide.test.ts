/** Fuzzers of the doors in doors.ts. */
import { it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { DOORS } from './doors.ts';

it.each(DOORS)('the door $name', (door) => {
  hold(door);
});
