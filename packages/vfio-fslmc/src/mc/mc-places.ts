import type { Host, MmioDevice } from '@vsim/vfio-core';
import type { McContainer } from './mc-container.ts';
import type { McObject, McObjectInit } from './mc-object.ts';
import { McPortal, PORTAL_SIZE } from './mc-portal.ts';
import { QueueMemory } from './queue-memory.ts';
import { Slots } from './slots.ts';

/** As many as the address ranges of boards have room for. */
const MC_PORTALS = 1024;
const QBMAN_PAIRS = 256;

/**
 * Where objects of the Management Complex lie in physical memory: command portals of containers and dpmcps, the two views of a dpio's
 * portal.
 */
export class McPlaces {
  /** By number; one whose object has gone until another comes in its place. */
  readonly portals: Map<number, McPortal> = new Map<number, McPortal>();
  readonly #host: Host;
  readonly #base: number;
  readonly #qbmanBase: number;
  readonly #submit: (portal: McPortal) => void;
  readonly #portalSlots = new Slots(MC_PORTALS);
  readonly #qbmanSlots = new Slots(QBMAN_PAIRS);
  readonly #undo = new Map<McObject, (() => void)[]>();

  /**
   * @param base physical address of the MC's portals
   * @param qbmanBase physical address of the queue manager's
   * @param submit takes a command that is complete in its portal
   */
  constructor(host: Host, base: number, qbmanBase: number, submit: (portal: McPortal) => void) {
    this.#host = host;
    this.#base = base;
    this.#qbmanBase = qbmanBase;
    this.#submit = submit;
  }

  /** How many portals of the MC and of the queue manager are in use. */
  get used(): { readonly portals: number; readonly qbman: number } {
    return { portals: this.#portalSlots.used, qbman: this.#qbmanSlots.used };
  }

  portalOf(object: McObject): McPortal | undefined {
    const region = object.regions.find(({ kind }) => kind === 'mc-portal');
    return region === undefined ? undefined : this.portals.get(region.offset / PORTAL_SIZE);
  }

  /** Whether a number is that of a portal nobody has. @param slot from 0 */
  isFree(slot: number): boolean {
    return slot < MC_PORTALS && this.portals.get(slot)?.gone !== false;
  }

  hasRoomFor(type: string): boolean {
    if (type === 'dprc' || type === 'dpmcp') return this.#portalSlots.used < MC_PORTALS;
    return type !== 'dpio' || this.#qbmanSlots.used < QBMAN_PAIRS;
  }

  /** @param wanted the number of its portal; undefined, the next @throws RangeError where none is free */
  place(object: McObject, container: McContainer, { portals }: McObjectInit, wanted: number | undefined): void {
    if (object.type === 'dprc' || object.type === 'dpmcp') this.#placePortal(object, container, wanted);
    else if (object.type === 'dpio') this.#placeQueues(object, portals ?? []);
  }

  displace(object: McObject): void {
    for (const undo of this.#undo.get(object) ?? []) undo();
    this.#undo.delete(object);
  }

  #placePortal(object: McObject, container: McContainer, wanted: number | undefined): void {
    const slot = wanted === undefined ? this.#portalSlots.take() : this.#portalSlots.takeAt(wanted) ? wanted : undefined;
    if (slot === undefined) throw new RangeError(`"portal" expected one that is free, for ${object.name}`);
    const portal = new McPortal(slot, container, this.#host.scheduler, this.#submit);
    this.portals.get(slot)?.unmap();
    this.portals.set(slot, portal);
    const offset = slot * PORTAL_SIZE;
    object.regions.push({ kind: 'mc-portal', offset, size: PORTAL_SIZE, flags: 0 });
    portal.unmap = this.#host.memory.map(this.#base + offset, PORTAL_SIZE, portal);
    this.#undo.set(object, [
      () => {
        // It stays in the address space until another comes in its place: whoever still has it mapped is told AUTH_ERR.
        portal.gone = true;
        portal.open.clear();
        this.#portalSlots.give(slot);
      },
    ]);
  }

  /** A dpio has its portal twice: cached and shareable, and not. */
  #placeQueues(object: McObject, portals: readonly MmioDevice[]): void {
    const slot = this.#qbmanSlots.take();
    if (slot === undefined) throw new RangeError(`"dpio" expected a portal of the queue manager that is free, for ${object.name}`);
    const undo = [() => { this.#qbmanSlots.give(slot); }];
    for (const [i, flags] of [3, 0].entries()) {
      const offset = (2 * slot + i) * PORTAL_SIZE;
      object.regions.push({ kind: i === 0 ? 'qbman-memory' : 'qbman', offset, size: PORTAL_SIZE, flags });
      undo.push(this.#host.memory.map(this.#qbmanBase + offset, PORTAL_SIZE, portals[i] ?? new QueueMemory()));
    }
    this.#undo.set(object, undo);
  }
}
