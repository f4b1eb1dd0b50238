/**
 * What a Management Complex has to hold, kept beside it: containers, objects, links, sessions and numbers of pools, with the answer that each
 * command has to have. It does not ask the code.
 */

export const OK = 0;
export const CONFIG = 6;
export const NO_RESOURCE = 8;
export const BUSY = 0xa;
export const STATE = 0xc;

export interface Thing {
  readonly type: string;
  readonly id: number;
  parent: Thing | undefined;
  creator: Thing | undefined;
  plugged: boolean;
  /** Of a container: its isolation context, its numbers of the pool `mcp`. */
  readonly icid: number;
  readonly numbers: Set<number>;
}

export interface Session {
  /** The container or dpmcp whose portal it is. */
  readonly portal: Thing;
  readonly object: Thing;
  readonly token: number;
}

export const nameOf = ({ type, id }: Thing): string => `${type}.${id}`;

export class Shadow {
  readonly root: Thing = { type: 'dprc', id: 1, parent: undefined, creator: undefined, plugged: true, icid: 0, numbers: new Set(Array.from({ length: 64 }, (_, i) => i)) };
  /** Without the root. */
  things: Thing[] = [];
  links: (readonly [Thing, Thing])[] = [];
  sessions: Session[] = [];

  get containers(): Thing[] {
    return [this.root, ...this.things.filter(({ type }) => type === 'dprc')];
  }

  in(container: Thing): Thing[] {
    return this.things.filter(({ parent }) => parent === container);
  }

  own(container: Thing, type: string, id: number): Thing | undefined {
    return this.in(container).find((thing) => thing.type === type && thing.id === id);
  }

  /** A thing itself, or one of the containers that it is in. */
  within(thing: Thing, container: Thing): boolean {
    for (let at: Thing | undefined = thing; at !== undefined; at = at.parent) if (at === container) return true;
    return false;
  }

  /** Whose commands come through a portal. */
  containerOf(portal: Thing): Thing {
    return portal.type === 'dprc' ? portal : (portal.parent ?? this.root);
  }

  nextId(type: string): number {
    let id = type === 'dprc' || type === 'dpmcp' ? 1 : 0;
    while ((type === 'dprc' && id === this.root.id) || this.things.some((thing) => thing.type === type && thing.id === id)) id += 1;
    return id;
  }

  nextIcid(): number {
    let icid = 10;
    while (this.containers.some((container) => container.icid === icid)) icid += 1;
    return icid;
  }

  add(container: Thing, type: string): Thing {
    const made: Thing = { type, id: this.nextId(type), parent: container, creator: container, plugged: false, icid: type === 'dprc' ? this.nextIcid() : 0, numbers: new Set() };
    this.things.push(made);
    return made;
  }

  destroy(container: Thing, type: string, id: number): number {
    const thing = this.own(container, type, id);
    if (thing === undefined || type === 'dprc') return CONFIG;
    if (this.#held(thing, thing)) return BUSY;
    this.#forget([thing]);
    return OK;
  }

  destroyContainer(parent: Thing, id: number): number {
    const going = this.own(parent, 'dprc', id);
    if (going === undefined) return CONFIG;
    const below = this.things.filter((thing) => this.within(thing, going));
    if (below.some((thing) => this.#held(thing, going))) return BUSY;
    const stays = below.filter((thing) => thing.type !== 'dprc' && !(thing.creator !== undefined && this.within(thing.creator, going)));
    for (const thing of stays) thing.parent = parent;
    for (const container of below) for (const number of container.numbers) parent.numbers.add(number);
    this.#forget(below.filter((thing) => !stays.includes(thing)));
    this.#strays();
    return OK;
  }

  /** ASSIGN where `back` is false, else UNASSIGN. */
  move(container: Thing, childId: number, type: string, id: number, plugged: boolean, back: boolean): number {
    const child = childId === container.id ? container : this.own(container, 'dprc', childId);
    if (child === undefined) return CONFIG;
    const [from, to] = back ? [child, container] : [container, child];
    const thing = this.own(from, type, id);
    if (thing === undefined || thing === to) return CONFIG;
    if (from !== to && thing.plugged) return STATE;
    thing.plugged = plugged;
    thing.parent = to;
    this.#strays();
    return OK;
  }

  /** `count` of the pool `mcp`, from `base` on; without a base the lowest run of so many. */
  moveNumbers(container: Thing, childId: number, count: number, base: number | undefined, back: boolean): number {
    const child = childId === container.id ? container : this.own(container, 'dprc', childId);
    if (child === undefined) return CONFIG;
    const [from, to] = back ? [child, container] : [container, child];
    if (from === to) return from.numbers.size < count ? NO_RESOURCE : OK;
    const runs = base === undefined ? Array.from({ length: 64 }, (_, i) => i) : [base];
    const first = count === 0 ? undefined : runs.find((start) => Array.from({ length: count }, (_, i) => start + i).every((number) => from.numbers.has(number)));
    if (first === undefined) return NO_RESOURCE;
    for (let number = first; number < first + count; number += 1) {
      from.numbers.delete(number);
      to.numbers.add(number);
    }
    return OK;
  }

  connect(container: Thing, a: Thing | undefined, b: Thing | undefined): number {
    if (a === undefined || b === undefined || ![a, b].every((end) => end.type !== 'dprc' && this.within(end, container))) return CONFIG;
    if (a === b || this.peer(a) !== undefined || this.peer(b) !== undefined) return STATE;
    this.links.push([a, b]);
    return OK;
  }

  disconnect(container: Thing, end: Thing | undefined): number {
    if (end === undefined || !this.within(end, container)) return CONFIG;
    if (this.peer(end) === undefined) return STATE;
    this.links = this.links.filter((link) => !link.includes(end));
    return OK;
  }

  peer(end: Thing): Thing | undefined {
    return this.links.find((link) => link.includes(end))?.find((other) => other !== end);
  }

  /** Open through a portal that is not the root's, and does not go with it. */
  #held(thing: Thing, going: Thing): boolean {
    return this.sessions.some(({ portal, object }) => object === thing && portal !== this.root && !(portal === going || (going.type === 'dprc' && this.within(this.containerOf(portal), going))));
  }

  #forget(gone: readonly Thing[]): void {
    this.things = this.things.filter((thing) => !gone.includes(thing));
    this.links = this.links.filter((link) => !link.some((end) => gone.includes(end)));
    this.sessions = this.sessions.filter(({ portal, object }) => !gone.includes(portal) && !gone.includes(object));
    for (const thing of gone) thing.parent = undefined;
  }

  /** No portal reaches what is no longer below its container. */
  #strays(): void {
    this.sessions = this.sessions.filter(({ portal, object }) => this.within(object, this.containerOf(portal)));
  }
}
