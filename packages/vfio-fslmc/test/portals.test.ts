/** Portals: whom they answer and when, and what Linux says through the root's while no driver has the root. */
import { EFAULT, EINVAL, get, type Process } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { DPMNG_GET_VERSION, DPRC_GET_OBJ_COUNT, MC_CLOSE, mc_header, mcCommand, MC_SET_IRQ_ENABLE, MC_SET_IRQ_MASK, MC_STATUS_AUTH_ERR, MC_STATUS_OK, MC_STATUS_READY, type McSubmission } from '../src/index.ts';
import { setUp, status, type FslMcHost } from './set-up.ts';

const MS = 1_000_000;
const VERSION = mcCommand(DPMNG_GET_VERSION, 1, 0);

/** Command, token and status of what the MC hears from here on; undefined: not answered. */
function heard({ mc }: FslMcHost): (readonly [command: number, token: number, status: number | undefined])[] {
  const out: (readonly [number, number, number | undefined])[] = [];
  mc.watch({
    answered: ({ command, bytes }, answer) => {
      out.push([command, get(bytes, mc_header.token), answer === undefined ? undefined : status(answer)]);
    },
  });
  return out;
}

function assigned(): { readonly made: FslMcHost; readonly fd: number } {
  const made = setUp();
  made.assign();
  return { made, fd: made.openGroup().device('dprc.2') };
}

function portal(root: Process, fd: number): Uint8Array {
  const bytes = new Uint8Array(64);
  root.pread(fd, bytes, 0);
  return bytes;
}

describe('an answer that is late', () => {
  const slow = (delay: number) => ({ submitted: ({ command }: McSubmission) => (command === DPMNG_GET_VERSION ? { delay } : undefined) });

  it('[fslmc 32] is waited for by a pwrite, and heard twice', () => {
    const { made, fd } = assigned();
    const { mc, root, host } = made;
    const log = heard(made);
    mc.watch(slow(700 * MS));
    const before = host.scheduler.now;
    expect([root.pwrite(fd, VERSION, 0), (host.scheduler.now - before) / MS, status(portal(root, fd))]).toEqual([64, 700, MC_STATUS_OK]);
    expect(log).toEqual([[DPMNG_GET_VERSION, 0, undefined], [DPMNG_GET_VERSION, 0, MC_STATUS_OK]]);
  });

  it('[fslmc 32] by more than 5 s leaves the command as it was, until it comes', () => {
    const { made: { mc, root, host }, fd } = assigned();
    mc.watch(slow(6000 * MS));
    expect([outcomeOf(() => root.pwrite(fd, VERSION, 0)), portal(root, fd)]).toEqual(['ETIMEDOUT', VERSION]);
    host.scheduler.advance(1000 * MS);
    expect(status(portal(root, fd))).toBe(MC_STATUS_OK);
  });

  it('is not given to another command, and not asked for twice', () => {
    const { made, fd } = assigned();
    const { mc, root, host } = made;
    const stop = mc.watch(slow(6000 * MS));
    expect(root.tryPwrite(fd, VERSION, 0)).toBeLessThan(0);
    stop();
    const log = heard(made);
    mc.recover();
    expect(log).toEqual([]);
    const other = mcCommand(MC_CLOSE, 1, 0xbeef);
    root.pwrite(fd, other, 0);
    host.scheduler.advance(1000 * MS);
    expect([status(portal(root, fd)), log]).toEqual([MC_STATUS_AUTH_ERR, [[MC_CLOSE, 0xbeef, MC_STATUS_AUTH_ERR]]]);
  });
});

describe('a portal', () => {
  it('[fslmc 32] is sent nothing from a buffer that is not there', () => {
    const { made, fd } = assigned();
    const { root } = made;
    root.pwrite(fd, VERSION, 0);
    const before = portal(root, fd);
    const log = heard(made);
    expect([root.tryPwriteFrom(fd, 0, 64, 0), root.tryPwriteFrom(fd, 0, 63, 0), log]).toEqual([-EFAULT, -EINVAL, []]);
    expect(portal(root, fd)).toEqual(before);
  });

  it('of a container that has gone answers AUTH_ERR to all', () => {
    const { made, fd } = assigned();
    const { mc, root, guest } = made;
    mc.root.remove(guest);
    const log = heard(made);
    root.pwrite(fd, VERSION, 0);
    root.close(fd);
    // The last close resets the container, and the parent's scan, which has waited for it, closes its session.
    expect([log.map(([, , answer]) => answer), mc.handles]).toEqual([[MC_STATUS_AUTH_ERR, MC_STATUS_AUTH_ERR, MC_STATUS_AUTH_ERR], 1]);
  });
});

describe('the root container without a driver', () => {
  it('[fslmc D31] is asked for its objects with the handle of the session that is closed', () => {
    const made = setUp();
    const { bus, store } = made;
    const { handle } = bus.device('dprc.1')!;
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    const log = heard(made);
    expect([store('rescan', '0'), store('rescan', '1'), log, made.names()]).toEqual([1, 1, [[DPRC_GET_OBJ_COUNT, handle, MC_STATUS_AUTH_ERR]], ['dprc.1']]);
  });

  it('[fslmc D30] [fslmc D6] is told to listen or not by autorescan, which reads what it was when the driver went', () => {
    const made = setUp();
    const { bus, store, root, bind } = made;
    store('devices/dprc.1/driver_override', 'vfio-fsl-mc');
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    bind('dprc.1');
    store('autorescan', '1');
    store('drivers/vfio-fsl-mc/unbind', 'dprc.1');
    const log = heard(made);
    const reads = () => root.readFile('/sys/bus/fsl-mc/autorescan');
    expect([reads(), store('autorescan', '0'), reads(), store('autorescan', '1')]).toEqual(['1\n', 1, '1\n', 1]);
    const { handle } = bus.device('dprc.1')!;
    expect(log).toEqual([[MC_SET_IRQ_ENABLE, handle, MC_STATUS_AUTH_ERR], [MC_SET_IRQ_MASK, handle, MC_STATUS_AUTH_ERR]]);
  });
});

describe('the bus', () => {
  it('[fslmc 2] takes all away when the machine goes down, the root’s portal last, which no driver of it gives back', () => {
    const { bus, mc, store, host, names, leftOvers } = setUp();
    expect(bus.portals.get(mc.base)).toBe(0x40);
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    expect([...bus.portals.keys()]).toEqual([mc.base]);
    store('drivers/fsl_mc_dprc/bind', 'dprc.1');
    host.scheduler.call('shutdown', bus.shutDown());
    expect([names(), mc.handles, bus.portals.size, leftOvers()['irqs']]).toEqual([[], 0, 0, 0]);
  });

  it('[fslmc 2] has no root, and nothing to say of it or to it, where the firmware is not ready', () => {
    const made = setUp({ gsr: 0 });
    const log = heard(made);
    expect([made.root.readFile('/sys/bus/fsl-mc/autorescan'), made.store('autorescan', '1'), made.store('rescan', '1')]).toEqual(['', 1, 1]);
    made.host.scheduler.call('shutdown', made.bus.shutDown());
    expect([log, made.mc.control?.gcr1]).toEqual([[], 0]);
  });
});

it('a command whose status is not READY is not submitted', () => {
  const { made, fd } = assigned();
  const { root } = made;
  const log = heard(made);
  const done = VERSION.slice();
  done[2] = MC_STATUS_OK;
  expect([VERSION[2], root.pwrite(fd, done, 0), portal(root, fd), log]).toEqual([MC_STATUS_READY, 64, done, []]);
});
