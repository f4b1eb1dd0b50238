/** The VFIO recordings against the model: how many values are compared, and what is still different. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

/** Cases, steps, compared values, values compared less strictly by rule, divergences. */
const FILES: Readonly<Record<string, readonly [cases: number, steps: number, compared: number, relaxed: number, divergences: number]>> = {
  'bars.jsonl.gz': [9, 474, 2060, 13, 0],
  'cfgmap.jsonl.gz': [22, 1267, 521_032, 0, 0],
  'hot.jsonl.gz': [8, 589, 1068, 0, 0],
  'info.jsonl.gz': [25, 5298, 14_565, 19, 0],
  'irq.jsonl.gz': [10, 7307, 19_280, 0, 0],
  'life.jsonl.gz': [9, 768, 1146, 0, 0],
  'mdev.jsonl.gz': [3, 1606, 4357, 9, 0],
  'memlock.jsonl.gz': [1, 56, 99, 0, 0],
  'random_1-60.jsonl.gz': [38, 3239, 5578, 0, 0],
  'randomb_61-100.jsonl.gz': [57, 5013, 8859, 0, 0],
  'randomb_161-100.jsonl.gz': [51, 4524, 8223, 0, 0],
  'randomb_261-100.jsonl.gz': [51, 4860, 8680, 0, 0],
  'reset.jsonl.gz': [31, 5106, 13_572, 40, 0],
  'sriov.jsonl.gz': [4, 357, 89_550, 0, 0],
  'sriov_native.jsonl.gz': [1, 25, 40, 0, 0],
  'type1.jsonl.gz': [13, 962, 1815, 0, 0],
};

describe('recordings of Linux 6.1', () => {
  it.each(Object.entries(FILES))('%s', (name, [cases, steps, compared, relaxed, divergences]) => {
    const report = replayFile(join(RECORDINGS, 'vfio', name));
    const less = [...report.relaxed.values()].reduce((sum, count) => sum + count, 0);
    expect([report.cases, report.steps, report.compared, less, report.divergences.length]).toEqual([cases, steps, compared, relaxed, divergences]);
    expect(report.format).toBe('vfio');
    expect(report.profile).toBe('linux-6.1');
  });

  it('edu: every answer of info:0000:00:02.0 is the recorded one', () => {
    const report = replayFile(join(RECORDINGS, 'vfio', 'info.jsonl.gz'), { casePrefix: 'info:0000:00:02.0' });
    expect(report.cases).toBe(1);
    expect(report.steps).toBe(217);
    expect(report.divergences).toEqual([]);
  });
});
