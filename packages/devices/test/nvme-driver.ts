/** A driver in user space that brings the controller up in the order in which Linux's nvme driver does, and tells all that a completion says. */
import {
  getRegionInfo,
  mapDma,
  openDevice,
  setIrqTriggers,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_REGION_INFO_FLAG_MMAP,
  type Mapping,
  type OpenedDevice,
  type Process,
} from '@vsim/vfio-core';
import { NVME_ADMIN, NVME_CNS, NVME_FEATURE, NVME_IO, NVME_REGISTER, NVME_STATUS_CODE } from '../src/index.ts';

/** Where the device sees the driver's memory. */
export const IOVA = 0x10_0000;
export const PAGE = 0x1000;
/** Its queues take the first pages, four for each pair; data lie behind. */
export const DATA = 0x4_0000;
export const MEMORY = 0x20_0000;

/** Dwords of a submission queue entry; what is left out is 0. */
export interface Entry {
  readonly opcode: number;
  readonly flags?: number;
  readonly namespace?: number;
  readonly prp1?: number;
  readonly prp2?: number;
  /** Dwords 6 to 9 instead of PRPs. */
  readonly sgl?: readonly number[];
  readonly dwords?: readonly number[];
}

export interface Completion {
  readonly id: number;
  readonly queue: number;
  /** Type and code, without Do Not Retry. */
  readonly status: number;
  readonly retry: boolean;
  readonly head: number;
  readonly result: number;
}

export interface DriverInit {
  /** I/O queue pairs. @default 1 */
  readonly queues?: number;
  /** Entries of each queue, at most 64. @default 16 */
  readonly entries?: number;
  /** The name of the VFIO driver. */
  readonly vfioDriver?: string;
}

interface Pair {
  tail: number;
  head: number;
  phase: number;
}

/** BAR0, mapped or not. */
type Registers = Pick<Mapping, 'read' | 'write' | 'read64' | 'write64'>;

/** Registers of a device that cannot be mapped: pread() and pwrite(). */
function byCalls(process: Process, device: number, base: number): Registers {
  const read = (offset: number, width: number): DataView => {
    const bytes = new Uint8Array(8);
    process.pread(device, bytes.subarray(0, width), base + offset);
    return new DataView(bytes.buffer);
  };
  const write = (offset: number, width: number, value: bigint): void => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value, true);
    process.pwrite(device, new Uint8Array(view.buffer, 0, width), base + offset);
  };
  return {
    read: (offset, width) => read(offset, width).getUint32(0, true),
    read64: (offset) => read(offset, 8).getBigUint64(0, true),
    write: (offset, width, value) => { write(offset, width, BigInt(value)); },
    write64: (offset, value) => { write(offset, 8, value); },
  };
}

export class NvmeDriver {
  readonly process: Process;
  readonly opened: OpenedDevice;
  readonly registers: Registers;
  readonly memory: Mapping;
  readonly interrupts: readonly number[];
  readonly entries: number;
  readonly queues: number;
  readonly #pairs: Pair[];
  #id = 0;

  constructor(process: Process, address: string, { queues = 1, entries = 16, vfioDriver = 'nvme-vfio-pci' }: DriverInit = {}) {
    this.process = process;
    this.entries = entries;
    this.queues = queues;
    this.opened = openDevice(process, address, { driver: vfioDriver });
    const { container, device } = this.opened;
    process.pwrite(device, Uint8Array.of(0x06, 0x00), Number(getRegionInfo(process, device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4);
    const { flags, offset } = getRegionInfo(process, device, 0);
    this.registers = (flags & VFIO_REGION_INFO_FLAG_MMAP) === 0 ? byCalls(process, device, Number(offset)) : process.mmap(device, 0x2000, Number(offset));
    this.memory = process.mmap(-1, MEMORY);
    mapDma(process, container, { iova: IOVA, vaddr: this.memory.address, size: MEMORY, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
    this.interrupts = Array.from({ length: queues + 1 }, () => process.eventfd());
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [...this.interrupts]);
    this.#pairs = Array.from({ length: queues + 1 }, () => ({ tail: 0, head: 0, phase: 1 }));
  }

  /** CAP, disable, admin queues, enable; Identify, Number of Queues, I/O queues, namespaces. */
  bringUp(): void {
    const low = this.register(NVME_REGISTER.CAP);
    if ((low & 0xffff) + 1 < this.entries) throw new Error('the queues are too long for CAP.MQES');
    this.enable();
    this.check(this.identify(NVME_CNS.CONTROLLER, 0));
    this.check(this.admin({ opcode: NVME_ADMIN.SET_FEATURES, dwords: [NVME_FEATURE.NUMBER_OF_QUEUES, ((this.queues - 1) << 16) | (this.queues - 1)] }));
    for (let id = 1; id <= this.queues; id += 1) this.createPair(id);
    this.check(this.identify(NVME_CNS.ACTIVE_LIST, 0));
  }

  /** CC.EN 0, AQA, ASQ, ACQ, CC.EN 1. */
  enable(cc = 0x0046_0001): void {
    this.registers.write(NVME_REGISTER.CC, 4, 0);
    if ((this.register(NVME_REGISTER.CSTS) & 1) !== 0) throw new Error('CSTS.RDY stays');
    this.forget();
    this.memory.writeBytes(0, new Uint8Array(DATA));
    this.registers.write(NVME_REGISTER.AQA, 4, ((this.entries - 1) << 16) | (this.entries - 1));
    this.registers.write(NVME_REGISTER.ASQ, 4, IOVA + this.sq(0));
    this.registers.write(NVME_REGISTER.ASQ + 4, 4, 0);
    this.registers.write(NVME_REGISTER.ACQ, 4, IOVA + this.cq(0));
    this.registers.write(NVME_REGISTER.ACQ + 4, 4, 0);
    this.registers.write(NVME_REGISTER.CC, 4, cc);
  }

  /** A pair of I/O queues with a vector of its own. */
  createPair(id: number): void {
    const size = ((this.entries - 1) << 16) | id;
    this.check(this.admin({ opcode: NVME_ADMIN.CREATE_CQ, prp1: IOVA + this.cq(id), dwords: [size, (id << 16) | 3] }));
    this.check(this.admin({ opcode: NVME_ADMIN.CREATE_SQ, prp1: IOVA + this.sq(id), dwords: [size, (id << 16) | 1] }));
  }

  /** Its own places in the queues are as after a reset. */
  forget(): void {
    for (const pair of this.#pairs) Object.assign(pair, { tail: 0, head: 0, phase: 1 });
  }

  /** It goes on where another was: the same places in the queues, the same identifiers. */
  takeOver(other: NvmeDriver): void {
    this.#pairs.forEach((pair, n) => Object.assign(pair, other.#pairs[n]));
    this.#id = other.#id;
  }

  sq(id: number): number {
    return 4 * id * PAGE;
  }

  cq(id: number): number {
    return (4 * id + 1) * PAGE;
  }

  register(offset: number): number {
    return this.registers.read(offset, 4);
  }

  /** Whether its queue has room for one more. */
  hasRoom(queue: number, head: number): boolean {
    return (this.#pairs[queue]!.tail + 1) % this.entries !== head;
  }

  /** Puts an entry into a queue, without the doorbell. @returns its identifier */
  put(queue: number, { opcode, flags = 0, namespace = 0, prp1 = 0, prp2 = 0, sgl = [prp1, 0, prp2, 0], dwords = [] }: Entry, id: number = (this.#id = (this.#id + 1) & 0xffff)): number {
    const pair = this.#pairs[queue]!;
    const words = new Int32Array(16);
    words.set([(id << 16) | (flags << 8) | opcode, namespace, 0, 0, 0, 0, ...sgl, ...dwords]);
    this.memory.writeBytes(this.sq(queue) + 64 * pair.tail, new Uint8Array(words.buffer));
    pair.tail = (pair.tail + 1) % this.entries;
    return id;
  }

  ring(queue: number): void {
    this.registers.write(NVME_REGISTER.DOORBELLS + 8 * queue, 4, this.#pairs[queue]!.tail);
  }

  submit(queue: number, entry: Entry): number {
    const id = this.put(queue, entry);
    this.ring(queue);
    return id;
  }

  /** The completions that are there, without the doorbell. */
  peek(queue: number): readonly Completion[] {
    const found: Completion[] = [];
    const { head, phase } = this.#pairs[queue]!;
    for (let at = head, expected = phase; found.length < this.entries; ) {
      const entry = this.cq(queue) + 16 * at;
      const last = this.memory.read(entry + 12, 4);
      if (((last >>> 16) & 1) !== expected) break;
      const third = this.memory.read(entry + 8, 4);
      found.push({ id: last & 0xffff, queue: third >>> 16, head: third & 0xffff, status: (last >>> 17) & NVME_STATUS_CODE, retry: last >>> 31 === 0, result: this.memory.read(entry, 4) });
      at = (at + 1) % this.entries;
      if (at === 0) expected ^= 1;
    }
    return found;
  }

  /** Takes completions, and tells the controller. @param most how many at most */
  reap(queue: number, most = 64): readonly Completion[] {
    const found = this.peek(queue).slice(0, most);
    const pair = this.#pairs[queue]!;
    const head = pair.head + found.length;
    pair.head = head % this.entries;
    if (head >= this.entries) pair.phase ^= 1;
    if (found.length > 0) this.registers.write(NVME_REGISTER.DOORBELLS + 8 * queue + 4, 4, pair.head);
    return found;
  }

  /** One command, and its completion, which is the only one. */
  run(queue: number, entry: Entry): Completion {
    const id = this.submit(queue, entry);
    const [done, ...others] = this.reap(queue);
    if (done === undefined) throw new Error('no completion came');
    if (done.id !== id || done.queue !== queue || others.length > 0) throw new Error(`expected one completion of ${id}, got ${JSON.stringify([done, ...others])}`);
    return done;
  }

  admin(entry: Entry): Completion {
    return this.run(0, entry);
  }

  identify(cns: number, namespace: number): Completion {
    return this.admin({ opcode: NVME_ADMIN.IDENTIFY, namespace, prp1: IOVA + DATA, dwords: [cns] });
  }

  read(first: number, count: number, at: number = DATA): Completion {
    return this.run(1, this.transfer(NVME_IO.READ, first, count, at));
  }

  write(first: number, bytes: Uint8Array, block = 512): Completion {
    this.memory.writeBytes(DATA, bytes);
    return this.run(1, this.transfer(NVME_IO.WRITE, first, bytes.length / block, DATA));
  }

  /** A command that moves up to two pages of namespace 1. @param at page of memory */
  transfer(opcode: number, first: number, count: number, at: number): Entry {
    return { opcode, namespace: 1, prp1: IOVA + at, prp2: IOVA + at + PAGE, dwords: [first, 0, count - 1] };
  }

  /** What was interrupted since the last call, by vector. */
  raised(): readonly number[] {
    return this.interrupts.map((fd) => Number(this.process.readEventfd(fd)));
  }

  check({ status }: Completion): void {
    if (status !== 0) throw new Error(`status 0x${status.toString(16)}`);
  }
}
