import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RECORDINGS, replayFile } from '../src/index.ts';

describe('who watches hosts', () => {
  it.each([
    ['vfio/info.jsonl.gz', 'info:'],
    ['vfio-platform/extra.jsonl.gz', undefined],
    ['qemu-gic/cpuif-gicv3.jsonl.gz', undefined],
    ['fslmc/boot.jsonl.gz', undefined],
    ['fslmc/restool/dpmcp-old.mc.jsonl.gz', undefined],
  ] as const)('hears of the host of each case before anything is in it: %s', (path, casePrefix) => {
    const names: string[] = [];
    const { cases } = replayFile(join(RECORDINGS, path), {
      casePrefix,
      watch: (name, host) => {
        names.push(name);
        expect([host.scheduler.now, host.scheduler.threads]).toEqual([0, []]);
      },
    });
    expect(names).toHaveLength(cases);
    expect(new Set(names).size).toBe(cases);
  });

  it('hears once of one that all cases share, of each VM of one, and of none where registers are all there is', () => {
    const names = (path: string, casePrefix?: string): readonly string[] => {
      const heard: string[] = [];
      replayFile(join(RECORDINGS, path), { casePrefix, watch: (name) => heard.push(name) });
      return heard;
    };
    expect(names('fslmc/root.jsonl.gz')).toHaveLength(1);
    expect(names('linux-gic/linux61-gicv3.commands.txt.gz')).toEqual(['all scenarios']);
    expect(names('kvm-its/reset.jsonl.gz').length).toBeGreaterThan(3);
    expect(names('linux-gic/linux61-gicv4.jsonl.gz')).toEqual([]);
  });
});
