import { LspciSyntaxError, MachineSyntaxError } from '@vsim/vfio-pci';
import { describe, expect, it } from 'vitest';
import { examine } from './doctor.ts';
import { configOf, machineOfText } from './machine.ts';
import { reportLines } from './report-lines.ts';

const GPU = `0000:00:03.0 VGA compatible controller [0300]: NVIDIA Corporation GP107 [10de:1c82] (rev a1)
	Kernel driver in use: nouveau

0000:00:03.1 Audio device [0403]: NVIDIA Corporation GP107 Audio [10de:0fb9] (rev a1)
`;
const HOST_JSON = JSON.stringify({ devices: { '0000:00:02.0': { config: `3412e811${'00'.repeat(60)}`, irq: 11, driver: 'edu', iommu_group: '7' } } });
const VTD = { iommu: 'vt-d', interruptRemapping: true } as const;

describe('machineOfText', () => {
  it('reads what lspci prints', () => {
    expect(machineOfText(GPU).map(({ facts, driver }) => [facts.address, facts.vendor, driver])).toEqual([['0000:00:03.0', 0x10de, 'nouveau'], ['0000:00:03.1', 0x10de, undefined]]);
  });

  it('reads a host.json: 64 bytes of a configuration space are filled up with zeros', () => {
    const [device] = machineOfText(HOST_JSON);
    expect(device).toMatchObject({ driver: 'edu', iommuGroup: 7, facts: { vendor: 0x1234, device: 0x11e8 }, description: '[0000]: [1234:11e8]' });
    expect(configOf(device!)).toEqual(Uint8Array.of(0x34, 0x12, 0xe8, 0x11, ...new Array<number>(252).fill(0)));
  });

  it.each([
    ['of lspci with its place', 'nonsense', LspciSyntaxError, /^line 1, column 1: /],
    ['that begins as JSON with its field', '{"devices":{"0000:00:02.0":{}}}', MachineSyntaxError, /^0000:00:02\.0: config: /],
  ])('refuses a text %s', (_name, text, type, what) => {
    expect(() => machineOfText(text)).toThrow(type);
    expect(() => machineOfText(text)).toThrow(what);
  });
});

describe('a report', () => {
  it('says who is together and why, and at which call VFIO refuses', () => {
    const { groups } = examine(machineOfText(GPU), VTD);
    expect(groups.map(({ devices, viable }) => [devices, viable])).toEqual([[['0000:00:03.0', '0000:00:03.1'], false]]);
    expect(groups[0]!.trials).toEqual([
      { device: '0000:00:03.0', kind: 'alone', result: 'ok', step: undefined },
      { device: '0000:00:03.1', kind: 'alone', result: 'EPERM', step: 'VFIO_GROUP_SET_CONTAINER' },
      { device: '0000:00:03.0', kind: 'whole-group', result: 'ok', step: undefined },
    ]);
  });

  it('tells of the host on which it tries, before anything is in it', () => {
    const made: unknown[] = [];
    examine(machineOfText(GPU), { ...VTD, made: ({ scheduler, profile }) => made.push([scheduler.now, scheduler.threads, profile.name]) });
    expect(made).toEqual([[0, [], 'linux-6.1']]);
  });

  it('has no groups without an IOMMU', () => {
    const report = examine(machineOfText(GPU), { ...VTD, iommu: 'none' });
    expect([report.groups, report.ungrouped]).toEqual([[], ['0000:00:03.0', '0000:00:03.1']]);
    expect(reportLines(report)[0]).toBe('No IOMMU: no groups, and VFIO takes no device (EINVAL at bind)');
  });
});
