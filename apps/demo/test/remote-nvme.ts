/** A served NVMe controller, and a guest's driver of it over vfio-user, which goes on with another server after a migration. For tests only. */
import {
  ApicMsi,
  Host,
  MIG_STATE,
  openDevice,
  Process,
  set,
  Vfio,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_SET,
  vfio_device_feature_dma_logging_control,
  vfio_device_feature_dma_logging_range,
  vfio_device_feature_dma_logging_report,
  vfio_device_feature_mig_state,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VtdIommu,
} from '@vsim/vfio-core';
import { createNvme, NVME_ADMIN, NVME_FEATURE, NVME_REGISTER, NVME_STATUS_CODE, VfioNvmeDriver, type MemoryStore, type NvmeController } from '@vsim/devices';
import { PciBus } from '@vsim/vfio-pci';
import { ClientSession, EventFile, JoinedChannel, MemoryFile, RemoteDevice, servedDevice, ServerSession } from '@vsim/vfio-user';

const ADDRESS = '0000:00:04.0';
export const PAGE = 4096;
/** The guest's memory, in bytes; the device sees it at IOVA. Queues take its first pages, two for each pair; data lie behind. */
export const MEMORY: number = 64 * PAGE;
const IOVA = 0x10_0000;
/** The first page of data. */
export const FIRST_DATA = 8;
/** Entries of each queue. */
const ENTRIES = 16;
const READ_WRITE = 3;
const PIECE = 0x1000;

/** A server with one controller, whose I/O commands stay in flight until it serves them. */
export class NvmeServer {
  readonly disk: NvmeController;
  readonly channel: JoinedChannel;
  readonly session: ServerSession;

  constructor(store: MemoryStore, serial = 'SERVED') {
    const host = new Host();
    const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
    this.disk = createNvme(host, ADDRESS, { serial, hold: true, namespaces: [{ store }] });
    bus.plug(this.disk);
    host.scheduler.call('modprobe', bus.addDriver(new VfioNvmeDriver(new Vfio(host))));
    const process = new Process(host, { name: 'server' });
    const [client, server] = JoinedChannel.pair();
    this.session = new ServerSession(server, servedDevice(process, openDevice(process, ADDRESS, { driver: 'nvme-vfio-pci' })));
    server.attend(this.session);
    this.channel = client;
  }
}

/** What a completion says. */
export interface Done {
  readonly id: number;
  readonly queue: number;
  readonly status: number;
}

interface Pair {
  tail: number;
  head: number;
  phase: number;
  /** Where the controller has read to. */
  consumed: number;
}

/** What a guest's driver needs of its machine. */
export interface NvmeMachine {
  /** Where the device sees the beginning of the driver's memory. */
  readonly base: number;
  /** Whether each completion queue has an interrupt of its own. */
  readonly interrupts: boolean;
  /** @param at in that memory, in bytes */
  store(at: number, bytes: Uint8Array): void;
  load(at: number, length: number): Uint8Array;
  /** Writes a register of BAR 0. */
  register(at: number, value: number): void;
}

/** A driver's queues: two pages for each pair, the admin queues first. */
export class NvmeQueues {
  readonly queues: number;
  readonly #machine: NvmeMachine;
  readonly #pairs: readonly Pair[];

  /** @param queues I/O queue pairs, 3 at most */
  constructor(machine: NvmeMachine, queues: number) {
    this.#machine = machine;
    this.queues = queues;
    this.#pairs = Array.from({ length: queues + 1 }, () => ({ tail: 0, head: 0, phase: 1, consumed: 0 }));
  }

  bringUp(): void {
    const { base, interrupts } = this.#machine;
    this.#machine.register(NVME_REGISTER.AQA, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    this.#machine.register(NVME_REGISTER.ASQ, base);
    this.#machine.register(NVME_REGISTER.ACQ, base + PAGE);
    this.#machine.register(NVME_REGISTER.CC, 0x0046_0001);
    this.#admin([NVME_ADMIN.SET_FEATURES, 0, 0, NVME_FEATURE.NUMBER_OF_QUEUES, ((this.queues - 1) << 16) | (this.queues - 1)]);
    for (let id = 1; id <= this.queues; id += 1) {
      const size = ((ENTRIES - 1) << 16) | id;
      this.#admin([NVME_ADMIN.CREATE_CQ, 0, base + (2 * id + 1) * PAGE, size, interrupts ? (id << 16) | 3 : 1]);
      this.#admin([NVME_ADMIN.CREATE_SQ, 0, base + 2 * id * PAGE, size, (id << 16) | 1]);
    }
  }

  #admin(words: readonly number[]): void {
    this.submit(0, 0, words);
    const [done] = this.reap(0);
    if (done?.status !== 0) throw new Error(`an admin command ended with ${done?.status ?? 'nothing'}`);
  }

  /** Whether a queue takes one more. */
  hasRoom(queue: number): boolean {
    const { tail, consumed } = this.#pairs[queue]!;
    return (tail + 1) % ENTRIES !== consumed;
  }

  /** @param words opcode, namespace, PRP 1, dwords 10 and on */
  submit(queue: number, id: number, [opcode = 0, namespace = 0, prp = 0, ...dwords]: readonly number[]): void {
    const pair = this.#pairs[queue]!;
    const entry = new Int32Array(16);
    entry.set([(id << 16) | opcode, namespace, 0, 0, 0, 0, prp]);
    entry.set(dwords, 10);
    this.#machine.store(2 * queue * PAGE + 64 * pair.tail, new Uint8Array(entry.buffer));
    pair.tail = (pair.tail + 1) % ENTRIES;
    this.#machine.register(NVME_REGISTER.DOORBELLS + 8 * queue, pair.tail);
  }

  /** The completions that are there. */
  reap(queue: number): readonly Done[] {
    const pair = this.#pairs[queue]!;
    const bytes = this.#machine.load((2 * queue + 1) * PAGE, 16 * ENTRIES);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const found: Done[] = [];
    for (;;) {
      const at = 16 * pair.head;
      const last = view.getUint32(at + 12, true);
      if (((last >>> 16) & 1) !== pair.phase) break;
      pair.consumed = view.getUint16(at + 8, true);
      found.push({ id: last & 0xffff, queue: view.getUint16(at + 10, true), status: (last >>> 17) & NVME_STATUS_CODE });
      pair.head = (pair.head + 1) % ENTRIES;
      if (pair.head === 0) pair.phase ^= 1;
    }
    if (found.length > 0) this.#machine.register(NVME_REGISTER.DOORBELLS + 8 * queue + 4, pair.head);
    return found;
  }
}

/** A connection to a server's device, with the guest's memory and interrupts given to it. */
class Connection {
  readonly session: ClientSession;
  readonly device: RemoteDevice;

  constructor(server: NvmeServer, memory: MemoryFile, shared: boolean, eventfds: readonly EventFile[]) {
    const part = (iova: bigint, length: number): Uint8Array => {
      const at = Number(iova) - IOVA;
      if (at < 0 || at + length > MEMORY) throw new Error(`the device reaches for 0x${iova.toString(16)}`);
      return memory.bytes.subarray(at, at + length);
    };
    this.session = new ClientSession(server.channel, {
      read: (iova, into) => (into.set(part(iova, into.length)), 0),
      write: (iova, from) => (part(iova, from.length).set(from), 0),
    });
    server.channel.attend(this.session);
    must(this.session.negotiate());
    this.device = new RemoteDevice(this.session);
    const descriptor = memory.descriptor();
    must(this.device.mapDma(BigInt(IOVA), BigInt(MEMORY), READ_WRITE, shared ? descriptor : undefined));
    descriptor.close();
    must(this.device.write(VFIO_PCI_CONFIG_REGION_INDEX, 4n, Uint8Array.of(6, 0)));
    const descriptors = eventfds.map((file) => file.descriptor());
    must(this.device.setIrqs({ flags: VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index: VFIO_PCI_MSIX_IRQ_INDEX, start: 0, count: descriptors.length }, descriptors));
    for (const each of descriptors) each.close();
  }

  /** Takes the device to a state of migration. @returns 0, or a negative errno */
  state(state: number): number {
    const data = new Uint8Array(vfio_device_feature_mig_state.size);
    set(data, vfio_device_feature_mig_state.device_state, state);
    return codeOf(this.device.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, data, data.length));
  }

  /** The device notes what it writes from now on. */
  startLog(): void {
    const [fixed] = vfio_device_feature_dma_logging_control.ranges;
    const data = new Uint8Array(fixed + vfio_device_feature_dma_logging_range.size);
    set(data, vfio_device_feature_dma_logging_control.page_size, BigInt(PAGE));
    set(data, vfio_device_feature_dma_logging_control.num_ranges, 1);
    set(data.subarray(fixed), vfio_device_feature_dma_logging_range.iova, BigInt(IOVA));
    set(data.subarray(fixed), vfio_device_feature_dma_logging_range.range_length, BigInt(MEMORY));
    must(this.device.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, data, data.length));
  }

  stopLog(): void {
    must(this.device.feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, new Uint8Array(0), 0));
  }

  /** Pages that it has written since. */
  dirty(): readonly number[] {
    const { iova, range_length, page_size, bitmap: [fixed] } = vfio_device_feature_dma_logging_report;
    const data = new Uint8Array(fixed);
    set(data, iova, BigInt(IOVA));
    set(data, range_length, BigInt(MEMORY));
    set(data, page_size, BigInt(PAGE));
    const answer = this.device.feature(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, data, fixed + MEMORY / PAGE / 8);
    if (typeof answer === 'number') throw new Error(`the report of dirty pages: ${answer}`);
    return Array.from({ length: MEMORY / PAGE }, (_, page) => page).filter((page) => (answer[fixed + (page >> 3)]! & (1 << (page & 7))) !== 0);
  }
}

/** The guest: memory, queues, interrupts. */
export class RemoteNvme implements NvmeMachine {
  memory: MemoryFile = new MemoryFile(MEMORY);
  readonly base: number = IOVA;
  readonly interrupts: boolean = true;
  readonly queues: NvmeQueues;
  readonly #shared: boolean;
  readonly #interrupts: readonly EventFile[];
  #connection: Connection;
  /** Pages that the guest itself has written since the memory was copied. */
  readonly #written = new Set<number>();

  /** @param queues I/O queue pairs, 3 at most @param shared whether the server gets the memory, or asks for its bytes */
  constructor(server: NvmeServer, queues: number, shared: boolean) {
    this.#shared = shared;
    this.#interrupts = Array.from({ length: queues + 1 }, () => new EventFile());
    this.#connection = new Connection(server, this.memory, shared, this.#interrupts);
    this.queues = new NvmeQueues(this, queues);
    this.queues.bringUp();
  }

  /** The completions that are there. @throws Error where one is without its interrupt */
  reap(queue: number): readonly Done[] {
    const found = this.queues.reap(queue);
    if (found.length > 0 && this.#interrupts[queue]!.take() === 0) throw new Error(`queue ${queue}: a completion without its interrupt`);
    return found;
  }

  load(at: number, length: number): Uint8Array {
    return this.memory.bytes.subarray(at, at + length);
  }

  /** The guest's own store. @param at in its memory, in bytes */
  store(at: number, bytes: Uint8Array): void {
    this.memory.bytes.set(bytes, at);
    this.#written.add(Math.trunc(at / PAGE));
  }

  /**
   * Migrates: memory while the device works (`meanwhile`), then the device stops, what was written since, and its state.
   *
   * @returns 0, or the negative errno with which the destination refused; then the source goes on
   */
  migrate(destination: NvmeServer, meanwhile: () => void): number {
    const source = this.#connection;
    source.startLog();
    this.#written.clear();
    const copy = new MemoryFile(MEMORY);
    copy.bytes.set(this.memory.bytes);
    meanwhile();
    must(source.state(MIG_STATE.STOP_COPY));
    for (const page of [...source.dirty(), ...this.#written]) copy.bytes.set(this.memory.bytes.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE);
    const next = new Connection(destination, copy, this.#shared, this.#interrupts);
    must(next.state(MIG_STATE.RESUMING));
    const piece = new Uint8Array(PIECE);
    for (let count = PIECE; count === PIECE; ) {
      count = must(source.device.readState(piece));
      if (count > 0) must(next.device.writeState(piece.subarray(0, count)));
    }
    const code = next.state(MIG_STATE.STOP);
    if (code < 0) {
      next.session.close();
      source.stopLog();
      must(source.state(MIG_STATE.RUNNING));
      return code;
    }
    source.session.close();
    this.memory = copy;
    this.#connection = next;
    must(next.state(MIG_STATE.RUNNING));
    return 0;
  }

  register(at: number, value: number): void {
    must(this.#connection.device.write(0, BigInt(at), new Uint8Array(Int32Array.of(value).buffer)));
  }
}

function codeOf(answer: Uint8Array | number): number {
  return typeof answer === 'number' ? answer : 0;
}

/** @throws Error for a refusal */
function must<T>(answer: T): T {
  if (typeof answer === 'number' && answer < 0) throw new Error(`refused with ${answer}`);
  if (typeof answer === 'object' && answer !== null && 'errno' in answer) throw new Error(`refused with ${JSON.stringify(answer)}`);
  return answer;
}
