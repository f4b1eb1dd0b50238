/** A blob that is no device tree: the message names the offset. Reference: Devicetree Specification 0.4, chapter 5. */
export class FdtError extends Error {
  /** Always `FdtError`. */
  override readonly name = 'FdtError';
}

const MAGIC = 0xd00d_feed;
const HEADER_BYTES = 40;
const OLDEST_COMPATIBLE = 17;
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROP = 3;
const NOP = 4;
const END = 9;
/** Deeper trees are refused: no real one comes near. */
const MAX_DEPTH = 64;
/** Longer names are refused: a name that many properties end in would cost its length for each. */
const MAX_NAME = 255;

/** A node of a device tree, as parseFdt() reads it. */
export class FdtNode {
  /** With its unit address, as `pl031@9010000`; empty for the root. */
  readonly name: string;
  /** The node above it; undefined for the root. */
  readonly parent: FdtNode | undefined;
  /** From the root, as `/soc/pl031@9010000`; `/` for the root. */
  readonly path: string;
  /** The nodes below it, in the blob's order. */
  readonly children: FdtNode[] = [];
  /** Its properties by name, in the blob's order: the bytes as they stand, big-endian. */
  readonly properties: Map<string, Uint8Array> = new Map<string, Uint8Array>();
  readonly #cells = new WeakMap<Uint8Array, readonly number[]>();

  /** Makes a node without children or properties. @param name with its unit address; empty for the root */
  constructor(name: string, parent: FdtNode | undefined) {
    this.name = name;
    this.parent = parent;
    this.path = parent === undefined ? '/' : `${parent.parent === undefined ? '' : parent.path}/${name}`;
  }

  /** All nodes of the subtree, this one first, in the blob's order. */
  *[Symbol.iterator](): Iterator<FdtNode> {
    yield this;
    for (const child of this.children) yield* child;
  }

  /** A list of strings; empty without the property. */
  strings(name: string): readonly string[] {
    const bytes = this.properties.get(name);
    if (bytes === undefined || bytes.length === 0) return [];
    return new TextDecoder().decode(bytes).replace(/\0$/, '').split('\0');
  }

  /** A property as 32-bit big-endian cells; empty without the property. @throws FdtError if its length is no multiple of 4 */
  cells(name: string): readonly number[] {
    const bytes = this.properties.get(name);
    if (bytes === undefined) return [];
    const known = this.#cells.get(bytes);
    if (known !== undefined) return known;
    if (bytes.length % 4 !== 0) throw new FdtError(`${this.path}: ${name}: ${bytes.length} bytes are not a list of cells`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const cells = Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i));
    this.#cells.set(bytes, cells);
    return cells;
  }

  /**
   * The first cell of a property, or what it is without one.
   *
   * @param otherwise what is given then
   * @throws FdtError if its length is no multiple of 4
   */
  cell(name: string, otherwise: number): number {
    return this.cells(name)[0] ?? otherwise;
  }
}

/**
 * Reads a flattened device tree (Devicetree Specification 0.4, chapter 5). Not modelled: writing, overlays, /plugin/ fixups.
 *
 * @returns the root
 * @throws FdtError for a malformed blob, nodes more than 64 deep, and names longer than 255 bytes
 *
 * @example
 * ```ts
 * import { FdtError, parseFdt } from '@vsim/vfio-core';
 *
 * try {
 *   parseFdt(new Uint8Array(64));
 * } catch (error) {
 *   console.log(error instanceof FdtError); // true
 * }
 * ```
 */
export function parseFdt(blob: Uint8Array): FdtNode {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  if (blob.length < HEADER_BYTES || view.getUint32(0) !== MAGIC) throw new FdtError('not a flattened device tree');
  const total = view.getUint32(4);
  const structure = view.getUint32(8);
  const strings = view.getUint32(12);
  const compatible = view.getUint32(24);
  const stringsLength = view.getUint32(32);
  const structureLength = view.getUint32(36);
  if (total > blob.length) throw new FdtError(`the tree is ${total} bytes, the blob ${blob.length}`);
  if (compatible > OLDEST_COMPATIBLE) throw new FdtError(`version ${compatible} is not one that this reader knows`);
  if (structure % 4 !== 0 || structure + structureLength > total || strings + stringsLength > total) throw new FdtError('a block lies outside of the tree');
  return new Reader(blob, structure, structure + structureLength, blob.subarray(strings, strings + stringsLength)).read();
}

class Reader {
  readonly #blob: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  readonly #strings: Uint8Array;
  #at: number;

  constructor(blob: Uint8Array, start: number, end: number, strings: Uint8Array) {
    this.#blob = blob;
    this.#view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
    this.#at = start;
    this.#end = end;
    this.#strings = strings;
  }

  read(): FdtNode {
    let root: FdtNode | undefined;
    let node: FdtNode | undefined;
    let depth = 0;
    for (;;) {
      const start = this.#at;
      switch (this.#word()) {
        case BEGIN_NODE: {
          if (node === undefined && root !== undefined) throw new FdtError(`offset ${start}: a second root`);
          const made: FdtNode = new FdtNode(this.#name(), node);
          depth += 1;
          if (depth > MAX_DEPTH) throw new FdtError(`offset ${start}: nodes deeper than ${MAX_DEPTH}`);
          node?.children.push(made);
          root ??= made;
          node = made;
          break;
        }
        case END_NODE:
          if (node === undefined) throw new FdtError(`offset ${start}: an end of no node`);
          node = node.parent;
          depth -= 1;
          break;
        case PROP: {
          if (node === undefined) throw new FdtError(`offset ${start}: a property outside of every node`);
          const length = this.#word();
          const name = this.#string(this.#word(), start);
          this.#need(length);
          node.properties.set(name, this.#blob.subarray(this.#at, this.#at + length));
          this.#at += Math.ceil(length / 4) * 4;
          break;
        }
        case NOP:
          break;
        case END:
          if (root === undefined || node !== undefined) throw new FdtError(`offset ${start}: the tree ends inside a node`);
          return root;
        default:
          throw new FdtError(`offset ${start}: no token`);
      }
    }
  }

  #word(): number {
    this.#need(4);
    const word = this.#view.getUint32(this.#at);
    this.#at += 4;
    return word;
  }

  #name(): string {
    const { name, length } = nameAt(this.#blob.subarray(this.#at, this.#end), this.#at);
    this.#at += Math.ceil((length + 1) / 4) * 4;
    return name;
  }

  #string(offset: number, at: number): string {
    if (offset >= this.#strings.length) throw new FdtError(`offset ${at}: a name outside of the strings`);
    return nameAt(this.#strings.subarray(offset), at).name;
  }

  #need(length: number): void {
    if (this.#at + length > this.#end) throw new FdtError(`offset ${this.#at}: cut inside the tree`);
  }
}

/** The name that a block begins with. @throws FdtError where it does not end, or not soon enough */
function nameAt(block: Uint8Array, at: number): { readonly name: string; readonly length: number } {
  const length = block.subarray(0, MAX_NAME + 1).indexOf(0);
  if (length < 0) throw new FdtError(`offset ${at}: ${block.length > MAX_NAME ? `a name longer than ${MAX_NAME} bytes` : 'a name without end'}`);
  return { name: new TextDecoder().decode(block.subarray(0, length)), length };
}
