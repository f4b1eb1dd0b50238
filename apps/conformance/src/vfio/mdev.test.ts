/** The recordings of mediated devices against the model: mdev's core in sysfs, and the samples mtty, mdpy and mbochs. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';

type Counts = readonly [cases: number, steps: number, compared: number];

const FILES: Readonly<Record<string, Counts>> = {
  'groups.jsonl.gz': [53, 3489, 5971],
  'mtty.jsonl.gz': [18, 13_009, 35_847],
  'sysfs.jsonl.gz': [58, 3823, 6239],
};

describe('recordings of mediated devices on Linux 6.1', () => {
  it.each(Object.entries(FILES))('%s', (name, counts) => {
    const report = replayFile(join(RECORDINGS, 'vfio-mdev', name));
    expect(report.divergences).toEqual([]);
    expect([report.cases, report.steps, report.compared, report.relaxed.size]).toEqual([...counts, 0]);
    expect([...report.untold]).toEqual([]);
    expect(report.profile).toBe('linux-6.1');
  });
});
