import { describe, expect, it } from 'vitest';
import { examine } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';
import { treeLines } from './tree.ts';

const bridge = (address: string, secondary: string): string => `${address} PCI bridge [0604]: Intel Corporation Port [8086:a338]\n\tBus: primary=00, secondary=${secondary}, subordinate=ff\n\n`;

function treeOf(text: string): readonly string[] {
  return treeLines(examine(readPaste(text)));
}

describe('the tree', () => {
  it('shows bridges that lead to each other in a circle once, with what is below them', () => {
    expect(treeOf(`${bridge('01:00.0', '02')}${bridge('02:00.0', '01')}02:01.0 USB controller [0c03]: Intel Corporation xHCI [8086:a36d]\n`).map((line) => line.replace(/ (?:Intel|\().*$/, ''))).toEqual([
      'The bridges of these lead to each other in a circle:',
      '└─ 01:00.0',
      '   ├─ 02:00.0',
      '   └─ 02:01.0',
    ]);
  });

  it('says before all that its groups are those of an IOMMU that is not on', () => {
    const host = '00:00.0 Host bridge [0600]: Intel Corporation 440FX [8086:1237]\n\tFlags: fast devsel\n';
    expect(treeOf(`$ ls /sys/kernel/iommu_groups\n${host}`)[0]).not.toContain('No IOMMU');
    expect(treeOf(`user@host:~$ ls /sys/class/iommu\nuser@host:~$ lspci -nnv\n${host}`)[0]).toBe('No IOMMU is on: the groups are those that there would be with one.');
  });
});
