import { describe, expect, it } from 'vitest';
import { ROOT, express, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';
import { BEST_COMMAND, type InputReport } from './report.ts';

const input = (text: string): InputReport => examine(readPaste(text)).input;
const NAMED = fn('00:1c.0 PCI bridge [0604]: Intel [8086:a338]', 'Bus: primary=00, secondary=01, subordinate=01, sec-latency=0', express('Root Port (Slot+)'), 'Capabilities: [140] Access Control Services');
const LISTED = fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]') + fn('00:1f.3 Audio device [0403]: Intel [8086:02c8]');

describe('the quality of a text', () => {
  it.each([
    ['registers', ROOT + port('00:1c.0', '01') + nic('01:00.0')],
    ['groups', nic('01:00.0', 'IOMMU group: 3')],
    ['names', ROOT + NAMED + nic('01:00.0')],
    ['partial', ROOT + port('00:1c.0', '01') + LISTED],
    ['partial', `${LISTED}${fn('00:02.0 VGA compatible controller [0300]: Intel [8086:1912]', 'IOMMU group: 0')}`],
    ['list', LISTED],
    ['nothing', 'hello\n'],
  ])('is %s', (quality, text) => {
    expect(input(text).quality).toBe(quality);
  });
});

describe('the sentence', () => {
  it('counts functions, and names the forms once each', () => {
    expect(input(nic('01:00.0', 'IOMMU group: 3')).sentence).toBe("1 function from lspci: the running kernel's groups are told");
  });

  it('counts the functions whose group cannot be told', () => {
    expect(input(LISTED).sentence).toBe('2 functions from lspci: no capabilities, on which isolation depends; of 2 of them the group cannot be told');
  });
});

describe('the command that would tell more', () => {
  it('is there where something is open', () => {
    expect(input(LISTED).command).toBe(BEST_COMMAND);
  });

  it('is not where nothing is', () => {
    expect(input(ROOT + port('00:1c.0', '01') + nic('01:00.0')).command).toBeUndefined();
  });

  it('is there where there is nothing', () => {
    expect(input('hello\n').command).toBe(BEST_COMMAND);
  });
});
