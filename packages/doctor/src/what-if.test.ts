import { describe, expect, it } from 'vitest';
import { CONVENTIONAL, OTHER, ROOT, card, express, fn, nic, port } from '../test/texts.ts';
import { examine } from './examine.ts';
import { readPaste } from './read/read-paste.ts';
import { isWhatIf, pasteIf, type WhatIf } from './what-if.ts';

const TEXT = ROOT + port('00:1c.0', '01', [OTHER]) + card('01') + port('00:1d.0', '02') + port('00:1e.0', '03') + nic('03:00.0');
const PF = `${ROOT}${port('00:1c.0', '01')}${fn('01:00.0 Ethernet controller [0200]: Intel Corporation 82576 [8086:10c9]', express('Endpoint'), 'Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)', 'IOVCtl: Enable- Migration-', 'Initial VFs: 8, Total VFs: 8, Number of VFs: 0, Function Dependency Link: 00', 'VF offset: 128, stride: 2, Device ID: 10ca')}`;
const addresses = (whatIf: WhatIf, text = TEXT): readonly string[] => pasteIf(readPaste(text), whatIf).devices.map(({ address }) => address);
const groups = (whatIf: WhatIf, text = TEXT): readonly string[] => examine(readPaste(text), { whatIf }).groups.map(({ devices }) => devices.join(' '));
const move = (device: string, below: string): WhatIf => ({ moves: [{ device: `0000:${device}`, below: `0000:${below}` }] });
const vfs = (device: string, count: number): WhatIf => ({ vfs: [{ device: `0000:${device}`, count }] });

describe('isWhatIf', () => {
  it.each([[{}, false], [{ iommuOn: false, moves: [], vfs: [], acsOverride: [] }, false], [{ iommuOn: true }, true], [vfs('01:00.0', 1), true]] as const)('%j: %s', (whatIf, is) => {
    expect(isWhatIf(whatIf)).toBe(is);
  });
});

describe('pasteIf', () => {
  it('leaves a paste as it is where nothing is asked', () => {
    const paste = readPaste(TEXT);
    expect(pasteIf(paste, {})).toBe(paste);
  });

  it('forgets told groups', () => {
    expect(pasteIf(readPaste(TEXT.replaceAll('MSI 00', 'MSI 00\n\tIOMMU group: 1')), { iommuOn: true }).devices.flatMap((device) => device.groups)).toEqual([]);
  });

  it('moves all functions of a slot', () => {
    expect(addresses(move('01:00.0', '00:1d.0')).filter((address) => address.startsWith('0000:02'))).toEqual(['0000:02:00.0', '0000:02:00.1']);
  });

  it.each([
    ['a device that is not there', move('09:00.0', '00:1d.0'), 'there is no 0000:09:00.0 in the text'],
    ['a slot that is taken', move('01:00.0', '00:1e.0'), 'there is 0000:03:00.0 below 0000:00:1e.0 already: nothing else has room there'],
    ['a slot of no bridge', move('01:00.0', '03:00.0'), '0000:03:00.0 is no bridge whose bus the text tells'],
    ['a bridge', move('00:1c.0', '00:1d.0'), '0000:00:1c.0 is a bridge, or has one beside it: move what is below it'],
    ['VFs of a function without SR-IOV', vfs('03:00.0', 1), '0000:03:00.0 shows no SR-IOV capability with its VF offset and stride'],
  ])('refuses %s', (_, whatIf, why) => {
    expect(() => addresses(whatIf)).toThrow(new RangeError(why));
  });

  it.each([0, 9, 1.5])('refuses %d VFs of 8', (count) => {
    expect(() => addresses(vfs('01:00.0', count), PF)).toThrow(`can have 1 to 8 VFs, got ${count}`);
  });

  it('makes VFs at the places of the registers', () => {
    expect(addresses(vfs('01:00.0', 2), PF).slice(-2)).toEqual(['0000:01:10.0', '0000:01:10.2']);
  });

  it('makes as many as are asked for of those that there are', () => {
    const text = PF.replace('Enable-', 'Enable+').replace('Number of VFs: 0', 'Number of VFs: 2') + ['01:10.0', '01:10.2'].map((address) => fn(`${address} Ethernet controller [0200]: Intel Corporation 82576 Virtual Function [8086:10ca]`, express('Endpoint'))).join('');
    expect(addresses(vfs('01:00.0', 1), text).filter((address) => address.includes('01:10'))).toEqual(['0000:01:10.0']);
  });
});

describe('the groups that would be', () => {
  it('part functions of one device where the patch says so', () => {
    expect(groups({ acsOverride: ['downstream', 'multifunction'] })).toContain('0000:01:00.1');
  });

  it('keep functions of one device where the patch speaks of ports alone', () => {
    expect(groups({ acsOverride: ['downstream'] })).toContain('0000:01:00.0 0000:01:00.1');
  });

  it('keep what is below a port where the patch speaks of functions alone', () => {
    expect(groups({ acsOverride: ['multifunction'] })).toContain('0000:00:1c.0 0000:01:00.0 0000:01:00.1');
  });

  it('keep conventional functions together whatever the patch says', () => {
    const two = ['00:03.0', '00:03.1'].map((address) => fn(`${address} Ethernet controller [0200]: Intel [8086:100e]`, CONVENTIONAL)).join('');
    expect(groups({ acsOverride: ['downstream', 'multifunction'] }, ROOT + two)).toContain('0000:00:03.0 0000:00:03.1');
  });

  it('part a device from its old port', () => {
    expect(groups(move('01:00.0', '00:1d.0'))).toContain('0000:02:00.0 0000:02:00.1');
  });

  it('are a group for each VF', () => {
    expect(groups(vfs('01:00.0', 2), PF).slice(-2)).toEqual(['0000:01:10.0', '0000:01:10.2']);
  });
});
