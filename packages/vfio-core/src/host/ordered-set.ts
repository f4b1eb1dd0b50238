/** So many are found by a look at each. */
const FEW = 8;

/** Things in the order in which they came; one in the middle can leave. All in constant time, on average. */
export class OrderedSet<T extends object> {
  #slots: (T | undefined)[] = [];
  /** In which slot each is, from when there are more than FEW on: most sets never have as many. */
  #places: Map<T, number> | undefined;
  #size = 0;
  #head = 0;

  get size(): number {
    return this.#size;
  }

  has(item: T): boolean {
    return this.#placeOf(item) >= 0;
  }

  /** One that is there stays where it is. */
  add(item: T): void {
    if (this.has(item)) return;
    this.#places?.set(item, this.#slots.length);
    this.#slots.push(item);
    this.#size += 1;
    if (this.#size > FEW && this.#places === undefined) this.#index();
  }

  delete(item: T): void {
    const at = this.#placeOf(item);
    if (at < 0) return;
    this.#places?.delete(item);
    this.#slots[at] = undefined;
    this.#size -= 1;
    if (this.#slots.length > 2 * this.#size + 32) this.#close();
  }

  first(): T | undefined {
    while (this.#head < this.#slots.length && this.#slots[this.#head] === undefined) this.#head += 1;
    return this.#slots[this.#head];
  }

  /** All of them, and none is left. */
  take(): T[] {
    const all = this.toArray();
    this.#slots = [];
    this.#places = undefined;
    this.#size = 0;
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

  #placeOf(item: T): number {
    return this.#places === undefined ? this.#slots.indexOf(item, this.#head) : (this.#places.get(item) ?? -1);
  }

  /** Closes the holes. */
  #close(): void {
    this.#slots = this.toArray();
    this.#head = 0;
    if (this.#places !== undefined) this.#index();
  }

  #index(): void {
    const places = new Map<T, number>();
    this.#slots.forEach((item, at) => {
      if (item !== undefined) places.set(item, at);
    });
    this.#places = places;
  }
}
