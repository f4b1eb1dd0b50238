import { describe, expect, it } from 'vitest';
import { OTHER, ROOT, express, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';

const quirked = (address: string, bus: string): string => fn(`${address} PCI bridge [0604]: Intel Corporation Port [8086:8d10]`, `Bus: primary=00, secondary=${bus}, subordinate=${bus}, sec-latency=0`, express('Root Port (Slot+)'), OTHER);

describe('otherKernelsOf', () => {
  it('names the kernels that overlook a quirk, once for all functions that have it', () => {
    const { otherKernels } = examine(readPaste(ROOT + quirked('00:1c.0', '01') + quirked('00:1d.0', '02')));
    expect(otherKernels.map(({ versions, devices }) => [versions, ...devices])).toEqual([['5.9 to 5.9.8', '0000:00:1c.0', '0000:00:1d.0']]);
  });

  it('names none for a port that says itself that it isolates', () => {
    expect(examine(readPaste(ROOT + port('00:1c.0', '01') + nic('01:00.0'))).otherKernels).toEqual([]);
  });

  it('names none for a quirk that all updated kernels have', () => {
    const dual = [0, 1].map((each) => fn(`01:00.${each} Ethernet controller [0200]: Intel Corporation I350 [8086:1521]`, express('Endpoint'), OTHER)).join('');
    expect(examine(readPaste(ROOT + port('00:1c.0', '01') + dual)).otherKernels).toEqual([]);
  });

  it('names none for a quirk that came later, and is in the updates of all kernels before', () => {
    const dual = [0, 1].map((each) => fn(`01:00.${each} Ethernet controller [0200]: Broadcom [14e4:1760]`, express('Endpoint'), OTHER)).join('');
    expect(examine(readPaste(ROOT + port('00:1c.0', '01') + dual)).otherKernels).toEqual([]);
  });

  it('does not name the kernel that groups for what it overlooks itself', () => {
    expect(examine(readPaste(ROOT + quirked('00:1c.0', '01')), { kernel: { major: 5, minor: 9, patch: 8 } }).otherKernels).toEqual([]);
  });
});
