/** Things by a number, the lowest first: a binary heap. What no longer holds is left out when it comes up. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #key: (item: T) => number | bigint;
  readonly #holds: (item: T) => boolean;

  constructor(key: (item: T) => number | bigint, holds: (item: T) => boolean) {
    this.#key = key;
    this.#holds = holds;
  }

  push(item: T): void {
    this.#items.push(item);
    let at = this.#items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#key(this.#items[parent]!) <= this.#key(item)) break;
      this.#items[at] = this.#items[parent]!;
      at = parent;
    }
    this.#items[at] = item;
  }

  /** The lowest that holds. */
  peek(): T | undefined {
    while (this.#items.length > 0 && !this.#holds(this.#items[0]!)) this.#pop();
    return this.#items[0];
  }

  pop(): T | undefined {
    const lowest = this.peek();
    if (lowest !== undefined) this.#pop();
    return lowest;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Drops what does not hold: for whoever pushes more than comes up. */
  sweep(): void {
    const kept = this.#items.filter((item) => this.#holds(item));
    this.#items.length = 0;
    for (const item of kept) this.push(item);
  }

  #pop(): void {
    const last = this.#items.pop();
    const { length } = this.#items;
    if (last === undefined || length === 0) return;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && this.#key(this.#items[child + 1]!) < this.#key(this.#items[child]!)) child += 1;
      if (this.#key(this.#items[child]!) >= this.#key(last)) break;
      this.#items[at] = this.#items[child]!;
      at = child;
    }
    this.#items[at] = last;
  }
}
