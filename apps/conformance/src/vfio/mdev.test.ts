/** The recordings of mediated devices against the model: mdev's core in sysfs, and the samples mtty, mdpy and mbochs. */
import { describe, expect, it } from 'vitest';
import { kept, type Kept } from './kept.ts';

const FILES: Readonly<Record<string, Kept['counts']>> = {
  'groups.jsonl.gz': [53, 3489, 5971],
  'mbochs.jsonl.gz': [34, 12_240, 20_820],
  'mdpy.jsonl.gz': [18, 7018, 11_700],
  'mtty.jsonl.gz': [18, 13_009, 35_847],
  'random_1-60.jsonl.gz': [41, 6407, 10_985],
  'random_121-60.jsonl.gz': [39, 6049, 10_124],
  'random_61-60.jsonl.gz': [40, 6146, 10_559],
  'sysfs.jsonl.gz': [58, 3823, 6239],
};

describe('recordings of mediated devices on Linux 6.1', () => {
  it.each(Object.entries(FILES))('%s', (name, counts) => {
    expect(kept('vfio-mdev', name)).toEqual({ divergences: [], counts, relaxed: {}, untold: [], profile: 'linux-6.1' });
  });
});
