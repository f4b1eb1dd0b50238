/** What looking through a whole tree needs: nodes by phandle, and a bound on what it costs to follow every reference. */
import { FdtError, type FdtNode } from '@vsim/vfio-core';

/** Entries of `ranges` and `interrupt-map` that are looked at, and nodes on the way. Real trees take a few thousand. */
const MAX_STEPS = 4_000_000;

export class Look {
  readonly #phandles = new Map<number, FdtNode>();
  #steps = 0;

  /** @throws FdtError for a phandle that is no list of cells */
  constructor(root: FdtNode) {
    for (const node of root) if (node.properties.has('phandle')) this.#phandles.set(node.cell('phandle', 0), node);
  }

  phandle(value: number): FdtNode | undefined {
    return this.#phandles.get(value);
  }

  /** Another step on the way from a node. @throws FdtError when they are too many */
  step(node: FdtNode): void {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) throw new FdtError(`${node.path}: references that take more than ${MAX_STEPS} steps to follow`);
  }
}
