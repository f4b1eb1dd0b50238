/** How containers and objects come to vfio-fsl-mc and go again, what of that the MC may refuse, and the traps of its interrupts. */
import { getDeviceInfo, setIrqs, setIrqTriggers, VFIO_DEVICE_RESET, VFIO_IRQ_SET_ACTION_TRIGGER } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { DPRC_GET_API_VERSION, DPRC_GET_OBJ, DPRC_GET_OBJ_COUNT, DPRC_GET_OBJ_REG, DPRC_OPEN, FOREIGN_DRIVER, MC_CLOSE, MC_GET_ATTR, MC_RESET, NULL_IRQ, OPEN_COMMANDS, PARAMS } from '../src/index.ts';
import { setUp, type FslMcHost } from './set-up.ts';

/** The MC answers one command of a container's portal so. @returns what ends it */
function refusing({ mc }: FslMcHost, command: number, status: number, name = 'dprc.2'): () => void {
  return mc.watch({ submitted: ({ portal, command: sent }) => (portal.container.name === name && sent === command ? { status } : undefined) });
}

describe('a container', () => {
  it('[fslmc 17] is bound with its override, when nobody has it, and all below with it, also what is not plugged', () => {
    const { guest, store, bind, bus, names } = setUp();
    const below = guest.addContainer({ id: 3, icid: 24 });
    below.add({ type: 'dpbp', id: 5 });
    guest.add({ type: 'dpni', id: 6, plugged: false });
    expect(outcomeOf(bind)).toBe('ENODEV');
    store('devices/dprc.2/driver_override', 'vfio-fsl-mc');
    expect(outcomeOf(bind)).toBe('EBUSY');
    store('drivers/fsl_mc_dprc/unbind', 'dprc.2');
    expect([names(), outcomeOf(bind)]).toEqual([['dprc.1', 'dprc.2'], 'success']);
    const state = (): unknown => ['dprc.3', 'dpbp.5', 'dpni.6'].map((name) => [bus.device(name)?.driverName, bus.device(name)?.driverOverride]);
    expect(state()).toEqual(Array.from({ length: 3 }, () => ['vfio-fsl-mc', 'vfio-fsl-mc']));
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    expect([names(), bus.device('dprc.2')?.driverOverride]).toEqual([['dprc.1', 'dprc.2'], 'vfio-fsl-mc']);
    store('drivers_probe', 'dprc.2');
    expect(bus.device('dprc.2')?.driverName).toBe('vfio-fsl-mc');
  });

  it('[fslmc 17] has objects that go to the kernel’s own driver when their override is cleared, with a warning', () => {
    const { assign, store, bus, events } = setUp();
    assign();
    store('drivers/vfio-fsl-mc/unbind', 'dpbp.0');
    store('devices/dpbp.0/driver_override', '\n');
    store('drivers_probe', 'dpbp.0');
    expect([bus.device('dpbp.0')?.driverName, events.filter(({ id }) => id === FOREIGN_DRIVER.id).length]).toEqual(['fsl_mc_allocator', 1]);
  });

  it.each([
    ['open', DPRC_OPEN],
    ['get_attr', MC_GET_ATTR],
    ['get_api_version', DPRC_GET_API_VERSION],
    ['get_obj_count', DPRC_GET_OBJ_COUNT],
  ])('[fslmc 39] is not bound where the MC refuses %s, and nothing is left', (_, command) => {
    const made = setUp();
    made.prepare();
    const before = made.leftOvers();
    const stop = refusing(made, command, 6);
    expect([outcomeOf(made.bind), made.leftOvers(), outcomeOf(() => made.root.open('/dev/vfio/1'))]).toEqual(['ENXIO', before, 'ENOENT']);
    stop();
    expect(outcomeOf(made.bind)).toBe('success');
  });

  it('[fslmc 39] is not bound where the MC counts more objects than the kernel has memory for', () => {
    const made = setUp();
    made.prepare();
    const before = made.leftOvers();
    const stop = made.mc.watch({ submitted: ({ command }) => (command === DPRC_GET_OBJ_COUNT ? { patch: [[PARAMS + 6, Uint8Array.of(2)]] } : undefined) });
    expect([outcomeOf(made.bind), made.leftOvers()]).toEqual(['ENOMEM', before]);
    stop();
    expect(outcomeOf(made.bind)).toBe('success');
  });

  it('[fslmc 39] is bound without the objects that the MC does not describe', () => {
    const made = setUp();
    made.prepare();
    made.mc.watch({ submitted: ({ command, bytes }) => ((command === DPRC_GET_OBJ && bytes[8] === 0) || (command === DPRC_GET_OBJ_REG && bytes[8] === 1) ? { status: 3 } : undefined) });
    expect([outcomeOf(made.bind), [...made.names()].sort()]).toEqual(['success', ['dpbp.0', 'dpcon.0', 'dpio.0', 'dpmcp.0', 'dpni.1', 'dprc.1', 'dprc.2']]);
  });

  it('[fslmc 39] whose session the MC does not close is unbound, and the session stays', () => {
    const made = setUp();
    made.assign();
    const before = made.mc.handles;
    refusing(made, MC_CLOSE, 0xa);
    expect([made.store('drivers/vfio-fsl-mc/unbind', 'dprc.2') > 0, made.mc.handles, made.bus.device('dprc.2')?.driverName]).toEqual([true, before, undefined]);
  });
});

describe('an object', () => {
  it.each([['open', OPEN_COMMANDS.get('dpni')!, 0xa, 'EBUSY'], ['reset', MC_RESET, 6, 'ENXIO'], ['close', MC_CLOSE, 3, 'EACCES']] as const)('[fslmc 30] [fslmc 31] has no RESET in its flags, resets all the same, and is told what the MC makes of %s', (_, command, status, outcome) => {
    const made = setUp();
    made.assign();
    const { root, dpni } = made;
    const fd = made.openGroup().device('dpni.0');
    const reset = (): string => outcomeOf(() => root.ioctl(fd, VFIO_DEVICE_RESET));
    expect([getDeviceInfo(root, fd).flags, reset(), dpni.resets]).toEqual([0x40, 'success', 1]);
    refusing(made, command, status);
    expect(reset()).toBe(outcome);
  });

  it('[fslmc 34] whose interrupts nobody has set up is a NULL pointer for NONE with count 0, and nothing afterwards', () => {
    const { assign, openGroup, root, events } = setUp();
    assign();
    const fd = openGroup().device('dpni.0');
    const off = (): string => outcomeOf(() => setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0));
    const traps = (): number => events.filter(({ id, severity }) => id === NULL_IRQ.id && severity === 'bug').length;
    expect([off(), traps()]).toEqual(['success', 1]);
    const loopback = outcomeOf(() => setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1));
    expect([loopback, off(), traps()]).toEqual(['success', 'success', 1]);
  });

  it('[fslmc 34] loses its trigger to a file that is none', () => {
    const { assign, openGroup, root, dpni } = setUp();
    assign();
    const fd = openGroup().device('dpni.0');
    const eventfd = root.eventfd();
    const trigger = (of: number): string => outcomeOf(() => setIrqTriggers(root, fd, 0, 0, [of]));
    const rings = (): number => {
      setIrqs(root, fd, 0, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1);
      return Number(root.poll([{ fd: eventfd, events: 1 }])[0]) === 0 ? 0 : Number(root.readEventfd(eventfd));
    };
    expect([trigger(eventfd), rings(), trigger(999), rings()]).toEqual(['success', 1, 'EBADF', 0]);
    expect([trigger(eventfd), rings(), trigger(root.open('/dev/vfio/vfio')), rings()]).toEqual(['success', 1, 'EINVAL', 0]);
    expect([trigger(eventfd), rings(), trigger(-2), rings()]).toEqual(['success', 1, 'success', 0]);
    // The object keeps the message that it was told.
    expect(dpni.irqs[0]?.address).toBeGreaterThan(0);
  });
});
