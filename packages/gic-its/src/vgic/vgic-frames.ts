/** Register frames in guest physical memory: where they may lie, and accesses of 8 bytes to registers of 4. */
import { E2BIG, EEXIST, EINVAL, FRAMES, highHalf, isInside, lowHalf, PAGE_SIZE, toBigint, type Refusals, type Trace } from '@vsim/vfio-core';
import { ACCESS_REFUSED } from './events.ts';
import { FRAME_ADDRESS } from './vm-reasons.ts';
import type { GuestDevice } from './guest-bus.ts';
import type { VgicProfile } from './vgic-profile.ts';

/** Whose access it is: a VMM's, through a device attribute, has other effects at some registers than the guest's. */
export type Accessor = 'guest' | 'user';

/** A VM as its frames know it: where they may lie, and who is told what is refused. */
export interface FrameVm {
  readonly profile: VgicProfile;
  readonly refusals: Refusals;
  readonly trace: Trace;
  /** Guest physical address bits: frames end below 2 to this. */
  readonly ipaBits: number;
}

/** A frame of registers. */
export const FRAME_64K = 0x1_0000;

/** An address as user space gives it. Above 2^53, where numbers are not exact any more, what is not aligned stays so. */
export function addressOf(value: bigint | number): number {
  const address = BigInt.asUintN(64, BigInt(value));
  const low = address % BigInt(FRAME_64K);
  return address < 2n ** 53n || low === 0n ? Number(address) : Number((address - low) | BigInt(PAGE_SIZE));
}

/**
 * vgic_check_iorange().
 *
 * @param frame its name
 * @param old where it is already
 * @param address guest physical
 * @param bytes how long it is
 * @returns 0 or a negative errno, told
 */
export function checkFrame(vm: FrameVm, frame: string, old: number | undefined, address: number, bytes: number): number {
  const errno = frameError(vm, old, address, bytes);
  return errno === 0 ? 0 : vm.refusals.refuse(FRAME_ADDRESS, { frame, address, bytes, limit: 2 ** vm.ipaBits, old }, errno);
}

/**
 * Why a frame cannot be placed.
 *
 * @param address guest physical
 * @param bytes how long it is
 * @returns 0 or a positive errno
 */
export function frameError(vm: FrameVm, old: number | undefined, address: number, bytes: number): number {
  if (!vm.profile.checksFrameEnd) {
    if (address >= 2 ** vm.ipaBits) return E2BIG;
    if (address % FRAME_64K !== 0) return EINVAL;
    return old === undefined ? 0 : EEXIST;
  }
  if (old !== undefined) return EEXIST;
  // Frames are multiples of 4 KiB: the space is compared in those, where 2^64 is exact.
  if (address % FRAME_64K !== 0 || !isInside(address / PAGE_SIZE, bytes / PAGE_SIZE + 1, 0, FRAMES)) return EINVAL;
  return isInside(address, bytes, 0, 2 ** vm.ipaBits) ? 0 : E2BIG;
}

/**
 * A frame that takes what its registers take, and is told of nothing else: a load reads as zero, a store goes nowhere.
 * Kernel: check_region() of vgic-mmio.c.
 *
 * @param widths bytes of the accesses that are allowed at an offset, or-ed; what is allowed is aligned
 */
export function checkedFrame(vm: FrameVm, frame: string, widths: (offset: number) => number, inner: GuestDevice): GuestDevice {
  const allowed = (offset: number, width: number): boolean => {
    if ((width === 1 || width === 4 || width === 8) && (widths(offset) & width) !== 0 && offset % width === 0) return true;
    if (vm.trace.on) vm.trace.emit(ACCESS_REFUSED, { frame, offset, width });
    return false;
  };
  return {
    load: (vcpu, offset, width) => (allowed(offset, width) ? inner.load(vcpu, offset, width) : 0n),
    store: (vcpu, offset, width, value) => {
      if (allowed(offset, width)) inner.store(vcpu, offset, width, value);
    },
  };
}

/** A load of up to 8 bytes as one or two of up to 4. @param offset bytes from the frame's start @param width 1, 2, 4 or 8 bytes */
export function loadHalves(offset: number, width: number, read: (at: number, width: number) => number): bigint {
  return width === 8 ? toBigint(read(offset, 4), read(offset + 4, 4)) : BigInt(read(offset, width) >>> 0);
}

/** A store, likewise: the low half first. @param offset bytes from the frame's start @param width 1, 2, 4 or 8 bytes */
export function storeHalves(offset: number, width: number, value: bigint, write: (at: number, width: number, word: number) => void): void {
  if (width !== 8) {
    write(offset, width, lowHalf(value));
    return;
  }
  write(offset, 4, lowHalf(value));
  write(offset + 4, 4, highHalf(value));
}
