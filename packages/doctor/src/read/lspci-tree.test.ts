import { describe, expect, it } from 'vitest';
import { readPaste } from './read-paste.ts';

const TREE = `-[0000:00]-+-00.0
           +-01.1-[05-7a]----00.0-[06-7a]--+-00.0-[07]----00.0
           |                               +-01.0-[09-41]--
           |                               \\-04.0-[42-7a]----00.0
           +-1b.0-[02]--+-00.0
           |            \\-00.3
           \\-1f.5
`;

function edges(text: string): readonly string[] {
  return readPaste(text).devices.map(({ address, parent, secondaryBus }) => `${String(parent)} > ${address}${secondaryBus === undefined ? '' : ` > ${secondaryBus.toString(16)}`}`);
}

describe('lspci -t', () => {
  it('tells the bridge above each device, and the bus below each bridge', () => {
    expect(edges(TREE)).toEqual([
      'null > 0000:00:00.0',
      'null > 0000:00:01.1 > 5',
      'null > 0000:00:1b.0 > 2',
      'null > 0000:00:1f.5',
      '0000:00:1b.0 > 0000:02:00.0',
      '0000:00:1b.0 > 0000:02:00.3',
      '0000:00:01.1 > 0000:05:00.0 > 6',
      '0000:05:00.0 > 0000:06:00.0 > 7',
      '0000:05:00.0 > 0000:06:01.0 > 9',
      '0000:05:00.0 > 0000:06:04.0 > 42',
      '0000:06:00.0 > 0000:07:00.0',
      '0000:06:04.0 > 0000:42:00.0',
    ]);
    expect(readPaste(TREE).unread).toEqual([]);
  });

  it('is the same quoted, and with more indentation', () => {
    expect(edges(TREE.replaceAll(/^/gm, '> '))).toEqual(edges(TREE));
    expect(edges(TREE.replaceAll(/^/gm, '    '))).toEqual(edges(TREE));
  });

  it('knows roots of several domains, and none', () => {
    expect(edges('-+-[10000:e0]---06.0-[e1]----00.0\n \\-[0000:00]-+-00.0\n             \\-1c.0-[02]----00.0\n')).toEqual(['null > 0000:00:00.0', 'null > 0000:00:1c.0 > 2', '0000:00:1c.0 > 0000:02:00.0', 'null > 10000:e0:06.0 > e1', '10000:e0:06.0 > 10000:e1:00.0']);
    expect(edges('-[00]-+-00.0\n      \\-1c.0-[02]----00.0\n')).toEqual(['null > 0000:00:00.0', 'null > 0000:00:1c.0 > 2', '0000:00:1c.0 > 0000:02:00.0']);
  });

  it('gives names and ids with -v and -nn', () => {
    const { devices } = readPaste('-[0000:00]-+-00.0  Intel Corporation Host Bridge [8086:3ec2]\n           \\-01.0-[01]----00.0  NVIDIA Corporation GP104 [GeForce]\n');
    expect(devices.map(({ name, device }) => [name, device])).toEqual([['Intel Corporation Host Bridge', 0x3ec2], [undefined, undefined], ['NVIDIA Corporation GP104 [GeForce]', undefined]]);
  });

  it('says of lines whose blanks were lost that their place is', () => {
    const { unread, devices } = readPaste(TREE.replaceAll(/^ +/gm, ''));
    expect(devices.map(({ address }) => address)).toContain('0000:00:00.0');
    expect(unread.map(({ why }) => why)).toContain('its place in the tree is lost with the blanks before it');
  });
});
