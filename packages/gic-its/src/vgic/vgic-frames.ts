/** Register frames in guest physical memory: where they may lie, and accesses of 8 bytes to registers of 4. */
import { E2BIG, EEXIST, EINVAL, highHalf, lowHalf, toBigint } from '@vsim/vfio-core';
import type { KvmVm } from './kvm-vm.ts';

/** Whose access it is: a VMM's, through a device attribute, has other effects at some registers than the guest's. */
export type Accessor = 'guest' | 'user';

/** A frame of registers. */
export const FRAME_64K = 0x1_0000;

/** vgic_check_iorange(). @param old where it is already @returns 0 or a negative errno */
export function checkFrame(vm: KvmVm, old: number | undefined, address: number, size: number): number {
  if (!vm.profile.checksFrameEnd) {
    if (address >= 2 ** vm.ipaBits) return -E2BIG;
    if (address % FRAME_64K !== 0) return -EINVAL;
    return old === undefined ? 0 : -EEXIST;
  }
  if (old !== undefined) return -EEXIST;
  if (address % FRAME_64K !== 0 || address + size >= 2 ** 64) return -EINVAL;
  return address + size > 2 ** vm.ipaBits ? -E2BIG : 0;
}

/** A load of up to 8 bytes as one or two of up to 4. */
export function loadHalves(offset: number, width: number, read: (at: number, width: number) => number): bigint {
  return width === 8 ? toBigint(read(offset, 4), read(offset + 4, 4)) : BigInt(read(offset, width) >>> 0);
}

/** A store, likewise: the low half first. */
export function storeHalves(offset: number, width: number, value: bigint, write: (at: number, width: number, word: number) => void): void {
  if (width !== 8) {
    write(offset, width, lowHalf(value));
    return;
  }
  write(offset, 4, lowHalf(value));
  write(offset + 4, 4, highHalf(value));
}
