import { expect, it } from 'vitest';
import {
  getDeviceFd,
  NOIOMMU_ADDED,
  NOIOMMU_OPENED,
  Process,
  setContainer,
  VFIO_CHECK_EXTENSION,
  VFIO_GROUP_GET_STATUS,
  VFIO_IOMMU_MAP_DMA,
  VFIO_NOIOMMU_IOMMU,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  getExternalUser,
  EPERM,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { sampleHost, SampleDevice } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];

/** A host with a device behind an IOMMU (a) and one without (n). */
function setUp(profile: ProfileName) {
  const sample = sampleHost(['a'], { profile });
  const events = sample.host.trace.record('fault');
  sample.bus.announce(new SampleDevice(sample.host, 'n'));
  return { ...sample, events, ids: () => events.map(({ id }) => id) };
}

it.each(PROFILES)('[vfio 2.1/3] a device without IOMMU can be had only where the module parameter says so, on %s', (profile) => {
  const { root, bind, ids, vfio } = setUp(profile);
  bind('n');
  expect(vfio.groups).toEqual([]);
  const parameter = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
  expect(root.readFile(parameter)).toBe('N\n');
  expect(outcomeOf(() => root.writeFile(parameter, 'maybe'))).toBe('EINVAL');
  root.writeFile(parameter, 'Y\n');
  bind('n');
  expect(root.readdir('/dev/vfio')).toEqual(['noiommu-1', 'vfio']);
  expect([ids(), root.readFile('/sys/kernel/iommu_groups/1/name')]).toEqual([[NOIOMMU_ADDED.id], 'vfio-noiommu\n']);
});

it.each(PROFILES)('[vfio 2.6/3] [vfio 2.6/10] needs CAP_SYS_RAWIO everywhere, and does not mix with real groups, on %s', (profile) => {
  const { root, host, bind, ids, vfio } = setUp(profile);
  vfio.noiommu = true;
  bind('n');
  bind('a');
  const weak = new Process(host, { capabilities: [] });
  expect(outcomeOf(() => weak.open('/dev/vfio/noiommu-1'))).toBe('EPERM');
  const container = root.open('/dev/vfio/vfio');
  expect([8, 1].map((type) => root.ioctl(container, VFIO_CHECK_EXTENSION, type))).toEqual([1, 1]);
  const group = root.open('/dev/vfio/noiommu-1');
  const real = root.open('/dev/vfio/0');
  setContainer(root, group, container);
  expect([8, 1].map((type) => root.ioctl(container, VFIO_CHECK_EXTENSION, type))).toEqual([1, 0]);
  expect(outcomeOf(() => { setContainer(root, real, container); })).toBe('EPERM');
  expect(outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toBe('ENODEV');
  root.ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
  expect(outcomeOf(() => root.ioctl(container, VFIO_IOMMU_MAP_DMA, new Uint8Array(32)))).toBe('ENOTTY');
  const fd = getDeviceFd(root, group, 'n');
  expect(ids()).toEqual([NOIOMMU_ADDED.id, NOIOMMU_OPENED.id]);
  expect(root.ioctl(group, VFIO_GROUP_GET_STATUS, new Uint8Array([8, 0, 0, 0, 0, 0, 0, 0]))).toBe(0);
  expect(getExternalUser(root.file(group)!)).toBe(-EPERM);
  for (const each of [fd, group, container]) root.close(each);
  const other = root.open('/dev/vfio/vfio');
  setContainer(root, real, other);
  const again = root.open('/dev/vfio/noiommu-1');
  expect(outcomeOf(() => { setContainer(root, again, other); })).toBe('EPERM');
});

it.each(PROFILES)('[vfio D61-15] the backend refuses a caller without the right, and the group goes with its device, on %s', (profile) => {
  const { root, bind, unbind, vfio, bus } = setUp(profile);
  vfio.noiommu = true;
  bind('n');
  const group = root.open('/dev/vfio/noiommu-1');
  const container = root.open('/dev/vfio/vfio');
  setContainer(root, group, container);
  const [backend] = vfio.backends.filter(({ noiommu }) => noiommu === true);
  const weak = new Process(root.host, { capabilities: [] });
  expect([backend!.open(1, root), backend!.open(8, weak)]).toEqual([-22, -1]);
  root.close(group);
  expect(unbind('n').result()).toBe(1);
  expect([bus.device('n')!.iommuGroup, root.readdir('/dev/vfio'), root.readdir('/sys/kernel/iommu_groups')]).toEqual([undefined, ['vfio'], ['0']]);
});

/** Holds the fds of a group without IOMMU and of a container, and lacks the right: another has opened them for it. */
function weakHolder(profile: ProfileName) {
  const sample = setUp(profile);
  const { root, host, vfio } = sample;
  vfio.noiommu = true;
  sample.bind('n');
  const weak = new Process(host, { name: 'weak', capabilities: [] });
  const group = root.send(root.open('/dev/vfio/noiommu-1'), weak);
  const container = root.send(root.open('/dev/vfio/vfio'), weak);
  return { ...sample, weak, group, container, join: (fd: number) => outcomeOf(() => { setContainer(weak, group, fd); }) };
}

it.each(PROFILES)('SET_CONTAINER looks at the right before the fd (5.10, 5.13), or behind it (6.1), on %s', (profile) => {
  const { join, container, weak } = weakHolder(profile);
  const early = profile === 'linux-5.10' || profile === 'linux-5.13';
  const eventfd = weak.eventfd();
  expect([join(-1), join(99), join(eventfd), join(container)]).toEqual(early ? ['EINVAL', 'EPERM', 'EPERM', 'EPERM'] : ['EBADF', 'EBADF', profile === 'linux-6.1' ? 'EINVAL' : 'EBADFD', 'EPERM']);
});

it.each(PROFILES)('SET_CONTAINER of a group that is in a container already says so before the right, and before the fd where the right is, on %s', (profile) => {
  const { root, join, weak, group, container } = weakHolder(profile);
  const file = weak.file(group)!;
  setContainer(root, root.fds.find((fd) => root.file(fd) === file)!, root.open('/dev/vfio/vfio'));
  expect([join(99), join(container)]).toEqual(profile === 'linux-5.10' || profile === 'linux-5.13' ? ['EINVAL', 'EINVAL'] : ['EBADF', 'EINVAL']);
});

it.each(PROFILES)('GET_DEVICE_FD needs the right as well, behind name and container, on %s', (profile) => {
  const { root, weak, group, vfio } = weakHolder(profile);
  const get = (name: string) => outcomeOf(() => getDeviceFd(weak, group, name));
  expect(get('n')).toBe('EINVAL');
  const file = weak.file(group)!;
  const container = root.open('/dev/vfio/vfio');
  setContainer(root, root.fds.find((fd) => root.file(fd) === file)!, container);
  root.ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
  expect(get('n')).toBe('EPERM');
  expect([get('x'), vfio.groups[0]!.containerUsers]).toEqual([profile === 'linux-5.10' || profile === 'linux-5.13' ? 'EPERM' : 'ENODEV', 1]);
});
