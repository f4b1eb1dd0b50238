import { describe, expect, it } from 'vitest';
import { ROOT, card, express, fn, nic, port } from '../../test/texts.ts';
import { findErrors } from '../errors/index.ts';
import { examine, type DoctorOptions } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';
import { devicesOf } from './summary.ts';
import { expectedMessages, type ExpectedMessage } from './messages.ts';

function messages(text: string, address: string, options?: DoctorOptions): readonly ExpectedMessage[] {
  const report = examine(readPaste(text), options);
  const all = devicesOf(report);
  const verdict = report.verdicts.find(({ device }) => device === `0000:${address}`)!;
  const group = report.groups.find(({ devices }) => devices.includes(verdict.device));
  return expectedMessages(verdict, all.find((each) => each.address === verdict.device)!, all.filter((each) => verdict.with.includes(each.address)), group, report);
}

const GPU = ROOT + port('00:1c.0', '01') + card('01', 'vfio-pci', 'snd_hda_intel');
const PF = `${ROOT}${port('00:1c.0', '01')}${fn('01:00.0 Ethernet controller [0200]: Intel Corporation 82576 [8086:10c9]', express('Endpoint'), 'Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)', 'IOVCtl: Enable+ Migration-', 'Initial VFs: 8, Total VFs: 8, Number of VFs: 1, Function Dependency Link: 00', 'VF offset: 128, stride: 2, Device ID: 10ca')}${fn('01:10.0 Ethernet controller [0200]: Intel Corporation 82576 Virtual Function [8086:10ca]', express('Endpoint'))}`;
const CASES: readonly (readonly [error: string, text: string, address: string, options?: DoctorOptions])[] = [
  ['group-not-viable', GPU, '01:00.0'],
  ['no-interrupt-remapping', GPU, '01:00.0', { interruptRemapping: false }],
  ['no-group', `${GPU}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`, '01:00.0'],
  ['bind-fails-invalid', GPU, '00:1c.0'],
  ['registers-read-as-ones', `${ROOT}${port('00:1c.0', '01')}01:00.0 VGA compatible controller [0300]: NVIDIA [10de:1b81] (rev ff)\n\t!!! Unknown header type 7f\n`, '01:00.0'],
  ['pf-with-vfs', PF, '01:00.0'],
];

describe('the message to expect', () => {
  it.each(CASES.map((each) => [each[0], each] as const))('%s', (error, [, text, address, options]) => {
    expect(messages(text, address, options).map((each) => each.error)).toEqual([error]);
  });

  it.each(CASES.map((each) => [each[0], each] as const))('%s is known by its line', (error, [, text, address, options]) => {
    expect(messages(text, address, options).flatMap((each) => findErrors(each.text.replace('group N', 'group 1')).map((found) => found.error.id))).toContain(error);
  });

  it('has the number of the group where it is told', () => {
    const told = GPU.replaceAll(/(\tKernel driver)/g, '\tIOMMU group: 14\n$1');
    expect(messages(told, '01:00.0').map((each) => each.text)).toEqual(['vfio 0000:01:00.0: group 14 is not viable']);
  });

  it.each([['nobody else is in the group', ROOT + port('00:1c.0', '01') + nic('01:00.0')], ['all others are bound', ROOT + port('00:1c.0', '01') + card('01', 'nouveau', 'vfio-pci')]])('is none where %s', (_, text) => {
    expect(messages(text, '01:00.0')).toEqual([]);
  });
});
