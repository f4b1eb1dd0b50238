/** Ranges of addresses that do not overlap: what of a client's memory is mapped. */

interface Range {
  readonly first: bigint;
  /** Inclusive: a range may end with the last address of 64 bits. */
  readonly last: bigint;
}

/** Ranges in the order of their addresses. */
export class Ranges {
  readonly #ranges: Range[] = [];

  /** How many there are. */
  get count(): number {
    return this.#ranges.length;
  }

  /** Whether an address of [first, first + size) is in a range. @param size in bytes, above 0 */
  overlaps(first: bigint, size: bigint): boolean {
    const next = this.#ranges[this.#from(first)];
    return next !== undefined && next.first < first + size;
  }

  /** Adds what overlaps none. @param size in bytes, above 0 */
  add(first: bigint, size: bigint): void {
    this.#ranges.splice(this.#from(first), 0, { first, last: first + size - 1n });
  }

  /** Takes away all that lie inside of [first, first + size). @param size in bytes */
  removeInside(first: bigint, size: bigint): void {
    let at = this.#from(first);
    const begins = this.#ranges[at];
    if (begins !== undefined && begins.first < first) at += 1;
    let end = at;
    while (end < this.#ranges.length && this.#ranges[end]!.last < first + size) end += 1;
    this.#ranges.splice(at, end - at);
  }

  /** The place of the first range that ends at `address` or behind. */
  #from(address: bigint): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.last < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
