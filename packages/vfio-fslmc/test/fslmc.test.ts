import { describe, expect, it } from 'vitest';
import {
  ApicMsi,
  get,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  Host,
  setIrqs,
  setIrqTriggers,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  type ProfileName,
} from '@vsim/vfio-core';
import { busSuite, outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import { FslMcBus, ManagementComplex, MC_GET_ATTR, mcCommand, McIo, NO_MSI, NULL_IRQ, OBJECT_SKIPPED, RESET_FAILED, TOO_MANY_IRQS } from '../src/index.ts';
import { openCommand, send, setUp, status, token } from './set-up.ts';

describe.each(['linux-5.13', 'linux-6.1'] as const)('a DPRC given to user space, %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { root, assign, start, group } = setUp({ profile });
    assign();
    return { process: root, device: 'dprc.2', group: Number(group()), unbind: () => start('drivers/vfio-fsl-mc/unbind', 'dprc.2') };
  })) {
    it(name, run);
  }
});

describe.each(['linux-5.13', 'linux-6.1'] as const)('a child given to user space, %s', (profile) => {
  for (const { name, run } of vfioDeviceSuite(() => {
    const { root, assign, start, group } = setUp({ profile });
    assign();
    // Its group goes when the container goes.
    return { process: root, device: 'dpio.1', group: Number(group()), unbind: () => start('drivers/vfio-fsl-mc/unbind', 'dprc.2') };
  })) {
    it(name, run);
  }
});

describe('the fsl-mc bus in sysfs', () => {
  for (const { name, run } of busSuite(() => {
    const { root, prepare } = setUp();
    prepare();
    return { process: root, bus: '/sys/bus/fsl-mc', device: 'dprc.2', driver: 'vfio-fsl-mc' };
  })) {
    it(name, run);
  }
});

describe('the bus', () => {
  it('scans at boot, allocatable objects first, and puts a context into a group', () => {
    const { started, names, bus, root, group } = setUp();
    expect(started).toBe(0);
    expect(names()).toEqual(['dprc.1', 'dprc.2', 'dpbp.0', 'dpcon.0', 'dpmcp.0', 'dpni.0', 'dpni.1', 'dpio.0', 'dpio.1']);
    expect(bus.device('dpmcp.0')?.iommuGroup).toBe(bus.device('dprc.2')?.iommuGroup);
    // No driver was tried for it, so that nobody has asked for its DMA.
    expect(bus.device('dpio.1')?.iommuGroup).toBeUndefined();
    expect(bus.device('dprc.1')?.iommuGroup).not.toBe(bus.device('dprc.2')?.iommuGroup);
    expect(root.readFile('/sys/bus/fsl-mc/devices/dpni.0/modalias')).toBe('fsl-mc:v00001957ddpni\n');
    expect(group()).toBe('1');
  });

  it('[fslmc 20] [fslmc D15] [fslmc D16] follows the container: objects come, go, and are plugged', () => {
    const { guest, names, bus, store } = setUp();
    const added = guest.add({ type: 'dpni', id: 5 });
    expect(names()).toContain('dpni.5');
    guest.remove(added);
    expect(names()).not.toContain('dpni.5');
    // Only the root is rescanned by hand, and only its interrupt can be turned off.
    expect([store('autorescan', 'x'), store('autorescan', '-1'), bus.device('dprc.1')?.listening]).toEqual([1, 2, true]);
    store('autorescan', '0');
    bus.mc.root.add({ type: 'dpmac', id: 1 });
    expect(names()).not.toContain('dpmac.1');
    store('rescan', '1');
    expect(names()).toContain('dpmac.1');
    expect([outcomeOf(() => store('rescan', 'yes')), store('rescan', '18446744073709551615')]).toEqual(['EINVAL', 20]);
  });

  it('releases the driver of a container that is unplugged, and looks for one when it is plugged', () => {
    const { mc, bus, names } = setUp();
    const guest = mc.root.objects[0]!;
    guest.plugged = false;
    mc.root.raise(0, 1);
    expect([bus.device('dprc.2')?.driverName, names()]).toEqual([undefined, ['dprc.1', 'dprc.2']]);
    guest.plugged = true;
    mc.root.raise(0, 1);
    expect([bus.device('dprc.2')?.driverName, names().length]).toEqual(['fsl_mc_dprc', 9]);
  });

  it('has one thread for the container\'s interrupt, however often it is raised before that runs [R10]', () => {
    const { host, mc, guest, names } = setUp();
    const threads = (): number => host.scheduler.threads.filter(({ name }) => name.startsWith('irq/')).length;
    const most = host.scheduler.call('writer', (function* () {
      yield { point: 'test' };
      for (let n = 0; n < 50; n += 1) mc.root.raise(0, 1);
      guest.add({ type: 'dpni', id: 7 });
      return threads();
    })());
    // One for the root, and one for the container.
    expect([most, threads(), names().includes('dpni.7')]).toEqual([2, 0, true]);
  });

  it('warns where objects have more interrupts than a container can keep, and goes on', () => {
    const { guest, events, names } = setUp();
    // Eight are there: the two of dpni.0, and one each of six.
    guest.add({ type: 'dpni', id: 5, irqs: 248 });
    expect(events.filter(({ id }) => id === TOO_MANY_IRQS.id)).toEqual([]);
    guest.add({ type: 'dpni', id: 6 });
    expect([events.filter(({ id }) => id === TOO_MANY_IRQS.id).map(({ text }) => text), names().includes('dpni.6')]).toEqual([['dprc.2: 257 interrupts are needed, and 256 are there'], true]);
    const none = setUp({ msi: 'none' });
    none.guest.add({ type: 'dpni', id: 5, irqs: 255 });
    none.store('rescan', '1');
    expect(none.events.filter(({ id }) => id === TOO_MANY_IRQS.id)).toEqual([]);
  });

  it('translates offsets by ranges where the MC gives no base', () => {
    const host = new Host();
    const mc = new ManagementComplex(host, { apiVersion: [6, 0] });
    mc.root.add({ type: 'dpio', id: 0 });
    mc.root.add({ type: 'dpmcp', id: 0 });
    const events = host.trace.record();
    const ranged = new FslMcBus(host, { mc, msi: new ApicMsi(host), ranges: [{ kind: 'qbman', offset: 0, size: 0x8_0000, start: 0x8_1800_0000 }] });
    host.scheduler.call('boot', ranged.start());
    expect(ranged.device('dpio.0')?.regions).toEqual([{ start: 0x8_1800_0000, size: 0x1000, flags: 3 }, { start: 0x8_1801_0000, size: 0x1000, flags: 0 }]);
    expect(events.filter(({ id }) => id === OBJECT_SKIPPED.id).map(({ text }) => text)).toEqual(['dprc.1: dpmcp.0: error -14']);
  });

  it('refuses an MC that is too old, and a container without MSI domain [fslmc 7] [fslmc D10]', () => {
    const old = setUp({ apiVersion: [5, 9] });
    expect([old.names(), old.bus.device('dprc.1')?.driverName, old.mc.handles, old.bus.portals.size]).toEqual([['dprc.1'], undefined, 0, 1]);
    const { events, names, bus, mc } = setUp({ msi: 'none' });
    expect([events.filter(({ id }) => id === NO_MSI.id).length, names(), bus.device('dprc.1')?.driverName, mc.handles]).toEqual([2, ['dprc.1'], undefined, 0]);
  });
});

describe('the device interface', () => {
  it('[vfio 5.6/1] [vfio 5.6/7] [fslmc D1] has RESET for a container, and in 6.1 resets all, which only a container tells', () => {
    const flags = (profile: ProfileName) => {
      const { assign, openGroup, root, dpni, guest } = setUp({ profile });
      assign();
      const { device } = openGroup();
      const [dprcFd, dpniFd] = [device('dprc.2'), device('dpni.0')];
      const found = [getDeviceInfo(root, dprcFd), getDeviceInfo(root, dpniFd)].map((info) => [info.flags, info.numRegions, info.numIrqs]);
      const resets = [outcomeOf(() => root.ioctl(dpniFd, VFIO_DEVICE_RESET)), dpni.resets, guest.resets];
      return [...found, resets, outcomeOf(() => root.ioctl(dprcFd, VFIO_DEVICE_RESET)), guest.resets];
    };
    expect(flags('linux-5.13')).toEqual([[0x41, 1, 1], [0x40, 0, 2], ['ENOTTY', 0, 0], 'success', 1]);
    expect(flags('linux-6.1')).toEqual([[0x41, 1, 1], [0x40, 0, 2], ['success', 1, 0], 'success', 1]);
  });

  it('[vfio 5.6/2] [vfio 5.6/4] maps the pages of any region but a container’s', () => {
    const { assign, openGroup, root } = setUp();
    assign();
    const { device } = openGroup();
    const [dprc, dpio, dpmcp] = [device('dprc.2'), device('dpio.0'), device('dpmcp.0')];
    expect([getRegionInfo(root, dprc, 0).flags, getRegionInfo(root, dpio, 1), getRegionInfo(root, dpmcp, 0).flags]).toMatchObject([3, { offset: 1n << 40n, size: 0x1_0000n, flags: 7 }, 7]);
    expect(outcomeOf(() => getRegionInfo(root, dpio, 2))).toBe('EINVAL');
    expect(outcomeOf(() => root.mmap(dprc, 0x1000))).toBe('EINVAL');
    expect(outcomeOf(() => root.mmap(dpio, 0x2_0000))).toBe('EINVAL');
    // A command through the mapped portal of the dpmcp.
    const portal = root.mmap(dpmcp, 0x1_0000);
    const command = openCommand('dpni', 1);
    for (const offset of [8, 12, 0, 4]) portal.write(offset, 4, get(command, [offset, 'u32']));
    const answer = portal.readBytes(0, 64);
    expect([status(answer), token(answer) > 0]).toEqual([0, true]);
  });

  it('[vfio 5.6/3] passes whole commands through the kernel, and leaves the status to the reader', () => {
    const { assign, openGroup, root, mc } = setUp();
    assign();
    const dprc = openGroup().device('dprc.2');
    const refused = (length: number, offset: number) => [outcomeOf(() => root.pwrite(dprc, new Uint8Array(length), offset)), outcomeOf(() => root.pread(dprc, new Uint8Array(length), offset))];
    expect([refused(63, 0), refused(65, 0), refused(64, 8), refused(64, 2 ** 40)]).toEqual(Array.from({ length: 4 }, () => ['EINVAL', 'EINVAL']));
    const opened = send(root, dprc, openCommand('dpbp', 0));
    expect([status(opened), token(opened) > 0]).toEqual([0, true]);
    expect(status(send(root, dprc, openCommand('dpbp', 9)))).toBe(6);
    expect(status(send(root, dprc, mcCommand(MC_GET_ATTR, 1, 0xbeef)))).toBe(3);
    mc.hung = true;
    expect(outcomeOf(() => root.pwrite(dprc, openCommand('dpbp', 1), 0))).toBe('ETIMEDOUT');
  });

  it('[vfio 5.6/4] maps through the caches only what is cacheable and shareable', () => {
    const { guest, assign, openGroup, root } = setUp();
    const regions = [0, 1, 2, 3].map((flags) => ({ kind: 'qbman', offset: 0x10_0000 + flags * 0x1_0000, size: 0x1_0000, flags }) as const);
    guest.add({ type: 'dpio', id: 5 }).regions.splice(0, 2, ...regions);
    assign();
    const { device } = openGroup();
    const fd = device('dpio.5');
    expect(regions.map((_, index) => root.mmap(fd, 0x1_0000, index * 2 ** 40).cacheable)).toEqual([false, false, false, true]);
    // Of the two portals of a real dpio the first is so; memory always is.
    const real = device('dpio.0');
    expect([root.mmap(real, 0x1_0000).cacheable, root.mmap(real, 0x1_0000, 2 ** 40).cacheable, root.mmap(-1, 0x1000).cacheable]).toEqual([true, false, true]);
  });

  it('[vfio 5.6/8] [vfio D61-41] resets on the last close: the container in 5.13, the object in 6.1', () => {
    const close = (profile: ProfileName) => {
      const { assign, openGroup, root, dpni, guest, mc, events } = setUp({ profile });
      assign();
      const { device } = openGroup();
      const sibling = device('dpni.1');
      const fd = device('dpni.0');
      dpni.enabled = true;
      guest.objects[1]!.enabled = true;
      root.close(fd);
      const out = [dpni.enabled, guest.objects[1]!.enabled, guest.resets];
      mc.hung = true;
      root.close(sibling);
      return [...out, events.filter(({ id }) => id === RESET_FAILED.id).length];
    };
    expect(close('linux-5.13')).toEqual([false, false, 1, 1]);
    expect(close('linux-6.1')).toEqual([false, true, 0, 1]);
  });

  it('[vfio 5.6/5] [vfio 5.6/6] hands an interrupt of the object to an eventfd', () => {
    const { assign, openGroup, root, dpni, driver, bus, host } = setUp();
    assign();
    const fd = openGroup().device('dpni.0');
    expect([getIrqInfo(root, fd, 1), outcomeOf(() => getIrqInfo(root, fd, 2))]).toEqual([{ flags: 1, count: 1 }, 'EINVAL']);
    const eventfd = root.eventfd();
    setIrqTriggers(root, fd, 1, 0, [eventfd]);
    const interrupts = () => driver.vfioDevice(bus.device('dpni.0')!)?.interrupts;
    expect(interrupts()).toEqual([{ hwirq: 230_000, name: undefined }, { hwirq: 230_001, name: 'vfio-irq[230001](dpni.0)' }]);
    // The user turns the interrupt on in the object, by commands.
    const io = new McIo(host, bus.device('dprc.2')!.regions[0]!.start);
    const handle = io.open('dpni', 0);
    io.setIrqMask(handle, 1, 1);
    io.setIrqEnable(handle, 1, true);
    const messages: object[] = [];
    const stop = host.trace.follow(({ id, fields }) => { if (id === 'irq/msi-sent') messages.push(fields); });
    dpni.raise(1, 1);
    stop();
    expect(messages).toMatchObject([{ device: 'dpni.0', requester: dpni.icid }]);
    expect(root.readEventfd(eventfd)).toBe(1n);
    setIrqTriggers(root, fd, 1, 0, [-1]);
    dpni.raise(1, 1);
    expect(root.readEventfd(eventfd)).toBe(0n);
    const pool = bus.device('dprc.2')!.dprc!.irqs!;
    expect([pool.size, pool.inUse]).toEqual([256, 2]);
    io.close(handle);
    root.close(fd);
    expect([pool.size, pool.inUse, interrupts()]).toEqual([0, 0, []]);
  });

  it('[vfio 5.6/5] refuses all but TRIGGER of one, and short pools', () => {
    const { assign, openGroup, root, events } = setUp({ profile: 'linux-5.13' });
    assign();
    const fd = openGroup().device('dpni.0');
    const set1 = (action: number, start: number, count: number) => outcomeOf(() => setIrqs(root, fd, 0, action, start, count));
    expect([set1(VFIO_IRQ_SET_ACTION_MASK, 0, 1), set1(VFIO_IRQ_SET_ACTION_TRIGGER, 1, 1), set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2)]).toEqual(['EINVAL', 'EINVAL', 'EINVAL']);
    expect([set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0), events.at(-1)?.id]).toEqual(['success', NULL_IRQ.id]);
    // Allocated by now, and still without trigger: a loopback would follow a NULL pointer.
    setIrqTriggers(root, fd, 0, 0, [-1]);
    expect([set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1), events.at(-1)?.text]).toEqual(['success', 'dpni.0: interrupt 0: NULL pointer dereference of its trigger']);
    // Later kernels look first.
    const guarded = setUp();
    guarded.assign();
    const later = guarded.openGroup().device('dpni.0');
    setIrqTriggers(guarded.root, later, 0, 0, [-1]);
    expect([outcomeOf(() => setIrqs(guarded.root, later, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1)), guarded.events.filter(({ id }) => id === NULL_IRQ.id)]).toEqual(['success', []]);
    const short = setUp({ msi: 300 });
    short.store('devices/dprc.2/driver_override', 'vfio-fsl-mc');
    short.bind();
    expect(outcomeOf(() => { setIrqTriggers(short.root, short.openGroup().device('dpni.0'), 0, 0, [short.root.eventfd()]); })).toBe('ENOSPC');
  });
});

describe('the Management Complex', () => {
  it('refuses what it cannot hold', () => {
    const { mc, guest, dpni } = setUp();
    expect(() => guest.add({ type: 'dpxx', id: 0 })).toThrow('"type" expected a type of object, got dpxx');
    expect(() => guest.add({ type: 'dpni', id: 0 })).toThrow('"id" expected a new one, got dpni.0');
    expect(() => { mc.root.remove(dpni); }).toThrow('"object" expected an object of dprc.1, got dpni.0');
    expect(() => { dpni.raise(2, 1); }).toThrow('"index" expected an interrupt of dpni.0 in [0, 2), got 2');
  });
});
