/** A process that exits while its other threads are inside of calls. Row R3 of docs/robustness.md. */
import { describe, expect, it } from 'vitest';
import {
  DEVICE_FOUND,
  EINTR,
  ESRCH,
  getDeviceFd,
  mapDma,
  Process,
  setContainer,
  unmapDma,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  type Point,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { openGroup, sampleHost } from './sample-device.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const OPENING: Point = { point: 'test/opening' };
const NAME = new TextEncoder().encode('a\0');

describe.each(PROFILES)('[R3] files go with the last thread, on %s', (profile) => {
  function dying() {
    const sample = sampleHost(['a', 'b'], { profile });
    sample.bind('a');
    sample.bind('b');
    const user = new Process(sample.host, { name: 'dies' });
    const fds = openGroup({ ...sample, root: user }, 0);
    return { ...sample, user, ...fds };
  }

  it('a device that GET_DEVICE_FD opens after exit() is closed, and the group is free', () => {
    const { host, user, group, root, vfio } = dying();
    host.scheduler.stopAt(DEVICE_FOUND);
    const opening = user.start('get device', user.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, NAME));
    const exit = user.start('exit', user.sys.exit());
    expect([exit.outcome.state, opening.outcome.state, outcomeOf(() => root.open('/dev/vfio/0'))]).toEqual(['done', 'held', 'EBUSY']);
    host.scheduler.release(DEVICE_FOUND);
    expect([opening.outcome.state, user.fds, vfio.containers.size, host.scheduler.threads, host.pages.used]).toEqual(['done', [], 0, [], 0]);
    const again = root.open('/dev/vfio/0');
    setContainer(root, again, root.open('/dev/vfio/vfio'));
    expect(outcomeOf(() => getDeviceFd(root, again, 'a'))).toBe('EINVAL'); // no IOMMU yet: nothing of the dead one is left
  });

  it('memory stays until then, for the call that uses it', () => {
    const { host, user, group } = dying();
    const memory = user.mmap(-1, 4096);
    memory.writeBytes(0, NAME);
    host.scheduler.stopAt(DEVICE_FOUND);
    user.start('get device', user.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, memory.address));
    user.exit();
    expect(user.mm.accessible(memory.address, 4096)).toBe(true);
    host.scheduler.release(DEVICE_FOUND);
    expect([user.mm.accessible(memory.address, 1), host.pages.used]).toEqual([false, 0]);
  });

  it('an open() that sleeps in a driver is closed, too', () => {
    const { host, user, root } = dying();
    const node = host.files.lookup('/dev/vfio/1');
    if (node?.kind !== 'device') throw new Error('no node of the group');
    host.files.add('/dev/slow', {
      kind: 'device',
      mode: 0o666,
      *open(process, flags) {
        yield OPENING;
        return yield* node.open(process, flags);
      },
    });
    host.scheduler.stopAt(OPENING);
    const thread = user.start('open', user.sys.open('/dev/slow', 2));
    user.exit();
    host.scheduler.release(OPENING);
    expect([thread.outcome.state, user.fds]).toEqual(['done', []]);
    expect(outcomeOf(() => root.open('/dev/vfio/1'))).toBe('success');
  });

  it('two threads inside: the second to leave closes', () => {
    const { host, user, group } = dying();
    host.scheduler.stopAt(DEVICE_FOUND);
    const threads = [1, 2].map(() => user.start('get device', user.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, NAME)));
    const sleeper = user.start('read', user.sys.read(user.eventfd(0, { nonblocking: false }), new Uint8Array(8)));
    user.exit();
    expect(sleeper.result()).toBe(-EINTR);
    expect(user.fds.length).toBeGreaterThan(0);
    host.scheduler.release(DEVICE_FOUND);
    expect([threads.map(({ outcome }) => outcome.state), user.fds, host.scheduler.threads]).toEqual([['done', 'done'], [], []]);
  });

  it('a call that begins after exit() does not begin', () => {
    const { host, user, group } = dying();
    host.scheduler.stopAt(DEVICE_FOUND);
    user.start('get device', user.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, NAME));
    user.exit();
    expect(user.start('late', user.sys.open('/dev/vfio/1', 2)).result()).toBe(-ESRCH);
    host.scheduler.release(DEVICE_FOUND);
    expect(user.fds).toEqual([]);
  });
});

it('[R3] a thread that waits for a vaddr (5.13) is killed', () => {
  const sample = sampleHost(['a', 'b'], { profile: 'linux-5.13' });
  sample.bind('a');
  sample.bind('b');
  const { host } = sample;
  const user = new Process(host, { name: 'dies' });
  const { container } = openGroup({ ...sample, root: user }, 0);
  const memory = user.mmap(-1, 4096);
  mapDma(user, container, { iova: 0, vaddr: memory.address, size: 4096, flags: 3 });
  unmapDma(user, container, 0, 4096, VFIO_DMA_UNMAP_FLAG_VADDR);
  const other = user.open('/dev/vfio/1');
  const argument = new Uint8Array(4);
  new DataView(argument.buffer).setInt32(0, container, true);
  const thread = user.start('join', user.sys.ioctl(other, VFIO_GROUP_SET_CONTAINER, argument));
  expect(thread.outcome.state).toBe('asleep');
  user.exit();
  expect([thread.outcome, user.fds, host.scheduler.threads, host.pages.used]).toEqual([{ state: 'done', value: -14 }, [], [], 0]);
});

it('a signal ends a read that waits, and the next reader has what it did not take', () => {
  const { host, root } = sampleHost(['a']);
  const fd = root.eventfd(0, { nonblocking: false, semaphore: true });
  const [first, second] = ['first', 'second'].map((name) => root.start(name, root.sys.read(fd, new Uint8Array(8))));
  first!.signal();
  expect(first!.result()).toBe(-EINTR);
  root.writeEventfd(fd, 1n);
  expect([second!.result(), host.scheduler.threads]).toEqual([8, []]);
});
