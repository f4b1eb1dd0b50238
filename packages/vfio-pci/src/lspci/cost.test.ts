/** What lspci's text costs is bounded by its length, whatever it says. Bounds are generous: what they catch takes minutes, or for ever. */
import { describe, expect, it } from 'vitest';
import { staysBounded } from '../../../../testing/cost.ts';
import { computeIommuGroups, PciTopology } from '../topology/index.ts';
import { machineOfLspci, parseLspci } from './index.ts';

const LINES = 40_000;

function readAll(text: string): void {
  const devices = parseLspci(text);
  computeIommuGroups(devices.map(({ facts }) => facts));
  machineOfLspci(devices);
}

function pf(address: string, vfs: string | number, offset: string | number = 1): string {
  return `${address} Ethernet controller [0200]: A [8086:1234]\n\t\tIOVCtl:\tEnable+ Migration-\n\t\tInitial VFs: 8, Total VFs: 8, Number of VFs: ${vfs}, Function Dependency Link: 00\n\t\tVF offset: ${offset}, stride: 1, Device ID: 1234\n`;
}

describe('a text of lspci', () => {
  for (const vfs of ['100000000000', '16000000', '65536', '9'.repeat(400)]) {
    it(`with ${vfs.slice(0, 12)} VFs has none: a register has 16 bits [R12]`, () => {
      expect(parseLspci(pf('00:00.0', vfs))[0]!.facts.sriov).toBeUndefined();
    });
  }

  it('has VFs that its PFs have room for, and VFs have none themselves [R12]', () => {
    expect(parseLspci(pf('00:00.0', 65535))[0]!.facts.sriov).toEqual({ count: 65535, offset: 1, stride: 1, device: 0x1234 });
    expect(parseLspci(pf('00:00.0', 1, 65536))[0]!.facts.sriov).toBeUndefined();
    const circle = parseLspci(pf('00:00.0', 1, 8) + pf('00:01.0', 1, 65528));
    expect(new PciTopology(circle.map(({ facts }) => facts)).nodes.map(({ physicalFunction }) => physicalFunction)).toEqual([undefined, undefined]);
    const text = `${pf('00:00.0', 3, 8)}${['01', '02', '03', '04'].map((slot) => `00:${slot}.0 Ethernet controller [0200]: A [8086:1234]`).join('\n')}\n`;
    for (const sriov of [text, text.replace('Number of VFs: 3', 'Number of VFs: 60000')]) {
      const topology = new PciTopology(parseLspci(sriov.replace('stride: 1', 'stride: 8')).map(({ facts }) => facts));
      expect(['01', '02', '03', '04'].map((slot) => topology.node(`0000:00:${slot}.0`)!.physicalFunction?.facts.address)).toEqual(
        sriov === text ? ['0000:00:00.0', '0000:00:00.0', '0000:00:00.0', undefined] : new Array<string>(4).fill('0000:00:00.0'),
      );
    }
  });

  const texts: Readonly<Record<string, () => string>> = {
    'a heading of spaces, then a line separator': () => `00:00.0 ${' '.repeat(LINES)}x\u2028y\n`,
    'a heading of ids, then a line separator': () => `00:00.0 a [0000]: ${' [0000:0000]'.repeat(LINES)}\u2028y\n`,
    'a heading of revisions, then a line separator': () => `00:00.0 ${' (rev '.repeat(LINES)}\u2028y\n`,
    'an ACSCap of spaces, then a line separator': () => `00:00.0 a\n\tACSCap:${' '.repeat(LINES)}x\u2028y\n`,
    'an IRQ of digits, then a letter': () => `00:00.0 a\n\tIRQ ${'1'.repeat(LINES)}x\n`,
    'many PFs of many VFs': () => Array.from({ length: 2000 }, (_, i) => pf(`${(i >> 8).toString(16).padStart(4, '0')}:00:${((i >> 3) & 31).toString(16).padStart(2, '0')}.${i & 7}`, 65535)).join(''),
    'a domain for each PF of many VFs': () => Array.from({ length: 2000 }, (_, i) => pf(`${i.toString(16).padStart(4, '0')}:00:00.0`, 65535)).join(''),
  };
  for (const [name, text] of Object.entries(texts)) {
    it(`${name}: takes no time [R12]`, () => {
      expect(staysBounded(() => readAll(text()))).toBe(true);
    });
  }

  it('a row of bytes with a line separator is refused with its place, not with a TypeError [R12]', () => {
    expect(() => parseLspci('00:00.0 a\n00: 86 80\u2028\n')).toThrow('line 2, column 10');
  });

  it('numbers beyond what they count are not told: sizes, addresses, groups, interrupts [R12]', () => {
    const digits = '9'.repeat(400);
    const [device] = parseLspci(`00:00.0 A [0200]: B [8086:1234]\n\tInterrupt: pin A routed to IRQ ${digits}\n\tRegion 0: Memory at f0000000 (32-bit, non-prefetchable) [size=${digits}]\n\tRegion 1: Memory at ${'f'.repeat(300)} (32-bit)\n\tCapabilities: x\n\tIOMMU group: ${digits}\n`);
    expect([device!.irq, device!.iommuGroup, device!.regions.map(({ size }) => size)]).toEqual([undefined, undefined, [0]]);
    expect(machineOfLspci([device!]).devices['0000:00:00.0']!.resource[0]).toEqual(['0xf0000000', '0xf0000fff', '0x40200']);
  });

  it('a domain written with more zeros is the same one [R12]', () => {
    expect(() => parseLspci('0000:00:00.0 a\n00000000:00:00.0 b\n')).toThrow('0000:00:00.0 is there a second time');
    expect(parseLspci('10000:00:00.0 a\n')[0]!.address).toBe('10000:00:00.0');
  });
});
