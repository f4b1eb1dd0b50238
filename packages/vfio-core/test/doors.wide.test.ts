/** Fuzzers of the doors in doors.ts: rows R1, R3, R7 and R11 of docs/robustness.md. */
import { it } from 'vitest';
import { hold } from '../../../testing/fuzz.ts';
import { DOORS } from './doors.ts';

it.each(DOORS)('the door $name', (door) => {
  hold(door, 0.25);
});
