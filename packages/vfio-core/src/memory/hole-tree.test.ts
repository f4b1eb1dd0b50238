import { expect, it } from 'vitest';
import { Random } from '../host/random.ts';
import { PageAllocator, type PageRun } from './page-allocator.ts';
import { HoleTree, type Hole } from './hole-tree.ts';
import { PhysicalMemory } from './physical-memory.ts';

it('[R11] n holes too small for a run, each looked at no more than a logarithm of n times', () => {
  let reads = 0;
  const hole = (first: number, count: number): Hole => ({
    get first() {
      reads += 1;
      return first;
    },
    end: first + count,
  });
  const n = 10_000;
  const most = 60; // reads of a call: a few for each level of a tree that is not quite balanced
  const tree = new HoleTree();
  for (let i = 0; i < n; i += 1) tree.insert(hole(2 * ((i * 7919) % n), 1));
  tree.insert(hole(2 * n, 100));
  const calls: readonly (() => unknown)[] = [
    () => tree.firstFit(2, 1)?.end,
    () => tree.firstFit(1, 1)?.end,
    () => tree.before(n)?.end,
    () => tree.from(n + 1)?.end,
    () => tree.firstFit(101, 1),
  ];
  const found = calls.map((call) => {
    reads = 0;
    return [call(), reads < most];
  });
  expect(found).toEqual([[2 * n + 100, true], [1, true], [n - 1, true], [n + 3, true], [undefined, true]]);
  reads = 0;
  for (let i = 0; i < n; i += 1) tree.remove(2 * i);
  expect([reads < most * n, tree.from(0)?.end]).toEqual([true, 2 * n + 100]);
});

it('[R11] the allocator gives the lowest run that fits, whatever was given back: as a list of all frames says', () => {
  const frames = 320;
  const pages = new PageAllocator(new PhysicalMemory([{ base: 0, size: frames * 4096 }]));
  const taken = new Uint8Array(frames);
  const runs: PageRun[] = [];
  const random = new Random(1);
  for (let i = 0; i < 5000; i += 1) {
    if (random.below(2) === 0 && runs.length > 0) {
      const [run] = runs.splice(random.below(runs.length), 1);
      taken.fill(0, run!.first, run!.first + run!.count);
      run!.put();
      continue;
    }
    const count = 1 + random.below(9);
    const align = [1, 1, 4][random.below(3)]!;
    let lowest: number | undefined;
    for (let first = 0; lowest === undefined && first + count <= frames; first += align) if (!taken.subarray(first, first + count).includes(1)) lowest = first;
    const run = pages.allocate(count, align);
    if (run?.first !== lowest) expect([i, run?.first]).toEqual([i, lowest]);
    if (run === undefined) continue;
    taken.fill(1, run.first, run.first + count);
    runs.push(run);
  }
  expect(pages.used).toBe(taken.reduce((sum, one) => sum + one, 0));
});
