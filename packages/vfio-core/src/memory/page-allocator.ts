/**
 * The kernel's allocator of RAM pages: runs of 4 KiB frames, first fit from the lowest address, so that a program's layout
 * is reproducible. A run lives as long as somebody holds it: an mm that maps it, an IOMMU mapping that pinned it.
 */
import type { PhysicalMemory } from './physical-memory.ts';

export const PAGE_SIZE = 4096;

/** Consecutive page frames, all zero when allocated, freed with the last reference. */
export class PageRun {
  /** The first page frame number. */
  readonly first: number;
  readonly count: number;
  readonly #free: (run: PageRun) => void;
  #references = 1;

  /** @internal Runs are made by PageAllocator. */
  constructor(first: number, count: number, free: (run: PageRun) => void) {
    this.first = first;
    this.count = count;
    this.#free = free;
  }

  get(): this {
    this.#references += 1;
    return this;
  }

  put(): void {
    this.#references -= 1;
    if (this.#references === 0) this.#free(this);
  }
}

export class PageAllocator {
  readonly #ram: PhysicalMemory;
  /** Free frames as [first, end), ascending, never adjacent. */
  readonly #holes: { first: number; end: number }[];
  #used = 0;

  constructor(ram: PhysicalMemory) {
    this.#ram = ram;
    this.#holes = ram.ranges.map(({ base, size }) => ({ first: base / PAGE_SIZE, end: (base + size) / PAGE_SIZE }));
  }

  /** Frames handed out and not given back. */
  get used(): number {
    return this.#used;
  }

  /** `count` consecutive zeroed frames, the first a multiple of `align` frames; undefined when there is no such hole. */
  allocate(count: number, align = 1): PageRun | undefined {
    for (let i = 0; i < this.#holes.length; i += 1) {
      const hole = this.#holes[i]!;
      const first = Math.ceil(hole.first / align) * align;
      if (first + count > hole.end) continue;
      const rest = [
        { first: hole.first, end: first },
        { first: first + count, end: hole.end },
      ].filter((part) => part.first < part.end);
      this.#holes.splice(i, 1, ...rest);
      this.#used += count;
      this.#ram.clear(first * PAGE_SIZE, count * PAGE_SIZE);
      return new PageRun(first, count, (run) => {
        this.#release(run);
      });
    }
    return undefined;
  }

  #release({ first, count }: PageRun): void {
    this.#used -= count;
    const end = first + count;
    const at = this.#holes.findIndex((hole) => hole.first >= end);
    const i = at < 0 ? this.#holes.length : at;
    const before = this.#holes[i - 1];
    const after = this.#holes[i];
    if (before?.end === first) {
      before.end = end;
      if (after?.first === end) {
        before.end = after.end;
        this.#holes.splice(i, 1);
      }
    } else if (after?.first === end) {
      after.first = first;
    } else {
      this.#holes.splice(i, 0, { first, end });
    }
  }
}
