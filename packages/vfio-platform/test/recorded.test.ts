/** What a kernel was recorded to do with platform and AMBA devices: binding, modules, sysfs, regions, resets, isolation. */
import { getDeviceFd, getDeviceInfo, getRegionInfo, MAP_PRIVATE, PROT_READ, PROT_WRITE, VFIO_DEVICE_RESET, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU, setContainer } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { ResetModules } from '../src/index.ts';
import { COMPATIBLE, NAME, setUp } from './set-up.ts';

const PAGE = 0x1000;
const SPAN = 2 ** 40;
const DRIVER = '/sys/bus/platform/drivers/vfio-platform';

describe('binding', () => {
  it('passes the errno of a probe to who writes bind, and not to who writes drivers_probe [platform 3]', () => {
    const { root, bind } = setUp({ withReset: false });
    expect([outcomeOf(bind), root.writeFile('/sys/bus/platform/drivers_probe', NAME)]).toEqual(['ENOENT', NAME.length]);
  });

  it('without a reset function is refused on 6.1 though none is required; 6.12 binds, and AMBA always [platform 4] [platform 62] [platform 74]', () => {
    const outcomes = (profile: 'linux-6.1' | 'linux-6.12' | 'linux-7.3', init: object) => {
      const made = setUp({ profile, withReset: false, ...init });
      const bound = outcomeOf(made.bind);
      if (bound !== 'success') return bound;
      const { device } = made.open();
      return [getDeviceInfo(made.root, device).flags & 1, outcomeOf(() => made.root.ioctl(device, VFIO_DEVICE_RESET))];
    };
    for (const init of [{ resetRequired: false }, { amba: true }]) {
      expect([outcomes('linux-6.1', init), outcomes('linux-6.12', init), outcomes('linux-7.3', init)]).toEqual(['ENOENT', [0, 'EINVAL'], [0, 'EINVAL']]);
    }
  });

  it('looks at the first compatible string alone: "" is one, none is EINVAL [platform 5]', () => {
    const outcome = (compatible: readonly string[] | undefined) => outcomeOf(setUp({ firmware: { compatible } }).bind);
    expect([outcome([COMPATIBLE]), outcome(['', COMPATIBLE]), outcome(['acme', COMPATIBLE]), outcome(undefined)]).toEqual(['success', 'ENOENT', 'ENOENT', 'EINVAL']);
  });
});

describe('modules [platform 10]', () => {
  it.each([['linux-6.1', 2], ['linux-6.12', 1]] as const)('are counted: a reset module while its device is bound, the driver while it is open: twice on %s is %i', (profile, twice) => {
    const { root, bind, open, unbind, driver, resets } = setUp({ profile });
    const counts = () => [resets.users(COMPATIBLE), driver.users];
    const seen = [counts()];
    bind();
    seen.push(counts());
    const fds = open();
    const second = getDeviceFd(root, fds.group, NAME);
    seen.push(counts());
    for (const fd of [second, fds.device, fds.group]) root.close(fd);
    seen.push(counts());
    unbind();
    expect([...seen, counts()]).toEqual([[0, 0], [1, 0], [1, twice], [1, 0], [0, 0]]);
  });

  it('vfio_platform goes with devices bound, not with one open, and binds again what its name overrides', () => {
    const { host, bus, root, device, driver, bind, open } = setUp();
    bind();
    const unload = () => host.scheduler.call('rmmod', bus.unloadDriver(driver));
    expect([unload(), device.driverName]).toEqual([0, undefined]);
    host.scheduler.call('modprobe', bus.addDriver(driver));
    expect(device.driverName).toBe('vfio-platform');
    const { device: fd } = open();
    expect(unload()).toBeLessThan(0);
    root.close(fd);
  });

  it('of resets are loaded where the helper works, and kept while in use', () => {
    const { root, resets, bind, unbind } = setUp();
    expect(resets.isLoaded(COMPATIBLE)).toBe(false);
    bind();
    expect([resets.isLoaded(COMPATIBLE), resets.unload(COMPATIBLE) < 0]).toEqual([true, true]);
    unbind();
    root.writeFile('/proc/sys/kernel/modprobe', '/bin/false');
    expect([root.readFile('/proc/sys/kernel/modprobe'), outcomeOf(bind)]).toEqual(['/bin/false\n', 'success']);
    unbind();
    expect([resets.unload(COMPATIBLE), outcomeOf(bind), resets.load(COMPATIBLE), outcomeOf(bind), resets.load('nowhere')]).toEqual([0, 'ENOENT', true, 'success', false]);
  });

  it('with several functions are one', () => {
    const resets = new ResetModules();
    resets.register('a', function* () { return 0; }, 'both');
    resets.register('b', function* () { return 1; }, 'both');
    resets.get('a');
    expect([resets.users('b'), resets.usersOf('both'), resets.isLoaded('both')]).toEqual([1, 1, true]);
  });
});

it('the driver’s folder has bind, unbind, uevent and module; reset_required can only be read [platform 11] [platform 12]', () => {
  const { root } = setUp({ resetRequired: false });
  expect(root.readdir(DRIVER)).toEqual(['bind', 'module', 'uevent', 'unbind']);
  expect(root.readlink(`${DRIVER}/module`)).toBe('/sys/module/vfio_platform');
  expect([outcomeOf(() => root.writeFile(`${DRIVER}/uevent`, 'add')), outcomeOf(() => root.writeFile(`${DRIVER}/uevent`, 'sub'))]).toEqual(['success', 'EINVAL']);
  const parameter = '/sys/module/vfio_platform/parameters/reset_required';
  expect([root.readFile(parameter), outcomeOf(() => root.writeFile(parameter, '1'))]).toEqual(['N\n', 'EACCES']);
});

it('a device that goes away waits for its last close, and works meanwhile, its mapping too [platform 15] [platform 29]', () => {
  const { host, bus, root, device, bind, open } = setUp({ resources: [{ kind: 'mem', start: 0x1_0000_0000, size: PAGE }] });
  bind();
  const fds = open();
  const mapping = root.mmap(fds.device, PAGE);
  const going = host.scheduler.spawn('rmmod vsim_pdev', bus.remove(device));
  expect([going.finished, root.pwrite(fds.device, Uint8Array.of(5, 0, 0, 0), 0)]).toEqual([false, 4]);
  root.close(fds.device);
  expect([going.finished, mapping.read(0, 4)]).toEqual([false, 5]);
  mapping.unmap();
  expect([going.finished, root.readdir('/dev/vfio'), bus.device(NAME)]).toEqual([true, ['vfio'], undefined]);
});

describe('regions', () => {
  it('are memory and ports in index order, without bus numbers; ports have no access, and a read-only one no writes [platform 22]', () => {
    const { root, bind, open } = setUp({
      resources: [
        { kind: 'mem', start: 0x1_0000_0000, size: PAGE },
        { kind: 'bus', start: 64, size: 1 },
        { kind: 'io', start: PAGE, size: 0x100 },
        { kind: 'mem', start: 0x1_0000_1000, size: PAGE, readOnly: true },
      ],
    });
    bind();
    const { device } = open();
    expect([0, 1, 2].map((index) => { const { flags, size } = getRegionInfo(root, device, index); return [flags, size]; })).toEqual([[7, 0x1000n], [0, 0x100n], [5, 0x1000n]]);
    expect(outcomeOf(() => getRegionInfo(root, device, 3))).toBe('EINVAL');
    const access = (at: number) => [outcomeOf(() => root.pread(device, new Uint8Array(4), at)), outcomeOf(() => root.pwrite(device, new Uint8Array(4), at))];
    expect([access(SPAN), access(2 * SPAN)]).toEqual([['EINVAL', 'EINVAL'], ['success', 'EINVAL']]);
    const map = (at: number, prot: number, flags?: number) => outcomeOf(() => root.mmap(device, PAGE, at, prot, flags));
    expect([map(SPAN, PROT_READ), map(2 * SPAN, PROT_READ), map(2 * SPAN, PROT_READ | PROT_WRITE), map(0, PROT_READ, MAP_PRIVATE)]).toEqual(['EINVAL', 'success', 'EINVAL', 'EINVAL']);
  });

  it('end where they end: at or behind it EINVAL, also for nothing; across it what is inside [platform 23]', () => {
    const { root, bind, open } = setUp({ resources: [{ kind: 'mem', start: 0x1_0000_0000, size: 0x205 }] });
    bind();
    const { device } = open();
    const read = (at: number, length: number) => root.tryPread(device, new Uint8Array(length), at);
    expect([read(0x205, 0), read(0x205, 4), read(0x204, 4), read(0x200, 8), read(0, 0), read(2 ** 39, 4), read(SPAN, 4)]).toEqual([-22, -22, 1, 5, 0, -22, -22]);
  });

  it('that overlap show the same bytes [platform 30]', () => {
    const { root, bind, open } = setUp({ resources: [{ kind: 'mem', start: 0x1_0000_0000, size: 2 * PAGE }, { kind: 'mem', start: 0x1_0000_1000, size: PAGE }] });
    bind();
    const { device } = open();
    root.pwrite(device, Uint8Array.of(1, 2, 3, 4), SPAN);
    const into = new Uint8Array(4);
    root.pread(device, into, PAGE);
    expect([...into]).toEqual([1, 2, 3, 4]);
  });

  it('read(2) begins at the start of region 0 each time [platform 25]', () => {
    const { root, bind, open } = setUp({ resources: [{ kind: 'mem', start: 0x1_0000_0000, size: PAGE }] });
    bind();
    const { device } = open();
    root.pwrite(device, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 0);
    const into = new Uint8Array(4);
    expect([root.read(device, into), [...into], root.read(device, into), [...into]]).toEqual([4, [1, 2, 3, 4], 4, [1, 2, 3, 4]]);
  });
});

describe('a reset function', () => {
  /** A device whose reset takes its time once it is told to. */
  function slow() {
    const state = { slow: false };
    const modules = new ResetModules();
    const made = setUp({ resets: modules, withReset: false });
    modules.register(COMPATIBLE, function* (device) {
      if (state.slow) yield* device.host.scheduler.sleep(1000);
      return 0;
    });
    return { made, state };
  }

  it('answers VFIO_DEVICE_RESET, also with what is no errno [platform 19]', () => {
    const { root, bind, open, answers } = setUp();
    bind();
    const { device } = open();
    const seen = [0, 7, -1, -62].map((answer) => {
      answers.reset = answer;
      return root.tryIoctl(device, VFIO_DEVICE_RESET);
    });
    expect(seen).toEqual([0, 7, -1, -62]);
  });

  it('that fails keeps the first open out with its own errno where it is required, and lets the line go [platform 18]', () => {
    const { root, bind, open, answers, irq } = setUp();
    bind();
    answers.reset = -110;
    expect([outcomeOf(open), root.readFile('/proc/interrupts'), irq.request(() => undefined)]).toEqual(['ETIMEDOUT', '', 0]);
    const free = setUp({ resetRequired: false });
    free.bind();
    free.answers.reset = -110;
    expect(outcomeOf(free.open)).toBe('success');
  });

  it('holds nothing: information, further opens and closes go on beside it, and a second reset [platform 60]', () => {
    const { made, state } = slow();
    const { host, root } = made;
    made.bind();
    const { device } = made.open();
    state.slow = true;
    const reset = () => root.start('reset', root.sys.ioctl(device, VFIO_DEVICE_RESET, 0));
    const [first, second] = [reset(), reset()];
    expect([getDeviceInfo(root, device).numIrqs, first.finished, second.finished]).toEqual([1, false, false]);
    host.scheduler.advance(1000);
    expect([first.result(), second.result()]).toEqual([0, 0]);
  });
});

it('a device without msi-parent is had on 6.12 only where unsafe interrupts are allowed [platform 63]', () => {
  const outcome = (profile: 'linux-6.1' | 'linux-6.12', msiParent: boolean) => {
    const { root, bind } = setUp({ profile, msiParent });
    bind();
    const container = root.open('/dev/vfio/vfio');
    setContainer(root, root.open('/dev/vfio/0'), container);
    return outcomeOf(() => root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
  };
  expect([outcome('linux-6.1', false), outcome('linux-6.12', false), outcome('linux-6.12', true)]).toEqual(['success', 'EPERM', 'success']);
});
