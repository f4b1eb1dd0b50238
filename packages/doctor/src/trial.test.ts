/** What VFIO answers for machines that reports go wrong on. */
import { errnoName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { machineOfPaste } from './examine.ts';
import { readPaste } from './read/read-paste.ts';
import { TrialBench } from './trial.ts';

/** The first function of a text, alone, in one group with all others: `ok`, or the call that failed. */
function tried(text: string): string {
  const machine = machineOfPaste(readPaste(text));
  const addresses = machine.map(({ facts }) => facts.address);
  const { failed } = new TrialBench(machine, { iommu: 'vt-d', groups: [addresses] }).run(addresses[0]!, [addresses[0]!]);
  return failed === undefined ? 'ok' : `${errnoName(failed.result)} at ${failed.call}`;
}

describe('a trial beside another driver', () => {
  const nic = (driver: string): string => `0000:01:00.0 Ethernet controller [0200]: Mellanox MT28908 [15b3:101b]

0000:01:00.1 Ethernet controller [0200]: Mellanox MT28908 [15b3:101e]
	Kernel driver in use: ${driver}
`;

  it.each(['mlx5_vfio_pci', 'hisi_acc_vfio_pci', 'pci-stub', 'pcieport'])('%s leaves the group viable', (driver) => {
    expect(tried(nic(driver))).toBe('ok');
  });

  it.each(['mlx5_core', 'vfio-platform'])('%s does DMA for the host', (driver) => {
    expect(tried(nic(driver))).toBe('EPERM at VFIO_GROUP_SET_CONTAINER');
  });
});

describe('a trial beside a driver whose name no file can have', () => {
  it.each(['..', '.', 'a/b'])('%s counts as none', (driver) => {
    expect(tried(`0000:01:00.0 Ethernet controller [0200]: Mellanox MT28908 [15b3:101b]\n\tKernel driver in use: ${driver}\n`)).toBe('ok');
  });
});

describe('a trial of Intel graphics', () => {
  const graphics = (asls: string): string => `0000:00:02.0 VGA compatible controller [0300]: Intel Corporation Alder Lake-P GT2 [8086:46a6] (rev 0c)
	Kernel driver in use: i915
00: 86 80 a6 46 07 04 10 00 0c 00 00 03 00 00 00 00
${Array.from({ length: 14 }, (_, i) => `${((i + 1) * 16).toString(16)}: ${'00 '.repeat(16).trim()}`).join('\n')}
f0: 00 00 00 00 00 00 00 00 00 00 00 00 ${asls}
`;

  it.each([
    ['an address that firmware put an OpRegion at', '18 80 a5 61'],
    ['no address', '00 00 00 00'],
    ['an address of ones', 'ff ff ff ff'],
  ])('%s: it can be opened', (_name, asls) => {
    expect(tried(graphics(asls))).toBe('ok');
  });

  it('an address where there can be no OpRegion', () => {
    expect(tried(graphics('fc ff ff ff'))).toBe('EINVAL at VFIO_GROUP_GET_DEVICE_FD');
  });
});
