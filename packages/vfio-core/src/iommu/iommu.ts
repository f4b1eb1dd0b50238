/**
 * What an IOMMU is to the rest of the house: units that make domains, and domains that translate.
 *
 * A domain maps runs of pages: it keeps extents, not page table entries, and answers as the tables would. Addresses are page
 * frame numbers inside, so that the last page below 2^64 is exact.
 */
import { eventKind, type EventKind } from '../host/trace.ts';
import type { Host } from '../host/host.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { hex } from '../memory/u64.ts';
import type { IommuGroup } from './iommu-group.ts';
import { FrameMap, type FrameRange } from './frame-map.ts';

export const IOMMU_READ = 1;
export const IOMMU_WRITE = 2;

/** DMA that the IOMMU refused: no byte moved. */
export const IOMMU_FAULT: EventKind<IommuFault> = eventKind(
  'iommu/fault',
  'fault',
  ({ device, iova, write, why }) => `${device}: ${write ? 'write to' : 'read of'} iova ${hex(iova)} refused: ${why}`,
);

export interface IommuFault {
  readonly device: string;
  readonly iova: number;
  readonly write: boolean;
  readonly why: 'not mapped' | 'no permission';
}

/** A range of IOVAs, both ends inclusive, that user space must not map. */
export interface ReservedRegion {
  readonly first: number;
  readonly last: number;
  /** `direct-relaxable` does not keep user space out. */
  readonly type: 'msi' | 'sw-msi' | 'direct' | 'direct-relaxable' | 'reserved';
}

/** An IOMMU: what domains of it can do. */
export interface IommuUnit {
  readonly name: string;
  /** Page sizes of a domain, as a bitmap. */
  readonly pageSizes: bigint;
  /** Inclusive first and last page frame that a domain can map. */
  readonly aperture: FrameRange;
  readonly reservedRegions: readonly ReservedRegion[];
  /** DMA is coherent with CPU caches: IOMMU_CAP_CACHE_COHERENCY. */
  readonly coherent: boolean;
  /** No-snoop DMA can be forced to snoop. */
  readonly enforcesCoherency: boolean;
  /** A device cannot forge another's interrupt: interrupt remapping. */
  readonly isolatesMsi: boolean;
  readonly nesting: boolean;
  createDomain(): IommuDomain;
  /** A group has lost its last device and its last reference. */
  groupGone(group: IommuGroup): void;
}

interface Extent extends FrameRange {
  /** Physical frame of `first`. */
  readonly frame: number;
  readonly protection: number;
}

/** A translation: IOVA page frames to physical page frames. */
export class IommuDomain {
  readonly unit: IommuUnit;
  readonly #extents = new FrameMap<Extent>();

  constructor(unit: IommuUnit) {
    this.unit = unit;
  }

  /** Maps `count` frames from `first` to consecutive physical frames. The caller has made sure that they are free. @returns 0 or an errno */
  map(first: number, count: number, frame: number, protection: number): number {
    this.#extents.insert({ first, last: first + count - 1, frame, protection });
    return 0;
  }

  /** Removes all extents that lie inside [first, last]. */
  unmap(first: number, last: number): void {
    this.#extents.removeInside(first, last);
  }

  /** The physical frame for an IOVA frame; -1 if none, -2 if not with this protection. */
  translate(iovaFrame: number, protection: number): number {
    const extent = this.#extents.find(iovaFrame);
    if (extent === undefined) return -1;
    if ((extent.protection & protection) !== protection) return -2;
    return extent.frame + (iovaFrame - extent.first);
  }

  /** Extents in the domain: for tests and reports. */
  get size(): number {
    return this.#extents.size;
  }
}

/** DMA of one device: through its group's domain, or straight where there is none. */
export class DmaPort {
  readonly #host: Host;
  readonly #name: string;
  readonly #requester: number;
  /** Told of each write that went through: for a device that logs its DMA. */
  written: ((iova: number, length: number) => void) | undefined = undefined;
  readonly #group: () => IommuGroup | undefined;

  constructor(host: Host, name: string, requester: number, group: () => IommuGroup | undefined) {
    this.#host = host;
    this.#name = name;
    this.#requester = requester;
    this.#group = group;
  }

  /** Reads `into.length` bytes at an IOVA; false is a fault, told to the trace, with `into` untouched. */
  read(iova: number, into: Uint8Array): boolean {
    if (!this.#check(iova, into.length, false)) return false;
    for (let done = 0; done < into.length; ) {
      const take = Math.min(into.length - done, PAGE_SIZE - ((iova + done) % PAGE_SIZE));
      this.#host.memory.readBytes(this.#translate(iova + done, IOMMU_READ), into.subarray(done, done + take));
      done += take;
    }
    return true;
  }

  /** Writes at an IOVA; false is a fault, told to the trace, with no byte moved. */
  write(iova: number, from: Uint8Array): boolean {
    if (!this.#check(iova, from.length, true)) return false;
    for (let done = 0; done < from.length; ) {
      const take = Math.min(from.length - done, PAGE_SIZE - ((iova + done) % PAGE_SIZE));
      this.#host.memory.writeBytes(this.#translate(iova + done, IOMMU_WRITE), from.subarray(done, done + take));
      done += take;
    }
    this.written?.(iova, from.length);
    return true;
  }

  /** Writes a message-signalled interrupt: MSI windows are not translated, the interrupt controller decides. */
  raiseMsi(address: number, data: number): void {
    this.#host.memory.write32(address, data, this.#requester);
  }

  /** Every page first, so that a fault in the middle moves nothing. */
  #check(iova: number, length: number, write: boolean): boolean {
    const protection = write ? IOMMU_WRITE : IOMMU_READ;
    for (let at = iova; at < iova + length; at = (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE) {
      const physical = this.#translate(at, protection);
      if (physical >= 0) continue;
      if (this.#host.trace.on) {
        const why = physical === -2 ? 'no permission' : 'not mapped';
        this.#host.trace.emit(IOMMU_FAULT, { device: this.#name, iova: at, write, why });
      }
      return false;
    }
    return true;
  }

  #translate(iova: number, protection: number): number {
    const domain = this.#group()?.domain;
    if (domain === undefined) return iova;
    const iovaFrame = Math.floor(iova / PAGE_SIZE);
    const frame = domain.translate(iovaFrame, protection);
    return frame < 0 ? frame : frame * PAGE_SIZE + (iova - iovaFrame * PAGE_SIZE);
  }
}
