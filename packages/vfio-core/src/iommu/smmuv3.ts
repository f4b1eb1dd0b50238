import type { Host } from '../host/host.ts';
import { eventKind, type EventKind } from '../host/trace.ts';
import type { Device } from '../model/device.ts';
import { ArmIommu, type ArmIommuInit } from './arm-iommu.ts';

/** The firmware gives a device a stream id that another one has: the device gets no group. Kernel: arm_smmu_insert_master(). */
export const STREAM_TAKEN: EventKind<{ readonly device: string; readonly stream: number; readonly owner: string }> = eventKind(
  'iommu/stream-taken',
  'warn',
  ({ device, stream, owner }) => `${device}: stream ${stream} is that of ${owner} already`,
);

/** What an SMMUv3 of a machine is like: nothing that other Arm IOMMUs have not. */
export type SmmuV3Init = ArmIommuInit;

/** An Arm SMMUv3, as Linux drives it: a stream id is of one device, and each device has a group of its own. Kernel: arm-smmu-v3.c. */
export class SmmuV3Iommu extends ArmIommu {
  /** Who has a stream id, as long as it has a group. */
  readonly #masters = new Map<number, Device>();

  /** @throws TypeError if another copy of @vsim/vfio-core made the host */
  constructor(host: Host, init: SmmuV3Init = {}) {
    super(host, 'smmu3', init);
  }

  /**
   * arm_smmu_insert_master(): a group of the device alone. Whoever comes first has a stream id; for another it is STREAM_TAKEN.
   *
   * @param stream the stream id
   */
  protected override insert(device: Device, stream: number): void {
    const owner = this.#masters.get(stream);
    if (owner?.iommuGroup !== undefined) {
      this.host.trace.emit(STREAM_TAKEN, { device: device.name, stream, owner: owner.name });
      return;
    }
    this.#masters.set(stream, device);
    this.addGroup([device]);
  }
}
