import { describe, expect, it } from 'vitest';
import { ACS_ON, OTHER, ROOT, card, fn, nic, nvme, port } from '../../test/texts.ts';
import { examine, type DoctorOptions } from '../examine.ts';
import { readPaste } from '../read/read-paste.ts';
import { answerLines } from './answer.ts';

function first(text: string, address: string, options?: DoctorOptions): string | undefined {
  return answerLines(examine(readPaste(text), options), address)[0];
}

const gpu = (...drivers: readonly [string?, string?]): string => ROOT + port('00:1c.0', '01') + card('01', ...drivers);
/** Two cards below a switch that does not isolate. */
const shared = (disk: string): string => ROOT + port('00:1c.0', '01', [OTHER]).replace('subordinate=01', 'subordinate=01') + nic('01:00.0', ...ACS_ON) + disk;

describe('the first line of an answer', () => {
  it('says that a function can be given alone', () => {
    expect(first(ROOT + port('00:1c.0', '01') + nic('01:00.0'), '01:00.0')).toBe('01:00.0 can be given to a VM, alone.');
  });

  it.each([[['nouveau', 'snd_hda_intel']], [['vfio-pci', 'snd_hda_intel']], [['vfio-pci', undefined]]] as const)('asks for binding where another has a driver of the host, or may have one: %j', ([a, b]) => {
    expect(first(gpu(a, b).replace(/HDA.*\n/, (line) => line), '01:00.0')).toBe(b === undefined ? '01:00.0 can be given to a VM, with 01:00.1: they are one IOMMU group.' : '01:00.0 can be given to a VM, with 01:00.1, once both are bound to vfio-pci: they are one IOMMU group.');
  });

  it('asks for none where all others are bound', () => {
    expect(first(gpu('nouveau', 'vfio-pci'), '01:00.0')).toBe('01:00.0 can be given to a VM, with 01:00.1: they are one IOMMU group.');
  });

  it('begins with the disk that would come along', () => {
    expect(first(shared(nvme('01:00.1', 'Kernel driver in use: nvme')).replace(/\tCapabilities: \[140.*\n.*\n.*\n/, ''), '01:00.0')).toBe('01:00.0 cannot be given to a VM without the disk 01:00.1: they are one IOMMU group. If the host runs from it, 01:00.0 cannot be given at all.');
  });

  it('does not mind a disk that is bound to vfio-pci', () => {
    expect(first(shared(nvme('01:00.1', 'Kernel driver in use: vfio-pci')).replace(/\tCapabilities: \[140.*\n.*\n.*\n/, ''), '01:00.0')).toBe('01:00.0 can be given to a VM, with 01:00.1: they are one IOMMU group.');
  });

  it('bounds an open group', () => {
    const text = ROOT + fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]') + fn('00:1f.3 Audio device [0403]: Intel [8086:02c8]');
    expect(first(text, '00:1f.3')).toBe('00:1f.3 can be given to a VM, at most with 00:1f.0, once both are bound to vfio-pci: which of them share its IOMMU group cannot be told.');
  });

  it('tells what passes from what stays', () => {
    expect(first(gpu(), '01:00.0', { interruptRemapping: false })).toMatch(/^01:00\.0 cannot be given to a VM now: VFIO answers EPERM/);
    expect(first(gpu(), '00:1c.0')).toMatch(/^00:1c\.0 cannot be given to a VM: it is a bridge/);
  });

  it('leaves to Xen what is of Xen', () => {
    expect(first(gpu('pciback'), '01:00.0')).toMatch(/^01:00\.0 can be given to a VM by Xen, not by VFIO: it is bound to pciback: .* Attach it by Xen's tools/);
  });

  it('says what is missing', () => {
    expect(first(ROOT + fn('00:1f.3 Audio device [0403]: Intel [8086:02c8]'), '00:1f.3')).toMatch(/^Whether 00:1f\.3 can be given to a VM cannot be told: the text lacks /);
  });
});
