import { describe, expect, it } from 'vitest';
import { WHAT_IFS, chosenCount, optionsOf } from './what-ifs.ts';

describe('what is taken for true', () => {
  it('is nothing by default', () => {
    expect(optionsOf({})).toEqual({});
    expect(chosenCount({})).toBe(0);
  });

  it('is what examine() is told', () => {
    expect(optionsOf({ iommu: 'amd', kernel: '6.12', intremap: 'off' })).toEqual({ iommu: 'amd', kernel: { major: 6, minor: 12 }, interruptRemapping: false });
  });

  it('is several of one kind together', () => {
    expect(optionsOf({ 'iommu-on': 'on', 'acs-override': 'downstream' })).toEqual({ whatIf: { acsOverride: ['downstream'], iommuOn: true } });
  });

  it('does not heed names and values that nobody knows, as those of another version', () => {
    expect(optionsOf({ iommu: 'sun4i', colour: 'red', kernel: '6.6' })).toEqual({ kernel: { major: 6, minor: 6 } });
    expect(chosenCount({ iommu: 'sun4i', colour: 'red', kernel: '6.6', intremap: '' })).toBe(1);
  });

  it('has ids and values once each, the first of which changes nothing', () => {
    expect(new Set(WHAT_IFS.map(({ id }) => id)).size).toBe(WHAT_IFS.length);
    for (const { id, choices } of WHAT_IFS) {
      expect(new Set(choices.map(({ value }) => value)).size, id).toBe(choices.length);
      expect(choices[0], id).toMatchObject({ value: '', options: {} });
      expect(choices.length, id).toBeGreaterThan(1);
    }
  });
});
