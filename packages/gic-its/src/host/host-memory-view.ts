import { CpuCache, fill, PAGE_SIZE, type Host, type Memory, type PageRun } from '@vsim/vfio-core';

/**
 * The host CPUs' view of the memory that they share with the GIC, and its maintenance.
 *
 * With a GIC that snoops, view and memory are one and maintenance does nothing. Otherwise the CPUs keep cache lines until they are
 * cleaned or invalidated by address. Kernel: gic_flush_dcache_to_poc() and the ITS_FLAGS_CMDQ_NEEDS_FLUSHING flag.
 */
export class HostMemoryView {
  /** What a CPU reads and writes. */
  readonly memory: Memory;
  readonly #host: Host;
  readonly #cache: CpuCache | undefined;
  readonly #tables = new Map<number, PageRun>();

  /** A view of the host's RAM. @param coherent the GIC snoops the CPUs' caches */
  constructor(host: Host, coherent: boolean) {
    this.#host = host;
    this.#cache = coherent ? undefined : new CpuCache(host.memory.ram);
    this.memory = this.#cache ?? host.memory.ram;
  }

  /** Whether the GIC snoops the CPUs' caches: maintenance does nothing then. */
  get coherent(): boolean {
    return this.#cache === undefined;
  }

  /** Writes lines back, after CPU writes that the GIC is to see. @param address physical @param length bytes */
  clean(address: number, length: number): void {
    this.#cache?.clean(address, length);
  }

  /** Writes lines back and drops them, before CPU reads of what the GIC wrote. @param address physical @param length bytes */
  cleanInvalidate(address: number, length: number): void {
    this.#cache?.cleanInvalidate(address, length);
  }

  /**
   * Pages for a table: filled with one byte and cleaned, aligned to their size.
   *
   * @param bytes a power of two, at least 4096
   * @param byte what fills it, 8 bits
   * @returns the physical address, or undefined when memory is exhausted
   */
  allocateTable(bytes: number, byte: number): number | undefined {
    const pages = bytes / PAGE_SIZE;
    const run = this.#host.pages.allocate(pages, pages);
    if (run === undefined) return undefined;
    const address = run.first * PAGE_SIZE;
    this.#tables.set(address, run);
    // Pages come zeroed; whether a CPU that is not snooped holds lines of them is another thing.
    if (byte !== 0 || !this.coherent) fill(this.memory, address, bytes, byte);
    this.clean(address, bytes);
    return address;
  }

  /** Gives the pages of a table back; an address that is none does nothing. @param address what allocateTable() returned */
  freeTable(address: number): void {
    this.#tables.get(address)?.put();
    this.#tables.delete(address);
  }
}
