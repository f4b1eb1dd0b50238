/** A compiler of device tree source for tests: what the reader of text makes of it, as a blob. Devicetree Specification 0.4, chapter 5. */
import type { FdtNode } from '@vsim/vfio-core';
import { parseDts } from '../src/dpl/dts-text.ts';

export function compile(text: string): Uint8Array {
  const words: number[] = [];
  const strings: number[] = [];
  const bytes = (list: Iterable<number>): void => {
    words.push(...list);
    while (words.length % 4 !== 0) words.push(0);
  };
  const word = (value: number): void => { words.push(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff); };
  const write = (node: FdtNode): void => {
    word(1);
    bytes([...new TextEncoder().encode(node.name), 0]);
    for (const [name, value] of node.properties) {
      word(3);
      word(value.length);
      word(strings.length);
      strings.push(...new TextEncoder().encode(name), 0);
      bytes(value);
    }
    for (const child of node.children) write(child);
    word(2);
  };
  write(parseDts(text).root);
  word(9);
  const out = new Uint8Array(40 + words.length + strings.length);
  const header = [0xd00d_feed, out.length, 40, 40 + words.length, 40, 17, 16, 0, strings.length, words.length];
  for (const [i, value] of header.entries()) new DataView(out.buffer).setUint32(4 * i, value);
  out.set(words, 40);
  out.set(strings, 40 + words.length);
  return out;
}
