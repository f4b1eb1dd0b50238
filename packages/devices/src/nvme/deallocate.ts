import { rangeEnd } from '@vsim/vfio-core';
import type { BlockStore } from '../block/block-store.ts';

const ZEROES = new Uint8Array(0x1_0000);

/** Zeros, by deallocation where the store can. @param offset bytes @param length bytes @returns false for a medium error */
export function writeZeroes(store: BlockStore, offset: number, length: number): boolean {
  if (store.discard !== undefined) return store.discard(offset, length);
  for (let at = offset; at < rangeEnd(offset, length); at += ZEROES.length) {
    const left = rangeEnd(offset, length) - at;
    if (!store.write(at, left < ZEROES.length ? ZEROES.subarray(0, left) : ZEROES)) return false;
  }
  return true;
}

/** Deallocates; a store that cannot keeps what it has. @param offset bytes @param length bytes @returns false for a medium error */
export function discardRange(store: BlockStore, offset: number, length: number): boolean {
  return store.discard?.(offset, length) ?? true;
}
