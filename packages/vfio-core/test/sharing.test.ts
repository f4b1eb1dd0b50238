/** What processes share: open files that are passed or inherited, the pages of a memfd, a DMA mapping that goes from one mm to the next. */
import {
  EventFdContext,
  EventFdFile,
  getDeviceFd,
  getDeviceInfo,
  mapDma,
  EINTR,
  MAP_PRIVATE,
  MAP_SHARED,
  POLLERR,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  Process,
  PROT_READ,
  PROT_WRITE,
  unmapDma,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { openGroup, sampleHost } from './sample-device.ts';

const PAGE = 4096;
const RW = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
const PROT = PROT_READ | PROT_WRITE;
const ALL: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-7.3'];

/** A device that is open, four pages of a memfd in its process, and the DMA of the device's own domain. */
function machine(profile: ProfileName = 'linux-6.1') {
  const sample = sampleHost(['a'], { profile });
  const { root, iommu, bus, host } = sample;
  sample.bind('a');
  const fds = openGroup(sample, 0);
  const device = getDeviceFd(root, fds.group, 'a');
  const memfd = root.memfd('ram');
  root.ftruncate(memfd, 4 * PAGE);
  const memory = root.mmap(memfd, 4 * PAGE);
  const map = (process: Process, flags: number, vaddr: number) => outcomeOf(() => mapDma(process, fds.container, { iova: 0x10_0000, size: 4 * PAGE, vaddr, flags }));
  const dmaFrame = () => bus.device('a')!.iommuGroup?.domain?.translate(0x100, 1);
  return { ...sample, ...fds, device, memfd, memory, map, dmaFrame, iommu, host };
}

describe('a passed fd', () => {
  it('outlives its sender: the device is open until the receiver closes it', () => {
    const { host, root, device, bus, driver } = machine();
    const other = new Process(host, { name: 'other' });
    const fd = root.send(device, other);
    root.exit();
    const vfioDevice = driver.data.get(bus.device('a')!)!;
    expect([vfioDevice.openCount, getDeviceInfo(other, fd).numRegions]).toEqual([1, 1]);
    other.close(fd);
    expect([vfioDevice.openCount, vfioDevice.log]).toEqual([0, ['open', 'close']]);
  });

  it('keeps container and DMA mapping of a sender that has gone, and the pages that were its own', () => {
    const { host, root, container, device, map, memory, vfio } = machine();
    expect(map(root, RW, memory.address)).toBe('success');
    const other = new Process(host, { name: 'other' });
    const passed = [root.send(container, other), root.send(device, other)];
    root.exit();
    expect([vfio.groups[0]!.container !== undefined, host.pages.used]).toEqual([true, 4]);
    expect(unmapDma(other, passed[0]!, 0x10_0000, 4 * PAGE)).toBe(BigInt(4 * PAGE));
    expect(host.pages.used).toBe(0);
  });

  it('is the same open file, with a number of the receiver\'s own', () => {
    const { host, root } = machine();
    const other = new Process(host, { name: 'other' });
    const eventfd = root.eventfd();
    const fd = root.send(eventfd, other);
    other.writeEventfd(fd, 3n);
    expect([fd, root.readEventfd(eventfd), root.file(eventfd) === other.file(fd)]).toEqual([3, 3n, true]);
  });

  it('has to be open, and the receiver to have room', () => {
    const { host, root, device } = machine();
    const full = new Process(host, { maxFiles: 3 });
    expect([outcomeOf(() => root.send(99, full)), outcomeOf(() => root.send(device, full)), root.file(device)?.references]).toEqual(['EBADF', 'EMFILE', 1]);
  });
});

describe('fork', () => {
  it('copies fds by reference: the device is closed with the last of them', () => {
    const { root, device, bus, driver } = machine();
    const child = root.fork();
    expect([child.fds, child.file(device) === root.file(device)]).toEqual([root.fds, true]);
    const vfioDevice = driver.data.get(bus.device('a')!)!;
    root.exit();
    expect(vfioDevice.openCount).toBe(1);
    child.exit();
    expect(vfioDevice.openCount).toBe(0);
  });

  it('copies private memory, shares shared memory, and locks nothing of the child', () => {
    const { root, map, memory } = machine();
    const own = root.mmap(-1, PAGE, 0, PROT, MAP_PRIVATE);
    const shared = root.mmap(-1, PAGE, 0, PROT, MAP_SHARED);
    own.write(0, 4, 1);
    shared.write(0, 4, 2);
    map(root, RW, memory.address);
    const child = root.fork();
    expect([child.mm.read32(own.address), child.mm.read32(shared.address)]).toEqual([1, 2]);
    child.mm.write32(own.address, 11);
    child.mm.write32(shared.address, 12);
    expect([own.read(0, 4), shared.read(0, 4), root.mm.lockedPages, child.mm.lockedPages]).toEqual([1, 12, 4, 0]);
  });

  it('leaves pages that are pinned with the parent: the device sees what the parent writes', () => {
    const { root, container, host, dmaFrame } = machine();
    const own = root.mmap(-1, PAGE, 0, PROT, MAP_PRIVATE);
    mapDma(root, container, { iova: 0x10_0000, size: PAGE, vaddr: own.address, flags: RW });
    const child = root.fork();
    own.write(0, 4, 7);
    child.mm.write32(own.address, 8);
    const frame = dmaFrame();
    expect(frame === undefined ? frame : host.memory.read32(frame * PAGE)).toBe(7);
  });

  it('gives everything back: the copies with the child, shared pages with the last', () => {
    const { root, host } = machine();
    root.exit();
    const before = host.pages.used;
    const process = new Process(host);
    process.mmap(-1, 3 * PAGE, 0, PROT, MAP_PRIVATE);
    process.mmap(-1, 5 * PAGE, 0, PROT, MAP_SHARED);
    const child = process.fork();
    expect(host.pages.used).toBe(before + 11);
    process.exit();
    expect(host.pages.used).toBe(before + 8);
    child.exit();
    expect(host.pages.used).toBe(before);
  });

  it('is ENOMEM where the copy has no room, and takes nothing', () => {
    const { root, host } = machine();
    // The copy of the first has room.
    root.mmap(-1, PAGE, 0, PROT, MAP_PRIVATE);
    root.mmap(-1, 0x300_0000, 0, PROT, MAP_PRIVATE);
    const before = host.pages.used;
    expect([outcomeOf(() => root.fork()), host.pages.used]).toEqual(['ENOMEM', before]);
  });

  it('keeps rights and limits', () => {
    const { host } = machine();
    const process = new Process(host, { uid: 7, memlock: 123, maxFiles: 4, capabilities: ['CAP_IPC_LOCK'] });
    const child = process.fork();
    child.eventfd();
    expect([child.uid, child.memlock, child.capable('CAP_IPC_LOCK'), child.capable('CAP_SYS_RAWIO'), outcomeOf(() => child.eventfd())]).toEqual([7, 123, true, false, 'EMFILE']);
  });
});

describe.each(ALL.slice(1))('UPDATE_VADDR from a second mm, as a live update does it, on %s', (profile) => {
  const moves = profile !== 'linux-5.13';

  /** The parent has mapped, given the address up, and forked. */
  function updating(memlock?: number) {
    const made = machine(profile);
    const { root, map, memory, memfd, container } = made;
    expect(map(root, RW, memory.address)).toBe('success');
    const frame = made.dmaFrame();
    expect(unmapDma(root, container, 0x10_0000, 4 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR)).toBe(BigInt(4 * PAGE));
    const child = root.fork('new VMM');
    if (memlock !== undefined) {
      child.uid = 1000;
      child.memlock = memlock;
    }
    const again = child.mmap(memfd, 4 * PAGE);
    return { ...made, child, again, frame };
  }

  it('the child makes the address valid with memory of its own; the pages stay, and are accounted by the kernel\'s rule', () => {
    const { root, child, map, again, memory, frame, dmaFrame } = updating();
    expect(again.address).not.toBe(memory.address);
    expect(map(child, VFIO_DMA_MAP_FLAG_VADDR, again.address)).toBe('success');
    expect([dmaFrame(), root.mm.lockedPages, child.mm.lockedPages]).toEqual([frame, moves ? 0 : 4, moves ? 4 : 0]);
  });

  it('the parent may go: the mapping stays, and the child unmaps it where its kernel lets it', () => {
    const { root, child, container, map, again, frame, dmaFrame } = updating();
    map(child, VFIO_DMA_MAP_FLAG_VADDR, again.address);
    root.exit();
    expect(dmaFrame()).toBe(frame);
    // 5.13 unmaps only what a task of the same mm has mapped.
    expect(unmapDma(child, container, 0x10_0000, 4 * PAGE)).toBe(moves ? BigInt(4 * PAGE) : 0n);
    expect(child.mm.lockedPages).toBe(0);
  });

  it('a child whose limit is too small is refused, and the address stays invalid', () => {
    const { root, child, map, again } = updating(PAGE);
    expect(map(child, VFIO_DMA_MAP_FLAG_VADDR, again.address)).toBe(moves ? 'ENOMEM' : 'success');
    expect([root.mm.lockedPages, child.mm.lockedPages]).toEqual([4, 0]);
    child.memlock = 4 * PAGE;
    expect(map(child, VFIO_DMA_MAP_FLAG_VADDR, again.address)).toBe(moves ? 'success' : 'EINVAL');
  });
});

it('UPDATE_VADDR is not there on linux-5.10, for whatever process', () => {
  const { root, map, memory } = machine('linux-5.10');
  map(root, RW, memory.address);
  expect(map(root.fork(), VFIO_DMA_MAP_FLAG_VADDR, memory.address)).toBe('EINVAL');
});

describe('poll', () => {
  const IN_OUT = POLLIN | POLLOUT;

  it('of an eventfd: in while it counts, out while there is room, and an error once signals have overflown it', () => {
    const { root } = machine();
    const fd = root.eventfd();
    const look = () => root.poll([{ fd, events: IN_OUT }])[0];
    expect(look()).toBe(POLLOUT);
    root.writeEventfd(fd, 1n);
    expect(look()).toBe(IN_OUT);
    root.writeEventfd(fd, 0xffff_ffff_ffff_fffdn);
    expect(look()).toBe(POLLIN);
    const file = root.file(fd);
    if (file instanceof EventFdFile) file.context.signal();
    expect(look()).toBe(POLLIN | POLLERR);
    root.readEventfd(fd);
    expect(look()).toBe(POLLOUT);
  });

  it('gives what was asked, and errors in any case', () => {
    const { root } = machine();
    const fd = root.eventfd(1);
    expect(root.poll([{ fd, events: POLLIN }, { fd, events: POLLOUT }, { fd, events: 0 }])).toEqual([POLLIN, POLLOUT, 0]);
    const file = root.file(fd);
    root.writeEventfd(fd, 0xffff_ffff_ffff_fffdn);
    if (file instanceof EventFdFile) file.context.signal();
    expect(root.poll([{ fd, events: 0 }])).toEqual([POLLERR]);
  });

  it('finds files of VFIO always ready, as they have no poll; none behind a number that is not open; nothing at a negative one', () => {
    const { root, device, group, container, memfd } = machine();
    const events = IN_OUT;
    expect(root.poll([device, group, container, memfd, 99, -1].map((fd) => ({ fd, events })))).toEqual([IN_OUT, IN_OUT, IN_OUT, IN_OUT, POLLNVAL, 0]);
  });

  describe('that sleeps', () => {
    /** A poll of these eventfds in a thread. */
    function polling(count: number, timeout: number) {
      const { host, root } = machine();
      const fds = Array.from({ length: count }, () => root.eventfd());
      const poll = (events: number = POLLIN) => root.start('poll', root.sys.poll(fds.map((fd) => ({ fd, events })), timeout));
      return { host, root, fds, poll };
    }

    it('wakes for any of its fds, and tells which', () => {
      const { root, fds, poll } = polling(3, -1);
      const thread = poll();
      expect(thread.outcome).toMatchObject({ state: 'asleep', what: 'a polled fd' });
      root.writeEventfd(fds[1]!, 1n);
      expect(thread.result()).toEqual([0, POLLIN, 0]);
    });

    it('ends with nothing when its time is over, and not before', () => {
      const { host, poll } = polling(1, 5);
      const thread = poll();
      host.scheduler.advance(4_999_999);
      expect(thread.finished).toBe(false);
      host.scheduler.advance(1);
      expect(thread.result()).toEqual([0]);
    });

    it('wakes for room, which a read makes', () => {
      const { root, fds, poll } = polling(1, -1);
      root.writeEventfd(fds[0]!, 0xffff_ffff_ffff_fffen);
      const thread = poll(POLLOUT);
      expect(thread.finished).toBe(false);
      root.readEventfd(fds[0]!);
      expect(thread.result()).toEqual([POLLOUT]);
    });

    it('is ended by a signal: EINTR', () => {
      const { poll } = polling(1, -1);
      const thread = poll();
      thread.signal();
      expect(thread.result()).toBe(-EINTR);
    });

    it('takes nothing: each that polls wakes, and the count is there for a reader', () => {
      const { root, fds, poll } = polling(1, -1);
      const threads = [poll(), poll()];
      root.writeEventfd(fds[0]!, 3n);
      expect(threads.map((thread) => thread.result())).toEqual([[POLLIN], [POLLIN]]);
      expect(root.readEventfd(fds[0]!)).toBe(3n);
    });

    it('keeps the file of an fd that another thread closes, and leaves nothing behind', () => {
      const { host, root, fds, poll } = polling(2, -1);
      const thread = poll();
      root.close(fds[0]!);
      root.writeEventfd(fds[1]!, 1n);
      expect(thread.result()).toEqual([POLLNVAL, POLLIN]);
      expect(host.scheduler.threads).toEqual([]);
    });

    it('ends with its process', () => {
      const { host, root, poll } = polling(1, -1);
      poll();
      root.exit();
      expect(host.scheduler.threads).toEqual([]);
    });

    it('says in a program of one thread that nobody will wake it', () => {
      const { root, fds } = polling(1, -1);
      expect(() => root.poll([{ fd: fds[0]!, events: POLLIN }], -1)).toThrow('waits for a polled fd');
      root.writeEventfd(fds[0]!, 1n);
      expect(root.poll([{ fd: fds[0]!, events: POLLIN }], -1)).toEqual([POLLIN]);
    });
  });

  it('sees through a context that the kernel signals', () => {
    const context = new EventFdContext('kernel');
    const { host, root } = machine();
    const fd = root.install(new EventFdFile(host.scheduler, context, true), 2);
    context.signal();
    expect(root.poll([{ fd, events: POLLIN }])).toEqual([POLLIN]);
  });
});

describe('a memfd', () => {
  it('shows two processes the same pages', () => {
    const { host, root, memfd, memory } = machine();
    const other = new Process(host, { name: 'other' });
    const theirs = other.mmap(root.send(memfd, other), 2 * PAGE, PAGE);
    memory.write(PAGE + 4, 4, 0x1234);
    theirs.write(PAGE, 4, 0x5678);
    expect([theirs.read(4, 4), memory.read(2 * PAGE, 4)]).toEqual([0x1234, 0x5678]);
  });

  it('can be mapped for DMA, and its pages stay when it is unmapped and closed', () => {
    const { host, root, memfd, memory, map, container, dmaFrame } = machine();
    memory.write(0, 4, 0xabcd);
    expect(map(root, RW, memory.address)).toBe('success');
    memory.unmap();
    root.close(memfd);
    const frame = dmaFrame();
    expect([root.mm.lockedPages, frame === undefined ? frame : host.memory.read32(frame * PAGE), host.pages.used]).toEqual([4, 0xabcd, 4]);
    unmapDma(root, container, 0x10_0000, 4 * PAGE);
    expect([root.mm.lockedPages, host.pages.used]).toEqual([0, 0]);
  });

  it('is a file: read, written, grown by both, and not shrunk', () => {
    const { root } = machine();
    const fd = root.memfd();
    const bytes = new Uint8Array(4);
    expect(root.pread(fd, bytes, 0)).toBe(0);
    expect(root.pwrite(fd, Uint8Array.of(1, 2, 3), PAGE - 1)).toBe(3);
    root.ftruncate(fd, 3 * PAGE);
    expect([root.pread(fd, bytes, PAGE - 2), [...bytes], root.mmap(fd, 2 * PAGE).read(PAGE, 2)]).toEqual([4, [0, 1, 2, 3], 0x0302]);
    expect([root.pread(fd, bytes, 3 * PAGE - 1), root.pread(fd, bytes, 4 * PAGE)]).toEqual([1, 0]);
    expect([outcomeOf(() => root.ftruncate(fd, PAGE)), outcomeOf(() => root.ftruncate(fd, -1)), outcomeOf(() => root.ftruncate(fd, 2 ** 50)), outcomeOf(() => root.ftruncate(fd, 2 ** 40))]).toEqual(['EPERM', 'EINVAL', 'EFBIG', 'ENOMEM']);
    expect(outcomeOf(() => root.ftruncate(root.eventfd(), 0))).toBe('EINVAL');
  });

  it('has nothing behind its end: SIGBUS, EFAULT for DMA', () => {
    const { root, memfd, container } = machine();
    const long = root.mmap(memfd, 8 * PAGE);
    expect([long.read(3 * PAGE, 4), long.read(4 * PAGE, 4), root.mm.accessible(long.address, 5 * PAGE)]).toEqual([0, 0xffff_ffff, false]);
    expect(outcomeOf(() => mapDma(root, container, { iova: 0, size: 5 * PAGE, vaddr: long.address, flags: RW }))).toBe('EFAULT');
    expect(root.mm.lockedPages).toBe(0);
  });

  it('that is mapped privately where the copy has no room leaves nothing of the part that it had', () => {
    const { host, root } = machine();
    const fd = root.memfd();
    // Two runs of pages: the copy of the second has no room.
    root.ftruncate(fd, PAGE);
    root.ftruncate(fd, 0x180_0000);
    root.mmap(-1, 0x200_0000);
    const before = host.pages.used;
    expect([outcomeOf(() => root.mmap(fd, 0x180_0000, 0, PROT, MAP_PRIVATE)), host.pages.used]).toEqual(['ENOMEM', before]);
  });

  it('gives its pages back with its last mapping, whoever has that, and not before', () => {
    const { host, root } = machine();
    const before = host.pages.used;
    const fd = root.memfd();
    root.ftruncate(fd, 2 * PAGE);
    const other = new Process(host, { name: 'other' });
    const theirs = other.mmap(root.send(fd, other), 2 * PAGE);
    root.close(fd);
    for (const each of other.fds) other.close(each);
    expect([host.pages.used, theirs.read(0, 4)]).toEqual([before + 2, 0]);
    theirs.unmap();
    expect(host.pages.used).toBe(before);
  });

  it('that is mapped privately is a copy', () => {
    const { root, memfd, memory } = machine();
    memory.write(0, 4, 5);
    const own = root.mmap(memfd, PAGE, 0, PROT, MAP_PRIVATE);
    own.write(0, 4, 6);
    expect([own.read(0, 4), memory.read(0, 4)]).toEqual([6, 5]);
  });
});
