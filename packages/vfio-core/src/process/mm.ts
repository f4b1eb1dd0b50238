import { eventKind, type EventKind } from '../host/trace.ts';
import type { Host } from '../host/host.ts';
import type { Memory } from '../memory/memory.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { ForeignMemory } from '../memory/foreign-memory.ts';
import { FrameMap, type FrameRange } from '../memory/frame-map.ts';
import { PAGE_SIZE, type PageRun } from '../memory/page-allocator.ts';
import { isInside } from '../memory/range.ts';
import { hex, highHalf, lowHalf, toBigint } from '../memory/u64.ts';
import { EFAULT } from '../uapi/errno.ts';
import type { File } from './file.ts';
import { MMAP_RANGE, NOT_MAPPED, NO_ADDRESSES } from './process-reasons.ts';

/** User addresses end here (TASK_SIZE_MAX of x86-64). */
export const TASK_SIZE = 0x7fff_ffff_f000;
const FIRST_ADDRESS = 0x7e00_0000_0000;
const HUGE = 0x20_0000;

/** A load or store that the kernel answers with SIGBUS or SIGSEGV. It reads as ones and writes nothing. */
export const MEMORY_FAULT: EventKind<MemoryFault> = eventKind(
  'process/memory-fault',
  'fault',
  ({ signal, address, write }) => `${signal}: ${write ? 'write to' : 'read of'} ${hex(address)}`,
);

/** What a load or store met, in MEMORY_FAULT. */
export interface MemoryFault {
  /** SIGSEGV where nothing is mapped so; SIGBUS for device memory that does not answer, and behind the end of a file. */
  readonly signal: 'SIGSEGV' | 'SIGBUS';
  /** The address in the process that was accessed. */
  readonly address: number;
  /** It was a store. */
  readonly write: boolean;
}

/** Device registers in a mapping: what a driver's mmap gives. Offsets count from the start of the mapping. */
export interface DeviceRegion {
  /** Physical address of the mapping's first byte: page aligned. */
  readonly physical: number;
  /** Whether accesses go through now; if not they are SIGBUS. */
  readonly live: () => boolean;
  /** Through the CPU's caches, as memory; registers never are. @default false */
  readonly cacheable?: boolean | undefined;
}

/** A contiguous range of a process' addresses with one kind of content. As a range: its pages, address / PAGE_SIZE. */
interface Vma extends FrameRange {
  readonly read: boolean;
  readonly write: boolean;
  /** Frames of the first page: of a run, or of a device. */
  readonly frame: number;
  readonly run: PageRun | undefined;
  readonly device: DeviceRegion | undefined;
  /** The file that is mapped. It stays open while a part of it is. */
  readonly file?: File | undefined;
  /** MAP_SHARED: a child of fork() has the same pages, not a copy. */
  readonly shared: boolean;
}

/** Consecutive pages of a file, for a mapping of it; without run, pages that are not there: SIGBUS. */
export interface MappedPages {
  /** The pages, of which these are a part; undefined for pages that are not there. */
  readonly run: PageRun | undefined;
  /** The first page frame number. */
  readonly frame: number;
  /** How many pages. */
  readonly count: number;
}

/** Past the end of a file. */
const NOTHING: DeviceRegion = { physical: 0, live: () => false, cacheable: true };

/** Device memory that does not answer: the fault handler gives SIGBUS, so that nobody reaches or pins it. */
function isDead({ device }: Vma): boolean {
  return device?.live() === false;
}

/** Pages pinned by get_user_pages(): consecutive frames. */
export interface PinnedPages {
  /** The first page frame number. */
  readonly frame: number;
  /** How many pages; at least 1. */
  readonly count: number;
  /** Undefined for a device's pages, which are not counted and not kept. */
  readonly run: PageRun | undefined;
}

/** A mapping as mmap() gives it to the program. */
export class Mapping {
  /** Its first address in the process, a multiple of the page size. */
  readonly address: number;
  /** In bytes, a multiple of the page size. */
  readonly length: number;
  /** The page protection: false for device registers, which are mapped non-cached. */
  readonly cacheable: boolean;
  readonly #mm: Mm;
  #mapped = true;

  /**
   * Mappings are made by Mm.
   *
   * @param address in the process, in bytes
   * @param length in bytes @internal
   * @internal Mappings are made by Mm.
   */
  constructor(mm: Mm, address: number, length: number, cacheable: boolean) {
    this.#mm = mm;
    this.address = address;
    this.length = length;
    this.cacheable = cacheable;
  }

  /** Whether unmap() has not been called on it yet. Mm.unmap() and exit() do not change it. */
  get mapped(): boolean {
    return this.#mapped;
  }

  /**
   * Loads `width` bytes (1, 2 or 4). A fault reads as ones and is an event.
   *
   * @param offset in bytes from its start
   * @returns all ones for a fault
   */
  read(offset: number, width: 1 | 2 | 4): number {
    const at = this.address + offset;
    return width === 1 ? this.#mm.read8(at) : width === 2 ? this.#mm.read16(at) : this.#mm.read32(at);
  }

  /** A fault writes nothing and is an event. @param offset in bytes from its start @param value cut to the width */
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    const at = this.address + offset;
    if (width === 1) this.#mm.write8(at, value);
    else if (width === 2) this.#mm.write16(at, value);
    else this.#mm.write32(at, value);
  }

  /**
   * Loads 8 bytes in one access, little-endian, as a 64-bit CPU does. A fault reads as ones and is an event.
   *
   * @param offset in bytes from its start
   */
  read64(offset: number): bigint {
    const halves = new Uint32Array(2);
    this.#mm.read64(this.address + offset, halves);
    return toBigint(halves[0]!, halves[1]!);
  }

  /** Stores 8 bytes in one access, little-endian. A fault writes nothing and is an event. @param offset in bytes from its start @param value cut to 64 bits */
  write64(offset: number, value: bigint): void {
    this.#mm.write64(this.address + offset, lowHalf(value), highHalf(value));
  }

  /** Loads bytes. Parts that fault read as 0xff and are events. @param offset in bytes from its start @param length in bytes */
  readBytes(offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#mm.readBytes(this.address + offset, out);
    return out;
  }

  /** Stores bytes. Parts that fault are left out and are events. @param offset in bytes from its start */
  writeBytes(offset: number, bytes: Uint8Array): void {
    this.#mm.writeBytes(this.address + offset, bytes);
  }

  /** munmap() of all of it. @throws BlockedError as Mm.unmap() */
  unmap(): void {
    this.#mm.unmap(this.address, this.length);
    this.#mapped = false;
  }
}

/**
 * The memory of a process: VMAs over anonymous pages, files or device regions, and the count of its locked pages. As Memory it is what the
 * program's loads and stores reach.
 *
 * Kernel: struct mm_struct, get_user_pages(), locked_vm. Addresses are below 2^47, as user addresses are on x86-64 and arm64. Not modelled:
 * demand paging of anonymous memory (pages are there from the start, zeroed), swap, stacks.
 */
export class Mm implements Memory {
  /** The host whose pages it maps. */
  readonly host: Host;
  readonly #vmas = new FrameMap<Vma>();
  #last: Vma | undefined;
  #next = FIRST_ADDRESS;
  /** Pages accounted to RLIMIT_MEMLOCK. */
  lockedPages = 0;

  /** Makes one without mappings; a Process has its own, as `mm`. */
  constructor(host: Host) {
    this.host = host;
  }

  /**
   * mmap() of zeroed anonymous memory, aligned to 2 MiB. `length` is in bytes, above 0, and is rounded up to pages.
   *
   * @returns -EINVAL, -ENOMEM
   */
  mapAnonymous(length: number, read = true, write = true, shared = false): Mapping | number {
    if (!(length > 0)) return this.host.refusals.refuse(MMAP_RANGE, { length, offset: 0 });
    const pages = Math.ceil(length / PAGE_SIZE);
    const run = this.host.pages.allocate(pages);
    if (run === undefined) return this.host.refusals.refuse(NO_ADDRESSES, { length });
    const made = this.#insert(pages * PAGE_SIZE, { read, write, frame: run.first, run, device: undefined, shared });
    if (typeof made === 'number') run.put();
    return made;
  }

  /** mmap() of device registers. @param length in bytes, rounded up to pages @returns -ENOMEM where no addresses are left */
  mapDevice(length: number, device: DeviceRegion, read: boolean, write: boolean): Mapping | number {
    const bytes = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
    return this.#insert(bytes, { read, write, frame: device.physical / PAGE_SIZE, run: undefined, device, shared: true });
  }

  /**
   * Maps memory of a program outside of the simulation, shared with it: pages that can be pinned and count as locked, as those of a memfd do. It is let go
   * of when nobody maps or pins them any more.
   *
   * @returns -ENOMEM where no addresses are left
   * @throws RangeError for a size that is not a multiple of 4096 above 0
   */
  mapForeign(memory: ForeignMemory, read = true, write = true): Mapping | number {
    const run = this.host.memory.foreign.add(memory);
    if (run === undefined) return this.host.refusals.refuse(NO_ADDRESSES, { length: memory.size });
    const made = this.mapPages([{ run, frame: run.first, count: run.count }], read, write, true);
    run.put();
    return made;
  }

  /** mmap() of a file in memory; a private mapping is a copy. @returns -ENOMEM */
  mapPages(pages: readonly MappedPages[], read: boolean, write: boolean, shared: boolean): Mapping | number {
    const count = pages.reduce((sum, piece) => sum + piece.count, 0);
    const start = this.#reserve(count * PAGE_SIZE);
    if (start < 0) return start;
    let first = start / PAGE_SIZE;
    const mapping = new Mapping(this, start, count * PAGE_SIZE, true);
    for (const { run, frame, count: here } of pages) {
      const device = run === undefined ? NOTHING : undefined;
      const vma: Vma = { first, last: first + here - 1, read, write, frame, run, device, shared };
      const made = shared ? vma : this.#copyOf(vma);
      if (shared) run?.get();
      if (made === undefined) {
        mapping.unmap();
        return this.host.refusals.refuse(NO_ADDRESSES, { length: count * PAGE_SIZE });
      }
      this.#vmas.insert(made);
      first += here;
    }
    return mapping;
  }

  /**
   * dup_mmap() of fork(): private pages are copied (those that are pinned must be, at once), shared ones and device mappings are the
   * same. What is locked stays the parent's. @returns 0, or -ENOMEM with nothing mapped
   */
  copyFrom(parent: Mm): number {
    this.#next = parent.#next;
    for (const vma of parent.#vmas) {
      const copy = vma.shared ? vma : this.#copyOf(vma);
      if (copy === undefined) {
        this.unmap(0, TASK_SIZE);
        return this.host.refusals.refuse(NO_ADDRESSES, { length: (vma.last - vma.first + 1) * PAGE_SIZE });
      }
      if (vma.shared) vma.run?.get();
      vma.file?.get();
      this.#vmas.insert({ ...copy });
    }
    return 0;
  }

  /** The same addresses, with pages of their own; undefined where there is no memory. */
  #copyOf(vma: Vma): Vma | undefined {
    if (vma.run === undefined) return vma;
    const count = vma.last - vma.first + 1;
    const run = this.host.pages.allocate(count);
    if (run === undefined) return undefined;
    const page = new Uint8Array(PAGE_SIZE);
    for (let i = 0; i < count; i += 1) {
      this.host.memory.readBytes((vma.frame + i) * PAGE_SIZE, page);
      this.host.memory.writeBytes((run.first + i) * PAGE_SIZE, page);
    }
    return { ...vma, frame: run.first, run, shared: false };
  }

  /** A mapping keeps its file: vm_file. */
  hold({ address, length }: Mapping, file: File): void {
    let page = address / PAGE_SIZE;
    for (let left = length / PAGE_SIZE; left > 0; ) {
      const vma = this.#vmas.remove(page);
      if (vma === undefined) return;
      this.#vmas.insert({ ...vma, file });
      file.get();
      left -= vma.last - vma.first + 1;
      page = vma.last + 1;
    }
    this.#last = undefined;
  }

  /**
   * munmap(): whole pages; cuts VMAs where needed.
   *
   * @param address in the process; its page is the first one
   * @param length in bytes, rounded up to pages
   * @throws BlockedError if it was the last use of a file that is long in closing
   */
  unmap(address: number, length: number): void {
    const files = this.#remove(address, length);
    if (files.length === 0) return;
    const thread = this.host.scheduler.spawn('munmap', putAll(files));
    if (this.host.scheduler.current === undefined) thread.result();
  }

  /**
   * munmap() for a thread: it may sleep where it was the last use of a file.
   *
   * @param address in the process; its page is the first one
   * @param length in bytes, rounded up to pages
   */
  *unmapSleeps(address: number, length: number): Sleeps<void> {
    yield* putAll(this.#remove(address, length));
  }

  /** @returns the files that were mapped there, once for each part */
  #remove(address: number, length: number): readonly File[] {
    const files: File[] = [];
    const first = Math.floor(address / PAGE_SIZE);
    const last = first + Math.ceil(length / PAGE_SIZE) - 1;
    this.#cut(first);
    this.#cut(last + 1);
    for (let vma = this.#vmas.firstIn(first, last); vma !== undefined; vma = this.#vmas.firstIn(first, last)) {
      this.#vmas.remove(vma.first);
      vma.run?.put();
      if (vma.file !== undefined) files.push(vma.file);
    }
    this.#last = undefined;
    return files;
  }

  /** exit_mmap(). */
  unmapAll(): Sleeps<void> {
    return this.unmapSleeps(0, TASK_SIZE);
  }

  /**
   * mprotect() of whole pages of one VMA.
   *
   * @param address in the process; its page is the first one
   * @param length in bytes, rounded up to pages
   * @returns 0 or -ENOMEM where nothing is mapped
   */
  protect(address: number, length: number, read: boolean, write: boolean): number {
    const found = this.#find(address);
    const first = Math.floor(address / PAGE_SIZE);
    const last = first + Math.ceil(length / PAGE_SIZE) - 1;
    if (found === undefined || last > found.last) return this.host.refusals.refuse(NOT_MAPPED, { address, length });
    this.#cut(first);
    this.#cut(last + 1);
    const vma = this.#vmas.remove(first);
    if (vma !== undefined) this.#vmas.insert({ ...vma, read, write });
    this.#last = undefined;
    return 0;
  }

  /** Makes a VMA begin at `page`, if one goes across it: each part holds the pages. */
  #cut(page: number): void {
    const vma = this.#vmas.find(page);
    if (vma === undefined || vma.first === page) return;
    this.#vmas.remove(vma.first);
    this.#vmas.insert({ ...vma, last: page - 1 });
    this.#vmas.insert({ ...vma, first: page, frame: vma.frame + (page - vma.first) });
    vma.run?.get();
    vma.file?.get();
    this.#last = undefined;
  }

  /**
   * get_user_pages(): pins up to `pages` pages at a page aligned address, as many as lie together in one VMA.
   *
   * @param address in the process, in bytes; its page is the first one
   * @returns the pages, held until unpinned by `run.put()`; -EFAULT where the memory is missing or not so accessible.
   */
  pin(address: number, pages: number, write: boolean): PinnedPages | number {
    const vma = this.#find(address);
    if (vma === undefined || !vma.read || (write && !vma.write) || isDead(vma)) return -EFAULT;
    const page = Math.floor(address / PAGE_SIZE);
    const skip = page - vma.first;
    const count = Math.min(pages, vma.last - page + 1);
    return { frame: vma.frame + skip, count, run: vma.run?.get() };
  }

  /** copy_from_user(): false is a fault; device mappings can be copied from as well. @param address in the process, in bytes */
  copyFromUser(address: number, into: Uint8Array): boolean {
    if (!this.accessible(address, into.length)) return false;
    this.readBytes(address, into);
    return true;
  }

  /** copy_to_user(): false is a fault, with nothing written. @param address in the process, in bytes */
  copyToUser(address: number, from: Uint8Array): boolean {
    if (!this.accessible(address, from.length, true)) return false;
    this.writeBytes(address, from);
    return true;
  }

  /**
   * Whether all of it is mapped so, and answers. access_ok() as well: nothing beyond TASK_SIZE is, whatever the sum.
   *
   * @param address in the process, in bytes
   * @param length in bytes; 0 always is
   */
  accessible(address: number, length: number, write = false): boolean {
    if (length === 0) return true;
    if (!isInside(address, length, 0, TASK_SIZE)) return false;
    const pages = Math.floor(address / PAGE_SIZE) + Math.ceil(((address % PAGE_SIZE) + length) / PAGE_SIZE);
    for (let page = Math.floor(address / PAGE_SIZE); page < pages; ) {
      const vma = this.#find(page * PAGE_SIZE);
      if (vma === undefined || (write ? !vma.write : !vma.read) || isDead(vma)) return false;
      page = vma.last + 1;
    }
    return true;
  }

  /** How many bytes from an address on can be accessed so, of `length`. @param address in the process, in bytes @param length in bytes */
  reach(address: number, length: number, write: boolean): number {
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.accessible(address, middle, write)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Loads a byte of the process; a fault reads as 0xff and is an event. @param address in the process */
  read8(address: number): number {
    const at = this.#resolve(address, false);
    return at === undefined ? 0xff : this.host.memory.read8(at);
  }

  /** Loads 2 bytes of the process, little-endian; a fault reads as 0xffff and is an event. @param address in the process */
  read16(address: number): number {
    if (address % PAGE_SIZE > PAGE_SIZE - 2) return this.read8(address) | (this.read8(address + 1) << 8);
    const at = this.#resolve(address, false);
    return at === undefined ? 0xffff : this.host.memory.read16(at);
  }

  /** Loads 4 bytes of the process, little-endian; a fault reads as 0xffff_ffff and is an event. @param address in the process */
  read32(address: number): number {
    if (address % PAGE_SIZE > PAGE_SIZE - 4) return (this.read16(address) | (this.read16(address + 2) << 16)) >>> 0;
    const at = this.#resolve(address, false);
    return at === undefined ? 0xffff_ffff : this.host.memory.read32(at);
  }

  /** Stores a byte of the process; a fault writes nothing and is an event. @param address in the process @param value cut to 8 bits */
  write8(address: number, value: number): void {
    const at = this.#resolve(address, true);
    if (at !== undefined) this.host.memory.write8(at, value);
  }

  /**
   * Stores 2 bytes of the process, little-endian; a fault writes nothing and is an event.
   *
   * @param address in the process
   * @param value cut to 16 bits
   */
  write16(address: number, value: number): void {
    if (address % PAGE_SIZE > PAGE_SIZE - 2) {
      this.write8(address, value);
      this.write8(address + 1, value >>> 8);
      return;
    }
    const at = this.#resolve(address, true);
    if (at !== undefined) this.host.memory.write16(at, value);
  }

  /**
   * Stores 4 bytes of the process, little-endian; a fault writes nothing and is an event.
   *
   * @param address in the process
   * @param value cut to 32 bits
   */
  write32(address: number, value: number): void {
    if (address % PAGE_SIZE > PAGE_SIZE - 4) {
      this.write16(address, value);
      this.write16(address + 2, value >>> 16);
      return;
    }
    const at = this.#resolve(address, true);
    if (at !== undefined) this.host.memory.write32(at, value);
  }

  /** Loads 8 bytes of the process in one access, the low half first; a fault reads as ones and is an event. @param address in the process */
  read64(address: number, into: Uint32Array): void {
    if (address % PAGE_SIZE > PAGE_SIZE - 8) {
      into[0] = this.read32(address);
      into[1] = this.read32(address + 4);
      return;
    }
    const at = this.#resolve(address, false);
    if (at === undefined) into.fill(0xffff_ffff, 0, 2);
    else this.host.memory.read64(at, into);
  }

  /**
   * Stores 8 bytes of the process in one access; a fault writes nothing and is an event.
   *
   * @param address in the process
   * @param lo the low half, 32 bits
   * @param hi the high half, 32 bits
   */
  write64(address: number, lo: number, hi: number): void {
    if (address % PAGE_SIZE > PAGE_SIZE - 8) {
      this.write32(address, lo);
      this.write32(address + 4, hi);
      return;
    }
    const at = this.#resolve(address, true);
    if (at !== undefined) this.host.memory.write64(at, lo, hi);
  }

  /** Loads bytes of the process; parts that fault read as 0xff and are events. @param address in the process */
  readBytes(address: number, into: Uint8Array): void {
    this.#pieces(address, into.length, false, (physical, done, take) => {
      if (physical === undefined) into.fill(0xff, done, done + take);
      else this.host.memory.readBytes(physical, into.subarray(done, done + take));
    });
  }

  /** Stores bytes of the process; parts that fault are left out and are events. @param address in the process */
  writeBytes(address: number, from: Uint8Array): void {
    this.#pieces(address, from.length, true, (physical, done, take) => {
      if (physical !== undefined) this.host.memory.writeBytes(physical, from.subarray(done, done + take));
    });
  }

  /**
   * How many bytes from an address on are zero for certain, since nothing was ever stored there; 0 where nothing can be read.
   *
   * @param address in the process
   */
  untouched(address: number): number {
    const vma = this.#find(address);
    if (vma === undefined || !vma.read || isDead(vma)) return 0;
    const start = vma.first * PAGE_SIZE;
    return Math.min(this.host.memory.untouched(vma.frame * PAGE_SIZE + (address - start)), (vma.last + 1) * PAGE_SIZE - address);
  }

  /** Calls `piece` for each part that lies in one VMA, or page by page where none is. */
  #pieces(address: number, length: number, write: boolean, piece: (physical: number | undefined, done: number, take: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const vma = this.#find(at);
      let take = length - done;
      // Beyond TASK_SIZE nothing can be mapped: one piece.
      if (isInside(at, 1, 0, TASK_SIZE)) take = Math.min(take, vma === undefined ? PAGE_SIZE - (at % PAGE_SIZE) : (vma.last + 1) * PAGE_SIZE - at);
      piece(this.#resolve(at, write), done, take);
      done += take;
    }
  }

  /** The physical address behind a user address; undefined is a fault, told to the trace. */
  #resolve(address: number, write: boolean): number | undefined {
    const vma = this.#find(address);
    if (vma === undefined || (write ? !vma.write : !vma.read)) {
      this.host.trace.emit(MEMORY_FAULT, { signal: 'SIGSEGV', address, write });
      return undefined;
    }
    if (isDead(vma)) {
      this.host.trace.emit(MEMORY_FAULT, { signal: 'SIGBUS', address, write });
      return undefined;
    }
    return vma.frame * PAGE_SIZE + (address - vma.first * PAGE_SIZE);
  }

  #find(address: number): Vma | undefined {
    const page = Math.floor(address / PAGE_SIZE);
    const last = this.#last;
    if (last !== undefined && page >= last.first && page <= last.last) return last;
    const vma = this.#vmas.find(page);
    if (vma !== undefined) this.#last = vma;
    return vma;
  }

  /** At the next addresses, a hole behind each mapping, so that running off one end is a fault; once they are used up, in the first hole. */
  #reserve(bytes: number): number {
    const span = Math.ceil((bytes + PAGE_SIZE) / HUGE) * HUGE;
    let start = this.#next;
    if (isInside(start, span, 0, TASK_SIZE)) {
      this.#next = start + span;
    } else {
      start = FIRST_ADDRESS;
      for (;;) {
        if (!isInside(start, span, 0, TASK_SIZE)) return this.host.refusals.refuse(NO_ADDRESSES, { length: bytes });
        const vma = this.#vmas.firstIn(start / PAGE_SIZE, (start + span) / PAGE_SIZE - 1);
        if (vma === undefined) break;
        start = Math.ceil(((vma.last + 2) * PAGE_SIZE) / HUGE) * HUGE;
      }
    }
    return start;
  }

  #insert(bytes: number, content: Omit<Vma, 'first' | 'last'>): Mapping | number {
    const start = this.#reserve(bytes);
    if (start < 0) return start;
    const first = start / PAGE_SIZE;
    this.#vmas.insert({ first, last: first + bytes / PAGE_SIZE - 1, ...content });
    return new Mapping(this, start, bytes, content.device === undefined || content.device.cacheable === true);
  }
}

function* putAll(files: readonly File[]): Sleeps<void> {
  for (const file of files) yield* file.put();
}
