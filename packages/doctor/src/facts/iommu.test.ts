import { describe, expect, it } from 'vitest';
import { ACS_OFF, CONVENTIONAL, ROOT, fn, nic, port } from '../../test/texts.ts';
import { readPaste } from '../read/read-paste.ts';
import { iommuOf, type IommuFinding } from './iommu.ts';
import { knowledgeOf } from './know.ts';

function found(text: string): IommuFinding {
  const paste = readPaste(text);
  return iommuOf(paste, knowledgeOf(paste));
}

const CARD = ROOT + port('00:1c.0', '01') + nic('01:00.0');
const AMD_HOST = fn('00:00.0 Host bridge [0600]: Advanced Micro Devices, Inc. [AMD] Root Complex [1022:1480]');
const log = (line: string): string => `${CARD}[    0.500000] ${line}\n`;
const cmdline = (words: string): string => `${CARD}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro ${words}\n`;

describe('whose IOMMU it is', () => {
  it.each([
    ['of Intel by the host bridge', ROOT, 'vt-d'],
    ['of AMD by the host bridge', AMD_HOST, 'amd'],
    ['of Arm by a function of Arm', fn('00:00.0 PCI bridge [0604]: ARM Device [13b5:0100]'), 'smmuv3'],
    ['of Intel by the chipset, in a part of a machine', fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]') + fn('00:1f.3 Audio device [0403]: Intel [8086:02c8]'), 'vt-d'],
    ['nobody knows of a card alone', nic('01:00.0'), undefined],
    ['nobody knows of another host bridge', fn('00:00.0 Host bridge [0600]: Vendor [1234:0001]') + fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]'), undefined],
  ])('%s', (_, text, maker) => {
    expect(found(text).maker).toBe(maker);
  });
});

describe('whether it is on', () => {
  it.each([
    ['nothing speaks for or against', CARD, 'cannot-tell'],
    ['a group is told', CARD.replace('Endpoint, MSI 00', 'Endpoint, MSI 00\n\tIOMMU group: 3'), 'on'],
    ['the log has an IOMMU', log('DMAR: IOMMU enabled'), 'on'],
    ['the log has none', log('AMD-Vi: AMD IOMMUv2 functionality not available on this system'), 'off'],
    ['the command line switches it off', cmdline('intel_iommu=off'), 'off'],
    ['a word of the command line only looks so', cmdline('my_intel_iommu=off2'), 'cannot-tell'],
    ['ACS was never switched on', ROOT + port('00:1c.0', '01', ACS_OFF), 'off'],
    ['AMD shows no function of it beside its host bridge', AMD_HOST, 'off'],
    ['AMD shows a function of it', AMD_HOST + fn('00:00.2 IOMMU [0806]: AMD [1022:1481]'), 'on'],
    ['AMD shows none in a part of a machine', fn('00:14.3 ISA bridge [0601]: AMD [1022:790e]', CONVENTIONAL), 'cannot-tell'],
  ])('%s: %s', (_, text, state) => {
    expect(found(text).state).toBe(state);
  });

  it('goes by what is seen now, not by what was logged', () => {
    expect(found(`${log('DMAR: IOMMU enabled')}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`).state).toBe('off');
  });

  it('has advice where it is not on, by its maker', () => {
    expect(found(AMD_HOST).advice.join()).toContain('AMD-Vi');
  });

  it('has none where it is on', () => {
    expect(found(log('DMAR: IOMMU enabled')).advice).toEqual([]);
  });
});

describe('whether it remaps interrupts', () => {
  it.each([
    ['DMAR-IR: Enabled IRQ remapping in x2apic mode', true],
    ['vfio_iommu_type1_attach_group: No interrupt remapping support.', false],
    ['DMAR: IOMMU enabled', undefined],
  ])('%s: %s', (line, remaps) => {
    expect(found(log(line)).remapsInterrupts).toBe(remaps);
  });

  it('not with intremap=off', () => {
    expect(found(cmdline('intremap=off')).remapsInterrupts).toBe(false);
  });
});
