import { describe, expect, it } from 'vitest';
import { CONVENTIONAL, OTHER, ROOT, card, express, fn, nic, port } from '../test/texts.ts';
import { examine, type DoctorOptions } from './examine.ts';
import { readPaste } from './read/read-paste.ts';
import type { Verdict } from './report.ts';

function verdictOf(text: string, address: string, options?: DoctorOptions): Verdict {
  return examine(readPaste(text), options).verdicts.find(({ device }) => device === `0000:${address}`)!;
}

/** Functions of one slot that show no capabilities: whether they share a group is open. */
const open = (...headings: readonly string[]): string => ROOT + headings.map((heading) => fn(heading, 'Kernel driver in use: vfio-pci')).join('');
const SOUND = '00:1f.3 Audio device [0403]: Intel [8086:02c8]';
const ISA = '00:1f.0 ISA bridge [0601]: Intel [8086:0284]';

describe('the verdict of a function whose group is sure', () => {
  const text = ROOT + port('00:1c.0', '01') + card('01');

  it('is with the endpoints of its group, and not with its bridge', () => {
    expect(verdictOf(ROOT + port('00:1c.0', '01', [OTHER]) + card('01'), '01:00.0')).toMatchObject({ kind: 'with', with: ['0000:01:00.1'] });
  });

  it('is no for a bridge, for good', () => {
    expect(verdictOf(text, '00:1c.0')).toMatchObject({ kind: 'no', forNow: false });
  });

  it('is no for a host bridge', () => {
    expect(verdictOf(text, '00:00.0')).toMatchObject({ kind: 'no', forNow: false });
  });

  it('without interrupt remapping is no for now, and names the call', () => {
    const verdict = verdictOf(text, '01:00.0', { interruptRemapping: false });
    expect(verdict).toMatchObject({ kind: 'no', forNow: true });
    expect(verdict.because).toContain('EPERM at VFIO_SET_IOMMU: no interrupt remapping');
  });

  it('without an IOMMU that is on is no for now, and tells how it would be', () => {
    const verdict = verdictOf(`${text}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`, '01:00.0');
    expect(verdict).toMatchObject({ kind: 'no', forNow: true, with: ['0000:01:00.1'], otherwise: 'with an IOMMU it could be given with 0000:01:00.1' });
  });

  it('that VFIO denies is no for good, without a driver for its reason', () => {
    const qat = fn('01:00.0 Co-processor [0b40]: Intel Corporation DH895XCC [8086:0435]', express('Endpoint'), 'Kernel driver in use: dh895xcc');
    expect(verdictOf(ROOT + port('00:1c.0', '01') + qat, '01:00.0')).toMatchObject({ kind: 'no', forNow: false, because: 'VFIO answers EINVAL at bind' });
  });

  it('is no where an error in the text names it, and stands in the way', () => {
    expect(verdictOf(`${text}[   10.500000] vfio-pci 0000:01:00.0: Refused to change power state, currently in D3\n`, '01:00.0')).toMatchObject({ kind: 'no', forNow: true });
  });

  it('below a VMD is no, and names the VMD', () => {
    const vmd = fn('0000:00:0e.0 RAID bus controller [0104]: Intel Corporation Volume Management Device NVMe RAID Controller [8086:467f]', express('Root Complex Integrated Endpoint'));
    const below = fn('10000:e1:00.0 Non-Volatile memory controller [0108]: Sandisk [15b7:5017]', CONVENTIONAL);
    const verdict = examine(readPaste(vmd + below)).verdicts.find(({ device }) => device === '10000:e1:00.0');
    expect(verdict).toMatchObject({ kind: 'no', otherwise: 'give 0000:00:0e.0 to the VM, or switch VMD off in the firmware' });
  });

  it('of a function that fell off is no for now', () => {
    expect(verdictOf(`${ROOT}${port('00:1c.0', '01')}01:00.0 VGA compatible controller [0300]: NVIDIA [10de:1b81] (rev ff)\n\t!!! Unknown header type 7f\n`, '01:00.0')).toMatchObject({ kind: 'no', forNow: true });
  });
});

describe('the verdict of a function whose group is open', () => {
  it('has those that may be in it at most', () => {
    expect(verdictOf(open(ISA, SOUND), '00:1f.3')).toMatchObject({ kind: 'with', with: ['0000:00:1f.0'], atMost: true });
  });

  it('cannot be told where a function that is not shown may be in it', () => {
    expect(verdictOf(open(SOUND), '00:1f.3')).toMatchObject({ kind: 'cannot-tell', atMost: false });
  });

  it('cannot be told where the group of one that may be in it is told', () => {
    expect(verdictOf(open(ISA, SOUND).replace(ISA, `${ISA}\n\tIOMMU group: 7`), '00:1f.3').kind).toBe('cannot-tell');
  });

  it('cannot be told where one that may be in it does not answer', () => {
    expect(verdictOf(open(`${ISA} (rev ff)`, SOUND), '00:1f.3').kind).toBe('cannot-tell');
  });

  it('without interrupt remapping is no all the same', () => {
    expect(verdictOf(open(ISA, SOUND), '00:1f.3', { interruptRemapping: false })).toMatchObject({ kind: 'no', forNow: true });
  });

  it('without an IOMMU that is on is no all the same', () => {
    expect(verdictOf(`${open(ISA, SOUND)}root@pve:~# ls /sys/kernel/iommu_groups\nroot@pve:~# \n`, '00:1f.3')).toMatchObject({ kind: 'no', forNow: true });
  });

  it('names three missing facts, and counts the rest', () => {
    expect(verdictOf(open('00:1f.1 IDE interface [0101]: Intel [8086:0285]', SOUND), '00:1f.3').because).toMatch(/^the text lacks a function .*, capabilities of 0000:00:1f\.1, ACS capability of 0000:00:1f\.1 and 2 more; sudo lspci/);
  });
});

describe('a device of Xen', () => {
  const xen = (...lines: readonly string[]): string => ROOT + fn('00:1f.6 Ethernet controller [0200]: Intel [8086:15bc]', ...lines, 'Kernel driver in use: pciback');

  it('is not for VFIO to give', () => {
    expect(verdictOf(xen(CONVENTIONAL), '00:1f.6')).toMatchObject({ kind: 'no', forNow: false });
  });

  it('takes no-strict-reset where it shows no reset', () => {
    expect(verdictOf(xen(CONVENTIONAL, 'Status: D0 NoSoftRst+ PME-Enable-'), '00:1f.6').otherwise).toContain('as it shows no reset');
  });

  it('may need it where the text does not tell', () => {
    expect(verdictOf(xen(), '00:1f.6').otherwise).toContain('where these miss a reset');
  });
});

it('a function below a good port is alone', () => {
  expect(verdictOf(ROOT + port('00:1c.0', '01') + nic('01:00.0'), '01:00.0')).toMatchObject({ kind: 'alone', with: [], atMost: false, forNow: false });
});
