import { DmaLog, type Host, type RecordedState } from '@vsim/vfio-core';
import { PCI_SUBSYSTEM_VENDOR_ID, PCI_VENDOR_ID, PciFunction, ones, read16, type PciFunctionInit } from '@vsim/vfio-pci';
import { NVME_EVENT, NVME_NOTICE_NAMESPACE, NVME_SMART_TEMPERATURE } from './async-events.ts';
import type { BusMaster } from './bus-master.ts';
import { NvmeCore } from './core.ts';
import { Engine, type EngineOwner } from './engine.ts';
import { NVME_BAD_DOORBELL, NVME_BUSY, NVME_COMMAND_FAILED, NVME_FATAL, NVME_OWN_DMA, NVME_STATE_REFUSED } from './events.ts';
import { idOf } from './held-commands.ts';
import { Interrupts } from './interrupts.ts';
import { limitsOf, type NvmeInit } from './limits.ts';
import { Namespace, type NvmeNamespaceInit } from './namespace.ts';
import { NVME_FEATURE } from './opcodes.ts';
import { ringDoorbell } from './doorbells.ts';
import { NVME_CSTS_CFS, NVME_CSTS_RDY, NVME_REGISTER } from './registers.ts';
import { RegisterFile } from './register-file.ts';
import { loadState, pageOf, saveState, stateLimit } from './state.ts';
import { NVME_STATUS_CODE } from './status.ts';

/** A command that was fetched and is not completed. */
export interface NvmeInFlight {
  /** The submission queue that it came from. */
  readonly queue: number;
  /** Command Identifier, 16 bits. */
  readonly command: number;
  /** NVME_IO. */
  readonly opcode: number;
}

/**
 * An NVMe controller of our own: NVM Express Base 1.4 with the NVM command set.
 *
 * A command is done when its doorbell is rung, or, with `hold`, stays in flight until serve(). Modelled: registers, enabling, shutdown and
 * reset, admin and I/O queues with round robin, PRPs and SGLs, Identify, features, log pages, asynchronous events, Abort, interrupts by
 * MSI-X, MSI or INTx, and the state for a migration. Not modelled: fused commands, metadata and protection information, namespace
 * management, Format, firmware, sanitize, directives, reservations, the controller memory buffer, weighted arbitration; interrupts are not
 * coalesced. A doorbell that is rung with the value that it has is no error here.
 */
export class NvmeController extends PciFunction implements RecordedState {
  /** Bytes of its state, at most. */
  readonly stateLimit: number;
  /** The pages that it has written while logging is on, in pages of up to 1 GiB. */
  readonly dmaLog: DmaLog = new DmaLog(2n ** 30n);
  readonly #core: NvmeCore;
  readonly #engine: Engine;
  readonly #interrupts: Interrupts;
  readonly #registers: RegisterFile;
  /** Stopped for migration. */
  #stopped = false;
  /** Its own DMA is under way: what reaches its registers now is that DMA. */
  #moving = false;

  /**
   * @param init as of any function; createNvme() makes the whole
   * @throws RangeError for limits or namespaces that there cannot be
   */
  constructor(host: Host, init: PciFunctionInit, nvme: NvmeInit) {
    super(host, init);
    const limits = limitsOf(nvme, init.address);
    this.#core = new NvmeCore(limits, this.#memory());
    nvme.namespaces?.forEach((each, n) => (this.#core.namespaces[n + 1] = new Namespace(n + 1, each, limits.serial)));
    this.#interrupts = new Interrupts(this);
    this.#registers = new RegisterFile(this.#core, this.#interrupts, (why) => this.#tellFatal(why));
    this.#engine = new Engine(this.#core, this.#interrupts, this.#owner(), nvme.hold ?? false);
    this.stateLimit = stateLimit(this.#core);
    this.logDma((frame, offset, length) => this.dmaLog.wroteFrames(frame, offset, length));
  }

  /** Whether it is enabled, and takes commands: CSTS.RDY without CFS. */
  get isReady(): boolean {
    return (this.#registers.values.csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)) === NVME_CSTS_RDY;
  }

  /** Whether it is stopped for migration: nothing is fetched, and nothing completed. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Whether I/O commands stay in flight until serve(). Switched off, those that wait are done at once. */
  get hold(): boolean {
    return this.#engine.holding;
  }

  set hold(holding: boolean) {
    this.#engine.holding = holding;
    this.#engine.work();
  }

  /** Commands in flight, oldest first. */
  get inFlight(): readonly NvmeInFlight[] {
    return this.#core.held.list.map((each) => ({ queue: each.queue, command: idOf(each), opcode: each.bytes[0]! }));
  }

  /**
   * Does commands in flight, oldest first; one whose completion queue is full stays. Commands of the queues take their places.
   *
   * @param count how many at most
   * @returns how many it did; 0 while it is stopped or off
   */
  serve(count = 1): number {
    return this.#engine.serve(count);
  }

  /** The composite temperature, in kelvin. Past a threshold it is an event, if the driver wants such events. */
  get temperature(): number {
    return this.#core.health.temperature;
  }

  set temperature(kelvin: number) {
    const { health, features, events } = this.#core;
    health.temperature = Math.min(Math.max(Math.round(kelvin), 0), 0xffff);
    const passes = health.passes(features.current(NVME_FEATURE.TEMPERATURE_THRESHOLD), features.underTemperature);
    if (!passes || (features.current(NVME_FEATURE.ASYNC_EVENT) & 2) === 0) return;
    events.add(NVME_EVENT.SMART, NVME_SMART_TEMPERATURE);
    this.#engine.work();
  }

  /**
   * Attaches a namespace, or puts another in its place; the driver hears of it if it wants notices.
   *
   * @param id from 1 to the highest that there may be
   * @throws RangeError for another id, or a namespace that there cannot be
   */
  attach(id: number, init: NvmeNamespaceInit): void {
    this.#checkNamespace(id);
    this.#core.namespaces[id] = new Namespace(id, init, this.#core.limits.serial);
    this.#namespaceChanged(id);
  }

  /** Takes a namespace away. @param id from 1 to the highest that there may be @throws RangeError for another id */
  detach(id: number): void {
    this.#checkNamespace(id);
    this.#core.namespaces[id] = undefined;
    this.#namespaceChanged(id);
  }

  /** Stops for migration: doorbells are kept until start(). */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs again: what was rung meanwhile is done now. */
  start(): void {
    this.#stopped = false;
    this.#interrupts.release(this.#core.queues);
    this.#engine.work();
  }

  /** Its state: registers, features, queues, commands in flight, events, logs. What the namespaces hold is their stores'. */
  save(): Uint8Array {
    return saveState(this.#core, this.#registers.values, this.#interrupts.mask, this.#interrupts.pending);
  }

  /** Takes a state that save() gave, of a controller with the same limits, names and namespaces. @returns false for another, with nothing changed */
  load(bytes: Uint8Array): boolean {
    const state = loadState(this.#core, bytes);
    if (typeof state === 'string') {
      if (this.host.trace.on) this.host.trace.emit(NVME_STATE_REFUSED, { device: this.name, why: state });
      return false;
    }
    const core = this.#core;
    Object.assign(this.#registers.values, state.registers);
    this.#interrupts.mask = state.mask;
    this.#interrupts.pending = state.pending;
    core.adopt(state);
    core.page = pageOf(state.registers.cc);
    return true;
  }

  /** A configuration write; with bus mastering on again, it goes on. @param offset bytes @param width 1, 2 or 4 bytes @param value unsigned */
  override configWrite(offset: number, width: number, value: number): void {
    super.configWrite(offset, width, value);
    if (this.#stopped) return;
    this.#interrupts.updatePin(this.#core.queues);
    this.#engine.work();
  }

  /**
   * A register; 0 where there is none, and of a doorbell.
   *
   * @param bar 0; others read ones
   * @param offset bytes
   * @param width 1, 2 or 4 bytes
   */
  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar !== 0) return ones(width);
    const word = this.#registers.read(offset - (offset % 4));
    return width === 4 ? word : (word >>> (8 * (offset % 4))) & ones(width);
  }

  /**
   * Writes a register or rings a doorbell, by accesses of 4 bytes or of 8 as two.
   *
   * @param bar 0; others ignore it
   * @param offset bytes
   * @param width 4 bytes; others are ignored
   * @param value 32 bits
   */
  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar !== 0) return;
    if (this.#moving) {
      if (this.host.trace.on) this.host.trace.emit(NVME_OWN_DMA, { device: this.name, offset });
      return;
    }
    if (width !== 4) return;
    if (offset >= NVME_REGISTER.DOORBELLS) this.#ring(offset, value);
    else if (this.#registers.write(offset, value) && !this.#stopped) this.#interrupts.release(this.#core.queues);
  }

  /** Registers to their defaults; saved features, logs and namespaces stay. */
  protected override reset(): void {
    this.#registers.reset();
    this.#core.reset();
    this.#interrupts.reset();
  }

  /** Doorbells of a controller that takes no commands are not heard. */
  #ring(offset: number, value: number): void {
    if (!this.#registers.takesCommands) return;
    const why = ringDoorbell(this.#core, offset, value);
    if (why !== undefined && this.host.trace.on) this.host.trace.emit(NVME_BAD_DOORBELL, { device: this.name, offset, value, why });
    if (this.#stopped) return;
    this.#interrupts.updatePin(this.#core.queues);
    this.#engine.work();
  }

  #checkNamespace(id: number): void {
    const { maxNamespaces } = this.#core.limits;
    if (!(Number.isInteger(id) && id >= 1 && id <= maxNamespaces)) throw new RangeError(`"id" expected an integer in [1, ${maxNamespaces}], got ${id}`);
  }

  #namespaceChanged(id: number): void {
    const core = this.#core;
    core.changedNamespaces.add(id);
    if ((core.features.current(NVME_FEATURE.ASYNC_EVENT) & 0x100) === 0) return;
    core.events.add(NVME_EVENT.NOTICE, NVME_NOTICE_NAMESPACE);
    this.#engine.work();
  }

  #tellFatal(why: string): void {
    if (this.host.trace.on) this.host.trace.emit(NVME_FATAL, { device: this.name, why });
  }

  /** Its way to memory, which marks what it does to registers as its own. */
  #memory(): BusMaster {
    return {
      read: (lo, hi, into, offset) => this.dmaReadWide(lo, hi, into, offset),
      write: (lo, hi, from, offset) => {
        this.#moving = true;
        try {
          return this.dmaWriteWide(lo, hi, from, offset);
        } finally {
          this.#moving = false;
        }
      },
    };
  }

  #owner(): EngineOwner {
    const isRunning = (): boolean => !this.#stopped && this.isMaster && this.#registers.takesCommands;
    const cc = (): number => this.#registers.values.cc;
    const vectors = (): number => Math.min(this.#interrupts.vectors, this.#core.limits.vectors);
    const ids = [read16(this.config.bytes, PCI_VENDOR_ID), read16(this.config.bytes, PCI_SUBSYSTEM_VENDOR_ID)] as const;
    return {
      get running() {
        return isRunning();
      },
      get cc() {
        return cc();
      },
      get vectors() {
        return vectors();
      },
      ids,
      fatal: (why) => {
        this.#registers.values.csts |= NVME_CSTS_CFS;
        this.#tellFatal(why);
      },
      busy: (commands) => {
        if (this.host.trace.on) this.host.trace.emit(NVME_BUSY, { device: this.name, commands });
      },
      failed: (queue, field) => this.#failed(queue, field),
    };
  }

  #failed(queue: number, field: number): void {
    const { command, errors } = this.#core;
    errors.add(queue, command.id, field, command.namespace, queue === 0 ? 0 : command.dword(10), queue === 0 ? 0 : command.dword(11));
    if (!this.host.trace.on) return;
    this.host.trace.emit(NVME_COMMAND_FAILED, { device: this.name, queue, command: command.id, opcode: command.opcode, status: field & NVME_STATUS_CODE });
  }
}
