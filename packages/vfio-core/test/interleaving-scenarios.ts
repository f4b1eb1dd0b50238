/** What user space does while the kernel probes and removes, and what must hold in every order of the two. */
import { expect, it } from 'vitest';
import {
  DEVICE_FOUND,
  DRIVER_BOUND,
  DRIVER_UNBINDING,
  LAST_PUT,
  REGISTERED,
  REGISTERING,
  UNLISTED,
  UNREGISTERING,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type Point,
  type ProfileName,
  type Sleeps,
  type Thread,
} from '@vsim/vfio-core';
import { binomial, everyOrder, type UserStep, type World } from '@vsim/vfio-core/testing';
import { NamedFds } from '../../../testing/named-fds.ts';
import { sampleHost, type SampleHost } from './sample-device.ts';

const PROBE: readonly Point[] = [REGISTERING, REGISTERED, DRIVER_BOUND];
const REMOVE: readonly Point[] = [DRIVER_UNBINDING, UNREGISTERING, LAST_PUT, UNLISTED];
const UNBIND = '/sys/bus/sample/drivers/vfio-sample/unbind';
const BIND = '/sys/bus/sample/drivers/vfio-sample/bind';

/** User space as a list of named calls on fds that it remembers; each call may fail, or sleep. */
function program({ root, host }: SampleHost) {
  const fds = new NamedFds(root);
  const { sys } = root;
  const name = new TextEncoder().encode('a\0');
  return {
    container: () => fds.open('container', sys.open('/dev/vfio/vfio', 2)),
    group: () => fds.open('group', sys.open('/dev/vfio/0', 2)),
    set: () => fds.call(sys.ioctl(fds.fd('group'), VFIO_GROUP_SET_CONTAINER, new Uint8Array(new Int32Array([fds.fd('container')]).buffer))),
    iommu: () => fds.call(sys.ioctl(fds.fd('container'), VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)),
    unset: () => fds.call(sys.ioctl(fds.fd('group'), VFIO_GROUP_UNSET_CONTAINER, 0)),
    /** GET_DEVICE_FD up to where it has the device, and the rest of it. */
    find: () => {
      host.scheduler.stopAt(DEVICE_FOUND);
      fds.open('device', sys.ioctl(fds.fd('group'), VFIO_GROUP_GET_DEVICE_FD, name));
    },
    open: () => host.scheduler.release(DEVICE_FOUND),
    again: () => fds.open('second', sys.ioctl(fds.fd('group'), VFIO_GROUP_GET_DEVICE_FD, name)),
    closeDevice: () => fds.close('device'),
    closeSecond: () => fds.close('second'),
    closeGroup: () => fds.close('group'),
    closeContainer: () => fds.close('container'),
  };
}

type Steps = ReturnType<typeof program>;

interface Scenario {
  readonly points: readonly Point[];
  readonly bound: boolean;
  /** What the device is after all is over. */
  readonly ends: 'bound' | 'unbound' | 'gone';
  readonly kernel: (sample: SampleHost) => Sleeps<unknown>;
  readonly before: readonly (keyof Steps)[];
  readonly user: readonly (keyof Steps)[];
}

function world(profile: ProfileName, scenario: Scenario): World {
  const sample = sampleHost(['a'], { profile });
  const { host, root, vfio, bus } = sample;
  const bad: string[] = [];
  host.trace.listen((event) => {
    if (event.severity === 'bug' || event.severity === 'warn') bad.push(event.text);
  });
  root.writeFile('/sys/bus/sample/devices/a/driver_override', 'vfio-sample');
  if (scenario.bound) sample.bind('a');
  const iommuGroup = bus.device('a')!.iommuGroup!;
  const steps = program(sample);
  for (const step of scenario.before) steps[step]();
  const user: readonly UserStep[] = scenario.user.map((step) => () => {
    steps[step]();
  });
  const check = () => {
    if (bad.length > 0) throw new Error(bad.join('; '));
    for (const group of vfio.groups) {
      // I2: each device that is listed holds one reference of its group, and the file another.
      if (group.references < group.devices.length) throw new Error(`group has ${group.references} references for ${group.devices.length} devices`);
      for (const device of group.devices) if (device.group !== group) throw new Error('a listed device without its group');
    }
  };
  const end = (kernel: Thread<unknown>) => {
    host.scheduler.release(DEVICE_FOUND);
    root.exit();
    check();
    const left = [
      kernel.finished ? '' : `kernel thread: ${JSON.stringify(kernel.outcome)}`,
      host.scheduler.threads.length === 0 ? '' : 'threads',
      vfio.containers.size === 0 ? '' : 'containers',
      iommuGroup.dmaOwnerClaimed ? 'DMA ownership' : '',
      iommuGroup.domain === undefined ? '' : 'a domain',
    ].filter((what) => what !== '');
    if (left.length > 0) throw new Error(`left over: ${left.join(', ')}`);
    if (kernel.outcome.state === 'failed') throw kernel.outcome.error;
    const bound = scenario.ends === 'bound';
    const device = [...sample.driver.data.values()][0];
    if ((device !== undefined) !== bound || vfio.groups.length !== (bound ? 1 : 0)) throw new Error(`device ${device?.state ?? 'none'}, ${vfio.groups.length} groups`);
    if (device !== undefined && (device.references !== 1 || device.openCount !== 0)) throw new Error(`${device.references} references, ${device.openCount} opens`);
    if (bound) sample.unbind('a').result(); // and it can be had back
  };
  return { scheduler: host.scheduler, kernel: () => scenario.kernel(sample), user, check, end };
}

const unbind = ({ root }: SampleHost) => root.sys.writeFile(UNBIND, 'a');
const bind = ({ root }: SampleHost) => root.sys.writeFile(BIND, 'a');
const unplug = ({ bus }: SampleHost) => bus.remove(bus.device('a')!);
function* rebind(sample: SampleHost): Sleeps<void> {
  yield* unbind(sample);
  yield* bind(sample);
}

const OPENED = ['container', 'group', 'set', 'iommu'] as const;
const OPEN_ALL = [...OPENED, 'find', 'open', 'closeDevice', 'closeGroup', 'closeContainer'] as const;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'unbind against an open from the start': { points: REMOVE, bound: true, ends: 'unbound', kernel: unbind, before: [], user: OPEN_ALL },
  'unbind against open, second open and the closes': {
    points: REMOVE, bound: true, ends: 'unbound', kernel: unbind, before: OPENED,
    user: ['find', 'open', 'again', 'closeDevice', 'closeSecond', 'closeGroup', 'closeContainer'],
  },
  'unbind against a close, group first': {
    points: REMOVE, bound: true, ends: 'unbound', kernel: unbind, before: [...OPENED, 'find', 'open'],
    user: ['again', 'closeGroup', 'closeContainer', 'closeDevice', 'closeSecond', 'group', 'closeGroup'],
  },
  'unbind against SET_CONTAINER and UNSET_CONTAINER': {
    points: REMOVE, bound: true, ends: 'unbound', kernel: unbind, before: ['container', 'group'],
    user: ['set', 'iommu', 'unset', 'set', 'iommu', 'closeGroup', 'group', 'closeGroup'],
  },
  'hot-unplug against open and the closes': {
    points: REMOVE, bound: true, ends: 'gone', kernel: unplug, before: OPENED,
    user: ['find', 'open', 'again', 'closeDevice', 'closeSecond', 'closeGroup', 'closeContainer'],
  },
  'probe against an open from the start': { points: PROBE, bound: false, ends: 'bound', kernel: bind, before: [], user: OPEN_ALL },
  'unbind and bind again against open and the closes': {
    points: [...REMOVE, ...PROBE], bound: true, ends: 'bound', kernel: rebind, before: OPENED,
    user: ['find', 'open', 'closeDevice', 'closeGroup', 'group', 'closeGroup'],
  },
};

/** Every order of every scenario on one kernel, as tests. */
export function everyOrderOn(profile: ProfileName): void {
  it.each(Object.entries(SCENARIOS))('[vfio 1/4] %s', (_name, scenario) => {
    const count = everyOrder(() => world(profile, scenario), scenario.points);
    const parts = scenario.points.length + 1;
    expect(count).toBe(binomial(parts + scenario.user.length, parts));
  });
}
