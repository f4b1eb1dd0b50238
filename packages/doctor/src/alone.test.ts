import { describe, expect, it } from 'vitest';
import { ACS_OFF, CONVENTIONAL, OTHER, ROOT, express, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';

function reasonOf(text: string, address: string): string | undefined {
  return examine(readPaste(text)).groups.find(({ devices }) => devices.join() === `0000:${address}`)?.reason;
}

const quirked = (address: string): string => fn(`${address} PCI bridge [0604]: Intel Corporation Port [8086:8d10]`, 'Bus: primary=00, secondary=01, subordinate=01, sec-latency=0', express('Root Port (Slot+)'), OTHER);

describe('aloneWords', () => {
  it('names the port above that isolates', () => {
    expect(reasonOf(ROOT + port('00:1c.0', '01') + nic('01:00.0'), '01:00.0')).toBe('alone: 0000:00:1c.0 above it isolates (ACS)');
  });

  it('of a port on a root bus names its ACS', () => {
    expect(reasonOf(ROOT + port('00:1c.0', '01'), '00:1c.0')).toBe('alone: 0000:00:1c.0 isolates (ACS)');
  });

  it('of a lone function on a root bus names neither', () => {
    expect(reasonOf(ROOT + nic('00:19.0'), '00:19.0')).toBe('alone: on a root bus, and no function beside it that it could reach');
  });

  it('names the quirk of the port above', () => {
    expect(reasonOf(ROOT + quirked('00:1c.0') + nic('01:00.0'), '01:00.0')).toBe('alone: 0000:00:1c.0 isolates by a quirk of Linux: its maker says that the port isolates without ACS');
  });

  it('names the quirk of one of several functions, beside what is above it', () => {
    const dual = [0, 1].map((each) => fn(`01:00.${each} Ethernet controller [0200]: Intel Corporation I350 [8086:1521]`, express('Endpoint'), OTHER)).join('');
    expect(reasonOf(ROOT + port('00:1c.0', '01') + dual, '01:00.1')).toBe('alone: 0000:00:1c.0 above it isolates (ACS); 0000:01:00.1 isolates by a quirk of Linux: its maker says that it isolates without ACS');
  });

  it('leaves out a quirk that decides nothing: of a function without others in its slot', () => {
    expect(reasonOf(ROOT + port('00:1c.0', '01') + fn('01:00.0 Ethernet controller [0200]: Intel Corporation I350 [8086:1521]', express('Endpoint')), '01:00.0')).toBe('alone: 0000:00:1c.0 above it isolates (ACS)');
  });

  it('does not say that a port without ACS isolates', () => {
    const text = ROOT + port('00:01.0', '02') + port('00:1c.0', '01', ACS_OFF);
    expect(reasonOf(text, '00:1c.0')).toBe('alone: on a root bus, and no function beside it that it could reach');
  });

  it('does not ask who is conventional for a quirk of its port', () => {
    expect(reasonOf(ROOT + fn('00:1f.0 ISA bridge [0601]: Intel [8086:0284]', CONVENTIONAL), '00:1f.0')).toBe('alone: on a root bus, and no function beside it that it could reach');
  });
});
