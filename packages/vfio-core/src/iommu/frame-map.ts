/**
 * An ordered map of disjoint ranges of page frames: type1's mappings and a domain's extents.
 *
 * Two levels: leaves of at most LEAF ranges, and a typed array of the leaves' first frames to search. A look-up is a
 * binary search in each; an insertion moves at most one leaf and, when it splits, the index. Frames are below 2^52.
 */

/** A range of page frames, both ends inclusive. */
export interface FrameRange {
  readonly first: number;
  readonly last: number;
}

const LEAF = 512;

export class FrameMap<R extends FrameRange> {
  #leaves: R[][] = [];
  /** First frame of each leaf; longer than the leaves are. */
  #firsts: Float64Array = new Float64Array(16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Ascending. */
  *[Symbol.iterator](): Iterator<R> {
    for (const leaf of this.#leaves) yield* leaf;
  }

  /** The range that holds `frame`. */
  find(frame: number): R | undefined {
    const leaf = this.#leaves[this.#leafOf(frame)];
    if (leaf === undefined) return undefined;
    const range = leaf[upper(leaf, frame) - 1];
    return range !== undefined && range.last >= frame ? range : undefined;
  }

  /** The lowest range that has a frame in [first, last]. */
  firstIn(first: number, last: number): R | undefined {
    const at = this.#leafOf(first);
    const leaf = this.#leaves[at];
    if (leaf === undefined) return undefined;
    const i = upper(leaf, first);
    const before = leaf[i - 1];
    if (before !== undefined && before.last >= first) return before;
    const next = leaf[i] ?? this.#leaves[at + 1]?.[0];
    return next !== undefined && next.first <= last ? next : undefined;
  }

  /** Adds a range that overlaps none that is there. */
  insert(range: R): void {
    this.#size += 1;
    if (this.#leaves.length === 0) {
      this.#leaves.push([range]);
      this.#index(0);
      return;
    }
    const at = Math.max(this.#leafOf(range.first), 0);
    const leaf = this.#leaves[at]!;
    leaf.splice(upper(leaf, range.first), 0, range);
    if (leaf.length > LEAF) {
      this.#leaves.splice(at + 1, 0, leaf.splice(LEAF / 2));
      this.#index(at);
    } else {
      this.#firsts[at] = leaf[0]!.first;
    }
  }

  /** Takes out a range by its first frame. */
  remove(first: number): R | undefined {
    const at = this.#leafOf(first);
    const leaf = this.#leaves[at];
    if (leaf === undefined) return undefined;
    const i = upper(leaf, first) - 1;
    if (leaf[i]?.first !== first) return undefined;
    const [removed] = leaf.splice(i, 1);
    this.#size -= 1;
    if (leaf.length === 0) {
      this.#leaves.splice(at, 1);
      this.#index(at);
    } else {
      this.#firsts[at] = leaf[0]!.first;
    }
    return removed;
  }

  /** Takes out every range that lies in [first, last]. */
  removeInside(first: number, last: number): void {
    for (let range = this.firstIn(first, last); range !== undefined; ) {
      const next = range.last + 1;
      if (range.first >= first && range.last <= last) this.remove(range.first);
      range = next <= last ? this.firstIn(next, last) : undefined;
    }
  }

  clear(): void {
    this.#leaves = [];
    this.#size = 0;
  }

  /** The last leaf that begins at or before `frame`, or 0. */
  #leafOf(frame: number): number {
    let lo = 0;
    let hi = this.#leaves.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.#firsts[mid]! <= frame) lo = mid + 1;
      else hi = mid;
    }
    return lo === 0 ? 0 : lo - 1;
  }

  /** Writes the index anew from leaf `from` on. */
  #index(from: number): void {
    if (this.#leaves.length > this.#firsts.length) {
      const grown = new Float64Array(this.#firsts.length * 2);
      grown.set(this.#firsts);
      this.#firsts = grown;
    }
    for (let i = from; i < this.#leaves.length; i += 1) this.#firsts[i] = this.#leaves[i]![0]!.first;
  }
}

/** Whether [first, last] takes only a part of some range, at either end. */
export function cuts<R extends FrameRange>(map: FrameMap<R>, first: number, last: number): boolean {
  const head = map.find(first);
  const tail = map.find(last);
  return (head !== undefined && head.first !== first) || (tail !== undefined && tail.last !== last);
}

/** How many ranges of a leaf begin at or before `frame`. */
function upper(leaf: readonly FrameRange[], frame: number): number {
  let lo = 0;
  let hi = leaf.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (leaf[mid]!.first <= frame) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}
