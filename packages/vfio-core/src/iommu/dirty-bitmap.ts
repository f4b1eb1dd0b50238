const WORD = 64;
const WORD_BYTES = 8;

/** The most bytes of a bitmap: 256 MiB. */
export const MAX_DIRTY_BITMAP = 0x1000_0000;

/** User memory with the bitmap of a range; offsets in bytes, false is a fault. */
export interface UserBitmap {
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
}

/** Bytes of a bitmap for this many pages, in whole words. @param pages a count */
export function dirtyBitmapBytes(pages: number): number {
  return Math.ceil(pages / WORD) * WORD_BYTES;
}

/**
 * Dirty pages of one type1 mapping, and how they are handed to user space.
 *
 * The arithmetic is the kernel's to the bit: a mapping that does not begin on a 64-page boundary of the range is shifted in place, and only
 * its own pages are cleared afterwards, so that bits shifted out of them turn up in a later answer.
 */
export class DirtyBitmap {
  readonly #pages: number;
  readonly #words: BigUint64Array;

  /** `pages` is at most 2^31. */
  constructor(pages: number) {
    this.#pages = pages;
    this.#words = new BigUint64Array(Math.ceil(pages / WORD) + 1);
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  /**
   * Pages `first` to `first + count - 1` of the mapping were written.
   *
   * @param first a page of the mapping, from 0
   * @param count how many pages
   */
  set(first: number, count: number): void {
    for (let page = first; page < first + count; page += 1) {
      this.#words[Math.floor(page / WORD)]! |= 1n << BigInt(page % WORD);
    }
  }

  /** The IOMMU could have written every page. */
  setAll(): void {
    this.#eachWord((i, mask) => {
      this.#words[i] = this.#words[i]! | mask;
    });
  }

  clear(): void {
    this.#eachWord((i, mask) => {
      this.#words[i] = this.#words[i]! & ~mask;
    });
  }

  /** Writes the bits into the range's bitmap, this mapping's first page being bit `bit`. False is a fault. */
  copyTo(user: UserBitmap, bit: number): boolean {
    const words = this.#words;
    const at = Math.floor(bit / WORD) * WORD_BYTES;
    const shift = BigInt(bit % WORD);
    const count = Math.ceil((this.#pages + Number(shift)) / WORD);
    if (shift > 0n) {
      for (let i = count - 1; i >= 0; i -= 1) {
        const carried = i > 0 ? words[i - 1]! >> (BigInt(WORD) - shift) : 0n;
        words[i] = (words[i]! << shift) | carried;
      }
      const before = new Uint8Array(WORD_BYTES);
      if (!user.read(at, before)) return false;
      words[0] = words[0]! | new DataView(before.buffer).getBigUint64(0, true);
    }
    const out = new Uint8Array(count * WORD_BYTES);
    const view = new DataView(out.buffer);
    for (let i = 0; i < count; i += 1) view.setBigUint64(i * WORD_BYTES, words[i]!, true);
    return user.write(at, out);
  }

  /** Each word that has pages of the mapping, with the mask of those. */
  #eachWord(visit: (index: number, mask: bigint) => void): void {
    for (let first = 0; first < this.#pages; first += WORD) {
      const left = this.#pages - first;
      visit(first / WORD, left >= WORD ? (1n << 64n) - 1n : (1n << BigInt(left)) - 1n);
    }
  }
}
