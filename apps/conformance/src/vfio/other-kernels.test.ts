/** The same scenarios on Linux 5.10, 6.12 and 7.3; and 5.10's under the profile of 5.13, for which there is no recording. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../replay.ts';
import { kept, type Kept } from './kept.ts';

/** Values compared less strictly, of each file in which there are some. */
const RELAXED: Readonly<Record<string, Kept['relaxed']>> = { 'vfio-6.12/mdev.jsonl.gz': { 'kernel-memory': 5 }, 'vfio-7.3/mdev.jsonl.gz': { 'kernel-memory': 4 } };

const FILES: Readonly<Record<string, Readonly<Record<string, Kept['counts']>>>> = {
  'vfio-5.10': {
    'life.jsonl.gz': [9, 768, 1123],
    // A native driver is bound into a live group: the kernel's BUG.
    'life_viability-bug.jsonl.gz': [1, 16, 16],
    'memlock.jsonl.gz': [1, 56, 119],
    'type1.jsonl.gz': [13, 962, 1862],
  },
  'vfio-6.12': {
    'edge.jsonl.gz': [3, 304, 705],
    'life.jsonl.gz': [9, 768, 1149],
    'mdev.jsonl.gz': [3, 1606, 4603],
    'memlock.jsonl.gz': [1, 56, 99],
    'type1.jsonl.gz': [13, 962, 1815],
  },
  'vfio-7.3': {
    'edge.jsonl.gz': [3, 304, 704],
    'late.jsonl.gz': [11, 977, 2348],
    'life.jsonl.gz': [9, 768, 1149],
    'mdev.jsonl.gz': [3, 1606, 4603],
    'memlock.jsonl.gz': [1, 56, 99],
    'type1.jsonl.gz': [13, 962, 1815],
  },
};

describe.each(Object.entries(FILES))('recordings in %s', (folder, files) => {
  it.each(Object.entries(files))('%s', (name, counts) => {
    expect(kept(folder, name)).toEqual({ divergences: [], counts, relaxed: RELAXED[`${folder}/${name}`] ?? {}, untold: [], profile: folder.replace('vfio', 'linux') });
  });
});

/**
 * Steps that 5.13 answers otherwise than 5.10: what came with 5.11 and 5.12, and what follows from it in the same scenario.
 * UNMAP_ALL (T1), UPDATE_VADDR (T2), types that are now known extensions (T3), flags of UNMAP (T4) and MAP (T5), unmaps in
 * ascending order (T6); "after": what an unmap or a vaddr that 5.10 refused left behind.
 */
const NEW_IN_5_13: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  'life:container': { T1: [16], T2: [17] },
  'life:group': { T3: [73, 74] },
  'type1:info-v1': { T1: [37], T2: [38] },
  'type1:info-v3': { T1: [37], T2: [38] },
  'type1:info-v6': { T1: [37], T2: [38] },
  'type1:map-args': { T4: [14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 62, 75], T5: [23], after: [17, 19, 21, 64, 65, 66, 67, 69, 84, 89] },
  'type1:unmap-args-v1': { T4: [29, 30, 36, 40], after: [31, 37, 41] },
  'type1:unmap-args-v3': { T4: [29, 30, 36, 40], after: [31, 37, 41] },
  'type1:vaddr-v1': { T4: [12, 23, 30, 31, 32, 34, 37], T5: [19, 21, 26, 29, 39], after: [33] },
  'type1:vaddr-v3': { T4: [12, 23, 32, 34, 37], T5: [19, 21, 26, 29, 39], after: [33] },
  'type1:dirty-v3': { T6: [85, 92] },
  'type1:memlock-user': { T4: [26, 29, 48], after: [27, ...Array.from({ length: 16 }, (_, i) => 30 + i)] },
};

it('5.13 differs from the recordings of 5.10 in the rows that came with 5.11 and 5.12, and nowhere else', () => {
  const steps = new Map<string, Set<number>>();
  for (const name of ['life.jsonl.gz', 'memlock.jsonl.gz', 'type1.jsonl.gz']) {
    const report = replayFile(join(RECORDINGS, 'vfio-5.10', name), { profile: 'linux-5.13' });
    for (const divergence of report.divergences) {
      const found = steps.get(divergence.case) ?? new Set<number>();
      found.add(divergence.step);
      steps.set(divergence.case, found);
    }
  }
  const ascending = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);
  const found = Object.fromEntries([...steps].map(([name, numbers]) => [name, ascending(numbers)]));
  expect(found).toEqual(Object.fromEntries(Object.entries(NEW_IN_5_13).map(([name, rows]) => [name, ascending(Object.values(rows).flat())])));
});
