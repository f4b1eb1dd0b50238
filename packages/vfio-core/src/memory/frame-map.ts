/**
 * An ordered map of disjoint ranges of page frames: type1's mappings and a domain's extents.
 *
 * Two levels: leaves of at most LEAF ranges, and an index of the leaves in the order of their first frames. All leaves lie in the
 * same few arrays, LEAF slots each, so that a look-up touches a handful of cache lines and one object; an insertion moves at
 * most one leaf and, when that splits, the index. Frames are below 2^52.
 */

/** A range of page frames, both ends inclusive. */
export interface FrameRange {
  readonly first: number;
  readonly last: number;
}

const LEAF = 32;
const HALF = LEAF / 2;

export class FrameMap<R extends FrameRange> {
  /** The index: each leaf's first frame, its number, ascending; longer than there are leaves. */
  #firsts: Float64Array = new Float64Array(16);
  #order: Uint32Array = new Uint32Array(16);
  #leaves = 0;
  // The leaves, by their numbers: ends and ranges at number * LEAF, and how many there are.
  #starts: Float64Array = new Float64Array(16 * LEAF);
  #ends: Float64Array = new Float64Array(16 * LEAF);
  #counts: Uint8Array = new Uint8Array(16);
  #ranges: (R | undefined)[] = [];
  /** Numbers that have been given back; the next new one is `#numbers`. */
  #free: number[] = [];
  #numbers = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Ascending. */
  *[Symbol.iterator](): Iterator<R> {
    for (let at = 0; at < this.#leaves; at += 1) {
      const leaf = this.#order[at]!;
      for (let i = 0; i < this.#counts[leaf]!; i += 1) yield this.#ranges[leaf * LEAF + i]!;
    }
  }

  /** The range that holds `frame`. */
  find(frame: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const leaf = this.#order[this.#leafOf(frame)]!;
    const slot = this.#upper(leaf, frame) - 1;
    return slot >= leaf * LEAF && this.#ends[slot]! >= frame ? this.#ranges[slot] : undefined;
  }

  /** The lowest range that has a frame in [first, last]. */
  firstIn(first: number, last: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const at = this.#leafOf(first);
    const leaf = this.#order[at]!;
    const slot = this.#upper(leaf, first);
    if (slot > leaf * LEAF && this.#ends[slot - 1]! >= first) return this.#ranges[slot - 1];
    const inside = slot < leaf * LEAF + this.#counts[leaf]!;
    if (!inside && at + 1 === this.#leaves) return undefined;
    const next = this.#ranges[inside ? slot : this.#order[at + 1]! * LEAF]!;
    return next.first <= last ? next : undefined;
  }

  /** Adds a range that overlaps none that is there. */
  insert(range: R): void {
    this.#size += 1;
    if (this.#leaves === 0) this.#addLeaf(0);
    let at = this.#leafOf(range.first);
    if (this.#counts[this.#order[at]!] === LEAF) {
      this.#split(at);
      at = this.#leafOf(range.first);
    }
    const leaf = this.#order[at]!;
    const slot = this.#upper(leaf, range.first);
    const end = leaf * LEAF + this.#counts[leaf]!;
    this.#starts.copyWithin(slot + 1, slot, end);
    this.#ends.copyWithin(slot + 1, slot, end);
    for (let i = end; i > slot; i -= 1) this.#ranges[i] = this.#ranges[i - 1];
    this.#starts[slot] = range.first;
    this.#ends[slot] = range.last;
    this.#ranges[slot] = range;
    this.#counts[leaf]! += 1;
    this.#firsts[at] = this.#starts[leaf * LEAF]!;
  }

  /** Takes out a range by its first frame. */
  remove(first: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const at = this.#leafOf(first);
    const leaf = this.#order[at]!;
    const slot = this.#upper(leaf, first) - 1;
    if (slot < leaf * LEAF || this.#starts[slot] !== first) return undefined;
    const removed = this.#ranges[slot];
    const end = leaf * LEAF + this.#counts[leaf]!;
    this.#starts.copyWithin(slot, slot + 1, end);
    this.#ends.copyWithin(slot, slot + 1, end);
    for (let i = slot; i + 1 < end; i += 1) this.#ranges[i] = this.#ranges[i + 1];
    this.#ranges[end - 1] = undefined;
    this.#counts[leaf]! -= 1;
    this.#size -= 1;
    if (this.#counts[leaf] === 0) this.#dropLeaf(at);
    else this.#firsts[at] = this.#starts[leaf * LEAF]!;
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
    this.#leaves = 0;
    this.#numbers = 0;
    this.#free = [];
    this.#ranges = [];
    this.#size = 0;
  }

  /** The place in the index of the last leaf that begins at or before `frame`, or 0. */
  #leafOf(frame: number): number {
    let lo = 0;
    let hi = this.#leaves;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.#firsts[mid]! <= frame) lo = mid + 1;
      else hi = mid;
    }
    return lo === 0 ? 0 : lo - 1;
  }

  /** The first slot of a leaf whose range begins behind `frame`. */
  #upper(leaf: number, frame: number): number {
    let lo = leaf * LEAF;
    let hi = lo + this.#counts[leaf]!;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.#starts[mid]! <= frame) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  /** Half of a full leaf goes to a new one behind it. */
  #split(at: number): void {
    const leaf = this.#order[at]!;
    const other = this.#addLeaf(at + 1);
    const from = leaf * LEAF + HALF;
    const to = other * LEAF;
    this.#starts.copyWithin(to, from, from + HALF);
    this.#ends.copyWithin(to, from, from + HALF);
    for (let i = 0; i < HALF; i += 1) {
      this.#ranges[to + i] = this.#ranges[from + i];
      this.#ranges[from + i] = undefined;
    }
    this.#counts[leaf] = HALF;
    this.#counts[other] = HALF;
    this.#firsts[at + 1] = this.#starts[to]!;
  }

  /** An empty leaf at a place in the index. @returns its number */
  #addLeaf(at: number): number {
    let leaf = this.#free.pop();
    if (leaf === undefined) {
      leaf = this.#numbers;
      this.#numbers += 1;
      if (leaf === this.#counts.length) this.#growLeaves();
      for (let i = 0; i < LEAF; i += 1) this.#ranges.push(undefined);
    }
    if (this.#leaves === this.#order.length) this.#growIndex();
    this.#firsts.copyWithin(at + 1, at, this.#leaves);
    this.#order.copyWithin(at + 1, at, this.#leaves);
    this.#order[at] = leaf;
    this.#counts[leaf] = 0;
    this.#leaves += 1;
    return leaf;
  }

  #dropLeaf(at: number): void {
    this.#free.push(this.#order[at]!);
    this.#firsts.copyWithin(at, at + 1, this.#leaves);
    this.#order.copyWithin(at, at + 1, this.#leaves);
    this.#leaves -= 1;
  }

  #growIndex(): void {
    const firsts = new Float64Array(this.#firsts.length * 2);
    const order = new Uint32Array(this.#order.length * 2);
    firsts.set(this.#firsts);
    order.set(this.#order);
    this.#firsts = firsts;
    this.#order = order;
  }

  #growLeaves(): void {
    const starts = new Float64Array(this.#starts.length * 2);
    const ends = new Float64Array(this.#ends.length * 2);
    const counts = new Uint8Array(this.#counts.length * 2);
    starts.set(this.#starts);
    ends.set(this.#ends);
    counts.set(this.#counts);
    this.#starts = starts;
    this.#ends = ends;
    this.#counts = counts;
  }
}

/** Whether [first, last] takes only a part of some range, at either end. */
export function cuts<R extends FrameRange>(map: FrameMap<R>, first: number, last: number): boolean {
  const head = map.find(first);
  const tail = map.find(last);
  return (head !== undefined && head.first !== first) || (tail !== undefined && tail.last !== last);
}
