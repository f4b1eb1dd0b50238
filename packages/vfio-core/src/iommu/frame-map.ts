/**
 * An ordered map of disjoint ranges of page frames: type1's mappings and a domain's extents.
 *
 * Two levels: leaves of at most LEAF ranges, and an index of the leaves' first frames. What is searched lies in typed arrays, so
 * that a look-up touches few cache lines and one object; an insertion moves at most one leaf and, when it splits, the index.
 * Frames are below 2^52.
 */

/** A range of page frames, both ends inclusive. */
export interface FrameRange {
  readonly first: number;
  readonly last: number;
}

const LEAF = 256;

/** Up to LEAF ranges, ascending, and their ends beside them. */
class Leaf<R extends FrameRange> {
  readonly firsts: Float64Array = new Float64Array(LEAF + 1);
  readonly lasts: Float64Array = new Float64Array(LEAF + 1);
  readonly ranges: R[] = [];

  /** How many ranges begin at or before `frame`. */
  upper(frame: number): number {
    const { firsts } = this;
    let lo = 0;
    let hi = this.ranges.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (firsts[mid]! <= frame) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  insert(at: number, range: R): void {
    this.firsts.copyWithin(at + 1, at, this.ranges.length);
    this.lasts.copyWithin(at + 1, at, this.ranges.length);
    this.firsts[at] = range.first;
    this.lasts[at] = range.last;
    this.ranges.splice(at, 0, range);
  }

  removeAt(at: number): void {
    this.firsts.copyWithin(at, at + 1, this.ranges.length);
    this.lasts.copyWithin(at, at + 1, this.ranges.length);
    this.ranges.splice(at, 1);
  }

  /** Gives up its upper half. */
  split(): Leaf<R> {
    const other = new Leaf<R>();
    const half = LEAF / 2;
    other.firsts.set(this.firsts.subarray(half, this.ranges.length));
    other.lasts.set(this.lasts.subarray(half, this.ranges.length));
    other.ranges.push(...this.ranges.splice(half));
    return other;
  }
}

export class FrameMap<R extends FrameRange> {
  #leaves: Leaf<R>[] = [];
  /** First frame of each leaf; longer than the leaves are. */
  #firsts: Float64Array = new Float64Array(16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Ascending. */
  *[Symbol.iterator](): Iterator<R> {
    for (const { ranges } of this.#leaves) yield* ranges;
  }

  /** The range that holds `frame`. */
  find(frame: number): R | undefined {
    const leaf = this.#leaves[this.#leafOf(frame)];
    if (leaf === undefined) return undefined;
    const i = leaf.upper(frame) - 1;
    return i >= 0 && leaf.lasts[i]! >= frame ? leaf.ranges[i] : undefined;
  }

  /** The lowest range that has a frame in [first, last]. */
  firstIn(first: number, last: number): R | undefined {
    const at = this.#leafOf(first);
    const leaf = this.#leaves[at];
    if (leaf === undefined) return undefined;
    const i = leaf.upper(first);
    if (i > 0 && leaf.lasts[i - 1]! >= first) return leaf.ranges[i - 1];
    const next = leaf.ranges[i] ?? this.#leaves[at + 1]?.ranges[0];
    return next !== undefined && next.first <= last ? next : undefined;
  }

  /** Adds a range that overlaps none that is there. */
  insert(range: R): void {
    this.#size += 1;
    if (this.#leaves.length === 0) {
      const leaf = new Leaf<R>();
      leaf.insert(0, range);
      this.#leaves.push(leaf);
      this.#index(0);
      return;
    }
    const at = this.#leafOf(range.first);
    const leaf = this.#leaves[at]!;
    leaf.insert(leaf.upper(range.first), range);
    if (leaf.ranges.length > LEAF) {
      this.#leaves.splice(at + 1, 0, leaf.split());
      this.#index(at);
    } else {
      this.#firsts[at] = leaf.firsts[0]!;
    }
  }

  /** Takes out a range by its first frame. */
  remove(first: number): R | undefined {
    const at = this.#leafOf(first);
    const leaf = this.#leaves[at];
    if (leaf === undefined) return undefined;
    const i = leaf.upper(first) - 1;
    const removed = leaf.ranges[i];
    if (removed?.first !== first) return undefined;
    leaf.removeAt(i);
    this.#size -= 1;
    if (leaf.ranges.length === 0) {
      this.#leaves.splice(at, 1);
      this.#index(at);
    } else {
      this.#firsts[at] = leaf.firsts[0]!;
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
    for (let i = from; i < this.#leaves.length; i += 1) this.#firsts[i] = this.#leaves[i]!.firsts[0]!;
  }
}

/** Whether [first, last] takes only a part of some range, at either end. */
export function cuts<R extends FrameRange>(map: FrameMap<R>, first: number, last: number): boolean {
  const head = map.find(first);
  const tail = map.find(last);
  return (head !== undefined && head.first !== first) || (tail !== undefined && tail.last !== last);
}
