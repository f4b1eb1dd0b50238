/**
 * The Management Complex: firmware behind command portals, with a tree of containers. Catalogue: vfio 5.1 to 5.3.
 *
 * Modelled: versions, open and close with tokens, attributes, enable, reset, interrupts, and what a container tells of its objects and their links.
 * Not modelled: what a network interface does with packets, creation and connection by command.
 */
import { get, set, type Host, type MmioDevice } from '@vsim/vfio-core';
import {
  COMMAND_SIZE,
  MC_STATUS_AUTH_ERR,
  MC_STATUS_BUSY,
  MC_STATUS_CONFIG_ERR,
  MC_STATUS_OK,
  MC_STATUS_READY,
  PARAMS,
  mc_header,
} from './command.ts';
import { execute, type Execution } from './commands.ts';
import { McLinks } from './links.ts';
import { McContainer, type ObjectPlacer } from './mc-container.ts';
import { McPortal, PORTAL_SIZE } from './mc-portal.ts';
import type { McObject, McObjectInit, McRegionKind } from './mc-object.ts';
import type { McFault, McSubmission, McWatcher } from './mc-watch.ts';

export interface ManagementComplexInit {
  /** Physical address of the MC's portals. @default 0x8_0c00_0000 */
  readonly base?: number | undefined;
  /** Physical address of the queue manager's portals. @default 0x8_1800_0000 */
  readonly qbmanBase?: number | undefined;
  /** Isolation context of the root container. @default 0 */
  readonly icid?: number | undefined;
  /** Of the DPRC commands. @default [6, 6] */
  readonly apiVersion?: readonly [number, number] | undefined;
}

const SILENT: MmioDevice = { read: () => 0, write: () => undefined };

export class ManagementComplex implements ObjectPlacer {
  readonly host: Host;
  readonly base: number;
  readonly qbmanBase: number;
  readonly apiVersion: readonly [number, number];
  readonly root: McContainer;
  /** Which objects are connected. */
  readonly links: McLinks = new McLinks();
  /** The firmware does not answer: commands stay as they were submitted. */
  hung = false;
  readonly #portals: McPortal[] = [];
  #nextQbman = 0;
  #nextToken = 1;
  readonly #unmap = new Map<McObject, (() => void)[]>();
  readonly #watchers = new Set<McWatcher>();

  constructor(host: Host, init: ManagementComplexInit = {}) {
    this.host = host;
    this.base = init.base ?? 0x8_0c00_0000;
    this.qbmanBase = init.qbmanBase ?? 0x8_1800_0000;
    this.apiVersion = init.apiVersion ?? [6, 6];
    this.root = new McContainer(host, this, { id: 1, icid: init.icid ?? 0 });
    this.place(this.root, this.root, { type: 'dprc', id: 1 });
  }

  /** Physical address of a kind of region. */
  baseOf(kind: McRegionKind): number {
    return kind === 'mc-portal' ? this.base : this.qbmanBase;
  }

  /** How many handles are open, over all portals. */
  get handles(): number {
    return this.#portals.reduce((sum, { open }) => sum + open.size, 0);
  }

  isOpen(object: McObject): boolean {
    return this.#portals.some(({ open }) => [...open.values()].includes(object));
  }

  /** The portal of an object that has one. */
  portalOf(object: McObject): McPortal | undefined {
    const region = object.regions.find(({ kind }) => kind === 'mc-portal');
    return region === undefined ? undefined : this.#portals[region.offset / PORTAL_SIZE];
  }

  place(object: McObject, container: McContainer, init: McObjectInit): void {
    if (object.type === 'dprc' || object.type === 'dpmcp') this.#placePortal(object, container);
    else if (object.type === 'dpio') this.#placeQueues(object, init.portals ?? []);
  }

  displace(object: McObject): void {
    if (object instanceof McContainer) for (const child of object.objects) this.displace(child);
    for (const unmap of this.#unmap.get(object) ?? []) unmap();
    this.#unmap.delete(object);
    this.links.forget(object);
    const portal = this.portalOf(object);
    if (portal !== undefined) portal.gone = true;
    for (const { open } of this.#portals) for (const [token, other] of open) if (other === object) open.delete(token);
  }

  /** Closes what is open of the container's objects, and resets them; the container's own handle stays. */
  resetContainer(container: McContainer, recursive: boolean): void {
    container.resets += 1;
    for (const object of container.objects) {
      if (object instanceof McContainer) {
        if (recursive) this.resetContainer(object, true);
        continue;
      }
      object.reset();
      for (const portal of this.#portals) {
        if (portal.container !== container) continue;
        for (const [token, other] of portal.open) if (other === object) portal.open.delete(token);
      }
    }
  }

  /** Through one portal an object is open at most once. @returns the token, or a status */
  open(portal: McPortal, type: string, id: number): { readonly status: number; readonly token: number } {
    const object = portal.container.find(type, id);
    if (object === undefined) return { status: MC_STATUS_CONFIG_ERR, token: 0 };
    if ([...portal.open.values()].includes(object)) return { status: MC_STATUS_BUSY, token: 0 };
    while (this.#nextToken === 0 || portal.open.has(this.#nextToken)) this.#nextToken = (this.#nextToken + 1) & 0xffff;
    const token = this.#nextToken;
    this.#nextToken = (this.#nextToken + 1) & 0xffff;
    portal.open.set(token, object);
    return { status: MC_STATUS_OK, token };
  }

  /** Listens to every command. @returns what ends it */
  watch(watcher: McWatcher): () => void {
    this.#watchers.add(watcher);
    return () => { this.#watchers.delete(watcher); };
  }

  /** The firmware goes on after it has hung: what waits in a portal is answered now. */
  recover(): void {
    this.hung = false;
    for (const portal of this.#portals) if (portal.stuck) this.#submit(portal);
  }

  #submit(portal: McPortal): void {
    const { command } = portal;
    // What has another status was not submitted: the MC does not look at it.
    if (this.hung || get(command, mc_header.status) !== MC_STATUS_READY) return;
    const id = get(command, mc_header.cmd_id);
    const token = get(command, mc_header.token);
    const submission: McSubmission = { portal, command: id >>> 4, version: id & 0xf, object: portal.open.get(token), bytes: command.slice() };
    let fault: McFault | undefined;
    for (const watcher of this.#watchers) fault ??= watcher.submitted?.(submission);
    const tell = (answer: Uint8Array | undefined): void => { for (const watcher of [...this.#watchers]) watcher.answered?.(submission, answer); };
    const answer = (): void => {
      this.#answer(submission, fault);
      tell(command.slice());
    };
    const delay = fault?.delay ?? 0;
    if (fault?.hangs !== true && delay === 0) {
      answer();
      return;
    }
    tell(undefined);
    if (fault?.hangs !== true) portal.answerLater(delay, answer);
  }

  #answer({ portal, command: id, version, object }: McSubmission, fault: McFault | undefined): void {
    const { command } = portal;
    const execution: Execution = {
      mc: this,
      portal,
      object,
      version,
      params: command.subarray(PARAMS, COMMAND_SIZE),
      out: new Uint8Array(COMMAND_SIZE - PARAMS),
      token: get(command, mc_header.token),
    };
    const status = fault?.status ?? (portal.gone ? MC_STATUS_AUTH_ERR : execute(id, execution));
    if (status === MC_STATUS_OK) {
      command.set(execution.out, PARAMS);
      set(command, mc_header.token, execution.token);
    }
    set(command, mc_header.status, status);
    for (const [at, bytes] of fault?.patch ?? []) command.set(bytes, at);
  }

  #placePortal(object: McObject, container: McContainer): void {
    const portal = new McPortal(this.#portals.length, container, this.host.scheduler, (submitted) => { this.#submit(submitted); });
    this.#portals.push(portal);
    const offset = portal.id * PORTAL_SIZE;
    object.regions.push({ kind: 'mc-portal', offset, size: PORTAL_SIZE, flags: 0 });
    // It stays in the address space when the object has gone: whoever still has it mapped is told AUTH_ERR.
    this.host.memory.map(this.base + offset, PORTAL_SIZE, portal);
  }

  /** A dpio has its portal twice: cached and shareable, and not. */
  #placeQueues(object: McObject, portals: readonly MmioDevice[]): void {
    const unmap: (() => void)[] = [];
    for (const [i, flags] of [3, 0].entries()) {
      const offset = this.#nextQbman;
      this.#nextQbman += PORTAL_SIZE;
      object.regions.push({ kind: i === 0 ? 'qbman-memory' : 'qbman', offset, size: PORTAL_SIZE, flags });
      unmap.push(this.host.memory.map(this.qbmanBase + offset, PORTAL_SIZE, portals[i] ?? SILENT));
    }
    this.#unmap.set(object, unmap);
  }
}
