/** The driver core in sysfs: what binds, what refuses, what waits, and what its kernel says. */
import { describe, expect, it } from 'vitest';
import { Host, type HostInit } from '../host/host.ts';
import type { ProfileName } from '../host/profile.ts';
import type { Sleeps } from '../host/scheduler.ts';
import { Process } from '../process/process.ts';
import { outcomeOf } from '../testing/suite.ts';
import { EINVAL } from '../uapi/errno.ts';
import { Bus, DRIVER_BOUND, DRIVER_UNBINDING, type BusEvent } from './bus.ts';
import { Device } from './device.ts';
import { Driver, DriverData } from './driver.ts';
import { parseBool, parseUint } from './module-parameter.ts';

class Thing extends Device {
  constructor(host: Host, name: string) {
    super(host, name, `/sys/devices/${name}`);
  }

  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
  }
}

class ThingDriver extends Driver<Thing> {
  override readonly name: string;
  error = 0;
  readonly log: string[] = [];

  constructor(name: string) {
    super();
    this.name = name;
  }

  override match(device: Thing): boolean {
    return device.driverOverride === this.name || device.name.startsWith('auto');
  }

  override *probe(device: Thing): Sleeps<number> {
    this.log.push(`probe ${device.name}`);
    return this.error;
  }

  override *remove(device: Thing): Sleeps<void> {
    this.log.push(`remove ${device.name}`);
  }
}

function setUp(init: HostInit = {}) {
  const host = new Host({ ram: [{ base: 0x1_0000_0000, size: 0x10_0000 }], ...init });
  const bus = new Bus<Thing>(host, 'things');
  const events: string[] = [];
  bus.listen({ busEvent: (event: BusEvent, device) => events.push(`${event} ${device.name}`) });
  const driver = new ThingDriver('one');
  host.scheduler.call('modprobe', bus.addDriver(driver));
  const root = new Process(host);
  const add = (name: string) => {
    const device = new Thing(host, name);
    host.scheduler.call('add', bus.add(device));
    return device;
  };
  const write = (file: string, text: string) => outcomeOf(() => root.writeFile(`/sys/bus/things/${file}`, text));
  return { host, bus, driver, root, add, write, events };
}

describe('a bus', () => {
  it('probes what is added, as drivers_autoprobe says, and tells listeners in the kernel’s order', () => {
    const { add, driver, events, host, bus, root } = setUp();
    const device = add('auto0');
    expect([device.driverName, driver.log, events]).toEqual(['one', ['probe auto0'], ['add auto0', 'bound auto0']]);
    root.writeFile('/sys/bus/things/drivers_autoprobe', '0');
    expect([add('auto1').driverName, root.readFile('/sys/bus/things/drivers_autoprobe')]).toEqual([undefined, '0\n']);
    events.length = 0;
    host.scheduler.call('remove', bus.remove(device));
    expect([events, driver.log.at(-1), bus.devices.length]).toEqual([['del auto0', 'unbind auto0', 'unbound auto0'], 'remove auto0', 1]);
    expect(() => bus.announce(new Thing(host, 'auto1'))).toThrow(RangeError);
  });

  it.each([
    ['linux-5.10', 'ENODEV', 'ENODEV'],
    ['linux-5.13', 'ENODEV', 'ENODEV'],
    ['linux-6.1', 'EBUSY', 'EINVAL'],
    ['linux-6.12', 'EBUSY', 'EINVAL'],
  ] as const)('[vfio D61-43] %s: bind of a bound device is %s, of one whose probe refuses %s; drivers_probe tells neither', (profile: ProfileName, busy, refused) => {
    const { add, driver, write } = setUp({ profile });
    add('auto0');
    expect(write('drivers/one/bind', 'auto0')).toBe(busy);
    driver.error = -EINVAL;
    const other = add('auto1');
    expect([write('drivers/one/bind', 'auto1\n'), write('drivers_probe', 'auto1'), other.driverName]).toEqual([refused, 'success', undefined]);
    expect(other.host.files.lookup('/sys/devices/auto1/driver')).toBeUndefined();
  });

  it('binds by driver_override alone what no driver would take, and shows it', () => {
    const { add, root, write } = setUp();
    add('plain');
    const file = '/sys/devices/plain/driver_override';
    expect([root.readFile(file), write('drivers/one/bind', 'plain')]).toEqual(['(null)\n', 'ENODEV']);
    root.writeFile(file, 'one\nrest');
    expect([root.readFile(file), write('drivers/one/bind', 'plain')]).toEqual(['one\n', 'success']);
    root.writeFile(file, '\n');
    expect(root.readFile(file)).toBe('(null)\n');
    expect(outcomeOf(() => root.writeFile(file, 'x'.repeat(4095)))).toBe('EINVAL');
  });

  it.each([
    ['linux-6.1', 'asleep'],
    ['linux-6.12', 'done'],
  ] as const)('%s: a reader of driver_override is %s while an unbind is under way', (profile, state) => {
    const { add, root, host } = setUp({ profile });
    add('auto0');
    host.scheduler.stopAt(DRIVER_UNBINDING);
    root.start('unbind', root.sys.writeFile('/sys/bus/things/drivers/one/unbind', 'auto0'));
    const read = root.start('read', root.sys.readFile('/sys/devices/auto0/driver_override'));
    expect(read.outcome.state).toBe(state);
    host.scheduler.release(DRIVER_UNBINDING);
    expect(read.result()).toBe('(null)\n');
  });

  it('offers new drivers what is free, and takes all from one that goes', () => {
    const { add, bus, host, driver, root } = setUp();
    driver.error = -EINVAL;
    const device = add('auto0');
    const second = new ThingDriver('two');
    host.scheduler.call('modprobe', bus.addDriver(second));
    expect([device.driverName, bus.driver('two')]).toEqual(['two', second]);
    expect(() => host.scheduler.call('modprobe', bus.addDriver(new ThingDriver('two')))).toThrow(/new name/);
    host.scheduler.call('rmmod', bus.removeDriver(second));
    expect([device.driverName, second.log, root.readdir('/sys/bus/things/drivers')]).toEqual([undefined, ['probe auto0', 'remove auto0'], ['one']]);
  });

  it('holds the device lock from the probe’s begin to its end', () => {
    const { host, bus, root } = setUp();
    host.scheduler.stopAt(DRIVER_BOUND);
    const device = new Thing(host, 'auto0');
    const adding = host.scheduler.spawn('add', bus.add(device));
    expect([adding.outcome.state, device.lock.locked]).toEqual(['held', true]);
    const unbind = root.start('unbind', root.sys.writeFile('/sys/bus/things/drivers/one/unbind', 'auto0'));
    expect(unbind.outcome).toMatchObject({ state: 'asleep', what: 'the device lock of auto0', heldBy: ['add'] });
    host.scheduler.release(DRIVER_BOUND);
    expect([unbind.result(), device.driverName]).toEqual([5, undefined]);
  });
});

it('a driver keeps what is its own for each device', () => {
  const { add } = setUp();
  const data = new DriverData<Thing, string>();
  const device = add('auto0');
  data.set(device, 'x');
  expect([data.get(device), data.all]).toEqual(['x', ['x']]);
  data.clear(device);
  expect([data.get(device), data.all]).toEqual([undefined, []]);
});

it('module parameters are read as the kernel reads them', () => {
  expect(['1', 'y\n', 'Yes', 'T', 'on', 'ON'].map(parseBool)).toEqual(Array(6).fill(true));
  expect(['0', 'n', 'No\n', 'f', 'off'].map(parseBool)).toEqual(Array(5).fill(false));
  expect(['', 'o', 'maybe', ' 1', '2'].map(parseBool)).toEqual(Array(5).fill(undefined));
  expect(['0', '65535\n', '0x10', '+7', '010', '4294967295'].map(parseUint)).toEqual([0, 65535, 16, 7, 8, 0xffff_ffff]);
  expect(['', '-1', '4294967296', '1 ', '08', '0x', 'ten', '1\n\n'].map(parseUint)).toEqual(Array(8).fill(undefined));
});
