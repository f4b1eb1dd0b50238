import { expect, it } from 'vitest';
import { Random, REQUESTS } from '@vsim/vfio-core';
import { nonsense } from '../../../testing/nonsense.ts';
import { RUNS, SEED } from '../../../testing/random.ts';
import { FSL_MC_SEND_MC_COMMAND } from '../src/index.ts';
import { setUp } from './set-up.ts';

it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('random calls on a container, its objects and the command device, on %s: an errno or success, and nothing is left', (profile) => {
  const { root, mc, prepare, bind, openGroup, leftOvers, store, names, events } = setUp({ profile });
  mc.root.add({ type: 'dpmcp', id: 7 });
  prepare();
  const before = leftOvers();
  bind();
  const { container, group, device } = openGroup();
  const fds = [device('dprc.2'), device('dpni.0'), device('dpio.0'), device('dpmcp.0'), root.open('/dev/dprc.1'), root.open('/dev/dprc.1'), root.eventfd()];
  nonsense(root, fds, [...Object.values(REQUESTS), FSL_MC_SEND_MC_COMMAND, FSL_MC_SEND_MC_COMMAND], new Random(SEED), RUNS * 100, [...fds, container, group]);
  root.exit();
  store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
  expect(names()).toEqual(['dprc.1', 'dprc.2', 'dpmcp.7']);
  // Handles that random commands have opened are the firmware's to keep, and the DPRC's own ones may have been closed.
  expect({ ...leftOvers(), handles: 0 }).toEqual({ ...before, handles: 0 });
  expect(events.filter(({ id }) => id === 'vfio/life-cycle-broken')).toEqual([]);
});
