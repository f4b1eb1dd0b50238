/** What a user and the VGA arbiter do between any two steps of vfio-pci's probe and remove: every order of them. */
import {
  Host,
  DRIVER_BOUND,
  DRIVER_UNBINDING,
  LAST_PUT,
  REGISTERED,
  REGISTERING,
  UNLISTED,
  UNREGISTERING,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type Point,
  type ProfileName,
  type Thread,
} from '@vsim/vfio-core';
import { binomial, everyOrder, type UserStep, type World } from '@vsim/vfio-core/testing';
import { expect, it } from 'vitest';
import { NamedFds } from '../../../testing/named-fds.ts';
import { STEP_DONE, STEP_UNDONE, TOKEN_IN_USE, bindingOrder, registryOf } from '../src/index.ts';
import { CARD, attach, cardHost, traces, type CardHost } from './card-host.ts';

const NAME = new TextEncoder().encode(`${CARD}\0`);

/** The group's node, its device, and what closes them: each step may fail, or wait. */
function userOf({ process, bus, device }: CardHost): Record<'group' | 'open' | 'close' | 'leave' | 'vga', UserStep> & { readonly hasDevice: () => boolean } {
  const fds = new NamedFds(process);
  const { sys } = process;
  return {
    group: () => {
      fds.open('container', sys.open('/dev/vfio/vfio', 2));
      fds.open('group', sys.open('/dev/vfio/1', 2));
      fds.call(sys.ioctl(fds.fd('group'), VFIO_GROUP_SET_CONTAINER, new Uint8Array(new Int32Array([fds.fd('container')]).buffer)));
      fds.call(sys.ioctl(fds.fd('container'), VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
    },
    open: () => {
      fds.open('device', sys.ioctl(fds.fd('group'), VFIO_GROUP_GET_DEVICE_FD, NAME));
    },
    close: () => {
      fds.close('device');
    },
    leave: () => {
      fds.close('group');
      fds.close('container');
    },
    vga: () => {
      bus.vga.access(device);
      bus.vga.notifyClients();
    },
    hasDevice: () => fds.has('device'),
  };
}

function world(profile: ProfileName, bound: boolean, before: readonly ('group' | 'open')[], steps: readonly ('group' | 'open' | 'close' | 'leave' | 'vga')[]): World {
  const made = cardHost({ profile });
  const { host, process, card, device, driver, events } = made;
  const clean = traces(made, device);
  if (bound) expect(attach(made, device)).toBe(0);
  const user = userOf(made);
  for (const step of before) user[step]();
  const check = (): void => {
    const bad = events.filter(({ id, severity }) => severity === 'bug' || id === TOKEN_IN_USE.id);
    if (bad.length > 0) throw new Error(bad.map(({ text }) => text).join('; '));
    // P8: nobody has it open who does not have it whole and awake.
    const whole = registryOf(made.vfio).get(device)?.token !== undefined;
    if (user.hasDevice() && !whole) throw new Error('open without a token');
    if (user.hasDevice() && card.powerState !== 0) throw new Error('open and asleep');
  };
  const end = (kernel: Thread<unknown>): void => {
    process.exit();
    if (!kernel.finished) throw new Error(`kernel thread: ${JSON.stringify(kernel.outcome)}`);
    if (device.driverName !== undefined) host.scheduler.call('unbind', made.bus.release(device));
    // An open leaves decoding on.
    expect({ ...traces(made, device), config: '' }).toEqual({ ...clean, power: 0, config: '' });
  };
  return {
    scheduler: host.scheduler,
    kernel: () => (bound ? made.bus.release(device) : made.bus.attach(driver, device)),
    user: steps.map((step) => user[step]),
    check,
    end,
  };
}

/** Registers the tests of one kernel. */
export function everyOrderOn(profile: ProfileName): void {
  const order = bindingOrder(new Host({ profile }));
  const probe: readonly Point[] = [...order.probe.map((step) => STEP_DONE[step]), REGISTERING, REGISTERED, DRIVER_BOUND];
  const remove: readonly Point[] = [DRIVER_UNBINDING, UNREGISTERING, LAST_PUT, UNLISTED, ...order.remove.map((step) => STEP_UNDONE[step])];
  it.each([
    ['probe against an open', false, probe, [], ['group', 'open', 'vga']],
    ['remove against an open, its close, and the arbiter', true, remove, ['group'], ['open', 'vga', 'close']],
    ['remove against a close, and who comes again', true, remove, ['group', 'open'], ['close', 'leave', 'vga']],
  ] as const)('%s: nothing is used before it is whole or after it is freed; all counters where they were [vfio P7/3] [vfio P8/5] [vfio P9/1]', (_name, bound, points, before, steps) => {
    const count = everyOrder(() => world(profile, bound, before, steps), points);
    expect(count).toBe(binomial(points.length + 1 + steps.length, steps.length));
  });
}
