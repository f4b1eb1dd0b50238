import { describe, expect, it } from 'vitest';
import { ROOT, card, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';

/** What the rest of a text says about its first error. */
const here = (text: string): readonly string[] => examine(readPaste(text)).errors[0]?.here ?? [];
const MACHINE = ROOT + port('00:1c.0', '01') + card('01', 'vfio-pci', 'snd_hda_intel');
const log = (line: string): string => `[   10.500000] ${line}\n`;
const BAR = log("vfio-pci 0000:01:00.0: BAR 0: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]");

describe('what a text says about an error', () => {
  it('names the members of the group with their drivers, and no bridge', () => {
    expect(here(`${ROOT}${port('00:1c.0', '01', ['Capabilities: [100 v1] Virtual Channel'])}${card('01', 'vfio-pci', 'snd_hda_intel')}vfio 0000:01:00.0: group 1 is not viable\n`)).toEqual(['the group has 0000:01:00.0 (vfio-pci), 0000:01:00.1 (snd_hda_intel)']);
  });

  it('finds a group by its number', () => {
    expect(here(`${nic('01:00.0', 'IOMMU group: 14')}${fn('02:00.0 Audio device [0403]: Intel [8086:02c8]', 'IOMMU group: 15')}VFIO group 14 is not viable\n`)).toEqual(['group 14 has 0000:01:00.0 (driver not told)']);
  });

  it('tells how a function can be reset, and what goes along', () => {
    const text = MACHINE.replaceAll('MSI 00\n', 'MSI 00\n\t\tDevCap: MaxPayload 256 bytes, PhantFunc 0 FLReset-\n');
    expect(here(`${text}vfio: Cannot reset device 0000:01:00.0, no available reset mechanism.\n`)).toContain('a hot reset of 0000:01:00.0 takes 0000:01:00.1 along');
  });

  it('tells who has addresses inside of a BAR, each once', () => {
    expect(here(`${MACHINE}${BAR}e0000000-efffffff : 0000:01:00.0\n  e0000000-e07fffff : BOOTFB\n    e0000000-e07fffff : simpledrm\n  e0800000-e08fffff : BOOTFB\nf0000000-f00fffff : 0000:02:00.0\n  f0000000-f00000ff : ahci\n`)).toEqual(['/proc/iomem has BOOTFB, simpledrm inside of 0000:01:00.0']);
  });

  it('tells of no addresses where the owner is alone', () => {
    expect(here(`${MACHINE}${BAR}e0000000-efffffff : 0000:01:00.0\nf0000000-f00fffff : 0000:02:00.0\n`)).toEqual([]);
  });

  it('tells the command line where it matters', () => {
    expect(here(`${MACHINE}${BAR}$ cat /proc/cmdline\nBOOT_IMAGE=/vmlinuz root=/dev/sda1 ro video=efifb:off\n`)).toContain("the kernel's command line is: BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro video=efifb:off");
  });
});
