import { describe, expect, it } from 'vitest';
import {
  BOUND_IN_LIVE_GROUP,
  ADDED_TO_LIVE_GROUP,
  EINVAL,
  getDeviceFd,
  getGroupStatus,
  GROUP_UNBALANCED,
  LIFE_CYCLE_BROKEN,
  O_RDONLY,
  Process,
  setContainer,
  UNLISTED,
  VFIO_GROUP_FLAGS_CONTAINER_SET,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type Mutex,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { openGroup, sampleHost, SampleDevice } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];
const VIABLE = VFIO_GROUP_FLAGS_VIABLE;
const SET = VFIO_GROUP_FLAGS_CONTAINER_SET;

function setUp(profile: ProfileName = 'linux-6.1', names: readonly string[] = ['a'], oneGroup = false) {
  const sample = sampleHost(names, { profile }, oneGroup);
  const events = sample.host.trace.record('fault');
  sample.bind(names[0]!);
  const int = (value: number) => new Uint8Array(new Int32Array([value]).buffer);
  return { ...sample, events, int, ids: () => events.map(({ id }) => id) };
}

const text = (name: string) => new TextEncoder().encode(`${name}\0`);

describe.each(PROFILES)('a group fd on %s', (profile) => {
  const old = OLD.includes(profile);

  it('[vfio 2.1/2] [vfio 2.6/1] [vfio 2.6/8] is root’s, and has one opener at a time', () => {
    const { root, host } = setUp(profile);
    const fd = root.open('/dev/vfio/0');
    expect(outcomeOf(() => root.open('/dev/vfio/0', O_RDONLY))).toBe('EBUSY');
    expect(outcomeOf(() => new Process(host, { uid: 1 }).open('/dev/vfio/0'))).toBe('EACCES');
    expect(outcomeOf(() => root.open('/dev/vfio/1'))).toBe('ENOENT');
    root.close(fd);
    root.close(root.open('/dev/vfio/0'));
  });

  it('[vfio 2.6/2] [vfio 2.6/9] [vfio 2.2/4] GET_STATUS checks its argument first', () => {
    const { root } = setUp(profile);
    const fd = root.open('/dev/vfio/0');
    expect(outcomeOf(() => root.ioctl(fd, VFIO_GROUP_GET_STATUS, 0))).toBe('EFAULT');
    expect(outcomeOf(() => root.ioctl(fd, VFIO_GROUP_GET_STATUS, new Uint8Array([7, 0, 0, 0, 0, 0, 0, 0])))).toBe('EINVAL');
    expect(getGroupStatus(root, fd)).toBe(VIABLE);
    setContainer(root, fd, root.open('/dev/vfio/vfio'));
    expect(getGroupStatus(root, fd)).toBe(VIABLE | SET);
  });

  it('[vfio 2.6/3] [vfio 2.6/10] [vfio 2.2/5] [vfio D61-1] SET_CONTAINER: what is wrong, in its order', () => {
    const { root, int } = setUp(profile);
    const fd = root.open('/dev/vfio/0');
    const container = root.open('/dev/vfio/vfio');
    const set = (argument: Uint8Array | number) => outcomeOf(() => root.ioctl(fd, VFIO_GROUP_SET_CONTAINER, argument));
    expect(set(0)).toBe('EFAULT');
    expect(set(int(-1))).toBe(old ? 'EINVAL' : 'EBADF');
    expect(set(int(1000))).toBe('EBADF');
    const foreign = profile === 'linux-6.12' ? 'EBADFD' : 'EINVAL';
    expect([set(int(fd)), set(int(root.eventfd()))]).toEqual([foreign, foreign]);
    expect(set(int(container))).toBe('success');
    expect(set(int(container))).toBe('EINVAL');
    // With a container already there, 5.13 does not look at the fd.
    expect(set(int(1000))).toBe(old ? 'EINVAL' : 'EBADF');
    expect(set(int(fd))).toBe('EINVAL');
  });

  it('[vfio 2.6/4] [vfio 2.6/11] [vfio 2.2/6] UNSET_CONTAINER wants a container that no device fd uses', () => {
    const sample = setUp(profile);
    const { root } = sample;
    const lone = root.open('/dev/vfio/0');
    const unset = (fd: number) => outcomeOf(() => root.ioctl(fd, VFIO_GROUP_UNSET_CONTAINER));
    expect(unset(lone)).toBe('EINVAL');
    root.close(lone);
    const { group } = openGroup(sample, 0);
    const device = getDeviceFd(root, group, 'a');
    expect([unset(group), getGroupStatus(root, group)]).toEqual(['EBUSY', VIABLE | SET]);
    root.close(device);
    expect([unset(group), unset(group), getGroupStatus(root, group)]).toEqual(['success', 'EINVAL', VIABLE]);
  });

  it('[vfio 2.6/5] [vfio 2.6/12] [vfio 2.2/7] [vfio D61-3] GET_DEVICE_FD: name, container, fd table, driver', () => {
    const sample = setUp(profile);
    const { root } = sample;
    const get = (fd: number, argument: Uint8Array | number) => outcomeOf(() => root.ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, argument));
    const lone = root.open('/dev/vfio/0');
    expect(get(lone, 0)).toBe('EFAULT');
    expect(get(lone, new Uint8Array(4096).fill(0x78))).toBe('EINVAL');
    expect([get(lone, text('a')), get(lone, text('x'))]).toEqual(['EINVAL', old ? 'EINVAL' : 'ENODEV']);
    root.close(lone);
    const { group } = openGroup(sample, 0);
    expect([get(group, text('x')), get(group, text(''))]).toEqual(['ENODEV', 'ENODEV']);
    sample.device('a').openResult = -EINVAL;
    expect(get(group, text('a'))).toBe('EINVAL');
    expect(sample.device('a').references).toBe(1);
  });

  it('[vfio 2.6/5] [vfio 2.6/12] a full fd table is told after the driver was entered (5.13), or before (6.1)', () => {
    const sample = setUp(profile);
    const small = new Process(sample.host, { name: 'small', maxFiles: 5 });
    const container = small.open('/dev/vfio/vfio');
    const group = small.open('/dev/vfio/0');
    setContainer(small, group, container);
    small.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(outcomeOf(() => getDeviceFd(small, group, 'a'))).toBe('EMFILE');
    const device = sample.device('a');
    expect([device.log, device.references, device.openCount]).toEqual([old ? ['open', 'close'] : [], 1, 0]);
    small.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
  });

  it('[vfio 2.6/6] [vfio 2.6/13] knows no other request, no read and no write', () => {
    const { root } = setUp(profile);
    const fd = root.open('/dev/vfio/0');
    for (const request of [0x3b64, 0x3b66, 0x3b6b, 0x3b75, 0]) expect(root.tryIoctl(fd, request, 0)).toBe(-25);
    expect(outcomeOf(() => root.pread(fd, new Uint8Array(4), 0))).toBe('EINVAL');
    expect(outcomeOf(() => root.pwrite(fd, new Uint8Array(4), 0))).toBe('EINVAL');
  });

  it('[vfio 2.6/7] [vfio 2.10/3] [vfio D61-8] all orders of closing end clean, and the group is busy until the last', () => {
    for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
      const sample = setUp(profile);
      const { root, vfio, ids } = sample;
      const { container, group } = openGroup(sample, 0);
      const fds = [container, group, getDeviceFd(root, group, 'a')];
      const held = new Set([1, 2]);
      for (const which of order) {
        expect(outcomeOf(() => root.open('/dev/vfio/0'))).toBe('EBUSY');
        root.close(fds[which]!);
        held.delete(which);
        if (held.size === 0) root.close(root.open('/dev/vfio/0'));
        else expect(vfio.groups[0]!.container).toBeDefined();
        if (held.size === 0) break;
      }
      for (const which of order) if (root.file(fds[which]!) !== undefined) root.close(fds[which]!);
      expect([vfio.containers.size, vfio.groups[0]!.references, sample.device('a').references, ids()]).toEqual([0, 1, 1, []]);
    }
  });

  it('[vfio P1/1] [vfio P1/3] [vfio Cross-patch-acceptance-t/1] counts one reference for each device and one for its file, however often they are open', () => {
    const sample = setUp(profile);
    const { root, vfio, ids } = sample;
    const { container, group } = openGroup(sample, 0);
    const vfioGroup = vfio.groups[0]!;
    const fds = [1, 2, 3].map(() => getDeviceFd(root, group, 'a'));
    expect(vfioGroup.references).toBe(2);
    const unbind = sample.unbind('a');
    for (const fd of [fds[1]!, fds[0]!, fds[2]!, group]) root.close(fd);
    expect([unbind.outcome.state, vfioGroup.references]).toEqual(['done', 0]);
    expect([vfio.groups, outcomeOf(() => root.open('/dev/vfio/0'))]).toEqual([[], 'ENOENT']);
    root.close(container);
    expect(ids()).toEqual([]);
  });
});

describe('a dying device', () => {
  it('[vfio 1/4] is opened again up to 6.1, and no more on 6.12', () => {
    for (const profile of PROFILES) {
      const sample = setUp(profile);
      const { group } = openGroup(sample, 0);
      const fd = getDeviceFd(sample.root, group, 'a');
      const unbind = sample.unbind('a');
      expect(outcomeOf(() => sample.root.close(getDeviceFd(sample.root, group, 'a')))).toBe(profile === 'linux-6.12' ? 'ENODEV' : 'success');
      sample.root.close(fd);
      sample.root.close(group);
      expect(unbind.outcome.state).toBe('done');
    }
  });
});

describe('viability', () => {
  it('[vfio D61-4] [vfio D61-2] 5.13 looks at every driver of the group, when a device is opened', () => {
    const sample = setUp('linux-5.13', ['a', 'b'], true);
    const { root } = sample;
    const fd = root.open('/dev/vfio/0');
    expect(getGroupStatus(root, fd)).toBe(VIABLE); // b has no driver
    root.writeFile('/sys/bus/sample/drivers_probe', 'b');
    expect(getGroupStatus(root, fd)).toBe(0);
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, fd, container);
    expect(getGroupStatus(root, fd)).toBe(SET);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(outcomeOf(() => getDeviceFd(root, fd, 'a'))).toBe('EINVAL');
    root.writeFile('/sys/bus/sample/drivers/native/unbind', 'b');
    root.close(getDeviceFd(root, fd, 'a'));
  });

  it('[vfio 2.7/3] [vfio D61-5] a native driver in a live group is a BUG on 5.13, and nothing in an idle one', () => {
    const sample = setUp('linux-5.13', ['a', 'b'], true);
    const { root } = sample;
    root.writeFile('/sys/bus/sample/drivers_probe', 'b');
    root.writeFile('/sys/bus/sample/drivers/native/unbind', 'b');
    expect(sample.ids()).toEqual([]);
    openGroup(sample, 0);
    root.start('bind', root.sys.writeFile('/sys/bus/sample/drivers/native/bind', 'b'));
    expect(sample.ids()).toEqual([BOUND_IN_LIVE_GROUP.id]);
    expect(sample.bus.device('b')!.driverName).toBe('native');
  });

  it('[vfio 2.7/1] a device that joins a live group is told of on 5.13', () => {
    const sample = setUp('linux-5.13');
    const join = (name: string) => {
      const device = new SampleDevice(sample.host, name);
      sample.bus.announce(device);
      sample.vfio.groups[0]!.iommuGroup.addDevice(device);
    };
    join('c');
    openGroup(sample, 0);
    join('d');
    expect(sample.ids()).toEqual([ADDED_TO_LIVE_GROUP.id]);
  });

  it('[vfio 2.7/2] [vfio 2.7/4] [vfio 2.9/1] the device that leaves does not spoil its group before its driver is gone', () => {
    const sample = setUp('linux-5.13', ['a', 'b'], true);
    const { root } = sample;
    sample.bind('b');
    const fd = root.open('/dev/vfio/0');
    sample.host.scheduler.stopAt(UNLISTED);
    const unbind = sample.unbind('a');
    // a is off the list, and the driver core still calls vfio-sample its driver.
    expect([unbind.outcome.state, sample.bus.device('a')!.driverName, sample.vfio.groups[0]!.devices.length]).toEqual(['held', 'vfio-sample', 1]);
    expect(getGroupStatus(root, fd)).toBe(VIABLE);
    sample.host.scheduler.release(UNLISTED);
    root.writeFile('/sys/bus/sample/devices/a/driver_override', '\n');
    root.writeFile('/sys/bus/sample/drivers/native/bind', 'a');
    expect(getGroupStatus(root, fd)).toBe(0);
  });

  it('[vfio D61-4] 6.1 asks who owns the DMA, and a driverless sibling does not matter', () => {
    const sample = setUp('linux-6.1', ['a', 'b'], true);
    const { root } = sample;
    const fd = root.open('/dev/vfio/0');
    expect(getGroupStatus(root, fd)).toBe(VIABLE);
    root.writeFile('/sys/bus/sample/drivers_probe', 'b');
    expect(getGroupStatus(root, fd)).toBe(0);
  });
});

describe('the last device leaves', () => {
  it('[vfio 2.6/14] [vfio D61-7] 6.1: everything of the group is gone at once, and a re-bind makes a new one', () => {
    const sample = setUp('linux-6.1');
    const { root, int } = sample;
    const { container, group } = openGroup(sample, 0);
    expect(sample.unbind('a').result()).toBe(1);
    expect(root.readdir('/sys/class/vfio')).toEqual([]);
    expect(outcomeOf(() => getGroupStatus(root, group))).toBe('ENODEV');
    expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_SET_CONTAINER, int(container)))).toBe('ENODEV');
    expect(outcomeOf(() => getDeviceFd(root, group, 'a'))).toBe('ENODEV');
    expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('EINVAL');
    expect(outcomeOf(() => root.ioctl(container, VFIO_IOMMU_GET_INFO, new Uint8Array(24)))).toBe('EINVAL');
    sample.bind('a');
    const again = root.open('/dev/vfio/0');
    expect(getGroupStatus(root, again)).toBe(VIABLE);
    root.close(group);
    root.close(again);
    expect(sample.ids()).toEqual([]);
  });

  it('[vfio D61-6] [vfio D61-7] [vfio Step-and-unwind-matrices/43] 5.13: the unbind waits, the group works on, and a re-bind joins it', () => {
    const sample = setUp('linux-5.13');
    const { root, int } = sample;
    const { container, group } = openGroup(sample, 0);
    const unbind = sample.unbind('a');
    sample.host.scheduler.advance(1e12);
    unbind.signal();
    expect(unbind.outcome).toMatchObject({ state: 'asleep', what: 'group 0 to leave its container' });
    expect(getGroupStatus(root, group)).toBe(VIABLE | SET);
    expect(outcomeOf(() => getDeviceFd(root, group, 'a'))).toBe('ENODEV');
    expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_SET_CONTAINER, int(container)))).toBe('EINVAL');
    const info = new Uint8Array(24);
    info[0] = 24;
    expect(root.ioctl(container, VFIO_IOMMU_GET_INFO, info)).toBe(0);
    expect(outcomeOf(() => root.open('/dev/vfio/0'))).toBe('EBUSY');
    root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    expect([unbind.result(), getGroupStatus(root, group)]).toEqual([1, VIABLE]);
    sample.bind('a');
    expect(outcomeOf(() => root.open('/dev/vfio/0'))).toBe('EBUSY');
    expect(sample.vfio.groups).toHaveLength(1);
    root.close(group);
    root.close(root.open('/dev/vfio/0'));
  });

  it('[vfio D61-47] the IOMMU group’s folder stays with an open group fd on 5.13, and goes on 6.1', () => {
    for (const profile of PROFILES) {
      const sample = setUp(profile);
      const { root, host } = sample;
      const group = root.open('/dev/vfio/0');
      host.scheduler.call('remove', sample.bus.remove(sample.bus.device('a')!));
      const entries = outcomeOf(() => root.readdir('/sys/kernel/iommu_groups/0/devices'));
      expect(entries).toBe(OLD.includes(profile) ? 'success' : 'ENOENT');
      root.close(group);
      expect(outcomeOf(() => root.readdir('/sys/kernel/iommu_groups/0'))).toBe('ENOENT');
    }
  });
});

it('[vfio 2.6/10] a container that refuses the group leaves the group its DMA', () => {
  const sample = sampleHost(['a', 'b']);
  sample.bind('a');
  sample.bind('b');
  const { root } = sample;
  const { container } = openGroup(sample, 0);
  const iommuGroup = sample.bus.device('b')!.iommuGroup!;
  iommuGroup.attachDomain(sample.iommu.createDomain()); // somebody else's
  const fd = root.open('/dev/vfio/1');
  expect(outcomeOf(() => { setContainer(root, fd, container); })).toBe('EBUSY');
  expect([iommuGroup.dmaOwnerClaimed, getGroupStatus(root, fd)]).toEqual([false, VIABLE]);
});

describe('registration', () => {
  it('[vfio P1/4] a refused duplicate leaves the group’s count as it was', () => {
    const sample = setUp();
    const group = sample.vfio.groups[0]!;
    const twin = sample.device('a');
    expect(sample.host.scheduler.call('twin', twin.register())).toBeLessThan(0);
    expect([group.references, group.devices.length]).toEqual([1, 1]);
  });

  it('[vfio D61-11] numbers: a group’s minor and a device’s vfioM are the lowest free ones', () => {
    const sample = setUp('linux-6.1', ['a', 'b', 'c']);
    const { root } = sample;
    for (const name of ['b', 'c']) sample.bind(name);
    const minors = () => root.readdir('/sys/class/vfio').map((name) => root.readFile(`/sys/class/vfio/${name}/dev`).trim().split(':')[1]);
    expect(minors()).toEqual(['0', '1', '2']);
    expect(root.readdir('/sys/class/vfio-dev')).toEqual(['vfio0', 'vfio1', 'vfio2']);
    sample.unbind('b').result();
    sample.unbind('a').result();
    sample.bind('b');
    expect(minors()).toEqual(['0', '2']);
    expect(root.readdir('/sys/bus/sample/devices/b/vfio-dev')).toEqual(['vfio0']);
    expect(outcomeOf(() => setUp('linux-5.13').root.readdir('/sys/class/vfio-dev'))).toBe('ENOENT');
  });

  it('[vfio D61-13] needs coherent DMA on 6.1, and does not on 5.13', () => {
    for (const profile of PROFILES) {
      const sample = sampleHost(['a'], { profile });
      Object.defineProperty(sample.iommu, 'coherent', { value: false });
      expect(outcomeOf(() => sample.bind('a'))).toBe('success'); // drivers_probe does not tell
      expect(sample.vfio.groups).toHaveLength(OLD.includes(profile) ? 1 : 0);
    }
  });

  it('a broken count is told', () => {
    const sample = setUp();
    sample.vfio.groups[0]!.put();
    expect(sample.ids()).toEqual([GROUP_UNBALANCED.id]);
    const other = setUp();
    other.device('a').put();
    other.device('a').put();
    expect(other.ids()).toEqual([LIFE_CYCLE_BROKEN.id]);
  });
});

it('a close too many does not make the next open look like the second (V46)', () => {
  const sample = setUp();
  const { root, host } = sample;
  const device = sample.device('a');
  host.scheduler.call('stray', device.close('nobody'));
  expect(sample.ids()).toEqual([LIFE_CYCLE_BROKEN.id]);
  const { group } = openGroup(sample, 0);
  const fd = getDeviceFd(root, group, 'a');
  expect([device.openCount, device.log]).toEqual([1, ['open']]);
  root.close(fd);
  expect([device.openCount, device.log]).toEqual([0, ['open', 'close']]);
});

it('an open that failed is not closed (V45)', () => {
  const sample = setUp();
  const { group } = openGroup(sample, 0);
  sample.device('a').openResult = -5;
  expect(outcomeOf(() => getDeviceFd(sample.root, group, 'a'))).toBe('EIO');
  sample.root.close(group);
  expect([sample.device('a').log, sample.ids()]).toEqual([['open'], []]);
});

it('an fd promised to an open in progress is not given to another', () => {
  const sample = setUp();
  const { root, host } = sample;
  const { group } = openGroup(sample, 0);
  const lock = sample.vfio.deviceSetLock(sample.device('a'));
  expect(lock.tryLock()).toBe(true);
  const first = root.start('first', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, text('a')));
  expect(first.outcome).toMatchObject({ state: 'asleep', what: 'the device set of a' });
  const other = root.eventfd();
  host.scheduler.spawn('unlock', unlock(lock));
  expect([first.result(), root.file(other)!.label]).toEqual([other - 1, 'anon_inode:[eventfd]']);
  for (const fd of [first.result(), other, group]) root.close(fd);
  expect(sample.ids()).toEqual([]);
});

function* unlock(lock: Mutex): Sleeps<void> {
  lock.unlock();
}
