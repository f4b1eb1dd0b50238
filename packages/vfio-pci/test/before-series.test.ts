/**
 * The series, patch by patch: what vfio-pci of 5.11 did, on a 5.13 without these patches, against what it does since. Catalogue: vfio P7,
 * P8, P9, P13, and the cross-patch table. (5.10.223 has P7 and P8 as backports.)
 */
import {
  DRIVER_UNBINDING,
  EBUSY,
  EINVAL,
  ENODEV,
  ENOTTY,
  LAST_PUT,
  Process,
  REGISTERED,
  UNLISTED,
  UNREGISTERING,
  USE_AFTER_FREE,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  setContainer,
  type Host,
  type Point,
  type ProfileName,
  type Thread,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import {
  NOTIFIER_REGISTRATION,
  PCI_PM_CTRL,
  STEP_DONE,
  STEP_UNDONE,
  STRUCTURE_BROKEN,
  TOKEN_IN_USE,
  VfioPciDevice,
  VfioPciDriver,
  registryOf,
  type PciDevice,
  type VfioPciDeviceInit,
} from '../src/index.ts';
import { CARD, CARD_VF, attach, cardHost, stepLog, traces, type CardHost } from './card-host.ts';
import { CONFIG, open, read32, write16 } from './edu-host.ts';

/** Where the card's group node is. */
const GROUP = 1;
const UNBIND = '/sys/bus/pci/drivers/vfio-pci/unbind';

/** As 5.11 was. */
const before = (): CardHost => cardHost({ profile: 'linux-5.13', without: [7, 8, 9] });
const after = (profile: ProfileName = 'linux-5.13'): CardHost => cardHost({ profile });

function startProbe({ host, process }: CardHost, stop: Point): Thread<number> {
  host.scheduler.stopAt(stop);
  const thread = process.start('bind', process.sys.writeFile('/sys/bus/pci/drivers_probe', CARD));
  expect(thread.outcome).toEqual({ state: 'held', at: stop.point });
  return thread;
}

function broken({ events }: CardHost): readonly string[] {
  return events.filter(({ id }) => id === STRUCTURE_BROKEN.id || id === USE_AFTER_FREE.id).map(({ text }) => text);
}

/** Lets a thread go from point to point, and does something at each. @returns where it came by */
function throughPoints(host: Host, points: readonly Point[], start: () => Thread<unknown>, at: (point: string) => void): readonly string[] {
  for (const point of points) host.scheduler.stopAt(point);
  const thread = start();
  const seen: string[] = [];
  for (;;) {
    const { outcome } = thread;
    const point = outcome.state === 'held' ? points.find((each) => each.point === outcome.at) : undefined;
    if (point === undefined) break;
    seen.push(point.point);
    at(point.point);
    host.scheduler.release(point);
    host.scheduler.stopAt(point);
  }
  for (const point of points) host.scheduler.release(point);
  expect(thread.finished).toBe(true);
  return seen;
}

const REMOVE_POINTS: readonly Point[] = [DRIVER_UNBINDING, UNREGISTERING, LAST_PUT, UNLISTED, ...Object.values(STEP_UNDONE)];

describe('P7: the VGA client of a device that is removed', () => {
  /** A device that counts how often the arbiter asks it. */
  class Counting extends VfioPciDevice {
    asked = 0;

    override vgaDecodes(single: boolean): number {
      this.asked += 1;
      return super.vgaDecodes(single);
    }
  }
  class CountingDriver extends VfioPciDriver {
    made: Counting | undefined;

    protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
      this.made = new Counting(this.vfio, device, init);
      return this.made;
    }
  }

  it.each(['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12'] as const)('%s: asked at every step, it is there until it is taken away, and not after that [vfio P7/1] [vfio P7/3] [vfio Cross-patch-acceptance-t/8]', (profile) => {
    let driver: CountingDriver | undefined;
    const made = cardHost({ profile, driver: (vfio, init) => (driver = new CountingDriver(vfio, init)) });
    const { host, bus, device, process } = made;
    expect(attach(made, device)).toBe(0);
    bus.vga.access(device); // the first use: from here on clients are asked
    const structure = driver?.made;
    if (structure === undefined) throw new Error('no structure');
    const answers: Record<string, boolean> = {};
    const seen = throughPoints(host, REMOVE_POINTS, () => process.start('unbind', process.sys.writeFile(UNBIND, CARD)), (point) => {
      const { asked } = structure;
      bus.vga.notifyClients();
      answers[point] = structure.asked > asked;
    });
    expect(seen.slice(0, 4)).toEqual(['model/driver-unbinding', 'vfio/unregistering', 'vfio/last-put', 'vfio/unlisted']);
    const gone = seen.indexOf(STEP_UNDONE.vga.point);
    expect(seen.map((point) => answers[point])).toEqual(seen.map((_, i) => i < gone));
    expect(broken(made)).toEqual([]);
    expect([bus.vga.hasClient(device), bus.vga.decodes(device), bus.vga.legacyDecoders]).toEqual([false, 3, 1]);
  });

  it('5.11: asked when its structure is freed already [vfio P7/2] [vfio Cross-patch-acceptance-t/8] [vfio Step-and-unwind-matrices/20] [vfio Step-and-unwind-matrices/21]', () => {
    const made = before();
    const { host, bus, device, process, events } = made;
    expect(attach(made, device)).toBe(0);
    bus.vga.access(device);
    const from = events.length;
    const bad: string[] = [];
    throughPoints(host, REMOVE_POINTS, () => process.start('unbind', process.sys.writeFile(UNBIND, CARD)), (point) => {
      const count = broken(made).length;
      bus.vga.notifyClients();
      if (broken(made).length > count) bad.push(point);
    });
    expect(stepLog(events.slice(from)).slice(0, 8)).toEqual(['-register', '-token', '-notifier', '-device-set', '-iommu-group', '-power', '-device', '-vga']);
    expect(bad).toEqual([STEP_UNDONE.device.point]);
  });

  it('5.13: a probe that failed in register forgets it, and it is asked with a freed structure; 6.1 does not [vfio V57] [vfio D61-38]', () => {
    for (const profile of ['linux-5.13', 'linux-6.1'] as const) {
      const made = after(profile);
      const { bus, device } = made;
      const group = device.iommuGroup!;
      // The group goes while probe is on its way to register.
      const probe = startProbe(made, STEP_DONE.power);
      device.iommuGroup = undefined;
      made.host.scheduler.release(STEP_DONE.power);
      expect(probe.finished).toBe(true);
      device.iommuGroup = group;
      expect(device.driverName).toBeUndefined();
      expect(bus.vga.hasClient(device)).toBe(profile === 'linux-5.13');
      bus.vga.access(device);
      expect(broken(made)).toHaveLength(profile === 'linux-5.13' ? 1 : 0);
    }
  });
});

describe('P8: what a user meets who opens the device during its probe', () => {
  it('5.11: live right after its fields; then the reset lock, the token, the notifier, VGA, the power states [vfio P8/2]', () => {
    const made = before();
    expect(attach(made, made.device)).toBe(0);
    expect(stepLog(made.events)).toEqual(['+iommu-group', '+device', '+register', '+device-set', '+token', '+notifier', '+vga', '+power', '+driver-data']);
  });

  it('5.11 (w1): opened before its reset lock: a NULL dereference [vfio P8/3] [vfio V12]', () => {
    const made = before();
    startProbe(made, STEP_DONE.register);
    open(new Process(made.host), CARD, GROUP);
    expect(broken(made)[0]).toContain('NULL dereference');
  });

  it('5.11 (w2): a PF opened before its token: none is asked for, one given is a mistake, the feature is unknown [vfio P8/3]', () => {
    const made = before();
    const { host, device } = made;
    startProbe(made, STEP_DONE['device-set']);
    const user = new Process(host);
    const group = user.open(`/dev/vfio/${GROUP}`);
    const container = user.open('/dev/vfio/vfio');
    setContainer(user, group, container);
    user.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    const get = (name: string): number => user.tryIoctl(group, VFIO_GROUP_GET_DEVICE_FD, new TextEncoder().encode(`${name}\0`));
    expect(get(`${CARD} vf_token=2ab74924-c335-45f4-9b16-8569e5b08258`)).toBe(-EINVAL);
    const fd = get(CARD);
    const probe = new Uint32Array([8, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN]);
    const feature = (): number => user.tryIoctl(fd, VFIO_DEVICE_FEATURE, new Uint8Array(probe.buffer.slice(0)));
    expect(feature()).toBe(-ENOTTY);
    host.scheduler.release(STEP_DONE['device-set']);
    expect(feature()).toBe(0);
    expect(made.driver.vfioDevice(device)?.token).toBeDefined();
  });

  it('5.11 (w3, w4): opened before the power states: a state is lost in D3hot, then the device goes to sleep under its user [vfio P8/3] [vfio Cross-patch-acceptance-t/9]', () => {
    const made = before();
    const { host, card, device } = made;
    startProbe(made, STEP_DONE.vga);
    const user = new Process(host);
    const { device: fd } = open(user, CARD, GROUP);
    const command = (): number => card.command & 7;
    write16(user, fd, CONFIG + 4, 6);
    expect(command()).toBe(6);
    for (const state of [3, 0]) write16(user, fd, CONFIG + device.pm + PCI_PM_CTRL, state);
    expect(command()).toBe(0);
    host.scheduler.release(STEP_DONE.vga);
    expect(card.powerState).toBe(3);
    expect(read32(user, fd, CONFIG + device.pm + PCI_PM_CTRL) & 3).toBe(3);
    expect(read32(user, fd, 0)).toBe(0xffff_ffff);
  });

  it('5.13: opened at the first possible instant it is awake, keeps its state over D3hot, and stays awake until it is closed [vfio Cross-patch-acceptance-t/9] [vfio P8/5]', () => {
    const made = after();
    const { host, card, device } = made;
    startProbe(made, REGISTERED);
    const user = new Process(host);
    const fds = open(user, CARD, GROUP);
    write16(user, fds.device, CONFIG + 4, 6);
    for (const state of [3, 0]) write16(user, fds.device, CONFIG + device.pm + PCI_PM_CTRL, state);
    expect(card.command & 7).toBe(6);
    host.scheduler.release(REGISTERED);
    expect([card.powerState, read32(user, fds.device, CONFIG + device.pm + PCI_PM_CTRL) & 3]).toEqual([0, 0]);
    user.close(fds.device);
    expect(card.powerState).toBe(3);
  });

  it('5.11 (w5): a step that fails has to take back a live device, and waits for its user; 5.13 does not [vfio P8/3]', () => {
    const made = before();
    const { host } = made;
    host.faults.failNext(NOTIFIER_REGISTRATION, EBUSY);
    const probe = startProbe(made, STEP_DONE.register);
    const user = new Process(host);
    const fds = open(user, CARD, GROUP);
    host.scheduler.release(STEP_DONE.register);
    expect(probe.outcome).toMatchObject({ state: 'asleep', heldBy: [expect.stringContaining(user.name)] });
    for (const fd of [fds.device, fds.group, fds.container]) user.close(fd);
    expect([probe.finished, made.device.driverName]).toEqual([true, undefined]);

    const since = after();
    since.host.faults.failNext(NOTIFIER_REGISTRATION, EBUSY);
    startProbe(since, STEP_DONE.token);
    expect(() => new Process(since.host).open(`/dev/vfio/${GROUP}`)).toThrow('ENOENT');
    since.host.scheduler.release(STEP_DONE.token);
    expect(since.device.driverName).toBeUndefined();
  });
});

describe('P9: the driver\'s data while remove waits for a user', () => {
  it.each<[name: string, make: () => CardHost, still: boolean]>([
    ['5.11: the core\'s object, and NULL after the last put', before, false],
    ['5.13: the driver\'s structure, to the end of remove', after, true],
  ])('%s [vfio Cross-patch-acceptance-t/10]', (_name, make, still) => {
    const made = make();
    const { host, device, driver, process } = made;
    expect(attach(made, device)).toBe(0);
    const user = new Process(host);
    const fds = open(user, CARD, GROUP);
    host.scheduler.stopAt(LAST_PUT);
    const unbind = process.start('unbind', process.sys.writeFile(UNBIND, CARD));
    expect(unbind.outcome.state).toBe('asleep');
    const structure = registryOf(made.vfio).get(device);
    expect(driver.vfioDevice(device)).toBe(structure);
    user.close(fds.device);
    expect(unbind.outcome.state).toBe('held');
    expect(driver.vfioDevice(device)).toBe(still ? structure : undefined);
    for (const fd of [fds.group, fds.container]) user.close(fd);
    host.scheduler.release(LAST_PUT);
    expect([unbind.finished, driver.vfioDevice(device)]).toEqual([true, undefined]);
  });

  it('the token of a PF goes after its notifier, with a warning while VFs are open that used it [vfio P7/1] [vfio Step-and-unwind-matrices/14]', () => {
    const made = after();
    const { device, events, process } = made;
    expect(attach(made, device)).toBe(0);
    const token = made.driver.vfioDevice(device)?.token;
    if (token === undefined) throw new Error('no token');
    token.users = 1; // no path of user space comes here: VFs go first
    process.writeFile(UNBIND, CARD);
    const warned = events.findIndex(({ id }) => id === TOKEN_IN_USE.id);
    expect(events[warned]).toMatchObject({ fields: { device: CARD, users: 1 } });
    expect(stepLog(events.slice(0, warned)).at(-1)).toBe('-notifier');
    expect(stepLog(events.slice(warned))[0]).toBe('-token');
  });
});

describe('P13: a reference on the VFIO device means that the driver\'s structure is there', () => {
  it.each(['linux-5.13', 'linux-6.1'] as const)('%s: while it is live and while it dies; afterwards it is not found, though remove still runs [vfio P13/1] [vfio P9/2]', (profile) => {
    const made = after(profile);
    const { host, device, driver, process, vfio, bus } = made;
    const registry = registryOf(vfio);
    expect([registry.getReference(device), driver.errorDetected(device)]).toEqual([undefined, 'disconnect']);
    expect(host.scheduler.call('configure', driver.sriovConfigure(device, 1))).toBe(-ENODEV);
    expect(attach(made, device)).toBe(0);
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '1');
    const structure = driver.vfioDevice(device);
    // What a VF does to find its PF: the structure, with a reference that it puts.
    const pf = registry.getReference(bus.device(CARD_VF)?.physicalFunction ?? device);
    expect([pf, pf?.references]).toEqual([structure, 2]);
    pf?.put();
    process.writeFile(`${device.sysfs}/sriov_numvfs`, '0');
    const user = new Process(host);
    const fds = open(user, CARD, GROUP);
    host.scheduler.stopAt(STEP_UNDONE.register);
    process.start('unbind', process.sys.writeFile(UNBIND, CARD));
    expect([structure?.state, structure?.references, driver.errorDetected(device), structure?.references]).toEqual(['dying', 1, 'can-recover', 1]);
    for (const fd of [fds.device, fds.group, fds.container]) user.close(fd);
    expect([structure?.state, driver.vfioDevice(device)]).toEqual(['gone', structure]);
    expect([registry.getReference(device), driver.errorDetected(device)]).toEqual([undefined, 'disconnect']);
    host.scheduler.release(STEP_UNDONE.register);
    expect(traces(made, device)).toMatchObject({ structure: undefined, data: undefined, sets: 0 });
  });
});
