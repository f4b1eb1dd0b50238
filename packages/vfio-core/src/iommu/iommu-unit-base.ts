/** What every IOMMU kind does alike: it makes groups and domains. */
import { assertSameCore, type Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import { IommuDomain, type IommuUnit, type ReservedRegion } from './iommu.ts';
import { IommuGroup } from './iommu-group.ts';

export abstract class IommuUnitBase implements IommuUnit {
  readonly host: Host;
  readonly name: string;
  readonly device: string | undefined = undefined;
  abstract readonly pageSizes: bigint;
  abstract readonly aperture: FrameRange;
  abstract readonly reservedRegions: readonly ReservedRegion[];
  readonly coherent: boolean = true;
  abstract readonly enforcesCoherency: boolean;
  abstract readonly isolatesMsi: boolean;
  readonly nesting: boolean = false;
  readonly defaultDomain: 'DMA' | 'identity' = 'identity';

  constructor(host: Host, name: string) {
    assertSameCore(host);
    this.host = host;
    this.name = name;
  }

  createDomain(): IommuDomain {
    return new IommuDomain(this);
  }

  /**
   * Makes a group of devices that the IOMMU cannot tell apart.
   *
   * @param id - its number. @default the lowest free one
   * @throws RangeError if the number is taken
   */
  addGroup(devices: readonly Device[], id?: number): IommuGroup {
    const group = new IommuGroup(this.host, this, id);
    for (const device of devices) group.addDevice(device);
    return group;
  }

  groupGone(_group: IommuGroup): void {
    // Nothing is kept for a group.
  }
}
