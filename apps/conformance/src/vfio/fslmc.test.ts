/**
 * The fsl-mc recordings against the model: its own Management Complex, with the contents and rules of the recordings, and Linux's bus on it.
 * Where the conversation with the MC is kept, each command of the kernel and its users is compared, from the boot on.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

type Counts = readonly [cases: number, steps: number, compared: number, relaxed: number];

const FILES: Readonly<Record<string, Counts>> = {
  'bind.jsonl.gz': [10, 226, 1576, 9],
  'fault.jsonl.gz': [23, 204, 1075, 1],
  'info.jsonl.gz': [6, 302, 854, 0],
  'irq.jsonl.gz': [5, 671, 1928, 18],
  'irqnull.jsonl.gz': [1, 9, 104, 1],
  'life.jsonl.gz': [11, 302, 1079, 6],
  'noiommu.jsonl.gz': [3, 77, 286, 4],
  'pool.jsonl.gz': [2, 67, 209, 20],
  'random-more.jsonl.gz': [16, 1045, 2482, 0],
  'random.jsonl.gz': [18, 1182, 2815, 0],
  'randomlive.jsonl.gz': [9, 806, 4679, 0],
  'root.jsonl.gz': [5, 77, 466, 5],
  'runtime.jsonl.gz': [5, 192, 674, 0],
  'rw.jsonl.gz': [10, 554, 1197, 0],
  'uapi.jsonl.gz': [5, 129, 548, 0],
};

describe('recordings of the fsl-mc bus on Linux 6.1', () => {
  it.each(Object.entries(FILES))('%s', (name, counts) => {
    const report = replayFile(join(RECORDINGS, 'fslmc', name));
    expect(report.divergences).toEqual([]);
    const relaxed = [...report.relaxed.values()].reduce((sum, count) => sum + count, 0);
    expect([report.cases, report.steps, report.compared, relaxed]).toEqual(counts);
    expect([...report.untold]).toEqual([]);
    expect(report.profile).toBe('linux-6.1');
  });
});
