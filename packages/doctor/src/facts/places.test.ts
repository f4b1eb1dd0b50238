import { describe, expect, it } from 'vitest';
import { CONVENTIONAL, ROOT, express, fn, nic, port } from '../../test/texts.ts';
import { readPaste } from '../read/read-paste.ts';
import { knowledgeOf } from './know.ts';
import { placesOf, type Places } from './places.ts';

const places = (text: string, ...virtual: readonly string[]): Places => placesOf(knowledgeOf(readPaste(text)), new Set(virtual));
const orphans = (text: string, ...virtual: readonly string[]): readonly string[] => places(text, ...virtual).orphans.map(({ bus, candidates, perhapsPci }) => `${bus.toString(16)} ${candidates.join(' ')}${perhapsPci ? ' PCI' : ''}`);
const bare = (address: string): string => fn(`${address} PCI bridge [0604]: Intel Corporation Port [8086:a338]`);

describe('a bus without a way to it', () => {
  it('is none that a bridge leads to', () => {
    expect(orphans(ROOT + port('00:1c.0', '01') + nic('01:00.0'))).toEqual([]);
  });

  it('has the bridges that may lead there as candidates', () => {
    expect(orphans(ROOT + bare('00:1c.0') + bare('00:1d.0') + nic('01:00.0'))).toEqual(['1 0000:00:1c.0 0000:00:1d.0']);
  });

  it('has no candidate among bridges that lead elsewhere, or are behind it', () => {
    expect(orphans(ROOT + port('00:1c.0', '03') + nic('02:00.0') + bare('04:00.0'))).toEqual(['2 ', '4 ']);
  });

  it('may be conventional where it has an endpoint at another device number', () => {
    expect(orphans(ROOT + bare('00:1e.0') + fn('01:02.0 Ethernet controller [0200]: Intel [8086:100e]', CONVENTIONAL))).toEqual(['1 0000:00:1e.0 PCI']);
  });

  it('is none of virtual functions alone', () => {
    expect(orphans(ROOT + nic('02:10.0'), '0000:02:10.0')).toEqual([]);
  });
});

describe('a root bus', () => {
  it.each([
    ['bus 0', ROOT, '00:00.0', true],
    ['one that a bridge leads to', ROOT + port('00:1c.0', '01') + nic('01:00.0'), '01:00.0', false],
    ['one with a host bridge as its first function', `${ROOT}${fn('80:00.0 Host bridge [0600]: AMD [1022:1480]')}`, '80:00.0', true],
    ['one with a host bridge elsewhere', `${ROOT}${fn('80:01.0 Host bridge [0600]: AMD [1022:1482]')}`, '80:01.0', false],
    ['one with an IOMMU', `${ROOT}${fn('80:00.2 IOMMU [0806]: AMD [1022:1481]')}`, '80:00.2', true],
    ['one with a root port', ROOT + port('80:01.0', '81'), '80:01.0', true],
    ['one with an integrated endpoint', ROOT + fn('80:04.0 System peripheral [0880]: Intel [8086:3c20]', express('Root Complex Integrated Endpoint')), '80:04.0', true],
    ["one with Intel's system peripherals at another device number", ROOT + fn('ff:0b.0 System peripheral [0880]: Intel [8086:3c20]'), 'ff:0b.0', true],
    ['one with a card alone', ROOT + nic('80:00.0'), '80:00.0', false],
    ["the first of a VMD's domain", fn('10000:e0:06.0 PCI bridge [0604]: Intel [8086:464d]'), '10000:e0:06.0', true],
  ])('%s: %s', (_, text, address, isRoot) => {
    expect(places(text).onRootBus(address.length > 7 ? address : `0000:${address}`)).toBe(isRoot);
  });
});
