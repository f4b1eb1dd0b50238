/** The IOMMU of a device behind a connection: what its container maps, its server is told of. */
import { type Device, EIO, ENOTCONN, FrameMap, type FrameRange, type Host, IommuDomain, IommuGroup, IommuUnitBase, type ReservedRegion } from '@vsim/vfio-core';
import type { RemoteDevice } from '../client/remote-device.ts';

const PAGE = 4096n;
/** The last page frame below 2^64. */
const LAST = 2 ** 52 - 1;

/** Domains of it are ranges of DMA_MAP, one for each run of pages; servers without a descriptor reach the memory by DMA_READ and DMA_WRITE. */
export class RemoteIommu extends IommuUnitBase {
  override readonly pageSizes: bigint = 0xffff_ffff_ffff_f000n;
  override readonly aperture: FrameRange = { first: 0, last: LAST };
  override readonly reservedRegions: readonly ReservedRegion[] = [];
  override readonly enforcesCoherency: boolean = true;
  override readonly isolatesMsi: boolean = true;
  readonly #remote: RemoteDevice;

  constructor(host: Host, name: string, remote: RemoteDevice) {
    super(host, name);
    this.#remote = remote;
  }

  /** Makes a domain in which nothing is mapped. */
  override createDomain(): IommuDomain {
    return new RemoteDomain(this, this.#remote);
  }

  /** Makes the device's group. @param id its number @default the lowest free one */
  override addGroup(devices: readonly Device[], id?: number): IommuGroup {
    const group = new RemoteGroup(this.host, this, id);
    for (const device of devices) group.addDevice(device);
    return group;
  }
}

/** A container that is closed drops its domain with what is mapped in it: an IOMMU frees its tables, and a server has to be told. */
class RemoteGroup extends IommuGroup {
  override detachDomain(): void {
    this.domain?.unmap(0, LAST);
    super.detachDomain();
  }
}

class RemoteDomain extends IommuDomain {
  readonly #remote: RemoteDevice;
  readonly #told = new FrameMap<FrameRange>();

  constructor(unit: RemoteIommu, remote: RemoteDevice) {
    super(unit);
    this.#remote = remote;
  }

  /** DMA_MAP. @returns 0, or what the server refuses it with; EIO once the connection is over */
  override map(first: number, count: number, frame: number, protection: number): number {
    // Before the server knows of it: it may read at once. IOMMU_READ and IOMMU_WRITE are the bits of VFIO_DMA_MAP_FLAG_*.
    const error = super.map(first, count, frame, protection);
    if (error < 0) return error;
    const refused = connected(this.#remote.mapDma(BigInt(first) * PAGE, BigInt(count) * PAGE, protection));
    if (refused < 0) super.unmap(first, first + count - 1);
    else this.#told.insert({ first, last: first + count - 1 });
    return refused;
  }

  /** DMA_UNMAP of each range as it was mapped, which is all that the specification lets one unmap. */
  override unmap(first: number, last: number): void {
    for (let at = first; at <= last; ) {
      const range = this.#told.firstIn(at, last);
      if (range === undefined) break;
      at = range.last + 1;
      if (range.first < first || range.last > last) continue;
      this.#told.remove(range.first);
      this.#remote.unmapDma(BigInt(range.first) * PAGE, BigInt(range.last - range.first + 1) * PAGE);
    }
    super.unmap(first, last);
  }
}

/** A result for a process, which knows nothing of connections: EIO where there is none. @param code 0 or more, or a negative errno */
export function connected(code: number): number {
  return code === -ENOTCONN ? -EIO : code;
}
