/**
 * The events of a device of an emulated ITS: for each EventID an LPI and a collection.
 *
 * Kernel: itt_head of struct its_device, a list of struct its_ite in order of creation, which a save sorts by EventID. Here it is pages of arrays, found by
 * EventID: a restore makes a million events, and an object for each would cost more than all else that it does.
 */
import type { Collection } from './vgic-its-mappings.ts';
import type { VgicIrq } from './vgic-irq.ts';

/** An event as it is now. Kernel: struct its_ite. */
export interface Event {
  readonly id: number;
  /** The LPI that it raises. */
  readonly irq: VgicIrq;
  /** undefined once the collection was unmapped: the event is an orphan. */
  readonly collection: Collection | undefined;
}

const PAGE_BITS = 6;
/** EventIDs of a page. */
const PAGE = 1 << PAGE_BITS;

class Page {
  readonly irqs = new Array<VgicIrq | undefined>(PAGE).fill(undefined);
  readonly collections = new Array<Collection | undefined>(PAGE).fill(undefined);
  /** Where the event is in the list: higher behind lower. */
  readonly places = new Float64Array(PAGE);
  /** Events that it has: one without is dropped, so that what looks at all pages takes no longer than there are events. */
  count = 0;
}

export class EventTable {
  readonly #pages = new Map<number, Page>();
  #last: Page | undefined;
  #lastNumber = -1;
  #places = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The LPI of an event; undefined if there is no such event. */
  irq(id: number): VgicIrq | undefined {
    return this.#page(id)?.irqs[id & (PAGE - 1)];
  }

  collection(id: number): Collection | undefined {
    return this.#page(id)?.collections[id & (PAGE - 1)];
  }

  get(id: number): Event | undefined {
    const irq = this.irq(id);
    return irq === undefined ? undefined : { id, irq, collection: this.collection(id) };
  }

  /** Puts an event that there is not at the end of the list. */
  add(id: number, irq: VgicIrq, collection: Collection): void {
    const page = this.#page(id) ?? this.#newPage(id);
    const at = id & (PAGE - 1);
    page.irqs[at] = irq;
    page.collections[at] = collection;
    page.places[at] = this.#places;
    this.#places += 1;
    page.count += 1;
    this.#size += 1;
  }

  /** An event that there is has another collection. */
  move(id: number, collection: Collection): void {
    const page = this.#page(id);
    if (page !== undefined) page.collections[id & (PAGE - 1)] = collection;
  }

  delete(id: number): void {
    const page = this.#page(id);
    if (page?.irqs[id & (PAGE - 1)] === undefined) return;
    page.irqs[id & (PAGE - 1)] = undefined;
    page.collections[id & (PAGE - 1)] = undefined;
    page.count -= 1;
    this.#size -= 1;
    if (page.count === 0) this.#dropPage(id);
  }

  /** Events of a collection have none any more. */
  orphan(collection: Collection): void {
    for (const { collections } of this.#pages.values()) {
      for (let at = 0; at < PAGE; at += 1) if (collections[at] === collection) collections[at] = undefined;
    }
  }

  /** EventIDs in the order of the list. */
  keys(): Uint32Array {
    const ids = this.#ascending();
    const sorted = ids.every((id, i) => i === 0 || this.#place(ids[i - 1]!) < this.#place(id));
    return sorted ? ids : ids.sort((a, b) => this.#place(a) - this.#place(b));
  }

  /** In the order of the list. */
  values(): Event[] {
    return Array.from(this.keys(), (id) => ({ id, irq: this.irq(id)!, collection: this.collection(id) }));
  }

  /** Sorts the list by EventID. @returns the EventIDs, ascending */
  sort(): Uint32Array {
    this.#places = 0;
    return this.#ascending((page, at) => {
      page.places[at] = this.#places;
      this.#places += 1;
    });
  }

  /** EventIDs, ascending. @param visit called at each, with its page and place there */
  #ascending(visit?: (page: Page, at: number) => void): Uint32Array {
    const ids = new Uint32Array(this.#size);
    let count = 0;
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(number)!;
      for (let at = 0; at < PAGE; at += 1) {
        if (page.irqs[at] === undefined) continue;
        visit?.(page, at);
        ids[count] = number * PAGE + at;
        count += 1;
      }
    }
    return ids;
  }

  #place(id: number): number {
    return this.#page(id)!.places[id & (PAGE - 1)]!;
  }

  /** Most look-ups are near the one before. */
  #page(id: number): Page | undefined {
    const number = id >>> PAGE_BITS;
    if (number === this.#lastNumber) return this.#last;
    const page = this.#pages.get(number);
    if (page !== undefined) {
      this.#last = page;
      this.#lastNumber = number;
    }
    return page;
  }

  #dropPage(id: number): void {
    this.#pages.delete(id >>> PAGE_BITS);
    this.#last = undefined;
    this.#lastNumber = -1;
  }

  #newPage(id: number): Page {
    const page = new Page();
    const number = id >>> PAGE_BITS;
    this.#pages.set(number, page);
    this.#last = page;
    this.#lastNumber = number;
    return page;
  }
}
