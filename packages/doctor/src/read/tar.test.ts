import { describe, expect, it } from 'vitest';
import { tarEntries } from './tar.ts';

const text = new TextDecoder();

/** One entry of an archive. */
function entry(name: string, type: string, content = '', link = '', size = content.length): Uint8Array {
  const header = new Uint8Array(512);
  const put = (at: number, value: string): void => header.set(new TextEncoder().encode(value), at);
  put(0, name);
  put(124, `${size.toString(8).padStart(11, '0')}\0`);
  put(156, type);
  put(157, link);
  put(257, 'ustar\x0000');
  put(148, '        ');
  put(148, `${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `);
  const body = new Uint8Array(Math.ceil(content.length / 512) * 512);
  body.set(new TextEncoder().encode(content));
  return joined([header, body]);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}

function listed(archive: Uint8Array): readonly string[] {
  return tarEntries(archive).map(([path, content]) => (content instanceof Uint8Array ? `${path} = ${text.decode(content)}` : `${path} -> ${content.link}`));
}

const pax = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const length = rest.length + String(rest.length + 2).length;
  return `${length}${rest}`;
};

describe('an archive', () => {
  it('has files, links and folders', () => {
    expect(listed(joined([entry('a/', '5'), entry('a/file', '0', 'hello'), entry('a/link', '2', '', '../b'), entry('a/hard', '1', '', 'a/file'), new Uint8Array(1024)]))).toEqual(['a/ = ', 'a/file = hello', 'a/link -> ../b', 'a/hard = hello']);
  });

  it('may have names longer than their field, as GNU and pax write them', () => {
    const long = `${'d/'.repeat(80)}name`;
    expect(listed(joined([entry('././@LongLink', 'L', `${long}\0`), entry('short', '0', 'x'), entry('next', '0', 'y')]))).toEqual([`${long} = x`, 'next = y']);
    expect(listed(joined([entry('././@LongLink', 'K', `${long}\0`), entry('short', '2', '', 'cut')]))).toEqual([`short -> ${long}`]);
    expect(listed(joined([entry('PaxHeader', 'x', pax('path', long) + pax('linkpath', 'there')), entry('short', '2', '', 'cut')]))).toEqual([`${long} -> there`]);
  });

  it('ends where it is damaged, cut, or none', () => {
    const good = entry('a', '0', 'hello');
    expect(listed(joined([good, new Uint8Array(512).fill(65)]))).toEqual(['a = hello']);
    expect(listed(joined([good, good]).subarray(0, 700))).toEqual(['a = hello']);
    expect(listed(entry('a', '0', 'hello', '', 100000).subarray(0, 520))).toEqual(['a = hello\0\0\0']);
    expect([listed(new Uint8Array(0)), listed(new Uint8Array(4096)), listed(new TextEncoder().encode('x'.repeat(5000)))]).toEqual([[], [], []]);
  });
});
