/** LPI numbers: ordered free ranges, first fit. Kernel: the LPI range allocator of irq-gic-v3-its.c. */

interface Range {
  base: number;
  count: number;
}

export class LpiAllocator {
  readonly #free: Range[];

  /** Numbers in [base, base + count) are free. @param base the first, 0 or more @param count how many */
  constructor(base: number, count: number) {
    this.#free = count === 0 ? [] : [{ base, count }];
  }

  /** Numbers that are free. */
  get free(): number {
    return this.#free.reduce((sum, { count }) => sum + count, 0);
  }

  /** The first of `count` consecutive numbers; undefined if there is no such run. */
  allocate(count: number): number | undefined {
    const at = this.#free.findIndex((range) => range.count >= count);
    const range = this.#free[at];
    if (range === undefined) return undefined;
    const base = range.base;
    range.base += count;
    range.count -= count;
    if (range.count === 0) this.#free.splice(at, 1);
    return base;
  }

  /** As allocate(), but halves the request until it fits. Kernel: its_lpi_alloc(). @param count how many are wanted */
  allocateUpTo(count: number): Range | undefined {
    for (let n = count; n > 0; n = Math.floor(n / 2)) {
      const base = this.allocate(n);
      if (base !== undefined) return { base, count: n };
    }
    return undefined;
  }

  release(base: number, count: number): void {
    const at = this.#free.findIndex((range) => range.base > base);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, { base, count });
    for (let i = this.#free.length - 1; i > 0; i -= 1) {
      const left = this.#free[i - 1]!;
      const right = this.#free[i]!;
      if (left.base + left.count !== right.base) continue;
      left.count += right.count;
      this.#free.splice(i, 1);
    }
  }
}
