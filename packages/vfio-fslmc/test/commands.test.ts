import { describe, expect, it } from 'vitest';
import { ENOTSUPP } from '@vsim/vfio-core';
import { MC_RESET, mcCommand, McIo, PARAMS, statusError } from '../src/index.ts';
import { openCommand, send, setUp, status, token } from './set-up.ts';

describe('commands', () => {
  it('[vfio 5.2/7] [vfio 5.2/8] [vfio 5.2/9] [vfio 5.2/10] [vfio 5.2/11] [vfio 5.2/12] [vfio 5.2/13] [vfio 5.2/14] [vfio 5.2/15] [vfio 5.2/16] [vfio 5.2/17] [vfio 5.2/18] [vfio 5.2/19] end with an errno by their status', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255].map(statusError)).toEqual([0, -110, -0, -13, -1, -5, -6, -110, -119, -12, -16, -524, -19, -22, -22].map((e) => (e === 0 ? 0 : e)));
  });

  it('[vfio 5.2/3] [vfio 5.2/5] [vfio 5.2/6] are 64 bytes, header last, little-endian', () => {
    const { host, mc } = setUp();
    const { memory } = host;
    // Parameters first, in any order: nothing happens before the last byte of the header.
    memory.write32(mc.base + 8, 1);
    memory.write32(mc.base, 0x0001_0000);
    expect(memory.read8(mc.base + 2)).toBe(1);
    memory.write32(mc.base + 4, 0x8301_0000);
    expect([memory.read8(mc.base + 2), memory.read32(mc.base + 8)]).toEqual([0, 1]);
  });

  it('[vfio 5.3/1] [vfio 5.3/2] [vfio 5.3/3] [vfio 5.3/4] [vfio 5.3/5] [vfio 5.3/6] open, describe and close a container', () => {
    const { host, mc } = setUp();
    const io = new McIo(host.memory, mc.base);
    expect([io.version(), io.containerId(), io.apiVersion()]).toEqual([0, 1, [6, 6]]);
    const other = io.open('dprc', 2);
    expect([other > 0, io.icid(other), io.open('dprc', 2), io.open('dprc', 9)]).toEqual([true, 23, -16, -6]);
    expect([io.close(other), io.close(other), io.icid(other)]).toEqual([0, -13, -13]);
  });

  it('[vfio 5.3/9] [vfio 5.3/10] [vfio 5.3/11] tell what is in a container', () => {
    const { host, mc } = setUp();
    const io = new McIo(host.memory, mc.base);
    const handle = io.open('dprc', 2);
    expect(io.objectCount(handle)).toBe(7);
    expect(io.object(handle, 0)).toEqual({ type: 'dpni', id: 0, vendor: 0x1957, version: [7, 0], irqCount: 2, regionCount: 0, state: 2, label: '', flags: 0 });
    expect(io.object(handle, 7)).toBe(-6);
    const dpio = io.object(handle, 2);
    if (typeof dpio === 'number') throw new Error('no dpio');
    expect(io.region(handle, 3, dpio, 0)).toEqual({ kind: 'qbman-memory', offset: 0, size: 0x1_0000, flags: 3, base: mc.qbmanBase });
    expect(io.region(handle, 1, dpio, 1)).toEqual({ kind: 'qbman', offset: 0x1_0000, size: 0x1000, flags: 0, base: 0 });
    expect([io.region(handle, 4, dpio, 0), io.region(handle, 3, dpio, 2)]).toEqual([-ENOTSUPP, -6]);
  });

  it('[vfio 5.3/8] [vfio 5.3/12] [vfio 5.3/14] configure interrupts and state of an object', () => {
    const { host, mc, dpni } = setUp();
    const io = new McIo(host.memory, mc.portalOf(mc.root)!.id * 0x1_0000 + mc.base);
    const handle = io.open('dpni', 0);
    const target = 0x1_0000_1000;
    expect([io.setIrq(handle, undefined, 1, target, 0xabcd), io.setIrqMask(handle, 1, 6), io.setIrq(handle, undefined, 2, 0, 0)]).toEqual([0, 0, -6]);
    dpni.raise(1, 2);
    expect([host.memory.read32(target), io.irqStatus(handle, 1)]).toEqual([0, 2]);
    io.setIrqEnable(handle, 1, true);
    dpni.raise(1, 1);
    expect([host.memory.read32(target), io.irqStatus(handle, 1)]).toEqual([0xabcd, 3]);
    expect([io.clearIrqStatus(handle, 1, 2), io.irqStatus(handle, 1)]).toEqual([0, 1]);
    expect([io.send(mcCommand(2, 1, handle)), dpni.enabled, io.reset(handle), dpni.enabled, io.irqStatus(handle, 1)]).toEqual([0, true, 0, false, 0]);
    expect(io.send(mcCommand(0x7ff, 1, handle))).toBe(-ENOTSUPP);
  });

  it('[vfio 5.3/7] reset a container: its objects, their handles, and with version 1 what is below', () => {
    const { bus, guest, dpni } = setUp();
    const below = guest.addContainer({ id: 3, icid: 24 });
    const deep = below.add({ type: 'dpbp', id: 7 });
    const { io, handle: own } = bus.device('dprc.2')!.dprc!;
    const handle = io.open('dpni', 0);
    expect([io.resetContainer(own, 2, 2), dpni.resets, deep.resets]).toEqual([0, 1, 0]);
    expect([io.reset(handle), io.icid(own)]).toEqual([-13, 23]);
    expect([io.resetContainer(own, 2, 1), deep.resets, io.resetContainer(own, 9, 2)]).toEqual([0, 1, -6]);
  });

  it('fail with one status and nothing done, whatever their fields are', () => {
    const { host, root, assign, openGroup, guest } = setUp();
    assign();
    const dprc = openGroup().device('dprc.2');
    const opened = send(root, dprc, openCommand('dprc', 2));
    const tokenBefore = token(opened);
    const before = guest.objects.map((o) => [o.enabled, o.resets]);
    const statuses = new Set<number>();
    for (let id = 0; id < 0x1_0000; id += 37) {
      const command = mcCommand(id >>> 4, id & 15, (id * 7) & 0xffff);
      command.fill(id & 0xff, PARAMS);
      if ((id >>> 4) === MC_RESET || token(command) === tokenBefore) continue;
      statuses.add(status(send(root, dprc, command)));
    }
    expect([...statuses].sort((a, b) => a - b)).toEqual([0, 3, 6]);
    expect([guest.objects.map((o) => [o.enabled, o.resets]), host.scheduler.threads]).toEqual([before, []]);
  });
});
