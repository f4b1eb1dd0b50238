/** How functions can be reset, by what is known of them: from bytes, from lspci's lines, and by who else is on the bus. */
import { describe, expect, it } from 'vitest';
import { buildConfig } from '../pci/config-builder.ts';
import type { PciFacts } from './facts.ts';
import { hotReset } from './hot-reset.ts';
import type { KernelVersion } from './kernel-version.ts';
import { resetFactsOfConfig, resetFactsOfText, type ResetFacts } from './reset-facts.ts';
import { resetMethods } from './reset-methods.ts';
import { PciTopology } from './topology.ts';

const NOTHING: ResetFacts = { flr: false, afFlr: false, softReset: false, revision: 0 };
const ALL: ResetFacts = { flr: true, afFlr: true, softReset: true, revision: 0 };

function fn(address: string, more: Partial<PciFacts> = {}): PciFacts {
  const isBridge = more.secondaryBus !== undefined;
  return { address: `0000:${address}`, vendor: 0x1b36, device: 1, subsystemVendor: 0, subsystem: 0, class: 0x02_0000, multifunctionBit: false, secondaryBus: undefined, isBridge, expressType: isBridge ? 4 : 0, acs: undefined, sriov: undefined, ...more };
}

/** What `reset_method` lists, and, behind a bar, what works, if that is less. */
function methods(all: readonly PciFacts[], address: string, facts: ResetFacts, kernel?: KernelVersion): string {
  const topology = new PciTopology(all);
  const { listed, working, unknown } = resetMethods(topology.node(`0000:${address}`)!, facts, topology, kernel);
  return `${listed.join(' ')}${working.length === listed.length ? '' : ` | ${working.join(' ')}`}${unknown.length === 0 ? '' : ` ? ${unknown.join(' ')}`}`;
}

function hot(all: readonly PciFacts[], address: string) {
  const topology = new PciTopology(all);
  const { bridge, affected, obstacle } = hotReset(topology.node(`0000:${address}`)!, topology);
  return [bridge?.slice(5), affected.map((other) => other.slice(5)), obstacle?.rule];
}

const port = fn('00:01.0', { secondaryBus: 1 });

describe('resetFactsOfConfig', () => {
  it('reads DevCap, Advanced Features and power management', () => {
    const config = buildConfig({ vendor: 0x8086, device: 1, class: 0x02_0000 });
    expect(resetFactsOfConfig(config)).toEqual(NOTHING);
    const bytes = Uint8Array.from(config);
    bytes[6] = 0x10;
    bytes[8] = 7;
    bytes[0x34] = 0x40;
    bytes.set([0x01, 0x50, 0x03, 0, 0x00], 0x40);
    bytes.set([0x10, 0x70, 0x02, 0, 0, 0, 0, 0x10], 0x50);
    bytes.set([0x13, 0x00, 0x06, 0x03], 0x70);
    expect(resetFactsOfConfig(bytes)).toEqual({ ...ALL, revision: 7 });
    bytes[0x44] = 0x08;
    bytes[0x57] = 0xef;
    bytes[0x73] = 0x02;
    expect(resetFactsOfConfig(bytes)).toEqual({ ...NOTHING, revision: 7 });
    bytes[0x73] = 0x01;
    expect(resetFactsOfConfig(bytes).afFlr).toBe(false);
    // 64 bytes have the head of the list, and nothing of it.
    expect(resetFactsOfConfig(bytes.subarray(0, 64))).toEqual({ flr: undefined, afFlr: undefined, softReset: undefined, revision: 7 });
    bytes[6] = 0;
    expect(resetFactsOfConfig(bytes.subarray(0, 64))).toEqual({ ...NOTHING, revision: 7 });
  });
});

describe('resetFactsOfText', () => {
  const NVME = ['Capabilities: [40] Power Management version 3', 'Status: D0 NoSoftRst- PME-Enable- DSel=0 DScale=0 PME-', 'Capabilities: [70] Express (v2) Endpoint, MSI 00', 'ExtTag+ AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 75W'];

  it('reads what -vv decodes', () => {
    expect(resetFactsOfText(NVME, 1)).toEqual({ flr: true, afFlr: false, softReset: true, revision: 1 });
    expect(resetFactsOfText(['Capabilities: [d0] Power Management version 2', 'Status: D0 NoSoftRst+ PME-Enable-', 'Capabilities: [a4] PCI Advanced Features', 'AFCap: TP+ FLR+'])).toEqual({ flr: false, afFlr: true, softReset: false, revision: undefined });
    expect(resetFactsOfText(['\tCapabilities: [a4] PCI Advanced Features', '\t\tAFCap: TP+ FLR-']).afFlr).toBe(false);
    expect(resetFactsOfText(['Capabilities: [a4] PCI Advanced Features', 'AFCap: TP- FLR+']).afFlr).toBe(false);
    expect(resetFactsOfText(['Capabilities: [70] Express (v2) Endpoint, MSI 00', 'RBE+ FLReset-'])).toEqual({ flr: false, afFlr: false, softReset: false, revision: undefined });
  });

  it('of -v it knows only what is not there', () => {
    expect(resetFactsOfText(['Capabilities: [40] Power Management version 3', 'Capabilities: [50] MSI: Enable- Count=1/1 Maskable- 64bit+'])).toEqual({ flr: false, afFlr: false, softReset: undefined, revision: undefined });
    expect(resetFactsOfText(['Capabilities: [70] Express Endpoint, MSI 00', 'Capabilities: [a4] PCI Advanced Features'])).toEqual({ flr: undefined, afFlr: undefined, softReset: false, revision: undefined });
  });

  it('knows that there is nothing where lspci was asked for capabilities and printed none', () => {
    expect(resetFactsOfText(['\tControl: I/O+ Mem+ BusMaster+', '\tStatus: Cap- 66MHz-'])).toEqual({ ...NOTHING, revision: undefined });
    expect(resetFactsOfText(['Flags: bus master, fast devsel, latency 0']).softReset).toBe(false);
    expect(resetFactsOfText(['Flags: bus master', 'Capabilities: <access denied>']).softReset).toBe(undefined);
    // Of a port lspci does not tell.
    expect(resetFactsOfText(['Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00', 'DevCap:\tMaxPayload 256 bytes, PhantFunc 0', 'ExtTag- RBE+']).flr).toBe(undefined);
  });

  it('of a text without capabilities, or that was denied them, nothing', () => {
    const unknown = { flr: undefined, afFlr: undefined, softReset: undefined, revision: undefined };
    expect(resetFactsOfText([])).toEqual(unknown);
    expect(resetFactsOfText(['Kernel driver in use: nvme'])).toEqual(unknown);
    expect(resetFactsOfText(['Capabilities: <access denied>'])).toEqual(unknown);
  });
});

describe('resetMethods', () => {
  it('of one function: what it has, in the order in which Linux tries', () => {
    expect(methods([port, fn('01:00.0')], '01:00.0', ALL)).toBe('flr af_flr pm bus');
    expect(methods([port, fn('01:00.0')], '01:00.0', NOTHING)).toBe('bus');
    expect(methods([fn('00:02.0')], '00:02.0', NOTHING)).toBe('');
    expect(methods([fn('00:02.0')], '00:02.0', { flr: undefined, afFlr: false, softReset: undefined, revision: 0 })).toBe(' ? flr pm');
  });

  it('the bus: listed for the first function of several, and works for none of them', () => {
    const gpu = [port, fn('01:00.0', { multifunctionBit: true }), fn('01:00.1')];
    expect(methods(gpu, '01:00.0', { ...NOTHING, softReset: true })).toBe('pm bus | pm');
    expect(methods(gpu, '01:00.1', NOTHING)).toBe('');
    // Before 5.15 it was asked for when all were there.
    expect(methods(gpu, '01:00.0', NOTHING, { major: 5, minor: 14 })).toBe('');
    expect(methods(gpu, '01:00.0', NOTHING, { major: 5, minor: 15 })).toBe('bus | ');
  });

  it('the bus: listed for bridges, which have no bus below them when they are found', () => {
    const machine = [port, fn('01:00.0', { secondaryBus: 2 }), fn('02:00.0')];
    expect(methods(machine, '01:00.0', NOTHING)).toBe('bus | ');
    expect(methods(machine, '01:00.0', NOTHING, { major: 5, minor: 14 })).toBe('');
    expect(methods([port, fn('01:00.0'), fn('01:01.0', { secondaryBus: 2 })], '01:01.0', NOTHING)).toBe('');
  });

  it('the bus: not of virtual functions, which are in the way of their PF', () => {
    const pf = fn('01:00.0', { sriov: { count: 1, offset: 0x80, stride: 1, device: 2 } });
    expect(methods([port, pf, fn('01:10.0')], '01:00.0', NOTHING)).toBe('bus | ');
    expect(methods([port, pf, fn('01:10.0')], '01:10.0', { ...NOTHING, flr: true })).toBe('flr');
    const far = fn('01:00.0', { sriov: { count: 1, offset: 0x180, stride: 1, device: 2 } });
    expect(methods([port, far, fn('02:10.0')], '01:00.0', NOTHING)).toBe('bus');
    expect(methods([port, far, fn('02:10.0')], '02:10.0', NOTHING)).toBe('');
  });

  it('quirks: own resets, and what their makers say does not work', () => {
    const one = (more: Partial<PciFacts>, facts = ALL): string => methods([port, fn('01:00.0', more)], '01:00.0', facts);
    expect(one({ vendor: 0x8086, device: 0x10ed }, NOTHING)).toBe('device_specific bus');
    expect(one({ vendor: 0x1425, device: 0x4abc }, NOTHING)).toBe('device_specific bus');
    expect(one({ vendor: 0x1425, device: 0x5abc }, NOTHING)).toBe('bus');
    expect(one({ vendor: 0x144d, device: 0xa804 })).toBe('device_specific flr af_flr pm bus');
    expect(one({ vendor: 0x144d, device: 0xa804 }, NOTHING)).toBe('bus');
    expect(one({ vendor: 0x144d, device: 0xa804 }, { ...NOTHING, flr: undefined })).toBe('bus ? device_specific flr');
    expect(one({ vendor: 0x1022, device: 0x149c })).toBe('pm bus');
    expect(one({ vendor: 0x15b3, device: 0xcb84 })).toBe('flr af_flr bus');
    expect(one({ vendor: 0x1002, class: 0x03_0000 })).toBe('flr af_flr bus');
    expect(one({ vendor: 0x1002, class: 0x04_0300 })).toBe('flr af_flr pm bus');
    expect(methods([fn('00:02.0', { vendor: 0x1002, class: 0x03_0000 })], '00:02.0', ALL)).toBe('flr af_flr pm');
    expect(one({ vendor: 0x168c, device: 0x003c })).toBe('flr af_flr pm');
    expect(one({ vendor: 0x10de, device: 0x2340 })).toBe('flr af_flr pm');
    expect(one({ vendor: 0x10de, device: 0x2380 })).toBe('flr af_flr pm bus');
  });
});

describe('resetMethods by the kernel', () => {
  const one = (more: Partial<PciFacts>, facts: ResetFacts, kernel?: KernelVersion): string => methods([port, fn('01:00.0', more)], '01:00.0', facts, kernel);
  const [V5_10, V6_12, V7_3] = [{ major: 5, minor: 10 }, { major: 6, minor: 12 }, { major: 7, minor: 3 }];

  it('has the quirks of its release', () => {
    const wifi = { vendor: 0x14c3, device: 0x0616 };
    expect([one(wifi, { ...NOTHING, flr: true }), one(wifi, { ...NOTHING, flr: true }, V6_12)]).toEqual(['flr bus', 'bus']);
    const npu = { vendor: 0x1022, device: 0x17f0 };
    expect([one(npu, { ...NOTHING, flr: true }, V6_12), one(npu, { ...NOTHING, flr: true }, V7_3)]).toEqual(['flr bus', 'bus']);
    const modem = { vendor: 0x17cb, device: 0x0308 };
    expect([one(modem, NOTHING, { major: 6, minor: 0 }), one(modem, NOTHING)]).toEqual(['bus', '']);
    const nvme = { vendor: 0x025e, device: 0xf1ac };
    expect([one(nvme, { ...NOTHING, flr: true }, { major: 6, minor: 0 }), one(nvme, { ...NOTHING, flr: true })]).toEqual(['flr bus', 'device_specific flr bus']);
  });

  it('looks at the revision where a quirk is of one', () => {
    const dpu = { vendor: 0xd063, device: 0x1000 };
    expect([1, 2].map((revision) => one(dpu, { ...NOTHING, flr: true, revision }))).toEqual(['bus', 'flr bus']);
    expect(one(dpu, { ...NOTHING, flr: true, revision: 1 }, V5_10)).toBe('flr bus');
  });
});

describe('hotReset', () => {
  it('takes along all that is on the bus', () => {
    const gpu = [port, fn('01:00.0', { multifunctionBit: true }), fn('01:00.1'), fn('02:00.0')];
    expect(hot(gpu, '01:00.0')).toEqual(['00:01.0', ['01:00.0', '01:00.1'], undefined]);
    expect(hot(gpu, '01:00.1')).toEqual(['00:01.0', ['01:00.1', '01:00.0'], undefined]);
  });

  it('cannot be done on a root bus, and on a bus that Linux made up for virtual functions', () => {
    expect(hot([fn('00:02.0')], '00:02.0')).toEqual([undefined, ['00:02.0'], 'root-bus']);
    const far = [port, fn('01:00.0', { sriov: { count: 1, offset: 0x180, stride: 1, device: 2 } }), fn('02:10.0')];
    expect(hot(far, '02:10.0')).toEqual([undefined, ['02:10.0'], 'root-bus']);
    expect(hot(far, '01:00.0')).toEqual(['00:01.0', ['01:00.0'], undefined]);
  });

  it('cannot be done with a device that does not come back, nor above a bridge', () => {
    const broken = { vendor: 0x168c, device: 0x003c };
    expect(hot([port, fn('01:00.0', { multifunctionBit: true }), fn('01:00.1', broken)], '01:00.0')[2]).toBe('no-bus-reset');
    expect(hot([fn('00:01.0', { secondaryBus: 1, vendor: 0x177d, device: 0xa100 }), fn('01:00.0')], '01:00.0')[2]).toBe('no-bus-reset');
    const above = [port, fn('01:00.0'), fn('01:01.0', { secondaryBus: 2 }), fn('02:00.0')];
    expect(hot(above, '01:00.0')).toEqual(['00:01.0', ['01:00.0', '01:01.0', '02:00.0'], 'bridge-below']);
    expect(hot(above, '02:00.0')).toEqual(['01:01.0', ['02:00.0'], undefined]);
  });

  it('ends where buses lead back to themselves', () => {
    expect(hot([port, fn('01:00.0'), fn('01:01.0', { secondaryBus: 2 }), fn('02:00.0', { secondaryBus: 1 })], '01:00.0')).toEqual(['02:00.0', ['01:00.0', '01:01.0'], 'bridge-below']);
  });
});
