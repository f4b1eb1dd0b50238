/** Releases of the firmware, what is left to it as choices, and its control registers. */
import { describe, expect, it } from 'vitest';
import { get, Host, set } from '@vsim/vfio-core';
import {
  commandName,
  Firmware,
  FIRMWARE_NOT_READY,
  GCR1_STOPPED,
  ManagementComplex,
  mcCommand,
  McIo,
  NO_CONTROL_REGISTERS,
  parseRelease,
  PARAMS,
  type ManagementComplexInit,
} from '../src/index.ts';
import { setUp } from './set-up.ts';

/** The version of a type of object, as the firmware answers, and as a container tells of an object of it. */
function told(release: string | undefined, type: string, command: number) {
  const { host, mc } = setUp({ release });
  const io = new McIo(host, mc.base);
  const object = mc.root.addContainer({ id: 9, icid: 30 }).add({ type, id: 40 });
  const asked = mcCommand(command, 1, 0);
  return { error: io.send(asked), answered: [get(asked, [PARAMS, 'u16']), get(asked, [PARAMS + 2, 'u16'])], has: object.version };
}

describe('a release of the firmware', () => {
  it('tells the API version of each type, and its objects have it: [fslmc D21]', () => {
    const table: readonly (readonly [type: string, command: number, old: readonly number[], young: readonly number[]])[] = [
      ['dpni', 0xa01, [7, 17], [8, 4]],
      ['dpsw', 0xa02, [8, 9], [8, 12]],
      ['dpio', 0xa03, [4, 3], [4, 3]],
      ['dpbp', 0xa04, [3, 4], [3, 4]],
      ['dpdmux', 0xa06, [6, 9], [6, 9]],
      ['dpci', 0xa07, [3, 4], [3, 4]],
      ['dpcon', 0xa08, [3, 3], [3, 3]],
      ['dpseci', 0xa09, [5, 3], [5, 4]],
      ['dpmcp', 0xa0b, [4, 0], [4, 1]],
      ['dpmac', 0xa0c, [4, 7], [4, 8]],
      ['dpdmai', 0xa0e, [3, 4], [3, 4]],
      ['dprtc', 0xa10, [2, 3], [2, 3]],
    ];
    for (const [type, command, old, young] of table) {
      expect(told('10.28.0', type, command), type).toEqual({ error: 0, answered: old, has: old });
      expect(told('10.36.0', type, command), type).toEqual({ error: 0, answered: young, has: young });
    }
    expect([new Firmware('10.28').dprcVersion, new Firmware('10.36').dprcVersion, new Firmware('10.1.2').dprcVersion]).toEqual([[6, 6], [6, 7], [6, 1]]);
  });

  it('is told by GET_VERSION, and knows the versions that a command had then', () => {
    const { host, mc } = setUp({ release: '10.36.2' });
    const version = mcCommand(0x831, 1, 0);
    expect([new McIo(host, mc.base).send(version), ...[0, 4, 8].map((at) => get(version, [PARAMS + at, 'u32']))]).toEqual([0, 2, 10, 36]);
    const newest = (release: string, type: string, command: number) => new Firmware(release).newestVersion(type, command);
    expect(['10.2.2', '10.8.1', '10.9', '10.31.9', '10.32', '10.40'].map((release) => newest(release, 'dpni', 0x901))).toEqual([1, 1, 2, 6, 7, 8]);
    expect([newest('10.27.9', 'dpsw', 4), newest('10.28', 'dpsw', 4), newest('10.14', 'dpmac', 0xc5), newest('10.15', 'dpmac', 0xc5), newest('10.40', 'dpni', 0x2f0)]).toEqual([1, 2, undefined, 1, undefined]);
    expect([commandName('dpni', 0x901), commandName('dprc', 0x5), commandName('dpni', 0x2f0)]).toEqual(['dpni.create', 'dprc.reset_cont', undefined]);
  });

  it('may have older commands of containers than the rest', () => {
    const newest = (api: readonly [number, number]) => [0x5, 0x151, 0x15e].map((command) => new Firmware('10.36.0', api).newestVersion('dprc', command));
    expect([newest([5, 9]), newest([6, 2]), newest([6, 3]), newest([6, 5]), newest([6, 6]), newest([7, 0])]).toEqual([[1, 1, 1], [1, 1, 1], [1, 1, 2], [2, 2, 2], [2, 2, 3], [2, 2, 3]]);
  });

  it.each(['', '10', '10.x', '10.36.0.1', ' 10.36'])('is not %j', (text) => {
    expect(() => parseRelease(text)).toThrow('"release" expected a release as 10.36.0');
  });

  it('answers the chip where DPDK asks for it', () => {
    const soc = (init: ManagementComplexInit) => {
      const { host, mc } = setUp(init);
      const command = mcCommand(0x832, 1, 0);
      return [new McIo(host, mc.base).send(command), get(command, [PARAMS, 'u32']), get(command, [PARAMS + 4, 'u32'])];
    };
    expect([soc({}), soc({ choices: { soc: [0x8709_0010, 1] } }), soc({ preset: 'bus' })]).toEqual([[0, 0x8736_0010, 0x8020_0010], [0, 0x8709_0010, 1], [-524, 0, 0]]);
  });
});

describe('what is left to the firmware', () => {
  it('is whether an object opens twice through one portal: [fslmc D20] [fslmc 40]', () => {
    const twice = (init: ManagementComplexInit) => {
      const { host, mc } = setUp(init);
      const io = new McIo(host, mc.base);
      const [a, b] = [io.open('dpni', 0), io.open('dpni', 0)];
      return [a > 0, b > 0 ? b - a : b, io.close(a), b > 0 ? io.send(mcCommand(0x002, 1, b)) : undefined, mc.handles];
    };
    // The kernel has both containers open; the second session outlives the first.
    expect([twice({}), twice({ choices: { reopen: 'busy' } })]).toEqual([[true, 1, 0, 0, 3], [true, -16, 0, undefined, 2]]);
  });

  it('is how many sessions a portal has: as many as there are tokens', () => {
    const host = new Host();
    const mc = new ManagementComplex(host, { choices: { firstToken: 0xfff0 } });
    const io = new McIo(host, mc.base);
    let last = 0;
    for (let n = 0; n < 0xffff; n += 1) last = io.open('dprc', 1);
    expect([last, io.open('dprc', 1), io.close(7), io.open('dprc', 1), mc.handles]).toEqual([0xffef, -119, 0, 7, 0xffff]);
  });

  it('is what it says to commands of a dpni that are not modelled: [fslmc 36]', () => {
    const asked = (init: ManagementComplexInit, command: number, version = 1) => {
      const { host, mc } = setUp(init);
      const io = new McIo(host, mc.base);
      const bytes = mcCommand(command, version, io.open('dpni', 0));
      set(bytes, [PARAMS, 'u32'], 7);
      return [io.send(bytes), ...bytes.subarray(PARAMS, PARAMS + 8)];
    };
    // SET_BUFFER_LAYOUT, GET_PORT_MAC, and what is no command of a dpni.
    expect([asked({}, 0x265), asked({}, 0x265, 9)[0], asked({}, 0x7ff)[0]]).toEqual([[0, 0, 0, 0, 0, 0, 0, 0, 0], -524, -524]);
    expect(asked({}, 0x263)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 4]);
    expect([0x265, 0x263].map((command) => asked({ choices: { unmodelledDpni: 'unsupported' } }, command)[0])).toEqual([-524, -524]);
  });
});

describe('the control registers', () => {
  const boot = (init: ManagementComplexInit & { readonly gsr?: number }) => {
    const made = setUp({ ...init, gsr: init.gsr });
    return [made.started, made.names().length > 0, made.mc.control?.gcr1, made.events.map(({ id }) => id)];
  };

  it('have the firmware stopped and started by a probe, and stopped at the end: [fslmc D24] [fslmc 2]', () => {
    const { started, bus, mc, host } = setUp();
    expect([started, mc.control?.gcr1, host.memory.read32(0x8_3400_0008), host.memory.read8(0x8_3400_0008)]).toEqual([0, 0, 1, 1]);
    host.scheduler.call('shutdown', bus.shutDown());
    expect(host.memory.read32(0x8_3400_0000)).toBe(GCR1_STOPPED);
  });

  it('decide whether Linux probes: [fslmc D24] [fslmc 2]', () => {
    expect(boot({ gsr: 0 })).toEqual([-517, false, 0, [FIRMWARE_NOT_READY.id]]);
    expect(boot({ gsr: 0xdd01 })).toEqual([-95, false, 0, [FIRMWARE_NOT_READY.id]]);
    expect(boot({ gsr: 3 })).toEqual([-22, false, 0, [FIRMWARE_NOT_READY.id]]);
    expect(boot({ gsr: 0x81 })[0]).toBe(-22);
    expect(boot({ gsr: 0xde01 })).toEqual([0, true, 0, []]);
  });

  it('are missing, and the kernel follows a NULL pointer: [fslmc 1]', () => {
    expect(boot({ control: 'none' })).toEqual([-14, false, undefined, [NO_CONTROL_REGISTERS.id]]);
  });
});
