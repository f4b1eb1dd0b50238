import { HoleTree, aligned } from './hole-tree.ts';
import type { PhysicalMemory } from './physical-memory.ts';

/** Bytes of a page: 4 KiB on every machine modelled here. */
export const PAGE_SIZE = 4096;

/**
 * Consecutive page frames, all zero when allocated, freed with the last reference: somebody holds it, as an mm that maps it, or an IOMMU
 * mapping that pinned it.
 */
export class PageRun {
  /** The first page frame number. */
  readonly first: number;
  /** How many frames. */
  readonly count: number;
  readonly #free: (run: PageRun) => void;
  #references = 1;

  /**
   * Runs are made by PageAllocator.
   *
   * @param first the first page frame number
   * @param count how many frames @internal
   * @internal Runs are made by PageAllocator.
   */
  constructor(first: number, count: number, free: (run: PageRun) => void) {
    this.first = first;
    this.count = count;
    this.#free = free;
  }

  /** Takes a reference. @returns the run itself */
  get(): this {
    this.#references += 1;
    return this;
  }

  /** Drops a reference; the last one frees the frames. */
  put(): void {
    this.#references -= 1;
    if (this.#references === 0) this.#free(this);
  }
}

/**
 * The kernel's allocator of RAM pages: runs of 4 KiB frames, first fit from the lowest address, so that a program's layout is reproducible.
 */
export class PageAllocator {
  readonly #ram: Pick<PhysicalMemory, 'ranges' | 'clear'>;
  /** Free frames, never adjacent. */
  readonly #holes = new HoleTree();
  #used = 0;

  /** Takes all of the RAM as free; a Host has one, as `pages`. */
  constructor(ram: Pick<PhysicalMemory, 'ranges' | 'clear'>) {
    this.#ram = ram;
    for (const { base, size } of ram.ranges) this.#holes.insert({ first: base / PAGE_SIZE, end: (base + size) / PAGE_SIZE });
  }

  /** Frames handed out and not given back. */
  get used(): number {
    return this.#used;
  }

  /** `count` consecutive zeroed frames, the first a multiple of `align` frames; undefined when there is no such hole. */
  allocate(count: number, align = 1): PageRun | undefined {
    const hole = this.#holes.firstFit(count, align);
    if (hole === undefined) return undefined;
    const first = aligned(hole, align);
    this.#holes.remove(hole.first);
    this.#add(hole.first, first);
    this.#add(first + count, hole.end);
    this.#used += count;
    this.#ram.clear(first * PAGE_SIZE, count * PAGE_SIZE);
    return new PageRun(first, count, (run) => {
      this.#release(run);
    });
  }

  #release({ first, count }: PageRun): void {
    this.#used -= count;
    const end = first + count;
    const before = this.#holes.before(first);
    const after = this.#holes.from(end);
    const joinsBefore = before?.end === first;
    const joinsAfter = after?.first === end;
    if (joinsBefore) this.#holes.remove(before.first);
    if (joinsAfter) this.#holes.remove(after.first);
    this.#add(joinsBefore ? before.first : first, joinsAfter ? after.end : end);
  }

  #add(first: number, end: number): void {
    if (first < end) this.#holes.insert({ first, end });
  }
}
