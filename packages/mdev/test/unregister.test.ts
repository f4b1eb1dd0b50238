/** A parent is unregistered while user space creates and removes: it waits (unreg_sem), and each device goes once. */
import type { ProfileName } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { MDEV_CREATED, MDEV_REMOVING } from '../src/index.ts';
import { setUp, UUID, uuidOf } from './set-up.ts';

const CREATE = '/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1/create';

function machine(profile: ProfileName) {
  const made = setUp(profile);
  const { host, root, bus, mtty } = made;
  const gone: string[] = [];
  bus.listen({ busEvent: (event, { name }) => { if (event === 'del') gone.push(name); } });
  const create = (uuid = UUID) => root.start('create', root.sys.writeFile(CREATE, uuid));
  const remove = (uuid = UUID) => root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${uuid}/remove`, '1'));
  const rmmod = () => host.scheduler.spawn('rmmod mtty', mtty.unregister());
  return { host, root, bus, mtty, gone, create: made.create, open: made.open, left: made.left, start: { create, remove, rmmod } };
}

describe.each<ProfileName>(['linux-5.13', 'linux-6.1', 'linux-6.12'])('unregistering, %s', (profile) => {
  it('waits for a creation under way, whose device then goes once [M19]', () => {
    const { host, bus, gone, start, left } = machine(profile);
    host.scheduler.stopAt(MDEV_CREATED);
    const create = start.create();
    const rmmod = start.rmmod();
    expect([create.outcome.state, rmmod.outcome]).toEqual(['held', expect.objectContaining({ state: 'asleep', what: 'creations and removals of mtty' })]);
    expect([gone, left('mtty-1')]).toEqual([[], 23]);
    host.scheduler.release(MDEV_CREATED);
    expect([create.result(), rmmod.finished, gone, bus.devices]).toEqual([36, true, [UUID], []]);
  });

  it('waits for a removal under way, and does not do it a second time [M19]', () => {
    const { host, bus, create, gone, start } = machine(profile);
    create('mtty-1');
    host.scheduler.stopAt(MDEV_REMOVING);
    const remove = start.remove();
    const rmmod = start.rmmod();
    expect([remove.outcome.state, rmmod.outcome.state, gone]).toEqual(['held', 'asleep', []]);
    host.scheduler.release(MDEV_REMOVING);
    expect([remove.result(), rmmod.finished, gone, bus.devices]).toEqual([1, true, [UUID], []]);
  });

  it('waits for a removal that waits for its user [M19]', () => {
    const { root, create, open, gone, start } = machine(profile);
    create('mtty-1');
    const fds = open();
    const remove = start.remove();
    const rmmod = start.rmmod();
    expect([remove.outcome.state, rmmod.outcome.state]).toEqual(['asleep', 'asleep']);
    root.close(fds.device);
    root.close(fds.group);
    expect([remove.finished, rmmod.finished, gone]).toEqual([true, true, [UUID]]);
  });

  it('lets nobody begin while it waits: ENODEV for a creation and a removal [M19]', () => {
    const { host, root, create, gone, start } = machine(profile);
    create('mtty-1', uuidOf(1));
    host.scheduler.stopAt(MDEV_CREATED);
    start.create();
    const rmmod = start.rmmod();
    expect(outcomeOf(() => root.writeFile(CREATE, uuidOf(2)))).toBe('ENODEV');
    expect(outcomeOf(() => root.writeFile(`/sys/bus/mdev/devices/${uuidOf(1)}/remove`, '1'))).toBe('ENODEV');
    // The file went with that write: there is nothing to write to, and the device goes with its parent.
    expect(outcomeOf(() => root.writeFile(`/sys/bus/mdev/devices/${uuidOf(1)}/remove`, '1'))).toBe('ENOENT');
    host.scheduler.release(MDEV_CREATED);
    expect([rmmod.finished, [...gone].sort()]).toEqual([true, [uuidOf(1), UUID]]);
  });

  it('takes the parent out of its class only when it has waited [M19]', () => {
    const { host, root, start } = machine(profile);
    host.scheduler.stopAt(MDEV_CREATED);
    start.create();
    start.rmmod();
    expect(root.readdir('/sys/class/mdev_bus')).toContain('mtty');
    host.scheduler.release(MDEV_CREATED);
    expect(root.readdir('/sys/class/mdev_bus')).not.toContain('mtty');
  });

  it('of a parent that comes back lets users in again [M19]', () => {
    const { host, mtty, create, gone, start } = machine(profile);
    create('mtty-1');
    start.rmmod();
    expect(host.scheduler.call('modprobe', mtty.register())).toBe(0);
    expect([create('mtty-1'), gone]).toEqual([36, [UUID]]);
  });
});
