/** Bytes of a saved state: words of 32 bits, little-endian, and runs of bytes. */

/** Writes a record. @internal */
export class StateWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  /** A word. @param value 32 bits */
  word(value: number): void {
    const at = this.#grow(4);
    new DataView(this.#bytes.buffer).setUint32(at, value, true);
  }

  /** A count, as two words. @param value below 2^53 */
  count(value: number): void {
    this.word(value % 2 ** 32);
    this.word(Math.floor(value / 2 ** 32));
  }

  /** Words, without their number. */
  words(values: Iterable<number>): void {
    for (const value of values) this.word(value);
  }

  /** Bytes, without their number. */
  run(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** What was written. */
  get record(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}

/** Reads a record that may be anything: behind the end there are zeros, and it is not `whole`. @internal */
export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #beyond = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether all that was asked for was there, and nothing is left. */
  get whole(): boolean {
    return !this.#beyond && this.#at === this.#bytes.length;
  }

  /** Whether something was asked for that is not there. */
  get beyond(): boolean {
    return this.#beyond;
  }

  /** A word of 32 bits. */
  word(): number {
    const at = this.#take(4);
    return at === undefined ? 0 : this.#view.getUint32(at, true);
  }

  /** A count of two words; NaN where it is not below 2^53. */
  count(): number {
    const lo = this.word();
    const hi = this.word();
    return hi < 2 ** 21 ? hi * 2 ** 32 + lo : Number.NaN;
  }

  /** Bytes of the record. @param length how many */
  run(length: number): Uint8Array {
    const at = this.#take(length);
    return at === undefined ? new Uint8Array(length) : this.#bytes.slice(at, at + length);
  }

  #take(length: number): number | undefined {
    if (this.#bytes.length - this.#at < length) {
      this.#beyond = true;
      return undefined;
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
