/** A topology for each rule of IOMMU grouping. Recorded machines: apps/conformance/src/topology.test.ts. */
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import type { PciFacts } from './facts.ts';
import { IommuGrouping, computeIommuGroups, type GroupingOptions } from './iommu-groups.ts';
import type { KernelVersion } from './kernel-version.ts';

const ROOT_PORT = 4;
const UPSTREAM = 5;
const DOWNSTREAM = 6;
const PCI_BRIDGE = 7;
const ENDPOINT = 0;
const INTEGRATED = 9;
/** SrcValid, ReqRedir, CmpltRedir, UpstreamFwd. */
const FULL = 0x1d;

function fn(address: string, more: Partial<PciFacts> = {}): PciFacts {
  return {
    address: `0000:${address}`,
    vendor: 0x1b36,
    device: 1,
    subsystemVendor: 0,
    subsystem: 0,
    class: 0x02_0000,
    multifunctionBit: false,
    secondaryBus: undefined,
    isBridge: more.secondaryBus !== undefined,
    expressType: ENDPOINT,
    acs: undefined,
    sriov: undefined,
    ...more,
  };
}

function port(address: string, secondaryBus: number, acs: boolean, more: Partial<PciFacts> = {}): PciFacts {
  return fn(address, { secondaryBus, expressType: ROOT_PORT, acs: acs ? { capability: FULL, control: FULL } : undefined, ...more });
}

/** Groups as lines of short addresses. */
function groups(functions: readonly PciFacts[], options?: GroupingOptions): readonly string[] {
  return computeIommuGroups(functions, options).map(({ devices }) => devices.map((address) => address.slice(5)).join(' ')).sort();
}

function whyOf(functions: readonly PciFacts[], device: string): string | undefined {
  return computeIommuGroups(functions).flatMap(({ joins }) => joins).find((join) => join.device === `0000:${device}`)?.why;
}

describe('computeIommuGroups', () => {
  it('parts what is below a port with ACS from it, and not what is below one without', () => {
    expect(groups([port('00:01.0', 1, true), fn('01:00.0')])).toEqual(['00:01.0', '01:00.0']);
    const without = [port('00:01.0', 1, false), fn('01:00.0')];
    expect(groups(without)).toEqual(['00:01.0 01:00.0']);
    expect(whyOf(without, '01:00.0')).toBe('below 0000:00:01.0; the port 0000:00:01.0 does not isolate (no ACS capability)');
  });

  it('asks ACSCtl for what ACSCap has, and takes what it has not for granted', () => {
    const acs = (capability: number, control: number) => [port('00:01.0', 1, true, { acs: { capability, control } }), fn('01:00.0')];
    expect(groups(acs(0, 0))).toEqual(['00:01.0', '01:00.0']);
    expect(groups(acs(0x01, 0x01))).toEqual(['00:01.0', '01:00.0']);
    expect(groups(acs(FULL, 0x01))).toEqual(['00:01.0 01:00.0']);
    expect(whyOf(acs(FULL, 0x01), '01:00.0')).toContain('ACSCtl: ReqRedir- CmpltRedir- UpstreamFwd-');
    expect(groups(acs(FULL, FULL & ~0x04))).toEqual(['00:01.0 01:00.0']);
  });

  it('wants ACS on the whole path: below a port without it, ACS is worth nothing', () => {
    const nested = [port('00:01.0', 1, true), port('01:00.0', 2, false, { expressType: UPSTREAM }), port('02:00.0', 3, false, { expressType: DOWNSTREAM }), port('03:00.0', 4, false, { expressType: UPSTREAM }), port('04:00.0', 5, true, { expressType: DOWNSTREAM }), fn('05:00.0')];
    expect(groups(nested)).toEqual(['00:01.0', '01:00.0', '02:00.0 03:00.0 04:00.0 05:00.0']);
  });

  it('keeps the branches of a switch without ACS apart, unless its ports are functions of one device', () => {
    const below = (second: string) => [port('00:01.0', 1, true), port('01:00.0', 2, false, { expressType: UPSTREAM }), port('02:00.0', 3, false, { expressType: DOWNSTREAM, multifunctionBit: second !== '02:01.0' }), port(second, 4, false, { expressType: DOWNSTREAM }), fn('03:00.0'), fn('04:00.0')];
    expect(groups(below('02:01.0'))).toEqual(['00:01.0', '01:00.0', '02:00.0 03:00.0', '02:01.0 04:00.0']);
    expect(groups(below('02:00.1'))).toEqual(['00:01.0', '01:00.0', '02:00.0 02:00.1 03:00.0 04:00.0']);
  });

  it('merges functions of one device only if both lack ACS', () => {
    const acs = { capability: FULL, control: FULL };
    expect(groups([fn('00:03.0', { multifunctionBit: true }), fn('00:03.1')])).toEqual(['00:03.0 00:03.1']);
    expect(groups([fn('00:03.0', { multifunctionBit: true, acs }), fn('00:03.1')])).toEqual(['00:03.0', '00:03.1']);
    // Function 0 without the header bit has no siblings for Linux, which takes it for isolated.
    expect(groups([fn('00:03.0'), fn('00:03.1')])).toEqual(['00:03.0', '00:03.1']);
    expect(groups([fn('00:03.0'), fn('00:04.0', { expressType: undefined })])).toEqual(['00:03.0', '00:04.0']);
    const pairs = ['00:03', '00:04'].flatMap((slot) => [fn(`${slot}.0`, { multifunctionBit: true }), fn(`${slot}.1`)]);
    expect(groups(pairs)).toEqual(['00:03.0 00:03.1', '00:04.0 00:04.1']);
  });

  it('puts all that is behind a bridge to conventional PCI into one group with it', () => {
    const machine = [port('00:01.0', 1, true), fn('01:00.0', { secondaryBus: 2, expressType: PCI_BRIDGE }), fn('02:01.0', { expressType: undefined }), fn('02:02.0', { expressType: undefined, secondaryBus: 3 }), fn('03:01.0', { expressType: undefined })];
    expect(groups(machine)).toEqual(['00:01.0', '01:00.0 02:01.0 02:02.0 03:01.0']);
    expect(whyOf(machine, '02:01.0')).toBe('behind 0000:01:00.0, a PCI Express to PCI bridge: it sends what comes from below under an id of its own');
    const old = [fn('00:1e.0', { secondaryBus: 1, expressType: undefined }), fn('01:01.0', { expressType: undefined })];
    expect(groups(old)).toEqual(['00:1e.0 01:01.0']);
    expect(whyOf(old, '01:01.0')).toContain('behind 0000:00:1e.0, a conventional PCI bridge');
  });

  it('takes the word of makers: endpoints, Intel integrated endpoints, chipset ports', () => {
    const pair = (more: Partial<PciFacts>) => [fn('00:03.0', { ...more, multifunctionBit: true }), fn('00:03.1', more)];
    expect(groups(pair({ vendor: 0x8086, device: 0x10c9 }))).toHaveLength(2);
    expect(groups(pair({ vendor: 0x8086, device: 0x10d3 }))).toHaveLength(1);
    expect(groups(pair({ vendor: 0x8086, device: 0x10d3, expressType: INTEGRATED }))).toHaveLength(2);
    expect(groups(pair({ vendor: 0x8086, expressType: undefined }))).toHaveLength(1);
    const below = (device: number, more: Partial<PciFacts> = {}) => groups([port('00:1c.0', 1, false, { vendor: 0x8086, device, ...more }), fn('01:00.0')]).length;
    expect([0x8c10, 0x1901, 0x1d11, 0x1d12].map((device) => below(device))).toEqual([2, 1, 1, 2]);
    const chip = (vendor: number, device: number, more: Partial<PciFacts> = {}) => groups([port('00:01.0', 1, false, { vendor, device, ...more }), fn('01:00.0')]).length;
    // ThunderX, Annapurna, Ampere, QDF2400, iProc, Loongson, LX2160A: ports without ACS that isolate.
    for (const [vendor, device] of [[0x177d, 0xa123], [0x1c36, 0x0031], [0x1def, 0xe005], [0x17cb, 0x0400], [0x14e4, 0xd714], [0x0014, 0x7a09], [0x1957, 0x8d80]] as const) {
      expect(chip(vendor, device)).toBe(2);
      expect(chip(vendor, device + 0x1000)).toBe(1);
    }
    // Zhaoxin: those it names, and no others, ACS or not.
    expect([0x0710, 0x0720].map((device) => chip(0x1d17, device, { acs: { capability: FULL, control: FULL } }))).toEqual([2, 1]);
    expect(groups(pair({ vendor: 0x8088, device: 0x1001 }))).toHaveLength(2);
    expect(groups(pair({ vendor: 0x19a2, device: 0x0710 }))).toHaveLength(2);
    const wide = { capability: FULL, control: FULL };
    expect(below(0xa110)).toBe(1);
    // Words that lspci decoded do not tell the control register: Linux has set it.
    expect(below(0xa110, { acs: { capability: FULL, control: 0 } })).toBe(2);
    expect(below(0x1901, { acs: { capability: FULL, control: 0 } })).toBe(1);
    expect(below(0xa110, { expressType: DOWNSTREAM, acs: { capability: FULL, control: 0 } })).toBe(1);
    expect(below(0xa110, { acs: { capability: FULL, control: 0, wide } })).toBe(2);
    expect(below(0xa110, { acs: { capability: FULL, control: FULL, wide: { ...wide, control: 0 } } })).toBe(1);
  });

  it('tells what quirk speaks of a function, and since when', () => {
    const { acs, topology } = new IommuGrouping([fn('00:02.0', { vendor: 0x8086, expressType: INTEGRATED }), fn('00:03.0'), fn('00:04.0', { vendor: 0x8088, device: 1 })]);
    const quirk = (address: string) => acs.quirkOf(topology.node(`0000:${address}`)!);
    expect(quirk('00:02.0')).toMatchObject({ isolates: true, since: [5, 8], stable: [5, 4], why: 'integrated endpoints of Intel reach others through the IOMMU only' });
    expect(quirk('00:03.0')).toBeUndefined();
    expect(quirk('00:04.0')).toMatchObject({ isolates: false, why: 'it is not among the cards of which Wangxun says that they isolate' });
  });

  it('AMD southbridge functions isolate on a root bus of a machine with AMD IOMMU', () => {
    const bridge = [fn('00:14.0', { vendor: 0x1002, device: 0x4385, multifunctionBit: true, expressType: undefined }), fn('00:14.2', { vendor: 0x1002, device: 0x4383, expressType: undefined })];
    expect(groups(bridge, { amdIommu: true })).toHaveLength(2);
    expect(groups(bridge)).toHaveLength(1);
    expect(groups([...bridge, fn('00:00.2', { vendor: 0x1022, class: 0x08_0600 })])).toHaveLength(3);
  });

  it('merges functions that use one requester id', () => {
    const acs = { capability: FULL, control: FULL };
    const card = (number: number, more: Partial<PciFacts>) => fn(`01:00.${number}`, { acs, multifunctionBit: true, ...more });
    const above = port('00:01.0', 1, true);
    expect(groups([above, card(0, {}), card(1, { vendor: 0x1180, device: 0xe832 }), card(2, {})])).toEqual(['00:01.0', '01:00.0 01:00.1', '01:00.2']);
    expect(groups([above, card(0, { vendor: 0x1b4b, device: 0x9172 }), card(1, {})])).toEqual(['00:01.0', '01:00.0 01:00.1']);
    expect(groups([above, card(0, { vendor: 0x1b4b, device: 0x9172 })])).toEqual(['00:01.0', '01:00.0']);
    const raid = { vendor: 0x9005, device: 0x0285, subsystemVendor: 0x9005, subsystem: 0x02bb };
    expect(groups([fn('00:01.0'), fn('00:12.0', raid), fn('00:13.0')])).toEqual(['00:01.0 00:12.0', '00:13.0']);
    expect(groups([fn('00:01.0'), fn('00:12.0', { ...raid, subsystem: 0x0285 })])).toEqual(['00:01.0', '00:12.0']);
    const phi = { vendor: 0x8086, device: 0x2260 };
    expect(groups([fn('00:03.0', phi), fn('00:10.0'), fn('00:11.0'), fn('00:12.0')])).toEqual(['00:03.0 00:10.0 00:11.0', '00:12.0']);
    expect(groups([fn('00:03.0', { vendor: 0x8086, device: 0x2954 }), fn('00:05.0'), fn('00:1f.5', { acs })])).toEqual(['00:03.0 00:05.0', '00:1f.5']);
    // A non-transparent bridge of PLX: its whole bus, and no other.
    const ntb = { vendor: 0x10b5, device: 0x87b0 };
    expect(groups([above, card(0, ntb), fn('01:1f.7', { acs }), fn('02:00.0')])).toEqual(['00:01.0', '01:00.0 01:1f.7', '02:00.0']);
    expect(groups([above, card(0, { ...ntb, device: 0x87b2 }), fn('01:1f.7', { acs })])).toEqual(['00:01.0', '01:00.0', '01:1f.7']);
  });

  it('asks for aliases no further than a bridge at which the IOMMU is', () => {
    const machine = (device: number) => [fn('00:00.0', { secondaryBus: 1, expressType: PCI_BRIDGE, vendor: 0x14e4, device, acs: { capability: 0, control: 0 } }), port('01:00.0', 2, true), fn('02:00.0')];
    expect(groups(machine(0x9001))).toEqual(['00:00.0 01:00.0 02:00.0']);
    // What lies above does not isolate by ACS either, so that the group is one, for another reason.
    expect(computeIommuGroups(machine(0x9000)).flatMap(({ joins }) => joins.map(({ rule }) => rule))).toEqual(['no-acs-above', 'no-acs-above']);
    expect(computeIommuGroups(machine(0x9084)).flatMap(({ joins }) => joins.map(({ rule }) => rule))).toEqual(['no-acs-above', 'no-acs-above']);
  });

  it('puts all that is below a VMD into the group of the VMD, ACS or not', () => {
    const far = (address: string, more: Partial<PciFacts> = {}): PciFacts => ({ ...fn('00:00.0', more), address });
    const vmd = fn('00:0e.0', { vendor: 0x8086, device: 0x467f, class: 0x01_0400, expressType: INTEGRATED });
    const below = (more: Partial<PciFacts> = {}) => [far('10000:e0:06.0', { secondaryBus: 0xe1, expressType: ROOT_PORT, acs: { capability: FULL, control: FULL }, ...more }), far('10000:e1:00.0', more)];
    const made = (functions: readonly PciFacts[]) => computeIommuGroups(functions).map(({ devices }) => devices.join(' '));
    const together = ['0000:00:0e.0 10000:e0:06.0 10000:e1:00.0'];
    expect(made([...below(), vmd])).toEqual(together);
    expect(computeIommuGroups([vmd, ...below()])[0]!.joins[1]).toEqual({ device: '10000:e1:00.0', with: '0000:00:0e.0', rule: 'vmd', why: 'below the VMD 0000:00:0e.0, whose id all requests from there carry' });
    const apart = ['0000:00:0e.0', '10000:e0:06.0', '10000:e1:00.0'];
    expect(made([{ ...vmd, device: 0x467e }, ...below()])).toEqual(apart);
    // Which of two VMDs it is, the addresses do not say.
    const second = fn('00:0f.0', { vendor: 0x8086, device: 0x467f });
    expect(made([vmd, second, ...below()])).toEqual(['0000:00:0e.0', '0000:00:0f.0', '10000:e0:06.0', '10000:e1:00.0']);
    expect(made([vmd, second, ...below({ vmd: '0000:00:0f.0' })])).toEqual(['0000:00:0e.0', '0000:00:0f.0 10000:e0:06.0 10000:e1:00.0']);
    expect(made([vmd, ...below({ vmd: '0000:00:01.0' })])).toEqual(apart);
    expect(made([vmd, far('0001:01:00.0')])).toEqual(['0000:00:0e.0', '0001:01:00.0']);
  });

  it('groups as the kernel that is named: chipset ports in the first releases of 5.9, Qualcomm ports from 5.10 on', () => {
    const below = (more: Partial<PciFacts>, kernel?: KernelVersion) => groups([port('00:1c.0', 1, false, more), fn('01:00.0')], { kernel }).length;
    const pch = { vendor: 0x8086, device: 0x8d10 };
    const versions: readonly KernelVersion[] = [{ major: 5, minor: 8 }, { major: 5, minor: 9, patch: 1 }, { major: 5, minor: 9 }, { major: 5, minor: 10 }];
    expect(versions.map((kernel) => below(pch, kernel))).toEqual([2, 1, 2, 2]);
    expect(versions.map((kernel) => below({ vendor: 0x17cb, device: 0x0111 }, kernel))).toEqual([1, 1, 1, 2]);
    expect(below({ vendor: 0x17cb, device: 0x0111 })).toBe(2);
  });

  it('from 7.0 on the bridge before the display of an ASPEED passes its id on, and does not isolate', () => {
    const bmc = (device: number) => [port('00:01.0', 1, true), fn('01:00.0', { secondaryBus: 2, expressType: PCI_BRIDGE, vendor: 0x1a03, device }), fn('02:00.0', { expressType: undefined })];
    const rules = (device: number, kernel?: KernelVersion) => computeIommuGroups(bmc(device), { kernel }).flatMap(({ joins }) => joins.map(({ rule }) => rule));
    expect(rules(0x1150)).toEqual(['conventional-bridge']);
    expect(rules(0x1150, { major: 7, minor: 0 })).toEqual(['no-acs-above']);
    expect(rules(0x1151, { major: 7, minor: 0 })).toEqual(['conventional-bridge']);
  });

  it('leaves out who has no IOMMU: nobody joins it, and whom it parts stays apart', () => {
    const pair = [fn('00:03.0', { multifunctionBit: true }), fn('00:03.1'), fn('00:03.2')];
    expect(groups(pair, { without: new Set(['0000:00:03.1']) })).toEqual(['00:03.0 00:03.2']);
    expect(groups([port('00:01.0', 1, false), fn('01:00.0')], { without: new Set(['0000:00:01.0']) })).toEqual(['01:00.0']);
  });

  it('does not take VFs for functions of one device; they follow what is above their PF', () => {
    const pf = fn('01:00.0', { sriov: { count: 2, offset: 0x81, stride: 1, device: 2 } });
    const vfs = [fn('01:10.1'), fn('01:10.2')];
    expect(groups([port('00:01.0', 1, true), pf, ...vfs])).toEqual(['00:01.0', '01:00.0', '01:10.1', '01:10.2']);
    expect(groups([port('00:01.0', 1, false), pf, ...vfs])).toEqual(['00:01.0 01:00.0 01:10.1 01:10.2']);
    // On a bus number that no bridge leads to.
    const far = fn('01:00.0', { sriov: { count: 1, offset: 0x180, stride: 1, device: 2 } });
    expect(groups([port('00:01.0', 1, false), far, fn('02:10.0')])).toEqual(['00:01.0 01:00.0 02:10.0']);
  });

  it('keeps domains apart', () => {
    const second = { ...fn('01:00.0'), address: '0001:01:00.0' };
    expect(computeIommuGroups([port('00:01.0', 1, false), fn('01:00.0'), second])).toHaveLength(2);
  });

  it('any machine: a partition, the same whatever the order of its description, each joiner with a reason', () => {
    const device = fc.record({ bus: fc.integer({ min: 0, max: 3 }), slot: fc.integer({ min: 0, max: 3 }), number: fc.integer({ min: 0, max: 2 }), type: fc.constantFrom(undefined, 0, 4, 5, 6, 7, 9), secondary: fc.constantFrom(undefined, 1, 2, 3), control: fc.constantFrom(undefined, 0, FULL), multi: fc.boolean() });
    const machine = fc.uniqueArray(device, { maxLength: 14, selector: ({ bus, slot, number }) => bus * 100 + slot * 10 + number });
    fc.assert(
      fc.property(machine, (parts) => {
        const functions = parts.map(({ bus, slot, number, type, secondary, control, multi }) =>
          fn(`0${bus}:0${slot}.${number}`, { expressType: type, secondaryBus: secondary, multifunctionBit: multi, acs: control === undefined ? undefined : { capability: FULL, control } }),
        );
        const made = computeIommuGroups(functions);
        expect(made.flatMap(({ devices }) => devices).sort()).toEqual(functions.map(({ address }) => address).sort());
        for (const { devices, joins } of made) {
          expect(joins).toHaveLength(devices.length - 1);
          for (const join of joins) expect(devices).toContain(join.with);
        }
      }),
      parameters(),
    );
  });
});
