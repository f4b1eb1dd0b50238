import { describe, expect, it, vi } from 'vitest';
import {
  BlockedError,
  ENOMEM,
  ETIMEDOUT,
  getDeviceInfo,
  GROUP_ALLOCATION,
  REGISTERED,
  REGISTERING,
  SmmuV3Iommu,
  type FaultPoint,
  type ProfileName,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { CONTAINER_LOCK_ALLOCATION, DEVICE_ALLOCATION, FOREIGN_DRIVER, NOTIFIER_REGISTRATION, SCAN } from '../src/index.ts';
import { setUp, type FslMcHost, type SetUp } from './set-up.ts';

/** Makes a step fail; there is nothing to mend afterwards. */
function fault(point: FaultPoint): (made: FslMcHost) => () => void {
  return ({ host }) => {
    host.faults.failNext(point);
    return () => undefined;
  };
}

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
    taken.bus.takePortal(start, 0x1_0000);
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

  it.each<ProfileName>(['linux-5.13', 'linux-6.1'])('[vfio Step-and-unwind-matrices/22] [vfio Step-and-unwind-matrices/23] [vfio Step-and-unwind-matrices/24] [vfio Step-and-unwind-matrices/25] [vfio Step-and-unwind-matrices/26] [vfio Step-and-unwind-matrices/28] [vfio Step-and-unwind-matrices/29] leave nothing of a probe that fails at any step, and bind afterwards, %s', (profile) => {
    const faults: readonly (readonly [string, (made: FslMcHost) => () => void])[] = [
      ['ENOMEM', fault(DEVICE_ALLOCATION)],
      ['ENOMEM', fault(CONTAINER_LOCK_ALLOCATION)],
      ['ENOMEM', fault(NOTIFIER_REGISTRATION)],
      ['EBUSY', ({ bus }) => {
        const { start } = bus.device('dprc.2')!.regions[0]!;
        bus.takePortal(start, 0x1_0000);
        return () => { bus.putPortal(start); };
      }],
      ['ETIMEDOUT', ({ mc }) => {
        mc.hung = true;
        return () => { mc.hung = false; };
      }],
      ['ENOMEM', fault(GROUP_ALLOCATION)],
      // The scan has made every child by then.
      ['ENOMEM', fault(SCAN)],
    ];
    for (const [errno, breakIt] of faults) {
      const made = setUp({ profile });
      const { prepare, leftOvers, bind, bus, driver, store, events } = made;
      prepare();
      const before = leftOvers();
      const device = bus.device('dprc.2')!;
      const mend = breakIt(made);
      // 5.13 says ENODEV for any refusal in bind but EBUSY.
      expect(outcomeOf(bind)).toBe(profile === 'linux-5.13' && errno !== 'EBUSY' ? 'ENODEV' : errno);
      mend();
      expect([leftOvers(), device.dprc, device.driverName, device.children, driver.vfioDevice(device)]).toEqual([before, undefined, undefined, [], undefined]);
      bind();
      expect([leftOvers()['notifiers'], driver.lockUsers(device), leftOvers()['portals']]).toEqual([1, 8, before['portals']! + 1]);
      store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
      expect([leftOvers(), events.filter(({ severity }) => severity === 'bug')]).toEqual([before, []]);
    }
  });

  it('[vfio Step-and-unwind-matrices/29] [vfio P5/4] sleep when a scan fails while user space has the container, and then undo in order', () => {
    const { host, prepare, start, openGroup, root, bus, driver, vfio, mc, leftOvers, names } = setUp();
    prepare();
    const before = leftOvers();
    const device = bus.device('dprc.2')!;
    const log: string[] = [];
    const look = (what: string) => log.push(`${what}: ${names().length - 2} children, ${vfio.groups.length} groups, ${mc.handles - 1} handles, ${driver.notifiers} notifiers, ${driver.lockUsers(device)} locks`);
    const putPortal = bus.putPortal.bind(bus);
    const putGroup = vfio.iommuGroupPut.bind(vfio);
    vi.spyOn(bus, 'putPortal').mockImplementation((address) => {
      look('portal');
      putPortal(address);
    });
    vi.spyOn(vfio, 'iommuGroupPut').mockImplementation((put) => {
      if (put === device) look('group');
      putGroup(put);
    });
    host.scheduler.stopAt(REGISTERED);
    const probe = start('drivers/vfio-fsl-mc/bind', 'dprc.2');
    const fd = openGroup().device('dprc.2');
    host.faults.failNext(SCAN);
    host.scheduler.release(REGISTERED);
    expect(probe.outcome).toMatchObject({ state: 'asleep', what: 'the last reference of vfio device dprc.2', heldBy: [expect.stringContaining('root fd')] });
    expect(names()).toEqual(['dprc.1', 'dprc.2']);
    root.close(fd);
    expect(probe.result()).toBe(-ENOMEM);
    // unregister puts its group; then the portal goes.
    expect(log).toEqual([
      'group: 0 children, 0 groups, 1 handles, 1 notifiers, 1 locks',
      'portal: 0 children, 0 groups, 0 handles, 1 notifiers, 1 locks',
    ]);
    root.exit();
    expect(leftOvers()).toEqual(before);
  });

  it('[vfio Step-and-unwind-matrices/27] let a child use the portal of its container: it takes none, and opens nothing', () => {
    const { assign, bus, driver, leftOvers } = setUp();
    assign();
    const container = bus.device('dprc.2')!;
    // The root's and the container's own; each of the 7 children has the container's lock.
    expect([leftOvers()['portals'], leftOvers()['handles'], driver.lockUsers(container)]).toEqual([2, 2, 8]);
    expect(container.children.map(({ dprc, container: of }) => [dprc, of])).toEqual(Array.from({ length: 7 }, () => [undefined, container]));
  });

  it('[vfio P6/2] [vfio P6/3] [vfio Cross-patch-acceptance-t/7] free at the end of remove; before patch 6 the driver core freed later', () => {
    const found = (driver: (made: FslMcHost) => unknown, init: SetUp) => {
      const made = setUp(init);
      made.assign();
      const device = made.bus.device('dprc.2')!;
      const seen: string[] = [];
      const look = (when: string) => `${when}: ${driver(made) === undefined ? 'free' : 'there'}`;
      let removed = '';
      // The last step of remove; then the driver core runs devres, and then it tells the bus.
      const put = made.vfio.iommuGroupPut.bind(made.vfio);
      made.vfio.iommuGroupPut = (of) => {
        if (of === device) removed = look('removed');
        put(of);
      };
      made.bus.listen({
        busEvent: (event, unbound) => {
          if (unbound !== device) return;
          if (event === 'unbind') seen.push(look(event));
          if (event === 'unbound') seen.push(removed, look(event));
        },
      });
      made.store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
      return seen;
    };
    const device = ({ bus }: FslMcHost) => bus.device('dprc.2')!;
    expect(found((made) => made.driver.vfioDevice(device(made)), {})).toEqual(['unbind: there', 'removed: free', 'unbound: free']);
    expect(found((made) => made.driver.vfioDevice(device(made)), { profile: 'linux-5.13', without: [6] })).toEqual(['unbind: there', 'removed: there', 'unbound: free']);
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
