import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

const PORT = 'PCI bridge [0604]: Intel Corporation PCIe Controller [8086:1901] (rev 07)';
const GPU = 'VGA compatible controller [0300]: NVIDIA Corporation GP104 [10de:1b81] (rev a1)';

function groups(text: string): readonly string[] {
  return readPaste(text).devices.map((device) => `${device.address} ${device.groups.map(({ number }) => number).join(' then ')}`);
}

describe('a group of the root port 00:01.0 and 01:00.0, and one of 00:02.0, are told by', () => {
  it.each([
    ['headings and indented lines', `IOMMU Group 1:\n\t00:01.0 ${PORT}\n\t01:00.0 ${GPU}\nIOMMU Group 2:\n\t00:02.0 ${GPU}\n`],
    ['headings and flush lines', `IOMMU group 1\n00:01.0 ${PORT}\n01:00.0 ${GPU}\nIOMMU group 2\n00:02.0 ${GPU}\n`],
    ['headings with drivers below the devices', `IOMMU Group 1:\n00:01.0 ${PORT}\n\tKernel driver in use: pcieport\n01:00.0 ${GPU}\n\tKernel modules: nouveau\nIOMMU Group 2:\n00:02.0 ${GPU}\n`],
    ['headings of Markdown', `### IOMMU Group 1\n\n- 00:01.0 ${PORT}\n- 01:00.0 ${GPU}\n\n### IOMMU Group 2 (1 device)\n\n* 00:02.0 ${GPU}\n`],
    ['bold headings', `**IOMMU Group 1:**\n00:01.0 ${PORT}\n01:00.0 ${GPU}\n**IOMMU Group 2:**\n00:02.0 ${GPU}\n`],
    ['headings in rules', `------- IOMMU Group 1 -------\n00:01.0 ${PORT}\n01:00.0 ${GPU}\n=== Group 2 ===\n00:02.0 ${GPU}\n`],
    ['numbers in parentheses', `IOMMU GROUP 1\n (1) 00:01.0 ${PORT}\n (1) 01:00.0 ${GPU}\nIOMMU GROUP 2\n (2) 00:02.0 ${GPU}\n`],
    ['lines with the number first', `IOMMU Group 1 00:01.0 ${PORT}\nIOMMU Group 1 01:00.0 ${GPU}\nIOMMU Group 2 00:02.0 ${GPU}\n`],
    ['lines with the number and a colon', `IOMMU group 1: 0000:00:01.0 ${PORT}\nIOMMU group 1: 0000:01:00.0 ${GPU}\nIOMMU group 2: 0000:00:02.0 ${GPU}\n`],
    ['the number alone', `1: 00:01.0 ${PORT}\n1: 01:00.0 ${GPU}\n2: 00:02.0 ${GPU}\n`],
    ['lines with the folder', `group /sys/kernel/iommu_groups/1: 00:01.0 ${PORT}\ngroup /sys/kernel/iommu_groups/1: 01:00.0 ${GPU}\ngroup /sys/kernel/iommu_groups/2: 00:02.0 ${GPU}\n`],
    ['the number last', `00:01.0 ${PORT} IOMMU group 1\n01:00.0 ${GPU} (IOMMU group 1)\n00:02.0 ${GPU} [IOMMU group 2]\n`],
    ['columns', `Group:  1   0000:00:01.0 PCI bridge [0604]  Intel Corporation [8086:1901]\nGroup:  1   0000:01:00.0 VGA [0300]  NVIDIA [10de:1b81]\nGroup:  2   0000:00:02.0 VGA [0300]  Intel [8086:3e92]\n`],
    ['ls-iommu', 'Group 1:        [8086:1901] [R] 00:01.0  PCI bridge     Device 1901\n                [10de:1b81]     01:00.0  VGA compatible controller   GP104\nGroup 2:        [8086:3e92]     00:02.0  VGA compatible controller   UHD\nUSB:            [1d6b:0002]              Bus 001 Device 002   Linux Foundation 2.0 root hub\n'],
    ['"Group Device"', 'IOMMU Group 1\nGroup Device: 0000:00:01.0 - PCI bridge: Intel\nGroup Device: 0000:01:00.0 - something\nIOMMU Group 2\nGroup Device: 0000:00:02.0 - graphics\n'],
    ['marks of resets', `IOMMU group 1\n\t00:01.0 ${PORT}\n[RESET]\t01:00.0 ${GPU}\nIOMMU group 2\n[RESET]\t00:02.0 ${GPU}\n`],
    ['USB devices among them', `IOMMU Group 1:\n\t00:01.0 ${PORT}\n\t01:00.0 ${GPU}\n\t\tBus 001 Device 002: ID 05e3:0608 Genesys\nIOMMU Group 2:\n\t00:02.0 ${GPU}\n`],
    ['Unraid', 'IOMMU group 1:\t[8086:1901] 00:01.0 PCI bridge: Intel (rev 0a)\n[10de:1b81] 01:00.0 VGA compatible controller: NVIDIA (rev a1)\nIOMMU group 2:[8086:3e92] 00:02.0 VGA compatible controller: Intel\n'],
    ['numbers alone, where the command asked for groups', `$ for d in /sys/kernel/iommu_groups/*/devices/*; do :; done\n1 00:01.0 ${PORT}\n1 01:00.0 ${GPU}\n2 00:02.0 ${GPU}\n`],
    ['find', '/sys/kernel/iommu_groups/1/devices/0000:00:01.0\n/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n/sys/kernel/iommu_groups/2/devices/0000:00:02.0\n'],
    ['find from the folder', './1/devices/0000:00:01.0\n./1/devices/0000:01:00.0\n./2/devices/0000:00:02.0\n'],
    ['ls', '/sys/kernel/iommu_groups/1/devices:\n0000:00:01.0  0000:01:00.0\n\n/sys/kernel/iommu_groups/2/devices:\n0000:00:02.0\n'],
    ['ls of one folder after another', '# ls /sys/kernel/iommu_groups/1/devices/\n0000:00:01.0  0000:01:00.0\n# ls /sys/kernel/iommu_groups/2/devices\n0000:00:02.0\n'],
    ['ls -l of the devices', 'lrwxrwxrwx 1 root root 0 Nov 30 12:00 /sys/bus/pci/devices/0000:00:01.0/iommu_group -> ../../../kernel/iommu_groups/1\nlrwxrwxrwx 1 root root 0 Nov 30 12:00 /sys/bus/pci/devices/0000:01:00.0/iommu_group -> ../../../../kernel/iommu_groups/1\nlrwxrwxrwx 1 root root 0 Nov 30 12:00 /sys/bus/pci/devices/0000:00:02.0/iommu_group -> ../../../kernel/iommu_groups/2\n'],
    ['readlink', '$ readlink /sys/bus/pci/devices/0000:00:01.0/iommu_group\n../../../kernel/iommu_groups/1\n$ readlink /sys/bus/pci/devices/0000:01:00.0/iommu_group\n../../../../kernel/iommu_groups/1\n$ readlink /sys/bus/pci/devices/0000:00:02.0/iommu_group\n../../../kernel/iommu_groups/2\n'],
    ['tree', '/sys/kernel/iommu_groups/\n├── 1\n│   ├── devices\n│   │   ├── 0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\n│   │   └── 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n│   ├── reserved_regions\n│   └── type\n└── 2\n    ├── devices\n    │   └── 0000:00:02.0 -> ../../../../devices/pci0000:00/0000:00:02.0\n    └── type\n\n4 directories, 3 files\n'],
    ['tree in ASCII', '/sys/kernel/iommu_groups/\n|-- 1\n|   `-- devices\n|       |-- 0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\n|       `-- 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n`-- 2\n    `-- devices\n        `-- 0000:00:02.0 -> ../../../../devices/pci0000:00/0000:00:02.0\n'],
    ['arrows to USB buses', 'Bus 1 --> 0000:00:01.0 (IOMMU group 1)\nBus 001 Device 004: ID 04f2:b217 Chicony\n\nBus 2 --> 0000:01:00.0 (IOMMU group 1)\nBus 3 --> 0000:00:02.0 (IOMMU group 2)\n'],
  ])('%s', (_name, text) => {
    expect(groups(text)).toEqual(['0000:00:01.0 1', '0000:00:02.0 2', '0000:01:00.0 1']);
    expect(readPaste(text).unread).toEqual([]);
  });
});

describe('a listing', () => {
  it('says who can be reset where marks of it say so, and of nobody where none does', () => {
    const marks = (text: string): unknown[] => readPaste(text).devices.map(({ resettable }) => resettable);
    expect(marks(`IOMMU group 1\n\t00:01.0 ${PORT}\n[RESET]\t01:00.0 ${GPU}\n`)).toEqual([false, true]);
    expect(marks(`IOMMU group 1\n\t00:01.0 ${PORT}\n\t01:00.0 ${GPU}\n`)).toEqual([undefined, undefined]);
  });

  it('does not take the numbers of lines for groups', () => {
    expect(groups(` 9 00:01.0 ${PORT}\n10 01:00.0 ${GPU}\n`)).toEqual(['0000:00:01.0 ', '0000:01:00.0 ']);
  });

  it('tells the bridges above, by where links lead', () => {
    const { devices } = readPaste('/sys/kernel/iommu_groups/1/devices:\n0000:00:01.0 -> ../../../../devices/pci0000:00/0000:00:01.0\n0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n');
    expect(devices.map(({ parent }) => parent)).toEqual([null, '0000:00:01.0']);
  });

  it('that is empty says that there are no groups, where a prompt follows', () => {
    const none = 'root@pve:~# ls /sys/class/iommu\nroot@pve:~# find /sys/kernel/iommu_groups/ -type l\nroot@pve:~# \n';
    expect(readPaste(none).machine).toMatchObject({ hasGroups: false, iommuUnits: [] });
    expect(readPaste('find /sys/kernel/iommu_groups/ -type l\n').machine).toMatchObject({ hasGroups: undefined, iommuUnits: undefined });
    expect(readPaste("ls: cannot access '/sys/kernel/iommu_groups': No such file or directory\n").machine.hasGroups).toBe(false);
  });

  it.each(['see group 5 for that', 'Group 5 is bad', 'IOMMU groups:', 'my IOMMU group 3 has 00:01.0 in it'])('is not begun by "%s"', (sentence) => {
    expect(groups(`${sentence}\n\n00:01.0 ${PORT}\n`)).toEqual(['0000:00:01.0 ']);
  });
});
