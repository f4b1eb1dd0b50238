/** The rest of the scenarios on Linux 5.10 and 6.12: longer. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

type Counts = readonly [cases: number, steps: number, compared: number, divergences: number];

const FILES: Readonly<Record<string, Readonly<Record<string, Counts>>>> = {
  'vfio-5.10': {
    'bars.jsonl.gz': [9, 474, 1748, 0],
    'cfgmap.jsonl.gz': [22, 1267, 269_436, 0],
    'hot.jsonl.gz': [8, 589, 924, 0],
    'info.jsonl.gz': [25, 5298, 10_686, 0],
    'irq.jsonl.gz': [10, 7307, 18_910, 0],
    'random_1-60.jsonl.gz': [38, 3239, 4676, 0],
    'randomb_61-100.jsonl.gz': [57, 5013, 7355, 0],
    'randomb_161-100.jsonl.gz': [51, 4524, 6751, 0],
    'randomb_261-100.jsonl.gz': [51, 4860, 7003, 0],
    'reset.jsonl.gz': [31, 5106, 12_374, 0],
    'sriov.jsonl.gz': [4, 357, 46_504, 0],
    'sriov_native.jsonl.gz': [1, 25, 37, 0],
  },
  'vfio-6.12': {
    'bars.jsonl.gz': [9, 474, 1746, 0],
    'cfgmap.jsonl.gz': [22, 1267, 269_436, 0],
    'hot.jsonl.gz': [8, 589, 924, 0],
    'info.jsonl.gz': [25, 5298, 10_686, 0],
    'irq.jsonl.gz': [10, 7351, 18_976, 0],
    'random_1-60.jsonl.gz': [38, 3239, 4664, 0],
    'randomb_61-100.jsonl.gz': [57, 5013, 7328, 0],
    'randomb_161-100.jsonl.gz': [51, 4524, 6708, 0],
    'randomb_261-100.jsonl.gz': [51, 4860, 6987, 0],
    'reset.jsonl.gz': [31, 5106, 11_993, 0],
    'sriov.jsonl.gz': [4, 357, 46_504, 0],
    'sriov_native.jsonl.gz': [1, 25, 37, 0],
  },
};

describe.each(Object.entries(FILES))('recordings in %s', (folder, files) => {
  it.each(Object.entries(files))('%s', (name, counts) => {
    const report = replayFile(join(RECORDINGS, folder, name));
    expect([report.cases, report.steps, report.compared, report.divergences.length]).toEqual(counts);
    expect(report.profile).toBe(folder.replace('vfio', 'linux'));
  });
});
