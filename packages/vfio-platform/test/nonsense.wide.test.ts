import { expect, it } from 'vitest';
import { Random, REQUESTS } from '@vsim/vfio-core';
import { nonsense } from '../../../testing/nonsense.ts';
import { RUNS, SEED } from '../../../testing/random.ts';
import { COMPATIBLE, setUp } from './set-up.ts';

it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('random calls on a platform and an AMBA device, on %s: an errno or success, and nothing is left', (profile) => {
  for (const amba of [false, true]) {
    const { host, root, bind, open, unbind, resets, vfio, events } = setUp({ profile, amba });
    bind();
    const { container, group, device } = open();
    const fds = [device, root.eventfd()];
    nonsense(root, fds, Object.values(REQUESTS), new Random(SEED), RUNS * 100, [...fds, container, group]);
    root.exit();
    unbind().result();
    expect([host.scheduler.threads, resets.users(COMPATIBLE), vfio.groups, vfio.containers.size, host.pages.used, events.filter(({ id }) => id === 'vfio/life-cycle-broken')]).toEqual([[], 0, [], 0, 0, []]);
  }
});
