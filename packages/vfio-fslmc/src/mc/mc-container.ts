/** A resource container (DPRC): objects that share an isolation context, and containers below it. */
import type { Host } from '@vsim/vfio-core';
import { OPEN_COMMANDS } from './command.ts';
import { McObject, type McObjectInit } from './mc-object.ts';
import { ResourcePools } from './resource-pools.ts';

export const DPRC_IRQ_EVENT_OBJ_ADDED = 1;
export const DPRC_IRQ_EVENT_OBJ_REMOVED = 2;
export const DPRC_IRQ_EVENT_CONTAINER_DESTROYED = 0x10;
export const DPRC_IRQ_EVENT_OBJ_DESTROYED = 0x20;
export const DPRC_IRQ_EVENT_OBJ_CREATED = 0x40;

/** What a container may do, and what it is told of as having been made with. */
export const DPRC_CFG_OPT_SPAWN_ALLOWED = 1;
export const DPRC_CFG_OPT_ALLOC_ALLOWED = 2;
export const DPRC_CFG_OPT_OBJ_CREATE_ALLOWED = 4;
export const DPRC_CFG_OPT_TOPOLOGY_CHANGES_ALLOWED = 8;
export const DPRC_CFG_OPT_AIOP = 0x20;
export const DPRC_CFG_OPT_IRQ_CFG_ALLOWED = 0x40;
export const DPRC_CFG_OPT_PL_ALLOWED = 0x80;

/** What firmware gives the containers of its layout. */
const DEFAULT_OPTIONS = DPRC_CFG_OPT_SPAWN_ALLOWED | DPRC_CFG_OPT_ALLOC_ALLOWED | DPRC_CFG_OPT_IRQ_CFG_ALLOWED;

/** What the MC does for an object that comes: its version, regions, portals. */
export interface ObjectPlacer {
  versionOf(type: string): readonly [number, number];
  /** @throws RangeError where no place is left */
  place(object: McObject, container: McContainer, init: McObjectInit): void;
  displace(object: McObject): void;
  /** An object has come into another container. */
  moved(object: McObject, container: McContainer): void;
}

export interface McContainerInit extends Omit<McObjectInit, 'type'> {
  /** Its isolation context. */
  readonly icid: number;
  /** DPRC_CFG_OPT_*: told, not enforced. @default what firmware gives: spawn, alloc, irq config */
  readonly options?: number | undefined;
  /** The number of its portal. @default the next */
  readonly portal?: number | undefined;
}

export class McContainer extends McObject {
  readonly objects: McObject[] = [];
  /** DPRC_CFG_OPT_* */
  readonly options: number;
  readonly pools: ResourcePools;
  /** DPRC_SET_LOCKED was asked for. It is kept, and has no effect here. */
  locked = false;
  readonly #host: Host;
  readonly #placer: ObjectPlacer;

  /** @internal */
  constructor(host: Host, placer: ObjectPlacer, init: McContainerInit, isRoot = false) {
    super(host, init.icid, { ...init, type: 'dprc', version: init.version ?? placer.versionOf('dprc') });
    this.#host = host;
    this.#placer = placer;
    this.options = init.options ?? DEFAULT_OPTIONS;
    this.pools = new ResourcePools(isRoot);
  }

  /** Creates an object in it. @throws RangeError for a type that is none, a name that is taken, or where no portal is left for it */
  add(init: McObjectInit): McObject {
    if (!OPEN_COMMANDS.has(init.type) || init.type === 'dprc') throw new RangeError(`"type" expected a type of object, got ${init.type}`);
    return this.#adopt(new McObject(this.#host, this.icid, { ...init, version: init.version ?? this.#placer.versionOf(init.type) }), this, init);
  }

  /** Creates a container in it. @throws RangeError as add() */
  addContainer(init: McContainerInit): McContainer {
    const container = new McContainer(this.#host, this.#placer, init);
    this.#adopt(container, container, { ...init, type: 'dprc' });
    return container;
  }

  /** Destroys an object, a container with all that is in it. @throws RangeError for one that is not in it */
  remove(object: McObject): void {
    this.#take(object);
    this.#placer.displace(object);
    object.parent = undefined;
    this.tell(DPRC_IRQ_EVENT_OBJ_REMOVED | DPRC_IRQ_EVENT_OBJ_DESTROYED);
  }

  /** Gives an object to another container. Both tell of it. @throws RangeError for one that is not in it */
  give(object: McObject, to: McContainer): void {
    this.#take(object);
    to.objects.push(object);
    object.moveTo(to, object instanceof McContainer ? object.icid : to.icid);
    this.#placer.moved(object, to);
    this.tell(DPRC_IRQ_EVENT_OBJ_REMOVED);
    to.tell(DPRC_IRQ_EVENT_OBJ_ADDED);
  }

  /** Itself and all below. */
  get all(): McObject[] {
    return [this, ...this.objects.flatMap((object) => (object instanceof McContainer ? object.all : [object]))];
  }

  /** The object of this name that is in it, and not further below. */
  own(type: string, id: number): McObject | undefined {
    return this.objects.find((object) => object.type === type && object.id === id);
  }

  /** @internal Objects have come or gone: its first interrupt, where it has one. */
  tell(causes: number): void {
    if (this.irqs.length > 0) this.raise(0, causes);
  }

  /** The object of this name in it or below it, or itself. */
  find(type: string, id: number): McObject | undefined {
    if (type === this.type && id === this.id) return this;
    for (const object of this.objects) {
      const found = object instanceof McContainer ? object.find(type, id) : object.type === type && object.id === id ? object : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** It or a container that it is in. */
  isWithin(container: McContainer): boolean {
    return container === this || (this.parent?.isWithin(container) ?? false);
  }

  #take(object: McObject): void {
    const at = this.objects.indexOf(object);
    if (at < 0) throw new RangeError(`"object" expected an object of ${this.name}, got ${object.name}`);
    this.objects.splice(at, 1);
  }

  #adopt<T extends McObject>(object: T, portals: McContainer, init: McObjectInit): T {
    if (this.#root.find(object.type, object.id) !== undefined) throw new RangeError(`"id" expected a new one, got ${object.name}`);
    this.#placer.place(object, portals, init);
    this.objects.push(object);
    object.moveTo(this, object.icid);
    object.creator = this;
    this.tell(DPRC_IRQ_EVENT_OBJ_ADDED | DPRC_IRQ_EVENT_OBJ_CREATED);
    return object;
  }

  get #root(): McContainer {
    return this.parent === undefined ? this : this.parent.#root;
  }
}
