/** What else the core refuses, files and memory of processes among it: each says which rule it was, and what decided [M14]. */
import {
  Bus,
  DEVICE_FOUND,
  MAP_PRIVATE,
  POLLIN,
  POLLNVAL,
  Process,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP,
  VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VtdIommu,
  mapDma,
  setContainer,
  unmapDma,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { addEmulated, openGroup, sampleHost, SampleDevice } from './sample-device.ts';

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
