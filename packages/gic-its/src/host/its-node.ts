import { ENOMEM, writeWords, type Host } from '@vsim/vfio-core';
import { BASER_TYPE, GITS, type Its } from '../hardware/index.ts';
import { QUEUE_STUCK } from './events.ts';
import type { HostCpus } from './host-cpus.ts';
import type { HostMemoryView } from './host-memory-view.ts';

/** 2048 commands. */
const QUEUE_BYTES = 0x1_0000;
const COMMAND_BYTES = 32;
const PAGE_64K = 0x1_0000;

const TYPER_PTA = 0x8_0000;
const CTLR_ENABLED = 1;
/** Implicit doorbells: GICv4. */
const CTLR_IMDE = 2;
const VALID = 0x8000_0000;
const INDIRECT = 0x4000_0000;
/** Inner shareable; normal, read- and write-allocate, write-back inside. */
const SHAREABLE = 0x400;
const CACHEABLE = 7 << 27;

interface Level1 {
  readonly address: number;
  readonly entriesPerPage: number;
}

/**
 * One ITS as the host drives it: its tables in RAM, and its command queue.
 *
 * Kernel: struct its_node, its_alloc_tables(), its_send_single_command() and friends of irq-gic-v3-its.c.
 * Modelled: two-level device and vPE tables, a vPE table that ITSs of GICv4.1 share, posting with wrap, waiting for CREADR.
 * Not modelled: MMIO quirks, NUMA, pages of less than 64 KiB.
 */
export class ItsNode {
  /** The ITS's place in Gic.its. */
  readonly index: number;
  /** The hardware. */
  readonly its: Its;
  /** GITS_TYPER.Virtual. */
  readonly isV4: boolean;
  /** GITS_TYPER.VMAPP. */
  readonly isV41: boolean;
  /** GITS_TYPER.VMOVP: one VMOVP moves a vPE for all ITSs. */
  readonly movesForAll: boolean;
  /** Where redistributors are, with GITS_TYPER.PTA; undefined: an ITS that knows them by number. */
  readonly #targets: readonly number[] | undefined;
  readonly #host: Host;
  readonly #cpus: HostCpus;
  readonly #view: HostMemoryView;
  /** GICv4.1: an ITS of the same group, whose vPE table this one uses. Kernel: find_sibling_its(). */
  readonly #sibling: ItsNode | undefined;
  readonly #queue: number;
  #write = 0;
  readonly #command = new Uint32Array(8);
  #devices: Level1 | undefined;
  #vpes: Level1 | undefined;
  /** Low and high half of the vPE table's GITS_BASER<n>, as it reads; undefined without one. */
  vpeTable: { readonly lo: number; readonly hi: number } | undefined;

  /**
   * Gives every GITS_BASER<n> its table, the queue its memory, and enables the ITS.
   *
   * @param redistributors their physical addresses, by CPU
   * @param sibling an ITS whose vPE table this one can share, with GICv4.1
   * @throws RangeError when the host's memory does not hold the tables
   */
  constructor(host: Host, cpus: HostCpus, view: HostMemoryView, its: Its, redistributors: readonly number[], sibling: ItsNode | undefined) {
    this.#host = host;
    this.#cpus = cpus;
    this.#view = view;
    this.its = its;
    this.index = its.index;
    const { memory } = host;
    this.#targets = (memory.read32(its.base + GITS.TYPER) & TYPER_PTA) === 0 ? undefined : redistributors;
    this.isV4 = (memory.read32(its.base + GITS.TYPER) & 2) !== 0;
    this.isV41 = (memory.read32(its.base + GITS.TYPER + 4) & 0x100) !== 0;
    this.movesForAll = (memory.read32(its.base + GITS.TYPER + 4) & 0x20) !== 0;
    this.#sibling = this.isV41 ? sibling : undefined;
    for (let n = 0; n < 8; n += 1) this.#provide(n);
    this.#queue = this.#table(QUEUE_BYTES);
    this.#store(GITS.CBASER, (this.#queue % 0x1_0000_0000) + SHAREABLE + QUEUE_BYTES / 4096 - 1, high(this.#queue) + VALID + CACHEABLE);
    this.#store(GITS.CWRITER, 0, 0);
    memory.write32(its.base + GITS.CTLR, CTLR_ENABLED | (this.isV4 ? CTLR_IMDE : 0));
  }

  /** The RDbase of a CPU's redistributor, as commands have it. Kernel: its_cpu_init_collection(). @param cpu counted from 0 */
  target(cpu: number): number {
    return this.#targets === undefined ? cpu : this.#targets[cpu]! / 0x1_0000;
  }

  /** Posts commands, each built into the eight words it is given, and waits until the ITS has taken them. */
  post(...builders: ((to: Uint32Array) => void)[]): void {
    this.#cpus.withoutInterrupts(() => {
      for (const build of builders) {
        const next = (this.#write + COMMAND_BYTES) % QUEUE_BYTES;
        if (next === this.#read()) {
          this.#stuck();
          return;
        }
        build(this.#command);
        const at = this.#queue + this.#write;
        writeWords(this.#view.memory, at, this.#command, 8);
        this.#view.clean(at, COMMAND_BYTES);
        this.#write = next;
      }
      this.#store(GITS.CWRITER, this.#write, 0);
      if (this.#read() !== this.#write) this.#stuck();
    });
  }

  /** GITS_SGIR: makes a vSGI pending, without a command. @param vpeid 16 bits @param sgi 0 to 15 */
  raiseSgi(vpeid: number, sgi: number): void {
    this.#cpus.withoutInterrupts(() => this.#store(GITS.SGIR, sgi, vpeid));
  }

  /** Makes room in the device table for a DeviceID. @param device 16 bits @returns 0 or -ENOMEM */
  provideDevice(device: number): number {
    return this.#provideLevel2(this.#devices, device);
  }

  /** Makes room in the vPE table for a vPEID. @param vpeid 16 bits @returns 0, or -ENOMEM, also without a vPE table */
  provideVpe(vpeid: number): number {
    return this.#provideLevel2(this.#vpes, vpeid);
  }

  #read(): number {
    return this.#host.memory.read32(this.its.base + GITS.CREADR) & 0xf_ffe0;
  }

  #stuck(): void {
    if (this.#host.trace.on) this.#host.trace.emit(QUEUE_STUCK, { its: this.index });
  }

  #store(offset: number, lo: number, hi: number): void {
    this.#host.memory.write64(this.its.base + offset, lo, hi);
  }

  #table(bytes: number): number {
    const address = this.#view.allocateTable(bytes, 0);
    if (address === undefined) throw new RangeError(`"host" expected ${bytes} bytes of RAM for the tables of its ${this.index}, got none`);
    return address;
  }

  /** Gives GITS_BASER<n> a table: one 64 KiB page, of entries, or of level 1 entries where ids are many. */
  #provide(n: number): void {
    const register = GITS.BASER + 8 * n;
    const { memory } = this.#host;
    const hi = memory.read32(this.its.base + register + 4);
    const type = (hi >>> 24) & 7;
    if (type === 0) return;
    const entryBytes = ((hi >>> 16) & 0x1f) + 1;
    const indirect = type === BASER_TYPE.DEVICE || type === BASER_TYPE.VPE;
    const shared = type === BASER_TYPE.VPE ? this.#sibling : undefined;
    if (shared?.vpeTable !== undefined) {
      this.#store(register, shared.vpeTable.lo, shared.vpeTable.hi);
      this.#vpes = shared.#vpes;
      this.vpeTable = shared.vpeTable;
      return;
    }
    const address = this.#table(PAGE_64K);
    // 64 KiB pages: address bits [51:48] go to bits [15:12].
    const lo = (address % 0x1_0000_0000) + Math.floor(address / 2 ** 48) * 0x1000 + SHAREABLE + 0x200;
    this.#store(register, lo, ((high(address) & 0xffff) + VALID + CACHEABLE + (indirect ? INDIRECT : 0)) >>> 0);
    const level1: Level1 = { address, entriesPerPage: Math.floor(PAGE_64K / entryBytes) };
    if (type === BASER_TYPE.DEVICE) this.#devices = level1;
    if (type === BASER_TYPE.VPE) {
      this.#vpes = level1;
      this.vpeTable = { lo: memory.read32(this.its.base + register), hi: memory.read32(this.its.base + register + 4) };
    }
  }

  #provideLevel2(level1: Level1 | undefined, id: number): number {
    if (level1 === undefined) return -ENOMEM;
    const { memory } = this.#view;
    const entry = level1.address + Math.floor(id / level1.entriesPerPage) * 8;
    if ((memory.read32(entry + 4) & VALID) !== 0) return 0;
    const page = this.#view.allocateTable(PAGE_64K, 0);
    if (page === undefined) return -ENOMEM;
    memory.write32(entry, page % 0x1_0000_0000);
    memory.write32(entry + 4, (high(page) + VALID) >>> 0);
    this.#view.clean(entry, 8);
    return 0;
  }
}

function high(address: number): number {
  return Math.floor(address / 0x1_0000_0000);
}

