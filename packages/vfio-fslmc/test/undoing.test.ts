/** What a close, a remove or a failure halfway leaves behind in the firmware and in the kernel: nothing; and in which order it goes. */
import { describe, expect, it } from 'vitest';
import { ApicMsi, EACCES, ENOMEM, ENOSPC, Host, setIrqTriggers, VFIO_DEVICE_RESET, VFIO_GROUP_GET_DEVICE_FD, type Process, type ProfileName } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { CONTAINER_LOCK_ALLOCATION, IrqPool, MC_DISABLE, MC_ENABLE, mcCommand, McIo, NOTIFIER_REGISTRATION, RESET_FAILED, SCAN } from '../src/index.ts';
import { setUp, type SetUp } from './set-up.ts';

const BOTH: readonly ProfileName[] = ['linux-5.13', 'linux-6.1'];

/** dprc.2 and its objects are vfio-fsl-mc's, and their group is in a container. */
function assigned(init: SetUp = {}) {
  const { assign, openGroup, host, root, mc, events, vfio, driver, bus, guest, start, leftOvers } = setUp(init);
  assign();
  return { host, root, mc, events, vfio, driver, bus, guest, start, leftOvers, ...openGroup() };
}

/** As getDeviceFd(), in a thread of its own. */
function opening(root: Process, group: number, name: string) {
  return root.start(`open ${name}`, root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${name}\0`)));
}

describe('handles of the Management Complex', () => {
  it.each(BOTH)('are given back by the last close, which resets: %s', (profile) => {
    const { root, device, mc, events } = assigned({ profile });
    const before = mc.handles;
    for (const name of ['dpni.0', 'dpni.0', 'dprc.2', 'dprc.2']) root.close(device(name));
    expect([mc.handles, events.filter(({ id }) => id === RESET_FAILED.id)]).toEqual([before, []]);
  });

  it('are given back by a reset of an object, which is repeated', () => {
    const { root, device, mc } = assigned();
    const fd = device('dpni.0');
    const before = mc.handles;
    expect([root.ioctl(fd, VFIO_DEVICE_RESET), root.ioctl(fd, VFIO_DEVICE_RESET), mc.handles]).toEqual([0, 0, before]);
  });

  it('are given back by a reset of an object that the firmware refuses', () => {
    const { root, device, mc } = assigned();
    const fd = device('dpni.0');
    const before = mc.handles;
    mc.hung = true;
    expect(outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_RESET))).toBe('ETIMEDOUT');
    mc.hung = false;
    expect([mc.handles, root.ioctl(fd, VFIO_DEVICE_RESET)]).toEqual([before, 0]);
  });

  it.each(BOTH)('are given back by remove, whichever driver had the container: %s', (profile) => {
    const { mc, store, prepare, bind } = setUp({ profile });
    const kernels = mc.handles;
    prepare();
    const none = mc.handles;
    bind();
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([kernels - none, mc.handles]).toEqual([1, none]);
  });

  it('of a dpmcp that was lent are given back with it, and it can be lent again', () => {
    const { root, mc } = setUp();
    mc.root.add({ type: 'dpmcp', id: 7 });
    root.writeFile('/sys/bus/fsl-mc/rescan', '1');
    const before = mc.handles;
    const first = root.open('/dev/dprc.1');
    for (let i = 0; i < 3; i += 1) {
      const second = root.open('/dev/dprc.1');
      expect(mc.handles).toBe(before + 1);
      root.close(second);
      expect(mc.handles).toBe(before);
    }
    root.close(first);
    expect(mc.handles).toBe(before);
  });
});

it('a portal that is given back twice does not take the dpmcp from who has it now', () => {
  const { mc, bus } = setUp();
  mc.root.add({ type: 'dpmcp', id: 7 });
  const dprc = bus.device('dprc.1')!.dprc!;
  const portal = dprc.allocatePortal();
  if (typeof portal === 'number') throw new Error(`no portal: ${portal}`);
  dprc.freePortal(portal);
  expect(typeof dprc.allocatePortal()).toBe('object');
  dprc.freePortal(portal);
  expect([dprc.pool('dpmcp')?.lent, bus.portals.size]).toEqual([1, 3]);
});

describe('the lock of a container', () => {
  it('is that of its objects: while one is opened or closed no other is', () => {
    const { host, vfio, driver, bus, root, group } = assigned();
    const lock = vfio.deviceSetLock(driver.vfioDevice(bus.device('dprc.2')!)!);
    host.scheduler.call('hold', lock.lock());
    const opens = ['dprc.2', 'dpni.0', 'dpio.1'].map((name) => opening(root, group, name));
    expect(opens.map(({ outcome }) => outcome.state)).toEqual(['asleep', 'asleep', 'asleep']);
    lock.unlock();
    host.scheduler.settle();
    expect(opens.map(({ finished }) => finished)).toEqual([true, true, true]);
  });

  it('is not that of a container inside it, which has one of its own', () => {
    const { host, vfio, driver, bus, guest, root, assign, openGroup } = setUp();
    guest.addContainer({ id: 3, icid: 23 });
    assign();
    const { group } = openGroup();
    const lock = vfio.deviceSetLock(driver.vfioDevice(bus.device('dprc.2')!)!);
    host.scheduler.call('hold', lock.lock());
    expect(opening(root, group, 'dprc.3').finished).toBe(true);
    lock.unlock();
  });

  it.each(BOTH)('goes behind the objects: remove waits for the user of one, and the container keeps lock, portal, handle and notifier: %s', (profile) => {
    const { root, device, start, driver, bus, mc, leftOvers, group } = assigned({ profile });
    const dprc = bus.device('dprc.2')!;
    const before = leftOvers();
    const fd = device('dpni.1');
    const unbind = start('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect(unbind.outcome).toMatchObject({ state: 'asleep', what: 'the last reference of vfio device dpni.1' });
    // They go in the order in which they came: the allocatable ones and dpni.0 are gone, dpni.1 is on its way.
    expect([dprc.children.length, driver.lockUsers(dprc), driver.notifiers, mc.handles]).toEqual([3, 4, 1, before['handles']]);
    root.close(fd);
    root.close(group);
    expect([unbind.finished, driver.lockUsers(dprc), driver.notifiers, mc.handles]).toEqual([true, 0, 0, before['handles']! - 1]);
  });

  it.each(BOTH)('is kept by a probe whose scan failed, until the children that it found are gone: %s', (profile) => {
    const { host, bus, driver, prepare, start } = setUp({ profile });
    prepare();
    const dprc = bus.device('dprc.2')!;
    const seen: string[] = [];
    bus.listen({ busEvent: (event, { name }) => { if (event === 'unbound' && name !== 'dprc.2') seen.push(`${name}: ${driver.lockUsers(dprc)}`); } });
    host.faults.failNext(SCAN);
    const probe = start('drivers/vfio-fsl-mc/bind', 'dprc.2');
    expect(probe.result()).toBe(profile === 'linux-5.13' ? -19 : -ENOMEM);
    expect(seen).toEqual(['dpbp.0: 7', 'dpcon.0: 6', 'dpmcp.0: 5', 'dpni.0: 4', 'dpni.1: 3', 'dpio.0: 2', 'dpio.1: 1']);
    expect(driver.lockUsers(dprc)).toBe(0);
  });
});

describe('a probe before patch 5, which fails when the container is public already', () => {
  it.each([
    ['the lock', CONTAINER_LOCK_ALLOCATION],
    ['the notifier', NOTIFIER_REGISTRATION],
    ['the scan', SCAN],
  ] as const)('leaves nothing where %s fails, and the container can be bound afterwards', (_, point) => {
    const { host, bus, prepare, bind, leftOvers } = setUp({ profile: 'linux-5.13', without: [5] });
    prepare();
    const before = leftOvers();
    host.faults.failNext(point);
    expect(outcomeOf(bind)).toBe('ENODEV');
    const device = bus.device('dprc.2')!;
    expect([leftOvers(), device.children, device.dprc, device.driverName]).toEqual([before, [], undefined, undefined]);
    expect(outcomeOf(bind)).toBe('success');
  });
});

describe('the kernel’s own driver of a container', () => {
  it('leaves nothing of a probe whose scan failed: no children, no portal, no handle', () => {
    const { host, bus, prepare, store, leftOvers } = setUp();
    prepare();
    const before = leftOvers();
    store('devices/dprc.2/driver_override', '\n');
    host.faults.failNext(SCAN);
    expect(outcomeOf(() => store('drivers/fsl_mc_dprc/bind', 'dprc.2'))).toBe('ENOMEM');
    const device = bus.device('dprc.2')!;
    expect([leftOvers(), device.children, device.dprc, device.driverName]).toEqual([before, [], undefined, undefined]);
    expect(outcomeOf(() => store('drivers/fsl_mc_dprc/bind', 'dprc.2'))).toBe('success');
  });

  it('gives its interrupts back when it goes, and has them again when it comes', () => {
    // The root's and dprc.2's are all that the controller has.
    const { bus, store } = setUp({ msi: 512 });
    const listens = () => bus.device('dprc.2')?.listening ?? false;
    expect(listens()).toBe(true);
    for (let i = 0; i < 2; i += 1) {
      store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
      expect(listens()).toBe(false);
      store('drivers/fsl_mc_dprc/bind', 'dprc.2');
      expect(listens()).toBe(true);
    }
  });

  it('cannot be made to listen once it is gone', () => {
    const { root, store, mc } = setUp();
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    root.writeFile('/sys/bus/fsl-mc/autorescan', '1');
    expect([root.readFile('/sys/bus/fsl-mc/autorescan'), mc.handles]).toEqual(['0\n', 0]);
  });

  it('acknowledges what the container reported', () => {
    const { mc } = setUp();
    mc.root.raise(0, 1);
    expect(mc.root.irqs[0]?.status).toBe(0);
  });
});

describe('interrupts that the controller has not all', () => {
  it('are given back, as many as there were: who wants fewer gets them', () => {
    const host = new Host();
    const msi = new ApicMsi(host, { entries: 8 });
    const pool = new IrqPool(msi, { host, icid: 1, name: 'dprc.99', sysfs: '/sys/other' }, { used: new Map(), warned: false });
    expect([pool.populate(9), pool.size, pool.populate(8), pool.size]).toEqual([-ENOSPC, 0, 0, 8]);
  });

  it('are given back by the last close of an object, for the next container', () => {
    const { root, device, bus } = assigned({ msi: 512 });
    // The root keeps 256.
    const fd = device('dpni.0');
    setIrqTriggers(root, fd, 0, 0, [root.eventfd()]);
    expect(bus.device('dprc.2')?.dprc?.irqs?.size).toBe(256);
    root.close(fd);
    const other = new IrqPool(bus.msi!, { host: root.host, icid: 99, name: 'dprc.99', sysfs: '/sys/other' }, bus.irqSpace);
    expect([bus.device('dprc.2')?.dprc?.irqs?.size, other.populate(256)]).toEqual([0, 0]);
  });
});

describe('an object that the firmware takes away or resets', () => {
  it('leaves a portal that answers AUTH_ERR to all, and another has its own place', () => {
    const { host, mc } = setUp();
    const dpmcp = mc.root.add({ type: 'dpmcp', id: 7 });
    const io = new McIo(host, mc.baseOf('mc-portal') + dpmcp.regions[0]!.offset);
    expect(io.version()).toBe(0);
    mc.root.remove(dpmcp);
    expect(io.version()).toBe(-EACCES);
    const next = mc.root.add({ type: 'dpmcp', id: 7 });
    expect(new McIo(host, mc.baseOf('mc-portal') + next.regions[0]!.offset).version()).toBe(0);
  });

  it('is open through no portal any more, and its token stands for nothing', () => {
    const { host, mc, guest, dpni } = setUp();
    const io = new McIo(host, mc.baseOf('mc-portal') + mc.portalOf(mc.root)!.id * 0x1_0000);
    const before = mc.handles;
    const handle = io.open('dpni', 0);
    expect([mc.isOpen(dpni), mc.handles]).toEqual([true, before + 1]);
    guest.remove(dpni);
    expect([mc.isOpen(dpni), mc.handles, io.reset(handle)]).toEqual([false, before, -EACCES]);
  });

  it('is disabled, and its interrupts are: nothing is enabled, masked in, or pending', () => {
    const { host, mc, dpni } = setUp();
    const io = new McIo(host, mc.baseOf('mc-portal') + mc.portalOf(mc.root)!.id * 0x1_0000);
    const handle = io.open('dpni', 0);
    const enable = () => io.send(mcCommand(MC_ENABLE, 1, handle));
    expect([enable(), dpni.enabled, io.send(mcCommand(MC_DISABLE, 1, handle)), dpni.enabled]).toEqual([0, true, 0, false]);
    enable();
    io.setIrqEnable(handle, 1, true);
    io.setIrqMask(handle, 1, 6);
    dpni.raise(1, 2);
    io.reset(handle);
    expect([dpni.enabled, dpni.irqs[1]]).toEqual([false, expect.objectContaining({ enabled: false, mask: 0, status: 0 })]);
  });
});
