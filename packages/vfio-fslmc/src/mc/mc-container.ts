import type { Host } from '@vsim/vfio-core';
import { OPEN_COMMANDS } from './command.ts';
import { McObject, type McObjectInit } from './mc-object.ts';
import { ResourcePools } from './resource-pools.ts';

/** Bit 0 of a container's interrupt status: an object came, created here or given. */
export const DPRC_IRQ_EVENT_OBJ_ADDED = 1;
/** Bit 1: an object went, destroyed or given away. */
export const DPRC_IRQ_EVENT_OBJ_REMOVED = 2;
/** Bit 4: a container below was destroyed. This firmware tells it as OBJ_DESTROYED. */
export const DPRC_IRQ_EVENT_CONTAINER_DESTROYED = 0x10;
/** Bit 5: an object was destroyed; comes with OBJ_REMOVED. */
export const DPRC_IRQ_EVENT_OBJ_DESTROYED = 0x20;
/** Bit 6: an object was created; comes with OBJ_ADDED. */
export const DPRC_IRQ_EVENT_OBJ_CREATED = 0x40;

/** Option bit 0: the container may have child containers. Options are told, not enforced. */
export const DPRC_CFG_OPT_SPAWN_ALLOWED = 1;
/** Option bit 1: it may take resources of its parent's pools. */
export const DPRC_CFG_OPT_ALLOC_ALLOWED = 2;
/** Option bit 2: it may create objects. */
export const DPRC_CFG_OPT_OBJ_CREATE_ALLOWED = 4;
/** Option bit 3: it may connect and disconnect objects. */
export const DPRC_CFG_OPT_TOPOLOGY_CHANGES_ALLOWED = 8;
/** Option bit 5: it belongs to the AIOP, the packet processor. */
export const DPRC_CFG_OPT_AIOP = 0x20;
/** Option bit 6: it may set up its interrupts. */
export const DPRC_CFG_OPT_IRQ_CFG_ALLOWED = 0x40;
/** Option bit 7, which restool and layouts know by this name. */
export const DPRC_CFG_OPT_PL_ALLOWED = 0x80;

/** What firmware gives the containers of its layout. */
const DEFAULT_OPTIONS = DPRC_CFG_OPT_SPAWN_ALLOWED | DPRC_CFG_OPT_ALLOC_ALLOWED | DPRC_CFG_OPT_IRQ_CFG_ALLOWED;

/** What the MC does for an object that comes: its version, regions, portals. */
export interface ObjectPlacer {
  /** Major and minor of a type of object that is made without a version. */
  versionOf(type: string): readonly [number, number];
  /** Gives an object its regions; `container` is whose commands come through its portal. @throws RangeError where no place is left */
  place(object: McObject, container: McContainer, init: McObjectInit): void;
  /** An object is gone: its places are free, its sessions and links end. */
  displace(object: McObject): void;
  /** An object has come into another container. */
  moved(object: McObject, container: McContainer): void;
}

/** What a container is made of, beside what every object has. */
export interface McContainerInit extends Omit<McObjectInit, 'type'> {
  /** Its isolation context, 16 bits: the stream id of what its objects do. */
  readonly icid: number;
  /** DPRC_CFG_OPT_*: told, not enforced. @default what firmware gives: spawn, alloc, irq config */
  readonly options?: number | undefined;
  /** The number of its portal, in [0, 1024). @default the next */
  readonly portal?: number | undefined;
}

/** A resource container (DPRC): objects that share an isolation context, and containers below it. */
export class McContainer extends McObject {
  /** What is in it, containers too, in the order of DPRC_GET_OBJ. */
  readonly objects: McObject[] = [];
  /** DPRC_CFG_OPT_* bits that it was made with; told, not enforced. */
  readonly options: number;
  /** Numbers of queues, buffer pools and portals that it may use; the root has them all at first. */
  readonly pools: ResourcePools;
  /** DPRC_SET_LOCKED was asked for. It is kept, and has no effect here. */
  locked = false;
  readonly #host: Host;
  readonly #placer: ObjectPlacer;

  /** Made by addContainer(). @internal */
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

  /** The object of this name that is in it, and not further below. @param type as `dpni` @param id its number */
  own(type: string, id: number): McObject | undefined {
    return this.objects.find((object) => object.type === type && object.id === id);
  }

  /** Objects have come or gone: its first interrupt, where it has one. @internal @param causes DPRC_IRQ_EVENT_* bits */
  tell(causes: number): void {
    if (this.irqs.length > 0) this.raise(0, causes);
  }

  /** The object of this name in it or below it, or itself. @param type as `dpni` @param id its number */
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
