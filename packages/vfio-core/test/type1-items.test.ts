/** Each line of the catalogue's tables of MAP_DMA and UNMAP_DMA (vfio 2.13), of what a group does when it joins (2.14), and D61-19 on. */
import { describe, expect, it } from 'vitest';
import {
  EIO,
  getDeviceFd,
  getIommuInfo,
  IommuDomain,
  mapDma,
  MAP_SHARED,
  Process,
  PROT_READ,
  setContainer,
  SmmuV3Iommu,
  Type1Instance,
  unmapDma,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { addEmulated, openGroup, SampleDevice, sampleHost } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];
const PAGE = 4096;
const M = 0x10_0000;
const RW = 3;
const TOP = 1n << 64n;

function setUp(profile: ProfileName = 'linux-6.1', type: number = VFIO_TYPE1v2_IOMMU) {
  const sample = sampleHost(['a', 'b'], { profile });
  sample.bind('a');
  const { root } = sample;
  const fds = openGroup(sample, 0, undefined, type);
  const memory = root.mmap(-1, 2 * M);
  const map = (iova: number | bigint, size: number | bigint, flags = RW, vaddr: number | bigint = memory.address, who: Process = root) =>
    outcomeOf(() => mapDma(who, fds.container, { iova, size, vaddr, flags }));
  const unmap = (iova: number | bigint, size: number | bigint, flags = 0, who: Process = root) => {
    let told = 0n;
    const outcome = outcomeOf(() => (told = unmapDma(who, fds.container, iova, size, flags)));
    return outcome === 'success' ? Number(told) : outcome;
  };
  /** A request whose 32-bit words, then 64-bit words, are given as they are. */
  const raw = (request: number, words: readonly number[], longs: readonly (number | bigint)[]) => {
    const bytes = new Uint8Array(8 + longs.length * 8);
    const view = new DataView(bytes.buffer);
    words.forEach((word, i) => view.setUint32(4 * i, word, true));
    longs.forEach((long, i) => view.setBigUint64(8 + 8 * i, BigInt(long), true));
    return outcomeOf(() => root.ioctl(fds.container, request, bytes));
  };
  return { ...sample, ...fds, memory, map, unmap, raw };
}

describe('MAP_DMA', () => {
  it('[vfio 2.13/1] argsz below 32, a flag that is unknown', () => {
    const { raw, memory, root, container } = setUp();
    const longs = [memory.address, 0, PAGE];
    expect([raw(VFIO_IOMMU_MAP_DMA, [31, RW], longs), raw(VFIO_IOMMU_MAP_DMA, [32, 8], longs), raw(VFIO_IOMMU_MAP_DMA, [99, RW], longs)]).toEqual(['EINVAL', 'EINVAL', 'success']);
    expect(outcomeOf(() => root.ioctl(container, VFIO_IOMMU_MAP_DMA, 0))).toBe('EFAULT');
  });

  it('[vfio 2.13/3] VADDR with READ or WRITE, or no flag at all', () => {
    const { map } = setUp();
    expect([0, 5, 6, 7].map((flags) => map(0, PAGE, flags))).toEqual(Array(4).fill('EINVAL'));
  });

  it('[vfio 2.13/2] [vfio 2.13/4] [vfio 2.13/5] nothing, part of a page, past the end', () => {
    const { map, memory } = setUp();
    expect([map(0, 0), map(1, PAGE), map(0, PAGE + 1), map(0, PAGE, RW, memory.address + 8)]).toEqual(Array(4).fill('EINVAL'));
    expect([map(TOP - 4096n, 2 * PAGE), map(0, TOP - 4096n, RW, 2 * PAGE)]).toEqual(['EINVAL', 'EINVAL']);
  });

  it('[vfio 2.13/6] [vfio 2.13/7] VADDR where nothing is, or what is there is valid or another', () => {
    const { map, unmap } = setUp();
    expect(map(0, PAGE, VFIO_DMA_MAP_FLAG_VADDR)).toBe('ENOENT');
    map(0, 2 * PAGE);
    expect(map(0, 2 * PAGE, VFIO_DMA_MAP_FLAG_VADDR)).toBe('EINVAL');
    unmap(0, 2 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR);
    expect([map(0, PAGE, 4), map(PAGE, PAGE, 4), map(0, 3 * PAGE, 4), map(0, 2 * PAGE)]).toEqual(['EINVAL', 'EINVAL', 'EINVAL', 'EEXIST']);
    expect(map(0, 2 * PAGE, VFIO_DMA_MAP_FLAG_VADDR, 0)).toBe('success');
  });

  it('[vfio 2.13/8] [vfio 2.13/9] [vfio 2.13/10] overlap before the limit, the limit before the reserved range', () => {
    const sample = setUp();
    sample.vfio.type1.dmaEntryLimit = 1;
    const { root } = sample;
    root.ioctl(sample.group, VFIO_GROUP_UNSET_CONTAINER);
    setContainer(root, sample.group, sample.container);
    root.ioctl(sample.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    sample.map(0xfedf_f000, PAGE);
    expect(sample.map(0xfedf_f000, 2 * PAGE)).toBe('EEXIST');
    expect([sample.map(0xfee0_0000, PAGE), sample.map(0, PAGE)]).toEqual(['ENOSPC', 'ENOSPC']);
    sample.unmap(0xfedf_f000, PAGE);
    expect([sample.map(0xfee0_0000, PAGE), sample.map(1n << 48n, PAGE), sample.map(0xfedf_f000, 2 * PAGE)]).toEqual(Array(3).fill('EINVAL'));
  });

  it('[vfio 2.13/11] [vfio 2.13/12] memory that is missing, or read-only for a mapping that writes', () => {
    const { map, root, memory, host } = setUp();
    const readonly = root.mmap(-1, PAGE, 0, PROT_READ, MAP_SHARED);
    expect([map(0, PAGE, RW, 0), map(0, 4 * M), map(0, PAGE, RW, readonly.address), map(0, PAGE, 2, readonly.address)]).toEqual(Array(4).fill('EFAULT'));
    // What was pinned before the fault is free again.
    const part = root.mmap(-1, PAGE);
    expect(map(0, 2 * PAGE, RW, part.address)).toBe('EFAULT');
    const used = host.pages.used;
    part.unmap();
    expect(host.pages.used).toBe(used - 1);
    expect([map(0, PAGE, 1, readonly.address), map(PAGE, PAGE, 2, memory.address), root.mm.lockedPages]).toEqual(['success', 'success', 2]);
  });

  it('[vfio 2.13/13] RLIMIT_MEMLOCK, for a process without CAP_IPC_LOCK when it maps', () => {
    const { map, unmap, root } = setUp();
    map(0, 4 * PAGE);
    root.uid = 1000;
    root.memlock = 6 * PAGE;
    expect([map(M, 3 * PAGE), root.mm.lockedPages, map(M, 2 * PAGE), root.mm.lockedPages]).toEqual(['ENOMEM', 4, 'success', 6]);
    expect([unmap(0, 4 * PAGE), root.mm.lockedPages]).toEqual([4 * PAGE, 2]);
  });

  it('[vfio 2.13/14] an error of the IOMMU passes through, with everything undone', () => {
    let room = 2;
    class SmallDomain extends IommuDomain {
      override map(first: number, count: number, frame: number, protection: number): number {
        room -= 1;
        return room < 0 ? -EIO : super.map(first, count, frame, protection);
      }
    }
    const sample = sampleHost([]);
    const unit = new VtdIommu(sample.host, { name: 'small' });
    unit.createDomain = () => new SmallDomain(unit);
    const device = new SampleDevice(sample.host, 'x');
    sample.bus.announce(device);
    const { id } = unit.addGroup([device]);
    sample.bind('x');
    const { root } = sample;
    const { container } = openGroup(sample, id);
    sample.vfio.type1.disableHugepages = true;
    const memory = root.mmap(-1, 4 * PAGE);
    const used = sample.host.pages.used;
    expect(outcomeOf(() => mapDma(root, container, { iova: 0, size: 4 * PAGE, vaddr: memory.address, flags: RW }))).toBe('EIO');
    expect([root.mm.lockedPages, device.iommuGroup!.domain!.size]).toEqual([0, 0]);
    room = 9;
    expect(outcomeOf(() => mapDma(root, container, { iova: 0, size: 4 * PAGE, vaddr: memory.address, flags: RW }))).toBe('success');
    // Page by page, as disable_hugepages has it.
    expect([root.mm.lockedPages, device.iommuGroup!.domain!.size, sample.host.pages.used]).toEqual([4, 4, used]);
  });
});

describe('UNMAP_DMA', () => {
  it('[vfio 2.13/15] argsz below 24, a flag that is unknown, GET_DIRTY with ALL or VADDR', () => {
    const { raw } = setUp();
    const ask = (argsz: number, flags: number) => raw(VFIO_IOMMU_UNMAP_DMA, [argsz, flags], [0, PAGE, PAGE, 8, 0]);
    expect([ask(23, 0), ask(24, 8), ask(48, 3), ask(48, 5)]).toEqual(Array(4).fill('EINVAL'));
    expect(ask(24, 0)).toBe('success');
  });

  it('[vfio 2.13/16] [vfio 2.13/20] GET_DIRTY: argsz 48, a bitmap in user memory and of the right size, tracking on', () => {
    const { raw, memory } = setUp();
    const ask = (argsz: number, bitmap: readonly (number | bigint)[]) => raw(VFIO_IOMMU_UNMAP_DMA, [argsz, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP], [0, PAGE, ...bitmap]);
    const good = [PAGE, 8, memory.address] as const;
    expect([ask(47, good), ask(48, [PAGE, 0, memory.address]), ask(48, [PAGE, 7, memory.address]), ask(48, [PAGE, 0x1000_0008, memory.address])]).toEqual(Array(4).fill('EINVAL'));
    expect(ask(48, [PAGE, 8, 1n << 63n])).toBe('EINVAL');
    expect(ask(48, good)).toBe('EINVAL');
    raw(VFIO_IOMMU_DIRTY_PAGES, [8, 1], []);
    expect([ask(48, [2 * PAGE, 8, memory.address]), ask(48, good)]).toEqual(['EINVAL', 'success']);
  });

  it('[vfio 2.13/17] [vfio 2.13/18] [vfio 2.13/19] part of a page, ALL with a range, nothing, past the end', () => {
    const { unmap } = setUp();
    expect([unmap(1, PAGE), unmap(0, PAGE, VFIO_DMA_UNMAP_FLAG_ALL), unmap(PAGE, 0, VFIO_DMA_UNMAP_FLAG_ALL)]).toEqual(Array(3).fill('EINVAL'));
    expect([unmap(0, 0), unmap(0, 1), unmap(TOP - 4096n, 2 * PAGE)]).toEqual(Array(3).fill('EINVAL'));
  });

  it('[vfio 2.13/21] [vfio 2.13/22] [vfio 2.13/23] v2: whole mappings or none', () => {
    const { map, unmap } = setUp();
    map(4 * PAGE, 4 * PAGE);
    map(10 * PAGE, 2 * PAGE);
    expect([unmap(0, 5 * PAGE), unmap(5 * PAGE, 20 * PAGE), unmap(5 * PAGE, PAGE), unmap(4 * PAGE, 7 * PAGE)]).toEqual(Array(4).fill('EINVAL'));
    expect([unmap(8 * PAGE, 2 * PAGE), unmap(0, 20 * PAGE), unmap(0, 20 * PAGE)]).toEqual([0, 6 * PAGE, 0]);
  });

  it('[vfio 2.13/24] [vfio 2.13/25] v1: from its first page on a mapping goes whole, from its middle on not, and the call ends', () => {
    const { map, unmap } = setUp('linux-6.1', VFIO_TYPE1_IOMMU);
    map(4 * PAGE, 4 * PAGE);
    map(10 * PAGE, 2 * PAGE);
    expect([unmap(5 * PAGE, PAGE), unmap(5 * PAGE, 20 * PAGE)]).toEqual([0, 0]);
    expect([unmap(4 * PAGE, PAGE), unmap(0, 11 * PAGE), unmap(0, 20 * PAGE)]).toEqual([4 * PAGE, 2 * PAGE, 0]);
  });

  it.each(PROFILES)('[vfio 2.13/26] [vfio D61-22] what another process has mapped, on %s', (profile) => {
    const sample = setUp(profile);
    const { host, map, container, root } = sample;
    map(0, PAGE);
    const other = new Process(host, { name: 'other' });
    const fd = other.install(root.file(container)!, 2);
    root.file(container)!.get();
    expect(Number(unmapDma(other, fd, 0, PAGE))).toBe(OLD.includes(profile) ? 0 : PAGE);
    expect(root.mm.lockedPages).toBe(OLD.includes(profile) ? 1 : 0);
    other.exit();
  });

  it('[vfio 2.13/28] [vfio 2.13/29] VADDR: one that is invalid already makes the call undo itself', () => {
    const { map, unmap } = setUp();
    map(0, PAGE);
    map(PAGE, PAGE);
    map(2 * PAGE, PAGE);
    expect(unmap(PAGE, PAGE, VFIO_DMA_UNMAP_FLAG_VADDR)).toBe(PAGE);
    expect(unmap(0, 3 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR)).toBe('EINVAL');
    // The first is valid again, and the second still is not.
    expect([map(0, PAGE, VFIO_DMA_MAP_FLAG_VADDR), map(PAGE, PAGE, VFIO_DMA_MAP_FLAG_VADDR)]).toEqual(['EINVAL', 'success']);
    expect(unmap(0, 0, VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL)).toBe(3 * PAGE);
    expect(unmap(0, 3 * PAGE)).toBe(3 * PAGE);
  });

  it('what ends at 2^64 is not found by anything until its container goes (V51), and UNMAP_ALL stops at it [mdev 40]', () => {
    const sample = sampleHost([]);
    const { group } = addEmulated(sample, 'm');
    const { root } = sample;
    const fds = openGroup(sample, group);
    const map = (iova: bigint, size: bigint) => outcomeOf(() => mapDma(root, fds.container, { iova, size, vaddr: 0, flags: RW }));
    const unmap = (iova: bigint, size: bigint, flags = 0) => unmapDma(root, fds.container, iova, size, flags);
    expect([map(TOP - 4096n, 4096n), map(TOP - 4096n, 4096n), map(TOP - 8192n, 4096n)]).toEqual(['success', 'success', 'success']);
    expect([unmap(TOP - 4096n, 4096n), unmap(TOP - 8192n, 8192n), unmap(0n, 0n, VFIO_DMA_UNMAP_FLAG_ALL)]).toEqual([0n, 0n, 0n]);
    const { backend } = [...sample.vfio.containers][0]!;
    root.ioctl(fds.group, VFIO_GROUP_UNSET_CONTAINER);
    expect(backend instanceof Type1Instance && backend.mappings).toBe(0);
    expect(sample.vfio.containers.size).toBe(1);
    root.close(fds.container);
    expect(sample.vfio.containers.size).toBe(0);
  });
});

describe('a range that ends at 2^64', () => {
  it.each([...PROFILES, 'linux-7.3'] as const)('is empty where ends are sums of 64 bits, and finds the mappings in it on 7.3 (V51): %s', (profile) => {
    const { map, unmap } = setUp(profile);
    expect([map(2 * M, PAGE), unmap(M, TOP - BigInt(M)), unmap(M, 2 * M)]).toEqual(['success', ...(profile === 'linux-7.3' ? [PAGE, 0] : [0, PAGE])]);
  });

  it.each([...PROFILES, 'linux-7.3'] as const)('overlaps nothing where ends are sums of 64 bits (V51): %s', (profile) => {
    const sample = sampleHost([], { profile });
    const { group } = addEmulated(sample, 'm');
    const { container } = openGroup(sample, group);
    const map = (iova: number, size: number | bigint) => outcomeOf(() => mapDma(sample.root, container, { iova, size, vaddr: 0, flags: RW }));
    expect([map(2 * M, PAGE), map(M, TOP - BigInt(M))]).toEqual(['success', profile === 'linux-7.3' ? 'EEXIST' : 'success']);
  });
});

it('what an IOMMU kept from the end of the space is found beside what ends there once the IOMMU has gone (V51)', () => {
  const sample = sampleHost(['a']);
  sample.bind('a');
  const { root } = sample;
  const { container } = openGroup(sample, addEmulated(sample, 'm').group);
  const physical = openGroup(sample, 0, container);
  const memory = root.mmap(-1, 2 * PAGE);
  mapDma(root, container, { iova: 2 * M, size: PAGE, vaddr: memory.address, flags: RW });
  root.ioctl(physical.group, VFIO_GROUP_UNSET_CONTAINER);
  mapDma(root, container, { iova: TOP - 4096n, size: PAGE, vaddr: memory.address, flags: RW });
  expect([unmapDma(root, container, 2 * M, PAGE), unmapDma(root, container, 2 * M, PAGE)]).toEqual([4096n, 0n]);
});

describe('a vaddr given by another process', () => {
  it.each(['linux-5.13', 'linux-6.1'] as const)('[vfio D61-21] takes the locked pages along on 6.1, and not on 5.13: %s', (profile) => {
    const sample = setUp(profile);
    const { host, root, container, map, unmap } = sample;
    map(0, 2 * PAGE);
    unmap(0, 2 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR);
    const heir = new Process(host, { name: 'heir', uid: 1, memlock: PAGE });
    root.file(container)!.get();
    const fd = heir.install(root.file(container)!, 2);
    const memory = heir.mmap(-1, 2 * PAGE);
    const give = () => outcomeOf(() => mapDma(heir, fd, { iova: 0, size: 2 * PAGE, vaddr: memory.address, flags: VFIO_DMA_MAP_FLAG_VADDR }));
    if (profile === 'linux-5.13') {
      expect([give(), root.mm.lockedPages, heir.mm.lockedPages]).toEqual(['success', 2, 0]);
    } else {
      expect([give(), root.mm.lockedPages, heir.mm.lockedPages]).toEqual(['ENOMEM', 2, 0]);
      heir.memlock = 2 * PAGE;
      expect([give(), root.mm.lockedPages, heir.mm.lockedPages]).toEqual(['success', 0, 2]);
    }
    unmapDma(heir, fd, 0, 2 * PAGE);
    root.ioctl(sample.group, VFIO_GROUP_UNSET_CONTAINER);
    expect([root.mm.lockedPages, heir.mm.lockedPages]).toEqual([0, 0]);
    heir.exit();
  });
});

describe('a group that joins', () => {
  it.each(PROFILES)('[vfio D61-24] whose devices sit on two buses is refused on 5.13 alone: %s', (profile) => {
    const sample = setUp(profile);
    const other = new SampleDevice(sample.host, 'z');
    other.busName = 'elsewhere';
    sample.bus.device('b')!.iommuGroup!.addDevice(other);
    sample.bind('b');
    const fd = sample.root.open('/dev/vfio/1');
    expect(outcomeOf(() => { setContainer(sample.root, fd, sample.container); })).toBe(OLD.includes(profile) ? 'EINVAL' : 'success');
  });

  it('needs interrupts that are kept apart, or somebody who does not care', () => {
    const sample = sampleHost([]);
    const unit = new VtdIommu(sample.host, { interruptRemapping: false });
    const device = new SampleDevice(sample.host, 'x');
    sample.bus.announce(device);
    const { id } = unit.addGroup([device]);
    sample.bind('x');
    expect(outcomeOf(() => openGroup(sample, id))).toBe('EPERM');
    sample.root.exit();
    sample.root.writeFile('/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts', '1');
    expect(outcomeOf(() => openGroup(sample, id))).toBe('success');
  });

  it('must suit what is mapped: aperture and reserved regions; relaxable ones do not count', () => {
    const sample = setUp();
    const { host, root, bus, map, container } = sample;
    const add = (name: string, unit: VtdIommu | SmmuV3Iommu) => {
      const device = new SampleDevice(host, name);
      bus.announce(device);
      const { id } = unit.addGroup([device]);
      sample.bind(name);
      const fd = root.open(`/dev/vfio/${id}`);
      const outcome = outcomeOf(() => { setContainer(root, fd, container); });
      root.close(fd);
      return outcome;
    };
    map(1n << 40n, PAGE);
    expect(add('narrow', new VtdIommu(host, { name: 'narrow', addressBits: 39 }))).toBe('EINVAL');
    map(0x800_0000, PAGE);
    expect(add('smmu', new SmmuV3Iommu(host))).toBe('EINVAL');
    const relaxed = new VtdIommu(host, { name: 'relaxed' });
    Object.defineProperty(relaxed, 'reservedRegions', { value: [{ first: 0x800_0000, last: 0x8ff_ffff, type: 'direct-relaxable' }] });
    expect(add('relaxed', relaxed)).toBe('success');
    expect(getIommuInfo(root, container).iovaRanges).toHaveLength(2);
  });

  it('is given all that is mapped already, and another unit’s domain its own', () => {
    const sample = setUp();
    const { host, root, bus, map, unmap } = sample;
    map(0, 4 * PAGE);
    const unit = new VtdIommu(host, { name: 'second' });
    const device = new SampleDevice(host, 'x');
    bus.announce(device);
    const { id } = unit.addGroup([device]);
    sample.bind('x');
    const fd = root.open(`/dev/vfio/${id}`);
    setContainer(root, fd, sample.container);
    const mine = device.iommuGroup!.domain!;
    expect([mine.size, mine === bus.device('a')!.iommuGroup!.domain, root.mm.lockedPages]).toEqual([1, false, 4]);
    unmap(0, 4 * PAGE);
    expect(mine.size).toBe(0);
    root.close(getDeviceFd(root, fd, 'x'));
  });
});

it('reserved regions are told in sysfs, a software MSI window as any MSI window', () => {
  const sample = sampleHost([]);
  const device = new SampleDevice(sample.host, 'x');
  sample.bus.announce(device);
  const { id } = new SmmuV3Iommu(sample.host).addGroup([device]);
  expect(sample.root.readFile(`/sys/kernel/iommu_groups/${id}/reserved_regions`)).toBe('0x0000000008000000 0x00000000080fffff msi\n');
});

it('group numbers are the host’s, not a unit’s', () => {
  const sample = sampleHost(['a']);
  const device = new SampleDevice(sample.host, 'x');
  sample.bus.announce(device);
  const second = new VtdIommu(sample.host, { name: 'dmar1' });
  expect(() => second.addGroup([], 0)).toThrow(RangeError);
  expect(second.addGroup([device]).id).toBe(1);
});
