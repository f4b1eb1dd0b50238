/**
 * One type1 container as VFIO sees it: the requests of its fd, and MAP_DMA. The other parts have files of their own: type1-state, -groups,
 * -unmap, -pins, -dirty, -info.
 */
import type { Sleeps } from '../host/scheduler.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EOVERFLOW } from '../uapi/errno.ts';
import { get } from '../uapi/struct.ts';
import {
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_UPDATE_VADDR,
  vfio_iommu_type1_dma_map,
} from '../uapi/vfio.ts';
import { PAGE_SIZE } from '../memory/page-allocator.ts';
import { passes64, wideRangeEnd } from '../memory/range.ts';
import type { DmaUnmapListener, IommuBackend } from '../vfio/iommu-backend.ts';
import type { IommuGroup } from './iommu-group.ts';
import { IOMMU_READ, IOMMU_WRITE, type IommuDomain } from './iommu.ts';
import { DirtyTracking } from './type1-dirty.ts';
import { attachGroup, detachGroup, releaseAll } from './type1-groups.ts';
import { getInfo } from './type1-info.ts';
import { dmaRw, pinPages, unpinPages } from './type1-pins.ts';
import {
  DIRTY_V1,
  MAP_ALIGNMENT,
  MAP_FLAGS,
  MAP_LIMIT,
  MAP_MEMLOCK,
  MAP_NO_VADDR,
  MAP_OVERFLOW,
  MAP_OVERLAP,
  MAP_RESERVED,
  MAP_VADDR_VALID,
  VADDR_WAIT,
  type MapRequest,
} from './type1-reasons.ts';
import { bytesOf, inside, PAGE, Type1State, type Type1Module, type DmaMapping } from './type1-state.ts';
import { unmapDma } from './type1-unmap.ts';

/** The type1 backend of one container: its mappings, in the domains of its groups. Kernel: vfio_iommu_driver_ops_type1. */
export class Type1Instance implements IommuBackend {
  readonly #state: Type1State;
  readonly #dirty: DirtyTracking;

  /**
   * Made by Type1.open().
   *
   * @param v2 VFIO_TYPE1v2_IOMMU: an unmap cuts no mapping
   * @param nesting VFIO_TYPE1_NESTING_IOMMU: every group's IOMMU has to nest
   */
  constructor(module: Type1Module, v2: boolean, nesting: boolean) {
    this.#state = new Type1State(module, v2, nesting);
    this.#dirty = new DirtyTracking(this.#state);
  }

  /** Mappings in the container: for tests and reports. */
  get mappings(): number {
    return this.#state.mappings.size + this.#state.beyond.size;
  }

  /**
   * VFIO_CHECK_EXTENSION: as the module answers, but for VFIO_UPDATE_VADDR and VFIO_DMA_CC_IOMMU, which depend on the groups.
   *
   * @param extension a number as VFIO_UNMAP_ALL
   * @returns 1 or 0
   */
  checkExtension(extension: number): number {
    const { module, emulated, domains } = this.#state;
    const { profile } = module.host;
    switch (extension) {
      case VFIO_UPDATE_VADDR:
        return profile.updateVaddr && !(profile.vaddrNeedsInstance && emulated.size > 0) ? 1 : 0;
      case VFIO_DMA_CC_IOMMU:
        return domains.every(({ domain }) => this.#coherent(domain)) ? 1 : 0;
      default:
        return module.checkExtension(extension);
    }
  }

  /**
   * vfio_iommu_type1_attach_group(): what is mapped is mapped for the group.
   *
   * @returns 0; -EBUSY, -EINVAL, -ENODEV, -EPERM, -ENOMEM, -EFAULT, with everything as it was
   */
  attachGroup(group: IommuGroup): number {
    return attachGroup(this.#state, group);
  }

  /** Sleeps until every vaddr is valid (5.13). @returns 0; -EFAULT when the container is closed or the thread killed first */
  *waitToAttach(): Sleeps<number> {
    const state = this.#state;
    const { scheduler } = state.module.host;
    yield* state.vaddrWait.waitKillable(scheduler, () => state.invalid === 0 || state.closed);
    return state.invalid === 0 ? 0 : state.module.host.refusals.refuse(VADDR_WAIT, { invalid: state.invalid });
  }

  /** Whether a vaddr is invalid and the kernel waits for it (5.13). */
  get attachWaits(): boolean {
    return this.#state.invalid > 0 && !this.#state.module.host.profile.vaddrNeedsInstance;
  }

  /** vfio_iommu_type1_detach_group(): the last group unmaps everything. */
  detachGroup(group: IommuGroup): void {
    detachGroup(this.#state, this.#dirty, group);
  }

  /** vfio_iommu_type1_release(): unmaps everything. */
  release(): void {
    releaseAll(this.#state);
  }

  /** vfio_iommu_type1_notify(), VFIO_IOMMU_CONTAINER_CLOSE: whoever waits for a vaddr gives up. */
  containerClosed(): void {
    this.#state.closed = true;
    this.#state.vaddrWait.wake();
  }

  /** An emulated device wants to be told of unmaps; without one nobody may pin. */
  addListener(listener: DmaUnmapListener): void {
    this.#state.listeners.add(listener);
  }

  /** An emulated device is no longer told of unmaps. */
  removeListener(listener: DmaUnmapListener): void {
    this.#state.listeners.delete(listener);
  }

  /**
   * vfio_iommu_type1_pin_pages().
   *
   * @param iovaFrames IOVA / 4096, one for each page
   * @param protection bits of IOMMU_READ and IOMMU_WRITE
   * @returns the physical frames; -EACCES for type1 v1, -EINVAL, -EPERM, -EFAULT, -EBUSY, -ENOMEM, -EOVERFLOW, with nothing pinned
   */
  pinPages(group: IommuGroup, iovaFrames: readonly number[], protection: number): Sleeps<readonly number[] | number> {
    return pinPages(this.#state, group, iovaFrames, protection);
  }

  /**
   * vfio_iommu_type1_unpin_pages().
   *
   * @param iovaFrames IOVA / 4096, one for each page
   * @returns how many were unpinned, up to the first that is not mapped; -EINVAL for none, -EACCES for type1 v1
   */
  unpinPages(iovaFrames: readonly number[]): number {
    return unpinPages(this.#state, iovaFrames);
  }

  /**
   * vfio_iommu_type1_dma_rw().
   *
   * @param current the process in whose system call this runs
   * @param iova in bytes
   * @returns 0; -EINVAL, -EPERM, -EFAULT, -EBUSY, with what was copied before
   */
  dmaRw(current: Process | undefined, iova: number, data: Uint8Array, write: boolean): Sleeps<number> {
    return dmaRw(this.#state, current, iova, data, write);
  }

  /**
   * vfio_iommu_type1_ioctl().
   *
   * @param request VFIO_IOMMU_GET_INFO, MAP_DMA, UNMAP_DMA or DIRTY_PAGES
   * @returns 0 or a negative errno, as the reasons `type1/...` tell; -ENOTTY for another request
   */
  ioctl(process: Process, request: number, argument: UserArgument): number {
    const { pageSizes, available, ranges, v2, module } = this.#state;
    switch (request) {
      case VFIO_IOMMU_GET_INFO:
        return getInfo(argument, { pageSizes, available, ranges, capabilityAlignment: module.host.profile.capabilityAlignment });
      case VFIO_IOMMU_MAP_DMA:
        return this.#mapDma(process, argument);
      case VFIO_IOMMU_UNMAP_DMA:
        return unmapDma(this.#state, this.#dirty, process, argument);
      case VFIO_IOMMU_DIRTY_PAGES:
        return v2 ? this.#dirty.ioctl(process, argument) : argument.refuse(DIRTY_V1, { request: argument.request });
      default:
        return argument.unknown();
    }
  }

  /** VFIO_IOMMU_MAP_DMA: the checks, in the kernel's order. */
  #mapDma(process: Process, argument: UserArgument): number {
    const state = this.#state;
    const { profile, refusals } = state.module.host;
    const layout = vfio_iommu_type1_dma_map;
    const bytes = argument.copyIn(layout.size);
    if (bytes === undefined) return argument.fault();
    const flags = get(bytes, layout.flags);
    const argsz = get(bytes, layout.argsz);
    const vaddrFlag = profile.updateVaddr ? VFIO_DMA_MAP_FLAG_VADDR : 0;
    const known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE | vaddrFlag;
    if (argsz < layout.size || (flags & ~known) !== 0) return refusals.refuse(MAP_FLAGS, { flags, argsz });
    const vaddr = get(bytes, layout.vaddr);
    const iova = get(bytes, layout.iova);
    const size = get(bytes, layout.map_size);
    const updateVaddr = (flags & VFIO_DMA_MAP_FLAG_VADDR) !== 0;
    const protection =
      ((flags & VFIO_DMA_MAP_FLAG_READ) !== 0 ? IOMMU_READ : 0) | ((flags & VFIO_DMA_MAP_FLAG_WRITE) !== 0 ? IOMMU_WRITE : 0);
    const passes = passes64(iova, size) || passes64(vaddr, size);
    if (profile.overflowIsTold && size !== 0n && passes) return refusals.refuse(MAP_OVERFLOW, { iova, vaddr, size }, EOVERFLOW);
    if ((protection !== 0) === updateVaddr) return refusals.refuse(MAP_FLAGS, { flags, argsz });
    const pageMask = state.pageSize - 1n;
    if (size === 0n || ((size | iova | vaddr) & pageMask) !== 0n) {
      const wrong = size === 0n || (size & pageMask) !== 0n ? 'size' : (iova & pageMask) !== 0n ? 'iova' : 'vaddr';
      return refusals.refuse(MAP_ALIGNMENT, { iova, vaddr, size, wrong, pageSize: state.pageSize });
    }
    if (passes) return refusals.refuse(MAP_OVERFLOW, { iova, vaddr, size });
    const first = Number(iova / PAGE);
    const last = Number((wideRangeEnd(iova, size) - 1n) / PAGE);
    const found = state.find(first, last);
    if (updateVaddr) return this.#validate(process, found, { iova, vaddr, size });
    if (found !== undefined) return refusals.refuse(MAP_OVERLAP, { iova, vaddr, size, mapping: bytesOf(found) });
    if (state.available === 0) return refusals.refuse(MAP_LIMIT, { limit: state.mappings.size + state.beyond.size });
    if (state.ranges.length > 0 && !inside(state.ranges, first, last)) {
      const available = state.ranges.map((each) => ({ first: BigInt(each.first) * PAGE, last: BigInt(each.last) * PAGE + PAGE - 1n }));
      return refusals.refuse(MAP_RESERVED, { iova, vaddr, size, available });
    }
    return this.#map(process, first, last, Number(vaddr), protection);
  }

  /** A new address for a mapping whose old one was given up. */
  #validate(process: Process, found: DmaMapping | undefined, request: MapRequest): number {
    const { profile, refusals } = this.#state.module.host;
    if (found === undefined) return refusals.refuse(MAP_NO_VADDR, request);
    const mapping = bytesOf(found);
    if (found.vaddrValid || mapping.iova !== request.iova || mapping.size !== request.size) {
      return refusals.refuse(MAP_VADDR_VALID, { ...request, mapping, valid: found.vaddrValid });
    }
    if (profile.vaddrMovesAccounting) {
      const error = changeOwner(found, process);
      if (error < 0) return error;
    }
    found.vaddr = Number(request.vaddr);
    this.#state.setValid(found, true);
    return 0;
  }

  /** Pins, accounts and maps; a failure leaves no trace. */
  #map(process: Process, first: number, last: number, vaddr: number, protection: number): number {
    const state = this.#state;
    const mapping: DmaMapping = {
      first,
      last,
      vaddr,
      vaddrValid: true,
      protection,
      task: process,
      mm: process.mm,
      lockCapable: process.capable('CAP_IPC_LOCK'),
      extents: undefined,
      accounted: 0,
      pins: undefined,
      dirty: undefined,
    };
    // Without an IOMMU nothing is pinned before a device asks for it.
    const error = state.domains.length > 0 ? state.pin(mapping) : 0;
    if (error < 0) return error;
    state.available -= 1;
    state.insert(mapping);
    let failed = 0;
    for (const { domain } of state.domains) if (failed === 0) failed = state.fill(domain, mapping);
    if (failed === 0) failed = this.#dirty.mapped(mapping);
    if (failed < 0) state.drop(mapping);
    return failed;
  }

  #coherent(domain: IommuDomain): boolean {
    return this.#state.module.host.profile.enforcedCoherency ? domain.unit.enforcesCoherency : domain.unit.coherent;
  }
}

/** vfio_change_dma_owner(): the locked pages are the calling process' from now on. */
function changeOwner(mapping: DmaMapping, process: Process): number {
  if (mapping.mm === process.mm) return 0;
  const lockCapable = process.capable('CAP_IPC_LOCK');
  const limit = Math.floor(process.memlock / PAGE_SIZE);
  const locked = process.mm.lockedPages;
  if (!lockCapable && locked + mapping.accounted > limit) {
    return process.host.refusals.refuse(MAP_MEMLOCK, { task: process.name, locked, wanted: mapping.accounted, limit });
  }
  process.mm.lockedPages += mapping.accounted;
  mapping.mm.lockedPages -= mapping.accounted;
  mapping.task = process;
  mapping.mm = process.mm;
  mapping.lockCapable = lockCapable;
  return 0;
}
