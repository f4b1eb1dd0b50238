/**
 * Groups without an IOMMU behind them: of emulated (mediated) devices, which do no DMA of their own, and of VFIO's no-IOMMU mode.
 * Kernel: vfio_noiommu_group_alloc(), and mdev's iommu_group_alloc() before 5.16.
 */
import type { Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import type { FrameRange } from '../memory/frame-map.ts';
import type { ReservedRegion } from './iommu.ts';
import { IommuGroup } from './iommu-group.ts';
import { IommuUnitBase } from './iommu-unit-base.ts';

/** What a group of such devices has for an IOMMU: nothing that restricts anybody. */
class NoIommu extends IommuUnitBase {
  override readonly pageSizes: bigint = 0xffff_ffff_ffff_f000n;
  override readonly aperture: FrameRange = { first: 0, last: 2 ** 52 - 1 };
  override readonly reservedRegions: readonly ReservedRegion[] = [];
  override readonly enforcesCoherency: boolean = true;
  override readonly isolatesMsi: boolean = true;
}

/** A group of one emulated device, which type1 does not map for, but pins for on request. */
export function addEmulatedGroup(host: Host, device: Device): IommuGroup {
  const group = new IommuGroup(host, new NoIommu(host, 'emulated'), undefined, 'emulated');
  group.addDevice(device);
  return group;
}

/** A group of one device whose DMA nobody restricts. */
export function addNoIommuGroup(host: Host, device: Device): IommuGroup {
  const group = new IommuGroup(host, new NoIommu(host, 'noiommu'), undefined, 'noiommu');
  group.addDevice(device);
  return group;
}
