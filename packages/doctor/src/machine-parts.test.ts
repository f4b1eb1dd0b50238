import { describe, expect, it } from 'vitest';
import { CONVENTIONAL, ROOT, card, fn, nic, port } from '../test/texts.ts';
import { machineOfPaste } from './examine.ts';
import { partsOf } from './machine-parts.ts';
import { readPaste } from './read/read-paste.ts';

/** Addresses of each part, in order. */
function parts(text: string, groups: readonly (readonly string[])[] = []): readonly string[] {
  const found = partsOf(machineOfPaste(readPaste(text)), groups);
  return [...new Set(found.values())].map(({ devices }) => devices.map(({ facts }) => facts.address.replace(/^0000:/, '')).join(' '));
}

describe('partsOf', () => {
  it('keeps together what is below one port', () => {
    expect(parts(ROOT + port('00:1c.0', '01') + card('01'))).toEqual(['00:00.0', '00:1c.0 01:00.0 01:00.1']);
  });

  it('keeps together what is in one slot', () => {
    expect(parts(['00:03.0', '00:03.1', '00:04.0'].map((address) => fn(`${address} Ethernet controller [0200]: Intel [8086:100e]`, CONVENTIONAL)).join(''))).toEqual(['00:03.0 00:03.1', '00:04.0']);
  });

  it('parts what is below two ports', () => {
    expect(parts(port('00:1c.0', '01') + nic('01:00.0') + port('00:1d.0', '02') + nic('02:00.0'))).toEqual(['00:1c.0 01:00.0', '00:1d.0 02:00.0']);
  });

  it('joins what is one group', () => {
    expect(parts(port('00:1c.0', '01') + nic('01:00.0') + port('00:1d.0', '02') + nic('02:00.0'), [['0000:01:00.0', '0000:02:00.0']])).toEqual(['00:1c.0 00:1d.0 01:00.0 02:00.0']);
  });

  it('keeps a VMD with what is below it', () => {
    expect(parts(fn('0000:00:0e.0 RAID bus controller [0104]: Intel [8086:467f]', CONVENTIONAL) + fn('10000:e1:00.0 Non-Volatile memory controller [0108]: Sandisk [15b7:5017]', CONVENTIONAL))).toEqual(['00:0e.0 10000:e1:00.0']);
  });
});
