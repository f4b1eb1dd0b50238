import { describe, expect, it } from 'vitest';
import {
  getDeviceFd,
  getIommuInfo,
  IommuDomain,
  mapDma,
  Process,
  REQUESTS,
  setContainer,
  VFIO_CHECK_EXTENSION,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_GET_API_VERSION,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  type IommuBackendKind,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { openGroup, sampleHost } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];

function setUp(profile: ProfileName = 'linux-6.1', names: readonly string[] = ['a']) {
  const sample = sampleHost(names, { profile });
  for (const name of names) sample.bind(name);
  return sample;
}

describe.each(PROFILES)('a container fd on %s', (profile) => {
  const old = OLD.includes(profile);

  it('[vfio 2.1/1] [vfio 2.5/1] each open makes a container, for anybody', () => {
    const { host, vfio } = setUp(profile);
    const user = new Process(host, { uid: 1000 });
    const fds = [user.open('/dev/vfio/vfio'), user.open('/dev/vfio/vfio')];
    expect(vfio.containers.size).toBe(2);
    for (const fd of fds) user.close(fd);
    expect(vfio.containers.size).toBe(0);
  });

  it('[vfio 2.5/2] [vfio 2.2/1] GET_API_VERSION is 0, whatever its argument', () => {
    const { root } = setUp(profile);
    expect(root.ioctl(root.open('/dev/vfio/vfio'), VFIO_GET_API_VERSION, 77)).toBe(0);
  });

  it('[vfio 2.5/3] [vfio 2.5/4] [vfio 2.2/2] [vfio D61-10] CHECK_EXTENSION without and with a backend', () => {
    const sample = setUp(profile);
    const { root } = sample;
    const fresh = root.open('/dev/vfio/vfio');
    const ask = (fd: number) => [...Array(13).keys()].filter((extension) => root.ioctl(fd, VFIO_CHECK_EXTENSION, extension) > 0);
    const { container } = openGroup(sample, 0);
    const newer = profile === 'linux-5.10' ? [] : [9];
    expect(ask(fresh)).toEqual([1, 3, 6, ...newer, ...(profile === 'linux-5.13' ? [10] : [])]);
    // A VT-d unit without snoop control is coherent to neither question.
    expect(ask(container)).toEqual([1, 3, 6, ...newer, ...(profile === 'linux-5.10' ? [] : [10])]);
  });

  it('[vfio 2.5/5] [vfio 2.2/3] SET_IOMMU wants a group, an unused container and a type that it knows', () => {
    const { root } = setUp(profile);
    const container = root.open('/dev/vfio/vfio');
    const set = (type: number) => outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, type));
    expect(set(3)).toBe('EINVAL');
    setContainer(root, root.open('/dev/vfio/0'), container);
    expect([0, 2, 4, 5, 7, 8, 11].map(set)).toEqual(Array(7).fill('ENODEV'));
    expect(set(9)).toBe(profile === 'linux-5.10' ? 'ENODEV' : 'EINVAL');
    expect(set(10)).toBe(profile === 'linux-5.13' ? 'EINVAL' : 'ENODEV');
    expect(set(6)).toBe(old ? 'ENODEV' : 'EINVAL');
    expect(set(3)).toBe('success');
    expect(set(1)).toBe('EINVAL');
  });

  it('[vfio 2.5/6] [vfio 2.5/7] forwards what it does not know, and is -EINVAL without a backend', () => {
    const sample = setUp(profile);
    const { root } = sample;
    const fresh = root.open('/dev/vfio/vfio');
    const { container } = openGroup(sample, 0);
    for (const request of [0x3b60, 0x3b67, 0x3b73, 0x3b76, 0]) {
      expect(root.tryIoctl(fresh, request, 0)).toBe(-22);
      expect(root.tryIoctl(container, request, 0)).toBe(-25);
    }
  });

  it('[vfio 2.5/8] [vfio D61-9] has no read, write or mmap', () => {
    const { root } = setUp(profile);
    const container = root.open('/dev/vfio/vfio');
    expect(outcomeOf(() => root.pread(container, new Uint8Array(4), 0))).toBe('EINVAL');
    expect(outcomeOf(() => root.pwrite(container, new Uint8Array(4), 0))).toBe('EINVAL');
    expect(outcomeOf(() => root.mmap(container, 4096))).toBe(old ? 'EINVAL' : 'ENODEV');
  });

  it('[vfio 2.5/9] keeps its mappings as long as a group is in it, though its fd is closed', () => {
    const sample = setUp(profile);
    const { root, vfio } = sample;
    const { container, group } = openGroup(sample, 0);
    const memory = root.mmap(-1, 4096);
    mapDma(root, container, { iova: 0, size: 4096, vaddr: memory.address, flags: VFIO_DMA_MAP_FLAG_READ });
    root.close(container);
    expect([vfio.containers.size, root.mm.lockedPages]).toEqual([1, 1]);
    root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    expect([vfio.containers.size, root.mm.lockedPages]).toEqual([0, 0]);
  });

  it('[vfio D61-45] [vfio 2.4/1] reports page sizes and chains capabilities as the kernel lays them out', () => {
    const sample = setUp(profile);
    const { container } = openGroup(sample, 0);
    expect(getIommuInfo(sample.root, container).pageSizes).toBe(old ? 0xffff_ffff_ffff_f000n : 0x4020_1000n);
    const info = new Uint8Array(200);
    info[0] = 200;
    sample.root.ioctl(container, VFIO_IOMMU_GET_INFO, info);
    const view = new DataView(info.buffer);
    const chain: [number, number][] = [];
    for (let at = view.getUint32(16, true); at !== 0; at = view.getUint32(at + 4, true)) chain.push([at, view.getUint16(at, true)]);
    const third = profile === 'linux-6.12' ? 72 : 68;
    expect(chain).toEqual([[24, 2], [56, 3], [third, 1]]);
    expect(view.getUint32(0, true)).toBe(200);
  });

  it('[vfio 2.4/2] [vfio 2.4/3] tells how much room a chain needs, and never fails for lack of it', () => {
    const sample = setUp(profile);
    const { container } = openGroup(sample, 0);
    const needed = profile === 'linux-6.12' ? 120 : 116;
    for (const argsz of [16, 19, 20, 24, needed - 1]) {
      const info = new Uint8Array(argsz).fill(0xee);
      const view = new DataView(info.buffer);
      view.setUint32(0, argsz, true);
      sample.root.ioctl(container, VFIO_IOMMU_GET_INFO, info);
      expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([needed, 3]);
      if (argsz >= 20) expect(view.getUint32(16, true)).toBe(0);
      else expect([...info.subarray(16)]).toEqual(Array(argsz - 16).fill(0xee));
    }
  });
});

describe('backends', () => {
  const kind = (name: string, answers: Record<number, number>, log: string[], opens: number): IommuBackendKind => ({
    name,
    checkExtension: (extension) => (log.push(`${name} check`), answers[extension] ?? 0),
    open: () => (log.push(`${name} open`), opens),
  });

  it('[vfio 2.5/5] the last error remains when no backend will do', () => {
    const sample = setUp();
    const log: string[] = [];
    const backends: readonly IommuBackendKind[] = [kind('one', { 50: 1 }, log, -5), kind('two', {}, log, -6), kind('three', { 50: 1 }, log, -12)];
    const vfio = Object.defineProperty(sample.vfio, 'backends', { value: backends });
    expect(vfio.backends).toHaveLength(3);
    const container = sample.root.open('/dev/vfio/vfio');
    setContainer(sample.root, sample.root.open('/dev/vfio/0'), container);
    expect(outcomeOf(() => sample.root.ioctl(container, VFIO_SET_IOMMU, 50))).toBe('ENOMEM');
    expect(log).toEqual(['one check', 'one open', 'two check', 'three check', 'three open']);
  });

  it('[vfio 2.5/5] detaches again, in reverse, when a later group is refused', () => {
    const sample = setUp('linux-6.1', ['a', 'b', 'c']);
    const { root } = sample;
    const container = root.open('/dev/vfio/vfio');
    for (const group of [0, 1, 2]) setContainer(root, root.open(`/dev/vfio/${group}`), container);
    const groups = sample.vfio.groups.map(({ iommuGroup }) => iommuGroup);
    groups[2]!.attachDomain(new IommuDomain(sample.iommu)); // somebody has it already
    expect(outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toBe('EBUSY');
    expect(groups.map(({ domain }) => domain !== undefined)).toEqual([false, false, true]);
    groups[2]!.detachDomain();
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    expect(groups.map(({ domain }) => domain === groups[0]!.domain)).toEqual([true, true, true]);
  });

  it('two units give two domains, and an IOVA must suit both', () => {
    const sample = sampleHost(['a']);
    const other = new VtdIommu(sample.host, { name: 'dmar1', addressBits: 39 });
    sample.bind('a');
    const { container } = openGroup(sample, 0);
    expect(getIommuInfo(sample.root, container).iovaRanges[1]!.end).toBe(0xffff_ffff_ffffn);
    expect(other.aperture.last).toBe(2 ** 27 - 1);
  });
});

it('[vfio 2.2/22] a request number means what its fd makes of it', () => {
  const sample = setUp();
  const { root } = sample;
  const { container, group } = openGroup(sample, 0);
  const device = getDeviceFd(root, group, 'a');
  // 12 is IOMMU_GET_INFO on a container, GET_PCI_HOT_RESET_INFO on a device, and nothing on a group.
  const argument = () => new Uint8Array([200, ...new Array<number>(199).fill(0)]);
  expect([container, group, device].map((fd) => root.tryIoctl(fd, REQUESTS['VFIO_IOMMU_GET_INFO']!, argument()))).toEqual([0, -25, -25]);
  expect([container, group, device].map((fd) => root.tryIoctl(fd, VFIO_GROUP_GET_STATUS, argument()))).toEqual([-25, 0, -25]);
});
