import { describe, it } from 'vitest';
import { vfioDeviceSuite } from '@vsim/vfio-core/testing';
import type { ProfileName } from '@vsim/vfio-core';
import { sampleHost } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];

describe.each(PROFILES)('the sample device on %s', (profile) => {
  const suite = vfioDeviceSuite(() => {
    const sample = sampleHost(['a'], { profile });
    sample.bind('a');
    return { process: sample.root, device: 'a', group: 0, unbind: () => sample.unbind('a') };
  });
  for (const { name, run } of suite) it(name, run);
});
