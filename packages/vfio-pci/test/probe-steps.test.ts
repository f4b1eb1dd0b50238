/** Each step of probe made to fail, and what is left of it: nothing. The matrices of part 1 of the catalogue, row by row. */
import {
  EBUSY,
  EINVAL,
  ENODEV,
  ENOMEM,
  GROUP_ALLOCATION,
  NO_IOMMU_GROUP,
  USE_AFTER_FREE,
  VfioDevice,
  type FaultPoint,
  type ProfileName,
  type Sleeps,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  DEVICE_ALLOCATION,
  DEVICE_SET_ALLOCATION,
  NOTIFIER_REGISTRATION,
  PROBE_REFUSED,
  TOKEN_ALLOCATION,
  VGA_ARBITER_ALLOCATION,
  VGA_RSRC_ALL,
} from '../src/index.ts';
import { CARD, CARD_VF, SIBLING, attach, cardHost, stepLog, traces, type CardHost } from './card-host.ts';

const PROFILES: readonly ProfileName[] = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'];
const isNew = (profile: ProfileName): boolean => profile === 'linux-6.1' || profile === 'linux-6.12';

/** What a probe that fails has done before, in order. */
const BEFORE_5_13 = ['iommu-group', 'device', 'device-set', 'token', 'notifier', 'vga', 'power', 'register'];
const BEFORE_6_1 = ['device', 'driver-data', 'device-set', 'token', 'notifier', 'vga', 'power', 'register'];

function expectedLog(profile: ProfileName, failed: string, forgets: readonly string[] = []): readonly string[] {
  const order = isNew(profile) ? BEFORE_6_1 : BEFORE_5_13;
  const done = order.slice(0, order.indexOf(failed));
  return [...done.map((step) => `+${step}`), `!${failed}`, ...done.toReversed().filter((step) => !forgets.includes(step)).map((step) => `-${step}`)];
}

function unbind({ process }: CardHost): void {
  process.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD);
}

describe.each(PROFILES)('probe of vfio-pci on %s', (profile) => {
  it.each<{ readonly step: string; readonly fault: FaultPoint; readonly error: number; readonly item: string }>([
    { step: 'device', fault: DEVICE_ALLOCATION, error: ENOMEM, item: '[vfio Step-and-unwind-matrices/3]' },
    { step: 'device-set', fault: DEVICE_SET_ALLOCATION, error: ENOMEM, item: '[vfio Step-and-unwind-matrices/5]' },
    { step: 'token', fault: TOKEN_ALLOCATION, error: ENOMEM, item: '[vfio Step-and-unwind-matrices/6]' },
    { step: 'notifier', fault: NOTIFIER_REGISTRATION, error: EBUSY, item: '[vfio Step-and-unwind-matrices/7]' },
  ])('$step cannot be had: its errno, what was done undone in reverse, the next probe works $item', ({ step, fault, error }) => {
    const made = cardHost({ profile });
    const { host, device } = made;
    const before = traces(made, device);
    host.faults.failNext(fault, error);
    expect(attach(made, device)).toBe(-error);
    expect(stepLog(made.events)).toEqual(expectedLog(profile, step));
    expect(traces(made, device)).toEqual(before);
    expect(attach(made, device)).toBe(0);
    expect(made.driver.vfioDevice(device)?.state).toBe('live');
    unbind(made);
    expect(traces(made, device)).toEqual(before);
  });

  it('a notifier that cannot be registered takes the token along, once [vfio P7/2]', () => {
    const made = cardHost({ profile });
    made.host.faults.failNext(NOTIFIER_REGISTRATION);
    expect(attach(made, made.device)).toBe(-ENOMEM);
    const log = stepLog(made.events);
    expect(log.slice(log.indexOf('!notifier'), log.indexOf('!notifier') + 2)).toEqual(['!notifier', '-token']);
    expect(log.filter((step) => step === '-token')).toHaveLength(1);
  });

  it('a device set that is there already needs no memory [vfio Step-and-unwind-matrices/5]', () => {
    const made = cardHost({ profile });
    const sibling = made.bus.device(SIBLING)!;
    expect(attach(made, sibling)).toBe(0);
    made.host.faults.failNext(DEVICE_SET_ALLOCATION);
    expect([attach(made, made.device), made.host.faults.isArmed(DEVICE_SET_ALLOCATION)]).toEqual([0, true]);
    expect(made.driver.vfioDevice(made.device)?.deviceSet).toBe(made.driver.vfioDevice(sibling)?.deviceSet);
  });

  it('the VGA arbiter refuses its client: probe fails with that, everything undone [vfio P7/2] [vfio P7/3] [vfio Step-and-unwind-matrices/8]', () => {
    const made = cardHost({ profile, before: (host) => { host.faults.failNext(VGA_ARBITER_ALLOCATION); } });
    const { bus, device, host } = made;
    const before = traces(made, device);
    expect(attach(made, device)).toBe(-ENODEV);
    expect(stepLog(made.events)).toEqual(expectedLog(profile, 'vga'));
    expect(traces(made, device)).toEqual(before);
    // Found anew, and the arbiter has memory for it.
    host.scheduler.call('remove', bus.remove(device));
    host.scheduler.call('rescan', bus.rescan());
    const again = bus.device(CARD)!;
    expect([attach(made, again), bus.vga.hasClient(again)]).toEqual([0, true]);
  });

  it.each<[why: string, error: number]>([
    ['there is no memory for the group', ENOMEM],
    ['it is registered already', EBUSY],
  ])('register fails because %s: back in D0, and undone [vfio Step-and-unwind-matrices/10] [vfio D61-38]', (_why, error) => {
    const made = cardHost({ profile });
    const { host, vfio, device, bus } = made;
    class Twin extends VfioDevice {
      protected override *openDevice(): Sleeps<number> {
        return 0;
      }

      protected override *closeDevice(): Sleeps<void> {
        // Nothing was opened.
      }
    }
    const twin = new Twin(vfio, device);
    if (error === EBUSY) expect(host.scheduler.call('register', twin.register())).toBe(0);
    const before = traces(made, device);
    if (error === ENOMEM) host.faults.failNext(GROUP_ALLOCATION);
    expect(attach(made, device)).toBe(-error);
    const forgets = isNew(profile) ? [] : ['vga'];
    expect(stepLog(made.events)).toEqual(expectedLog(profile, 'register', forgets));
    // The defect of P8: its VGA client stays, with a structure that was freed.
    expect(traces(made, device)).toEqual({ ...before, client: !isNew(profile), power: 0 });
    bus.vga.access(device);
    bus.vga.notifyClients();
    const broken = made.events.some(({ id }) => id === USE_AFTER_FREE.id);
    expect(broken).toBe(!isNew(profile));
    if (error === EBUSY) host.scheduler.call('unregister', twin.unregister());
    expect(attach(made, device)).toBe(0);
  });

  it('steps that cannot fail do not: locks and lists, the power states, driver data [vfio Step-and-unwind-matrices/4] [vfio Step-and-unwind-matrices/9] [vfio Step-and-unwind-matrices/11] [vfio D61-39]', () => {
    const made = cardHost({ profile });
    expect(attach(made, made.device)).toBe(0);
    const order = isNew(profile) ? BEFORE_6_1 : [...BEFORE_5_13, 'driver-data'];
    expect(stepLog(made.events)).toEqual(order.map((step) => `+${step}`));
    expect([made.card.powerState, made.driver.vfioDevice(made.device)?.state]).toEqual([3, 'live']);
  });

  it('a device without power states is bound all the same [vfio Step-and-unwind-matrices/9]', () => {
    const made = cardHost({ profile });
    const sibling = made.bus.device(SIBLING)!;
    expect([sibling.pm, attach(made, sibling), sibling.function.powerState]).toEqual([0, 0, 0]);
  });

  it('without an IOMMU group: EINVAL, told with what would help [vfio Step-and-unwind-matrices/2]', () => {
    const made = cardHost({ profile });
    const { device, events } = made;
    const group = device.iommuGroup!;
    device.iommuGroup = undefined;
    const before = traces(made, device);
    expect(attach(made, device)).toBe(-EINVAL);
    expect(stepLog(events)).toEqual(isNew(profile) ? expectedLog(profile, 'register') : ['!iommu-group']);
    expect(traces(made, device)).toEqual({ ...before, power: 0 });
    expect(events.filter(({ id }) => id === NO_IOMMU_GROUP.id)).toMatchObject([{ fields: { device: CARD } }]);
    device.iommuGroup = group;
    expect(attach(made, device)).toBe(0);
  });

  it('without an IOMMU, in no-IOMMU mode: a group that is made for it and goes with it', () => {
    const made = cardHost({ profile });
    const { device, vfio, process } = made;
    device.iommuGroup?.removeDevice(device);
    vfio.noiommu = true;
    const before = traces(made, device);
    made.host.faults.failNext(GROUP_ALLOCATION);
    expect(attach(made, device)).toBe(-ENOMEM);
    expect(traces(made, device)).toMatchObject({ ...before, client: !isNew(profile), power: 0 });
    expect([attach(made, device), process.readdir('/dev/vfio').filter((name) => name.startsWith('noiommu'))]).toEqual([0, [`noiommu-${device.iommuGroup!.id}`]]);
    unbind(made);
    expect([device.iommuGroup, process.readdir('/dev/vfio')]).toEqual([undefined, ['vfio']]);
  });
});

describe('remove of vfio-pci', () => {
  it.each<[profile: ProfileName, order: readonly string[]]>([
    ['linux-5.10', ['register', 'notifier', 'token', 'device-set', 'vga', 'iommu-group', 'power', 'device', 'driver-data']],
    ['linux-5.13', ['register', 'notifier', 'token', 'device-set', 'vga', 'iommu-group', 'power', 'device', 'driver-data']],
    ['linux-6.1', ['register', 'notifier', 'token', 'vga', 'power', 'device-set', 'device', 'driver-data']],
    ['linux-6.12', ['register', 'notifier', 'token', 'vga', 'power', 'device-set', 'device', 'driver-data']],
  ])('%s: VFs first, then unregister, then each step in the order of P9 [vfio Step-and-unwind-matrices/12] [vfio Step-and-unwind-matrices/13] [vfio Step-and-unwind-matrices/14] [vfio Step-and-unwind-matrices/15] [vfio Step-and-unwind-matrices/16] [vfio Step-and-unwind-matrices/17] [vfio Step-and-unwind-matrices/18] [vfio Step-and-unwind-matrices/19] [vfio P9/2]', (profile, order) => {
    const made = cardHost({ profile });
    const { device, bus, process, events, card } = made;
    const before = traces(made, device);
    expect(attach(made, device)).toBe(0);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '1');
    expect(bus.device(CARD_VF)?.driverName).toBe('vfio-pci');
    expect(bus.vga.decodes(device)).toBe(3); // VGA access is on
    const from = events.length;
    unbind(made);
    const undone = events.slice(from);
    expect(stepLog(undone)).toEqual(order.map((step) => `-${step}`));
    const last = (name: string): number => undone.findLastIndex(({ fields }) => Object.values(fields).includes(name));
    const first = undone.findIndex(({ id, fields }) => id === 'vfio-pci/probe-step-undone' && Object.values(fields).includes(CARD));
    expect(last(CARD_VF)).toBeLessThan(first);
    expect(traces(made, device)).toEqual({ ...before, power: 0 });
    expect([card.powerState, bus.vga.decodes(device)]).toEqual([0, VGA_RSRC_ALL & 3]);
  });
});

describe('what probe does not take, before its first step [vfio Step-and-unwind-matrices/1] [vfio D61-39]', () => {
  it.each(PROFILES)('%s: a PF that has VFs: EBUSY, and the event says what to write where', (profile) => {
    const made = cardHost({ profile });
    const { host, device, events } = made;
    if (device.sriov === undefined) throw new Error('no SR-IOV');
    expect(host.scheduler.call('enable', device.sriov.enable(1))).toBe(0);
    const before = traces(made, device);
    expect(attach(made, device)).toBe(-EBUSY);
    expect(traces(made, device)).toEqual(before);
    expect(stepLog(events)).toEqual([]);
    expect(events.find(({ id }) => id === PROBE_REFUSED.id)?.text).toContain(`write 0 to ${device.sysfs}/sriov_numvfs`);
    host.scheduler.call('disable', device.sriov.disable());
    expect(attach(made, device)).toBe(0);
  });
});
