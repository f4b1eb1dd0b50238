/** What a device tree costs is bounded by its length, whatever refers to what. Bounds are generous: what they catch takes minutes, or gigabytes. */
import { describe, expect, it } from 'vitest';
import { staysBounded } from '../../../testing/cost.ts';
import { describeDevices, FdtError, parseFdt } from '../src/index.ts';
import { Blob } from './blob.ts';

const N = 4000;
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe('a device tree', () => {
  it('with properties whose names are the ends of a long one is refused [R13]', () => {
    const blob = new Blob().begin('');
    const name = blob.offset('x'.repeat(12 * N));
    for (const n of numbers(N)) blob.at(name + n, []);
    expect(() => parseFdt(blob.end().bytes)).toThrow(new FdtError('offset 48: a name longer than 255 bytes'));
  });

  it('has names of up to 255 bytes, of nodes and of properties [R13]', () => {
    const tree = parseFdt(new Blob().begin('').begin('n'.repeat(255)).text('p'.repeat(255), 'x').end().end().bytes);
    expect([tree.children[0]!.path.length, [...tree.children[0]!.properties.keys()][0]!.length]).toEqual([256, 255]);
    expect(() => parseFdt(new Blob().begin('').begin('n'.repeat(256)).end().end().bytes)).toThrow('offset 52: a name longer than 255 bytes');
  });

  const trees: Readonly<Record<string, () => Blob>> = {
    'as many children as fit, under the longest names': () => {
      const blob = new Blob().begin('');
      for (let depth = 0; depth < 60; depth += 1) blob.begin('n'.repeat(255)).text('compatible', 'simple-bus');
      for (let n = 0; n < 2 * N; n += 1) blob.begin('c').text('compatible', 'x').end();
      for (let depth = 0; depth < 60; depth += 1) blob.end();
      return blob.end();
    },
    'one property that every node asks for, long': () => {
      const blob = new Blob().begin('').cells('#address-cells', numbers(10 * N));
      for (let n = 0; n < N; n += 1) blob.begin('c').text('compatible', 'x').cells('reg', [0, 0]).end();
      return blob.end();
    },
  };
  for (const [name, tree] of Object.entries(trees)) {
    it(`${name}: takes no time [R13]`, () => {
      const blob = tree().bytes;
      expect(staysBounded(() => describeDevices(parseFdt(blob)))).toBe(true);
    });
  }

  it('whose addresses go through more ranges than it has bytes is refused [R13]', () => {
    const entries = numbers(N).flatMap((n) => [2 * n, 0, 1]);
    const blob = new Blob().begin('').cells('#address-cells', [1]).cells('#size-cells', [1])
      .begin('bus').text('compatible', 'simple-bus').cells('#address-cells', [1]).cells('#size-cells', [1]).cells('ranges', entries)
      .begin('device').text('compatible', 'x').cells('reg', numbers(N).flatMap(() => [2 * N, 1])).end().end().end();
    expect(() => describeDevices(parseFdt(blob.bytes))).toThrow('/bus: references that take more than 4000000 steps to follow');
  });

  it('whose interrupts go through more of a map than it has bytes is refused [R13]', () => {
    const blob = new Blob().begin('').cells('#address-cells', [0])
      .begin('gic').cells('phandle', [1]).cells('#interrupt-cells', [1]).cells('#address-cells', [0]).cells('interrupt-controller', []).end()
      .begin('nexus').cells('phandle', [2]).cells('#interrupt-cells', [1]).cells('#address-cells', [0]).cells('interrupt-map', numbers(N).flatMap((n) => [n, 1, 0])).end()
      .begin('device').text('compatible', 'x').cells('interrupt-parent', [2]).cells('interrupts', numbers(N).map(() => N - 1)).end().end();
    // The map's end is a controller that is no GIC: the list would end there, so that the map is met once. With three cells it is one.
    expect(describeDevices(parseFdt(blob.bytes))[0]!.interrupts).toEqual([]);
    const gic = new Blob().begin('').cells('#address-cells', [0])
      .begin('gic').cells('phandle', [1]).cells('#interrupt-cells', [3]).cells('#address-cells', [0]).cells('interrupt-controller', []).end()
      .begin('nexus').cells('phandle', [2]).cells('#interrupt-cells', [1]).cells('#address-cells', [0]).cells('interrupt-map', numbers(N).flatMap((n) => [n, 1, 0, n, 4])).end()
      .begin('device').text('compatible', 'x').cells('interrupt-parent', [2]).cells('interrupts', numbers(N).map(() => N - 1)).end().end();
    expect(() => describeDevices(parseFdt(gic.bytes))).toThrow('/nexus: references that take more than 4000000 steps to follow');
  });
});
