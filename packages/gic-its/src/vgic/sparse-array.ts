/**
 * Objects by a number of 32 bits, few or many, near each other or far apart: pages of places, each made with its first object and dropped with its last.
 *
 * The kernel has lists, trees and xarrays here. A Map would do the same at three times the price of a look-up, and a restore makes a million.
 */
const PAGE_BITS = 6;
const PAGE = 1 << PAGE_BITS;

class Page<T> {
  readonly places = new Array<T | undefined>(PAGE).fill(undefined);
  count = 0;
}

export class SparseArray<T extends object> {
  readonly #pages = new Map<number, Page<T>>();
  #last: Page<T> | undefined;
  #lastNumber = -1;
  #size = 0;

  /** How many objects there are. */
  get size(): number {
    return this.#size;
  }

  get(index: number): T | undefined {
    return this.#page(index >>> PAGE_BITS)?.places[index & (PAGE - 1)];
  }

  set(index: number, value: T): void {
    const page = this.#page(index >>> PAGE_BITS) ?? this.#newPage(index >>> PAGE_BITS);
    const at = index & (PAGE - 1);
    if (page.places[at] === undefined) {
      page.count += 1;
      this.#size += 1;
    }
    page.places[at] = value;
  }

  delete(index: number): void {
    const page = this.#page(index >>> PAGE_BITS);
    const at = index & (PAGE - 1);
    if (page?.places[at] === undefined) return;
    page.places[at] = undefined;
    page.count -= 1;
    this.#size -= 1;
    if (page.count > 0) return;
    this.#pages.delete(index >>> PAGE_BITS);
    this.#lastNumber = -1;
  }

  /** Indices, ascending. */
  indices(): Uint32Array {
    const found = new Uint32Array(this.#size);
    let count = 0;
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const { places } = this.#pages.get(number)!;
      for (let at = 0; at < PAGE; at += 1) {
        if (places[at] === undefined) continue;
        found[count] = number * PAGE + at;
        count += 1;
      }
    }
    return found;
  }

  /** Most look-ups are near the one before. */
  #page(number: number): Page<T> | undefined {
    if (number === this.#lastNumber) return this.#last;
    const page = this.#pages.get(number);
    if (page !== undefined) {
      this.#last = page;
      this.#lastNumber = number;
    }
    return page;
  }

  #newPage(number: number): Page<T> {
    const page = new Page<T>();
    this.#pages.set(number, page);
    this.#last = page;
    this.#lastNumber = number;
    return page;
  }
}
