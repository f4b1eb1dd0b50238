import { describe, expect, it } from 'vitest';
import {
  DRIVER_UNBINDING,
  EAGAIN,
  EBUSY,
  EINVAL,
  ENOMEM,
  GROUP_ALLOCATION,
  getDeviceFd,
  LAST_PUT,
  LIFE_CYCLE_BROKEN,
  ALREADY_REGISTERED,
  RELEASE_BLOCKED,
  REGISTERED,
  REQUEST_INTERVAL,
  setContainer,
  VFIO_DEVICE_FEATURE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_UNSET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  Vfio,
  VfioDevice,
  VfioDeviceFile,
  type Host,
  type Sleeps,
  type TraceEvent,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { sampleHost, SampleDevice, SampleVfioDevice, type SampleHost } from './sample-device.ts';

const SECOND = 1_000_000_000;
const nameBytes = (name: string) => new TextEncoder().encode(`${name}\0`);

function attach({ root }: SampleHost, group: number) {
  const container = root.open('/dev/vfio/vfio');
  const fd = root.open(`/dev/vfio/${group}`);
  setContainer(root, fd, container);
  root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  return { container, group: fd };
}

function ids(events: readonly TraceEvent[]): string[] {
  return events.map(({ id }) => id);
}

function bound(names: readonly string[] = ['a']): SampleHost & { readonly events: readonly TraceEvent[] } {
  const sample = sampleHost(names);
  const events = sample.host.trace.record('fault');
  for (const name of names) sample.bind(name);
  return { ...sample, events };
}

const register = (host: Host, device: SampleVfioDevice) => host.scheduler.call('register', device.register());

describe('life cycle of a VfioDevice', () => {
  it('[vfio 1/1] [vfio 1/2] [vfio P3/1] [vfio P3/4] shows nothing to anybody after init alone', () => {
    const { host, vfio, bus } = sampleHost();
    const device = new SampleVfioDevice(vfio, bus.device('a')!);
    expect([device.state, device.references, vfio.groups.length]).toEqual(['init', 0, 0]);
    expect(host.files.lookup('/dev/vfio/0')).toBeUndefined();
    expect(device.tryGet()).toBe(false);
  });

  it('[vfio 1/3] [vfio P3/4] [vfio Cross-patch-acceptance-t/4] may be opened before register has returned', () => {
    const sample = sampleHost();
    const events = sample.host.trace.record('fault');
    sample.host.scheduler.stopAt(REGISTERED);
    sample.root.writeFile('/sys/bus/sample/devices/a/driver_override', 'vfio-sample');
    const probe = sample.root.start('probe', sample.root.sys.writeFile('/sys/bus/sample/drivers_probe', 'a'));
    expect(probe.outcome).toEqual({ state: 'held', at: 'vfio/registered' });
    const fds = attach(sample, 0);
    const fd = getDeviceFd(sample.root, fds.group, 'a');
    expect([...sample.driver.data.values()]).toEqual([]);
    sample.host.scheduler.release(REGISTERED);
    expect(probe.result()).toBe(1);
    expect(sample.device('a').log).toEqual(['open']);
    sample.root.close(fd);
    expect(ids(events)).not.toContain(LIFE_CYCLE_BROKEN.id);
  });

  it('[vfio P3/3] fails without an IOMMU group, and for a device that is registered, which stays as it was', () => {
    const { host, vfio, bus, bind, device, events } = bound();
    const lone = new SampleVfioDevice(vfio, new SampleDevice(host, 'lone'));
    expect([register(host, lone), lone.state]).toEqual([-EINVAL, 'init']);
    const twin = new SampleVfioDevice(vfio, bus.device('a')!);
    expect([register(host, twin), twin.state]).toEqual([-EBUSY, 'init']);
    expect(ids(events)).toEqual([ALREADY_REGISTERED.id]);
    expect([device('a').state, vfio.groups.length, vfio.groups[0]!.devices.length]).toEqual(['live', 1, 1]);
    expect(bind).toBeTypeOf('function');
  });

  it('[vfio P3/3] fails with the errno of its group, once, and leaves no trace of it, also without an IOMMU', () => {
    const { host, vfio, bus, root } = sampleHost();
    const device = new SampleVfioDevice(vfio, bus.device('a')!);
    host.faults.failNext(GROUP_ALLOCATION);
    expect([register(host, device), device.state, vfio.groups.length]).toEqual([-ENOMEM, 'init', 0]);
    expect([root.readdir('/dev/vfio'), bus.device('a')!.iommuGroup!.references]).toEqual([['vfio'], 0]);
    expect([host.faults.isArmed(GROUP_ALLOCATION), register(host, device)]).toEqual([false, 0]);
    vfio.noiommu = true;
    const lone = new SampleVfioDevice(vfio, new SampleDevice(host, 'lone'));
    host.faults.failNext(GROUP_ALLOCATION, EBUSY);
    expect([register(host, lone), lone.device.iommuGroup]).toEqual([-EBUSY, undefined]);
  });

  it('[vfio P3/4] can be registered again after unregister, and unregister waits again', () => {
    const sample = bound();
    const { host } = sample;
    const device = sample.device('a');
    for (let round = 0; round < 2; round += 1) {
      if (round > 0) expect(register(host, device)).toBe(0);
      const fds = attach(sample, 0);
      const fd = getDeviceFd(sample.root, fds.group, 'a');
      const unregister = host.scheduler.spawn('unregister', device.unregister());
      expect([device.state, unregister.outcome]).toEqual([
        'dying',
        { state: 'asleep', what: 'the last reference of vfio device a', heldBy: [`root fd ${fd}`] },
      ]);
      sample.root.close(fd);
      expect([device.state, unregister.outcome.state]).toEqual(['gone', 'done']);
      for (const each of [fds.group, fds.container]) sample.root.close(each);
    }
  });

  it('[vfio 1/4] [vfio P2/3] [vfio P2/7] [vfio Cross-patch-acceptance-t/2] is asked for at once and every 10 s, whatever other devices do', () => {
    const sample = bound(['a', 'b']);
    const { host, root } = sample;
    const a = sample.device('a');
    const fdsA = attach(sample, 0);
    const fdsB = attach(sample, 1);
    const fdA = getDeviceFd(root, fdsA.group, 'a');
    const fdB = getDeviceFd(root, fdsB.group, 'b');
    const unbindA = sample.unbind('a');
    expect(a.log).toEqual(['open', 'request 0']);
    host.scheduler.advance(3 * SECOND);
    root.close(fdB);
    expect(sample.unbind('b').outcome.state).toBe('done');
    host.scheduler.advance(7 * SECOND - 1);
    expect(a.log).toEqual(['open', 'request 0']);
    host.scheduler.advance(1);
    expect(a.log).toEqual(['open', 'request 0', 'request 1']);
    // A dying device can still be opened, and each new fd prolongs the wait.
    const again = getDeviceFd(root, fdsA.group, 'a');
    root.close(fdA);
    expect(unbindA.outcome.state).toBe('asleep');
    root.close(again);
    expect(unbindA.result()).toBe(1);
    expect(a.log.slice(3)).toEqual(['close']);
  });

  it('[vfio P2/8] answers the first signal with one more request, and no later one', () => {
    const sample = bound();
    const { host, root, events } = sample;
    const fds = attach(sample, 0);
    const fd = getDeviceFd(root, fds.group, 'a');
    const unbind = sample.unbind('a');
    host.scheduler.advance(REQUEST_INTERVAL);
    host.scheduler.advance(4 * SECOND);
    unbind.signal();
    expect(sample.device('a').log).toEqual(['open', 'request 0', 'request 1', 'request 2']);
    expect(events.filter(({ id }) => id === RELEASE_BLOCKED.id)).toHaveLength(1);
    host.scheduler.advance(REQUEST_INTERVAL);
    unbind.signal();
    expect(sample.device('a').log.slice(4)).toEqual(['request 3']);
    root.close(fd);
    expect(unbind.result()).toBe(1);
    expect(events.filter(({ id }) => id === RELEASE_BLOCKED.id)).toHaveLength(1);
  });

  it('[vfio 1/5] [vfio 1/6] [vfio P2/4] [vfio P2/5] [vfio Cross-patch-acceptance-t/3] cannot be had between its last put and the end of unregister', () => {
    const sample = bound(['a', 'b']);
    const { host, root } = sample;
    const fds = attach(sample, 0);
    const fd = getDeviceFd(root, fds.group, 'a');
    const device = sample.device('a');
    host.scheduler.stopAt(LAST_PUT);
    const unbind = sample.unbind('a');
    root.close(fd);
    expect([device.state, unbind.outcome.state, device.group!.devices.length]).toEqual(['zero', 'held', 1]);
    expect(device.tryGet()).toBe(false);
    expect(outcomeOf(() => root.ioctl(fds.group, VFIO_GROUP_GET_DEVICE_FD, nameBytes('a')))).toBe('ENODEV');
    host.scheduler.release(LAST_PUT);
    expect([device.state, unbind.result()]).toEqual(['gone', 1]);
  });

  it('[vfio P14/1] [vfio P14/3] [vfio Cross-patch-acceptance-t/15] leaves what the driver keeps for a device alone', () => {
    const sample = bound();
    const fds = attach(sample, 0);
    const kept = sample.device('a');
    const fd = getDeviceFd(sample.root, fds.group, 'a');
    sample.host.scheduler.stopAt(LAST_PUT);
    const unbind = sample.unbind('a');
    expect(sample.device('a')).toBe(kept);
    sample.root.close(fd);
    expect(sample.device('a')).toBe(kept);
    sample.host.scheduler.release(LAST_PUT);
    unbind.result();
    expect([...sample.driver.data.values()]).toEqual([]);
  });

  it('[vfio D61-14] enters the driver for the first open and the last close only, and not again after a failed open', () => {
    const sample = bound();
    const { root } = sample;
    const device = sample.device('a');
    const fds = attach(sample, 0);
    device.openResult = -EBUSY;
    expect(outcomeOf(() => getDeviceFd(root, fds.group, 'a'))).toBe('EBUSY');
    expect([device.openCount, device.references]).toEqual([0, 1]);
    device.openResult = 0;
    const first = getDeviceFd(root, fds.group, 'a');
    const second = getDeviceFd(root, fds.group, 'a');
    const copy = root.dup(second);
    expect(device.references).toBe(3);
    root.close(first);
    root.close(second);
    expect(device.log).toEqual(['open', 'open']);
    root.close(copy);
    expect(device.log).toEqual(['open', 'open', 'close']);
    expect(device.references).toBe(1);
  });
});

describe('a blocked unregister on the clock', () => {
  const rows = 'Step-and-unwind-matrices';
  it.each(['linux-5.13', 'linux-6.1'] as const)(
    `[vfio ${rows}/37] [vfio ${rows}/38] [vfio ${rows}/39] [vfio ${rows}/40] [vfio ${rows}/41] [vfio ${rows}/42] [vfio ${rows}/43] [vfio ${rows}/44] %s`,
    (profile) => {
      const sample = sampleHost(['a'], { profile });
      sample.bind('a');
      const events = sample.host.trace.record('fault');
      const { root, host } = sample;
      const device = sample.device('a');
      const fds = attach(sample, 0);
      const fd = getDeviceFd(root, fds.group, 'a');
      device.log.length = 0;
      const unbind = sample.unbind('a');
      const timeline: [number, string, string][] = [];
      const look = (seconds: number) => {
        host.scheduler.advance(seconds * SECOND - host.scheduler.now);
        timeline.push([seconds, device.log.at(-1) ?? 'none', device.state]);
      };
      look(0);
      look(10);
      look(14);
      unbind.signal();
      look(14);
      look(24);
      look(30);
      unbind.signal();
      look(30);
      look(31);
      root.close(fd);
      look(31);
      expect(timeline).toEqual([
        [0, 'request 0', 'dying'],
        [10, 'request 1', 'dying'],
        [14, 'request 1', 'dying'],
        [14, 'request 2', 'dying'],
        [24, 'request 3', 'dying'],
        [30, 'request 3', 'dying'],
        [30, 'request 3', 'dying'],
        [31, 'request 3', 'dying'],
        [31, 'close', profile === 'linux-6.1' ? 'gone' : 'zero'],
      ]);
      expect(ids(events)).toEqual([RELEASE_BLOCKED.id]);
      expect(unbind.outcome.state).toBe(profile === 'linux-6.1' ? 'done' : 'asleep');
      expect([...sample.driver.data.values()]).toHaveLength(profile === 'linux-6.1' ? 0 : 1);
      look(40);
      root.close(fds.group);
      expect([unbind.result(), device.state, sample.driver.data.size]).toEqual([1, 'gone', 0]);
    },
  );
});

describe('operations of a device', () => {
  it('[vfio P12/1] [vfio P12/2] [vfio Cross-patch-acceptance-t/13] are methods of the very object that was registered', () => {
    const sample = bound();
    const fds = attach(sample, 0);
    const fd = getDeviceFd(sample.root, fds.group, 'a');
    const file = sample.root.file(fd);
    expect(file instanceof VfioDeviceFile && file.device).toBe(sample.device('a'));
    sample.root.pwrite(fd, new Uint8Array([7]), 1);
    expect(sample.device('a').memory[1]).toBe(7);
    sample.root.close(fd);
  });

  it('[vfio 2.10/1] [vfio 2.1/4] are -EINVAL or -ENOTTY where the driver has none, and the fd has no position', () => {
    class Bare extends VfioDevice {
      protected override *openDevice(): Sleeps<number> {
        return 0;
      }
      protected override *closeDevice(): Sleeps<void> {
        // Nothing was opened.
      }
    }
    const sample = sampleHost(['a', 'b']);
    const bare = new Bare(sample.vfio, sample.bus.device('b')!);
    expect(sample.host.scheduler.call('register', bare.register())).toBe(0);
    const { root } = sample;
    const fds = attach(sample, 1);
    const fd = getDeviceFd(root, fds.group, 'b');
    const bytes = new Uint8Array(4);
    expect(outcomeOf(() => root.pread(fd, bytes, 0))).toBe('EINVAL');
    expect(outcomeOf(() => root.pwrite(fd, bytes, 0))).toBe('EINVAL');
    expect(outcomeOf(() => root.mmap(fd, 4096))).toBe('EINVAL');
    expect(outcomeOf(() => root.ioctl(fd, 0x3b6b, bytes))).toBe('ENOTTY');
    expect(root.file(fd)!.label).toBe('anon_inode:[vfio-device]');
    root.exit();
    sample.host.scheduler.call('unregister', bare.unregister());
    expect(bare.state).toBe('gone');
  });

  it('[vfio 2.10/2] closing drops the container before the device: an unregister that was waiting finds it detached', () => {
    const sample = sampleHost(['a'], { profile: 'linux-5.13' });
    sample.bind('a');
    const fds = attach(sample, 0);
    const fd = getDeviceFd(sample.root, fds.group, 'a');
    sample.root.close(fds.group);
    const unbind = sample.unbind('a');
    const told: (string | undefined)[] = [];
    sample.host.scheduler.stopAt(LAST_PUT);
    sample.root.close(fd);
    told.push(sample.vfio.groups[0]!.container === undefined ? 'detached' : 'attached');
    sample.host.scheduler.release(LAST_PUT);
    expect([...told, unbind.outcome.state]).toEqual(['detached', 'done']);
  });

  it('[vfio D61-16] VFIO_DEVICE_FEATURE is taken apart by the core on 6.1, and handed to the driver on 5.13', () => {
    for (const profile of ['linux-5.13', 'linux-6.1'] as const) {
      const sample = sampleHost(['a'], { profile });
      sample.bind('a');
      const fds = attach(sample, 0);
      const fd = getDeviceFd(sample.root, fds.group, 'a');
      const ask = (argsz: number, flags: number) => {
        const bytes = new Uint8Array(16);
        new DataView(bytes.buffer).setUint32(0, argsz, true);
        new DataView(bytes.buffer).setUint32(4, flags, true);
        return outcomeOf(() => sample.root.ioctl(fd, VFIO_DEVICE_FEATURE, bytes));
      };
      const told = [ask(7, 1), ask(8, 1 << 19), ask(8, 0x3_0001), ask(16, 0x1_0001), ask(16, 0x1_0006), ask(16, 0x1_0063)];
      const core = ['EINVAL', 'EINVAL', 'EINVAL', 'ENOTTY', 'ENOTTY', 'ENOTTY'];
      expect(told).toEqual(profile === 'linux-6.1' ? core : Array(6).fill('ENOTTY'));
      expect(outcomeOf(() => sample.root.ioctl(fd, VFIO_DEVICE_FEATURE, 0))).toBe(profile === 'linux-6.1' ? 'EFAULT' : 'ENOTTY');
    }
  });
});

it('[vfio 2.10/4] [vfio D61-14] an open device keeps its driver’s module, and a module that goes opens no device', () => {
  const sample = bound(['a', 'b']);
  const { root, host, bus, driver } = sample;
  const fds = attach(sample, 1);
  const fd = getDeviceFd(root, fds.group, 'b');
  const rmmod = () => host.scheduler.spawn('rmmod', bus.unloadDriver(driver));
  expect([driver.users, rmmod().result()]).toEqual([1, -EAGAIN]);
  root.close(fd);
  // The module goes, and is held before it leaves the first of its devices.
  host.scheduler.stopAt(DRIVER_UNBINDING);
  const going = rmmod();
  expect(going.outcome.state).toBe('held');
  expect(outcomeOf(() => getDeviceFd(root, fds.group, 'b'))).toBe('ENODEV');
  expect([sample.device('b').log, sample.device('b').references]).toEqual([['open', 'close'], 1]);
  root.exit();
  host.scheduler.release(DRIVER_UNBINDING);
  expect([going.result(), bus.device('b')!.driverName, sample.vfio.groups.length]).toEqual([0, undefined, 0]);
});

describe('a group whose last device leaves', () => {
  it('[vfio D61-6] [vfio D61-7] is detached at once on 6.1, and its fd is an empty shell', () => {
    const sample = bound();
    const { root } = sample;
    const fds = attach(sample, 0);
    expect(sample.unbind('a').result()).toBe(1);
    const status = () => root.ioctl(fds.group, VFIO_GROUP_GET_STATUS, new Uint8Array([8, 0, 0, 0, 0, 0, 0, 0]));
    expect(outcomeOf(status)).toBe('ENODEV');
    expect(outcomeOf(() => root.ioctl(fds.group, VFIO_GROUP_UNSET_CONTAINER))).toBe('EINVAL');
    expect(outcomeOf(() => root.ioctl(fds.container, VFIO_IOMMU_GET_INFO, new Uint8Array(24)))).toBe('EINVAL');
    sample.bind('a');
    root.close(root.open('/dev/vfio/0'));
    root.close(fds.group);
  });

  it('waits on 5.13 until its fd is closed', () => {
    const sample = sampleHost(['a'], { profile: 'linux-5.13' });
    sample.bind('a');
    const fds = attach(sample, 0);
    const unbind = sample.unbind('a');
    expect(unbind.outcome).toEqual({ state: 'asleep', what: 'group 0 to leave its container', heldBy: ['root (group 0)'] });
    sample.host.scheduler.advance(100 * SECOND);
    expect(unbind.outcome.state).toBe('asleep');
    sample.root.close(fds.group);
    expect(unbind.result()).toBe(1);
    expect(sample.vfio.groups).toEqual([]);
  });
});

describe('DMA ownership', () => {
  it('[vfio D61-2] [vfio D61-5] keeps native drivers and user space apart on 6.1', () => {
    const sample = sampleHost(['a', 'b'], {}, true);
    const { root } = sample;
    sample.bind('a');
    root.writeFile('/sys/bus/sample/drivers_probe', 'b');
    expect(sample.bus.device('b')!.driverName).toBe('native');
    const container = root.open('/dev/vfio/vfio');
    const group = root.open('/dev/vfio/0');
    expect(outcomeOf(() => { setContainer(root, group, container); })).toBe('EPERM');
    root.writeFile('/sys/bus/sample/drivers/native/unbind', 'b');
    setContainer(root, group, container);
    expect(outcomeOf(() => root.writeFile('/sys/bus/sample/drivers/native/bind', 'b'))).toBe('EBUSY');
    expect(outcomeOf(() => root.writeFile('/sys/bus/sample/drivers_probe', 'b'))).toBe('EINVAL');
    expect(sample.bus.device('b')!.driverName).toBeUndefined();
    root.ioctl(group, VFIO_GROUP_UNSET_CONTAINER);
    root.writeFile('/sys/bus/sample/drivers/native/bind', 'b');
    expect(sample.bus.device('b')!.driverName).toBe('native');
  });
});

it('a host has one vfio module', () => {
  const { host } = sampleHost();
  expect(() => new Vfio(host)).toThrow(/free path/);
});
