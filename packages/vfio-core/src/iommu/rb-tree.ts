/**
 * A red-black tree of frame ranges, for the one place where its shape can be seen: before 5.12 an unmap takes, of the mappings
 * in its range, always the one nearest the root. The algorithms are the textbook's (Cormen et al.), whose shape the kernel's
 * tree shares.
 */
import type { FrameRange } from '../memory/frame-map.ts';

interface RbNode<R> {
  range: R | undefined;
  red: boolean;
  parent: RbNode<R>;
  left: RbNode<R>;
  right: RbNode<R>;
}

type Side = 'left' | 'right';

export class RbTree<R extends FrameRange> {
  readonly #nil: RbNode<R> = new Nil<R>();
  #root: RbNode<R> = this.#nil;

  /** The range nearest the root that has a frame in [first, last]. */
  topmost(first: number, last: number): R | undefined {
    let node = this.#root;
    while (node.range !== undefined) {
      if (last < node.range.first) node = node.left;
      else if (first > node.range.last) node = node.right;
      else return node.range;
    }
    return undefined;
  }

  insert(range: R): void {
    let parent = this.#nil;
    let side: Side = 'left';
    for (let at = this.#root; at.range !== undefined; at = at[side]) {
      parent = at;
      side = range.last < at.range.first ? 'left' : 'right';
    }
    const node: RbNode<R> = { range, red: true, parent, left: this.#nil, right: this.#nil };
    if (parent === this.#nil) this.#root = node;
    else parent[side] = node;
    this.#fixInsert(node);
  }

  remove(range: R): void {
    let node = this.#root;
    while (node.range !== undefined && node.range !== range) node = range.last < node.range.first ? node.left : node.right;
    if (node.range === undefined) return;
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
