/** What the fd of a device does on every bus: mappings that hold it, its position, poll, and the lock of its group. */
import {
  EINVAL,
  ESPIPE,
  getDeviceFd,
  MAP_PRIVATE,
  NO_EXEC,
  POLLIN,
  POLLOUT,
  PROT_EXEC,
  PROT_READ,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_UNSET_CONTAINER,
  type Mapping,
  type MmapRequest,
  type Process,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { why } from '../../../testing/why.ts';
import { openGroup, sampleHost, SampleVfioDevice } from './sample-device.ts';

const RAM = 0x1_0000_0000;
const SLOW = 1000;

/** A device with a page that can be mapped, and an open and a close that take their time. */
class MappedDevice extends SampleVfioDevice {
  slow = false;

  override mmap(process: Process, { length, read, write }: MmapRequest): Mapping | number {
    return length === 4096 ? process.mm.mapDevice(length, { physical: RAM, live: () => true }, read, write) : -EINVAL;
  }

  protected override *openDevice(): Sleeps<number> {
    if (this.slow) yield* this.device.host.scheduler.sleep(SLOW);
    return yield* super.openDevice();
  }

  protected override *closeDevice(): Sleeps<void> {
    if (this.slow) yield* this.device.host.scheduler.sleep(SLOW);
    yield* super.closeDevice();
  }
}

function setUp(profile: ProfileName = 'linux-6.1') {
  const sample = sampleHost(['a'], { profile }, false, (vfio, device) => new MappedDevice(vfio, device));
  sample.bind('a');
  const opened = openGroup(sample, 0);
  const device = sample.device('a');
  if (!(device instanceof MappedDevice)) throw new Error('no MappedDevice');
  return { ...sample, ...opened, device, name: new TextEncoder().encode('a\0') };
}

describe('a mapping [platform 28]', () => {
  it('keeps device, group and container when their fds are closed, and an unbind waiting: munmap is the last close', () => {
    const { root, group, container, device, unbind } = setUp();
    const fd = getDeviceFd(root, group, 'a');
    const mapping = root.mmap(fd, 4096);
    root.close(fd);
    expect(outcomeOf(() => root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER))).toBe('EBUSY');
    root.close(group);
    root.close(container);
    expect([device.openCount, outcomeOf(() => root.open('/dev/vfio/0'))]).toEqual([1, 'EBUSY']);
    const unbinding = unbind('a');
    expect(unbinding.finished).toBe(false);
    mapping.write(0, 4, 7);
    expect(mapping.read(0, 4)).toBe(7);
    mapping.unmap();
    expect([unbinding.finished, device.openCount, device.log.at(-1)]).toEqual([true, 0, 'close']);
  });

  it('of which a part goes, and that of a child, hold it as well; whoever exits lets go', () => {
    const { root, group, device } = setUp();
    const fd = getDeviceFd(root, group, 'a');
    root.mmap(fd, 100);
    const child = root.fork();
    for (const each of root.fds) if (each !== 0) root.close(each);
    child.exit();
    expect(device.openCount).toBe(1);
    root.exit();
    expect(device.openCount).toBe(0);
  });

  it('is as long as whole pages [platform 27]', () => {
    const { root, group } = setUp();
    const fd = getDeviceFd(root, group, 'a');
    expect([root.mmap(fd, 100).length, outcomeOf(() => root.mmap(fd, 4097)), outcomeOf(() => root.mmap(fd, 0))]).toEqual([4096, 'EINVAL', 'EINVAL']);
  });

  it('whose munmap takes its time is unmapped by a thread', () => {
    const { root, host, group, device } = setUp();
    const fd = getDeviceFd(root, group, 'a');
    const mapping = root.mmap(fd, 4096);
    root.close(fd);
    device.slow = true;
    const unmapping = root.start('munmap', root.mm.unmapSleeps(mapping.address, mapping.length));
    expect(unmapping.finished).toBe(false);
    host.scheduler.advance(SLOW);
    expect([unmapping.finished, device.openCount]).toEqual([true, 0]);
  });

  it.each([['linux-6.12', 'success', 'success'], ['linux-7.3', 'EPERM', 'EPERM']] as const)('with PROT_EXEC on %s: %s, whatever the driver would have said [platform 72]', (profile, exec, priv) => {
    const { root, group } = setUp(profile);
    const fd = getDeviceFd(root, group, 'a');
    expect(outcomeOf(() => root.mmap(fd, 4096, 0, PROT_READ | PROT_EXEC))).toBe(exec);
    expect(outcomeOf(() => root.mmap(fd, 4096, 0, PROT_EXEC, MAP_PRIVATE))).toBe(priv);
    expect([outcomeOf(() => root.mmap(fd, 8192, 0, PROT_EXEC)), outcomeOf(() => root.mmap(fd, 0, 0, PROT_EXEC))]).toEqual([profile === 'linux-7.3' ? 'EPERM' : 'EINVAL', 'EINVAL']);
  });
});

it('the position of a device fd goes on by what its driver moves, and nobody sets it; poll finds it ready [platform 25] [platform 26]', () => {
  const { root, group } = setUp();
  const fd = getDeviceFd(root, group, 'a');
  expect([root.write(fd, Uint8Array.of(1, 2)), root.write(fd, Uint8Array.of(3, 4))]).toEqual([2, 2]);
  const into = new Uint8Array(4);
  root.pread(fd, into, 0);
  expect([...into]).toEqual([1, 2, 3, 4]);
  expect([root.tryRead(fd, into), root.tryPread(fd, into, -1), root.tryLseek(fd, 0, 0)]).toEqual([-EINVAL, -EINVAL, -ESPIPE]);
  expect(root.poll([{ fd, events: POLLIN | POLLOUT }])).toEqual([POLLIN | POLLOUT]);
});

it('PROT_EXEC of a device fd is refused for a reason', () => {
  const { root, host, group } = setUp('linux-7.3');
  const reasons = host.trace.record();
  const fd = getDeviceFd(root, group, 'a');
  expect(why(reasons, () => root.mmap(fd, 4096, 0, PROT_EXEC))).toBe(`EPERM ${NO_EXEC.id}: a has no path`);
});

describe('while a driver opens or closes a device', () => {
  const status = (): Uint8Array => Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0);

  it.each([['linux-5.13', true], ['linux-6.1', false], ['linux-6.12', false]] as const)('status and UNSET_CONTAINER of its group wait, from 6.1 on: %s [platform 59]', (profile, atOnce) => {
    const { root, host, group, device, name } = setUp(profile);
    device.slow = true;
    const opening = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
    const asking = root.start('status', root.sys.ioctl(group, VFIO_GROUP_GET_STATUS, status()));
    const nonsense = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('b\0')));
    expect([asking.finished, nonsense.finished, opening.finished]).toEqual([atOnce, true, false]);
    host.scheduler.advance(SLOW);
    expect([asking.result(), opening.result() > 0]).toEqual([0, true]);
  });

  it.each([['linux-6.1', 'EBUSY', true], ['linux-6.12', 'success', false]] as const)('whoever waits behind a close: on %s an UNSET_CONTAINER is %s, and a new open comes too late or not [platform 69]', (profile, unset, opens) => {
    const { root, host, group, device, name } = setUp(profile);
    const fd = getDeviceFd(root, group, 'a');
    device.slow = true;
    const closing = root.start('close', root.sys.close(fd));
    const unsetting = root.start('unset', root.sys.ioctl(group, VFIO_GROUP_UNSET_CONTAINER, 0));
    const opening = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name));
    expect([closing.finished, unsetting.finished, opening.finished]).toEqual([false, false, false]);
    host.scheduler.advance(2 * SLOW);
    expect([closing.result(), unsetting.result() === 0 ? 'success' : 'EBUSY', opening.result() > 0]).toEqual([0, unset, opens]);
  });
});
