import { describe, expect, it } from 'vitest';
import {
  ApicMsi,
  BlockedError,
  ENOTSUPP,
  ETIMEDOUT,
  get,
  getDeviceFd,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  Host,
  Process,
  REGISTERED,
  REGISTERING,
  set,
  setContainer,
  setIrqs,
  setIrqTriggers,
  SmmuV3Iommu,
  Vfio,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type ProfileName,
} from '@vsim/vfio-core';
import { busSuite, outcomeOf, vfioDeviceSuite } from '@vsim/vfio-core/testing';
import {
  FOREIGN_DRIVER,
  FslMcBus,
  ManagementComplex,
  MC_GET_ATTR,
  MC_RESET,
  mc_header,
  mcCommand,
  McIo,
  NO_MSI,
  NULL_IRQ,
  OBJECT_SKIPPED,
  OPEN_COMMANDS,
  PARAMS,
  RESET_FAILED,
  statusError,
  VfioFslMcDriver,
  type ManagementComplexInit,
} from '../src/index.ts';

interface SetUp extends ManagementComplexInit {
  readonly profile?: ProfileName;
  readonly msi?: 'none' | number;
  readonly iommu?: boolean;
}

/** A root container with one of its own for user space: 2 dpni, 2 dpio, dpbp, dpcon, dpmcp. */
function setUp(init: SetUp = {}) {
  const host = new Host({ profile: init.profile });
  const events = host.trace.record();
  const vfio = new Vfio(host);
  const mc = new ManagementComplex(host, init);
  const guest = mc.root.addContainer({ id: 2, icid: 23 });
  const dpni = guest.add({ type: 'dpni', id: 0, irqs: 2 });
  guest.add({ type: 'dpni', id: 1 });
  guest.add({ type: 'dpio', id: 0 });
  guest.add({ type: 'dpio', id: 1 });
  guest.add({ type: 'dpbp', id: 0 });
  guest.add({ type: 'dpcon', id: 0 });
  guest.add({ type: 'dpmcp', id: 0 });
  const msi = init.msi === 'none' ? undefined : new ApicMsi(host, { entries: init.msi ?? 65_536 });
  const iommu = init.iommu === false ? undefined : new SmmuV3Iommu(host);
  const bus = new FslMcBus(host, { mc, iommu, msi });
  const driver = new VfioFslMcDriver(bus, vfio);
  const started = host.scheduler.call('boot', bus.start());
  host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(driver));
  const root = new Process(host, { name: 'root' });
  const store = (path: string, text: string) => root.writeFile(`/sys/bus/fsl-mc/${path}`, text);
  const prepare = () => {
    store('devices/dprc.2/driver_override', 'vfio-fsl-mc');
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
  };
  const bind = () => store('drivers/vfio-fsl-mc/bind', 'dprc.2');
  const assign = () => {
    prepare();
    return bind();
  };
  const group = () => root.readlink('/sys/bus/fsl-mc/devices/dprc.2/iommu_group').split('/').at(-1)!;
  const openGroup = () => {
    const container = root.open('/dev/vfio/vfio');
    const groupFd = root.open(`/dev/vfio/${group()}`);
    setContainer(root, groupFd, container);
    root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return { container, group: groupFd, device: (name: string) => getDeviceFd(root, groupFd, name) };
  };
  const names = () => bus.devices.map(({ name }) => name);
  const start = (path: string, text: string) => root.start(path, root.sys.writeFile(`/sys/bus/fsl-mc/${path}`, text));
  /** Nothing of a container in user space is left. */
  const leftOvers = () => ({ notifiers: driver.notifiers, handles: mc.handles, portals: bus.portals, groups: vfio.groups.length, threads: host.scheduler.threads.length });
  return { host, events, vfio, mc, guest, dpni, bus, driver, started, root, store, start, prepare, bind, assign, group, openGroup, names, leftOvers };
}

/** Sends one command through a device fd at `offset` and reads what the portal then holds. */
function send(root: Process, fd: number, command: Uint8Array, offset = 0): Uint8Array {
  root.pwrite(fd, command, offset);
  const answer = new Uint8Array(64);
  root.pread(fd, answer, offset);
  return answer;
}

const openCommand = (type: string, id: number) => {
  const command = mcCommand(OPEN_COMMANDS.get(type)!, 1, 0);
  set(command, [PARAMS, 'u32'], id);
  return command;
};
const status = (answer: Uint8Array) => get(answer, mc_header.status);
const token = (answer: Uint8Array) => get(answer, mc_header.token);

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

describe('commands', () => {
  it('[vfio 5.2/7] [vfio 5.2/8] [vfio 5.2/9] [vfio 5.2/10] [vfio 5.2/11] [vfio 5.2/12] [vfio 5.2/13] [vfio 5.2/14] [vfio 5.2/15] [vfio 5.2/16] [vfio 5.2/17] [vfio 5.2/18] [vfio 5.2/19] end with an errno by their status', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255].map(statusError)).toEqual([0, -110, -0, -13, -1, -5, -6, -110, -119, -12, -16, -524, -19, -22, -22].map((e) => (e === 0 ? 0 : e)));
  });

  it('[vfio 5.2/3] [vfio 5.2/5] [vfio 5.2/6] are 64 bytes, header last, little-endian', () => {
    const { host, mc } = setUp();
    const { memory } = host;
    // Parameters first, in any order: nothing happens before the last byte of the header.
    memory.write32(mc.base + 8, 1);
    memory.write32(mc.base, 0x0001_0000);
    expect(memory.read8(mc.base + 2)).toBe(1);
    memory.write32(mc.base + 4, 0x8301_0000);
    expect([memory.read8(mc.base + 2), memory.read32(mc.base + 8)]).toEqual([0, 1]);
  });

  it('[vfio 5.3/1] [vfio 5.3/2] [vfio 5.3/3] [vfio 5.3/4] [vfio 5.3/5] [vfio 5.3/6] open, describe and close a container', () => {
    const { host, mc } = setUp();
    const io = new McIo(host.memory, mc.base);
    expect([io.version(), io.containerId(), io.apiVersion()]).toEqual([0, 1, [6, 6]]);
    const other = io.open('dprc', 2);
    expect([other > 0, io.icid(other), io.open('dprc', 2), io.open('dprc', 9)]).toEqual([true, 23, -16, -6]);
    expect([io.close(other), io.close(other), io.icid(other)]).toEqual([0, -13, -13]);
  });

  it('[vfio 5.3/9] [vfio 5.3/10] [vfio 5.3/11] tell what is in a container', () => {
    const { host, mc } = setUp();
    const io = new McIo(host.memory, mc.base);
    const handle = io.open('dprc', 2);
    expect(io.objectCount(handle)).toBe(7);
    expect(io.object(handle, 0)).toEqual({ type: 'dpni', id: 0, vendor: 0x1957, version: [7, 0], irqCount: 2, regionCount: 0, state: 2, label: '', flags: 0 });
    expect(io.object(handle, 7)).toBe(-6);
    const dpio = io.object(handle, 2);
    if (typeof dpio === 'number') throw new Error('no dpio');
    expect(io.region(handle, 3, dpio, 0)).toEqual({ kind: 'qbman-memory', offset: 0, size: 0x1_0000, flags: 3, base: mc.qbmanBase });
    expect(io.region(handle, 1, dpio, 1)).toEqual({ kind: 'qbman', offset: 0x1_0000, size: 0x1000, flags: 0, base: 0 });
    expect([io.region(handle, 4, dpio, 0), io.region(handle, 3, dpio, 2)]).toEqual([-ENOTSUPP, -6]);
  });

  it('[vfio 5.3/8] [vfio 5.3/12] [vfio 5.3/14] configure interrupts and state of an object', () => {
    const { host, mc, dpni } = setUp();
    const io = new McIo(host.memory, mc.portalOf(mc.root)!.id * 0x1_0000 + mc.base);
    const handle = io.open('dpni', 0);
    const target = 0x1_0000_1000;
    expect([io.setIrq(handle, undefined, 1, target, 0xabcd), io.setIrqMask(handle, 1, 6), io.setIrq(handle, undefined, 2, 0, 0)]).toEqual([0, 0, -6]);
    dpni.raise(1, 2);
    expect([host.memory.read32(target), io.irqStatus(handle, 1)]).toEqual([0, 2]);
    io.setIrqEnable(handle, 1, true);
    dpni.raise(1, 1);
    expect([host.memory.read32(target), io.irqStatus(handle, 1)]).toEqual([0xabcd, 3]);
    expect([io.clearIrqStatus(handle, 1, 2), io.irqStatus(handle, 1)]).toEqual([0, 1]);
    expect([io.send(mcCommand(2, 1, handle)), dpni.enabled, io.reset(handle), dpni.enabled, io.irqStatus(handle, 1)]).toEqual([0, true, 0, false, 0]);
    expect(io.send(mcCommand(0x7ff, 1, handle))).toBe(-ENOTSUPP);
  });

  it('[vfio 5.3/7] reset a container: its objects, their handles, and with version 1 what is below', () => {
    const { bus, guest, dpni } = setUp();
    const below = guest.addContainer({ id: 3, icid: 24 });
    const deep = below.add({ type: 'dpbp', id: 7 });
    const { io, handle: own } = bus.device('dprc.2')!.dprc!;
    const handle = io.open('dpni', 0);
    expect([io.resetContainer(own, 2, 2), dpni.resets, deep.resets]).toEqual([0, 1, 0]);
    expect([io.reset(handle), io.icid(own)]).toEqual([-13, 23]);
    expect([io.resetContainer(own, 2, 1), deep.resets, io.resetContainer(own, 9, 2)]).toEqual([0, 1, -6]);
  });

  it('fail with one status and nothing done, whatever their fields are', () => {
    const { host, root, assign, openGroup, guest } = setUp();
    assign();
    const dprc = openGroup().device('dprc.2');
    const opened = send(root, dprc, openCommand('dprc', 2));
    const tokenBefore = token(opened);
    const before = guest.objects.map((o) => [o.enabled, o.resets]);
    const statuses = new Set<number>();
    for (let id = 0; id < 0x1_0000; id += 37) {
      const command = mcCommand(id >>> 4, id & 15, (id * 7) & 0xffff);
      command.fill(id & 0xff, PARAMS);
      if ((id >>> 4) === MC_RESET || token(command) === tokenBefore) continue;
      statuses.add(status(send(root, dprc, command)));
    }
    expect([...statuses].sort((a, b) => a - b)).toEqual([0, 3, 6]);
    expect([guest.objects.map((o) => [o.enabled, o.resets]), host.scheduler.threads]).toEqual([before, []]);
  });
});

describe('the bus', () => {
  it('scans at boot, allocatable objects first, and puts a context into a group', () => {
    const { started, names, bus, root, group } = setUp();
    expect(started).toBe(0);
    expect(names()).toEqual(['dprc.1', 'dprc.2', 'dpbp.0', 'dpcon.0', 'dpmcp.0', 'dpni.0', 'dpni.1', 'dpio.0', 'dpio.1']);
    expect(bus.device('dpio.1')?.iommuGroup).toBe(bus.device('dprc.2')?.iommuGroup);
    expect(bus.device('dprc.1')?.iommuGroup).not.toBe(bus.device('dprc.2')?.iommuGroup);
    expect(root.readFile('/sys/bus/fsl-mc/devices/dpni.0/modalias')).toBe('fsl-mc:v00001957ddpni\n');
    expect(group()).toBe('1');
  });

  it('follows the container: objects come, go, and are plugged', () => {
    const { guest, names, bus, store } = setUp();
    const added = guest.add({ type: 'dpni', id: 5 });
    expect(names()).toContain('dpni.5');
    guest.remove(added);
    expect(names()).not.toContain('dpni.5');
    // Only the root is rescanned by hand, and only its interrupt can be turned off.
    expect(outcomeOf(() => store('autorescan', 'x'))).toBe('EINVAL');
    store('autorescan', '0');
    bus.mc.root.add({ type: 'dpmac', id: 1 });
    expect(names()).not.toContain('dpmac.1');
    store('rescan', '1');
    expect(names()).toContain('dpmac.1');
    expect(outcomeOf(() => store('rescan', 'yes'))).toBe('EINVAL');
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

  it('translates offsets by ranges where the MC gives no base', () => {
    const host = new Host();
    const mc = new ManagementComplex(host, { apiVersion: [6, 0] });
    mc.root.add({ type: 'dpio', id: 0 });
    mc.root.add({ type: 'dpmcp', id: 0 });
    const events = host.trace.record();
    const ranged = new FslMcBus(host, { mc, ranges: [{ kind: 'qbman', offset: 0, size: 0x8_0000, start: 0x8_1800_0000 }, { kind: 'qbman-memory', offset: 0, size: 0x8_0000, start: 0x8_1800_0000 }] });
    host.scheduler.call('boot', ranged.start());
    expect(ranged.device('dpio.0')?.regions).toEqual([{ start: 0x8_1800_0000, size: 0x1000, flags: 3 }, { start: 0x8_1801_0000, size: 0x1000, flags: 0 }]);
    expect(events.filter(({ id }) => id === OBJECT_SKIPPED.id).map(({ text }) => text)).toEqual(['dprc.1: dpmcp.0: error -14']);
  });

  it('refuses an MC that is too old, and works without MSI domain', () => {
    const old = setUp({ apiVersion: [5, 9] });
    expect([old.names(), old.bus.device('dprc.1')?.driverName, old.leftOvers().handles, old.bus.portals]).toEqual([['dprc.1'], undefined, 0, 0]);
    const { events, names } = setUp({ msi: 'none' });
    expect(events.filter(({ id }) => id === NO_MSI.id).length).toBe(2);
    expect(names().length).toBe(9);
  });
});

describe('probe and remove', () => {
  it('[vfio P5/1] bind the container, then its children by the notifier, with driver_override alone', () => {
    const { assign, bus, store, driver, prepare, bind } = setUp();
    expect(outcomeOf(() => store('drivers/vfio-fsl-mc/bind', 'dpni.0'))).toBe('ENODEV');
    prepare();
    expect(bus.devices.map(({ name }) => name)).toEqual(['dprc.1', 'dprc.2']);
    bind();
    expect(bus.devices.filter(({ driverName }) => driverName === 'vfio-fsl-mc').length).toBe(8);
    expect([driver.notifiers, bus.device('dpni.1')?.driverOverride]).toEqual([1, 'vfio-fsl-mc']);
    expect(outcomeOf(assign)).toBe('ENODEV');
  });

  it('[vfio P5/6] show the container to user space from register on, and work while its children come', () => {
    const { host, start, prepare, openGroup, root, names, guest } = setUp();
    prepare();
    host.scheduler.stopAt(REGISTERING);
    const probe = start('drivers/vfio-fsl-mc/bind', 'dprc.2');
    expect(outcomeOf(() => openGroup())).toBe('ENOENT');
    host.scheduler.stopAt(REGISTERED);
    host.scheduler.release(REGISTERING);
    // Registered, and not one child is there yet.
    expect(names()).toEqual(['dprc.1', 'dprc.2']);
    const opened = openGroup();
    const dprc = opened.device('dprc.2');
    expect(getDeviceInfo(root, dprc)).toEqual({ flags: 0x41, numRegions: 1, numIrqs: 1 });
    const resets = guest.resets;
    root.close(dprc);
    expect(guest.resets).toBe(resets + 1);
    host.scheduler.release(REGISTERED);
    expect(probe.result()).toBe('dprc.2'.length);
    expect(names().length).toBe(9);
  });

  it('[vfio P5/6] [vfio P5/4] [vfio Step-and-unwind-matrices/24] [vfio Step-and-unwind-matrices/29] [vfio Step-and-unwind-matrices/30] leave nothing when a child is alone, or a scan fails', () => {
    const { store, leftOvers, bus } = setUp({ profile: 'linux-5.13' });
    const before = leftOvers();
    store('devices/dpni.0/driver_override', 'vfio-fsl-mc');
    // 5.13 says ENODEV for any refusal in bind.
    expect(outcomeOf(() => store('drivers/vfio-fsl-mc/bind', 'dpni.0'))).toBe('ENODEV');
    expect([leftOvers(), bus.device('dpni.0')?.driverName]).toEqual([before, undefined]);

    const failing = setUp();
    failing.prepare();
    const clean = failing.leftOvers();
    // The firmware stops when the container has been registered: the scan gets no answer.
    failing.host.scheduler.stopAt(REGISTERED);
    const probe = failing.start('drivers/vfio-fsl-mc/bind', 'dprc.2');
    failing.mc.hung = true;
    failing.host.scheduler.release(REGISTERED);
    expect(probe.result()).toBe(-ETIMEDOUT);
    expect(failing.driver.vfioDevice(failing.bus.device('dprc.2')!)).toBeUndefined();
    // The handle could not be closed: nobody answers.
    expect({ ...failing.leftOvers(), handles: 0 }).toEqual({ ...clean, handles: 0 });
  });

  it('[vfio Step-and-unwind-matrices/28] [vfio P5/4] undo all when the device cannot be registered', () => {
    class NotCoherent extends SmmuV3Iommu {
      override readonly coherent: boolean = false;
    }
    const { bus, host, prepare, bind, leftOvers } = setUp({ iommu: false });
    prepare();
    const before = leftOvers();
    const device = bus.device('dprc.2')!;
    const group = new NotCoherent(host).addGroup([device]);
    expect([outcomeOf(bind), leftOvers(), device.dprc, device.driverName]).toEqual(['EINVAL', before, undefined, undefined]);
    group.removeDevice(device);
    new SmmuV3Iommu(host).addGroup([device]);
    expect(outcomeOf(bind)).toBe('success');
  });

  it('[vfio P5/4] [vfio Step-and-unwind-matrices/22] [vfio Step-and-unwind-matrices/25] [vfio Step-and-unwind-matrices/26] undo set-up when portal, group or firmware refuse', () => {
    const noGroup = setUp({ iommu: false });
    noGroup.prepare();
    const clean = noGroup.leftOvers();
    expect([outcomeOf(noGroup.bind), noGroup.leftOvers()]).toEqual(['EINVAL', clean]);
    const taken = setUp();
    taken.prepare();
    const before = taken.leftOvers();
    const { start } = taken.bus.device('dprc.2')!.regions[0]!;
    taken.bus.takePortal(start);
    expect(outcomeOf(taken.bind)).toBe('EBUSY');
    taken.bus.putPortal(start);
    expect(taken.leftOvers()).toEqual(before);
    taken.mc.hung = true;
    expect([outcomeOf(taken.bind), taken.leftOvers()]).toEqual(['ETIMEDOUT', before]);
    taken.mc.hung = false;
    expect(outcomeOf(taken.bind)).toBe('success');
  });

  it('[vfio P5/5] [vfio P6/1] [vfio P6/3] take children, portal and notifier away at the end of remove', () => {
    const { assign, store, prepare, leftOvers, driver, bus, names } = setUp();
    prepare();
    const before = leftOvers();
    store('drivers_probe', 'dprc.2');
    const device = bus.device('dprc.2')!;
    const vfioDevice = driver.vfioDevice(device);
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([leftOvers(), names(), driver.vfioDevice(device), device.dprc, vfioDevice?.state]).toEqual([before, ['dprc.1', 'dprc.2'], undefined, undefined, 'gone']);
    expect(assign).toThrow();
  });

  it('warn when a child goes to another driver', () => {
    const { events, assign, store, guest, bus } = setUp();
    guest.addContainer({ id: 3, icid: 24 });
    assign();
    store('drivers/vfio-fsl-mc/unbind', 'dprc.3');
    store('devices/dprc.3/driver_override', '\n');
    store('drivers/fsl_mc_dprc/bind', 'dprc.3');
    expect(bus.device('dprc.3')?.driverName).toBe('fsl_mc_dprc');
    expect(events.filter(({ id }) => id === FOREIGN_DRIVER.id).length).toBe(1);
  });

  it('sleep until user space lets go, and say of whom', () => {
    const { assign, openGroup, start, root, mc, host, names } = setUp();
    assign();
    const opened = openGroup();
    const dpni = opened.device('dpni.0');
    const unbind = start('drivers/vfio-fsl-mc/unbind', 'dpni.0');
    expect(() => unbind.result()).toThrow(BlockedError);
    expect(unbind.outcome).toMatchObject({ state: 'asleep', what: 'the last reference of vfio device dpni.0', heldBy: [expect.stringContaining('root fd')] });
    root.close(dpni);
    expect(unbind.result()).toBe('dpni.0'.length);
    // The whole container is taken away by the management complex.
    const dprc = opened.device('dprc.2');
    mc.root.remove(mc.root.objects[0]!);
    const sleeper = host.scheduler.threads.find(({ outcome }) => outcome.state === 'asleep');
    expect(sleeper?.outcome).toMatchObject({ what: 'the last reference of vfio device dprc.2', heldBy: [expect.stringContaining('root fd')] });
    root.close(dprc);
    expect([names(), host.scheduler.threads]).toEqual([['dprc.1'], []]);
  });
});

describe('the device interface', () => {
  it('[vfio 5.6/1] [vfio 5.6/7] has RESET for a container, and in 6.1 for all', () => {
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
    expect(flags('linux-6.1')).toEqual([[0x41, 1, 1], [0x41, 0, 2], ['success', 1, 0], 'success', 1]);
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
    expect(status(send(root, dprc, openCommand('dpbp', 0)))).toBe(0xa);
    expect(status(send(root, dprc, openCommand('dpbp', 9)))).toBe(6);
    expect(status(send(root, dprc, mcCommand(MC_GET_ATTR, 1, 0xbeef)))).toBe(3);
    mc.hung = true;
    expect(outcomeOf(() => root.pwrite(dprc, openCommand('dpbp', 1), 0))).toBe('ETIMEDOUT');
  });

  it('[vfio 5.6/8] resets on the last close: the container in 5.13, the object in 6.1', () => {
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
    const io = new McIo(host.memory, bus.device('dprc.2')!.regions[0]!.start);
    const handle = io.open('dpni', 0);
    io.setIrqMask(handle, 1, 1);
    io.setIrqEnable(handle, 1, true);
    dpni.raise(1, 1);
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
    const { assign, openGroup, root, events } = setUp();
    assign();
    const fd = openGroup().device('dpni.0');
    const set1 = (action: number, start: number, count: number) => outcomeOf(() => setIrqs(root, fd, 0, action, start, count));
    expect([set1(VFIO_IRQ_SET_ACTION_MASK, 0, 1), set1(VFIO_IRQ_SET_ACTION_TRIGGER, 1, 1), set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 2)]).toEqual(['EINVAL', 'EINVAL', 'EINVAL']);
    expect([set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0), events.at(-1)?.id]).toEqual(['success', NULL_IRQ.id]);
    // Allocated by now, and still without trigger: a loopback would follow a NULL pointer.
    setIrqTriggers(root, fd, 0, 0, [-1]);
    expect([set1(VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1), events.at(-1)?.text]).toEqual(['success', 'dpni.0: interrupt 0: NULL pointer dereference of its trigger']);
    const short = setUp({ msi: 200 });
    short.assign();
    expect(outcomeOf(() => { setIrqTriggers(short.root, short.openGroup().device('dpni.0'), 0, 0, [short.root.eventfd()]); })).toBe('ENOSPC');
    const none = setUp({ msi: 'none' });
    none.assign();
    expect(outcomeOf(() => { setIrqTriggers(none.root, none.openGroup().device('dpni.0'), 0, 0, [none.root.eventfd()]); })).toBe('EINVAL');
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
