import { describe, expect, it } from 'vitest';
import { inEra, type Era } from './kernel-version.ts';

function at(era: Era, ...kernels: readonly (readonly [major: number, minor: number, patch?: number])[]): readonly boolean[] {
  return kernels.map(([major, minor, patch]) => inEra(era, { major, minor, patch }));
}

describe('inEra', () => {
  it('from a release on, and up to one', () => {
    expect(at({ since: [6, 9] }, [5, 19], [6, 8], [6, 9], [6, 10], [7, 0])).toEqual([false, false, true, true, true]);
    expect(at({ until: [6, 9] }, [5, 19], [6, 8], [6, 9], [7, 0])).toEqual([true, true, false, false]);
    expect(at({}, [2, 6], [7, 3])).toEqual([true, true]);
  });

  it('a series is taken with its updates', () => {
    expect(at({ since: [7, 0], stable: [5, 10] }, [5, 9], [5, 10], [6, 1], [7, 0])).toEqual([false, true, true, true]);
  });

  it('a gap is in the first releases of one series', () => {
    expect(at({ gap: [5, 9, 8] }, [5, 8], [5, 9, 0], [5, 9, 8], [5, 9, 9], [5, 9], [5, 10, 0])).toEqual([true, false, false, true, true, true]);
  });

  it('is asked of 6.1 where no kernel is named', () => {
    expect([inEra({ since: [6, 1] }), inEra({ since: [6, 2] }), inEra({ since: [6, 2], stable: [6, 1] })]).toEqual([true, false, true]);
  });
});
