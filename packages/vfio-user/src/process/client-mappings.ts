/** Memory of a client in a process that serves a device: mapped, and given to the device by its container. */
import {
  EEXIST,
  EINVAL,
  FrameMap,
  passes64,
  set,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  wideRangeEnd,
  type FrameRange,
  type Mapping,
  type Process,
} from '@vsim/vfio-core';
import type { ClientMemory } from '../server/served-device.ts';
import type { SharedMemory } from '../wire/descriptor.ts';
import { finish } from './finish.ts';

const PAGE = 4096;
const PAGE_64 = 4096n;
const END = 1n << 64n;

interface ClientRange extends FrameRange {
  readonly mapping: Mapping;
  readonly memory: SharedMemory;
}

/**
 * What of a client's memory the device reaches. Each range takes the way of every DMA: pages of the process, pinned and mapped by VFIO_IOMMU_MAP_DMA, so that
 * limits, devices without an IOMMU of their own and bitmaps of dirty pages are those of type1.
 */
export class ClientMappings {
  readonly #process: Process;
  readonly #container: number;
  readonly #ranges = new FrameMap<ClientRange>();

  /** @param container the fd of the device's container, with type1 */
  constructor(process: Process, container: number) {
    this.#process = process;
    this.#container = container;
  }

  /** @returns 0; -EEXIST, -EINVAL, or what the process and its container answer, with nothing mapped */
  map({ iova, size, read, write, memory }: ClientMemory): number {
    if (!Number.isSafeInteger(size) || size <= 0 || size % PAGE !== 0 || iova < 0n || iova % PAGE_64 !== 0n || passes64(iova, BigInt(size))) return -EINVAL;
    const first = Number(iova / PAGE_64);
    const last = first + size / PAGE - 1;
    // Before the container is asked: some kernels take a second range that ends at 2^64.
    if (this.#ranges.firstIn(first, last) !== undefined) return -EEXIST;
    // Pages are readable for whoever may write them: pinning wants that.
    const foreign = { size, read: (offset: number, into: Uint8Array) => { memory.read(offset, into); }, write: (offset: number, from: Uint8Array) => { memory.write(offset, from); } };
    const mapping = this.#process.mm.mapForeign(foreign, true, write);
    if (typeof mapping === 'number') return mapping;
    const layout = vfio_iommu_type1_dma_map;
    const request = new Uint8Array(layout.size);
    set(request, layout.argsz, layout.size);
    set(request, layout.flags, (read ? VFIO_DMA_MAP_FLAG_READ : 0) | (write ? VFIO_DMA_MAP_FLAG_WRITE : 0));
    set(request, layout.vaddr, mapping.address);
    set(request, layout.iova, iova);
    set(request, layout.map_size, size);
    const error = this.#ioctl(VFIO_IOMMU_MAP_DMA, request);
    if (error < 0) mapping.unmap();
    else this.#ranges.insert({ first, last, mapping, memory });
    return error;
  }

  /**
   * Takes away the ranges that lie inside [iova, iova + size), and ends their memory.
   *
   * @param iova in bytes
   * @param size in bytes
   * @returns bytes taken away, or what the container answers, with the range that it refused and those behind it still there
   */
  unmap(iova: bigint, size: bigint): number {
    const end = passes64(iova, size) ? END : wideRangeEnd(iova, size);
    const first = Number((iova + PAGE_64 - 1n) / PAGE_64);
    const last = Number(end / PAGE_64) - 1;
    let bytes = 0;
    for (let at = first; at <= last; ) {
      const range = this.#ranges.firstIn(at, last);
      if (range === undefined) break;
      at = range.last + 1;
      if (range.first < first || range.last > last) continue;
      const error = this.#drop(range);
      if (error < 0) return error;
      bytes += (range.last - range.first + 1) * PAGE;
    }
    return bytes;
  }

  #drop(range: ClientRange): number {
    const layout = vfio_iommu_type1_dma_unmap;
    const request = new Uint8Array(layout.size);
    set(request, layout.argsz, layout.size);
    set(request, layout.iova, BigInt(range.first) * PAGE_64);
    set(request, layout.unmap_size, (range.last - range.first + 1) * PAGE);
    const error = this.#ioctl(VFIO_IOMMU_UNMAP_DMA, request);
    if (error < 0) return error;
    this.#ranges.remove(range.first);
    range.mapping.unmap();
    range.memory.unmap();
    return 0;
  }

  #ioctl(request: number, argument: Uint8Array): number {
    return finish(this.#process, 'ioctl', this.#process.sys.ioctl(this.#container, request, argument));
  }
}
