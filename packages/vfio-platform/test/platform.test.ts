import { describe, expect, it } from 'vitest';
import {
  Bus,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  Host,
  Process,
  REGISTERED,
  setContainer,
  setIrqs,
  setIrqTriggers,
  SmmuV3Iommu,
  Vfio,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
} from '@vsim/vfio-core';
import { busSuite, outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import {
  IrqLine,
  NO_RESET,
  PL011,
  Pl011,
  PL031,
  Pl031,
  PlatformDevice,
  REGION_OVERRUN,
  RESET_FAILED,
  ResetModules,
  VfioAmbaDriver,
  VfioPlatformDriver,
  type VfioPlatformInit,
} from '../src/index.ts';

const NAME = '9000000.uart';
const COMPATIBLE = 'vsim,uart';

interface SetUp extends VfioPlatformInit {
  readonly profile?: ProfileName;
  readonly withReset?: boolean;
  readonly amba?: boolean;
  readonly trigger?: 'edge-rising' | 'level-high';
  readonly group?: boolean;
}

function setUp(init: SetUp = {}) {
  const host = new Host({ profile: init.profile });
  const events = host.trace.record();
  const vfio = new Vfio(host);
  const resets = new ResetModules();
  const calls: string[] = [];
  const answers = { reset: 0 };
  if (init.withReset !== false) resets.register(COMPATIBLE, (device) => (calls.push(`reset ${device.name}`), answers.reset));
  const bus = new Bus<PlatformDevice>(host, init.amba === true ? 'amba' : 'platform');
  const driver = init.amba === true ? new VfioAmbaDriver(vfio, { resets }) : new VfioPlatformDriver(vfio, { resets, resetRequired: init.resetRequired });
  host.scheduler.call('modprobe', bus.addDriver(driver));
  const irq = new IrqLine(33, init.trigger ?? 'level-high');
  const uart = new Pl011(irq);
  const device = new PlatformDevice(host, {
    name: NAME,
    resources: [{ kind: 'mem', start: 0x900_0000, size: 0x1000 }, { kind: 'io', start: 0x3f8, size: 8 }, { kind: 'mem', start: 0x901_0000, size: 0x10, readOnly: true }],
    irqs: [irq],
    firmware: { compatible: [COMPATIBLE, 'arm,pl011'] },
    hardware: [uart],
    peripheralId: init.amba === true ? 0x0024_1011 : undefined,
  });
  bus.announce(device);
  if (init.group !== false) new SmmuV3Iommu(host).addGroup([device]);
  const root = new Process(host, { name: 'root' });
  const bind = () => {
    root.writeFile(`/sys/bus/${bus.name}/devices/${NAME}/driver_override`, driver.name);
    return root.writeFile(`/sys/bus/${bus.name}/drivers/${driver.name}/bind`, NAME);
  };
  const deviceName = init.amba === true ? 'vfio-amba-00241011' : NAME;
  const open = () => {
    const container = root.open('/dev/vfio/vfio');
    const group = root.open('/dev/vfio/0');
    setContainer(root, group, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return { container, group, device: getDeviceFd(root, group, deviceName) };
  };
  const unbind = () => root.start('unbind', root.sys.writeFile(`/sys/bus/${bus.name}/drivers/${driver.name}/unbind`, NAME));
  return { host, events, vfio, resets, calls, answers, bus, driver, irq, uart, device, root, bind, open, unbind, deviceName };
}

describe.each([['platform', false], ['amba', true]] as const)('a %s device', (_, amba) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { root, bind, unbind, deviceName } = setUp({ amba });
    bind();
    return { process: root, device: deviceName, group: 0, unbind };
  })) {
    it(name, run);
  }
});

describe.each([['platform', 'vfio-platform', false], ['amba', 'vfio-amba', true]] as const)('the %s bus in sysfs', (bus, driver, amba) => {
  for (const { name, run } of busSuite(() => {
    const { root, device } = setUp({ amba });
    device.driverOverride = driver;
    return { process: root, bus: `/sys/bus/${bus}`, device: NAME, driver };
  })) {
    it(name, run);
  }
});

describe('probe and remove', () => {
  it('[vfio 4.1/1] [vfio 4.1/2] bind by driver_override alone, with the flags and the name of the bus', () => {
    const { root, bind, open } = setUp();
    expect(outcomeOf(() => root.writeFile('/sys/bus/platform/drivers/vfio-platform/bind', NAME))).toBe('ENODEV');
    bind();
    expect(getDeviceInfo(root, open().device)).toEqual({ flags: 5, numRegions: 3, numIrqs: 1 });
    const amba = setUp({ amba: true });
    amba.bind();
    expect(getDeviceInfo(amba.root, amba.open().device).flags).toBe(9);
  });

  it('[vfio 4.1/4] [vfio 4.1/5] need a reset function where one is required, and in 6.1 everywhere', () => {
    const outcome = (init: SetUp) => {
      const { bind, events } = setUp({ withReset: false, ...init });
      return [outcomeOf(bind), events.map(({ id }) => id)];
    };
    expect(outcome({})).toEqual(['ENOENT', [NO_RESET.id]]);
    expect(outcome({ resetRequired: false })).toEqual(['ENOENT', []]);
    expect(outcome({ resetRequired: false, profile: 'linux-5.13' })).toEqual(['success', []]);
  });

  it('[vfio 4.1/6] hold the reset module while bound, and give it back on every way out', () => {
    const { bind, unbind, resets, vfio, device, host, driver, root } = setUp();
    bind();
    expect(resets.users(COMPATIBLE)).toBe(1);
    unbind().result();
    expect(resets.users(COMPATIBLE)).toBe(0);
    const lonely = setUp({ group: false });
    expect(outcomeOf(lonely.bind)).toBe('EINVAL');
    expect(lonely.resets.users(COMPATIBLE)).toBe(0);
    expect([vfio.groups.length, driver.vfioDevice(device), host.scheduler.threads, root.fds]).toEqual([0, undefined, [], []]);
  });

  it('[vfio Step-and-unwind-matrices/32] [vfio Step-and-unwind-matrices/33] [vfio Step-and-unwind-matrices/34] [vfio Step-and-unwind-matrices/35] undo each step of the probe that fails, and bind when nothing does', () => {
    class NotCoherent extends SmmuV3Iommu {
      override readonly coherent: boolean = false;
    }
    const failing: readonly (readonly [string, SetUp, ((made: ReturnType<typeof setUp>) => () => void) | undefined])[] = [
      ['ENOENT', { withReset: false }, ({ resets }) => () => { resets.register(COMPATIBLE, () => 0); }],
      ['EINVAL', { group: false }, ({ host, device }) => () => { new SmmuV3Iommu(host).addGroup([device]); }],
      // 6.1 registers a device only where its DMA is coherent.
      ['EINVAL', { group: false }, ({ host, device }) => {
        const group = new NotCoherent(host).addGroup([device]);
        return () => {
          group.removeDevice(device);
          new SmmuV3Iommu(host).addGroup([device]);
        };
      }],
    ];
    for (const [errno, init, breakIt] of failing) {
      const made = setUp(init);
      const mend = breakIt?.(made);
      const left = () => [made.resets.users(COMPATIBLE), made.vfio.groups.length, made.driver.vfioDevice(made.device), made.device.driverName, made.device.runtimePmEnabled];
      expect([outcomeOf(made.bind), left()]).toEqual([errno, [0, 0, undefined, undefined, false]]);
      mend?.();
      expect([outcomeOf(made.bind), made.resets.users(COMPATIBLE), made.device.runtimePmEnabled]).toEqual(['success', 1, true]);
    }
    const nameless = setUp();
    const stranger = new PlatformDevice(nameless.host, { name: 'x', resources: [] });
    nameless.bus.announce(stranger);
    stranger.driverOverride = 'vfio-platform';
    expect(outcomeOf(() => nameless.root.writeFile('/sys/bus/platform/drivers/vfio-platform/bind', 'x'))).toBe('ENODEV');
  });

  it('[vfio P4/5] [vfio Step-and-unwind-matrices/36] refuse who opens before runtime PM is on', () => {
    const { host, root, bus, open, device } = setUp();
    device.driverOverride = 'vfio-platform';
    host.scheduler.stopAt(REGISTERED);
    const probe = root.start('bind', root.sys.writeFile(`/sys/bus/${bus.name}/drivers/vfio-platform/bind`, NAME));
    expect(outcomeOf(open)).toBe('EACCES');
    host.scheduler.release(REGISTERED);
    expect(probe.result()).toBe(NAME.length);
  });
});

describe('regions', () => {
  it('[vfio 4.2/1] [vfio 4.2/2] are the memory and port resources in order, mapped where pages allow it', () => {
    const { root, bind, open } = setUp();
    bind();
    const { device } = open();
    const region = (index: number) => {
      const { flags, size, offset } = getRegionInfo(root, device, index);
      return [flags, size, offset];
    };
    expect([region(0), region(1), region(2)]).toEqual([
      [7, 0x1000n, 0n],
      [0, 8n, 1n << 40n],
      [1, 0x10n, 2n << 40n],
    ]);
    const mmap = (offset: number, length = 0x1000) => outcomeOf(() => root.mmap(device, length, offset));
    expect([mmap(0), mmap(2 ** 40), mmap(2 * 2 ** 40), mmap(0x1000), mmap(0, 0x2000)]).toEqual(['success', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']);
    const word = new Uint8Array(4);
    expect(outcomeOf(() => root.pread(device, word, 2 ** 40))).toBe('EINVAL');
    expect(outcomeOf(() => root.pwrite(device, word, 2 * 2 ** 40))).toBe('EINVAL');
    expect(outcomeOf(() => root.pread(device, word, 3 * 2 ** 40))).toBe('EINVAL');
  });

  it('are read and written in aligned pieces, and an access past the end is told and touches nothing', () => {
    const { root, bind, open, uart, events } = setUp();
    bind();
    const { device } = open();
    root.pwrite(device, Uint8Array.of(0x10, 0, 0, 0), PL011.IMSC);
    uart.receive(0x41);
    const word = new Uint8Array(4);
    root.pread(device, word, PL011.DR);
    expect([...word]).toEqual([0x41, 0, 0, 0]);
    expect(root.pread(device, new Uint8Array(8), 0xffc)).toBe(8);
    expect(events.filter(({ id }) => id === REGION_OVERRUN.id)).toHaveLength(1);
  });
});

describe('reset', () => {
  it('is called at the first open, the last close and on request', () => {
    const { root, bind, open, calls, answers, events } = setUp();
    bind();
    const fds = open();
    const second = getDeviceFd(root, fds.group, NAME);
    expect(root.ioctl(fds.device, VFIO_DEVICE_RESET)).toBe(0);
    root.close(fds.device);
    expect(calls).toHaveLength(2);
    answers.reset = -5;
    expect(outcomeOf(() => root.ioctl(second, VFIO_DEVICE_RESET))).toBe('EIO');
    root.close(second);
    expect(calls).toHaveLength(4);
    expect(events.map(({ id }) => id)).toEqual([RESET_FAILED.id]);
    expect(outcomeOf(() => getDeviceFd(root, fds.group, NAME))).toBe('EIO');
  });

  it('fails the open where the device does not resume', () => {
    const { bind, open, device, calls } = setUp();
    bind();
    device.resume = () => -110;
    expect(outcomeOf(open)).toBe('ETIMEDOUT');
    expect(calls).toEqual([]);
  });
});

describe('a level interrupt', () => {
  it('[vfio 4.5/1] is signalled once, and masked until it is unmasked', () => {
    const { root, bind, open, uart } = setUp();
    bind();
    const { device } = open();
    expect(getIrqInfo(root, device, 0)).toEqual({ flags: 7, count: 1 });
    const eventfd = root.eventfd();
    setIrqTriggers(root, device, 0, 0, [eventfd]);
    root.pwrite(device, Uint8Array.of(0x10, 0, 0, 0), PL011.IMSC);
    uart.receive(1);
    uart.receive(2);
    expect(root.readEventfd(eventfd)).toBe(1n);
    setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(root.readEventfd(eventfd)).toBe(1n); // the line is still up
    root.pread(device, new Uint8Array(4), PL011.DR);
    root.pread(device, new Uint8Array(4), PL011.DR);
    setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(root.readEventfd(eventfd)).toBe(0n);
    setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_MASK, 0, 1);
    uart.receive(3);
    expect(root.readEventfd(eventfd)).toBe(0n);
    const other = root.eventfd();
    setIrqTriggers(root, device, 0, 0, [other]); // a mask outlives the trigger
    expect([root.readEventfd(eventfd), root.readEventfd(other)]).toEqual([0n, 0n]);
    setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(root.readEventfd(other)).toBe(1n);
  });

  it('is unmasked by an eventfd, which the kernel lets go at the last close', () => {
    const { root, bind, open, uart } = setUp();
    bind();
    const { device } = open();
    const [trigger, unmask] = [root.eventfd(), root.eventfd()];
    setIrqTriggers(root, device, 0, 0, [trigger]);
    const request = new Uint8Array(24);
    new DataView(request.buffer).setUint32(0, 24, true);
    new DataView(request.buffer).setUint32(4, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, true);
    new DataView(request.buffer).setUint32(16, 1, true);
    new DataView(request.buffer).setInt32(20, unmask, true);
    root.ioctl(device, VFIO_DEVICE_SET_IRQS, request);
    root.pwrite(device, Uint8Array.of(0x10, 0, 0, 0), PL011.IMSC);
    uart.receive(1);
    const ring = () => { root.write(unmask, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)); };
    ring();
    // The line is still up; and the kernel has taken the count.
    expect([root.readEventfd(trigger), root.readEventfd(unmask)]).toEqual([2n, 0n]);
    root.close(device);
    ring();
    expect(root.readEventfd(unmask)).toBe(1n);
  });

  it('[vfio 4.5/2] is freed by fd -1 and by count 0, and refuses what is no eventfd', () => {
    const { root, bind, open, uart, irq } = setUp();
    bind();
    const { device, group } = open();
    const eventfd = root.eventfd();
    for (const free of [() => setIrqTriggers(root, device, 0, 0, [-1]), () => setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0)]) {
      setIrqTriggers(root, device, 0, 0, [eventfd]);
      free();
      root.pwrite(device, Uint8Array.of(0x10, 0, 0, 0), PL011.IMSC);
      uart.receive(1);
      expect([irq.asserted, root.readEventfd(eventfd)]).toEqual([true, 0n]);
      root.pread(device, new Uint8Array(4), PL011.DR);
    }
    expect(outcomeOf(() => setIrqTriggers(root, device, 0, 0, [99]))).toBe('EBADF');
    expect(outcomeOf(() => setIrqTriggers(root, device, 0, 0, [group]))).toBe('EINVAL');
    expect(outcomeOf(() => setIrqs(root, device, 1, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0))).toBe('EINVAL');
    expect(outcomeOf(() => setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_ACTION_MASK, 0, 1))).toBe('ENOTTY');
  });
});

it('[vfio 4.5/1] an edge is signalled each time, and cannot be masked', () => {
  const { root, bind, open, irq } = setUp({ trigger: 'edge-rising' });
  bind();
  const { device } = open();
  expect(getIrqInfo(root, device, 0).flags).toBe(1);
  const eventfd = root.eventfd();
  setIrqTriggers(root, device, 0, 0, [eventfd]);
  for (let i = 0; i < 3; i += 1) {
    irq.set(true);
    irq.set(false);
  }
  expect(root.readEventfd(eventfd)).toBe(3n);
  for (const action of [VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK]) expect(outcomeOf(() => setIrqs(root, device, 0, action, 0, 1))).toBe('EINVAL');
});

it('a PL031 tells its time, and rings once for the last match that was set', () => {
  const host = new Host();
  const irq = new IrqLine(34, 'level-high');
  const clock = new Pl031(host, irq);
  clock.write(PL031.LR, 4, 1000);
  clock.write(PL031.IMSC, 4, 1);
  clock.write(PL031.MR, 4, 1005);
  clock.write(PL031.MR, 4, 1003);
  host.scheduler.advance(2_999_999_999);
  expect([clock.read(PL031.DR), irq.asserted]).toEqual([1002, false]);
  host.scheduler.advance(1);
  expect([clock.read(PL031.DR), clock.read(PL031.MIS), irq.asserted]).toEqual([1003, 1, true]);
  clock.write(PL031.ICR, 4, 1);
  host.scheduler.advance(10_000_000_000);
  expect([irq.asserted, clock.read(PL031.RIS), clock.read(PL031.ID), clock.read(PL031.CR)]).toEqual([false, 0, 0x31, 1]);
});
