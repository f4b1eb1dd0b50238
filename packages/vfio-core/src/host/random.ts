/** The host's only source of chance: a function of its seed. */

/** A generator of 32-bit numbers (the public-domain sfc32 construction), seeded by one 32-bit number. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed in [0, 2^32) @throws RangeError for a seed that is none */
  constructor(seed: number) {
    if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffff_ffff)) throw new RangeError(`"seed" expected a whole number in [0, 2^32), got ${seed}`);
    this.#a = seed >>> 0;
    this.#b = 0x9e37_79b9;
    this.#c = 0x243f_6a88;
    for (let i = 0; i < 12; i += 1) this.uint32();
  }

  /** A number of 32 random bits. */
  uint32(): number {
    const out = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + out) >>> 0;
    return out;
  }

  /** A number in [0, bound). `bound` is at most 2^32. */
  below(bound: number): number {
    return Math.floor((this.uint32() / 0x1_0000_0000) * bound);
  }

  /** `length` random bytes. */
  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i += 1) out[i] = this.uint32();
    return out;
  }
}
