/** Where vfio-pci of 5.13 and of 6.1 part: the list D61 of the catalogue, 2.17. */
import {
  EBUSY,
  EINVAL,
  EIO,
  ENODEV,
  ENOTCONN,
  errnoName,
  ENOTTY,
  MIG_STATE,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_RESET,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_INTX_IRQ_INDEX,
  getIrqInfo,
  getMigrationFlags,
  set,
  setIrqTriggers,
  setIrqs,
  setMigrationState,
  vfio_device_info,
  type Process,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it, vi } from 'vitest';
import {
  CONFIG_TABLE_OVERRUN,
  EDU,
  INTX_WITHOUT_TRIGGER,
  IRQ_NOTCONNECTED,
  PCI_PM_CTRL,
  RUNTIME_RESUME,
  VfioPciDriver,
  VfioRingNicDriver,
  createEdu,
  createRingNic,
  registryOf,
  type PciDevice,
  STAYS_ASLEEP,
} from '../src/index.ts';
import { CARD, attach, cardHost } from './card-host.ts';
import { NAME, openLayout, type Structure } from './config-host.ts';
import { CONFIG, EDU_NAME, bind, eduHost, ioeventfd, open, openEdu, read32, write16, write32 } from './edu-host.ts';

const OLD_AND_NEW = ['linux-5.13', 'linux-6.1'] as const;
/** Power management without a reset between D3hot and D0, and with all PME bits. */
const PM: Structure = [0x01, 0x40, 0x03, 0xfe, 0x08, 0x00, 0x00, 0x00];
/** The same, and it resets. */
const SOFT_RESET: Structure = [0x01, 0x40, 0x03, 0x06, 0x00, 0x00, 0x00, 0x00];
const BAR = [{ index: 0, size: 0x1000 }] as const;

function feature(process: Process, fd: number, flags: number, ...data: readonly number[]): number {
  const words = new Uint32Array([8 + 4 * data.length, flags, ...data]);
  return process.tryIoctl(fd, VFIO_DEVICE_FEATURE, new Uint8Array(words.buffer));
}

function info(process: Process, fd: number): number {
  const bytes = new Uint8Array(vfio_device_info.size);
  set(bytes, vfio_device_info.argsz, bytes.length);
  return process.tryIoctl(fd, VFIO_DEVICE_GET_INFO, bytes);
}

describe('power', () => {
  it('[vfio D61-17] [vfio D61-34] 6.1: a device that its user lets sleep is awake for each access; EIO where it does not wake up', () => {
    const { process, device, fn, host } = openLayout({ structures: [PM], bars: BAR });
    write16(process, device, CONFIG + 4, 2);
    expect(feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)).toBe(0);
    expect(fn.powerState).toBe(3);
    expect(feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)).toBe(-EINVAL);
    fn.accesses.length = 0;
    expect([info(process, device), read32(process, device, CONFIG), fn.powerState]).toEqual([0, 0x0009_1d55, 3]);
    const events: string[] = [];
    host.trace.listen(({ id }) => events.push(id));
    // Up and down again, each time.
    expect(fn.accesses.filter(([what, at]) => what === 'w' && at === 0x44)).toHaveLength(4);
    for (const call of [() => info(process, device), () => process.tryPread(device, new Uint8Array(4), CONFIG), () => process.tryPwrite(device, new Uint8Array(1), CONFIG + 0x3c)]) {
      host.faults.failNext(RUNTIME_RESUME);
      expect([call(), fn.powerState]).toEqual([-EIO, 3]);
      expect(events.splice(0)).toEqual([STAYS_ASLEEP.id]);
    }
    expect(feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)).toBe(0);
    expect([info(process, device), fn.powerState, fn.command & 2]).toEqual([0, 0, 2]);
    expect(feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)).toBe(0);
  });

  it('[vfio D61-17] memory that sleeps is out of reach of mappings, and back after the exit', () => {
    const { process, device, events } = openLayout({ structures: [PM], bars: BAR });
    write16(process, device, CONFIG + 4, 2);
    const map = process.mmap(device, 0x1000, 0);
    const faults = (): number => events.filter(({ id }) => id === 'process/memory-fault').length;
    map.read(0, 4);
    expect(faults()).toBe(0);
    feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
    map.read(0, 4);
    expect(faults()).toBe(1);
    feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
    map.read(0, 4);
    expect(faults()).toBe(1);
  });

  it('[vfio D61-17] requests that the core answers wake the device, too', () => {
    const { host, bus, vfio, process } = eduHost();
    const nic = createRingNic(host, '0000:00:07.0');
    bus.plug(nic, { group: 7 });
    host.scheduler.call('modprobe', bus.addDriver(new VfioRingNicDriver(vfio)));
    bind(process, '0000:00:07.0', 'ring-nic-vfio-pci');
    const { device } = open(process, '0000:00:07.0', 7);
    expect(feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY)).toBe(0);
    host.faults.failNext(RUNTIME_RESUME);
    expect(() => getMigrationFlags(process, device)).toThrow('EIO');
    expect([getMigrationFlags(process, device), nic.powerState]).toEqual([1n, 3]);
    host.faults.failNext(RUNTIME_RESUME);
    expect(() => setMigrationState(process, device, MIG_STATE.STOP)).toThrow('EIO');
    expect([setMigrationState(process, device, MIG_STATE.STOP), nic.powerState]).toEqual([-1, 3]);
  });

  it('[vfio D61-34] INTx is masked while the device sleeps, and tells afterwards what came', () => {
    const { process, device, fn } = openLayout({ structures: [PM], interruptPin: 1 });
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    const low = (number: number): number => feature(process, device, VFIO_DEVICE_FEATURE_SET | number);
    expect([low(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), fn.command & 0x400]).toEqual([0, 0x400]);
    fn.setIntx(true);
    expect(process.readEventfd(eventfd)).toBe(0n);
    expect([low(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), process.readEventfd(eventfd)]).toEqual([0, 1n]);
    // A mask of the user's own stays.
    fn.setIntx(false);
    expect([low(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), low(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), fn.command & 0x400]).toEqual([0, 0, 0x400]);
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect([low(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY), low(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT), fn.command & 0x400]).toEqual([0, 0, 0]);
  });

  it('[vfio D61-34] with a wake-up eventfd the next access signals once and ends the state; its mistakes', () => {
    const { process, device, fn } = openLayout({ structures: [PM] });
    const wake = process.eventfd();
    const enter = (fd: number): number => feature(process, device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, fd, 0);
    expect([enter(-1), enter(777), enter(wake)]).toEqual([-EINVAL, -9, 0]);
    expect([fn.powerState, process.readEventfd(wake)]).toEqual([3, 0n]);
    read32(process, device, CONFIG);
    expect([fn.powerState, process.readEventfd(wake)]).toEqual([0, 1n]);
    read32(process, device, CONFIG);
    expect(process.readEventfd(wake)).toBe(0n);
    for (const number of [VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT]) {
      expect(feature(process, device, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | number)).toBe(0);
      const old = openLayout({ structures: [PM] }, { profile: 'linux-5.13' });
      expect(feature(old.process, old.device, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | number)).toBe(-ENOTTY);
    }
  });

  it.each(OLD_AND_NEW)('[vfio D61-27] %s: a device that its user put into D3hot', (profile) => {
    const { process, device, fn, put, get: read } = openLayout({ structures: [PM], bars: BAR }, { profile });
    put(4, 2, 2);
    put(0x40 + PCI_PM_CTRL, 2, 3);
    expect(read(0x40 + PCI_PM_CTRL, 2) & 3).toBe(3);
    // What the device makes of it, or no access at all.
    const bytes = new Uint8Array(4);
    expect(process.tryPread(device, bytes, 0)).toBe(profile === 'linux-5.13' ? 4 : -EIO);
    put(0x40 + PCI_PM_CTRL, 2, 0);
    expect([fn.powerState, process.tryPread(device, bytes, 0)]).toEqual([0, 4]);
  });

  it('[vfio D61-33] 6.1: what was saved for D3hot is not put back after a reset has brought the device to D0', () => {
    const express: Structure = [0x10, 0x60, 0x02, 0x00, 0x00, 0x00, 0x00, 0x10, ...new Array<number>(52).fill(0)];
    const { process, device, fn, put } = openLayout({ structures: [SOFT_RESET, express], bars: BAR });
    put(0x40 + PCI_PM_CTRL, 2, 3);
    put(0x69, 1, 0x80); // function level reset, from D3hot
    expect(fn.powerState).toBe(0);
    put(4, 2, 0x106);
    process.ioctl(device, VFIO_DEVICE_RESET, 0);
    expect(fn.command & 0x106).toBe(0x106);
  });

  it.each(OLD_AND_NEW)('[vfio D61-27] [vfio D61-37] %s: a PF that has VFs, open or closed', (profile) => {
    const made = cardHost({ profile });
    const { device, card, process } = made;
    expect(attach(made, device)).toBe(0);
    expect(card.powerState).toBe(3);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '1');
    // 6.1 keeps it awake while it has them.
    const awake = profile === 'linux-6.1';
    const fds = open(process, CARD, 1);
    write16(process, fds.device, CONFIG + device.pm + PCI_PM_CTRL, 3);
    expect(card.powerState).toBe(awake ? 0 : 3);
    process.close(fds.device);
    expect(card.powerState).toBe(awake ? 0 : 3);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '0');
    expect(card.powerState).toBe(3);
  });

  it.each(OLD_AND_NEW)('[vfio D61-33] %s: RESET of a device in D3hot, which loses its state on the way to D0', (profile) => {
    const { process, device, fn, put } = openLayout({ structures: [SOFT_RESET], bars: BAR }, { profile });
    put(4, 2, 6);
    put(0x40 + PCI_PM_CTRL, 2, 3);
    process.ioctl(device, VFIO_DEVICE_RESET, 0);
    // The PCI core alone puts back the BARs; vfio-pci of 6.1 all that it saved.
    expect([fn.powerState, fn.command & 6]).toEqual([0, profile === 'linux-6.1' ? 6 : 0]);
    put(4, 2, 6);
    expect(process.tryPread(device, new Uint8Array(4), 0)).toBe(4);
  });
});

describe('INTx', () => {
  const loopback = (process: Process, fd: number): number => setIrqs(process, fd, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);

  it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('[vfio D61-29] %s: the line over a change of the eventfd, and INTx without one', (profile) => {
    const old = profile === 'linux-5.13';
    const { process, device, edu, events } = openEdu({ profile });
    if (edu.line === undefined) throw new Error('no line');
    const request = vi.spyOn(edu.line, 'request');
    const free = vi.spyOn(edu.line, 'free');
    const [first, second] = [process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [first]);
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [second]);
    expect([request.mock.calls.length, free.mock.calls.length > 0]).toEqual(old ? [2, true] : [1, false]);
    // A bad eventfd: nothing changes, or INTx stays without trigger and line.
    expect(() => setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [777])).toThrow('EBADF');
    loopback(process, device);
    expect([process.readEventfd(second), events.filter(({ id }) => id === INTX_WITHOUT_TRIGGER.id).length]).toEqual(old ? [0n, 1] : [1n, 0]);
    // None at all: legal, and silent since the rework.
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [-1]);
    expect(loopback(process, device)).toBe(0);
    expect(events.filter(({ id }) => id === INTX_WITHOUT_TRIGGER.id)).toHaveLength(old ? 2 : 0);
    write32(process, device, EDU.INTERRUPT_RAISE, 1);
    expect(edu.command & 0x400).toBe(old ? 0 : 0x400); // the line's handler has masked it
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [first]);
    if (!old) setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    expect(process.readEventfd(first)).toBe(1n);
  });

  it.each<[profile: ProfileName, pin: number, count: number, enable: number]>([
    ['linux-5.10', 1, 1, -ENOTCONN],
    ['linux-5.13', 1, 1, -ENOTCONN],
    ['linux-6.1', 0, 0, -EINVAL],
    ['linux-6.12', 0, 0, -EINVAL],
  ])('[vfio D61-30] [vfio D61-31] [vfio V44] %s: a pin that firmware says is wired to nothing', (profile, pin, count, enable) => {
    const { host, bus, process, vfio } = eduHost({ profile });
    const edu = createEdu(host, '0000:00:07.0');
    bus.plug(edu, { group: 7, irq: IRQ_NOTCONNECTED });
    bind(process, '0000:00:07.0');
    const fds = open(process, '0000:00:07.0', 7);
    expect(process.readFile('/sys/bus/pci/devices/0000:00:07.0/irq')).toBe(`${2 ** 31}\n`);
    const byte = new Uint8Array(1);
    process.pread(fds.device, byte, CONFIG + 0x3d);
    expect([byte[0], getIrqInfo(process, fds.device, VFIO_PCI_INTX_IRQ_INDEX).count]).toEqual([pin, count]);
    let error = 0;
    try {
      setIrqTriggers(process, fds.device, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]);
    } catch (thrown) {
      error = thrown instanceof Error && 'errno' in thrown ? Number(thrown.errno) : 0;
    }
    expect(Math.abs(error)).toBe(-enable);
    // Past the count, the driver itself says that there is no line.
    const structure = registryOf(vfio).get(bus.device('0000:00:07.0')!)!;
    const request = { index: 0, action: VFIO_IRQ_SET_ACTION_TRIGGER, dataType: 4, start: 0, count: 1, data: new Uint8Array([0xff, 0xff, 0xff, 0xff]) };
    const direct = structure.irqs.intx.setTrigger(process, request);
    expect(direct).toBe(profile === 'linux-5.13' ? 0 : profile === 'linux-5.10' ? -ENOTCONN : -ENODEV);
  });

  it.each<[profile: ProfileName, pin: number, error: number]>([
    ['linux-5.10', 1, -ENODEV],
    ['linux-5.13', 1, -ENODEV],
    ['linux-6.1', 1, -ENODEV],
    ['linux-6.12', 1, -ENODEV],
    ['linux-7.3', 0, -EINVAL],
  ])('[vfio_config_init] %s: a pin without an irq number', (profile, pin, error) => {
    const { host, bus, process } = eduHost({ profile });
    bus.plug(createEdu(host, '0000:00:07.0'), { group: 7, irq: 0 });
    bind(process, '0000:00:07.0');
    const { device } = open(process, '0000:00:07.0', 7);
    const byte = new Uint8Array(1);
    process.pread(device, byte, CONFIG + 0x3d);
    expect([byte[0], getIrqInfo(process, device, VFIO_PCI_INTX_IRQ_INDEX).count]).toEqual([pin, pin]);
    expect(outcomeOf(() => { setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]); })).toBe(errnoName(-error));
  });

  it.each(OLD_AND_NEW)('[vfio D61-31] %s: the pin that counts, and a VF\'s', (profile) => {
    const { process, device } = openEdu({ profile });
    expect(getIrqInfo(process, device, VFIO_PCI_INTX_IRQ_INDEX).count).toBe(1);
    const none = openLayout({ bars: BAR }, { profile });
    expect(getIrqInfo(none.process, none.device, VFIO_PCI_INTX_IRQ_INDEX).count).toBe(0);
  });
});

describe('configuration space', () => {
  it.each<[profile: ProfileName, length: number]>([
    ['linux-5.10', 52],
    ['linux-5.13', 52],
    ['linux-6.1', 50],
    ['linux-6.12', 50],
  ])('[vfio D61-35] %s: PCI Express, version 2, is %i bytes; an integrated endpoint\'s 44', (profile, length) => {
    const express = (type: number): Structure => [0x10, 0x40, 0x02 | (type << 4), ...new Array<number>(58).fill(0x5a)];
    /** The hardware lets everything be written; the first byte that takes it lies behind what VFIO knows. */
    const writable = { 0x68: 0xffff_ffff, 0x6c: 0xffff_ffff, 0x70: 0xffff_ffff, 0x74: 0xffff_ffff, 0x78: 0xffff_ffff };
    const end = (type: number): number => {
      const { put, get: read } = openLayout({ structures: [express(type)], bytes: { 0x44: 0, 0x45: 0, 0x46: 0, 0x47: 0 }, writable }, { profile });
      let at = 0x40 + 0x2a;
      for (; at < 0x80; at += 1) {
        put(at, 1, 0x77);
        if (read(at) === 0x77) break;
      }
      return at - 0x40;
    };
    expect([end(0), end(9)]).toEqual([length, 44]);
  });

  it.each(OLD_AND_NEW)('[vfio D61-36] %s: a hidden capability at 0x100 with an id that no table has', (profile) => {
    const made = openLayout({ structures: [[0x2e, 0x100, 1, 2, 3, 4], [0x03, 0x140, 9, 9, 9, 9, 9, 9, 9, 9]] }, { profile });
    const { get: read, put, events, hardware } = made;
    expect([read(0x100, 2), read(0x102, 2) >> 4, read(0x140, 2)]).toEqual([0, 0x140, 3]);
    put(0x100, 4, 0xffff_ffff);
    expect([read(0x100, 2), hardware(0x100, 2)]).toEqual([0, 0x2e]);
    expect(events.some(({ id }) => id === CONFIG_TABLE_OVERRUN.id)).toBe(profile === 'linux-5.13');
    const before = events.length;
    read(0x140, 4);
    expect(events.slice(before)).toEqual([]);
  });
});

describe('the rest', () => {
  class VariantDriver extends VfioPciDriver {
    override readonly name = 'variant-vfio-pci';
  }

  it.each(OLD_AND_NEW)('[vfio D61-26] %s: no driver of the library takes a device without being named', (profile) => {
    const { host, bus, process, driver, vfio } = eduHost({ profile });
    host.scheduler.call('modprobe', bus.addDriver(new VariantDriver(vfio)));
    const entries = driver.ids.map(({ overrideOnly }) => overrideOnly);
    expect(entries).toEqual(profile === 'linux-6.1' ? [true] : []);
    expect(() => process.writeFile('/sys/bus/pci/drivers/vfio-pci/bind', EDU_NAME)).toThrow('ENODEV');
    process.writeFile('/sys/bus/pci/drivers_probe', EDU_NAME);
    expect(bus.device(EDU_NAME)?.driverName).toBeUndefined();
    bind(process, EDU_NAME, 'variant-vfio-pci');
    expect(bus.device(EDU_NAME)?.driverName).toBe('variant-vfio-pci');
    process.writeFile('/sys/bus/pci/drivers/variant-vfio-pci/unbind', EDU_NAME);
    bind(process, EDU_NAME);
    expect(bus.device(EDU_NAME)?.driverName).toBe('vfio-pci');
  });

  it.each<[profile: ProfileName, again: string | undefined]>([
    ['linux-5.10', undefined],
    ['linux-5.13', undefined],
    ['linux-6.1', 'EEXIST'],
    ['linux-6.12', 'EEXIST'],
  ])('[vfio D61-44] %s: an id that is added twice', (profile, again) => {
    const { process } = eduHost({ profile });
    const folder = '/sys/bus/pci/drivers/vfio-pci';
    process.writeFile(`${folder}/new_id`, 'dead beef');
    const add = (): void => { process.writeFile(`${folder}/new_id`, 'dead beef'); };
    if (again === undefined) add();
    else expect(add).toThrow(again);
    const remove = (): void => { process.writeFile(`${folder}/remove_id`, 'dead beef'); };
    remove();
    if (again === undefined) remove();
    expect(remove).toThrow('ENODEV');
  });

  it.each<[profile: ProfileName, result: number]>([
    ['linux-5.10', -EINVAL],
    ['linux-5.13', -EINVAL],
    ['linux-6.1', 0],
    ['linux-6.12', 0],
  ])('[vfio D61-46] %s: an ioeventfd of 8 bytes on x86-64', (profile, result) => {
    const { process, device } = openEdu({ profile });
    expect(ioeventfd(process, device, 0, 8, 0n, process.eventfd())).toBe(result);
  });

  it('[vfio D61-37] VFs are enabled twice: EBUSY by the PCI core, EINVAL by the list of PFs of 6.1, which also lets a variant driver ask for the token', () => {
    const enable = (profile: ProfileName, driver?: (device: PciDevice) => void): number => {
      const made = cardHost({ profile });
      expect(attach(made, made.device)).toBe(0);
      made.process.writeFile(`${made.device.sysfs}/sriov_numvfs`, '1');
      driver?.(made.device);
      return made.host.scheduler.call('configure', made.driver.sriovConfigure(made.device, 1));
    };
    expect([enable('linux-5.13'), enable('linux-6.1')]).toEqual([-EBUSY, -EINVAL]);
    const answers = OLD_AND_NEW.map((profile) => {
      const made = cardHost({ profile, driver: (vfio, init) => new VariantDriver(vfio, init) });
      expect(attach(made, made.device)).toBe(0);
      made.process.writeFile(`${made.device.sysfs}/sriov_numvfs`, '1');
      const vf = made.device.sriov!.functions[0]!;
      return registryOf(made.vfio).get(vf)?.match(vf.name);
    });
    expect(answers).toEqual([1, -13]); // EACCES: there is a token
  });
});

describe(NAME, () => {
  it.each(OLD_AND_NEW)('[vfio D61-28] %s: wake-up bits, the hardware\'s or nobody\'s', (profile) => {
    const { get: read, put, hardware } = openLayout({ structures: [PM], writable: { 0x44: 0x0000_8103 } }, { profile });
    expect(read(0x42, 2)).toBe(profile === 'linux-5.13' ? 0xfe03 : 0x0603);
    put(0x44, 2, 0x0108);
    expect([read(0x44, 2) & 0x100, hardware(0x44, 2) & 0x100]).toEqual(profile === 'linux-5.13' ? [0x100, 0x100] : [0, 0]);
  });
});
