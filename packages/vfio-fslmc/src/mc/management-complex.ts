import { get, set, type Host } from '@vsim/vfio-core';
import { fillFromLayout } from '../dpl/fill.ts';
import { readLayout } from '../dpl/layout.ts';
import { writeDpl, type WriteDplOptions } from '../dpl/write.ts';
import { mcChoices, type McChoices, type McPreset } from './choices.ts';
import { COMMAND_SIZE, MC_STATUS_AUTH_ERR, MC_STATUS_BUSY, MC_STATUS_CONFIG_ERR, MC_STATUS_NO_RESOURCE, MC_STATUS_OK, MC_STATUS_READY, PARAMS, mc_header } from './command.ts';
import { execute, type Execution } from './commands.ts';
import { ControlRegisters } from './control-registers.ts';
import { Firmware, type McVersion } from './firmware.ts';
import { McLinks } from './links.ts';
import { McContainer, type McContainerInit, type ObjectPlacer } from './mc-container.ts';
import { McPlaces } from './mc-places.ts';
import type { McPortal } from './mc-portal.ts';
import type { McObject, McObjectInit, McRegionKind } from './mc-object.ts';
import type { McFault, McSubmission, McWatcher } from './mc-watch.ts';

/** Where the MC lies, which firmware runs on it, and how its root container is made. */
export interface ManagementComplexInit {
  /** Physical address of the MC's portals, 64 MiB. @default 0x8_0c00_0000 */
  readonly base?: number | undefined;
  /** Physical address of the queue manager's portals, 32 MiB. @default 0x8_1800_0000 */
  readonly qbmanBase?: number | undefined;
  /** Physical address of the control registers; 'none', the firmware's description does not tell it. @default 0x8_3400_0000 */
  readonly control?: number | 'none' | undefined;
  /** Isolation context of the root container. @default 0 */
  readonly icid?: number | undefined;
  /** The release, as 10.36.0: which commands there are, and in which versions. @default '10.28.0' */
  readonly release?: string | undefined;
  /** Of the commands of containers, as [6, 3]. @default the release's */
  readonly apiVersion?: McVersion | undefined;
  /** See McPreset. @default 'firmware' */
  readonly preset?: McPreset | undefined;
  /** Single choices over the preset. */
  readonly choices?: Partial<McChoices> | undefined;
  /** Of the root container: options and label. @default as firmware has them */
  readonly root?: Pick<McContainerInit, 'options' | 'label'> | undefined;
}

/** The most sessions of one portal: there are no more tokens. */
const MOST_SESSIONS = 0xffff;

/**
 * The Management Complex: firmware behind command portals, with a tree of containers.
 *
 * Modelled: a release's commands and versions, sessions, attributes, interrupts, creation, assignment, connection and destruction by
 * command. Not modelled: what a network interface does with packets; the queue manager's portals are plain memory.
 *
 * @example
 * ```ts
 * import { ApicMsi, Host, Mmu500Iommu } from '@vsim/vfio-core';
 * import { FslMcBus, ManagementComplex } from '@vsim/vfio-fslmc';
 *
 * const host = new Host();
 * const bus = new FslMcBus(host, { mc: new ManagementComplex(host), iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
 * host.scheduler.call('boot', bus.start());
 * console.log(bus.devices.map(({ name }) => name).join()); // dprc.1
 * ```
 */
export class ManagementComplex implements ObjectPlacer {
  /** The host in whose physical memory it lies. */
  readonly host: Host;
  /** Physical address of its command portals, 64 KiB each. */
  readonly base: number;
  /** Physical address of the queue manager's portals, 64 KiB each. */
  readonly qbmanBase: number;
  /** What this firmware does where the headers leave it open. */
  readonly choices: McChoices;
  /** Its release, and what that knows. */
  readonly firmware: Firmware;
  /** GCR1 and GSR; undefined: the machine does not say where they are. */
  readonly control: ControlRegisters | undefined;
  /** The root container, dprc.1. */
  readonly root: McContainer;
  /** Which objects are connected. */
  readonly links: McLinks = new McLinks();
  /** The firmware does not answer: commands stay as they were submitted. */
  hung = false;
  readonly #places: McPlaces;
  #nextToken: number;
  readonly #watchers = new Set<McWatcher>();

  /**
   * Maps portals and control registers into the host's memory, with a root container that is empty.
   *
   * @throws RangeError for a release that is none, or addresses that are taken
   */
  constructor(host: Host, init: ManagementComplexInit = {}) {
    this.host = host;
    this.base = init.base ?? 0x8_0c00_0000;
    this.qbmanBase = init.qbmanBase ?? 0x8_1800_0000;
    this.choices = mcChoices(init.preset ?? 'firmware', init.choices);
    this.firmware = new Firmware(init.release ?? '10.28.0', init.apiVersion);
    this.#nextToken = this.choices.firstToken;
    this.#places = new McPlaces(host, this.base, this.qbmanBase, (portal) => { this.#submit(portal); });
    this.control = init.control === 'none' ? undefined : new ControlRegisters(host, init.control ?? 0x8_3400_0000);
    this.root = new McContainer(host, this, { ...init.root, id: 1, icid: init.icid ?? 0 }, true);
    this.place(this.root, this.root, { type: 'dprc', id: 1 });
  }

  /**
   * The complex that a data path layout describes: device tree source, or a compiled blob. Ids, options and labels are the layout's, all is
   * plugged; ICIDs and portals are the next ones. @throws DplError, which names line and node; RangeError where it is more than there is room for
   */
  static fromDpl(host: Host, dpl: string | Uint8Array, init: ManagementComplexInit = {}): ManagementComplex {
    const layout = readLayout(dpl);
    const mc = new ManagementComplex(host, { ...init, root: { ...init.root, options: layout.containers[0]?.options } });
    fillFromLayout(mc, layout);
    return mc;
  }

  /** What is in it now as a layout: the text that `restool dprc generate-dpl dprc.1` prints. */
  toDpl(options?: WriteDplOptions): string {
    return writeDpl(this, options);
  }

  /** Of the commands of containers. */
  get apiVersion(): McVersion {
    return this.firmware.dprcVersion;
  }

  /** Physical address of a kind of region. */
  baseOf(kind: McRegionKind): number {
    return kind === 'mc-portal' ? this.base : this.qbmanBase;
  }

  get #portals(): readonly McPortal[] {
    return [...this.#places.portals.values()];
  }

  /** How many sessions there are, over all portals. */
  get handles(): number {
    return this.#portals.reduce((sum, { open }) => sum + open.size, 0);
  }

  /** How many portals of the MC and of the queue manager are in use. */
  get places(): { readonly portals: number; readonly qbman: number } {
    return this.#places.used;
  }

  /** Whether an object is open through any portal. */
  isOpen(object: McObject): boolean {
    return this.portalsWith(object).length > 0;
  }

  /** The portals through which an object is open. */
  portalsWith(object: McObject): readonly McPortal[] {
    return this.#portals.filter(({ open }) => [...open.values()].includes(object));
  }

  /** The portal of an object that has one. */
  portalOf(object: McObject): McPortal | undefined {
    return this.#places.portalOf(object);
  }

  /** Whether a number is that of a portal nobody has. @param slot in [0, 1024) */
  isFreePortal(slot: number): boolean {
    return this.#places.isFree(slot);
  }

  /** The lowest isolation context that no container has; undefined where all are taken. */
  freeIcid(): number | undefined {
    const taken = new Set(this.root.all.map(({ icid }) => icid));
    const [first, count] = this.choices.icids;
    for (let icid = first; icid < first + count; icid += 1) if (!taken.has(icid)) return icid;
    return undefined;
  }

  /** Whether portals are left for another object of a type. */
  hasRoomFor(type: string): boolean {
    return this.#places.hasRoomFor(type);
  }

  /** API version of the objects of a type that this release makes. */
  versionOf(type: string): McVersion {
    return this.firmware.objectVersion(type);
  }

  /**
   * Gives an object that comes its regions: a command portal for dprc and dpmcp, two views of a queue manager's portal for dpio.
   *
   * @throws RangeError where none is free
   */
  place(object: McObject, container: McContainer, init: McObjectInit): void {
    this.#places.place(object, container, init, 'portal' in init && typeof init.portal === 'number' ? init.portal : undefined);
  }

  /** An object goes: its regions, links and sessions end, and a container's resources return to its parent. */
  displace(object: McObject): void {
    if (object instanceof McContainer) {
      for (const child of object.objects) this.displace(child);
      object.pools.giveAll((object.parent ?? this.root).pools);
    }
    this.#places.displace(object);
    this.links.forget(object);
    for (const { open } of this.#portals) for (const [token, other] of open) if (other === object) open.delete(token);
  }

  /**
   * An object has come into another container: a dpmcp's portal goes with it, and sessions that no longer reach what they stand for end.
   */
  moved(object: McObject, container: McContainer): void {
    const portal = object.type === 'dpmcp' ? this.portalOf(object) : undefined;
    if (portal !== undefined) portal.container = container;
    this.#dropStrays();
  }

  /** A session for what is no longer below the portal's container ends. */
  #dropStrays(): void {
    for (const { container, open } of this.#portals) {
      for (const [token, object] of open) if (object !== container && object.parent?.isWithin(container) !== true) open.delete(token);
    }
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

  /**
   * A session for an object in the portal's container or below it.
   *
   * @param type as `dpni`
   * @param id 32 bits
   * @returns the token with MC_STATUS_OK; or token 0 with CONFIG_ERR for what is not there, BUSY for what is open (where the choices say
   * so), NO_RESOURCE for a portal with 65535 sessions
   */
  open(portal: McPortal, type: string, id: number): { readonly status: number; readonly token: number } {
    const object = portal.container.find(type, id);
    if (object === undefined) return { status: MC_STATUS_CONFIG_ERR, token: 0 };
    if (this.choices.reopen === 'busy' && [...portal.open.values()].includes(object)) return { status: MC_STATUS_BUSY, token: 0 };
    if (portal.open.size === MOST_SESSIONS) return { status: MC_STATUS_NO_RESOURCE, token: 0 };
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
      params: command.slice(PARAMS, COMMAND_SIZE),
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
}
