/** Resets of functions and buses, asked for by users and by the last close. Catalogue: vfio 3.13, 3.2; recorded: apps/conformance, reset and hot. */
import {
  EAGAIN,
  EBADF,
  EBUSY,
  EFAULT,
  EINVAL,
  ENODEV,
  ENOSPC,
  EPERM,
  Process,
  VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
  VFIO_DEVICE_PCI_HOT_RESET,
  VFIO_DEVICE_RESET,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VfioDevice,
  getDeviceFd,
  setContainer,
  LAST_PUT,
  VFIO_GROUP_UNSET_CONTAINER,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { HOT_RESET_GROUPLESS, PciDriver, PciFunction, buildConfig, type ConfigInit, type PciDevice } from '../src/index.ts';
import { NAME, openLayout } from './config-host.ts';
import { bind, eduHost, open, type EduHostInit } from './edu-host.ts';

const PROFILES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] satisfies ProfileName[];
const ALL = ['0000:01:00.0', '0000:01:00.1', '0000:01:01.0'] as const;

/** Counts its resets. No capabilities: it can be reset by its bus alone. */
class Dumb extends PciFunction {
  resets = 0;

  protected override reset(): void {
    this.resets += 1;
  }
}

/** A conventional bridge with a device of two functions, group 20, and another, group 21, behind it. */
function busHost(init: EduHostInit = {}) {
  const made = eduHost(init);
  const { host, bus, process } = made;
  const bridge = buildConfig({ vendor: 0x1b36, device: 1, class: 0x06_0400 });
  bridge[0x0e] = 1;
  bridge.set([0, 1, 1], 0x18);
  bus.plug(new PciFunction(host, { address: '0000:00:1e.0', config: bridge }), { group: 19 });
  const functions = ALL.map((address, i) => {
    const fn = new Dumb(host, { address, config: buildConfig({ vendor: 0x1d55, device: 1 }) });
    bus.plug(fn, { group: i < 2 ? 20 : 21 });
    return fn;
  });
  /** A container with these groups, and the fds of the groups. */
  const openGroups = (...numbers: readonly number[]): { readonly container: number; readonly groups: readonly number[] } => {
    const container = process.open('/dev/vfio/vfio');
    const groups = numbers.map((number) => {
      const fd = process.open(`/dev/vfio/${number}`);
      setContainer(process, fd, container);
      return fd;
    });
    process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return { container, groups };
  };
  return { ...made, functions, openGroups };
}

/** VFIO_DEVICE_PCI_HOT_RESET by its fields. */
function hotReset(process: Process, device: number, fds: readonly number[], over: { readonly argsz?: number; readonly flags?: number; readonly count?: number } = {}): number {
  const words = Int32Array.of(over.argsz ?? 12, over.flags ?? 0, over.count ?? fds.length, ...fds);
  return process.tryIoctl(device, VFIO_DEVICE_PCI_HOT_RESET, new Uint8Array(words.buffer));
}

describe('methods of function reset', () => {
  const names = (config: ConfigInit, init: EduHostInit = {}, acpiReset = false): string => {
    const { host, bus, process } = eduHost(init);
    const { sysfs } = bus.plug(new PciFunction(host, { address: NAME, config: buildConfig(config), acpiReset }));
    return process.readFile(`${sysfs}/reset_method`).trim();
  };
  const plain = { vendor: 0x1d55, device: 9 };

  it('are tried in the kernel\'s order: its own, firmware\'s, FLR, AF, power, bus [vfio 3.13/2]', () => {
    expect(names({ ...plain, express: true, flr: true })).toBe('flr pm');
    expect(names({ ...plain, express: true, flr: true }, {}, true)).toBe('acpi flr pm');
    expect(names({ vendor: 0x8086, device: 0x0953, express: true, flr: true })).toBe('device_specific flr pm');
    expect(names({ vendor: 0x8086, device: 0x0953, express: true })).toBe('pm');
    expect(names({ vendor: 0x8086, device: 0x10ed })).toBe('device_specific');
    expect(names({ vendor: 0x1425, device: 0x4401 })).toBe('device_specific');
    expect(names({ vendor: 0x8086, device: 0x1502, express: true, flr: true })).toBe('pm');
    const { fn } = openLayout({ structures: [[0x01, 0x40, 3], [0x13, 0x50, 6, 3]] });
    const before = fn.resets;
    expect(fn.powerState).toBe(0);
    fn.host.scheduler.call('reset', new Process(fn.host).sys.writeFile(`/sys/bus/pci/devices/${NAME}/reset`, '1'));
    expect(fn.resets).toBe(before + 1);
    expect(new Process(fn.host).readFile(`/sys/bus/pci/devices/${NAME}/reset_method`)).toBe('af_flr pm\n');
  });

  it('go by the bus for a function that is alone there, and not for one that would not come back [vfio 3.13/2]', () => {
    const { bus } = busHost();
    expect(bus.device(ALL[0])?.resetMethods).toEqual(['bus']); // found before its siblings
    expect(bus.device(ALL[2])?.resetMethods).toEqual([]);
    const { host, bus: other } = eduHost();
    const bridge = buildConfig({ vendor: 0x1b36, device: 1, class: 0x06_0400 });
    bridge[0x0e] = 1;
    bridge.set([0, 1, 1], 0x18);
    other.plug(new PciFunction(host, { address: '0000:00:1e.0', config: bridge }));
    const atheros = other.plug(new PciFunction(host, { address: '0000:01:00.0', config: buildConfig({ vendor: 0x168c, device: 0x003c }) }));
    expect(atheros.resetMethods).toEqual([]);
  });

  it('are chosen by reset_method: known and possible ones, in any order, or none [vfio 3.13/2] [vfio D61-48]', () => {
    const { host, bus, process } = eduHost();
    const device = bus.plug(new PciFunction(host, { address: NAME, config: buildConfig({ ...plain, express: true, flr: true }) }), { group: 5 });
    const file = `${device.sysfs}/reset_method`;
    process.writeFile(file, 'pm flr\n');
    expect(process.readFile(file)).toBe('pm flr\n');
    for (const wrong of ['bus', 'flr bus', 'soft', 'FLR']) expect(() => process.writeFile(file, wrong)).toThrow('EINVAL');
    expect(process.readFile(file)).toBe('pm flr\n');
    process.writeFile(file, 'default');
    expect(process.readFile(file)).toBe('flr pm\n');
    process.writeFile(file, '\n');
    expect(process.readFile(file)).toBe('');
    // Nothing resets it any more: VFIO says so, too.
    bind(process, NAME);
    const { device: fd } = open(process, NAME, 5);
    expect(process.tryIoctl(fd, VFIO_DEVICE_RESET)).toBe(-EINVAL);
    const old = eduHost({ profile: 'linux-5.13' });
    old.bus.plug(new PciFunction(old.host, { address: NAME, config: buildConfig({ ...plain, express: true, flr: true }), acpiReset: true }));
    expect(() => old.process.readFile(file)).toThrow('ENOENT');
    expect(old.bus.device(NAME)?.resetMethods).toEqual(['flr', 'pm']);
  });
});

describe('VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', () => {
  it('lists what the bus reset reaches, bound or not; says how much room that takes [vfio 3.13/3]', () => {
    const { process, openGroups } = busHost();
    bind(process, ALL[0]);
    const { groups } = openGroups(20);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const info = (size: number, argsz = size): { readonly ret: number; readonly words: readonly number[] } => {
      const bytes = new Uint8Array(size).fill(0xee);
      new DataView(bytes.buffer).setUint32(0, argsz, true);
      const ret = process.tryIoctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, bytes);
      return { ret, words: [...new Uint32Array(bytes.buffer)] };
    };
    expect(info(12, 11).ret).toBe(-EINVAL);
    const small = info(32);
    expect(small.ret).toBe(-ENOSPC);
    expect(small.words).toEqual([32, 0, 3, ...new Array<number>(5).fill(0xeeee_eeee)]);
    const { ret, words } = info(36);
    expect(ret).toBe(0);
    // Group; segment, bus, devfn.
    expect(words).toEqual([36, 0, 3, 20, 0x0001_0000, 20, 0x0101_0000, 21, 0x0801_0000]);
    expect(process.tryIoctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, new Uint8Array(8))).toBe(-EFAULT);
  });

  it('is ENODEV without a bridge above, EPERM where a device is in no group [vfio 3.13/3]', () => {
    const { process, bus, events, openGroups } = busHost();
    bind(process, ALL[0]);
    bind(process, '0000:00:02.0');
    const edu = open(process);
    const bytes = new Uint8Array(36);
    bytes[0] = 36;
    expect(process.tryIoctl(edu.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, bytes)).toBe(-ENODEV);
    const { groups } = openGroups(20);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const last = bus.device(ALL[2]);
    if (last === undefined) throw new Error('no device');
    last.iommuGroup = undefined;
    expect(process.tryIoctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, bytes)).toBe(-EPERM);
    expect(events.at(-1)).toMatchObject({ id: HOT_RESET_GROUPLESS.id, fields: { device: ALL[2] } });
  });
});

/** A driver that registers PCI devices with VFIO and is not vfio-pci. */
class OtherVfioDriver extends PciDriver {
  override readonly name = 'other-vfio';
  override readonly managesDma: boolean = true;
  readonly #make: (device: PciDevice) => VfioDevice;

  constructor(make: (device: PciDevice) => VfioDevice) {
    super();
    this.#make = make;
  }

  override *probe(device: PciDevice): Sleeps<number> {
    return yield* this.#make(device).register();
  }

  override *remove(): Sleeps<void> {
    // Nobody unbinds it here.
  }
}

class Other extends VfioDevice {
  protected override *openDevice(): Sleeps<number> {
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    // Nothing is open.
  }
}

describe('VFIO_DEVICE_PCI_HOT_RESET', () => {
  it.each(PROFILES)('%s: argument, bus, count, fds and groups are looked at in this order [vfio 3.13/4]', (profile) => {
    const { process, openGroups, functions } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    bind(process, '0000:00:02.0');
    const { groups } = openGroups(20, 21, 0);
    const [two, one, foreign] = [groups[0]!, groups[1]!, groups[2]!];
    const device = getDeviceFd(process, two, ALL[0]);
    const edu = getDeviceFd(process, foreign, '0000:00:02.0');
    const resets = (): number => functions[2]!.resets;
    const before = resets();
    expect(process.tryIoctl(device, VFIO_DEVICE_PCI_HOT_RESET, new Uint8Array(8))).toBe(-EFAULT);
    expect(hotReset(process, edu, [two], { argsz: 11 })).toBe(-EINVAL);
    expect(hotReset(process, edu, [two], { flags: 1 })).toBe(-EINVAL);
    expect(hotReset(process, edu, [two])).toBe(-ENODEV);
    expect(hotReset(process, device, [], { count: 0 })).toBe(-EINVAL);
    expect(hotReset(process, device, [two, one, two, one])).toBe(-EINVAL); // more than three devices
    expect(hotReset(process, device, [], { count: 3 })).toBe(-EFAULT);
    expect(hotReset(process, device, [999, two])).toBe(-EBADF);
    expect(hotReset(process, device, [device, two])).toBe(-EINVAL);
    expect(hotReset(process, device, [two])).toBe(-EINVAL);
    expect(hotReset(process, device, [one])).toBe(-EINVAL);
    expect(resets()).toBe(before);
    // argsz is not compared with the number of fds; others' groups and repetitions do no harm.
    expect(hotReset(process, device, [two, one])).toBe(0);
    expect(hotReset(process, device, [one, foreign, two])).toBe(0);
    expect(hotReset(process, device, [two, one, two])).toBe(0);
    expect(resets()).toBe(before + 3);
  });

  it.each(PROFILES)('%s: every device has to be vfio-pci\'s [vfio 3.13/4]', (profile) => {
    const made = busHost({ profile });
    const { process, openGroups, host, bus, vfio } = made;
    host.scheduler.call('modprobe', bus.addDriver(new OtherVfioDriver((device) => new Other(vfio, device))));
    bind(process, ALL[0]);
    bind(process, ALL[1]);
    bind(process, ALL[2], 'other-vfio');
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const early = profile === 'linux-5.10' || profile === 'linux-5.13';
    expect(hotReset(process, device, groups)).toBe(early ? -EBUSY : -EINVAL);
    // Whose group is missing is told first.
    expect(hotReset(process, device, groups.slice(0, 1))).toBe(-EINVAL);
    process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', ALL[1]);
    expect(hotReset(process, device, groups)).toBe(-EINVAL);
  });

  it.each(PROFILES)('%s: a device that somebody else has locked, and then the next try [vfio 3.13/4]', (profile) => {
    const { process, openGroups, bus, functions } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const before = functions.map(({ resets }) => resets);
    bus.device(ALL[1])?.lock.tryLock();
    expect(hotReset(process, device, groups)).toBe(-EAGAIN);
    expect(functions.map(({ resets }) => resets)).toEqual(before);
    bus.device(ALL[1])?.lock.unlock();
    expect(hotReset(process, device, groups)).toBe(0);
  });

  it.each([
    ['linux-5.13', -EINVAL],
    ['linux-6.1', 0],
    ['linux-6.12', 0],
  ] as const)('%s: a group without a container is %i [vfio 3.13/5] [vfio D61-32]', (profile, outcome) => {
    const { process, openGroups } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const loose = process.open('/dev/vfio/21');
    expect(hotReset(process, device, [groups[0]!, loose])).toBe(outcome);
  });
});

describe('a hot reset of 5.10 and 5.13 holds groups and devices', () => {
  const OLD: readonly ProfileName[] = ['linux-5.10', 'linux-5.13'];

  it.each(PROFILES)('%s: a group in a container without IOMMU is no user\'s [M15]', (profile) => {
    const { process, openGroups } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const other = process.open('/dev/vfio/21');
    setContainer(process, other, process.open('/dev/vfio/vfio'));
    expect(hotReset(process, device, [groups[0]!, other])).toBe(OLD.includes(profile) ? -EINVAL : 0);
  });

  it.each(PROFILES)('%s: a container that lost its IOMMU with its other group is such a one; one that has an IOMMU of its own is not [M15]', (profile) => {
    const { process, openGroups } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    bind(process, '0000:00:02.0');
    const { groups } = openGroups(20);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const own = openGroups(21);
    expect(hotReset(process, device, [groups[0]!, own.groups[0]!])).toBe(0);
    process.ioctl(own.groups[0]!, VFIO_GROUP_UNSET_CONTAINER);
    expect(hotReset(process, device, [groups[0]!, own.groups[0]!])).toBe(OLD.includes(profile) ? -EINVAL : 0);
  });

  it.each(OLD)('%s: and lets them go, whatever came of it [M15] [M16]', (profile) => {
    const { process, openGroups, vfio, driver, bus } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const state = () => [vfio.groups.map(({ references, containerUsers }) => [references, containerUsers]), ALL.map((name) => driver.vfioDevice(bus.device(name)!)!.references)];
    const before = state();
    expect([hotReset(process, device, groups), hotReset(process, device, groups.slice(0, 1)), hotReset(process, device, [groups[0]!, device])]).toEqual([0, -EINVAL, -EINVAL]);
    expect(state()).toEqual(before);
  });

  it.each(PROFILES)('%s: a device whose unbind waits for its group to leave the container cannot be got [M16]', (profile) => {
    const { process, openGroups, functions, bus } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    const before = functions[0]!.resets;
    const unbind = process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/vfio-pci/unbind`, ALL[2]));
    expect(unbind.finished).toBe(!OLD.includes(profile));
    expect(hotReset(process, device, groups)).toBe(-EINVAL);
    expect(functions[0]!.resets).toBe(before);
  });

  it.each(OLD)('%s: one whose unbind waits for its user can, and is found locked [M16]', (profile) => {
    const { process, openGroups, bus } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    getDeviceFd(process, groups[1]!, ALL[2]);
    process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/vfio-pci/unbind`, ALL[2]));
    expect(hotReset(process, device, groups)).toBe(-EAGAIN);
  });

  it.each(OLD)('%s: one between its last put and the end of unregister cannot [M16]', (profile) => {
    const { process, openGroups, bus, host } = busHost({ profile });
    for (const name of ALL) bind(process, name);
    const { groups } = openGroups(20, 21);
    const device = getDeviceFd(process, groups[0]!, ALL[0]);
    host.scheduler.stopAt(LAST_PUT);
    const unbind = process.start('unbind', process.sys.writeFile(`${bus.sysfs}/drivers/vfio-pci/unbind`, ALL[1]));
    expect([unbind.outcome.state, hotReset(process, device, groups)]).toEqual(['held', -EINVAL]);
    host.scheduler.release(LAST_PUT);
  });
});

describe('the last close on a bus', () => {
  it('resets it when all of its devices are vfio-pci\'s and closed, and one waits for it [vfio 3.13/6]', () => {
    const { process, openGroups, functions, driver, bus } = busHost();
    bind(process, ALL[0]);
    bind(process, ALL[1]);
    const { groups } = openGroups(20);
    const resets = (): readonly number[] => functions.map((fn) => fn.resets);
    const waits = (): readonly (boolean | undefined)[] =>
      ALL.map((name) => {
        const device = bus.device(name);
        return device === undefined ? undefined : driver.vfioDevice(device)?.needsReset;
      });
    process.writeFile(`${bus.device(ALL[0])?.sysfs ?? ''}/reset_method`, '\n');
    let device = getDeviceFd(process, groups[0]!, ALL[0]);
    let before = resets();
    process.close(device);
    // The third is nobody's: no reset, and the first goes on waiting.
    expect(resets()).toEqual(before);
    expect(waits()).toEqual([true, false, undefined]);
    bind(process, ALL[2]);
    const second = getDeviceFd(process, groups[0]!, ALL[1]);
    device = getDeviceFd(process, groups[0]!, ALL[0]);
    before = resets();
    process.close(device);
    expect(resets()).toEqual(before); // the second is open
    process.close(second);
    expect(resets()).toEqual(before.map((count) => count + 1));
    expect(waits()).toEqual([false, false, false]);
  });
});

describe('matching', () => {
  it.each(PROFILES)('%s: vfio-pci takes what is named to it, by override or id, and nothing else [vfio 3.2/1]', (profile) => {
    const { process, host, bus } = eduHost({ profile });
    bus.plug(new PciFunction(host, { address: NAME, config: buildConfig({ vendor: 0x1d55, device: 9 }) }), { group: 5 });
    const drivers = '/sys/bus/pci/drivers/vfio-pci';
    const override = `/sys/bus/pci/devices/${NAME}/driver_override`;
    const driver = (): string | undefined => bus.device(NAME)?.driverName;
    const attempt = (): number => host.scheduler.call('bind', process.sys.writeFile(`${drivers}/bind`, NAME));
    expect(attempt()).toBe(-ENODEV);
    process.writeFile('/sys/bus/pci/drivers_probe', NAME);
    expect(driver()).toBeUndefined();
    // An override for somebody else keeps the id from matching.
    process.writeFile(override, 'pci-stub');
    process.writeFile(`${drivers}/new_id`, '1d55 9');
    expect(driver()).toBeUndefined();
    expect(attempt()).toBe(-ENODEV);
    process.writeFile(override, '\n');
    process.writeFile('/sys/bus/pci/drivers_probe', NAME);
    expect(driver()).toBe('vfio-pci');
    process.writeFile(`${drivers}/remove_id`, '1d55 9');
    process.writeFile(`${drivers}/unbind`, NAME);
    expect(attempt()).toBe(-ENODEV);
    process.writeFile(override, 'vfio-pci');
    expect(attempt()).toBe(NAME.length);
  });
});
