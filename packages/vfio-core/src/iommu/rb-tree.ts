import type { FrameRange } from '../memory/frame-map.ts';
import { FRAMES } from '../memory/range.ts';

interface RbNode<R> {
  range: R | undefined;
  red: boolean;
  parent: RbNode<R>;
  left: RbNode<R>;
  right: RbNode<R>;
}

type Side = 'left' | 'right';

/**
 * A red-black tree of frame ranges, for the places where its shape can be seen: before 5.12 an unmap takes, of the mappings in its range,
 * always the one nearest the root; and until 6.12 the end of a range that ends at 2^64 is 0, so that a search turns the wrong way at it.
 * The algorithms are the textbook's (Cormen et al.), whose shape the kernel's tree shares.
 */
export class RbTree<R extends FrameRange> {
  readonly #nil: RbNode<R> = new Nil<R>();
  #root: RbNode<R> = this.#nil;

  readonly #nodes = new Map<R, RbNode<R>>();

  /**
   * vfio_find_dma(): the range nearest the root that has a frame in [first, end). An `end` of 2^64 is 0.
   *
   * @param first a page frame
   * @param end a page frame
   */
  find(first: number, end: number): R | undefined {
    let node = this.#root;
    while (node.range !== undefined) {
      if (end <= node.range.first) node = node.left;
      else if (first >= wrappedEnd(node.range)) node = node.right;
      else return node.range;
    }
    return undefined;
  }

  /** vfio_find_dma_first_node(): the leftmost range that ends after `first`, if it begins before `end`. */
  firstFrom(first: number, end: number): R | undefined {
    let found: R | undefined;
    let node = this.#root;
    while (node.range !== undefined) {
      if (first < wrappedEnd(node.range)) {
        found = node.range;
        if (first >= node.range.first) break;
        node = node.left;
      } else node = node.right;
    }
    return found !== undefined && found.first < end ? found : undefined;
  }

  /** rb_first(). */
  get first(): R | undefined {
    return this.#leftmost(this.#root).range;
  }

  /** rb_next(). */
  next(range: R): R | undefined {
    let node = this.#nodes.get(range) ?? this.#nil;
    if (node.right.range !== undefined) return this.#leftmost(node.right).range;
    while (node.parent.range !== undefined && node === node.parent.right) node = node.parent;
    return node.parent.range;
  }

  #leftmost(from: RbNode<R>): RbNode<R> {
    let node = from;
    while (node.left.range !== undefined) node = node.left;
    return node;
  }

  insert(range: R): void {
    let parent = this.#nil;
    let side: Side = 'left';
    for (let at = this.#root; at.range !== undefined; at = at[side]) {
      parent = at;
      // vfio_link_dma() comes before the mapping has its size.
      side = range.first <= at.range.first ? 'left' : 'right';
    }
    const node: RbNode<R> = { range, red: true, parent, left: this.#nil, right: this.#nil };
    this.#nodes.set(range, node);
    if (parent === this.#nil) this.#root = node;
    else parent[side] = node;
    this.#fixInsert(node);
  }

  remove(range: R): void {
    const node = this.#nodes.get(range);
    if (node === undefined) return;
    this.#nodes.delete(range);
    let black = !node.red;
    let moved: RbNode<R>;
    if (node.left === this.#nil || node.right === this.#nil) {
      moved = node.left === this.#nil ? node.right : node.left;
      this.#replace(node, moved);
    } else {
      let next = node.right;
      while (next.left !== this.#nil) next = next.left;
      black = !next.red;
      moved = next.right;
      if (next.parent === node) {
        moved.parent = next;
      } else {
        this.#replace(next, moved);
        next.right = node.right;
        next.right.parent = next;
      }
      this.#replace(node, next);
      next.left = node.left;
      next.left.parent = next;
      next.red = node.red;
    }
    if (black) this.#fixRemove(moved);
  }

  #fixInsert(inserted: RbNode<R>): void {
    let node = inserted;
    while (node.parent.red) {
      const grand = node.parent.parent;
      const side: Side = node.parent === grand.left ? 'left' : 'right';
      const far = other(side);
      const uncle = grand[far];
      if (uncle.red) {
        node.parent.red = false;
        uncle.red = false;
        grand.red = true;
        node = grand;
        continue;
      }
      if (node === node.parent[far]) {
        node = node.parent;
        this.#rotate(node, side);
      }
      node.parent.red = false;
      grand.red = true;
      this.#rotate(grand, far);
    }
    this.#root.red = false;
  }

  #fixRemove(start: RbNode<R>): void {
    let node = start;
    while (node !== this.#root && !node.red) {
      const { parent } = node;
      const side: Side = node === parent.left ? 'left' : 'right';
      const far = other(side);
      let sibling = parent[far];
      if (sibling.red) {
        sibling.red = false;
        parent.red = true;
        this.#rotate(parent, side);
        sibling = parent[far];
      }
      if (!sibling.left.red && !sibling.right.red) {
        sibling.red = true;
        node = parent;
        continue;
      }
      if (!sibling[far].red) {
        sibling[side].red = false;
        sibling.red = true;
        this.#rotate(sibling, far);
        sibling = parent[far];
      }
      sibling.red = parent.red;
      parent.red = false;
      sibling[far].red = false;
      this.#rotate(parent, side);
      node = this.#root;
    }
    node.red = false;
  }

  /** Moves `node` down to `side`, its other child up in its place. */
  #rotate(node: RbNode<R>, side: Side): void {
    const far = other(side);
    const up = node[far];
    node[far] = up[side];
    if (up[side] !== this.#nil) up[side].parent = node;
    this.#replace(node, up);
    up[side] = node;
    node.parent = up;
  }

  #replace(node: RbNode<R>, by: RbNode<R>): void {
    if (node.parent === this.#nil) this.#root = by;
    else if (node === node.parent.left) node.parent.left = by;
    else node.parent.right = by;
    by.parent = node.parent;
  }
}

/** Where the kernel takes a range to end: the sum of 64 bits. */
export function wrappedEnd({ last }: FrameRange): number {
  return last + 1 === FRAMES ? 0 : last + 1;
}

function other(side: Side): Side {
  return side === 'left' ? 'right' : 'left';
}

/** The leaf that stands for "nothing": black, its own parent and children. */
class Nil<R> implements RbNode<R> {
  range: R | undefined = undefined;
  red = false;
  parent: RbNode<R> = this;
  left: RbNode<R> = this;
  right: RbNode<R> = this;
}
