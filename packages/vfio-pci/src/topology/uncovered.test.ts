/** The functions that no IOMMU covers, one machine for each rule, and beside it one where the rule does not hold. */
import { describe, expect, it } from 'vitest';
import type { PciFacts } from './facts.ts';
import type { KernelVersion } from './kernel-version.ts';
import { uncovered } from './uncovered.ts';

const HOST_BRIDGE = 0x06_0000;
const IOMMU = 0x08_0600;
const VGA = 0x03_0000;
const INTEL = 0x8086;
const AMD = 0x1022;

function fn(address: string, vendor: number, device: number, classCode: number): PciFacts {
  return { address, vendor, device, subsystemVendor: 0, subsystem: 0, class: classCode, multifunctionBit: false, secondaryBus: undefined, isBridge: false, expressType: undefined, acs: undefined, sriov: undefined };
}

/** Addresses and rules of all that have no IOMMU. */
function none(all: readonly PciFacts[], kernel?: KernelVersion): readonly string[] {
  return all.flatMap((facts) => {
    const found = uncovered(facts, all, kernel);
    return found === undefined ? [] : [`${facts.address} ${found.rule}`];
  });
}

describe('uncovered', () => {
  it('an IOMMU, and on AMD the host bridge beside it, of each root bus', () => {
    const bus = (number: string, vendor = AMD): readonly PciFacts[] => [
      fn(`0000:${number}:00.0`, vendor, 0x14a4, HOST_BRIDGE),
      fn(`0000:${number}:00.2`, vendor, 0x149e, IOMMU),
      fn(`0000:${number}:00.3`, vendor, 0x14a6, 0x08_0700),
      fn(`0000:${number}:01.0`, vendor, 0x149f, HOST_BRIDGE),
    ];
    expect(none([...bus('00'), ...bus('40')])).toEqual(['0000:00:00.0 amd-host-bridge', '0000:00:00.2 iommu', '0000:40:00.0 amd-host-bridge', '0000:40:00.2 iommu']);
    expect(none(bus('00', 0x1d94))).toEqual(['0000:00:00.0 amd-host-bridge', '0000:00:00.2 iommu']);
    expect(none(bus('00', INTEL))).toEqual(['0000:00:00.2 iommu']);
    expect(uncovered(bus('00')[0]!, bus('00'))?.why).toBe('0000:00:00.0 is the host bridge beside 0000:00:00.2: the IVRS tables of all machines seen leave both out');
  });

  it('a host bridge of AMD without an IOMMU on its own bus may be covered', () => {
    const bridge = fn('0000:00:00.0', AMD, 0x1480, HOST_BRIDGE);
    expect(none([bridge])).toEqual([]);
    expect(none([bridge, fn('0000:20:00.2', AMD, 0x1481, IOMMU)])).toEqual(['0000:20:00.2 iommu']);
    expect(none([bridge, fn('0001:00:00.2', AMD, 0x1481, IOMMU)])).toEqual(['0001:00:00.2 iommu']);
    expect(none([bridge, fn('0000:00:01.2', AMD, 0x1481, IOMMU)])).toEqual(['0000:00:01.2 iommu']);
    expect(none([fn('0000:00:00.0', AMD, 0x1480, 0x06_0400), fn('0000:00:00.2', AMD, 0x1481, IOMMU)])).toEqual(['0000:00:00.2 iommu']);
  });

  it('graphics of a chipset whose unit Linux leaves off, and nothing else there', () => {
    const gm45 = [fn('0000:00:00.0', INTEL, 0x2a40, HOST_BRIDGE), fn('0000:00:02.0', INTEL, 0x2a42, VGA), fn('0000:00:02.1', INTEL, 0x2a43, 0x03_8000), fn('0000:00:1b.0', INTEL, 0x293e, 0x04_0300), fn('0000:01:00.0', INTEL, 0x56a0, VGA), fn('0000:00:03.0', 0x1002, 1, VGA)];
    expect(none(gm45)).toEqual(['0000:00:02.0 graphics-off', '0000:00:02.1 graphics-off']);
    expect(uncovered(gm45[1]!, gm45)?.why).toBe('Linux leaves the IOMMU of the graphics of GM45 off ("Disabling IOMMU for graphics on this chipset")');
    expect(none(gm45.slice(1))).toEqual([]);
    expect(none([fn('0000:00:02.0', INTEL, 0x1616, VGA)])).toEqual(['0000:00:02.0 graphics-off']);
    expect(none([fn('0000:00:02.0', INTEL, 0x1916, VGA)])).toEqual([]);
    expect(none([fn('0000:00:00.0', AMD, 0x2a40, HOST_BRIDGE), fn('0000:00:02.0', INTEL, 0x2a42, VGA)])).toEqual([]);
  });

  it('by the kernel: Q35 from 7.1, and from updates of 5.10 and later', () => {
    const q35 = [fn('0000:00:02.0', INTEL, 0x29b2, VGA)];
    expect(none(q35)).toEqual(['0000:00:02.0 graphics-off']);
    expect(none(q35, { major: 5, minor: 10 })).toEqual(['0000:00:02.0 graphics-off']);
    expect(none(q35, { major: 5, minor: 4 })).toEqual([]);
  });

  it('what is below a VMD, before 5.6', () => {
    const machine = [fn('0000:00:0e.0', INTEL, 0x467f, 0x01_0400), fn('10000:e0:06.0', INTEL, 0x464d, 0x06_0400)];
    expect(none(machine, { major: 5, minor: 4 })).toEqual(['10000:e0:06.0 vmd']);
    expect(none(machine, { major: 5, minor: 6 })).toEqual([]);
    expect(none(machine)).toEqual([]);
  });
});
