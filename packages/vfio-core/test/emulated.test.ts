import { describe, expect, it } from 'vitest';
import {
  dmaRw,
  E2BIG,
  EACCES,
  EBUSY,
  EFAULT,
  EINVAL,
  EOVERFLOW,
  ENODEV,
  ENOMEM,
  EPERM,
  externalCheckExtension,
  externalGroupMatchFile,
  externalUserIommuId,
  get,
  getDeviceFd,
  getExternalUser,
  getExternalUserFromDevice,
  getGroupStatus,
  getIommuInfo,
  IOMMU_READ,
  IOMMU_WRITE,
  mapDma,
  pinPages,
  PIN_WHILE_INVALID,
  Process,
  putExternalUser,
  registerNotifier,
  set,
  setContainer,
  unmapDma,
  UNMAP_IGNORED,
  unpinPages,
  VFIO_CHECK_EXTENSION,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_GROUP_FLAGS_VIABLE,
  VFIO_GROUP_UNSET_CONTAINER,
  vfio_info_cap_header,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  vfio_iommu_type1_info,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
  VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UPDATE_VADDR,
  vfioFileEnforcedCoherent,
  vfioFileHasDevice,
  vfioFileIsGroup,
  vfioFileSetKvm,
  type ProfileName,
  type VfioDevice,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { addEmulated, openGroup, SampleDevice, sampleHost } from './sample-device.ts';

const PAGE = 4096;
const RW = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

/** A host with an emulated device m, open, and memory of its process mapped at IOVA page 16 on, 8 pages. */
function setUp(profile: ProfileName = 'linux-6.1', type: number = VFIO_TYPE1v2_IOMMU, process: { uid?: number; memlock?: number } = {}) {
  const sample = sampleHost(['a'], { profile });
  const { host, root } = sample;
  sample.bind('a');
  const { group, device } = addEmulated(sample, 'm');
  const fds = openGroup(sample, group, undefined, type);
  const fd = getDeviceFd(root, fds.group, 'm');
  if (process.uid !== undefined) root.uid = process.uid;
  if (process.memlock !== undefined) root.memlock = process.memlock;
  const events = host.trace.record('fault');
  const memory = root.mmap(-1, 8 * PAGE);
  const map = (page: number, pages: number, flags = RW, at = 0) =>
    mapDma(root, fds.container, { iova: page * PAGE, size: pages * PAGE, vaddr: memory.address + at * PAGE, flags });
  const unmap = (page: number, pages: number, flags = 0) => unmapDma(root, fds.container, page * PAGE, pages * PAGE, flags);
  const pin = (frames: readonly number[], protection = IOMMU_READ | IOMMU_WRITE) => {
    const result = host.scheduler.call('pin', pinPages(device, frames, protection));
    if (typeof result !== 'number') for (const frame of frames) device.pinned.add(frame);
    return result;
  };
  const rw = (iova: number, data: Uint8Array, write: boolean, current?: Process) => host.scheduler.call('rw', dmaRw(device, current, iova, data, write));
  // From the mapping's first page on: a bitmap that begins elsewhere shows what the kernel has shifted (2.15).
  const dirty = (flags: number, page = 16, pages = 64, bitmap = root.mmap(-1, PAGE)) => {
    const bytes = new Uint8Array(48);
    const view = new DataView(bytes.buffer);
    [48, flags].forEach((value, i) => view.setUint32(4 * i, value, true));
    [page * PAGE, pages * PAGE, PAGE, Math.ceil(pages / 64) * 8, bitmap.address].forEach((value, i) => view.setBigUint64(8 + 8 * i, BigInt(value), true));
    root.ioctl(fds.container, VFIO_IOMMU_DIRTY_PAGES, bytes);
    return [...Array(pages).keys()].filter((i) => ((bitmap.read(Math.floor(i / 8), 1) >> (i % 8)) & 1) === 1).map((i) => page + i);
  };
  if (profile === 'linux-5.13') {
    const ended = registerNotifier(sample.vfio, device.device, 'iommu', 1, { dmaUnmap: (iova, length) => device.dmaUnmap(iova, length) });
    if (typeof ended === 'number') throw new Error(`notifier: ${ended}`);
  }
  return { ...sample, ...fds, fd, emulated: device, groupId: group, events, memory, map, unmap, pin, rw, dirty, ids: () => events.map(({ id }) => id) };
}

describe('an emulated group', () => {
  it('[vfio D61-19] maps anything, pins nothing, and reports no IOVA ranges', () => {
    const { root, container, map } = setUp();
    expect(getIommuInfo(root, container)).toEqual({ pageSizes: 0xffff_ffff_ffff_f000n, iovaRanges: [] });
    map(16, 4);
    mapDma(root, container, { iova: 0xfee0_0000, size: PAGE, vaddr: 0, flags: RW });
    mapDma(root, container, { iova: (1n << 64n) - 4096n, size: PAGE, vaddr: 0, flags: RW });
    expect(root.mm.lockedPages).toBe(0);
  });

  it('[vfio D61-10] [vfio D61-20] [vfio 2.13/27] gives up and offers no vaddr on 6.1, and does on 5.13 (V24) [mdev 41]', () => {
    const now = setUp('linux-6.1');
    now.map(16, 1);
    expect(now.root.ioctl(now.container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR)).toBe(0);
    expect(outcomeOf(() => now.unmap(16, 1, VFIO_DMA_UNMAP_FLAG_VADDR))).toBe('EBUSY');
    expect(outcomeOf(() => now.unmap(99, 0, VFIO_DMA_UNMAP_FLAG_VADDR))).toBe('EBUSY');
    const then = setUp('linux-5.13');
    then.map(16, 1);
    expect(then.root.ioctl(then.container, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR)).toBe(1);
    expect(then.unmap(16, 1, VFIO_DMA_UNMAP_FLAG_VADDR)).toBe(4096n);
  });

  it('takes in a physical group if what is mapped suits it: pins all, and leaves what devices pinned when it goes [mdev 42]', () => {
    const sample = setUp();
    const { root, container, map, pin, emulated } = sample;
    map(16, 4);
    pin([17]);
    expect(root.mm.lockedPages).toBe(1);
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, container);
    expect(root.mm.lockedPages).toBe(4);
    expect(getIommuInfo(root, container).iovaRanges).toHaveLength(2);
    pin([18]); // pinned already for the IOMMU: counts no more
    expect(root.mm.lockedPages).toBe(4);
    root.ioctl(physical, VFIO_GROUP_UNSET_CONTAINER);
    expect(root.mm.lockedPages).toBe(2);
    unpinPages(emulated, [17, 18]);
    emulated.pinned.clear();
    expect(root.mm.lockedPages).toBe(0);
    mapDma(root, container, { iova: 0xfee0_0000, size: PAGE, vaddr: sample.memory.address, flags: RW });
    expect(outcomeOf(() => { setContainer(root, physical, container); })).toBe('EINVAL');
    expect(root.mm.lockedPages).toBe(0);
  });
});

describe('a container of emulated groups alone, 6.1', () => {
  it('[mdev 39] that had a physical group tells one range of IOVAs, which is everything', () => {
    const { root, container, map } = setUp();
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, container);
    root.ioctl(physical, VFIO_GROUP_UNSET_CONTAINER);
    expect(getIommuInfo(root, container).iovaRanges).toEqual([{ start: 0n, end: 0xffff_ffff_ffff_ffffn }]);
    expect(outcomeOf(() => map(0xfee00, 1))).toBe('success');
  });

  it('[vfio 6.9/6] tells every page size, and of capabilities MIGRATION and DMA_AVAIL; a physical group joins, if no mapping is where it reserves', () => {
    const { root, container, memory, map } = setUp();
    const info = () => {
      const bytes = new Uint8Array(512);
      set(bytes, vfio_iommu_type1_info.argsz, bytes.length);
      root.ioctl(container, VFIO_IOMMU_GET_INFO, bytes);
      const ids: number[] = [];
      for (let at = get(bytes, vfio_iommu_type1_info.cap_offset); at !== 0; at = get(bytes.subarray(at), vfio_info_cap_header.next)) {
        ids.push(get(bytes.subarray(at), vfio_info_cap_header.id));
      }
      return [get(bytes, vfio_iommu_type1_info.iova_pgsizes), ids];
    };
    const alone = [0xffff_ffff_ffff_f000n, [VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL]];
    expect(info()).toEqual(alone);
    map(16, 2);
    mapDma(root, container, { iova: 0xfee0_0000, size: PAGE, vaddr: memory.address, flags: RW });
    const physical = root.open('/dev/vfio/0');
    expect([outcomeOf(() => { setContainer(root, physical, container); }), info(), getGroupStatus(root, physical)]).toEqual(['EINVAL', alone, VFIO_GROUP_FLAGS_VIABLE]);
    unmapDma(root, container, 0xfee0_0000, PAGE);
    setContainer(root, physical, container);
    const both = [VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE];
    expect(info()[1]).toEqual(expect.arrayContaining(both));
  });

  it('[vfio 6.9/7] [mdev 43] has clean pages unless they are pinned, or dma_rw wrote them', () => {
    const { map, pin, rw, dirty, emulated } = setUp();
    map(16, 8);
    dirty(1);
    expect(dirty(4)).toEqual([]);
    rw(18 * PAGE, Uint8Array.of(1), false);
    expect(dirty(4)).toEqual([]);
    rw(18 * PAGE, Uint8Array.of(1), true);
    expect([dirty(4), dirty(4)]).toEqual([[18], []]);
    pin([20]);
    expect([dirty(4), dirty(4)]).toEqual([[20], [20]]);
    unpinPages(emulated, [20]);
    expect([dirty(4), dirty(4)]).toEqual([[20], []]);
  });
});

describe('vfio_pin_pages', () => {
  it('[vfio 2.12/5] [vfio D61-18] checks its caller, then type1 the pages', () => {
    const { emulated, fd, root, map, pin } = setUp();
    map(16, 4);
    map(32, 1, VFIO_DMA_MAP_FLAG_READ);
    expect([pin([]), pin(Array.from({ length: 513 }, (_, i) => i)), pin([99]), pin([32])]).toEqual([-EINVAL, -E2BIG, -EINVAL, -EPERM]);
    expect(pin([32], IOMMU_READ)).toHaveLength(1);
    expect(pin([16, 16, 17])).toHaveLength(3);
    root.close(fd);
    expect([pin([18]), unpinPages(emulated, [16])]).toEqual([-EINVAL, -EINVAL]);
  });

  it.each([
    ['linux-6.12', -EINVAL],
    ['linux-7.3', -EOVERFLOW],
  ] as const)('[vfio_iommu_type1_pin_pages] %s: pages that end beyond 2^64', (profile, expected) => {
    const last = 2 ** 52 - 1;
    expect(setUp(profile).pin([last, last + 1])).toBe(expected);
  });

  it('needs somebody who listens to unmaps, and type1 v2', () => {
    const v1 = setUp('linux-6.1', VFIO_TYPE1_IOMMU);
    v1.map(16, 1);
    expect([v1.pin([16]), unpinPages(v1.emulated, [16])]).toEqual([-EACCES, -EACCES]);
    const sample = sampleHost(['a']);
    sample.bind('a');
    const { group, container } = openGroup(sample, 0);
    root1(sample.root, container);
    const fd = getDeviceFd(sample.root, group, 'a');
    expect(sample.host.scheduler.call('pin', pinPages(sample.device('a'), [0], IOMMU_READ))).toBe(-EINVAL);
    sample.root.close(fd);
    function root1(root: Process, into: number) {
      mapDma(root, into, { iova: 0, size: PAGE, vaddr: root.mmap(-1, PAGE).address, flags: RW });
    }
  });

  it('[vfio Cross-patch-acceptance-t/14] pins all or nothing, and forgets what it took back (V07)', () => {
    const { root, host, map, unmap, pin, memory, ids } = setUp();
    map(16, 2);
    memory.write(0, 4, 1);
    const used = host.pages.used;
    for (let i = 0; i < 3; i += 1) expect(pin([16, 17, 40])).toBe(-EINVAL);
    expect(root.mm.lockedPages).toBe(0);
    memory.unmap();
    expect(host.pages.used).toBe(used - 8);
    // No record is left for the unmap to ask a device about.
    expect(unmap(16, 2)).toBe(8192n);
    expect(ids()).toEqual([]);
  });

  it('accounts each page once, against the limit of the mapping’s process', () => {
    const { root, map, pin, emulated } = setUp('linux-6.1', VFIO_TYPE1v2_IOMMU, { uid: 1, memlock: 2 * PAGE });
    map(16, 8);
    expect(pin([16, 17, 16])).toHaveLength(3);
    expect([root.mm.lockedPages, pin([18])]).toEqual([2, -ENOMEM]);
    expect(root.mm.lockedPages).toBe(2);
    unpinPages(emulated, [16]);
    expect(root.mm.lockedPages).toBe(2);
    unpinPages(emulated, [16, 17]);
    expect(root.mm.lockedPages).toBe(0);
  });

  it.each(['linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'] as const)('[vfio D61-25] takes no page that has no struct page since 6.1, as that of a mapped BAR, and accounts none in 5.13: on %s', (profile) => {
    const { root, container, pin, map } = setUp(profile);
    const bar = root.mm.mapDevice(PAGE, { physical: 0xfe00_0000, live: () => true }, true, true);
    if (typeof bar === 'number') throw new Error(`no mapping: ${bar}`);
    map(16, 1);
    mapDma(root, container, { iova: 17 * PAGE, size: PAGE, vaddr: bar.address, flags: RW });
    expect(pin([16, 17])).toEqual(profile === 'linux-5.13' ? [expect.any(Number), 0xfe000] : -EINVAL);
    expect(root.mm.lockedPages).toBe(profile === 'linux-5.13' ? 1 : 0);
  });

  it('[vfio 2.12/6] unpins up to the first page that is not mapped', () => {
    const { map, pin, emulated } = setUp();
    map(16, 2);
    pin([16, 17]);
    expect(unpinPages(emulated, [16, 40, 17])).toBe(1);
    expect(unpinPages(emulated, [40])).toBe(-EINVAL);
    expect(unpinPages(emulated, [])).toBe(-EINVAL);
    expect(unpinPages(emulated, Array.from({ length: 513 }, (_, i) => i))).toBe(-E2BIG);
  });

  it('[vfio D61-23] gives back the pages of untouched memory as often as it pins them (V18)', () => {
    const { host, map, pin, emulated, memory, unmap } = setUp();
    map(16, 8);
    const used = host.pages.used;
    for (let i = 0; i < 1000; i += 1) {
      pin([16]);
      unpinPages(emulated, [16]);
    }
    emulated.pinned.clear();
    unmap(16, 8);
    memory.unmap();
    expect(host.pages.used).toBe(used - 8);
  });

  it('[vfio 2.12/5] [vfio P2/5] 5.13: only the one device of a group may pin, and a refusal keeps nothing (V02, V03)', () => {
    const sample = sampleHost(['a', 'b'], { profile: 'linux-5.13' }, true);
    sample.bind('a');
    const { group, container } = openGroup(sample, 0);
    const { root, vfio } = sample;
    mapDma(root, container, { iova: 0, size: PAGE, vaddr: root.mmap(-1, PAGE).address, flags: RW });
    const pin = (device: VfioDevice) => sample.host.scheduler.call('pin', pinPages(device, [0], IOMMU_READ));
    registerNotifier(vfio, sample.device('a').device, 'iommu', 1, { dmaUnmap: () => undefined });
    sample.bind('b');
    const before = [vfio.groups[0]!.references, vfio.groups[0]!.containerUsers];
    expect(pin(sample.device('a'))).toBe(-EINVAL);
    expect([vfio.groups[0]!.references, vfio.groups[0]!.containerUsers]).toEqual(before);
    expect(sample.unbind('b').result()).toBe(1);
    expect(pin(sample.device('a'))).toHaveLength(1);
    unpinPages(sample.device('a'), [0]);
    root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    expect(pin(sample.device('a'))).toBe(-EINVAL);
  });
});

describe('vfio_dma_rw', () => {
  it('[vfio 2.12/8] crosses mappings, and needs READ for reads, READ and WRITE for writes', () => {
    const { map, rw, memory, root, host } = setUp();
    map(16, 1);
    map(17, 1, VFIO_DMA_MAP_FLAG_READ, 4);
    map(18, 1, VFIO_DMA_MAP_FLAG_WRITE, 5);
    memory.writeBytes(PAGE - 2, new Uint8Array([1, 2]));
    memory.writeBytes(4 * PAGE, new Uint8Array([3, 4]));
    const data = new Uint8Array(4);
    expect([rw(17 * PAGE - 2, data, false), ...data]).toEqual([0, 1, 2, 3, 4]);
    expect([rw(16 * PAGE, data, true), rw(17 * PAGE, data, true), rw(18 * PAGE, data, true), rw(18 * PAGE, data, false)]).toEqual([0, -EPERM, -EPERM, -EPERM]);
    expect([rw(16 * PAGE, new Uint8Array(0), true), rw(40 * PAGE, data, false)]).toEqual([-EINVAL, -EINVAL]);
    expect(rw(16 * PAGE, data, false, new Process(host))).toBe(-EFAULT);
    expect(rw(16 * PAGE, data, false, root)).toBe(0);
  });

  it('marks exactly the pages that it wrote (V06)', () => {
    const { map, rw, dirty } = setUp();
    map(16, 8);
    dirty(1);
    expect(dirty(4)).toEqual([]);
    rw(18 * PAGE + PAGE - 1, new Uint8Array(2), true);
    expect(dirty(4)).toEqual([18, 19]);
    expect(dirty(4)).toEqual([]);
    rw(20 * PAGE, new Uint8Array(PAGE), true);
    expect(dirty(4)).toEqual([20]);
  });
});

describe('dirty pages', () => {
  it('are those that devices hold pinned, at each look', () => {
    const { map, pin, dirty, emulated } = setUp();
    map(16, 8);
    pin([17]);
    dirty(1);
    pin([20]);
    expect([dirty(4), dirty(4)]).toEqual([[17, 20], [17, 20]]);
    unpinPages(emulated, [17]);
    expect([dirty(4), dirty(4)]).toEqual([[17, 20], [20]]);
    dirty(2);
    expect(outcomeOf(() => dirty(4))).toBe('EINVAL');
  });

  it('are all of them while a physical group is there, and once more after it has left (V10)', () => {
    const { root, container, map, dirty } = setUp();
    map(16, 2);
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, container);
    dirty(1);
    expect([dirty(4), dirty(4)]).toEqual([[16, 17], [16, 17]]);
    root.ioctl(physical, VFIO_GROUP_UNSET_CONTAINER);
    expect([dirty(4), dirty(4)]).toEqual([[16, 17], []]);
  });

  it('are those that are pinned, once a device of the physical group pins: it has said what it writes, and leaves no more behind', () => {
    const { root, container, host, map, dirty, device } = setUp();
    map(16, 8);
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, container);
    const fd = getDeviceFd(root, physical, 'a');
    dirty(1);
    expect(dirty(4)).toEqual([16, 17, 18, 19, 20, 21, 22, 23]);
    host.scheduler.call('pin', pinPages(device('a'), [20], IOMMU_READ));
    expect([dirty(4), dirty(4)]).toEqual([[20], [20]]);
    root.close(fd);
    root.ioctl(physical, VFIO_GROUP_UNSET_CONTAINER);
    expect(dirty(4)).toEqual([20]);
  });

  it('are all of them again, when a second physical group joins that has pinned nothing', () => {
    const sample = setUp();
    const { root, container, host, map, dirty, device, bus, iommu } = sample;
    const other = new SampleDevice(host, 'b');
    bus.announce(other);
    const { id } = iommu.addGroup([other]);
    sample.bind('b');
    map(16, 2);
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, container);
    getDeviceFd(root, physical, 'a');
    host.scheduler.call('pin', pinPages(device('a'), [16], IOMMU_READ));
    dirty(1);
    expect(dirty(4)).toEqual([16]);
    const second = root.open(`/dev/vfio/${id}`);
    setContainer(root, second, container);
    expect(dirty(4)).toEqual([16, 17]);
    root.ioctl(second, VFIO_GROUP_UNSET_CONTAINER);
    expect([dirty(4), dirty(4)]).toEqual([[16, 17], [16]]);
  });
});

describe('unmap', () => {
  it.each(['linux-5.13', 'linux-6.1'] as const)('[vfio 2.13/30] asks the device to let go of its pins first, on %s', (profile) => {
    const { map, unmap, pin, emulated, root } = setUp(profile);
    map(16, 4);
    pin([17, 18]);
    expect(unmap(0, 64)).toBe(4n * 4096n);
    expect([emulated.log.filter((line) => line.startsWith('unmap')), emulated.pinned.size, root.mm.lockedPages]).toEqual([['unmap 16+4'], 0, 0]);
  });

  it('[vfio 2.13/30] gives up on a device that does not listen, and says so', () => {
    const { map, unmap, pin, emulated, root, ids } = setUp();
    map(16, 4);
    pin([17]);
    emulated.obeys = false;
    expect(unmap(16, 4)).toBe(4n * 4096n);
    expect([emulated.log.filter((line) => line.startsWith('unmap')).length, ids(), root.mm.lockedPages]).toEqual([11, [UNMAP_IGNORED.id], 0]);
  });
});

describe('a vaddr given up', () => {
  it('[vfio D61-20] 5.13: pin_pages and dma_rw wait for the new one, or for the container’s end', () => {
    const { host, map, unmap, emulated, container, root, memory, ids } = setUp('linux-5.13');
    map(16, 1);
    unmap(16, 1, VFIO_DMA_UNMAP_FLAG_VADDR);
    const waiting = host.scheduler.spawn('pin', pinPages(emulated, [16], IOMMU_READ));
    expect(waiting.outcome).toMatchObject({ state: 'asleep', what: 'the vaddr of a DMA mapping' });
    mapDma(root, container, { iova: 16 * PAGE, size: PAGE, vaddr: memory.address + PAGE, flags: VFIO_DMA_MAP_FLAG_VADDR });
    expect(waiting.result()).toHaveLength(1);
    unmap(16, 1, VFIO_DMA_UNMAP_FLAG_VADDR);
    const rw = host.scheduler.spawn('rw', dmaRw(emulated, undefined, 16 * PAGE, new Uint8Array(1), false));
    expect(rw.outcome.state).toBe('asleep');
    root.close(container);
    expect(rw.result()).toBe(-EFAULT);
    expect(ids()).toEqual([]);
  });

  it('[vfio D61-20] 6.1: a device that pins meanwhile is told off', () => {
    const sample = setUp();
    const { root, container, host, emulated } = sample;
    root.ioctl(sample.fd, 0x3b6b, new Uint8Array([16, ...new Array<number>(15).fill(0)]));
    // The vaddr is given up while only the physical group is there, and the emulated one joins: -EBUSY at once.
    const other = root.open('/dev/vfio/vfio');
    const physical = root.open('/dev/vfio/0');
    setContainer(root, physical, other);
    root.ioctl(other, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    mapDma(root, other, { iova: 0, size: PAGE, vaddr: sample.memory.address, flags: RW });
    unmapDma(root, other, 0, PAGE, VFIO_DMA_UNMAP_FLAG_VADDR);
    root.close(sample.fd);
    root.ioctl(sample.group, VFIO_GROUP_UNSET_CONTAINER);
    expect(outcomeOf(() => { setContainer(root, sample.group, other); })).toBe('EBUSY');
    expect(host.scheduler.call('pin', pinPages(emulated, [0], IOMMU_READ))).toBe(-EINVAL);
    const device = sample.device('a');
    const fd = getDeviceFd(root, physical, 'a');
    expect(host.scheduler.call('pin', pinPages(device, [0], IOMMU_READ))).toBe(-EBUSY);
    expect(host.scheduler.call('rw', dmaRw(device, undefined, 0, new Uint8Array(1), false))).toBe(-EBUSY);
    expect(sample.ids()).toEqual([PIN_WHILE_INVALID.id, PIN_WHILE_INVALID.id]);
    root.close(fd);
    root.close(container);
  });

  it('[vfio D61-20] 5.13: a group that joins waits for it', () => {
    const { root, container, map, unmap, memory } = setUp('linux-5.13');
    map(16, 1);
    unmap(16, 1, VFIO_DMA_UNMAP_FLAG_VADDR);
    const physical = root.open('/dev/vfio/0');
    const fd = new Uint8Array(new Int32Array([container]).buffer);
    const join = root.start('join', root.sys.ioctl(physical, 0x3b68, fd));
    expect(join.outcome.state).toBe('asleep');
    mapDma(root, container, { iova: 16 * PAGE, size: PAGE, vaddr: memory.address, flags: VFIO_DMA_MAP_FLAG_VADDR });
    expect([join.result(), getGroupStatus(root, physical)]).toEqual([0, 3]);
  });
});

describe('users inside the kernel, 5.13', () => {
  it('[vfio 2.12/1] [vfio 2.12/2] [vfio 2.12/3] [vfio 2.12/4] hold group and container', () => {
    const { root, vfio, group, container, fd, emulated, groupId, host } = setUp('linux-5.13');
    const file = root.file(group)!;
    expect(getExternalUser(root.file(container)!)).toBe(-EINVAL);
    const user = getExternalUser(file);
    if (typeof user === 'number') throw new Error(`external user: ${user}`);
    expect([externalGroupMatchFile(user, file), externalUserIommuId(user), externalCheckExtension(user, 3)]).toEqual([true, groupId, 1]);
    root.close(fd);
    root.close(group);
    expect(outcomeOf(() => root.open(`/dev/vfio/${groupId}`))).toBe('EBUSY');
    expect(user.container).toBeDefined();
    putExternalUser(user);
    expect(user.container).toBeUndefined();
    const again = root.open(`/dev/vfio/${groupId}`);
    expect(getExternalUser(root.file(again)!)).toBe(-EINVAL);
    expect(getExternalUserFromDevice(vfio, emulated.device)).toBe(-EINVAL);
    const lone = sampleHost(['x'], { profile: 'linux-5.13' });
    expect(getExternalUserFromDevice(lone.vfio, lone.bus.device('x')!)).toBe(-ENODEV);
    expect(host.scheduler.threads).toEqual([]);
  });

  it('[vfio 2.12/9] [vfio 2.12/10] notifiers: events, group, and the VM told at once', () => {
    const { vfio, emulated, host, group, root } = setUp('linux-5.13');
    const told: unknown[] = [];
    const listen = (kvm: object | undefined) => told.push(kvm);
    const { device } = emulated;
    expect(registerNotifier(vfio, device, 'group', 0, listen)).toBe(-EINVAL);
    expect(registerNotifier(vfio, device, 'group', 3, listen)).toBe(-EINVAL);
    expect(registerNotifier(vfio, device, 'iommu', 3, { dmaUnmap: () => undefined })).toBe(-EINVAL);
    const lone = sampleHost(['x'], { profile: 'linux-5.13' });
    expect(registerNotifier(lone.vfio, lone.bus.device('x')!, 'group', 1, listen)).toBe(-ENODEV);
    const vm = {};
    vfio.groups.find(({ iommuGroup }) => iommuGroup === device.iommuGroup)!.setKvm(vm);
    const end = registerNotifier(vfio, device, 'group', 1, listen);
    expect(told).toEqual([vm]);
    vfioFileSetKvm(root.file(group)!, undefined);
    expect(told).toEqual([vm, undefined]);
    if (typeof end === 'function') end();
    vfioFileSetKvm(root.file(group)!, vm);
    expect(told).toHaveLength(2);
    expect(host.scheduler.threads).toEqual([]);
  });

  it('[vfio 2.12/7] an external user pins without a device fd', () => {
    const { fd, root, emulated, map, pin, group } = setUp('linux-5.13');
    const user = getExternalUser(root.file(group)!);
    map(16, 1);
    root.close(fd);
    expect(pin([16])).toHaveLength(1);
    unpinPages(emulated, [16]);
    if (typeof user !== 'number') putExternalUser(user);
  });
});

describe('vfio_file_*, 6.1', () => {
  it('[vfio D61-18] knows a group’s file, its devices, its coherency and its VM', () => {
    const { root, group, container, fd, emulated, device, groupId } = setUp();
    const file = root.file(group)!;
    expect([vfioFileIsGroup(file), vfioFileIsGroup(root.file(container)!)]).toEqual([true, false]);
    expect([vfioFileHasDevice(file, emulated), vfioFileHasDevice(file, device('a'))]).toEqual([true, false]);
    expect([vfioFileEnforcedCoherent(file), vfioFileEnforcedCoherent(root.file(container)!)]).toEqual([true, true]);
    const vm = {};
    vfioFileSetKvm(file, vm);
    expect(emulated.kvm).toBeUndefined();
    root.close(fd);
    const again = getDeviceFd(root, group, 'm');
    expect(emulated.kvm).toBe(vm);
    root.close(again);
    expect([emulated.kvm, groupId]).toEqual([undefined, 1]);
  });
});
