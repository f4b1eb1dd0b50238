/**
 * One type1 container: which groups it has, what is mapped, and MAP_DMA and UNMAP_DMA. Kernel: struct vfio_iommu of
 * vfio_iommu_type1.c; catalogue: vfio 2.13, 2.14.
 *
 * Not modelled: emulated (mdev) groups and their pinning.
 */
import { PAGE_SIZE, type PageRun } from '../memory/page-allocator.ts';
import type { Mm } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOTTY, EPERM } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_UPDATE_VADDR,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../uapi/vfio.ts';
import type { IommuBackend } from '../vfio/iommu-backend.ts';
import type { UserBitmap } from './dirty-bitmap.ts';
import { cuts, FrameMap, type FrameRange } from './frame-map.ts';
import type { IommuGroup } from './iommu-group.ts';
import { IOMMU_READ, IOMMU_WRITE, type IommuDomain, type IommuUnit } from './iommu.ts';
import { iovaRanges } from './iova-ranges.ts';
import { DirtyTracking, type Trackable, type Tracked } from './type1-dirty.ts';
import { getInfo } from './type1-info.ts';
import type { Type1 } from './type1.ts';

const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const PAGE = BigInt(PAGE_SIZE);
/** The frame that ends at 2^64. */
const LAST_FRAME = 2 ** 52 - 1;

/** One mapping: IOVA frames to user memory of one mm. */
interface DmaMapping extends Trackable {
  vaddr: number;
  vaddrValid: boolean;
  readonly protection: number;
  readonly mm: Mm;
  /** CAP_IPC_LOCK when it was made: not held to RLIMIT_MEMLOCK. */
  readonly lockCapable: boolean;
  /** Physical extents: consecutive frames, in order. */
  readonly extents: readonly Extent[];
  /** Pages counted in the mm's locked pages. */
  readonly accounted: number;
}

interface Extent {
  readonly frame: number;
  readonly count: number;
  readonly run: PageRun | undefined;
}

interface Attached {
  readonly domain: IommuDomain;
  readonly groups: IommuGroup[];
}

/** The backend of one container. */
export class Type1Instance implements IommuBackend {
  readonly #module: Type1;
  readonly #v2: boolean;
  readonly #nesting: boolean;
  readonly #mappings = new FrameMap<DmaMapping>();
  /** Mappings that end at 2^64: in these kernels their end wraps to 0, so that no search finds them until release. */
  readonly #beyond: DmaMapping[] = [];
  readonly #domains: Attached[] = [];
  #ranges: readonly FrameRange[] = [];
  #available: number;
  /** Mappings whose vaddr is invalid. */
  #invalid = 0;
  readonly #dirty: DirtyTracking<DmaMapping>;

  constructor(module: Type1, v2: boolean, nesting: boolean) {
    this.#module = module;
    this.#v2 = v2;
    this.#nesting = nesting;
    this.#available = module.dmaEntryLimit;
    this.#dirty = new DirtyTracking(this.#tracked());
  }

  /** Mappings in the container: for tests and reports. */
  get mappings(): number {
    return this.#mappings.size;
  }

  checkExtension(extension: number): number {
    switch (extension) {
      case VFIO_UPDATE_VADDR:
        return 1;
      case VFIO_DMA_CC_IOMMU:
        return this.#domains.every(({ domain }) => this.#coherent(domain)) ? 1 : 0;
      default:
        return this.#module.checkExtension(extension);
    }
  }

  attachGroup(group: IommuGroup): number {
    if (this.#invalid > 0) return -EBUSY;
    if (this.#domains.some(({ groups }) => groups.includes(group))) return -EINVAL;
    const { unit } = group;
    if (this.#nesting && !unit.nesting) return this.#module.host.profile.dmaOwnership ? -EINVAL : -ENODEV;
    const ranges = iovaRanges([...this.#units(), unit]);
    if (ranges.length === 0) return -EINVAL;
    for (const mapping of this.#mappings) if (!inside(ranges, mapping.first, mapping.last)) return -EINVAL;
    if (!unit.isolatesMsi && !this.#module.allowUnsafeInterrupts) return -EPERM;
    const same = this.#domains.find(({ domain }) => domain.unit === unit);
    const domain = same?.domain ?? unit.createDomain();
    const error = group.attachDomain(domain);
    if (error < 0) return error;
    if (same !== undefined) {
      same.groups.push(group);
    } else {
      for (const mapping of this.#mappings) fillDomain(domain, mapping);
      this.#domains.push({ domain, groups: [group] });
    }
    this.#ranges = ranges;
    return 0;
  }

  detachGroup(group: IommuGroup): void {
    const at = this.#domains.findIndex(({ groups }) => groups.includes(group));
    const attached = this.#domains[at];
    if (attached === undefined) return;
    group.detachDomain();
    attached.groups.splice(attached.groups.indexOf(group), 1);
    if (attached.groups.length > 0) return;
    this.#domains.splice(at, 1);
    if (this.#domains.length === 0) this.release();
    this.#ranges = iovaRanges(this.#units());
  }

  release(): void {
    for (const mapping of [...this.#mappings, ...this.#beyond.splice(0)]) this.#drop(mapping);
  }

  ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_IOMMU_GET_INFO:
        return getInfo(argument, { pageSizes: this.#pageSizes(), available: this.#available, ranges: this.#ranges });
      case VFIO_IOMMU_MAP_DMA:
        return this.#mapDma(process, argument);
      case VFIO_IOMMU_UNMAP_DMA:
        return this.#unmapDma(process, argument);
      case VFIO_IOMMU_DIRTY_PAGES:
        return this.#v2 ? this.#dirty.ioctl(process, argument) : -EACCES;
      default:
        return -ENOTTY;
    }
  }

  // VFIO_IOMMU_MAP_DMA

  #mapDma(process: Process, argument: UserArgument): number {
    const layout = vfio_iommu_type1_dma_map;
    const bytes = argument.copyIn(layout.size);
    if (bytes === undefined) return -EFAULT;
    const flags = get(bytes, layout.flags);
    const known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | VFIO_DMA_MAP_FLAG_VADDR;
    if (get(bytes, layout.argsz) < layout.size || (flags & ~known) !== 0) return -EINVAL;
    const vaddr = get(bytes, layout.vaddr);
    const iova = get(bytes, layout.iova);
    const size = get(bytes, layout.map_size);
    const updateVaddr = (flags & VFIO_DMA_MAP_FLAG_VADDR) !== 0;
    const protection =
      ((flags & VFIO_DMA_MAP_FLAG_READ) !== 0 ? IOMMU_READ : 0) | ((flags & VFIO_DMA_MAP_FLAG_WRITE) !== 0 ? IOMMU_WRITE : 0);
    if ((protection !== 0) === updateVaddr) return -EINVAL;
    const pageMask = this.#pageSize() - 1n;
    if (size === 0n || ((size | iova | vaddr) & pageMask) !== 0n) return -EINVAL;
    if (iova + size - 1n > ALL_ONES || vaddr + size - 1n > ALL_ONES) return -EINVAL;
    const first = Number(iova / PAGE);
    const last = Number((iova + size - 1n) / PAGE);
    const found = this.#mappings.firstIn(first, last);
    if (updateVaddr) return this.#validate(found, first, last, Number(vaddr));
    if (found !== undefined) return -EEXIST;
    if (this.#available === 0) return -ENOSPC;
    if (this.#ranges.length > 0 && !inside(this.#ranges, first, last)) return -EINVAL;
    return this.#map(process, first, last, Number(vaddr), protection);
  }

  #validate(found: DmaMapping | undefined, first: number, last: number, vaddr: number): number {
    if (found === undefined) return -ENOENT;
    if (found.vaddrValid || found.first !== first || found.last !== last) return -EINVAL;
    found.vaddr = vaddr;
    found.vaddrValid = true;
    this.#invalid -= 1;
    return 0;
  }

  /** Pins, accounts and maps; a failure leaves no trace. */
  #map(process: Process, first: number, last: number, vaddr: number, protection: number): number {
    const pages = last - first + 1;
    const lockCapable = process.capable('CAP_IPC_LOCK');
    const limit = Math.floor(process.memlock / PAGE_SIZE);
    const extents: Extent[] = [];
    let accounted = 0;
    let error = 0;
    for (let done = 0; this.#domains.length > 0 && done < pages; ) {
      const pinned = process.mm.pin(vaddr + done * PAGE_SIZE, pages - done, (protection & IOMMU_WRITE) !== 0);
      if (typeof pinned === 'number') {
        error = pinned;
        break;
      }
      extents.push(pinned);
      if (pinned.run !== undefined) accounted += pinned.count;
      if (!lockCapable && process.mm.lockedPages + accounted > limit) {
        error = -ENOMEM;
        break;
      }
      done += pinned.count;
    }
    if (error < 0) {
      for (const { run } of extents) run?.put();
      return error;
    }
    process.mm.lockedPages += accounted;
    const mapping: DmaMapping = { first, last, vaddr, vaddrValid: true, protection, mm: process.mm, lockCapable, extents, accounted, dirty: undefined };
    this.#dirty.mapped(mapping);
    if (last === LAST_FRAME) this.#beyond.push(mapping);
    else this.#mappings.insert(mapping);
    this.#available -= 1;
    for (const { domain } of this.#domains) fillDomain(domain, mapping);
    return 0;
  }

  // VFIO_IOMMU_UNMAP_DMA

  #unmapDma(process: Process, argument: UserArgument): number {
    const layout = vfio_iommu_type1_dma_unmap;
    const bytes = argument.copyIn(layout.size);
    if (bytes === undefined) return -EFAULT;
    const flags = get(bytes, layout.flags);
    const all = (flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0;
    const vaddrOnly = (flags & VFIO_DMA_UNMAP_FLAG_VADDR) !== 0;
    const dirty = (flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP) !== 0;
    if (get(bytes, layout.argsz) < layout.size || flags > 7) return -EINVAL;
    if (dirty && (all || vaddrOnly)) return -EINVAL;
    let bitmap: UserBitmap | undefined;
    if (dirty) {
      const told = this.#dirty.readBitmap(process, argument, get(bytes, layout.argsz), layout.size, get(bytes, layout.unmap_size));
      if (typeof told === 'number') return told;
      bitmap = told;
    }
    const iova = get(bytes, layout.iova);
    const size = get(bytes, layout.unmap_size);
    const pageMask = this.#pageSize() - 1n;
    if ((iova & pageMask) !== 0n) return -EINVAL;
    let range: FrameRange;
    if (all) {
      if (iova !== 0n || size !== 0n) return -EINVAL;
      range = { first: 0, last: LAST_FRAME };
    } else {
      if (size === 0n || (size & pageMask) !== 0n || iova + size - 1n > ALL_ONES) return -EINVAL;
      range = { first: Number(iova / PAGE), last: Number((iova + size - 1n) / PAGE) };
    }
    if (dirty && !this.#dirty.on) return -EINVAL;
    const frames = this.#unmapRange(range, vaddrOnly, bitmap);
    if (frames < 0) return frames;
    set(bytes, layout.unmap_size, BigInt(frames) * PAGE);
    return argument.copyOut(bytes) ? 0 : -EFAULT;
  }

  /** @returns the count of frames unmapped or invalidated, -EINVAL, or -EFAULT from the bitmap. */
  #unmapRange({ first, last }: FrameRange, vaddrOnly: boolean, bitmap: UserBitmap | undefined): number {
    // v2: a mapping that the range would cut refuses the whole call.
    if (this.#v2 && cuts(this.#mappings, first, last)) return -EINVAL;
    let frames = 0;
    const invalidated: DmaMapping[] = [];
    for (let at = first; at <= last; ) {
      const mapping = this.#mappings.firstIn(at, last);
      if (mapping === undefined) break;
      at = mapping.last + 1;
      // v1: a range that begins inside a mapping does not touch it.
      if (mapping.first < first) continue;
      if (vaddrOnly) {
        if (!mapping.vaddrValid) {
          for (const undo of invalidated) this.#setValid(undo, true);
          return -EINVAL;
        }
        this.#setValid(mapping, false);
        invalidated.push(mapping);
      } else {
        if (bitmap !== undefined && !this.#dirty.report(mapping, first, bitmap)) return -EFAULT;
        this.#drop(mapping);
      }
      frames += mapping.last - mapping.first + 1;
    }
    return frames;
  }

  #setValid(mapping: DmaMapping, valid: boolean): void {
    mapping.vaddrValid = valid;
    this.#invalid += valid ? -1 : 1;
  }

  #drop(mapping: DmaMapping): void {
    this.#mappings.remove(mapping.first);
    for (const { domain } of this.#domains) domain.unmap(mapping.first, mapping.last);
    for (const { run } of mapping.extents) run?.put();
    mapping.mm.lockedPages -= mapping.accounted;
    if (!mapping.vaddrValid) this.#invalid -= 1;
    this.#available += 1;
  }

  /** What dirty tracking sees of the container, as it is at each time. */
  #tracked(): Tracked<DmaMapping> {
    const mappings = this.#mappings;
    const pageSize = () => this.#pageSize();
    const hasDomain = () => this.#domains.length > 0;
    return {
      mappings,
      get pageSize() {
        return pageSize();
      },
      get hasDomain() {
        return hasDomain();
      },
    };
  }

  #coherent(domain: IommuDomain): boolean {
    return this.#module.host.profile.enforcedCoherency ? domain.unit.enforcesCoherency : domain.unit.coherent;
  }

  #units(): IommuUnit[] {
    return this.#domains.map(({ domain }) => domain.unit);
  }

  /** What all domains can do, nothing below a page. */
  #pageSizes(): bigint {
    let sizes = ALL_ONES;
    for (const { domain } of this.#domains) sizes &= domain.unit.pageSizes;
    const below = sizes & (PAGE - 1n);
    return below === 0n ? sizes : (sizes & ~(PAGE - 1n)) | PAGE;
  }

  #pageSize(): bigint {
    const sizes = this.#pageSizes();
    return sizes & -sizes;
  }
}

function inside(ranges: readonly FrameRange[], first: number, last: number): boolean {
  return ranges.some((range) => first >= range.first && last <= range.last);
}

function fillDomain(domain: IommuDomain, mapping: DmaMapping): void {
  let at = mapping.first;
  for (const { frame, count } of mapping.extents) {
    domain.map(at, count, frame, mapping.protection);
    at += count;
  }
}
