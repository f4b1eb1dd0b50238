/** The rest of the scenarios on Linux 5.10, 6.12 and 7.3: longer. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

type Counts = readonly [cases: number, steps: number, compared: number, divergences: number];

const FILES: Readonly<Record<string, Readonly<Record<string, Counts>>>> = {
  'vfio-5.10': {
    'bars.jsonl.gz': [9, 474, 2062, 0],
    'cfgmap.jsonl.gz': [22, 1267, 521_032, 0],
    'hot.jsonl.gz': [8, 589, 1068, 0],
    'info.jsonl.gz': [25, 5298, 14_565, 0],
    'irq.jsonl.gz': [10, 7307, 19_280, 0],
    'random_1-60.jsonl.gz': [38, 3239, 5590, 0],
    'randomb_161-100.jsonl.gz': [51, 4524, 8264, 0],
    'randomb_261-100.jsonl.gz': [51, 4860, 8694, 0],
    'randomb_61-100.jsonl.gz': [57, 5013, 8884, 0],
    'reset.jsonl.gz': [31, 5106, 13_960, 0],
    'sriov.jsonl.gz': [4, 357, 89_551, 0],
    'sriov_native.jsonl.gz': [1, 25, 40, 0],
  },
  'vfio-6.12': {
    'bars.jsonl.gz': [9, 474, 2060, 0],
    'cfgmap.jsonl.gz': [22, 1267, 521_032, 0],
    'hot.jsonl.gz': [8, 589, 1068, 0],
    'info.jsonl.gz': [25, 5298, 14_565, 0],
    'irq.jsonl.gz': [10, 7351, 19_346, 0],
    'random_1-60.jsonl.gz': [38, 3239, 5578, 0],
    'randomb_161-100.jsonl.gz': [51, 4524, 8221, 0],
    'randomb_261-100.jsonl.gz': [51, 4860, 8678, 0],
    'randomb_61-100.jsonl.gz': [57, 5013, 8857, 0],
    'reset.jsonl.gz': [31, 5106, 13_570, 0],
    'sriov.jsonl.gz': [4, 357, 89_550, 0],
    'sriov_native.jsonl.gz': [1, 25, 40, 0],
  },
  'vfio-7.3': {
    'bars.jsonl.gz': [9, 474, 2060, 0],
    'cfgmap.jsonl.gz': [22, 1267, 521_032, 0],
    'hot.jsonl.gz': [8, 589, 1068, 0],
    'info.jsonl.gz': [25, 5298, 14_548, 0],
    'irq.jsonl.gz': [10, 7451, 19_466, 0],
    'random_1-60.jsonl.gz': [38, 3239, 5573, 0],
    'randomb_161-100.jsonl.gz': [51, 4524, 8213, 0],
    'randomb_261-100.jsonl.gz': [51, 4860, 8668, 0],
    'randomb_61-100.jsonl.gz': [57, 5013, 8841, 0],
    'reset.jsonl.gz': [31, 5106, 13_528, 0],
    'sriov.jsonl.gz': [4, 357, 89_548, 0],
    'sriov_native.jsonl.gz': [1, 25, 40, 0],
  },
};

/** Failures without a reason: races of the recording that went the other way here, by the rules for them. Nothing failed. */
const RACES: Readonly<Record<string, readonly (readonly [failure: string, count: number])[]>> = {
  'vfio-6.12/reset.jsonl.gz': [['eventfd_read EAGAIN: none', 2]],
  'vfio-7.3/reset.jsonl.gz': [['eventfd_read EAGAIN: none', 23]],
  'vfio-7.3/sriov.jsonl.gz': [['eventfd_wait EAGAIN: none', 1]],
};

describe.each(Object.entries(FILES))('recordings in %s', (folder, files) => {
  it.each(Object.entries(files))('%s', (name, counts) => {
    const report = replayFile(join(RECORDINGS, folder, name));
    expect([report.cases, report.steps, report.compared, report.divergences.length]).toEqual(counts);
    expect([...report.untold]).toEqual(RACES[`${folder}/${name}`] ?? []);
    expect(report.profile).toBe(folder.replace('vfio', 'linux'));
  });
});
