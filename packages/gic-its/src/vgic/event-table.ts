/**
 * The events of a device of an emulated ITS: for each EventID an LPI and a collection.
 *
 * Kernel: itt_head of struct its_device, a list of struct its_ite in order of creation, which a save sorts by EventID. Here they are found by EventID, and the
 * order is kept apart: a restore makes a million events, and an object for each would cost more than all else that it does.
 */
import { SparseArray } from './sparse-array.ts';
import type { VgicIrq } from './vgic-irq.ts';

/** A collection: which vCPU an ICID means. */
export interface Collection {
  readonly icid: number;
  /** A vCPU as RDbase names it (KvmVm.vcpuOfTarget()), or NOT_MAPPED. */
  target: number;
}

/** An event as it is now. Kernel: struct its_ite. */
export interface Event {
  readonly id: number;
  /** The LPI that it raises. */
  readonly irq: VgicIrq;
  /** undefined once the collection was unmapped: the event is an orphan. */
  readonly collection: Collection | undefined;
}

export class EventTable {
  readonly #irqs = new SparseArray<VgicIrq>();
  /** Those of events that are no orphans. */
  readonly #collections = new SparseArray<Collection>();
  /** EventIDs in the order of the list; undefined while that is the order of EventIDs. */
  #order: Set<number> | undefined;
  /** While there is no order of its own: above every EventID that was added. */
  #end = 0;

  get size(): number {
    return this.#irqs.size;
  }

  /** The LPI of an event; undefined if there is no such event. @param id EventID */
  irq(id: number): VgicIrq | undefined {
    return this.#irqs.get(id);
  }

  collection(id: number): Collection | undefined {
    return this.#collections.get(id);
  }

  get(id: number): Event | undefined {
    const irq = this.irq(id);
    return irq === undefined ? undefined : { id, irq, collection: this.collection(id) };
  }

  /** Puts an event that there is not at the end of the list. @param id EventID */
  add(id: number, irq: VgicIrq, collection: Collection): void {
    if (this.#order === undefined && id < this.#end) this.#order = new Set(this.#irqs.indices());
    this.#order?.add(id);
    this.#end = id + 1;
    this.#irqs.set(id, irq);
    this.#collections.set(id, collection);
  }

  /** An event that there is has another collection. @param id EventID */
  move(id: number, collection: Collection): void {
    this.#collections.set(id, collection);
  }

  delete(id: number): void {
    this.#order?.delete(id);
    this.#irqs.delete(id);
    this.#collections.delete(id);
  }

  /** Events of a collection have none any more. */
  orphan(collection: Collection): void {
    for (const id of this.#collections.indices()) if (this.#collections.get(id) === collection) this.#collections.delete(id);
  }

  /** EventIDs in the order of the list. */
  keys(): Uint32Array {
    return this.#order === undefined ? this.#irqs.indices() : Uint32Array.from(this.#order);
  }

  /** In the order of the list. */
  values(): Event[] {
    return Array.from(this.keys(), (id) => ({ id, irq: this.irq(id)!, collection: this.collection(id) }));
  }

  /** Sorts the list by EventID. @returns the EventIDs, ascending */
  sort(): Uint32Array {
    const ids = this.#irqs.indices();
    this.#order = undefined;
    this.#end = (ids.at(-1) ?? -1) + 1;
    return ids;
  }
}
