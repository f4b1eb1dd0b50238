/**
 * Places of one size: portals of the MC, software portals of the queue manager. The next one is taken in turn, and one that was given back
 * only when all others had theirs: what still has an old address finds nobody there for as long as possible.
 */
export class Slots {
  readonly count: number;
  readonly #taken = new Set<number>();
  #next = 0;

  /** @param count places, numbered from 0 */
  constructor(count: number) {
    this.count = count;
  }

  get used(): number {
    return this.#taken.size;
  }

  /** The next free one; undefined where none is. */
  take(): number | undefined {
    if (this.#taken.size === this.count) return undefined;
    while (this.#taken.has(this.#next)) this.#next = (this.#next + 1) % this.count;
    const slot = this.#next;
    this.#taken.add(slot);
    this.#next = (slot + 1) % this.count;
    return slot;
  }

  /** This one. @param slot from 0 @returns false if it is taken or there is none */
  takeAt(slot: number): boolean {
    if (slot >= this.count || this.#taken.has(slot)) return false;
    this.#taken.add(slot);
    return true;
  }

  /** It is free, and comes again in its turn. @param slot from 0 */
  give(slot: number): void {
    this.#taken.delete(slot);
  }
}
