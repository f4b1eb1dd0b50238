import { McContainer } from './mc-container.ts';
import type { McObject } from './mc-object.ts';
import { valueOf } from './object-config.ts';

/** An interface of an object. */
export interface McEndpoint {
  /** Whose interface it is. */
  readonly object: McObject;
  /** Which of its interfaces: in [0, num_ifs) of a switch, [0, num_ifs] of a demultiplexer, 0 of any other. @default 0 */
  readonly interfaceId?: number | undefined;
}

/** Links between objects: two endpoints that are connected, as a dpni to a dpmac. */
export class McLinks {
  #links: (readonly [McEndpoint, McEndpoint])[] = [];

  /**
   * Connects two endpoints; whether their objects have such interfaces is not looked at.
   *
   * @throws RangeError if one of the two is connected already, or both are the same
   */
  connect(a: McEndpoint, b: McEndpoint): void {
    for (const end of [a, b]) {
      if (this.peer(end) !== undefined || same(a, b)) throw new RangeError(`"endpoint" expected one that is free, got ${nameOf(end)}`);
    }
    this.#links.push([a, b]);
  }

  /** Both are free, and not the same. */
  canConnect(a: McEndpoint, b: McEndpoint): boolean {
    return !same(a, b) && this.peer(a) === undefined && this.peer(b) === undefined;
  }

  /** Both ends of its link are enabled. */
  isUp(end: McEndpoint): boolean {
    return end.object.enabled && (this.peer(end)?.object.enabled ?? false);
  }

  /** All of them, each once. */
  get all(): readonly (readonly [McEndpoint, McEndpoint])[] {
    return this.#links;
  }

  /** Ends the link of an endpoint, if it has one. */
  disconnect(end: McEndpoint): void {
    this.#links = this.#links.filter((link) => !link.some((other) => same(other, end)));
  }

  /** An object goes, and its links with it. */
  forget(object: McObject): void {
    this.#links = this.#links.filter((link) => !link.some((end) => end.object === object));
  }

  /** What is at the other end. */
  peer(end: McEndpoint): McEndpoint | undefined {
    const link = this.#links.find((ends) => ends.some((other) => same(other, end)));
    return link?.find((other) => !same(other, end));
  }
}

/** A switch has as many as it was made with, a demultiplexer an uplink besides, a container none, all others one. */
export function hasInterface({ object, interfaceId = 0 }: McEndpoint): boolean {
  if (object instanceof McContainer) return false;
  const interfaces = valueOf(object.config, 'num_ifs');
  return interfaceId < (object.type === 'dpsw' ? interfaces : object.type === 'dpdmux' ? interfaces + 1 : 1);
}

function same(a: McEndpoint, b: McEndpoint): boolean {
  return a.object === b.object && (a.interfaceId ?? 0) === (b.interfaceId ?? 0);
}

function nameOf({ object, interfaceId }: McEndpoint): string {
  return `${object.name}.${interfaceId ?? 0}`;
}
