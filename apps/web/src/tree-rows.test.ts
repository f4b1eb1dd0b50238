import { examine, devicesOf, readPaste } from '@vsim/doctor';
import { describe, expect, it } from 'vitest';
import { treeRows, type TreeRow } from './tree-rows.ts';

const bridge = (address: string, secondary: string, subordinate: string): string =>
  `${address} PCI bridge [0604]: Intel Corporation Device [8086:1901] (prog-if 00 [Normal decode])\n\tFlags: bus master\n\tBus: primary=${address.slice(0, 2)}, secondary=${secondary}, subordinate=${subordinate}, sec-latency=0\n\tIOMMU group: 1\n\n`;
const endpoint = (address: string, group: number): string => `${address} Ethernet controller [0200]: Intel Corporation Device [8086:1521]\n\tFlags: bus master\n\tIOMMU group: ${group}\n\n`;
const report = examine(readPaste(bridge('00:01.0', '01', '03') + endpoint('00:02.0', 2) + bridge('01:00.0', '02', '03') + bridge('02:00.0', '03', '03') + endpoint('02:01.0', 3) + endpoint('03:00.0', 1) + endpoint('03:00.1', 1)));
const devices = devicesOf(report);
const rows = (closed: readonly string[] = []): readonly TreeRow[] => treeRows(devices, report.groups, new Set(closed));

describe('the rows of a tree', () => {
  it('are all functions, each below its bridge', () => {
    expect(rows().map(({ device }) => device.address).sort()).toEqual(devices.map(({ address }) => address));
    const level = new Map(rows().map((row) => [row.device.address, row.level]));
    for (const { device, above, level: own } of rows()) {
      expect(own, device.address).toBe(above === undefined ? 1 : level.get(above)! + 1);
      expect(device.parent ?? undefined).toBe(above);
    }
  });

  it('leave out what is below a closed bridge', () => {
    const port = rows().find(({ hasChildren }) => hasChildren)!;
    const below = rows().filter(({ above }) => above === port.device.address).map(({ device }) => device.address);
    expect(below.length).toBeGreaterThan(0);
    const left = rows([port.device.address]).map(({ device }) => device.address);
    expect(left).toContain(port.device.address);
    expect(left.filter((address) => below.includes(address))).toEqual([]);
  });

  it('count their places', () => {
    for (const { above, places } of rows()) {
      const beside = rows().filter((row) => row.above === above);
      expect(beside.map(({ place }) => place)).toEqual(beside.map((_, index) => index + 1));
      expect(places).toBe(beside.length);
    }
  });

  it('have an outline where a group has several, which begins and ends once for rows that follow each other', () => {
    const all = rows();
    expect(all.some(({ outline }) => outline !== undefined)).toBe(true);
    for (const [index, { group, outline }] of all.entries()) {
      expect(outline !== undefined).toBe(group !== undefined && group.devices.length > 1);
      if (outline === undefined) continue;
      expect(outline.begins).toBe(all[index - 1]?.group !== group);
      expect(outline.ends).toBe(all[index + 1]?.group !== group);
    }
  });

  it('stand at the first level where the bridge above is not shown', () => {
    const alone = devices.filter(({ parent }) => typeof parent === 'string');
    expect(alone.length).toBeGreaterThan(0);
    expect(treeRows(alone, report.groups, new Set()).map(({ level }) => level)).toContain(1);
  });
});
