import { isInside } from '@vsim/vfio-core';
import type { BlockStore } from '../block/block-store.ts';

/** A namespace as its author describes it. */
export interface NvmeNamespaceInit {
  /** Where its blocks are; of its size only whole blocks count. */
  readonly store: BlockStore;
  /** 512 or 4096 bytes. @default 512 */
  readonly blockSize?: 512 | 4096 | undefined;
  /** Its globally unique identifier, 16 bytes that are not all zero. @default derived from the serial number and the namespace's id */
  readonly guid?: Uint8Array | undefined;
}

/** One namespace: blocks on a store. @internal */
export class Namespace {
  /** From 1. */
  readonly id: number;
  readonly store: BlockStore;
  /** Bytes of a block. */
  readonly blockSize: number;
  /** How many blocks it has. */
  readonly blocks: number;
  readonly guid: Uint8Array;

  /** @param id from 1 @throws RangeError for a block size or an identifier that there cannot be, and for a store without one whole block */
  constructor(id: number, init: NvmeNamespaceInit, serial: string) {
    const { store, blockSize = 512, guid = derivedGuid(serial, id) } = init;
    if (![512, 4096].includes(blockSize)) throw new RangeError(`"blockSize" expected 512 or 4096, got ${blockSize}`);
    if (!Number.isSafeInteger(store.size) || store.size < blockSize) throw new RangeError(`"store" expected one block of ${blockSize} bytes at least, got ${store.size} bytes`);
    if (guid.length !== 16 || guid.every((byte) => byte === 0)) throw new RangeError(`"guid" expected 16 bytes that are not all zero, got ${guid.join()}`);
    this.id = id;
    this.store = store;
    this.blockSize = blockSize;
    this.blocks = Math.floor(store.size / blockSize);
    this.guid = guid;
  }

  /** The first block in bytes; undefined where not all `count` blocks are there. @param lo bits 31:0 of the first block @param hi bits 63:32 */
  place(lo: number, hi: number, count: number): number | undefined {
    if (hi >= 2 ** 21) return undefined;
    const first = hi * 2 ** 32 + lo;
    return isInside(first, count, 0, this.blocks) ? first * this.blockSize : undefined;
  }
}

/** 16 bytes that are the same for the same disk (FNV-1a, four times with other beginnings). */
function derivedGuid(serial: string, id: number): Uint8Array {
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  for (let word = 0; word < 4; word += 1) {
    let hash = (0x811c_9dc5 ^ word) >>> 0;
    for (const character of `${serial}/${id}`) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x0100_0193) >>> 0;
    view.setUint32(4 * word, hash | 1);
  }
  return out;
}
