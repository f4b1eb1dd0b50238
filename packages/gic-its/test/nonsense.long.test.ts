/** A million accesses that make no sense, on each kind of GIC: none throws, and each ends. */
import { describe, expect, it } from 'vitest';
import { SEED } from '../../../testing/random.ts';
import { KINDS, nonsense } from './nonsense.ts';

const PROGRAMS = 1000;
const STEPS = 1000;

describe('a million accesses', () => {
  it.each(KINDS)('%s, preset %s', (version, preset) => {
    for (let seed = SEED; seed < SEED + PROGRAMS; seed += 1) {
      const gic = nonsense(version, preset, seed, STEPS);
      expect(gic.distributor.read(0xffe8, 4) & 0xf0, `VSIM_SEED=${seed}`).toBe(version === 'gicv3' ? 0x30 : 0x40);
    }
  });
});
