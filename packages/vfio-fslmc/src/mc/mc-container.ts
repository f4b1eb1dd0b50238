/** A resource container (DPRC): objects that share an isolation context, and containers below it. Catalogue: vfio 5.1, 5.3. */
import type { Host } from '@vsim/vfio-core';
import { OPEN_COMMANDS } from './command.ts';
import { McObject, type McObjectInit } from './mc-object.ts';

export const DPRC_IRQ_EVENT_OBJ_ADDED = 1;
export const DPRC_IRQ_EVENT_OBJ_REMOVED = 2;
export const DPRC_IRQ_EVENT_CONTAINER_DESTROYED = 0x10;
export const DPRC_IRQ_EVENT_OBJ_DESTROYED = 0x20;
export const DPRC_IRQ_EVENT_OBJ_CREATED = 0x40;

/** What the MC does for an object that comes: regions, portals. */
export interface ObjectPlacer {
  place(object: McObject, container: McContainer, init: McObjectInit): void;
  displace(object: McObject): void;
}

export interface McContainerInit extends Omit<McObjectInit, 'type'> {
  /** Its isolation context. */
  readonly icid: number;
}

export class McContainer extends McObject {
  readonly objects: McObject[] = [];
  readonly #host: Host;
  readonly #placer: ObjectPlacer;

  constructor(host: Host, placer: ObjectPlacer, init: McContainerInit) {
    super(host, init.icid, { ...init, type: 'dprc' });
    this.#host = host;
    this.#placer = placer;
  }

  /** Creates an object in it, or assigns one to it. @throws RangeError for a type that is none or a name that is taken */
  add(init: McObjectInit): McObject {
    if (!OPEN_COMMANDS.has(init.type) || init.type === 'dprc') throw new RangeError(`"type" expected a type of object, got ${init.type}`);
    return this.#adopt(new McObject(this.#host, this.icid, init), this, init);
  }

  addContainer(init: McContainerInit): McContainer {
    const container = new McContainer(this.#host, this.#placer, init);
    this.#adopt(container, container, { ...init, type: 'dprc' });
    return container;
  }

  /** Destroys an object, or takes it away. */
  remove(object: McObject): void {
    const at = this.objects.indexOf(object);
    if (at < 0) throw new RangeError(`"object" expected an object of ${this.name}, got ${object.name}`);
    this.objects.splice(at, 1);
    this.#placer.displace(object);
    this.raise(0, DPRC_IRQ_EVENT_OBJ_REMOVED | DPRC_IRQ_EVENT_OBJ_DESTROYED);
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

  #adopt<T extends McObject>(object: T, portals: McContainer, init: McObjectInit): T {
    if (this.find(object.type, object.id) !== undefined) throw new RangeError(`"id" expected a new one, got ${object.name}`);
    this.#placer.place(object, portals, init);
    this.objects.push(object);
    this.raise(0, DPRC_IRQ_EVENT_OBJ_ADDED | DPRC_IRQ_EVENT_OBJ_CREATED);
    return object;
  }
}
