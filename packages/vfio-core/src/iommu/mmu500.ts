/** An Arm MMU-500 (SMMUv2), as Linux drives it: devices of one stream id are in one group. Kernel: arm-smmu.c. */
import type { Host } from '../host/host.ts';
import type { Device } from '../model/device.ts';
import { ArmIommu, type ArmIommuInit } from './arm-iommu.ts';
import type { IommuGroup } from './iommu-group.ts';

export class Mmu500Iommu extends ArmIommu {
  /** By stream id. */
  readonly #groups = new Map<number, IommuGroup>();

  constructor(host: Host, init: ArmIommuInit = {}) {
    super(host, 'mmu500', init);
  }

  /** arm_smmu_device_group(): that of the stream id, as long as it has devices. */
  protected override insert(device: Device, stream: number): void {
    const group = this.#groups.get(stream);
    if (group === undefined || group.devices.length === 0) this.#groups.set(stream, this.addGroup([device]));
    else group.addDevice(device);
  }
}
