import type { Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import { ArmIommu, type ArmIommuInit } from './arm-iommu.ts';
import type { IommuGroup } from './iommu-group.ts';

/** An Arm MMU-500 (SMMUv2), as Linux drives it: devices of one stream id are in one group. Kernel: arm-smmu.c. */
export class Mmu500Iommu extends ArmIommu {
  /** By stream id. */
  readonly #groups = new Map<number, IommuGroup>();

  /** @throws TypeError if another copy of @vsim/vfio-core made the host */
  constructor(host: Host, init: ArmIommuInit = {}) {
    super(host, 'mmu500', init);
  }

  /** arm_smmu_device_group(): that of the stream id, as long as it has devices. @param stream the stream id */
  protected override insert(device: Device, stream: number): void {
    const group = this.#groups.get(stream);
    if (group === undefined || group.devices.length === 0) this.#groups.set(stream, this.addGroup([device]));
    else group.addDevice(device);
  }
}
