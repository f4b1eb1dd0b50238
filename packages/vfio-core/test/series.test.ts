/** The core of 5.13 without single patches of the series: what each mended shows as an event, and with the patch does not. */
import { BEFORE_SERIES, DriverData, Host, LAST_PUT, REGISTERED, SERIES, VFIO_GROUP_GET_DEVICE_FD, getDeviceFd, type HostInit, type SeriesPatch } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { openGroup, sampleHost, type SampleDevice } from './sample-device.ts';

const SECOND = 1e9;

function world(without: readonly SeriesPatch[], names: readonly string[] = ['a']) {
  const sample = sampleHost(names, { profile: 'linux-5.13', without });
  const events = sample.host.trace.record();
  const faults = (): readonly string[] => events.filter(({ id }) => id === BEFORE_SERIES.id).map(({ text }) => text);
  return { ...sample, sample, events, faults };
}

const BOTH = (patch: SeriesPatch): readonly [string, readonly SeriesPatch[], boolean][] => [
  ['without it', [patch], true],
  ['with it', [], false],
];

describe('patch 1, put and get of the group', () => {
  it.each(BOTH(1))('%s: three opens and what they take of the group [vfio P1/2]', (_name, without, fault) => {
    const { sample, vfio, root, bind, faults } = world(without);
    bind('a');
    const { group } = openGroup(sample, 0);
    for (let i = 0; i < 3; i += 1) getDeviceFd(root, group, 'a');
    expect(vfio.groups[0]?.references).toBe(fault ? 1 + 1 + 3 : 1 + 1);
    expect(faults()).toHaveLength(fault ? 3 : 0);
  });

  it('without it the group is whole again when all is closed', () => {
    const { sample, vfio, root, bind } = world([1]);
    bind('a');
    const { group, container } = openGroup(sample, 0);
    const fds = [getDeviceFd(root, group, 'a'), getDeviceFd(root, group, 'a'), group, container];
    for (const fd of fds) root.close(fd);
    expect(vfio.groups[0]?.references).toBe(1);
  });
});

describe('patch 2, the lifetime of a device', () => {
  it.each(BOTH(2))('%s: who is released wakes all others, and their users are asked too early', (_name, without, fault) => {
    const { sample, host, root, bind, unbind, device, faults } = world(without, ['a', 'b']);
    for (const name of ['a', 'b']) bind(name);
    const a = openGroup(sample, 0);
    const fd = getDeviceFd(root, a.group, 'a');
    const asked = device('a');
    const waiting = unbind('a');
    host.scheduler.advance(3 * SECOND);
    unbind('b');
    expect(asked.log.filter((line) => line.startsWith('request'))).toEqual(fault ? ['request 0', 'request 1'] : ['request 0']);
    expect(faults().some((text) => text.includes('asked for 7 s too early'))).toBe(fault);
    // The last put of a device that nobody has open is that of who unregisters it: nothing is wrong there.
    expect(faults().filter((text) => text.startsWith('b: '))).toEqual([]);
    for (const each of [fd, a.group, a.container]) root.close(each);
    expect(waiting.finished).toBe(true);
  });

  it.each(BOTH(2))('%s: the last close takes the device off its list, in the context of whoever closes', (_name, without, fault) => {
    const { sample, root, bind, unbind, vfio, faults } = world(without);
    bind('a');
    const { group, container } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    unbind('a');
    root.close(fd);
    expect(faults().some((text) => text.includes('taken off its group by root close'))).toBe(fault);
    for (const each of [group, container]) root.close(each);
    expect(vfio.groups).toEqual([]);
  });
});

describe('patches 2 and 14', () => {
  it.each([
    ['without both', [2, 14], 'gone', 1],
    ['without 2 alone', [2], 'kept', 1],
    ['with both', [], 'kept', 0],
  ] as const)('%s: the last close, while unregister waits for it, clears drvdata and takes the device off its group [vfio P2/2]', (_name, without, data, faults) => {
    const { sample, host, root, bind, unbind, bus, vfio, faults: told } = world(without);
    bind('a');
    const { group } = openGroup(sample, 0);
    const fd = getDeviceFd(root, group, 'a');
    const device = bus.device('a')!;
    const kept = without.length === 2 ? undefined : new DriverData<SampleDevice, string>();
    kept?.set(device, 'sentinel');
    const waiting = unbind('a');
    host.scheduler.stopAt(LAST_PUT);
    root.close(fd);
    // Unregister has not gone on: what is gone now went with the close.
    expect(waiting.outcome.state).toBe('held');
    expect([device.drvdata === undefined ? 'gone' : 'kept', vfio.groups[0]?.devices.length]).toEqual([data, 1 - faults]);
    expect(told().filter((text) => text.includes('taken off its group by root close'))).toHaveLength(faults);
    host.scheduler.release(LAST_PUT);
    root.close(group);
    expect(waiting.finished).toBe(true);
  });
});

describe('patch 3, init and register apart', () => {
  it.each(BOTH(3))('%s: an open that comes before register has returned, and the driver has its device [vfio P3/2]', (_name, without, fault) => {
    const { sample, host, root, faults } = world(without);
    root.writeFile('/sys/bus/sample/devices/a/driver_override', 'vfio-sample');
    host.scheduler.stopAt(REGISTERED);
    const probe = root.start('bind', root.sys.writeFile('/sys/bus/sample/drivers_probe', 'a'));
    const { group } = openGroup(sample, 0);
    const opened = root.start('open', root.sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode('a\0')));
    expect(opened.result()).toBeGreaterThanOrEqual(0);
    host.scheduler.release(REGISTERED);
    expect(probe.finished).toBe(true);
    expect(faults().some((text) => text.includes('before vfio_add_group_dev()'))).toBe(fault);
  });
});

describe('patch 14, the core leaves drvdata alone', () => {
  it.each(BOTH(14))('%s: data that a driver had kept before it registered is overwritten, and gone afterwards [vfio P14/2] [vfio P14/3] [vfio Cross-patch-acceptance-t/15]', (_name, without, fault) => {
    const { bus, host, root, bind, unbind, faults } = world(without);
    const device = bus.device('a')!;
    const data = new DriverData<SampleDevice, string>();
    data.set(device, 'sentinel');
    host.scheduler.stopAt(REGISTERED);
    root.writeFile('/sys/bus/sample/devices/a/driver_override', 'vfio-sample');
    root.start('bind', root.sys.writeFile('/sys/bus/sample/drivers_probe', 'a'));
    expect(data.get(device)).toBe(fault ? undefined : 'sentinel');
    host.scheduler.release(REGISTERED);
    bind('a');
    unbind('a');
    expect(data.get(device)).toBe(fault ? undefined : 'sentinel');
    expect(faults()).toEqual(fault ? [`a: drvdata of the driver is overwritten (patch 14, "${SERIES[14]}")`] : []);
  });
});

describe('which kernels can be without a patch', () => {
  it('is 5.13; 5.10.223 lacks those that were not backported to it', () => {
    expect(() => new Host({ without: [1] })).toThrow('linux-5.13');
    // A caller without a type checker can pass anything.
    const init: HostInit = { profile: 'linux-5.13' };
    Object.assign(init, { without: [15] });
    expect(() => new Host(init)).toThrow('patches 1 to 14');
    const old = new Host({ profile: 'linux-5.10' });
    const patches = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14] as const;
    expect(patches.filter((patch) => old.has(patch))).toEqual([1, 2, 3, 5, 7, 8, 11]);
    expect(patches.every((patch) => new Host().has(patch))).toBe(true);
  });
});
