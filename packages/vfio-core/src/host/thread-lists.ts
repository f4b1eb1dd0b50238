/** The scheduler's lists: whatever the number of threads, a step of one costs no more than a logarithm of it. */

/** Things in the order in which they came; one in the middle can leave. All in constant time, on average. */
export class OrderedSet<T extends object> {
  #slots: (T | undefined)[] = [];
  readonly #places = new Map<T, number>();
  #head = 0;

  get size(): number {
    return this.#places.size;
  }

  has(item: T): boolean {
    return this.#places.has(item);
  }

  add(item: T): void {
    this.#places.set(item, this.#slots.length);
    this.#slots.push(item);
  }

  delete(item: T): void {
    const at = this.#places.get(item);
    if (at === undefined) return;
    this.#places.delete(item);
    this.#slots[at] = undefined;
    if (this.#slots.length > 2 * this.#places.size + 32) this.#close();
  }

  first(): T | undefined {
    while (this.#head < this.#slots.length && this.#slots[this.#head] === undefined) this.#head += 1;
    return this.#slots[this.#head];
  }

  /** All of them, and none is left. */
  take(): T[] {
    const all = this.toArray();
    this.#slots = [];
    this.#places.clear();
    this.#head = 0;
    return all;
  }

  toArray(): T[] {
    const all: T[] = [];
    for (let at = this.#head; at < this.#slots.length; at += 1) {
      const item = this.#slots[at];
      if (item !== undefined) all.push(item);
    }
    return all;
  }

  /** Closes the holes. */
  #close(): void {
    this.#slots = this.toArray();
    this.#head = 0;
    this.#slots.forEach((item, at) => {
      if (item !== undefined) this.#places.set(item, at);
    });
  }
}

/** Things by a number, the lowest first: a binary heap. What no longer holds is left out when it comes up. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #key: (item: T) => number;
  readonly #holds: (item: T) => boolean;

  constructor(key: (item: T) => number, holds: (item: T) => boolean) {
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
