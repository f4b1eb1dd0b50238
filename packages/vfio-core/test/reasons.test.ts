/** Refusals of the core that other tests know by their errno alone: each says which rule it was [M14]. */
import type {
  Host} from '@vsim/vfio-core';
import {
  Bus,
  DEVICE_FOUND,
  DRIVER_GOING,
  GROUP_ALLOCATION,
  INJECTED_FAULT,
  IommuDomain,
  MAP_PRIVATE,
  MIG_STATE,
  POLLIN,
  POLLNVAL,
  Process,
  SyscallError,
  VFIO_DEVICE_FEATURE,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_MIG_GET_PRECOPY_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  getDeviceFd,
  mapDma,
  pinPages,
  setContainer,
  setMigrationState,
  unmapDma,
  DmaLog,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { MigratingDevice } from './migrating-device.ts';
import { addEmulated, openGroup, sampleHost, SampleDevice } from './sample-device.ts';

function refusedIn(host: Host) {
  const events = host.trace.record();
  /** Ids of the reasons that calls were refused for. */
  return (...calls: readonly (() => unknown)[]): readonly string[] => {
    const seen = events.length;
    for (const call of calls) {
      try {
        call();
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
      }
    }
    return events.slice(seen).filter(({ severity }) => severity === 'info').map(({ id }) => id);
  };
}

describe('a process', () => {
  it('is told of paths, offsets, memory and eventfds', () => {
    const { host, root, bind } = sampleHost(['a']);
    bind('a');
    const refused = refusedIn(host);
    expect(refused(() => root.open('/dev/vfio'))).toEqual(['process/is-folder']);
    expect(refused(() => root.open('/sys/bus/sample/drivers_probe'), () => root.readFile('/dev/vfio/vfio'))).toEqual(['process/not-attribute', 'process/not-attribute']);
    const container = root.open('/dev/vfio/vfio');
    expect(refused(() => root.pread(container, new Uint8Array(1), -2))).toEqual(['process/bad-offset']);
    expect(refused(() => root.mmap(-1, 2 ** 40))).toEqual(['process/no-memory']);
    const eventfd = root.eventfd();
    expect(refused(() => root.read(eventfd, new Uint8Array(4)), () => root.writeEventfd(eventfd, 2n ** 64n - 1n))).toEqual(['eventfd/buffer', 'eventfd/buffer']);
  });
});

describe('a process that shares, forks and sizes', () => {
  const PAGE = 0x1000;

  it('is told how long a memfd is, and what files have no length', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    const fd = root.memfd('ram');
    root.ftruncate(fd, 2 * PAGE);
    expect(why(events, () => { root.ftruncate(fd, PAGE); })).toBe('EPERM process/memfd-size: /memfd:ram (deleted) has 8192 bytes, and 4096 are wanted, where 140737488355328 are the most');
    expect(why(events, () => { root.ftruncate(fd, -1); })).toBe('EINVAL process/memfd-size: /memfd:ram (deleted) has 8192 bytes, and -1 are wanted, where 140737488355328 are the most');
    expect(why(events, () => root.pwrite(fd, new Uint8Array(1), 2 ** 48))).toBe('EFBIG process/memfd-size: /memfd:ram (deleted) has 8192 bytes, and 281474976710657 are wanted, where 140737488355328 are the most');
    expect(why(events, () => { root.ftruncate(fd, 2 ** 40); })).toBe('ENOMEM process/no-memory: no room for 0xffffffe000 bytes');
    expect(why(events, () => { root.ftruncate(root.eventfd(), 0); })).toBe('EINVAL process/no-operation: anon_inode:[eventfd] has no ftruncate');
    expect(why(events, () => root.read(fd, new Uint8Array(1)))).toBe('EINVAL process/no-operation: /memfd:ram (deleted) has no read');
    expect(why(events, () => { root.ftruncate(99, 0); })).toBe('EBADF process/bad-fd: fd 99 is not open in root');
  });

  it('is told for which mapping a child has no memory', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    root.mmap(-1, 0x300_0000, 0, 3, MAP_PRIVATE);
    expect(why(events, () => root.fork())).toBe('ENOMEM process/no-memory: no room for 0x3000000 bytes');
    expect(why(events, () => root.mm.protect(0x5000, PAGE, true, false))).toBe('ENOMEM process/not-mapped: 0x1000 bytes at 0x5000 are not within one mapping');
  });

  it('is told whose fd is not open, and who has no room for one more', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    const full = new Process(host, { name: 'full', maxFiles: 3 });
    const fd = root.eventfd();
    expect(why(events, () => root.send(99, full))).toBe('EBADF process/bad-fd: fd 99 is not open in root');
    expect(why(events, () => root.send(fd, full))).toBe('EMFILE process/fd-limit: full has its 3 fds');
    expect(why(events, () => root.dup(98))).toBe('EBADF process/bad-fd: fd 98 is not open in root');
    expect(why(events, () => full.memfd())).toBe('EMFILE process/fd-limit: full has its 3 fds');
    expect(why(events, () => full.eventfd())).toBe('EMFILE process/fd-limit: full has its 3 fds');
  });

  it('finds with poll() that an fd is not open, and no call is refused', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    expect(root.poll([{ fd: 99, events: POLLIN }])).toEqual([POLLNVAL]);
    expect(events).toEqual([]);
  });

  it('is told what an eventfd counts, with fields that are made once for one that is empty', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    const fd = root.eventfd();
    const read = () => root.read(fd, new Uint8Array(8));
    expect(why(events, read)).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 0');
    expect(why(events, read)).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 0');
    expect(events[0]?.fields).toBe(events[1]?.fields);
    root.writeEventfd(fd, 2n ** 64n - 2n);
    expect(why(events, () => { root.writeEventfd(fd, 1n); })).toBe('EAGAIN eventfd/not-ready: root eventfd 3 counts 18446744073709551614, and has no room for 1');
  });

  it('is told which paths and fds are of another kind', () => {
    const { host, root } = sampleHost(['a']);
    const events = host.trace.record();
    const container = root.open('/dev/vfio/vfio');
    expect(why(events, () => root.readdir('/dev/vfio/vfio'))).toBe('ENOTDIR process/wrong-kind: /dev/vfio/vfio is no folder');
    expect(why(events, () => root.readlink('/dev/vfio'))).toBe('EINVAL process/wrong-kind: /dev/vfio is no link');
    expect(why(events, () => root.readlink('/nowhere'))).toBe('ENOENT process/no-entry: /nowhere does not exist');
    expect(why(events, () => root.fdinfo(99))).toBe('ENOENT process/no-entry: /proc/self/fdinfo/99 does not exist');
    expect(why(events, () => root.readEventfd(container))).toBe(`EINVAL process/not-eventfd: fd ${container} is /dev/vfio/vfio, not an eventfd`);
    expect(why(events, () => root.readEventfd(99))).toBe('EBADF process/bad-fd: fd 99 is not open in root');
  });

  it('that exits while a call is under way makes no new one', () => {
    const sample = sampleHost(['a']);
    const { host, bind } = sample;
    bind('a');
    const user = new Process(host, { name: 'leaves' });
    const { group } = openGroup({ ...sample, root: user }, 0);
    const events = host.trace.record();
    host.scheduler.stopAt(DEVICE_FOUND);
    user.start('get device', user.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('a\0')));
    user.exit();
    expect(why(events, () => user.open('/dev/vfio/vfio'))).toBe('ESRCH process/exits: leaves is about to exit');
    host.scheduler.release(DEVICE_FOUND);
  });
});

describe('a container whose vaddr is invalid (5.13)', () => {
  it('keeps a group waiting, and whoever is killed meanwhile is told so', () => {
    const sample = sampleHost(['a', 'b'], { profile: 'linux-5.13' });
    const { host, root, bind } = sample;
    bind('a');
    bind('b');
    const { container } = openGroup(sample, 0);
    const memory = root.mmap(-1, 0x1000);
    mapDma(root, container, { iova: 0, vaddr: memory.address, size: 0x1000, flags: 3 });
    unmapDma(root, container, 0, 0x1000, VFIO_DMA_UNMAP_FLAG_VADDR);
    const group = root.open('/dev/vfio/1');
    const thread = root.start('join', root.sys.ioctl(group, VFIO_GROUP_SET_CONTAINER, new Uint8Array(Int32Array.of(container).buffer)));
    const events = host.trace.record();
    expect(why(events, () => {
      root.exit();
      return thread.result();
    })).toBe('EFAULT type1/vaddr-wait: the vaddr of 1 mappings of the container stayed invalid');
  });
});

describe('a device', () => {
  it('whose driver is about to go, or is used, says so', () => {
    const sample = sampleHost(['a']);
    const { host, bus, driver, root } = sample;
    sample.bind('a');
    const { group } = openGroup(sample, 0);
    const refused = refusedIn(host);
    driver.going = true;
    expect(refused(() => getDeviceFd(root, group, 'a'))).toEqual([DRIVER_GOING.id]);
    driver.going = false;
    getDeviceFd(root, group, 'a');
    expect(refused(() => host.scheduler.call('rmmod', bus.unloadDriver(driver)))).toEqual(['sysfs/module-used']);
  });

  it('whose registration a test makes fail says so', () => {
    const { host, bind } = sampleHost(['a']);
    const refused = refusedIn(host);
    host.faults.failNext(GROUP_ALLOCATION);
    expect(refused(() => { bind('a'); })).toEqual([INJECTED_FAULT.id]);
  });
});

describe('a group', () => {
  it('without isolated interrupts, or with a domain of somebody else, does not join', () => {
    class Unsafe extends VtdIommu {
      override readonly isolatesMsi: boolean = false;
    }
    const { host, vfio, root, bind, bus, iommu } = sampleHost(['a', 'b']);
    bind('a');
    bind('b');
    const refused = refusedIn(host);
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, root.open('/dev/vfio/0'), container);
    vfio.groups[0]!.iommuGroup.attachDomain(new IommuDomain(iommu));
    expect(refused(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toEqual(['type1/attach-domain']);
    const unsafe = new SampleDevice(host, 'u');
    bus.announce(unsafe);
    new Unsafe(host).addGroup([unsafe]);
    bind('u');
    const second = root.open('/dev/vfio/vfio');
    setContainer(root, root.open(`/dev/vfio/${unsafe.iommuGroup!.id}`), second);
    expect(refused(() => root.ioctl(second, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toEqual(['type1/unsafe-interrupts']);
  });
});

describe('a group that cannot join what is mapped', () => {
  it('is told which mapping lies where its IOMMU does not reach', () => {
    const sample = sampleHost(['a']);
    const { host, root, bus, bind } = sample;
    const narrow = new SampleDevice(host, 'n');
    bus.announce(narrow);
    const { id } = new VtdIommu(host, { addressBits: 39 }).addGroup([narrow]);
    bind('a');
    bind('n');
    const { container } = openGroup(sample, 0);
    mapDma(root, container, { iova: 2 ** 40, vaddr: root.mmap(-1, 0x1000).address, size: 0x1000, flags: 3 });
    const group = root.open(`/dev/vfio/${id}`);
    const events = host.trace.record();
    expect(why(events, () => { setContainer(root, group, container); })).toBe(`EINVAL type1/attach-windows: the mapping 0x10000000000 to 0x10000000fff is where group ${id} cannot map`);
  });

  it('is told that it has devices of two buses', () => {
    const { host, root, bus, bind, driver } = sampleHost(['a'], { profile: 'linux-5.13' });
    const other = new Bus<SampleDevice>(host, 'other');
    host.scheduler.call('modprobe', other.addDriver(driver));
    const guest = new SampleDevice(host, 'guest');
    bus.device('a')?.iommuGroup?.addDevice(guest);
    other.announce(guest);
    bind('a');
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, root.open('/dev/vfio/0'), container);
    const events = host.trace.record();
    expect(why(events, () => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))).toBe('EINVAL type1/attach-buses: group 0 has devices of sample, other');
  });
});

describe('dirty tracking', () => {
  it('is told how long the bitmap of a mapping may be', () => {
    const sample = sampleHost(['a']);
    const { host, root } = sample;
    const { container } = openGroup(sample, addEmulated(sample, 'm').group);
    mapDma(root, container, { iova: 0, vaddr: 0x10_0000, size: 2 ** 44, flags: 3 });
    const events = host.trace.record();
    const start = () => root.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, new Uint8Array(Int32Array.of(8, VFIO_IOMMU_DIRTY_PAGES_FLAG_START).buffer));
    expect(why(events, start)).toBe('EINVAL type1/dirty-limit: bitmaps of 536870912 bytes, and 268435456 is the most');
  });

  it('is told that it is off, that a range is not of whole pages, and that a container of version 1 has none', () => {
    const sample = sampleHost(['a', 'b']);
    const { host, root, bind } = sample;
    bind('a');
    bind('b');
    const { container } = openGroup(sample, 0);
    const old = openGroup(sample, 1, undefined, VFIO_TYPE1_IOMMU).container;
    const events = host.trace.record();
    const request = new Uint8Array(48);
    const view = new DataView(request.buffer);
    view.setUint32(0, 48, true);
    view.setUint32(4, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, true);
    for (const [at, value] of [[8, 0x1000n], [16, 0x2000n], [24, 4096n], [32, 8n]] as const) view.setBigUint64(at, value, true);
    expect(why(events, () => root.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, request))).toBe('EINVAL type1/dirty-off: VFIO_IOMMU_DIRTY_PAGES asks for a bitmap of 0x2000 bytes at 0x1000, and dirty tracking is off');
    view.setBigUint64(8, 0x1800n, true);
    expect(why(events, () => root.ioctl(container, VFIO_IOMMU_DIRTY_PAGES, request))).toBe('EINVAL type1/dirty-range: iova 0x1800 and size 0x2000, where the page size is 0x1000');
    expect(why(events, () => root.ioctl(old, VFIO_IOMMU_DIRTY_PAGES, request))).toBe('EACCES type1/v1: VFIO_IOMMU_DIRTY_PAGES is not for a container of type 1 v1');
  });
});

describe('a group without IOMMU', () => {
  it('is for those who may do anything, and for itself', () => {
    const sample = sampleHost(['a']);
    const { host, vfio, bus, root, bind } = sample;
    bus.announce(new SampleDevice(host, 'n'));
    vfio.noiommu = true;
    bind('n');
    bind('a');
    const refused = refusedIn(host);
    const weak = new Process(host, { capabilities: [] });
    expect(refused(() => weak.open('/dev/vfio/noiommu-1'))).toEqual(['vfio/noiommu-rights']);
    const { container } = openGroup(sample, 0);
    const group = root.open('/dev/vfio/noiommu-1');
    expect(refused(() => { setContainer(root, group, container); })).toEqual(['vfio/noiommu-alone']);
  });
});

describe('an emulated device', () => {
  it('keeps a container from giving up a vaddr, and is told what it cannot pin', () => {
    const sample = sampleHost(['a']);
    const { host, root } = sample;
    const { group, device } = addEmulated(sample, 'm');
    const { container, group: groupFd } = openGroup(sample, group);
    getDeviceFd(root, groupFd, 'm');
    const memory = root.mmap(-1, 0x1000);
    mapDma(root, container, { iova: 0, vaddr: memory.address, size: 0x1000, flags: 3 });
    const refused = refusedIn(host);
    expect(refused(() => unmapDma(root, container, 0, 0x1000, 4))).toEqual(['type1/vaddr-emulated']);
    expect(refused(() => host.scheduler.call('pin', pinPages(device, [5], 1)))).toEqual(['type1/pin']);
  });
});

describe('a device that migrates', () => {
  it('says which way there is not, and what becomes of its streams', () => {
    const sample = sampleHost(['a'], { profile: 'linux-6.12' });
    const { host, root, bus, vfio } = sample;
    const device = new MigratingDevice(vfio, bus.device('a')!);
    device.logger = new DmaLog();
    host.scheduler.call('register', device.register());
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    const refused = refusedIn(host);
    const to = (state: number) => () => setMigrationState(root, fd, state);
    expect(refused(to(MIG_STATE.ERROR))).toEqual(['migration/state']);
    expect(to(MIG_STATE.ERROR)).toThrow('a does not get from RUNNING to ERROR');
    const pre = to(MIG_STATE.PRE_COPY)();
    root.read(pre, new Uint8Array(8));
    expect(refused(() => root.read(pre, new Uint8Array(8)), () => root.pread(pre, new Uint8Array(8), 0))).toEqual(['migration/stream-empty', 'migration/stream-offset']);
    to(MIG_STATE.STOP_COPY)();
    const info = new Uint8Array([32, ...new Array<number>(31).fill(0)]);
    expect(refused(() => root.ioctl(pre, VFIO_MIG_GET_PRECOPY_INFO, info))).toEqual(['migration/precopy-state']);
    to(MIG_STATE.STOP)();
    expect(refused(() => root.read(pre, new Uint8Array(8)))).toEqual(['migration/stream-over']);
    const resume = to(MIG_STATE.RESUMING)();
    expect(refused(() => root.write(resume, new Uint8Array(9)))).toEqual(['migration/stream-full']);
  });

  it('says what is wrong with a log', () => {
    const sample = sampleHost(['a']);
    const { host, root, bus, vfio } = sample;
    const device = new MigratingDevice(vfio, bus.device('a')!);
    device.logger = new DmaLog();
    host.scheduler.call('register', device.register());
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    const refused = refusedIn(host);
    const memory = root.mmap(-1, 0x1000);
    const request = (feature: number, ...words: readonly (readonly [at: number, value: bigint])[]) => () => {
      const bytes = new Uint8Array(8 + 40);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, bytes.length, true);
      view.setUint32(4, feature, true);
      for (const [at, value] of words) view.setBigUint64(8 + at, value, true);
      return root.ioctl(fd, VFIO_DEVICE_FEATURE, bytes);
    };
    const START = 0x2_0006;
    const REPORT = 0x1_0008;
    memory.write(0, 4, 0x800); // a range whose iova is not aligned
    expect(refused(request(START, [0, 4096n]))).toEqual(['dma-logging/ranges']);
    expect(refused(request(START, [0, 4096n], [8, 1n], [16, BigInt(memory.address)]))).toEqual(['dma-logging/range']);
    expect(refused(request(REPORT, [0, 0n], [8, 4096n], [16, 4096n]))).toEqual(['dma-logging/state']);
  });
});
