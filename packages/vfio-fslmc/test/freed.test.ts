/** A fsl-mc object that was freed with an interrupt requested, and where each kernel frees it. */
import { setIrqTriggers, USE_AFTER_FREE } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { McIo } from '../src/index.ts';
import { setUp, type SetUp } from './set-up.ts';

describe('a freed object', () => {
  it('is told by its interrupt', () => {
    const { assign, openGroup, root, driver, bus, dpni, host, events } = setUp();
    assign();
    const fd = openGroup().device('dpni.0');
    setIrqTriggers(root, fd, 1, 0, [root.eventfd()]);
    const io = new McIo(host, bus.device('dprc.2')!.regions[0]!.start);
    const handle = io.open('dpni', 0);
    io.setIrqMask(handle, 1, 1);
    io.setIrqEnable(handle, 1, true);
    driver.vfioDevice(bus.device('dpni.0')!)!.free();
    dpni.raise(1, 1);
    expect(events.filter(({ id }) => id === USE_AFTER_FREE.id).map(({ text }) => text)).toEqual(['dpni.0: interrupt after its structure was freed']);
  });

  it.each<[string, SetUp, boolean]>([
    ['at the end of remove', { profile: 'linux-5.13' }, true],
    ['by the driver core behind remove, before patch 6', { profile: 'linux-5.13', without: [6] }, false],
    ['at the end of remove', { profile: 'linux-6.1' }, true],
  ])('goes %s', (_, init, early) => {
    const { assign, bus, driver, store, vfio } = setUp(init);
    assign();
    const device = bus.device('dprc.2')!;
    const vfioDevice = driver.vfioDevice(device)!;
    // The group goes with remove's own reference, which is its last step where the driver core frees.
    const seen: boolean[] = [];
    const put = vfio.iommuGroupPut.bind(vfio);
    vfio.iommuGroupPut = (of) => {
      if (of === device) seen.push(vfioDevice.freed);
      put(of);
    };
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([seen.at(-1), vfioDevice.freed]).toEqual([early, true]);
  });
});
