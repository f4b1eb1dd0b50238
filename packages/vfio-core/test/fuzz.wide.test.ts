import { it } from 'vitest';
import { RUNS, SEED } from '../../../testing/random.ts';
import { fuzz } from './fuzz.ts';

it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('random bytes into every request of every kind of fd, on %s: an errno or success, and nothing left over', (profile) => {
  fuzz(profile, SEED, RUNS * 100);
});
