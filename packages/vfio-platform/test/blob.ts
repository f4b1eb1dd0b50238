/** Writes flattened device trees. For tests only. */

/** Writes blobs: nodes, and properties whose names lie where one says in the strings. */
export class Blob {
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
