import type { Host } from '../host/host.ts';
import { WaitQueue } from '../host/scheduler.ts';
import { PAGE_SIZE, type PageRun } from '../memory/page-allocator.ts';
import type { Mm } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { DmaUnmapListener } from '../vfio/iommu-backend.ts';
import type { DirtyBitmap } from './dirty-bitmap.ts';
import { FrameMap, type FrameRange } from '../memory/frame-map.ts';
import type { IommuGroup } from './iommu-group.ts';
import { iovaRanges } from './iova-ranges.ts';
import { RbTree } from './rb-tree.ts';
import { IOMMU_WRITE, type IommuDomain, type IommuUnit } from './iommu.ts';
import { MAP_MEMLOCK, MAP_MEMORY } from './type1-reasons.ts';

export const ALL_ONES = 0xffff_ffff_ffff_ffffn;
/** PAGE_SIZE, for arithmetic on whole addresses. */
export const PAGE = 4096n;
/** The frame that ends at 2^64. */
export const LAST_FRAME: number = 2 ** 52 - 1;

/** The module as an instance knows it: its parameters, and what it answers for all. */
export interface Type1Module {
  readonly host: Host;
  readonly allowUnsafeInterrupts: boolean;
  readonly disableHugepages: boolean;
  readonly dmaEntryLimit: number;
  /** VFIO_CHECK_EXTENSION of a container without instance. @param extension a number as VFIO_TYPE1v2_IOMMU */
  checkExtension(extension: number): number;
}

/** Consecutive physical frames behind consecutive IOVA frames. */
export interface Extent {
  readonly frame: number;
  readonly count: number;
  /** Undefined for a device's pages: they are not kept, and not accounted. */
  readonly run: PageRun | undefined;
}

/** A page that an emulated device pinned. Kernel: struct vfio_pfn. */
export interface Pin {
  readonly frame: number;
  readonly run: PageRun | undefined;
  count: number;
}

/** One mapping: IOVA frames to user memory of one mm. */
export interface DmaMapping extends FrameRange {
  vaddr: number;
  vaddrValid: boolean;
  readonly protection: number;
  /** Whose RLIMIT_MEMLOCK holds, and whether CAP_IPC_LOCK freed it of that when the mapping was made. */
  task: Process;
  mm: Mm;
  lockCapable: boolean;
  /** Pinned for the IOMMU; undefined while no domain has the mapping. */
  extents: readonly Extent[] | undefined;
  /** Pages counted in the mm's locked pages. */
  accounted: number;
  /** By IOVA frame; most mappings never have any. */
  pins: Map<number, Pin> | undefined;
  /** While tracking is on. */
  dirty: DirtyBitmap | undefined;
}

/** A domain and the groups whose DMA it translates. */
export interface Attached {
  readonly domain: IommuDomain;
  readonly groups: IommuGroup[];
}

/**
 * The state of one type1 container, which MAP, UNMAP, pinning, dirty tracking and the attaching of groups share. Kernel: struct vfio_iommu,
 * struct vfio_dma, struct vfio_domain of vfio_iommu_type1.c.
 */
export class Type1State {
  readonly module: Type1Module;
  readonly v2: boolean;
  readonly nesting: boolean;
  readonly mappings: FrameMap<DmaMapping> = new FrameMap<DmaMapping>();
  /** Mappings that end at 2^64, where ends are sums: they lie in the tree alone, and may overlap. */
  readonly beyond: Set<DmaMapping> = new Set<DmaMapping>();
  /**
   * All mappings, as kernels search them whose ends are sums of 64 bits. It costs as much as the rest of a map, so it is there only
   * where its shape can be seen: before 5.12, and while no IOMMU keeps mappings from the end of the space.
   */
  #tree: RbTree<DmaMapping> | undefined;
  /** Ends are sums: that of a range that ends at 2^64 is 0. */
  readonly #sums: boolean;
  readonly domains: Attached[] = [];
  /** Groups of emulated devices: nothing is mapped for them. */
  readonly emulated: Set<IommuGroup> = new Set<IommuGroup>();
  /** Groups behind an IOMMU whose devices pin what they use: only those pages can be dirty. */
  readonly promoted: Set<IommuGroup> = new Set<IommuGroup>();
  readonly listeners: Set<DmaUnmapListener> = new Set<DmaUnmapListener>();
  #ranges: readonly FrameRange[] = [];
  #pageSizes = withoutParts(ALL_ONES);
  #pageSize: bigint = PAGE;
  /** Mappings that can still be made. */
  available: number;
  /** Mappings whose vaddr is invalid. */
  invalid = 0;
  /** Of all dirty bitmaps. */
  dirtyBytes = 0;
  /** The container's fd is closed: nobody can make a vaddr valid any more. */
  closed = false;
  /** Where 5.13 waits for a vaddr to become valid. */
  readonly vaddrWait: WaitQueue;

  constructor(module: Type1Module, v2: boolean, nesting: boolean) {
    this.module = module;
    this.v2 = v2;
    this.nesting = nesting;
    this.available = module.dmaEntryLimit;
    const { inclusiveEnds, unmapAscends } = module.host.profile;
    this.#sums = !inclusiveEnds;
    this.#tree = unmapAscends ? undefined : new RbTree();
    this.vaddrWait = new WaitQueue('the vaddr of a DMA mapping');
  }

  /** The tree, where its answer is another than that of the ordered mappings: a mapping ends at 2^64. */
  get #treeOfSums(): RbTree<DmaMapping> | undefined {
    return this.beyond.size > 0 ? this.#tree : undefined;
  }

  /** vfio_find_dma(): a mapping in the range; none is below an end that is 0. @param first a page frame @param last a page frame */
  find(first: number, last: number): DmaMapping | undefined {
    if (this.#sums && last === LAST_FRAME) return undefined;
    return this.#treeOfSums === undefined ? this.mappings.firstIn(first, last) : this.#treeOfSums.find(first, last + 1);
  }

  /** Whether a mapping lies on both sides of an end of the range: v2 refuses that. */
  cuts({ first, last }: FrameRange): boolean {
    const atFirst = this.find(first, first);
    const atLast = this.find(last, last);
    return (atFirst !== undefined && atFirst.first !== first) || (atLast !== undefined && atLast.last !== last);
  }

  /**
   * The mapping that an unmap takes first: from 5.12 on the lowest, before that the one nearest the root of the tree. `end` may be 0 for
   * 2^64.
   *
   * @param first a page frame
   */
  firstToUnmap(first: number, end: number): DmaMapping | undefined {
    if (end === 0) return undefined;
    if (this.#tree !== undefined && !this.module.host.profile.unmapAscends) return this.#tree.find(first, end);
    return this.#treeOfSums === undefined ? this.mappings.firstIn(first, end - 1) : this.#treeOfSums.firstFrom(first, end);
  }

  /** The one after it. @param end the page frame behind the range */
  nextToUnmap(mapping: DmaMapping, end: number): DmaMapping | undefined {
    const next = this.#treeOfSums === undefined ? this.mappings.firstIn(mapping.last + 1, end - 1) : this.#treeOfSums.next(mapping);
    return next !== undefined && next.first < end ? next : undefined;
  }

  /** The mappings that a dirty bitmap is asked of, as the kernel walks them. */
  *walk({ first, last }: FrameRange): Generator<DmaMapping> {
    const tree = this.#treeOfSums;
    for (let at = tree === undefined ? this.mappings.firstIn(first, last) : tree.first; at !== undefined; ) {
      if (at.first > last) return;
      if (at.first >= first) yield at;
      at = tree === undefined ? this.mappings.firstIn(at.last + 1, last) : tree.next(at);
    }
  }

  /** vfio_link_dma(). */
  insert(mapping: DmaMapping): void {
    if (this.#sums && this.#tree === undefined && (this.ranges.at(-1)?.last ?? LAST_FRAME) === LAST_FRAME) {
      // What was mapped below an IOMMU's limit came in some order that nobody kept: ascending, now.
      this.#tree = new RbTree();
      for (const other of this.mappings) this.#tree.insert(other);
    }
    this.#tree?.insert(mapping);
    if (mapping.last === LAST_FRAME && this.#sums) this.beyond.add(mapping);
    else this.mappings.insert(mapping);
  }

  /** Mappings of every kind, in no promised order. */
  all(): DmaMapping[] {
    return [...this.mappings, ...this.beyond];
  }

  units(): IommuUnit[] {
    return this.domains.map(({ domain }) => domain.unit);
  }

  /** What can be mapped; empty, everything: no domain was ever there. */
  get ranges(): readonly FrameRange[] {
    return this.#ranges;
  }

  /** What all domains can do, nothing below a page. */
  get pageSizes(): bigint {
    return this.#pageSizes;
  }

  /** The smallest page size: the granule of every address, and of dirty bitmaps. */
  get pageSize(): bigint {
    return this.#pageSize;
  }

  /** A domain has come or gone: what can be mapped, and in what pages. */
  domainsChanged(): void {
    const units = this.units();
    // vfio_iommu_aper_expand(): a container that had a domain keeps its list, which is then one range of everything.
    this.#ranges = units.length === 0 ? [{ first: 0, last: LAST_FRAME }] : iovaRanges(units);
    this.#pageSizes = withoutParts(units.reduce((sizes, unit) => sizes & unit.pageSizes, ALL_ONES));
    this.#pageSize = this.#pageSizes & -this.#pageSizes;
  }

  /** Whether an IOMMU can have written every page of the mapping: then all are dirty, each time. */
  writable(mapping: DmaMapping): boolean {
    return mapping.extents !== undefined && this.domains.some(({ groups }) => groups.some((group) => !this.promoted.has(group)));
  }

  setDirty(mapping: DmaMapping, dirty: DirtyBitmap | undefined): void {
    this.dirtyBytes += (dirty?.bytes ?? 0) - (mapping.dirty?.bytes ?? 0);
    mapping.dirty = dirty;
  }

  setValid(mapping: DmaMapping, valid: boolean): void {
    mapping.vaddrValid = valid;
    this.invalid += valid ? -1 : 1;
    if (valid) this.vaddrWait.wake();
  }

  /**
   * Pins all pages of a mapping and accounts those that no device has pinned before.
   *
   * @returns 0; -EFAULT, -ENOMEM, with nothing pinned
   */
  pin(mapping: DmaMapping): number {
    const pages = mapping.last - mapping.first + 1;
    const limit = Math.floor(mapping.task.memlock / PAGE_SIZE);
    const { refusals } = this.module.host;
    const extents: Extent[] = [];
    let accounted = -accountedPins(mapping);
    let error = 0;
    for (let done = 0; done < pages && error === 0; ) {
      const pinned = mapping.mm.pin(mapping.vaddr + done * PAGE_SIZE, pages - done, (mapping.protection & IOMMU_WRITE) !== 0);
      if (typeof pinned === 'number') {
        const vaddr = BigInt(mapping.vaddr) + BigInt(done) * PAGE;
        error = refusals.refuse(MAP_MEMORY, { vaddr, write: (mapping.protection & IOMMU_WRITE) !== 0 }, -pinned);
        break;
      }
      extents.push(pinned);
      if (pinned.run !== undefined) accounted += pinned.count;
      const locked = mapping.mm.lockedPages;
      if (!mapping.lockCapable && accounted > 0 && locked + accounted > limit) {
        error = refusals.refuse(MAP_MEMLOCK, { task: mapping.task.name, locked, wanted: pages, limit });
      }
      done += pinned.count;
    }
    if (error < 0) {
      for (const { run } of extents) run?.put();
      return error;
    }
    mapping.mm.lockedPages += accounted;
    mapping.accounted += accounted;
    mapping.extents = extents;
    return 0;
  }

  /** Unpins what pin() pinned; pages that a device has pinned stay accounted. */
  unpin(mapping: DmaMapping): void {
    for (const { run } of mapping.extents ?? []) run?.put();
    mapping.extents = undefined;
    const left = accountedPins(mapping);
    mapping.mm.lockedPages -= mapping.accounted - left;
    mapping.accounted = left;
  }

  /** Maps what is pinned: one iommu_map() for each run of pages. @returns 0, or the IOMMU's errno with nothing mapped */
  fill(domain: IommuDomain, mapping: DmaMapping): number {
    let at = mapping.first;
    const step = this.module.disableHugepages ? 1 : Infinity;
    for (const { frame, count } of mapping.extents ?? []) {
      for (let done = 0; done < count; done += step) {
        const error = domain.map(at + done, Math.min(step, count - done), frame + done, mapping.protection);
        if (error < 0) {
          domain.unmap(mapping.first, mapping.last);
          return error;
        }
      }
      at += count;
    }
    return 0;
  }

  /** In bytes, the mapping that [first, last] cuts: for whoever is told. */
  cutBy({ first, last }: FrameRange): { readonly iova: bigint; readonly size: bigint } | undefined {
    const cut = [this.find(first, first), this.find(last, last)].find((each) => each !== undefined && (each.first < first || each.last > last));
    return cut === undefined ? undefined : bytesOf(cut);
  }

  /** vfio_remove_dma(): the mapping goes, out of every domain, with all that is pinned for it. */
  drop(mapping: DmaMapping): void {
    if (mapping.last === LAST_FRAME && this.#sums) this.beyond.delete(mapping);
    else this.mappings.remove(mapping.first);
    this.#tree?.remove(mapping);
    for (const { domain } of this.domains) domain.unmap(mapping.first, mapping.last);
    for (const { run } of mapping.pins?.values() ?? []) run?.put();
    mapping.pins = undefined;
    this.unpin(mapping);
    this.setDirty(mapping, undefined);
    if (!mapping.vaddrValid) this.setValid(mapping, true);
    this.available += 1;
  }
}

/** A mapping's range in bytes. */
export function bytesOf({ first, last }: FrameRange): { readonly iova: bigint; readonly size: bigint } {
  return { iova: BigInt(first) * PAGE, size: BigInt(last - first + 1) * PAGE };
}

/** Page sizes, with a page for all that are smaller. */
function withoutParts(sizes: bigint): bigint {
  return (sizes & (PAGE - 1n)) === 0n ? sizes : (sizes & ~(PAGE - 1n)) | PAGE;
}

/** Pages of a mapping that devices have pinned and that count as locked. */
function accountedPins({ pins }: DmaMapping): number {
  let count = 0;
  for (const { run } of pins?.values() ?? []) if (run !== undefined) count += 1;
  return count;
}

export function inside(ranges: readonly FrameRange[], first: number, last: number): boolean {
  return ranges.some((range) => first >= range.first && last <= range.last);
}
