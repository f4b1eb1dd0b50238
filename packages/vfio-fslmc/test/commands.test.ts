import { describe, expect, it } from 'vitest';
import { ENOTCONN, ENOTSUPP, ENXIO, get, set, type ProfileName } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import {
  DPRC_GET_CONNECTION,
  DPRC_GET_OBJ,
  DPRC_GET_OBJ_COUNT,
  DPRC_GET_OBJ_REG,
  DPRC_RESET_CONT,
  DPRC_SET_OBJ_IRQ,
  getText,
  MC_CLOSE,
  MC_CMD_FLAG_INTR_DIS,
  MC_CMD_FLAG_PRI_HIGH,
  MC_ENABLE,
  MC_GET_ATTR,
  mc_header,
  MC_RESET,
  MC_SET_IRQ_ENABLE,
  MC_STATUS_AUTH_ERR,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_INVALID_STATE,
  MC_STATUS_OK,
  MC_STATUS_UNSUPPORTED_OP,
  MC_TIMEOUT,
  mcCommand,
  McIo,
  OPEN_COMMANDS,
  PARAMS,
  setText,
  statusError,
} from '../src/index.ts';
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
    const io = new McIo(host, mc.base);
    expect([io.version(), io.containerId(), io.apiVersion()]).toEqual([0, 1, [6, 6]]);
    const other = io.open('dprc', 2);
    expect([other > 0, io.icid(other), io.open('dprc', 9)]).toEqual([true, 23, -6]);
    expect([io.close(other), io.close(other), io.icid(other)]).toEqual([0, -13, -13]);
  });

  it('[vfio 5.3/9] [vfio 5.3/10] [vfio 5.3/11] tell what is in a container', () => {
    const { host, mc } = setUp();
    const io = new McIo(host, mc.base);
    const handle = io.open('dprc', 2);
    expect(io.objectCount(handle)).toBe(7);
    expect(io.object(handle, 0)).toEqual({ type: 'dpni', id: 0, vendor: 0x1957, version: [7, 17], irqCount: 2, regionCount: 0, state: 2, label: '', flags: 0 });
    expect(io.object(handle, 7)).toBe(-6);
    const dpio = io.object(handle, 2);
    if (typeof dpio === 'number') throw new Error('no dpio');
    expect(io.region(handle, 3, dpio, 0)).toEqual({ kind: 'qbman-memory', offset: 0, size: 0x1_0000, flags: 3, base: mc.qbmanBase });
    expect(io.region(handle, 1, dpio, 1)).toEqual({ kind: 'qbman', offset: 0x1_0000, size: 0x1000, flags: 0, base: 0 });
    expect([io.region(handle, 4, dpio, 0), io.region(handle, 3, dpio, 2)]).toEqual([-ENOTSUPP, -6]);
  });

  it('[vfio 5.3/8] [vfio 5.3/12] [vfio 5.3/14] configure interrupts and state of an object', () => {
    const { host, mc, dpni } = setUp();
    const io = new McIo(host, mc.portalOf(mc.root)!.id * 0x1_0000 + mc.base);
    const handle = io.open('dpni', 0);
    const target = 0x1_0000_1000;
    const irq = { message: { address: target, data: 0xabcd }, number: 77 };
    expect([io.setIrq(handle, undefined, 1, irq), io.setIrqMask(handle, 1, 6), io.setIrq(handle, undefined, 2, irq)]).toEqual([0, 0, -6]);
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

  it('[vfio 5.2/1] [vfio 5.2/2] [vfio 5.2/4] carry who sends them, their priority and whether an interrupt is wanted, and the answer has them too', () => {
    const { host, mc } = setUp();
    const command = mcCommand(OPEN_COMMANDS.get('dprc')!, 1, 0);
    set(command, mc_header.src_id, 5);
    set(command, mc_header.flags_hw, MC_CMD_FLAG_PRI_HIGH);
    set(command, mc_header.flags_sw, MC_CMD_FLAG_INTR_DIS);
    set(command, [PARAMS, 'u32'], 2);
    expect([...command.subarray(0, 8)]).toEqual([5, 0x80, 1, 0x01, 0, 0, 0x51, 0x80]);
    expect(new McIo(host, mc.base).send(command)).toBe(0);
    expect([...command.subarray(0, 4), token(command) > 0, ...command.subarray(6, 8)]).toEqual([5, 0x80, 0, 0x01, true, 0x51, 0x80]);
  });

  it('[vfio 5.3/13] tell what an interface is connected to, and whether the link is up', () => {
    const { bus, host, mc, guest, dpni } = setUp();
    const dpmac = guest.add({ type: 'dpmac', id: 3 });
    const dpsw = mc.root.add({ type: 'dpsw', id: 0 });
    const io = new McIo(host, mc.base);
    const handle = io.open('dprc', 2);
    const root = bus.root!.dprc!.handle;
    expect(io.connection(handle, dpni)).toBe(-ENOTCONN);
    mc.links.connect({ object: dpni }, { object: dpmac });
    expect(io.connection(handle, dpni)).toEqual({ type: 'dpmac', id: 3, interfaceId: 0, up: false });
    dpni.enabled = true;
    dpmac.enabled = true;
    expect([io.connection(handle, dpni), io.connection(handle, dpmac)]).toEqual([
      { type: 'dpmac', id: 3, interfaceId: 0, up: true },
      { type: 'dpni', id: 0, interfaceId: 0, up: true },
    ]);
    mc.links.connect({ object: dpsw, interfaceId: 7 }, { object: guest.objects[1]! });
    expect([io.connection(root, dpsw, 7), io.connection(root, dpsw, 6), io.connection(handle, { type: 'dpni', id: 9 })]).toEqual([
      { type: 'dpni', id: 1, interfaceId: 0, up: false },
      -ENOTCONN,
      -ENXIO,
    ]);
    // The bytes of an answer: the endpoint that was asked for, its peer, the state.
    const command = mcCommand(DPRC_GET_CONNECTION, 1, handle);
    command.set(new TextEncoder().encode('dpni'), PARAMS + 8);
    io.send(command);
    const answer = command.subarray(PARAMS);
    expect([get(answer, [0, 'u32']), getText(answer, 8, 16), get(answer, [24, 'u32']), get(answer, [28, 'u16']), getText(answer, 32, 16), get(answer, [48, 's32'])]).toEqual([0, 'dpni', 3, 0, 'dpmac', 1]);
    expect(() => { mc.links.connect({ object: dpni }, { object: guest.objects[1]! }); }).toThrow('"endpoint" expected one that is free, got dpni.0.0');
    mc.links.disconnect({ object: dpsw, interfaceId: 7 });
    expect(io.connection(root, dpsw, 7)).toBe(-ENOTCONN);
    guest.remove(dpmac);
    expect(io.connection(handle, dpni)).toBe(-ENOTCONN);
  });

  it('[vfio D61-41] end without answer when the kernel’s time is up: 500 ms, later 15 s, 5 s for user space', () => {
    const timeouts = (profile: ProfileName) => {
      const { assign, openGroup, root, mc, events } = setUp({ profile });
      assign();
      const { device } = openGroup();
      const [dprc, dpni] = [device('dprc.2'), device('dpni.0')];
      mc.hung = true;
      expect(outcomeOf(() => root.pwrite(dprc, openCommand('dpni', 0), 0))).toBe('ETIMEDOUT');
      root.close(dpni);
      return events.filter(({ id }) => id === MC_TIMEOUT.id).map(({ text }) => text.replace(/.*no answer in /, ''));
    };
    expect(timeouts('linux-5.13')).toEqual(['5000 ms', '500 ms']);
    expect(timeouts('linux-6.1')).toEqual(['5000 ms', '15000 ms']);
  });

  /** The statuses, by the names of the catalogue. */
  const [OK, AUTH, CONFIG, UNSUPPORTED, STATE] = [MC_STATUS_OK, MC_STATUS_AUTH_ERR, MC_STATUS_CONFIG_ERR, MC_STATUS_UNSUPPORTED_OP, MC_STATUS_INVALID_STATE];

  it('get one status for each malformed field, and do nothing', () => {
    const made = setUp();
    const { root, assign, openGroup, guest, mc } = made;
    guest.add({ type: 'dpci', id: 4, plugged: false });
    assign();
    const dprc = openGroup().device('dprc.2');
    const open = (type: string, id: number) => token(send(root, dprc, openCommand(type, id)));
    const container = made.bus.device('dprc.2')!.dprc!.handle;
    const [dpni, dpci] = [open('dpni', 0), open('dpci', 4)];
    const before = () => [mc.handles, guest.resets, guest.objects.map(({ enabled, resets, irqs }) => [enabled, resets, irqs.map((irq) => ({ ...irq }))])];
    const state = before();
    type Change = (params: Uint8Array) => void;
    const sent = (command: number, version: number, handle: number, change: Change = () => undefined) => {
      const bytes = mcCommand(command, version, handle);
      change(bytes.subarray(PARAMS));
      const answer = send(root, dprc, bytes);
      // What is refused comes back as it was sent.
      if (status(answer) !== OK) expect([...answer.subarray(3)]).toEqual([...bytes.subarray(3)]);
      return status(answer);
    };
    const named = (type: string, id: number, at = 0): Change => (params) => {
      set(params, [at, 'u32'], id);
      setText(params, 24, 16, type);
    };
    const [openDpni, getVersion] = [OPEN_COMMANDS.get('dpni')!, OPEN_COMMANDS.get('dpni')! + 0x200];
    const id = (value: number): Change => (params) => { set(params, [0, 'u32'], value); };
    const irq = (index: number): Change => (params) => { set(params, [4, 'u8'], index); };
    const table: readonly (readonly [what: string, got: number, expected: number])[] = [
      // Command and version.
      ['no such command', sent(0x7ff, 1, dpni), UNSUPPORTED],
      ['a command of containers', sent(DPRC_GET_OBJ_COUNT, 1, dpni), UNSUPPORTED],
      ['a command of other objects', sent(MC_ENABLE, 1, container), UNSUPPORTED],
      ['no version', sent(MC_ENABLE, 0, dpni), UNSUPPORTED],
      ['a version to come', sent(MC_ENABLE, 2, dpni), UNSUPPORTED],
      ['open without version', sent(openDpni, 0, 0, id(1)), UNSUPPORTED],
      ['GET_API_VERSION of a type that is none', sent(0xa11, 1, 0), AUTH],
      ['GET_API_VERSION, version 3', sent(getVersion, 3, 0), UNSUPPORTED],
      ['the third RESET_CONT', sent(DPRC_RESET_CONT, 3, container, id(2)), UNSUPPORTED],
      ['the fourth GET_OBJ_REG', sent(DPRC_GET_OBJ_REG, 4, container, named('dpio', 0)), UNSUPPORTED],
      // Token.
      ['no token', sent(MC_GET_ATTR, 1, 0), AUTH],
      ['a token of nobody', sent(MC_GET_ATTR, 1, 0xbeef), AUTH],
      ['a closed token', (() => {
        const handle = open('dpni', 1);
        sent(MC_CLOSE, 1, handle);
        return sent(MC_CLOSE, 1, handle);
      })(), AUTH],
      // Parameters.
      ['open of an object that is not there', sent(openDpni, 1, 0, id(9)), CONFIG],
      ['open of an object of another container', sent(OPEN_COMMANDS.get('dprc')!, 1, 0, id(1)), CONFIG],
      ['an object past the last', sent(DPRC_GET_OBJ, 1, container, id(8)), CONFIG],
      ['object -1', sent(DPRC_GET_OBJ, 1, container, id(0xffff_ffff)), CONFIG],
      ['a region of an object that is not there', sent(DPRC_GET_OBJ_REG, 3, container, named('dpio', 9)), CONFIG],
      ['a region of a type that is none', sent(DPRC_GET_OBJ_REG, 3, container, named('dpxx', 0)), CONFIG],
      ['a region of a type of 16 letters', sent(DPRC_GET_OBJ_REG, 3, container, named('dpiodpiodpiodpio', 0)), CONFIG],
      ['a region past the last', sent(DPRC_GET_OBJ_REG, 3, container, (params) => {
        named('dpio', 0)(params);
        set(params, [6, 'u8'], 2);
      }), CONFIG],
      ['an interrupt past the last', sent(MC_SET_IRQ_ENABLE, 1, dpni, irq(2)), CONFIG],
      ['the message of an interrupt past the last', sent(DPRC_SET_OBJ_IRQ, 1, container, (params) => {
        named('dpni', 0, 20)(params);
        set(params, [4, 'u8'], 2);
      }), CONFIG],
      ['the message of an object that is not there', sent(DPRC_SET_OBJ_IRQ, 1, container, named('dpni', 9, 20)), CONFIG],
      ['RESET_CONT of what is no container', sent(DPRC_RESET_CONT, 2, container, id(0)), CONFIG],
      ['a link of an object that is not there', sent(DPRC_GET_CONNECTION, 1, container, (params) => { setText(params, 8, 16, 'dpmac'); }), CONFIG],
      // State.
      ['ENABLE of an object that is not plugged', sent(MC_ENABLE, 1, dpci), STATE],
    ];
    expect(table.map(([what, got]) => [what, got])).toEqual(table.map(([what, , expected]) => [what, expected]));
    expect(before()).toEqual(state);
    // A field that the firmware does not look at: who sends.
    const odd = mcCommand(MC_GET_ATTR, 1, dpni);
    set(odd, mc_header.src_id, 0xff);
    expect(status(send(root, dprc, odd))).toBe(OK);
    // What says that it is answered already is not submitted: the portal keeps it as it is.
    const submitted = mcCommand(MC_GET_ATTR, 1, dpni);
    set(submitted, mc_header.status, 0xff);
    expect(send(root, dprc, submitted)).toEqual(submitted);
  });

  it('change no object when they are random: all 4096 with a wrong token are AUTH_ERR or need none, with a right one OK, CONFIG_ERR or UNSUPPORTED_OP', () => {
    // A firmware that creates nothing: what creation by random commands comes to is tools.wide.test.ts.
    const { host, root, assign, openGroup, guest, bus } = setUp({ preset: 'bus' });
    assign();
    const dprc = openGroup().device('dprc.2');
    const { handle } = bus.device('dprc.2')!.dprc!;
    const before = guest.objects.map(({ enabled, resets }) => [enabled, resets]);
    const seen = new Map<number, Set<number>>([[handle, new Set()], [0xbeef, new Set()]]);
    for (const [with_, statuses] of seen) {
      for (let id = 0; id < 0x1000; id += 1) {
        if (id === MC_CLOSE || id === MC_RESET) continue;
        const command = mcCommand(id, id % 7 === 0 ? id & 15 : 1, with_);
        command.fill(id & 0xff, PARAMS);
        statuses.add(status(send(root, dprc, command)));
      }
    }
    expect([...seen.values()].map((statuses) => [...statuses].sort((a, b) => a - b))).toEqual([[OK, CONFIG, UNSUPPORTED], [OK, AUTH, CONFIG, UNSUPPORTED]]);
    expect([guest.objects.map(({ enabled, resets }) => [enabled, resets]), host.scheduler.threads]).toEqual([before, []]);
  });
});
