import { get, set, type MmioDevice } from '@vsim/vfio-core';
import { PORTAL_SIZE } from './mc-portal.ts';

/** A view of a queue manager's portal for which nobody has a model: plain memory, as it was in the recordings. */
export class QueueMemory implements MmioDevice {
  /** Made when something is written. */
  #bytes: Uint8Array | undefined;

  read(offset: number, width: number): number {
    return this.#bytes === undefined ? 0 : get(this.#bytes, [offset, widthOf(width)]);
  }

  write(offset: number, width: number, value: number): void {
    this.#bytes ??= new Uint8Array(PORTAL_SIZE);
    set(this.#bytes, [offset, widthOf(width)], value);
  }
}

function widthOf(width: number): 'u8' | 'u16' | 'u32' {
  return width === 4 ? 'u32' : width === 2 ? 'u16' : 'u8';
}
