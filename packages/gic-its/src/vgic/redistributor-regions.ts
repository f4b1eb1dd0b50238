/**
 * Where the redistributors of a VM lie: regions of frames, which vCPUs fill in the order in which they were created.
 *
 * Kernel: vgic_v3_set_redist_base(), vgic_v3_alloc_redist_region(), vgic_register_redist_iodev(), vgic_v3_check_base(),
 * vgic_mmio_vcpu_rdist_is_last(). The region of KVM_VGIC_V3_ADDR_TYPE_REDIST has count 0: it is as long as there are vCPUs.
 */
import { EEXIST, EINVAL, FRAMES, holdsAddress, isInside, PAGE_SIZE } from '@vsim/vfio-core';
import { FRAMES_OVERLAP, REDIST_REGION_RULE } from './vm-reasons.ts';
import type { GuestDevice } from './guest-bus.ts';
import type { GicVcpu } from './private-interrupts.ts';
import { checkFrame, FRAME_64K, frameError, type FrameVm } from './vgic-frames.ts';

/** RD and SGI frame. */
export const REDISTRIBUTOR_BYTES = 0x2_0000;

export interface RedistributorRegion {
  readonly index: number;
  readonly base: number;
  /** Redistributors that it holds; 0: as many as there are vCPUs. */
  readonly count: number;
  /** How many of them are taken. */
  used: number;
}

/** A VM as its redistributors' regions know it: the vCPUs that fill them, and the bus. */
export interface RegionsVm extends FrameVm {
  readonly vcpus: readonly GicVcpu[];
  mapWindow(base: number, size: number, device: GuestDevice): void;
  unmapWindow(base: number): void;
}

/** A vCPU's redistributor. */
interface Place {
  readonly region: RedistributorRegion;
  readonly index: number;
  readonly base: number;
}

export class RedistributorRegions {
  readonly #vm: RegionsVm;
  readonly #frame: (vcpu: GicVcpu) => GuestDevice;
  readonly #regions: RedistributorRegion[] = [];
  readonly #places = new Map<GicVcpu, Place>();
  /** Where the distributor is, once it was told. */
  distributorBase: number | undefined;

  constructor(vm: RegionsVm, frame: (vcpu: GicVcpu) => GuestDevice) {
    this.#vm = vm;
    this.#frame = frame;
  }

  get first(): RedistributorRegion | undefined {
    return this.#regions[0];
  }

  find(index: number): RedistributorRegion | undefined {
    return this.#regions.find((region) => region.index === index);
  }

  /**
   * A new region, and in it the vCPUs that have no redistributor yet.
   *
   * @param index the region's number
   * @param base guest physical address, 64 KiB aligned
   * @param count redistributors, 0 for as many as there are vCPUs
   * @returns 0, or -EINVAL, -E2BIG or -EEXIST, told
   */
  add(index: number, base: number, count: number): number {
    const error = this.#check(index, base, count);
    if (error < 0) return error;
    const region = { index, base, count, used: 0 };
    this.#regions.push(region);
    for (const [n, vcpu] of this.#vm.vcpus.entries()) {
      const failed = this.place(vcpu);
      if (failed === 0) continue;
      // Those of other regions lose their frames, and keep their places (mended in 6.12.117).
      for (const other of this.#vm.vcpus.slice(0, n)) this.#unmap(other);
      this.#regions.pop();
      return failed;
    }
    return 0;
  }

  /** A vCPU gets the next free redistributor, if there is one. @returns 0, or -EINVAL if the regions are out of bounds or meet the distributor */
  place(vcpu: GicVcpu): number {
    if (this.#places.has(vcpu)) return 0;
    const region = this.#regions.find(({ count, used }) => count === 0 || used < count);
    if (region === undefined) return 0;
    const bad = this.invalid;
    if (bad !== undefined) return this.#vm.refusals.refuse(FRAMES_OVERLAP, bad);
    const base = region.base + region.used * REDISTRIBUTOR_BYTES;
    this.#places.set(vcpu, { region, index: region.used, base });
    this.#vm.mapWindow(base, REDISTRIBUTOR_BYTES, this.#frame(vcpu));
    region.used += 1;
    return 0;
  }

  /** A vCPU that was not made after all: its redistributor is nobody's from then on. */
  remove(vcpu: GicVcpu): void {
    this.#unmap(vcpu);
    this.#places.delete(vcpu);
  }

  hasPlace(vcpu: GicVcpu): boolean {
    return this.#places.has(vcpu);
  }

  /** The regions are forgotten; vCPUs keep the frames that they have. */
  clear(): void {
    this.#regions.length = 0;
  }

  /** vgic_v3_check_base(): the region that crosses the end of memory, or lies on the distributor. */
  get invalid(): { region: number; base: number; bytes: number; distributor: number | undefined } | undefined {
    const distributor = this.distributorBase;
    const bad =
      this.#regions.find(({ base, count }) => {
        const bytes = this.#bytes(count);
        return this.#vm.profile.checksFrameEnd ? frameError(this.#vm, undefined, base, bytes) !== 0 : wraps(base, bytes);
      }) ?? (distributor === undefined ? undefined : this.#met(distributor, FRAME_64K));
    return bad === undefined ? undefined : { region: bad.index, base: bad.base, bytes: this.#bytes(bad.count), distributor };
  }

  /** GICR_TYPER.Last: the last of its region that is taken, and no other region goes on behind it. */
  isLast(vcpu: GicVcpu, user: boolean): boolean {
    const place = this.#places.get(vcpu);
    // The regions may be gone (linux-5.13, after a failed first run).
    if (place === undefined || !this.#regions.includes(place.region)) return false;
    const { region, index } = place;
    const { userSeesLast } = this.#vm.profile;
    if (index < region.used - 1 || (user && !userSeesLast)) return false;
    if (!userSeesLast || region.count === 0 || index !== region.count - 1) return true;
    const end = region.base + region.count * REDISTRIBUTOR_BYTES;
    return !this.#regions.some(({ base, used }) => base === end && used > 0);
  }

  #check(index: number, base: number, count: number): number {
    const bytes = this.#bytes(count);
    const last = this.#regions.at(-1);
    const no = (field: string, is: number | undefined, errno = EINVAL): number =>
      this.#vm.refusals.refuse(REDIST_REGION_RULE, { field, index, base, count, is }, errno);
    if (this.#vm.profile.oneLegacyRegion && count === 0 && last !== undefined) return no('beside a region at', last.base);
    if (wraps(base, bytes)) return no('wraps after bytes', bytes);
    if (last === undefined) {
      if (index !== 0) return no('index of the first is', index);
    } else {
      if (count === 0) return no('beside a region at', last.base, last.count === 0 ? EEXIST : EINVAL);
      if (index !== last.index + 1) return no('index is not behind', last.index);
      if (this.#vm.profile.oneLegacyRegion && last.count === 0) return no('beside a region at', last.base);
    }
    const distributor = this.distributorBase;
    if (count === 0 && distributor !== undefined && meets(base, bytes, distributor, FRAME_64K)) return no('overlaps the distributor at', distributor);
    const met = this.#met(base, bytes);
    if (met !== undefined) return no('overlaps the region at', met.base);
    return checkFrame(this.#vm, 'redistributors', undefined, base, bytes);
  }

  /** The region that a range meets. */
  #met(base: number, bytes: number): RedistributorRegion | undefined {
    return this.#regions.find((region) => meets(base, bytes, region.base, this.#bytes(region.count)));
  }

  #bytes(count: number): number {
    return (count === 0 ? this.#vm.vcpus.length : count) * REDISTRIBUTOR_BYTES;
  }

  #unmap(vcpu: GicVcpu): void {
    const place = this.#places.get(vcpu);
    if (place !== undefined) this.#vm.unmapWindow(place.base);
  }
}

/** Whether two ranges meet as the kernel has it: an empty one meets what it lies strictly inside of. */
function meets(base: number, bytes: number, other: number, size: number): boolean {
  if (base === other) return bytes > 0 && size > 0;
  return holdsAddress(other, size, base) || holdsAddress(base, bytes, other);
}

/** The sum of 64 bits comes out below its start. Both are compared in pages, where 2^64 is exact. */
function wraps(base: number, bytes: number): boolean {
  return !isInside(Math.floor(base / PAGE_SIZE), bytes / PAGE_SIZE + 1, 0, FRAMES);
}
