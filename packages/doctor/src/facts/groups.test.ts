import { describe, expect, it } from 'vitest';
import { CONVENTIONAL, OTHER, ROOT, card, express, fn, nic, port } from '../../test/texts.ts';
import { readPaste } from '../read/read-paste.ts';
import { groupRules } from './group-rules.ts';
import { groupsOf, type GroupKnowledge } from './groups.ts';
import { knowledgeOf } from './know.ts';

function groups(text: string, iommu: 'vt-d' | 'amd' = 'vt-d'): GroupKnowledge {
  const paste = readPaste(text);
  return groupsOf(knowledgeOf(paste), groupRules(iommu, paste.machine, undefined));
}

const short = (address: string): string => address.replace(/^0000:/, '');
const sure = (text: string): readonly string[] => groups(text).sure.map(({ devices, standing, number }) => `${standing}${number === undefined ? '' : ` ${number}`}: ${devices.map(short).join(' ')}`);
const open = (text: string): readonly string[] => groups(text).open.map(({ device, surely, perhaps, perhapsNone }) => `${short(device)}: ${surely.map(short).join(' ')} | ${perhaps.map(short).join(' ')}${perhapsNone ? ' or none' : ''}`);

describe('a group that the text is sure of', () => {
  it('is computed where all is known', () => {
    expect(sure(ROOT + port('00:1c.0', '01') + card('01'))).toContain('derived: 01:00.0 01:00.1');
  });

  it('is told where the running kernel says so, whatever the registers say', () => {
    expect(sure(ROOT + port('00:1c.0', '01') + nic('01:00.0', 'IOMMU group: 9'))).toContain('told 9: 01:00.0');
  });

  it('is so although the bits of its port are not shown, where both ways are the same', () => {
    expect(sure(ROOT + fn('00:1f.3 Audio device [0403]: Intel [8086:02c8]', express('Root Complex Integrated Endpoint')))).toContain('derived: 00:1f.3');
  });

  it('is in the order of first functions', () => {
    expect(groups(ROOT + port('00:1c.0', '01') + nic('01:00.0', 'IOMMU group: 1')).sure.map(({ devices }) => devices[0])).toEqual(['0000:00:00.0', '0000:00:1c.0', '0000:01:00.0']);
  });
});

describe('a group that the text leaves open', () => {
  const listed = fn('00:1c.0 PCI bridge [0604]: Intel [8086:a338]', 'Bus: primary=00, secondary=01, subordinate=01, sec-latency=0') + nic('01:00.0');

  it('has who is in it surely, and who perhaps', () => {
    expect(open(ROOT + listed)).toEqual(['00:1c.0: 00:1c.0 | 00:1c.0 01:00.0', '01:00.0: 01:00.0 | 00:1c.0 01:00.0']);
  });

  it('has two surely together where no way parts them', () => {
    const two = fn('01:01.0 Ethernet controller [0200]: Intel [8086:100e]', CONVENTIONAL) + fn('01:01.1 Ethernet controller [0200]: Intel [8086:100e]', CONVENTIONAL);
    const bridge = fn('00:1e.0 PCI bridge [0604]: Intel [8086:244e]', 'Bus: primary=00, secondary=01, subordinate=01, sec-latency=0');
    expect(open(ROOT + bridge + two)).toContain('01:01.0: 01:01.0 01:01.1 | 00:1e.0 01:01.0 01:01.1');
  });

  it('may be none, where an IOMMU may be left out beside', () => {
    expect(groups(fn('00:00.0 Host bridge [0600]: AMD [1022:1480]', CONVENTIONAL), 'amd').open.map(({ perhapsNone }) => perhapsNone)).toEqual([true]);
  });

  it('lacks the facts of the function and of those with which it may be', () => {
    expect(groups(ROOT + listed).open.find(({ device }) => device === '0000:01:00.0')?.lacks.map(({ address, what }) => `${short(address ?? '')} ${what}`)).toContain('00:1c.0 its ACS capability');
  });

  it('lacks the bridge above where none is shown', () => {
    expect(groups(nic('01:00.0') + ROOT).open.flatMap(({ lacks }) => lacks.map(({ what }) => what))).toContain('the bridge above bus 01');
  });

  it('is of a function that may be with one whose group is told', () => {
    const text = ROOT + port('00:1c.0', '01', [OTHER]) + nic('01:00.0', OTHER).replace('Endpoint, MSI 00', 'Endpoint, MSI 00\n\tIOMMU group: 4');
    expect(groups(text).open.find(({ device }) => device === '0000:00:1c.0')?.lacks.map(({ what }) => what)).toContain('whether the listing of its group is whole');
  });
});

describe('groupRules', () => {
  const GPU = fn('00:02.0 VGA compatible controller [0300]: Intel [8086:1912]', CONVENTIONAL);
  const uncovered = (words: string): readonly string[] => groups(`${ROOT}${GPU}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro ${words}\n`).uncovered.map(({ device }) => short(device));

  it.each(['intel_iommu=on,igfx_off', 'intel_iommu=igfx_off'])('leave out the graphics with %s', (words) => {
    expect(uncovered(words)).toEqual(['00:02.0']);
  });

  it('do not go by a part of a word', () => {
    expect(uncovered('intel_iommu=on,my_igfx_off')).toEqual([]);
  });

  it('leave out the graphics where the kernel says so', () => {
    expect(groups(`${ROOT}${GPU}[    0.500000] pci 0000:00:00.0: DMAR: Disabling IOMMU for graphics on this chipset\n`).uncovered.map(({ device }) => short(device))).toEqual(['00:02.0']);
  });

  it('leave in a graphics card, of Intel as of others', () => {
    const arc = fn('02:00.0 VGA compatible controller [0300]: Intel [8086:56a0]', express('Endpoint'));
    expect(groups(`${ROOT}${port('00:1c.0', '01')}${card('01')}${port('00:1d.0', '02')}${arc}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro intel_iommu=igfx_off\n`).uncovered).toEqual([]);
  });
});

describe('what a text lacks', () => {
  it('are the bits of an ACS capability that is named, where nobody knows whether they are on', () => {
    const named = fn('00:1c.0 PCI bridge [0604]: Red Hat, Inc. [1b36:000c]', 'Bus: primary=00, secondary=01, subordinate=01', express('Root Port'), 'Capabilities: [148] Access Control Services');
    expect(groups(named + nic('01:00.0')).open.map(({ device, lacks }) => `${short(device)}: ${lacks.map(({ address, what }) => `${short(address ?? '')} ${what}`).join()}`)).toEqual([
      '00:1c.0: 00:1c.0 the bits of its ACS capability',
      '01:00.0: 00:1c.0 the bits of its ACS capability',
    ]);
  });
});
