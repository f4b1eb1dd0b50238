import { AsyncEvents } from './async-events.ts';
import type { BusMaster } from './bus-master.ts';
import { Command } from './command.ts';
import { ErrorLog } from './error-log.ts';
import { Features } from './features.ts';
import { Health } from './health.ts';
import { HeldCommands, type HeldCommand } from './held-commands.ts';
import type { NvmeLimits } from './limits.ts';
import type { Namespace } from './namespace.ts';
import { PrpReader } from './prp.ts';
import { Queues } from './queues.ts';
import { NVME_PAGE } from './registers.ts';
import { Segments } from './segments.ts';
import { SglReader } from './sgl.ts';
import { NVME_STATUS } from './status.ts';
import { TransferBuffer } from './transfer-buffer.ts';

/** Parts that a state brings. @internal */
export interface AdoptedParts {
  readonly features: Features;
  readonly events: AsyncEvents;
  readonly errors: ErrorLog;
  readonly health: Health;
  readonly changed: readonly number[];
  readonly queues: Pick<Queues, 'submissions' | 'completions'>;
  readonly held: readonly HeldCommand[];
}

/** What all commands of a controller share: its parts, the command at work, and the way of its data. @internal */
export class NvmeCore {
  readonly limits: NvmeLimits;
  readonly memory: BusMaster;
  /** By id; there is no namespace 0. */
  readonly namespaces: (Namespace | undefined)[];
  readonly changedNamespaces: Set<number> = new Set<number>();
  readonly command: Command = new Command();
  readonly buffer: TransferBuffer;
  readonly held: HeldCommands = new HeldCommands();
  readonly queues: Queues;
  features: Features;
  events: AsyncEvents = new AsyncEvents();
  errors: ErrorLog = new ErrorLog();
  health: Health = new Health();
  /** Bytes of a memory page, by CC.MPS. */
  page: number = NVME_PAGE;
  /** Dword 0 of the completion. */
  result = 0;
  readonly #segments = new Segments();
  readonly #prps = new PrpReader();
  readonly #sgls = new SglReader();

  constructor(limits: NvmeLimits, memory: BusMaster) {
    this.limits = limits;
    this.memory = memory;
    this.namespaces = new Array<Namespace | undefined>(limits.maxNamespaces + 1).fill(undefined);
    this.buffer = new TransferBuffer(limits.maxTransfer, 512);
    this.queues = new Queues(limits.ioQueues);
    this.features = new Features(limits.ioQueues, limits.vectors);
  }

  /** Takes the parts of a state over. */
  adopt(state: AdoptedParts): void {
    this.features = state.features;
    this.events = state.events;
    this.errors = state.errors;
    this.health = state.health;
    this.changedNamespaces.clear();
    for (const id of state.changed) this.changedNamespaces.add(id);
    state.queues.completions.forEach((queue, id) => (this.queues.completions[id] = queue));
    state.queues.submissions.forEach((queue, id) => (this.queues.submissions[id] = queue));
    this.held.clear();
    for (const { queue, completions, head, bytes, status } of state.held) this.held.add(queue, completions, head, bytes, status);
  }

  /** A controller level reset: queues, commands in flight and events are gone. */
  reset(): void {
    this.queues.clear();
    this.held.clear();
    this.events.clear();
    this.features.reset();
  }

  /**
   * Where the command's data are; they are not moved yet.
   *
   * @param length bytes, from 1 to the largest transfer
   * @param toHost they go to the driver
   * @returns a status
   */
  mapData(length: number, toHost: boolean): number {
    if (this.command.psdt === 0) return this.#prps.map(this.memory, this.command, length, this.page, this.#segments);
    return this.#sgls.map(this.memory, this.command, length, toHost, this.#segments);
  }

  /** The driver's data into the buffer. @returns a status */
  gather(): number {
    return this.#segments.gather(this.memory, this.buffer) ? NVME_STATUS.SUCCESS : NVME_STATUS.DATA_TRANSFER_ERROR;
  }

  /** The buffer into the driver's memory. @returns a status */
  scatter(): number {
    return this.#segments.scatter(this.memory, this.buffer) ? NVME_STATUS.SUCCESS : NVME_STATUS.DATA_TRANSFER_ERROR;
  }

  /** A page of an admin command, whole. @returns a status */
  send(page: Uint8Array): number {
    const status = this.mapData(page.length, true);
    if (status !== NVME_STATUS.SUCCESS) return status;
    this.buffer.bytes.set(page);
    return this.scatter();
  }

  /** A namespace that is active; undefined for another id. @param id 32 bits */
  namespace(id: number): Namespace | undefined {
    return id < this.namespaces.length ? this.namespaces[id] : undefined;
  }

  /** Why a command may not name a namespace that is not active: 6.1.4 and 6.1.5. @param namespace its id, 32 bits @returns a status */
  refusalOf(namespace: number): number {
    return namespace === 0 || namespace > this.limits.maxNamespaces ? NVME_STATUS.INVALID_NAMESPACE : NVME_STATUS.INVALID_FIELD;
  }
}
