/**
 * The fsl-mc recordings against the model: its own Management Complex, with the contents and rules of the recordings, and Linux's bus on it.
 * Each command of the kernel and its users is compared, from the boot to the end of the machine; of boots, the devices that came of it, too.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

type Counts = readonly [cases: number, steps: number, compared: number, relaxed: number];

const LINUX_6_1: Readonly<Record<string, Counts>> = {
  'bind.jsonl.gz': [10, 226, 1584, 9],
  'boot.jsonl.gz': [44, 44, 3382, 132],
  'fault.jsonl.gz': [23, 204, 1079, 1],
  'info.jsonl.gz': [6, 302, 859, 0],
  'irq.jsonl.gz': [5, 671, 1933, 18],
  'irqnull.jsonl.gz': [1, 9, 104, 1],
  'life.jsonl.gz': [11, 302, 1084, 6],
  'noiommu.jsonl.gz': [3, 77, 290, 4],
  'pool.jsonl.gz': [2, 67, 214, 20],
  'random-more.jsonl.gz': [16, 1045, 2482, 0],
  'random.jsonl.gz': [18, 1182, 2815, 0],
  'randomlive.jsonl.gz': [9, 806, 4679, 0],
  'root.jsonl.gz': [5, 77, 474, 5],
  'runtime.jsonl.gz': [5, 192, 678, 0],
  'rw.jsonl.gz': [10, 554, 1202, 0],
  'uapi.jsonl.gz': [5, 129, 556, 0],
};

const LINUX_7_3: Readonly<Record<string, Counts>> = {
  'again.jsonl.gz': [5, 121, 526, 6],
  'bind.jsonl.gz': [10, 226, 1584, 9],
  'boot.jsonl.gz': [42, 42, 3281, 128],
  'fault.jsonl.gz': [23, 204, 1079, 1],
  'info-safe.jsonl.gz': [6, 288, 896, 0],
  'info.jsonl.gz': [6, 302, 859, 0],
  'irq.jsonl.gz': [5, 679, 2009, 18],
  'life.jsonl.gz': [11, 302, 1087, 6],
  'noiommu.jsonl.gz': [3, 77, 290, 4],
  'pool.jsonl.gz': [2, 69, 226, 20],
  'root.jsonl.gz': [5, 77, 474, 5],
  'runtime.jsonl.gz': [5, 192, 678, 1],
  'rw.jsonl.gz': [10, 548, 1202, 0],
  'uapi.jsonl.gz': [5, 129, 557, 0],
};

describe.each([['fslmc', 'linux-6.1', LINUX_6_1], ['fslmc-7.3', 'linux-7.3', LINUX_7_3]] as const)('recordings in %s [fslmc 80]', (folder, profile, files) => {
  it.each(Object.entries(files))('%s', (name, counts) => {
    const report = replayFile(join(RECORDINGS, folder, name));
    expect(report.divergences).toEqual([]);
    const relaxed = [...report.relaxed.values()].reduce((sum, count) => sum + count, 0);
    expect([report.cases, report.steps, report.compared, relaxed]).toEqual(counts);
    expect([...report.untold]).toEqual([]);
    expect(report.profile).toBe(profile);
  });
});
