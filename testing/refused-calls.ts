/**
 * A world for fuzzers: every ioctl on every fd of a process. After a call that was refused, all that user space can find out, and where its
 * devices' DMA goes, is what it was before. For tests only.
 */
import {
  DmaPort,
  REQUESTS,
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_SET_IOMMU,
  type Host,
  type IommuGroup,
  type Mapping,
  type Process,
  type Random,
} from '../packages/vfio-core/src/index.ts';
import { pick, same, type Depth, type World } from './fuzz.ts';
import { randomArgument } from './nonsense.ts';

const PAGE = 4096;
/** Mappings begin at slots of 64 pages: a kernel's bitmap of one that does not is shifted at each look. */
const SLOTS = 4;
const SLOT = 64;
/** Pages of a slot that are mapped, and looked at. */
const MOST = 4;
const PAGES = 8;
const SPAN = 2 ** 40;
const EFAULT = -14;
const ENOTTY = -25;
const NUMBERS: readonly number[] = [...new Set(Object.values(REQUESTS))];

export interface Fds {
  readonly containers: readonly number[];
  readonly groups: readonly number[];
  readonly devices: readonly number[];
  /** Of other kinds. */
  readonly others: readonly number[];
}

export interface RefusedInit {
  readonly process: Process;
  readonly fds: Fds;
  /** Devices whose DMA is looked at. */
  readonly dma: readonly (() => IommuGroup | undefined)[];
  readonly names: readonly string[];
  /** Folders of /sys whose files are read. */
  readonly folders: readonly string[];
  /** What the devices themselves hold. */
  readonly hardware: () => string;
}

interface Call {
  readonly fd: number;
  readonly request: number;
  readonly argument: number | bigint | Uint8Array;
}

export class RefusedCalls implements World<Call> {
  readonly #init: RefusedInit;
  readonly #process: Process;
  readonly #host: Host;
  readonly #ports: readonly DmaPort[];
  /** Eventfds that are given away. */
  readonly #eventfds: readonly number[];
  readonly #memory: Mapping;
  readonly #kept: readonly number[];
  #before: ReadonlyMap<string, string>;

  constructor(init: RefusedInit) {
    this.#init = init;
    const { process, fds } = init;
    this.#process = process;
    this.#host = process.host;
    this.#ports = init.dma.map((group, i) => new DmaPort(process.host, `probe ${i}`, 0, group));
    this.#memory = process.mmap(-1, PAGES * PAGE);
    for (let page = 0; page < PAGES; page += 1) this.#memory.writeBytes(page * PAGE, new Uint8Array(PAGE).fill(page + 1));
    this.#eventfds = Array.from({ length: 3 }, () => process.eventfd());
    this.#kept = [...fds.containers, ...fds.groups, ...fds.devices, ...fds.others, ...this.#eventfds];
    this.#observe();
    this.#before = this.#observe();
  }

  generate(random: Random): Call {
    const { containers, groups, devices } = this.#init.fds;
    const request = random.below(20) === 0 ? random.uint32() : pick(random, NUMBERS);
    if (random.below(3) === 0 && request !== VFIO_IOMMU_MAP_DMA) return { fd: pick(random, this.#kept), request, argument: randomArgument(random, this.#memory) };
    const next = (below: number): number => random.below(below);
    const range = (inner: number): readonly bigint[] => [BigInt(next(SLOTS) * SLOT + next(inner)) * 4096n, BigInt(1 + next(3)) * (next(8) === 0 ? 100n : 4096n)];
    const fd = pick(random, [-1, 99, ...this.#eventfds, ...this.#eventfds]);
    const calls: readonly (() => Call)[] = [
      () => ({ fd: pick(random, containers), request: VFIO_IOMMU_MAP_DMA, argument: wide([32, next(4)], [BigInt(this.#memory.address + (1 + next(PAGES - 1)) * PAGE), ...range(1)]) }),
      () => ({ fd: pick(random, containers), request: VFIO_IOMMU_MAP_DMA, argument: wide([32, 3], [BigInt(this.#memory.address + (1 + next(PAGES - 1)) * PAGE), ...range(1)]) }),
      () => ({ fd: pick(random, containers), request: VFIO_IOMMU_UNMAP_DMA, argument: wide([24, pick(random, [0, 0, 0, 1, 2, 4])], range(2)) }),
      () => ({ fd: pick(random, containers), request: VFIO_IOMMU_DIRTY_PAGES, argument: wide([64, pick(random, [1, 2, 4, 8])], [...range(2), 4096n, 8n, BigInt(this.#memory.address)]) }),
      () => ({ fd: pick(random, containers), request: VFIO_SET_IOMMU, argument: next(9) }),
      () => ({ fd: pick(random, groups), request: VFIO_GROUP_SET_CONTAINER, argument: words(pick(random, [...containers, fd])) }),
      () => ({ fd: pick(random, groups), request: VFIO_GROUP_GET_DEVICE_FD, argument: new TextEncoder().encode(`${pick(random, [...this.#init.names, 'x'])}\0`) }),
      () => ({ fd: pick(random, devices), request: VFIO_DEVICE_SET_IRQS, argument: words(20, (1 << next(2)) | (8 << next(3)), next(6), next(2), next(3), 1, 1) }),
      () => ({ fd: pick(random, devices), request: VFIO_DEVICE_SET_IRQS, argument: words(28, 4 | (8 << next(3)), next(6), next(2), next(3), fd, pick(random, this.#eventfds)) }),
      () => ({ fd: pick(random, devices), request: VFIO_DEVICE_FEATURE, argument: words(24, next(12) | (1 << (16 + next(3))), next(8), fd, 0, 0) }),
      () => ({ fd: pick(random, devices), request: request === VFIO_IOMMU_MAP_DMA ? VFIO_DEVICE_GET_INFO : request, argument: words(32, 1 << next(4), next(12), 0, next(4), 0, fd, 0) }),
    ];
    return pick(random, calls)();
  }

  check({ fd, request, argument }: Call): Depth {
    const thread = this.#process.start('call', this.#process.sys.ioctl(fd, request, argument));
    // A call that waits (5.13: for a vaddr that was given up) ends with its thread, and may have done what it came for.
    const waits = !thread.finished;
    if (waits) {
      thread.kill();
      this.#host.scheduler.settle();
    }
    const told = thread.result();
    const before = this.#before;
    if (told >= 0) for (const open of this.#process.fds) if (!this.#kept.includes(open)) this.#process.close(open);
    // A look takes what is there once: the dirty pages of memory that no IOMMU writes.
    if (told >= 0 || waits) this.#observe();
    this.#before = this.#observe();
    if (told >= 0 || waits) return 'succeeded';
    for (const [what, text] of this.#before) if (!mayChange(request, argument, what)) same(`${what} after ${told}`, text, before.get(what));
    return told === ENOTTY || told === EFAULT ? 'refused' : 'past';
  }

  end(): void {
    this.#process.exit();
    same('threads, pages, fds and locked pages that are left', [this.#host.scheduler.threads.length, this.#host.pages.used, this.#process.fds.length, this.#process.mm.lockedPages], [0, 0, 0, 0]);
  }

  /** What can be found out, by name. From the second time on, what it does itself (it takes the counts of eventfds) changes nothing. */
  #observe(): ReadonlyMap<string, string> {
    const { fds, folders, hardware } = this.#init;
    const process = this.#process;
    const seen = new Map<string, string>();
    for (const fd of this.#eventfds) process.tryPread(fd, new Uint8Array(8), -1);
    seen.set('fds', process.fds.join());
    seen.set('memory', [process.mm.lockedPages, this.#host.pages.used, this.#host.scheduler.threads.length].join());
    seen.set('bytes', sum(this.#memory.readBytes(PAGE, (PAGES - 1) * PAGE)));
    for (const fd of fds.containers) {
      seen.set(`container ${fd}`, [this.#ask(fd, VFIO_IOMMU_GET_INFO, 200, 0, 0, 0, ...new Array<number>(46).fill(0)), this.#dirty(fd)].join(' '));
    }
    for (const fd of fds.groups) seen.set(`group ${fd}`, this.#ask(fd, VFIO_GROUP_GET_STATUS, 8, 0));
    for (const fd of fds.devices) this.#device(seen, fd);
    for (const [i, port] of this.#ports.entries()) seen.set(`dma ${i}`, Array.from({ length: SLOTS * MOST }, (_, page) => reach(port, Math.floor(page / MOST) * SLOT + (page % MOST))).join());
    seen.set('nodes', process.readdir('/dev/vfio').join());
    for (const folder of folders) seen.set(folder, process.readdir(folder).map((name) => `${name} ${this.#file(`${folder}/${name}`)}`).join());
    seen.set('hardware', hardware());
    return seen;
  }

  #device(seen: Map<string, string>, fd: number): void {
    const each = (count: number, tell: (index: number) => string): string => Array.from({ length: count }, (_, index) => tell(index)).join(' ');
    seen.set(`device ${fd}`, [
      this.#ask(fd, VFIO_DEVICE_GET_INFO, 64, ...new Array<number>(15).fill(0)),
      each(10, (index) => this.#ask(fd, VFIO_DEVICE_GET_REGION_INFO, 64, 0, index, ...new Array<number>(13).fill(0))),
      each(6, (index) => this.#ask(fd, VFIO_DEVICE_GET_IRQ_INFO, 16, 0, index, 0)),
      each(12, (index) => this.#ask(fd, VFIO_DEVICE_FEATURE, 8, index | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE)),
      this.#ask(fd, VFIO_DEVICE_FEATURE, 16, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, 0, 0),
      this.#bitmap((bitmap) => this.#process.tryIoctl(fd, VFIO_DEVICE_FEATURE, wide([40, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT], [0n, BigInt(SLOTS * SLOT * PAGE), 4096n, bitmap]))),
    ].join(' '));
    seen.set(`regions ${fd}`, each(9, (index) => {
      const bytes = new Uint8Array(index === 7 ? 256 : 128);
      return `${this.#process.tryPread(fd, bytes, index * SPAN)}: ${sum(bytes)}`;
    }));
    // Each vector is signalled: which eventfds take a count says who listens.
    seen.set(`irqs ${fd}`, each(5, (index) => {
      const told = this.#ask(fd, VFIO_DEVICE_SET_IRQS, 20, 1 | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 1);
      return `${told}: ${this.#eventfds.map((one) => this.#process.tryPread(one, new Uint8Array(8), -1)).join()}`;
    }));
  }

  #ask(fd: number, request: number, ...values: readonly number[]): string {
    const bytes = words(...values);
    return `${this.#process.tryIoctl(fd, request, bytes)}/${sum(bytes)}`;
  }

  /** Whether tracking is on, and which pages of the slots are dirty. */
  #dirty(fd: number): string {
    return this.#bitmap((bitmap) => this.#process.tryIoctl(fd, VFIO_IOMMU_DIRTY_PAGES, wide([48, 4], [0n, BigInt(SLOTS * SLOT * PAGE), 4096n, BigInt(SLOTS * 8), bitmap])));
  }

  /** A call that fills a bitmap of the slots. */
  #bitmap(call: (address: bigint) => number): string {
    const bitmap = this.#process.mmap(-1, PAGE);
    const text = `${call(BigInt(bitmap.address))}/${sum(bitmap.readBytes(0, SLOTS * 8))}`;
    bitmap.unmap();
    return text;
  }

  #file(path: string): string {
    const bytes = new Uint8Array(256);
    try {
      const fd = this.#process.open(path, 0);
      const told = this.#process.tryPread(fd, bytes, 0);
      this.#process.close(fd);
      return `${told}: ${sum(bytes)}`;
    } catch {
      return 'no file';
    }
  }
}

/** What a kernel's refusal leaves changed all the same: vectors of the block that SET_IRQS was in when it came to a bad eventfd. */
function mayChange(request: number, argument: number | bigint | Uint8Array, what: string): boolean {
  if (request !== VFIO_DEVICE_SET_IRQS || !what.startsWith('irqs') || !(argument instanceof Uint8Array) || argument.length < 8) return false;
  return (argument[4]! & (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)) === (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
}

/** The first byte that a device reads of a page, and whether it may write it. */
function reach(port: DmaPort, page: number): string {
  const bytes = new Uint8Array(1);
  if (!port.read(page * PAGE, bytes)) return port.write(page * PAGE, new Uint8Array(0)) ? '' : '-';
  return `${bytes[0]}${port.write(page * PAGE, bytes) ? 'w' : ''}`;
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

function wide(head: readonly number[], values: readonly bigint[]): Uint8Array {
  return new Uint8Array([...words(...head), ...new Uint8Array(new BigUint64Array(values).buffer)]);
}

/** A number for bytes: two that differ have different ones. */
function sum(bytes: Uint8Array): string {
  let hash = 0x811c_9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  return hash.toString(16);
}
