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
