/** What an IOMMU is to the rest of the house: units that make domains, and domains that translate. */
import { InvariantError } from '../host/errors.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { Host } from '../host/host.ts';
import { FrameMap, type FrameRange } from '../memory/frame-map.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { addressOf, FRAMES, frameOf, framesTouched, isInside } from '../memory/range.ts';
import { hex } from '../memory/u64.ts';
import type { IommuGroup } from './iommu-group.ts';

/** Protection of a mapping: the device may read. */
export const IOMMU_READ = 1;
/** Protection of a mapping: the device may write. */
export const IOMMU_WRITE = 2;

/** DMA that the IOMMU refused: no byte moved. */
export const IOMMU_FAULT: EventKind<IommuFault> = eventKind(
  'iommu/fault',
  'fault',
  ({ device, iova, write, why }) => `${device}: ${write ? 'write to' : 'read of'} iova ${hex(iova)} refused: ${why}`,
);

/** What IOMMU_FAULT tells. */
export interface IommuFault {
  /** The device that wanted the DMA, by name. */
  readonly device: string;
  /** Of the first byte that was refused; a bigint from 2^53 on. */
  readonly iova: number | bigint;
  /** The device wanted to write. */
  readonly write: boolean;
  /** Whether nothing is mapped there, or not with this right. */
  readonly why: 'not mapped' | 'no permission';
}

/** `irq/msi-sent`: a device wrote a message-signalled interrupt. What comes of it is told next, before anything else happens. */
export const MSI_SENT: EventKind<MsiSent> = eventKind('irq/msi-sent', 'info', ({ device, address, data }) => `${device}: msi ${hex(address)} data ${hex(data)}`);

/** What MSI_SENT tells. */
export interface MsiSent {
  /** The device, by name. */
  readonly device: string;
  /** The id that the write bears: a PCI requester id, a stream or device id. */
  readonly requester: number;
  /** Physical, in bytes. */
  readonly address: number;
  /** 32 bits. */
  readonly data: number;
}

/** A range of IOVAs, both ends inclusive, that user space must not map. */
export interface ReservedRegion {
  /** The first IOVA, in bytes. */
  readonly first: number;
  /** The last IOVA, in bytes. */
  readonly last: number;
  /** `direct-relaxable` does not keep user space out. */
  readonly type: 'msi' | 'sw-msi' | 'direct' | 'direct-relaxable' | 'reserved';
}

/** An IOMMU: what domains of it can do. */
export interface IommuUnit {
  /** What sysfs calls it, such as `dmar0`. */
  readonly name: string;
  /** The platform device that it is, where its devices' folders are to show it. */
  readonly device?: string | undefined;
  /** Page sizes of a domain: bit n is 2^n bytes. */
  readonly pageSizes: bigint;
  /** Inclusive first and last page frame that a domain can map. */
  readonly aperture: FrameRange;
  /** IOVAs that user space must not map. */
  readonly reservedRegions: readonly ReservedRegion[];
  /** DMA is coherent with CPU caches: IOMMU_CAP_CACHE_COHERENCY. */
  readonly coherent: boolean;
  /** No-snoop DMA can be forced to snoop. */
  readonly enforcesCoherency: boolean;
  /** A device cannot forge another's interrupt: interrupt remapping. */
  readonly isolatesMsi: boolean;
  /** Whether VFIO_TYPE1_NESTING_IOMMU can be had of it. */
  readonly nesting: boolean;
  /** What asking for a nesting domain is answered where there is none. @default as the kernel says of units without the operation */
  readonly nestingErrno?: number | undefined;
  /** What sysfs shows as `type` of a group: the domain of the kernel's own drivers. */
  readonly defaultDomain: 'DMA' | 'identity';
  /** Makes a domain in which nothing is mapped. */
  createDomain(): IommuDomain;
  /** A group has lost its last device and its last reference. */
  groupGone(group: IommuGroup): void;
}

interface Extent extends FrameRange {
  /** Physical frame of `first`. */
  readonly frame: number;
  readonly protection: number;
}

/**
 * A translation: IOVA page frames to physical page frames.
 *
 * It keeps runs of pages (extents), not page table entries, and answers as the tables would. Addresses are page frame numbers, so that the
 * last page below 2^64 is exact.
 */
export class IommuDomain {
  /** The IOMMU whose domain it is. */
  readonly unit: IommuUnit;
  readonly #extents = new FrameMap<Extent>();

  /** Made by IommuUnit.createDomain(). */
  constructor(unit: IommuUnit) {
    this.unit = unit;
  }

  /**
   * iommu_map(): maps `count` frames from `first` to consecutive physical frames. The caller has made sure that they are free.
   *
   * @param first the first IOVA frame
   * @param frame the first physical frame
   * @param protection bits of IOMMU_READ and IOMMU_WRITE
   * @returns 0; a kind of IOMMU of one's own may answer a negative errno
   */
  map(first: number, count: number, frame: number, protection: number): number {
    this.#extents.insert({ first, last: first + count - 1, frame, protection });
    return 0;
  }

  /** iommu_unmap(): removes all extents that lie inside [first, last]. @param first an IOVA frame @param last an IOVA frame */
  unmap(first: number, last: number): void {
    this.#extents.removeInside(first, last);
  }

  /**
   * The physical frame for an IOVA frame; undefined where none is mapped with this protection.
   *
   * @param iovaFrame IOVA / 4096
   * @param protection bits of IOMMU_READ and IOMMU_WRITE, all of which are needed
   */
  translate(iovaFrame: number, protection: number): number | undefined {
    const extent = this.#extents.find(iovaFrame);
    if (extent === undefined || (extent.protection & protection) !== protection) return undefined;
    return extent.frame + (iovaFrame - extent.first);
  }

  /** Whether an IOVA frame is mapped at all. @param iovaFrame IOVA / 4096 */
  maps(iovaFrame: number): boolean {
    return this.#extents.find(iovaFrame) !== undefined;
  }

  /** Extents in the domain: for tests and reports. */
  get size(): number {
    return this.#extents.size;
  }
}

/**
 * DMA of one device: through its group's domain, or straight where there is none.
 *
 * An IOVA is a number, or the two halves of 64 bits as a device's registers have them: both become a page frame and an offset,
 * which are exact to 2^64.
 */
export class DmaPort {
  readonly #host: Host;
  readonly #name: string;
  readonly #requester: number;
  /** Told of each write that went through, as page frame and offset: for a device that logs its DMA. */
  written: ((frame: number, offset: number, length: number) => void) | undefined = undefined;
  readonly #group: () => IommuGroup | undefined;

  /**
   * @param name what faults call the device
   * @param requester the id that its MSI writes bear: a PCI requester id, a stream or device id
   * @param group asked at each transfer; without group DMA goes straight
   */
  constructor(host: Host, name: string, requester: number, group: () => IommuGroup | undefined) {
    this.#host = host;
    this.#name = name;
    this.#requester = requester;
    this.#group = group;
  }

  /**
   * Reads `into.length` bytes at an IOVA; false is a fault, told to the trace, with `into` untouched.
   *
   * @param iova in bytes, from 0 to 2^53 - 1
   */
  read(iova: number, into: Uint8Array): boolean {
    const frame = Math.floor(iova / PAGE_SIZE);
    return this.#move(frame, iova - frame * PAGE_SIZE, into, false);
  }

  /** Writes at an IOVA; false is a fault, told to the trace, with no byte moved. @param iova in bytes, from 0 to 2^53 - 1 */
  write(iova: number, from: Uint8Array): boolean {
    const frame = Math.floor(iova / PAGE_SIZE);
    return this.#move(frame, iova - frame * PAGE_SIZE, from, true);
  }

  /**
   * read() at an IOVA of 64 bits in halves, or `offset` bytes behind it.
   *
   * @param lo bits 31 to 0
   * @param hi bits 63 to 32
   * @param offset in bytes; 0 by default
   */
  readWide(lo: number, hi: number, into: Uint8Array, offset = 0): boolean {
    const within = (lo & (PAGE_SIZE - 1)) + offset;
    return this.#move(frameOf(lo, hi) + Math.floor(within / PAGE_SIZE), within % PAGE_SIZE, into, false);
  }

  /**
   * write() at an IOVA of 64 bits in halves, or `offset` bytes behind it.
   *
   * @param lo bits 31 to 0
   * @param hi bits 63 to 32
   * @param offset in bytes; 0 by default
   */
  writeWide(lo: number, hi: number, from: Uint8Array, offset = 0): boolean {
    const within = (lo & (PAGE_SIZE - 1)) + offset;
    return this.#move(frameOf(lo, hi) + Math.floor(within / PAGE_SIZE), within % PAGE_SIZE, from, true);
  }

  /**
   * Writes a message-signalled interrupt: MSI windows are not translated, the interrupt controller decides.
   *
   * @param address physical, in bytes: the doorbell, such as GITS_TRANSLATER
   * @param data of 32 bits
   */
  raiseMsi(address: number, data: number): void {
    if (this.#host.trace.followed) this.#tellMsi(address, data);
    this.#host.memory.write32(address, data, this.#requester);
  }

  #tellMsi(address: number, data: number): void {
    this.#host.trace.step(MSI_SENT, { device: this.#name, requester: this.#requester, address, data });
  }

  #move(frame: number, offset: number, bytes: Uint8Array, write: boolean): boolean {
    const domain = this.#group()?.translation;
    if (domain !== undefined && bytes.length > 0 && offset + bytes.length <= PAGE_SIZE) return this.#movePage(domain, frame, offset, bytes, write);
    if (!this.#check(domain, frame, offset, bytes.length, write)) return false;
    const { memory } = this.#host;
    const protection = write ? IOMMU_WRITE : IOMMU_READ;
    let at = frame;
    let within = offset;
    let physical = domain === undefined ? at : domain.translate(at, protection);
    for (let done = 0; done < bytes.length; within = 0) {
      if (physical === undefined) throw new InvariantError('a domain changed during one transfer');
      const start = physical;
      let take = Math.min(bytes.length - done, PAGE_SIZE - within);
      // Frames that follow each other are moved at once: memory of another program may take a message for each move.
      for (at += 1; done + take < bytes.length; at += 1) {
        physical = domain === undefined ? at : domain.translate(at, protection);
        if (physical !== start + (within + take) / PAGE_SIZE) break;
        take += Math.min(bytes.length - done - take, PAGE_SIZE);
      }
      const part = take === bytes.length ? bytes : bytes.subarray(done, done + take);
      if (write) memory.writeBytes(start * PAGE_SIZE + within, part);
      else memory.readBytes(start * PAGE_SIZE + within, part);
      done += take;
    }
    if (write) this.written?.(frame, offset, bytes.length);
    return true;
  }

  /** Most transfers lie in one page: one look-up. */
  #movePage(domain: IommuDomain, frame: number, offset: number, bytes: Uint8Array, write: boolean): boolean {
    const physical = domain.translate(frame, write ? IOMMU_WRITE : IOMMU_READ);
    if (physical === undefined) return this.#fault(frame, offset, write, domain.maps(frame) ? 'no permission' : 'not mapped');
    const { memory } = this.#host;
    if (write) memory.writeBytes(physical * PAGE_SIZE + offset, bytes);
    else memory.readBytes(physical * PAGE_SIZE + offset, bytes);
    if (write) this.written?.(frame, offset, bytes.length);
    return true;
  }

  /** Every page first, so that a fault in the middle moves nothing. */
  #check(domain: IommuDomain | undefined, frame: number, offset: number, length: number, write: boolean): boolean {
    if (length === 0) return true;
    // What is no address, and what lies beyond 2^64, is nowhere, whatever is mapped.
    const frames = framesTouched(offset, length);
    if (!isInside(frame, frames, 0, FRAMES)) return this.#fault(frame, offset, write, 'not mapped');
    if (domain === undefined) return true;
    const protection = write ? IOMMU_WRITE : IOMMU_READ;
    for (let i = 0; i < frames; i += 1) {
      if (domain.translate(frame + i, protection) !== undefined) continue;
      return this.#fault(frame + i, i === 0 ? offset : 0, write, domain.maps(frame + i) ? 'no permission' : 'not mapped');
    }
    return true;
  }

  #fault(frame: number, offset: number, write: boolean, why: IommuFault['why']): false {
    if (this.#host.trace.on) {
      this.#host.trace.emit(IOMMU_FAULT, { device: this.#name, iova: addressOf(frame, offset), write, why });
    }
    return false;
  }
}
