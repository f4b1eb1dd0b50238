/** A range of page frames, both ends inclusive. */
export interface FrameRange {
  /** The first page frame, an address / 4096. */
  readonly first: number;
  /** The last page frame, from `first` on. */
  readonly last: number;
}

const LEAF = 64;
const HALF = LEAF / 2;
/** The first index has room for so many leaves. */
const INDEX = 16;
// What a map without ranges has: many never get one.
const NO_FRAMES = new Float64Array(0);
const NO_NUMBERS = new Uint32Array(0);
const NO_COUNTS = new Uint8Array(0);

/**
 * An ordered map of disjoint ranges of page frames: type1's mappings and a domain's extents. Frames are below 2^52.
 *
 * Two levels: leaves of at most 64 ranges, and an index of the leaves in the order of their first frames. All leaves lie in the same few
 * arrays, so that a look-up touches a handful of cache lines and one object; an insertion moves at most one leaf and, when that splits, the
 * index.
 */
export class FrameMap<R extends FrameRange> {
  /** The index: each leaf's first frame, its number, ascending; longer than there are leaves. */
  #firsts: Float64Array = NO_FRAMES;
  #order: Uint32Array = NO_NUMBERS;
  #leaves = 0;
  // The leaves, by their numbers: first frames and places of their ranges at number * LEAF, and how many there are.
  #starts: Float64Array = NO_FRAMES;
  #places: Uint32Array = NO_NUMBERS;
  #counts: Uint8Array = NO_COUNTS;
  /** By place, where each stays: an array of objects costs the collector of garbage for each that moves. */
  #ranges: (R | undefined)[] = [];
  #freePlaces: number[] = [];
  /** Numbers that have been given back; the next new one is `#numbers`. */
  #free: number[] = [];
  #numbers = 0;
  #size = 0;

  /** How many ranges there are. */
  get size(): number {
    return this.#size;
  }

  /** Ascending. */
  *[Symbol.iterator](): Iterator<R> {
    for (let at = 0; at < this.#leaves; at += 1) {
      const leaf = this.#order[at]!;
      for (let i = 0; i < this.#counts[leaf]!; i += 1) yield this.#at(leaf * LEAF + i);
    }
  }

  /** The range that holds `frame`. */
  find(frame: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const leaf = this.#order[this.#leafOf(frame)]!;
    const slot = this.#upper(leaf, frame) - 1;
    if (slot < leaf * LEAF) return undefined;
    const range = this.#at(slot);
    return range.last >= frame ? range : undefined;
  }

  /** The lowest range that has a frame in [first, last]. @param first a page frame @param last a page frame */
  firstIn(first: number, last: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const at = this.#leafOf(first);
    const leaf = this.#order[at]!;
    const slot = this.#upper(leaf, first);
    if (slot > leaf * LEAF) {
      const before = this.#at(slot - 1);
      if (before.last >= first) return before;
    }
    const inside = slot < leaf * LEAF + this.#counts[leaf]!;
    if (!inside && at + 1 === this.#leaves) return undefined;
    const next = inside ? slot : this.#order[at + 1]! * LEAF;
    return this.#starts[next]! <= last ? this.#at(next) : undefined;
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
    for (let i = end; i > slot; i -= 1) {
      this.#starts[i] = this.#starts[i - 1]!;
      this.#places[i] = this.#places[i - 1]!;
    }
    const place = this.#freePlaces.pop() ?? this.#ranges.length;
    this.#ranges[place] = range;
    this.#starts[slot] = range.first;
    this.#places[slot] = place;
    this.#counts[leaf]! += 1;
    this.#firsts[at] = this.#starts[leaf * LEAF]!;
  }

  /** Takes out a range by its first frame. @param first the range's first frame @returns the range; undefined where none begins there */
  remove(first: number): R | undefined {
    if (this.#leaves === 0) return undefined;
    const at = this.#leafOf(first);
    const leaf = this.#order[at]!;
    const slot = this.#upper(leaf, first) - 1;
    if (slot < leaf * LEAF || this.#starts[slot] !== first) return undefined;
    const place = this.#places[slot]!;
    const removed = this.#ranges[place];
    this.#ranges[place] = undefined;
    this.#freePlaces.push(place);
    const end = leaf * LEAF + this.#counts[leaf]!;
    for (let i = slot; i + 1 < end; i += 1) {
      this.#starts[i] = this.#starts[i + 1]!;
      this.#places[i] = this.#places[i + 1]!;
    }
    this.#counts[leaf]! -= 1;
    this.#size -= 1;
    if (this.#counts[leaf] === 0) this.#dropLeaf(at);
    else this.#firsts[at] = this.#starts[leaf * LEAF]!;
    return removed;
  }

  /** Takes out every range that lies in [first, last]. @param first a page frame @param last a page frame */
  removeInside(first: number, last: number): void {
    for (let range = this.firstIn(first, last); range !== undefined; ) {
      const next = range.last + 1;
      if (range.first >= first && range.last <= last) this.remove(range.first);
      range = next <= last ? this.firstIn(next, last) : undefined;
    }
  }

  /** Takes out all ranges. */
  clear(): void {
    this.#leaves = 0;
    this.#numbers = 0;
    this.#free = [];
    this.#ranges = [];
    this.#freePlaces = [];
    this.#size = 0;
  }

  #at(slot: number): R {
    return this.#ranges[this.#places[slot]!]!;
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
    this.#places.copyWithin(to, from, from + HALF);
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
    const leaves = Math.max(INDEX, this.#order.length * 2);
    const firsts = new Float64Array(leaves);
    const order = new Uint32Array(leaves);
    firsts.set(this.#firsts);
    order.set(this.#order);
    this.#firsts = firsts;
    this.#order = order;
  }

  #growLeaves(): void {
    const leaves = Math.max(1, this.#counts.length * 2);
    const starts = new Float64Array(LEAF * leaves);
    const places = new Uint32Array(LEAF * leaves);
    const counts = new Uint8Array(leaves);
    starts.set(this.#starts);
    places.set(this.#places);
    counts.set(this.#counts);
    this.#starts = starts;
    this.#places = places;
    this.#counts = counts;
  }
}
