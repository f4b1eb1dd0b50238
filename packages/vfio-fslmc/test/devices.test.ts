import { describe, expect, it } from 'vitest';
import { EBUSY, EINVAL, ENXIO, get, Process } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import {
  ACCEPTED_COMMANDS,
  DPRC_GET_OBJ_COUNT,
  FSL_MC_SEND_MC_COMMAND,
  MC_CLOSE,
  MC_GET_ATTR,
  mc_header,
  mcCommand,
  OBJECT_IN_USE,
  PARAMS,
} from '../src/index.ts';
import { openCommand, setUp, token } from './set-up.ts';

describe('allocatable objects', () => {
  it('go to the kernel’s allocator, into the pools of their container', () => {
    const { bus, guest } = setUp();
    const dprc = bus.device('dprc.2')!.dprc!;
    expect(bus.devices.map(({ name, driverName }) => `${name} ${driverName ?? '-'}`)).toEqual([
      'dprc.1 fsl_mc_dprc',
      'dprc.2 fsl_mc_dprc',
      'dpbp.0 fsl_mc_allocator',
      'dpcon.0 fsl_mc_allocator',
      'dpmcp.0 fsl_mc_allocator',
      'dpni.0 -',
      'dpni.1 -',
      'dpio.0 -',
      'dpio.1 -',
    ]);
    expect(['dpmcp', 'dpbp', 'dpcon'].map((type) => dprc.pool(type)!.size)).toEqual([1, 1, 1]);
    const taken = dprc.allocate('dpbp');
    expect([taken, dprc.allocate('dpbp'), dprc.allocate('dpni')]).toEqual([bus.device('dpbp.0'), -ENXIO, -EINVAL]);
    guest.add({ type: 'dpbp', id: 1 });
    expect(dprc.allocate('dpbp')).toBe(bus.device('dpbp.1'));
    // What was given back last is lent last.
    dprc.pool('dpbp')!.give(bus.device('dpbp.0')!);
    expect([dprc.pool('dpbp')!.lent, dprc.allocate('dpbp')]).toEqual([1, bus.device('dpbp.0')]);
  });

  it('cannot leave their pool while they are lent, which the kernel tells; nor come twice', () => {
    const { bus, store, events } = setUp();
    const pool = bus.device('dprc.2')!.dprc!.pool('dpcon')!;
    const dpcon = bus.device('dpcon.0')!;
    expect([pool.add(dpcon), pool.allocate()]).toEqual([-EINVAL, dpcon]);
    store('drivers/fsl_mc_allocator/unbind', 'dpcon.0');
    expect(events.filter(({ id }) => id === OBJECT_IN_USE.id).map(({ fields }) => fields)).toEqual([{ device: 'dpcon.0', error: -EBUSY }]);
    expect([pool.remove(dpcon), pool.size]).toEqual([-EBUSY, 1]);
    pool.give(dpcon);
    expect([outcomeOf(() => store('drivers/fsl_mc_allocator/bind', 'dpcon.0')), pool.remove(dpcon), pool.remove(dpcon)]).toEqual(['EINVAL', 0, -EINVAL]);
    store('drivers/fsl_mc_allocator/bind', 'dpcon.0');
    store('drivers/fsl_mc_allocator/unbind', 'dpcon.0');
    expect(pool.size).toBe(0);
  });

  it('are user space’s with their container: no pool has them then', () => {
    const { assign, bus, store } = setUp();
    assign();
    expect([bus.device('dpmcp.0')?.driverName, bus.device('dprc.2')!.dprc!.pool('dpmcp')!.size]).toEqual(['vfio-fsl-mc', 0]);
    store('drivers/vfio-fsl-mc/unbind', 'dprc.2');
    store('devices/dprc.2/driver_override', '\n');
    store('drivers/fsl_mc_dprc/bind', 'dprc.2');
    expect([bus.device('dpmcp.0')?.driverName, bus.device('dprc.2')!.dprc!.pool('dpmcp')!.size]).toEqual(['fsl_mc_allocator', 1]);
  });
});

describe('/dev/dprc.1', () => {
  const send = (process: Process, fd: number, command: Uint8Array) => process.ioctl(fd, FSL_MC_SEND_MC_COMMAND, command);

  it('sends commands to the root container, with the status as errno', () => {
    const { root, bus } = setUp();
    const fd = root.open('/dev/dprc.1');
    const open = openCommand('dprc', 2);
    send(root, fd, open);
    expect([get(open, mc_header.status), token(open) > 0]).toEqual([0, true]);
    const count = mcCommand(DPRC_GET_OBJ_COUNT, 1, token(open));
    send(root, fd, count);
    expect(get(count, [PARAMS + 4, 'u32'])).toBe(7);
    // The kernel has the root open through this portal: [fslmc 40].
    expect(outcomeOf(() => send(root, fd, openCommand('dprc', 1)))).toBe('success');
    const refused = openCommand('dpni', 9);
    const before = [...refused];
    expect([outcomeOf(() => send(root, fd, refused)), [...refused]]).toEqual(['ENXIO', before]);
    send(root, fd, mcCommand(MC_CLOSE, 1, token(open)));
    expect(outcomeOf(() => send(root, fd, mcCommand(MC_GET_ATTR, 1, token(open))))).toBe('EACCES');
    expect([outcomeOf(() => root.ioctl(fd, 0x5241, new Uint8Array(64))), outcomeOf(() => send(root, fd, new Uint8Array(63)))]).toEqual(['EINVAL', 'EFAULT']);
    expect(bus.device('dprc.1')?.dprc?.io.portal).toBe(bus.mc.base);
  });

  it('gives the first opener the root’s portal, each further one a dpmcp, and ENXIO when none is left', () => {
    const { root, mc, bus } = setUp();
    const first = root.open('/dev/dprc.1');
    expect(outcomeOf(() => root.open('/dev/dprc.1'))).toBe('ENXIO');
    mc.root.add({ type: 'dpmcp', id: 7 });
    const before = [mc.handles, bus.portals.size];
    const second = root.open('/dev/dprc.1');
    expect([mc.handles, bus.portals.size, outcomeOf(() => root.open('/dev/dprc.1'))]).toEqual([before[0]! + 1, before[1]! + 1, 'ENXIO']);
    // Two portals: the same object is open in both.
    const [one, two] = [openCommand('dprc', 2), openCommand('dprc', 2)];
    send(root, first, one);
    send(root, second, two);
    expect(token(one)).not.toBe(token(two));
    expect(outcomeOf(() => send(root, second, mcCommand(MC_GET_ATTR, 1, token(one))))).toBe('EACCES');
    root.close(second);
    root.close(first);
    expect([bus.portals.size, bus.root!.dprc!.pool('dpmcp')!.lent]).toEqual([before[1], 0]);
    root.close(root.open('/dev/dprc.1'));
    // A dpmcp that does not answer is given back.
    const again = root.open('/dev/dprc.1');
    mc.hung = true;
    expect([outcomeOf(() => root.open('/dev/dprc.1')), bus.portals.size, bus.root!.dprc!.pool('dpmcp')!.lent]).toEqual(['ETIMEDOUT', before[1], 0]);
    root.close(again);
  });

  it('[fslmc 41] [fslmc D2] [fslmc D3] lets 45 commands pass: by id, size, token and type of object, and some for CAP_NET_ADMIN alone', () => {
    const { host, mc, bus } = setUp();
    mc.root.add({ type: 'dpmcp', id: 7 });
    const admin = new Process(host, { name: 'restool' });
    const user = new Process(host, { name: 'reader', capabilities: [] });
    const fds = new Map([admin, user].map((process) => [process, process.open('/dev/dprc.1')]));
    const outcome = (process: Process, command: Uint8Array) => outcomeOf(() => send(process, fds.get(process)!, command));
    const raw = (id: number, handle: number, byteAt?: number) => {
      const command = mcCommand(id >>> 4, id & 15, handle);
      if (byteAt !== undefined) command[byteAt] = 1;
      return command;
    };
    expect(ACCEPTED_COMMANDS.length).toBe(45);
    for (const { id, token: needs, size, admin: needsAdmin, typed } of ACCEPTED_COMMANDS) {
      const full = typed ? id | 0x11 : id | 1;
      const handle = needs ? 0xbeef : 0;
      const beyond = size < 64 ? outcome(admin, raw(full, handle, size)) : 'EACCES';
      expect([id.toString(16), beyond, outcome(admin, raw(full, needs ? 0 : 0xbeef)), outcome(user, raw(full, handle)) === 'EPERM']).toEqual([id.toString(16), 'EACCES', 'EACCES', needsAdmin]);
      // The last byte that belongs to the command may be anything: what then comes is the MC's answer.
      if (!needs && size > 8) expect(outcome(admin, raw(full, handle, size - 1))).not.toBe('EACCES');
    }
    // Not known at all, and types of object that are none, 0 and 17: the firmware, which would not answer, is not asked.
    mc.hung = true;
    expect([0x0021, 0x1601, 0x8001, 0x8111, 0xa001, 0xa111].map((id) => outcome(admin, raw(id, 0)))).toEqual(Array.from({ length: 6 }, () => 'EACCES'));
    mc.hung = false;
    // Types 1 and 16 are.
    expect([outcome(admin, raw(0x8101, 0)), outcome(admin, raw(0xa101, 0)), outcome(admin, raw(0xa011, 0))]).toEqual(['ENXIO', 'success', 'success']);
    // A command that passes, in a version that the MC does not know.
    expect(outcome(admin, raw(0x901f, bus.device('dprc.1')!.dprc!.handle))).toBe('ENOTSUPP');
  });

  it('is the root’s alone, for root alone, and goes with its driver', () => {
    const { host, root, store } = setUp();
    expect(root.readdir('/dev')).toEqual(['dprc.1', 'vfio']);
    expect(outcomeOf(() => new Process(host, { uid: 1000 }).open('/dev/dprc.1'))).toBe('EACCES');
    store('drivers/fsl_mc_dprc/unbind', 'dprc.1');
    expect(root.readdir('/dev')).toEqual(['vfio']);
    store('drivers/fsl_mc_dprc/bind', 'dprc.1');
    expect(root.readdir('/dev')).toEqual(['dprc.1', 'vfio']);
  });
});
