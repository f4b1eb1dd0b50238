const PIECE = 4096;

/** Where a command's data lie on their way. Its views are made once and used again, so that a command makes none. @internal */
export class TransferBuffer {
  readonly bytes: Uint8Array;
  readonly #pieces: (Uint8Array | undefined)[];
  readonly #starts: (Uint8Array | undefined)[];
  readonly #unit: number;

  /** @param size bytes, a multiple of 4096 @param unit bytes, of which most lengths are multiples */
  constructor(size: number, unit: number) {
    this.#unit = unit;
    this.bytes = new Uint8Array(size);
    this.#pieces = new Array<Uint8Array | undefined>(size / PIECE).fill(undefined);
    this.#starts = new Array<Uint8Array | undefined>(size / unit + 1).fill(undefined);
  }

  /** A part of it. @param at bytes @param length bytes */
  part(at: number, length: number): Uint8Array {
    if (at === 0) return this.start(length);
    if (length !== PIECE || at % PIECE !== 0) return this.bytes.subarray(at, at + length);
    return (this.#pieces[at / PIECE] ??= this.bytes.subarray(at, at + length));
  }

  /** Its first bytes. @param length bytes */
  start(length: number): Uint8Array {
    if (length % this.#unit !== 0) return this.bytes.subarray(0, length);
    return (this.#starts[length / this.#unit] ??= this.bytes.subarray(0, length));
  }
}
