/** Frames [first, end). */
export interface Hole {
  readonly first: number;
  readonly end: number;
}

interface Node {
  readonly hole: Hole;
  readonly priority: number;
  left: Node | undefined;
  right: Node | undefined;
  /** Frames of the largest hole in this subtree. */
  largest: number;
}

/**
 * Free frames in ascending runs, so that the first run that is large enough is found in a logarithm of their number: a treap, whose nodes
 * know the largest run below them. Priorities come from a fixed sequence.
 */
export class HoleTree {
  #root: Node | undefined;
  #priority = 1;

  /** Adds a hole that no other overlaps. */
  insert(hole: Hole): void {
    // Marsaglia's xorshift of 32 bits.
    let next = this.#priority;
    next ^= next << 13;
    next ^= next >>> 17;
    next ^= next << 5;
    this.#priority = next;
    const [left, right] = split(this.#root, hole.first);
    this.#root = merge(merge(left, { hole, priority: next, left: undefined, right: undefined, largest: hole.end - hole.first }), right);
  }

  /** Takes out a hole. @param first its first frame */
  remove(first: number): void {
    const [left, rest] = split(this.#root, first);
    this.#root = merge(left, split(rest, first + 1)[1]);
  }

  /** The last hole that begins below a frame. @param frame a page frame number */
  before(frame: number): Hole | undefined {
    let found: Hole | undefined;
    for (let node = this.#root; node !== undefined; ) {
      if (node.hole.first < frame) {
        found = node.hole;
        node = node.right;
      } else node = node.left;
    }
    return found;
  }

  /** The first hole that begins at a frame or above. @param frame a page frame number */
  from(frame: number): Hole | undefined {
    let found: Hole | undefined;
    for (let node = this.#root; node !== undefined; ) {
      if (node.hole.first >= frame) {
        found = node.hole;
        node = node.left;
      } else node = node.right;
    }
    return found;
  }

  /** The lowest hole with room for `count` frames, the first a multiple of `align`. Of those that `align` spoils, each is looked at. */
  firstFit(count: number, align: number): Hole | undefined {
    return fit(this.#root, count, align);
  }
}

/** The lowest frame of a hole that is a multiple of `align` frames. */
export function aligned({ first }: Hole, align: number): number {
  return Math.ceil(first / align) * align;
}

function fit(node: Node | undefined, count: number, align: number): Hole | undefined {
  if (node === undefined || node.largest < count) return undefined;
  const lower = fit(node.left, count, align);
  if (lower !== undefined) return lower;
  return aligned(node.hole, align) + count <= node.hole.end ? node.hole : fit(node.right, count, align);
}

/** What begins below a frame, and what does not. */
function split(node: Node | undefined, frame: number): [Node | undefined, Node | undefined] {
  if (node === undefined) return [undefined, undefined];
  if (node.hole.first < frame) {
    const [low, high] = split(node.right, frame);
    node.right = low;
    return [measured(node), high];
  }
  const [low, high] = split(node.left, frame);
  node.left = high;
  return [low, measured(node)];
}

/** All of `low` is below all of `high`. */
function merge(low: Node | undefined, high: Node | undefined): Node | undefined {
  if (low === undefined) return high;
  if (high === undefined) return low;
  if (low.priority > high.priority) {
    low.right = merge(low.right, high);
    return measured(low);
  }
  high.left = merge(low, high.left);
  return measured(high);
}

function measured(node: Node): Node {
  node.largest = Math.max(node.hole.end - node.hole.first, node.left?.largest ?? 0, node.right?.largest ?? 0);
  return node;
}
