import { assertSameCore, type Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import { IommuDomain, type IommuUnit, type ReservedRegion } from './iommu.ts';
import { IommuGroup } from './iommu-group.ts';

/** What every kind of IOMMU does alike: it makes groups and domains. A kind of one's own extends this class. */
export abstract class IommuUnitBase implements IommuUnit {
  /** The host that it is an IOMMU of. */
  readonly host: Host;
  /** What sysfs calls it, such as `dmar0`. */
  readonly name: string;
  /** The platform device that it is, where its devices' folders are to show it. */
  readonly device: string | undefined = undefined;
  /** Page sizes of a domain: bit n is 2^n bytes. */
  abstract readonly pageSizes: bigint;
  /** Inclusive first and last page frame that a domain can map. */
  abstract readonly aperture: FrameRange;
  /** IOVAs that user space must not map. */
  abstract readonly reservedRegions: readonly ReservedRegion[];
  /** DMA is coherent with CPU caches: IOMMU_CAP_CACHE_COHERENCY. */
  readonly coherent: boolean = true;
  /** No-snoop DMA can be forced to snoop. */
  abstract readonly enforcesCoherency: boolean;
  /** A device cannot forge another's interrupt: interrupt remapping. */
  abstract readonly isolatesMsi: boolean;
  /** Whether VFIO_TYPE1_NESTING_IOMMU can be had of it. */
  readonly nesting: boolean = false;
  /** What sysfs shows as `type` of a group: the domain of the kernel's own drivers. */
  readonly defaultDomain: 'DMA' | 'identity' = 'identity';

  /** @throws TypeError if another copy of @vsim/vfio-core made the host */
  constructor(host: Host, name: string) {
    assertSameCore(host);
    this.host = host;
    this.name = name;
  }

  /** Makes a domain in which nothing is mapped. */
  createDomain(): IommuDomain {
    return new IommuDomain(this);
  }

  /**
   * Makes a group of devices that the IOMMU cannot tell apart.
   *
   * @param id its number; the lowest free one by default
   * @default the lowest free one
   * @throws RangeError if the number is taken
   */
  addGroup(devices: readonly Device[], id?: number): IommuGroup {
    const group = new IommuGroup(this.host, this, id);
    for (const device of devices) group.addDevice(device);
    return group;
  }

  /** A group has lost its last device and its last reference. */
  groupGone(_group: IommuGroup): void {
    // Nothing is kept for a group.
  }
}
