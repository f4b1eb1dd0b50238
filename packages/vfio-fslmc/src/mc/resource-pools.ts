/** Whole numbers, both ends included. */
export interface ResourceRange {
  /** The lowest number of the range. */
  readonly first: number;
  /** The highest number, itself included. */
  readonly last: number;
}

/** What the root container has, in the order in which it tells. */
const ALL: readonly (readonly [type: string, first: number, count: number])[] = [
  ['fq', 1024, 256],
  ['bp', 0, 64],
  ['cg', 0, 256],
  ['qpr', 0, 64],
  ['mcp', 0, 64],
  ['swp', 0, 32],
  ['swp-ch', 0, 32],
  ['qd', 0, 64],
  ['kp.wr0.ctlui', 0, 256],
  ['prp.wr0.ctlui', 0, 16],
];

/** The names of all pools. */
export const POOL_TYPES: readonly string[] = ALL.map(([type]) => type);

/**
 * Pools of a container: numbers of queues, buffer pools, portals and so on that it may use, in ranges. Commands DPRC_GET_POOL,
 * DPRC_GET_RES_COUNT, DPRC_GET_RES_IDS, and ASSIGN and UNASSIGN of a resource.
 *
 * Not modelled: what an object takes of them when it is created. Their sizes are a choice.
 */
export class ResourcePools {
  /** By type, ascending, none beside its neighbour. */
  readonly #ranges = new Map<string, readonly ResourceRange[]>();

  /** @param all it is the root's: all there are */
  constructor(all: boolean) {
    if (all) for (const [type, first, count] of ALL) this.#ranges.set(type, [{ first, last: first + count - 1 }]);
  }

  /** What it has of a type (see POOL_TYPES), ascending, none beside its neighbour. */
  ranges(type: string): readonly ResourceRange[] {
    return this.#ranges.get(type) ?? [];
  }

  /** How many numbers it has of a type. */
  count(type: string): number {
    return this.ranges(type).reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }

  /**
   * Gives `count` of a type to another container: from `base` on, or the lowest that follow each other from a multiple of `alignment`.
   *
   * @param count from 1
   * @returns false where they are not there, and nothing moves
   */
  give(to: ResourcePools, type: string, count: number, { base, alignment = 1 }: { readonly base?: number | undefined; readonly alignment?: number | undefined }): boolean {
    const range = base === undefined ? this.#lowest(type, count, alignment) : { first: base, last: base + count - 1 };
    if (range === undefined || count === 0 || !this.ranges(type).some(({ first, last }) => first <= range.first && range.last <= last)) return false;
    this.#ranges.set(type, this.ranges(type).flatMap((each) => without(each, range)));
    to.#ranges.set(type, joined([...to.ranges(type), range]));
    return true;
  }

  /** All of it goes to another container. */
  giveAll(to: ResourcePools): void {
    for (const [type, ranges] of this.#ranges) to.#ranges.set(type, joined([...to.ranges(type), ...ranges]));
    this.#ranges.clear();
  }

  #lowest(type: string, count: number, alignment: number): ResourceRange | undefined {
    for (const { first, last } of this.ranges(type)) {
      const start = Math.ceil(first / alignment) * alignment;
      if (start + count - 1 <= last) return { first: start, last: start + count - 1 };
    }
    return undefined;
  }
}

function without({ first, last }: ResourceRange, taken: ResourceRange): ResourceRange[] {
  if (taken.last < first || taken.first > last) return [{ first, last }];
  return [{ first, last: taken.first - 1 }, { first: taken.last + 1, last }].filter((each) => each.first <= each.last);
}

function joined(ranges: readonly ResourceRange[]): readonly ResourceRange[] {
  const out: ResourceRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = out.at(-1);
    if (before !== undefined && before.last + 1 === range.first) out[out.length - 1] = { first: before.first, last: range.last };
    else out.push(range);
  }
  return out;
}
