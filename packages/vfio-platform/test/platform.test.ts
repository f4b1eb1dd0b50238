import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  Host,
  set,
  setIrqs,
  setIrqTriggers,
  VFIO_DEVICE_RESET,
  VFIO_DEVICE_SET_IRQS,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  vfio_irq_set,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  type ProfileName,
} from '@vsim/vfio-core';
import { busSuite, outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { IrqLine, MODULE_LEAKED, NO_RESET, NULL_TRIGGER, PL011, PL031, Pl031, REGION_OVERRUN, RESET_FAILED } from '../src/index.ts';
import { NAME, setUp, type SetUp } from './set-up.ts';

describe.each([['platform', false], ['amba', true]] as const)('a %s device', (_, amba) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { root, bind, unbind } = setUp({ amba });
    bind();
    return { process: root, device: NAME, group: 0, unbind };
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

describe('regions', () => {
  it('[vfio 4.2/1] [vfio 4.2/2] [vfio 4.2/5] are the memory and port resources in order, mapped where pages allow it', () => {
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

  it('are read and written in aligned pieces; 5.13 goes past their end, which is told and touches nothing', () => {
    const { root, bind, open, uart, events } = setUp({ profile: 'linux-5.13' });
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

  it.each(['linux-6.1', 'linux-6.12'] as const)('are all that an access reaches: it is cut at their end, and refused behind it, %s', (profile) => {
    const { root, bind, open, events } = setUp({ profile });
    bind();
    const { device } = open();
    const pwrite = (length: number, offset: number) => root.pwrite(device, new Uint8Array(length), offset);
    expect([root.pread(device, new Uint8Array(8), 0xffc), pwrite(8, 0xffa), root.pread(device, new Uint8Array(0x20), 2 * 2 ** 40 + 8)]).toEqual([4, 6, 8]);
    expect([outcomeOf(() => root.pread(device, new Uint8Array(1), 0x1000)), outcomeOf(() => pwrite(1, 0x1000)), events]).toEqual(['EINVAL', 'EINVAL', []]);
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

  it('is no offer, and refused aloud, where 5.13 binds without a function', () => {
    const { root, bind, open, reasons } = setUp({ profile: 'linux-5.13', withReset: false, resetRequired: false });
    bind();
    const { device } = open();
    expect([getDeviceInfo(root, device).flags, outcomeOf(() => root.ioctl(device, VFIO_DEVICE_RESET)), reasons.map(({ id }) => id)]).toEqual([4, 'EINVAL', [NO_RESET.id]]);
  });

  it.each([['linux-5.13', 1, -EAGAIN], ['linux-6.1', 0, 0]] as const)('fails the open, after which 5.13 can unload the driver no more, %s', (profile, users, unloaded) => {
    const { bind, open, device, driver, bus, host, events, root } = setUp({ profile });
    bind();
    device.runtimePm.resume = () => -110;
    expect(outcomeOf(open)).toBe('ETIMEDOUT');
    root.exit();
    expect([driver.users, events.map(({ id }) => id), host.scheduler.call('rmmod', bus.unloadDriver(driver))]).toEqual([users, users === 1 ? [MODULE_LEAKED.id] : [], unloaded]);
  });

  it('fails the open where the device does not resume', () => {
    const { bind, open, device, calls } = setUp();
    bind();
    device.runtimePm.resume = () => -110;
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
    root.ioctl(device, VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, words([unmask])));
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

it('[vfio 4.2/3] interrupts are those before the first that is not there, on AMBA at most nine', () => {
  const count = (init: SetUp) => {
    const { root, bind, open } = setUp(init);
    bind();
    const { device } = open();
    const { numIrqs } = getDeviceInfo(root, device);
    expect(outcomeOf(() => getIrqInfo(root, device, numIrqs))).toBe('EINVAL');
    return numIrqs;
  };
  const lines = Array.from({ length: 12 }, (_, n) => new IrqLine(40 + n, 'level-high'));
  const withHole = [...lines.slice(0, 2), undefined, ...lines.slice(2)];
  expect([count({ irqs: lines }), count({ irqs: lines, amba: true })]).toEqual([12, 9]);
  expect([count({ irqs: withHole }), count({ irqs: withHole, amba: true }), count({ irqs: [undefined, lines[0]] })]).toEqual([2, 2, 0]);
});

it('[vfio 4.2/4] the trigger type is what the node of the device says: levels can be masked, and mask themselves', () => {
  const flags = (['level-low', 'level-high', 'edge-falling', 'edge-rising'] as const).map((trigger) => {
    const { root, bind, open } = setUp({ irqs: [{ line: new IrqLine(33, 'none'), trigger }] });
    bind();
    return getIrqInfo(root, open().device, 0).flags;
  });
  const level = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
  expect(flags).toEqual([level, level, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_EVENTFD]);
});

describe('a loopback', () => {
  it.each(['level-high', 'edge-rising'] as const)('[vfio 4.5/3] calls the handler: by NONE, and by BOOL where it is true; %s', (trigger) => {
    const { root, bind, open } = setUp({ trigger });
    bind();
    const { device } = open();
    const eventfd = root.eventfd();
    setIrqTriggers(root, device, 0, 0, [eventfd]);
    const count = (act: () => unknown) => {
      act();
      return root.readEventfd(eventfd);
    };
    const none = () => setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
    const bool = (value: number) => root.ioctl(device, VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, [value]));
    expect([count(() => bool(0)), count(none)]).toEqual([0n, 1n]);
    // A level has masked itself, for real.
    const again = trigger === 'level-high' ? 0n : 1n;
    expect([count(none), count(() => bool(1))]).toEqual([again, again]);
    if (trigger === 'level-high') setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(count(() => bool(1))).toBe(1n);
  });

  it.each(['level-high', 'edge-rising'] as const)('[vfio 4.5/3] [platform 38] finds nobody to tell where there is no trigger, but masks a level; 5.13 follows a NULL pointer then; %s', (trigger) => {
    const reported = (profile: ProfileName) => {
      const { root, bind, open, events, irq } = setUp({ profile, trigger });
      bind();
      const { device } = open();
      setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
      const eventfd = root.eventfd();
      setIrqTriggers(root, device, 0, 0, [eventfd]);
      irq.set(true);
      const masked = root.readEventfd(eventfd) === 0n;
      if (trigger === 'level-high') setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
      return [events.map(({ id }) => id), masked, masked ? root.readEventfd(eventfd) : 0n];
    };
    const told = trigger === 'level-high' ? [true, 1n] : [false, 0n];
    expect(reported('linux-5.13')).toEqual([[NULL_TRIGGER.id], ...told]);
    for (const profile of ['linux-5.10', 'linux-6.1', 'linux-6.12'] as const) expect(reported(profile)).toEqual([[], ...told]);
  });
});

it('[vfio 4.5/4] an eventfd for masking or unmasking is one of each, can be taken away, and is refused for an edge', () => {
  const { root, bind, open, irq } = setUp();
  bind();
  const { device } = open();
  const [trigger, mask, unmask] = [root.eventfd(), root.eventfd(), root.eventfd()];
  setIrqTriggers(root, device, 0, 0, [trigger]);
  const attach = (action: number, fd: number) => outcomeOf(() => root.ioctl(device, VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_EVENTFD | action, 0, 1, words([fd]))));
  const fire = () => {
    irq.set(true);
    irq.set(false);
    return root.readEventfd(trigger);
  };
  expect([attach(VFIO_IRQ_SET_ACTION_MASK, mask), attach(VFIO_IRQ_SET_ACTION_UNMASK, unmask)]).toEqual(['success', 'success']);
  expect([attach(VFIO_IRQ_SET_ACTION_MASK, unmask), attach(VFIO_IRQ_SET_ACTION_UNMASK, unmask)]).toEqual(['EBUSY', 'EBUSY']);
  expect([attach(VFIO_IRQ_SET_ACTION_MASK, 99), attach(VFIO_IRQ_SET_ACTION_MASK, device)]).toEqual(['EBADF', 'EINVAL']);
  root.writeEventfd(mask, 1n);
  expect(fire()).toBe(0n);
  root.writeEventfd(unmask, 1n);
  expect(fire()).toBe(1n);
  expect(attach(VFIO_IRQ_SET_ACTION_UNMASK, -1)).toBe('success');
  root.writeEventfd(unmask, 1n);
  expect([fire(), root.readEventfd(unmask)]).toEqual([0n, 1n]);
  expect(attach(VFIO_IRQ_SET_ACTION_UNMASK, unmask)).toBe('success');
  // By hand: NONE always, BOOL where it is true; what is masked or unmasked already stays so.
  const bool = (action: number, value: number) => root.ioctl(device, VFIO_DEVICE_SET_IRQS, irqSet(VFIO_IRQ_SET_DATA_BOOL | action, 0, 1, [value]));
  bool(VFIO_IRQ_SET_ACTION_UNMASK, 0);
  expect(fire()).toBe(0n);
  bool(VFIO_IRQ_SET_ACTION_UNMASK, 1);
  setIrqs(root, device, 0, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
  expect(fire()).toBe(1n);
  const edge = setUp({ trigger: 'edge-rising' });
  edge.bind();
  const other = edge.open().device;
  for (const type of [VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD]) {
    const request = irqSet(type | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, words([edge.root.eventfd()]));
    expect(outcomeOf(() => edge.root.ioctl(other, VFIO_DEVICE_SET_IRQS, request))).toBe('EINVAL');
  }
});

it.each(['level-high', 'edge-rising'] as const)('[vfio 4.5/5] each interrupt is one: start 0, count 1, for every action; %s', (trigger) => {
  // Two interrupts: the check that all drivers share lets start and count up to 2 pass.
  const { root, bind, open } = setUp({ irqs: [new IrqLine(33, trigger), new IrqLine(34, trigger)] });
  bind();
  const { device } = open();
  for (const action of [VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK]) {
    for (const [start, count] of [[1, 1], [0, 2]] as const) {
      for (const type of [VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD]) {
        const request = irqSet(type | action, start, count, words([root.eventfd(), root.eventfd()]));
        expect(outcomeOf(() => root.ioctl(device, VFIO_DEVICE_SET_IRQS, request))).toBe('EINVAL');
      }
    }
  }
});

/** struct vfio_irq_set with data, for index 0. */
function irqSet(flags: number, start: number, count: number, data: readonly number[]): Uint8Array {
  const request = new Uint8Array(vfio_irq_set.size + data.length);
  set(request, vfio_irq_set.argsz, request.length);
  set(request, vfio_irq_set.flags, flags);
  set(request, vfio_irq_set.start, start);
  set(request, vfio_irq_set.count, count);
  request.set(data, vfio_irq_set.size);
  return request;
}

/** Numbers as s32, little-endian. */
function words(numbers: readonly number[]): readonly number[] {
  return [...new Uint8Array(new Int32Array(numbers).buffer)];
}

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
