/** What a device tree costs is bounded by its length, whatever refers to what. Bounds are generous: what they catch takes minutes, or gigabytes. */
import { describe, expect, it } from 'vitest';
import { describeDevices, FdtError, parseFdt } from '../src/index.ts';

/** Writes blobs: nodes, and properties whose names lie where one says in the strings. */
class Blob {
  readonly #structure: number[] = [];
  readonly #strings: number[] = [];
  readonly #names = new Map<string, number>();

  begin(name: string): this {
    this.#word(1);
    this.#structure.push(...new TextEncoder().encode(name), 0);
    return this.#pad();
  }

  end(): this {
    return this.#word(2);
  }

  cells(name: string, cells: readonly number[]): this {
    return this.at(this.offset(name), cells.flatMap((cell) => [cell >>> 24, (cell >>> 16) & 255, (cell >>> 8) & 255, cell & 255]));
  }

  text(name: string, text: string): this {
    return this.at(this.offset(name), [...new TextEncoder().encode(text), 0]);
  }

  at(offset: number, bytes: readonly number[]): this {
    this.#word(3).#word(bytes.length).#word(offset);
    for (const byte of bytes) this.#structure.push(byte);
    return this.#pad();
  }

  offset(name: string): number {
    const known = this.#names.get(name) ?? this.#strings.length;
    if (known === this.#strings.length) for (const byte of [...new TextEncoder().encode(name), 0]) this.#strings.push(byte);
    this.#names.set(name, known);
    return known;
  }

  get bytes(): Uint8Array {
    this.#word(9);
    const total = 40 + this.#structure.length + this.#strings.length;
    const out = new Uint8Array(total);
    const view = new DataView(out.buffer);
    [0xd00d_feed, total, 40, 40 + this.#structure.length, 40, 17, 16, 0, this.#strings.length, this.#structure.length].forEach((word, i) => {
      view.setUint32(4 * i, word);
    });
    out.set(this.#structure, 40);
    out.set(this.#strings, 40 + this.#structure.length);
    return out;
  }

  #word(word: number): this {
    this.#structure.push(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
    return this;
  }

  #pad(): this {
    while (this.#structure.length % 4 !== 0) this.#structure.push(0);
    return this;
  }
}

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
      const before = performance.now();
      describeDevices(parseFdt(blob));
      expect(performance.now() - before).toBeLessThan(2500);
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
