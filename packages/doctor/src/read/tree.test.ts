import { describe, expect, it } from 'vitest';
import { readTree } from './tree.ts';
import type { TreeFile } from './tar.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const file = (path: string, text: string): TreeFile => [path, bytes(text)];
const link = (path: string, to: string): TreeFile => [path, { link: to }];
const GPU = 'sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0';
const SYSFS: readonly TreeFile[] = [
  ['sys/devices/pci0000:00/0000:00:01.0/config', new Uint8Array(256).fill(1)],
  link('sys/devices/pci0000:00/0000:00:01.0/driver', '../../../bus/pci/drivers/pcieport'),
  [`${GPU}/config`, new Uint8Array(4096).fill(2)],
  file(`${GPU}/vendor`, '0x10de\n'),
  file(`${GPU}/device`, '0x1b81\n'),
  file(`${GPU}/class`, '0x030000\n'),
  file(`${GPU}/revision`, '0xa1\n'),
  file(`${GPU}/subsystem_vendor`, '0x3842\n'),
  file(`${GPU}/subsystem_device`, '0x6276\n'),
  file(`${GPU}/resource`, '0x00000000f6000000 0x00000000f6ffffff 0x0000000000040200\n0x0000000000000000 0x0000000000000000 0x0000000000000000\n'),
  link(`${GPU}/iommu_group`, '../../../../kernel/iommu_groups/1'),
  file(`${GPU}/reset_method`, 'flr bus\n'),
  file(`${GPU}/reset`, ''),
  file(`${GPU}/boot_vga`, '1\n'),
  link(`${GPU}/physfn`, '../0000:01:00.4'),
  link('sys/class/iommu/dmar0', '../../devices/virtual/iommu/dmar0'),
  link('sys/kernel/iommu_groups/1/devices/0000:00:01.0', '../../../../devices/pci0000:00/0000:00:01.0'),
  file('proc/cmdline', 'BOOT_IMAGE=/vmlinuz-6.8.0 intel_iommu=on\n'),
  file('proc/version', 'Linux version 6.8.0-49-generic (buildd@host)\n'),
  file('proc/iomem', 'e0000000-efffffff : 0000:01:00.0\n'),
];

describe('a tree', () => {
  it('tells all that sysfs has of a device', () => {
    const { devices, machine, unread } = readTree(SYSFS);
    expect(unread).toEqual([]);
    expect(devices.map(({ address }) => address)).toEqual(['0000:00:01.0', '0000:01:00.0']);
    expect(devices[1]).toMatchObject({
      ...{ vendor: 0x10de, device: 0x1b81, classCode: 0x300, progIf: 0, revision: 0xa1, subsystemVendor: 0x3842, subsystem: 0x6276 },
      ...{ driver: null, parent: '0000:00:01.0', physfn: '0000:01:00.4', resetMethods: ['flr', 'bus'], resettable: true, bootVga: true },
      groups: [{ number: 1, line: 11, form: 'sysfs' }],
      resource: [['0x00000000f6000000', '0x00000000f6ffffff', '0x0000000000040200'], ['0x0000000000000000', '0x0000000000000000', '0x0000000000000000']],
    });
    expect(devices[0]).toMatchObject({ driver: 'pcieport', parent: null, resettable: false, groups: [{ number: 1, line: 17 }] });
    expect(devices.map(({ config }) => config?.length)).toEqual([256, 4096]);
    expect(machine).toMatchObject({ kernel: '6.8.0-49-generic', cmdline: 'BOOT_IMAGE=/vmlinuz-6.8.0 intel_iommu=on', iommuUnits: ['dmar0'], hasGroups: true, iomem: [{ owner: '0000:01:00.0' }] });
  });

  it.each([
    ['of nothing but devices', (path: string) => path.replace(/^.*\/(?=0000:\d\d:\d\d\.\d\/[^/]+$)/, '')],
    ['below any folder', (path: string) => `/home/me/report/${path}`],
    ['from the folder it was made in', (path: string) => `./${path}`],
  ])('%s gives the same devices', (_name, move) => {
    const moved = SYSFS.map(([path, content]): TreeFile => [move(path), content]);
    const summary = (files: readonly TreeFile[]): unknown => readTree(files).devices.map(({ address, vendor, driver, config, groups }) => [address, vendor, driver, config?.length, groups[0]?.number]);
    expect(summary(moved)).toEqual(summary(SYSFS));
  });

  it('takes a link that became a file by its text', () => {
    const { devices } = readTree([file('0000:01:00.0/driver', '../../../bus/pci/drivers/nouveau'), file('0000:01:00.0/iommu_group', '7\n')]);
    expect(devices[0]).toMatchObject({ driver: 'nouveau', groups: [{ number: 7 }] });
  });

  it('says nothing of drivers, resets and groups that it has nowhere', () => {
    const { devices, machine } = readTree([['0000:01:00.0/config', new Uint8Array(64)]]);
    expect(devices[0]).toMatchObject({ driver: undefined, resettable: undefined, groups: [], parent: undefined });
    expect(machine).toMatchObject({ hasGroups: undefined, iommuUnits: undefined });
  });

  it('with empty folders says that there is no IOMMU', () => {
    expect(readTree([['sys/class/iommu/', new Uint8Array(0)], ['sys/kernel/iommu_groups/', new Uint8Array(0)]]).machine).toMatchObject({ hasGroups: false, iommuUnits: [] });
  });

  it('cuts a configuration space of an odd size, and says so', () => {
    const { devices, unread } = readTree([['0000:01:00.0/config', new Uint8Array(300)]]);
    expect([devices[0]!.config?.length, unread]).toEqual([256, [{ line: 1, text: '0000:01:00.0/config', why: 'has 300 bytes, expected 64, 128, 256, 4096' }]]);
  });
});
