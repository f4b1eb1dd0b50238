/** A door for fuzzers: every ioctl on containers, groups, devices that are emulated or migrate, and other fds. */
import { DmaLog, getDeviceFd, MIG_STATE, setMigrationState, type ProfileName, type Random } from '@vsim/vfio-core';
import { pick, type Door } from '../../../testing/fuzz.ts';
import { RefusedCalls } from '../../../testing/refused-calls.ts';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];

function world(random: Random): RefusedCalls {
  const sample = sampleHost(['a', 'c'], { profile: pick(random, PROFILES) });
  const { root, host, bus } = sample;
  sample.bind('a');
  const migrating = new MigratingDevice(sample.vfio, bus.device('c')!);
  migrating.logger = new DmaLog();
  host.scheduler.call('register', migrating.register());
  const emulated = addEmulated(sample, 'm');
  const used = openGroup(sample, 0);
  const soft = openGroup(sample, emulated.group);
  const moving = openGroup(sample, 1);
  const device = getDeviceFd(root, moving.group, 'c');
  const { featureInCore, preCopy } = host.profile;
  const stream = featureInCore ? setMigrationState(root, device, preCopy ? MIG_STATE.PRE_COPY : MIG_STATE.STOP_COPY) : root.eventfd();
  return new RefusedCalls({
    process: root,
    fds: {
      containers: [used.container, soft.container, moving.container, root.open('/dev/vfio/vfio')],
      groups: [used.group, soft.group, moving.group],
      devices: [getDeviceFd(root, used.group, 'a'), getDeviceFd(root, soft.group, 'm'), device],
      others: [stream],
    },
    dma: ['a', 'c'].map((name) => () => bus.device(name)?.iommuGroup),
    names: ['a', 'c', 'm'],
    folders: ['a', 'c', 'm'].map((name) => `/sys/bus/sample/devices/${name}`),
    hardware: () => [...sample.device('a').memory, ...emulated.device.pinned].join(),
  });
}

export const REFUSALS: Door = { name: 'refusals-core', length: 100, open: world };
