/**
 * The type1 IOMMU driver of VFIO: its module parameters, the types that it knows, and an instance for each container.
 * Kernel: vfio_iommu_type1.c.
 */
import type { Host } from '../host/host.ts';
import { addBoolParameter, addUintParameter } from '../model/module-parameter.ts';
import { SET_IOMMU_TYPE } from '../vfio/vfio-reasons.ts';
import { EINVAL } from '../uapi/errno.ts';
import {
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1_NESTING_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
  VFIO_UPDATE_VADDR,
} from '../uapi/vfio.ts';
import type { IommuBackendKind } from '../vfio/iommu-backend.ts';
import { Type1Instance } from './type1-instance.ts';

/** The module: its parameters are read where the kernel reads them. */
export class Type1 implements IommuBackendKind {
  readonly name: string = 'vfio-iommu-type1';
  readonly host: Host;
  /** Module parameter: groups without interrupt remapping may be used all the same. */
  allowUnsafeInterrupts = false;
  /** Module parameter: every page is mapped by itself. */
  disableHugepages = false;
  /** Module parameter: mappings of one container at most; sampled by VFIO_SET_IOMMU. */
  dmaEntryLimit = 65535;

  constructor(host: Host) {
    this.host = host;
    const module = 'vfio_iommu_type1';
    addBoolParameter(host, module, 'allow_unsafe_interrupts', () => this.allowUnsafeInterrupts, (on) => (this.allowUnsafeInterrupts = on));
    addBoolParameter(host, module, 'disable_hugepages', () => this.disableHugepages, (on) => (this.disableHugepages = on));
    addUintParameter(host, module, 'dma_entry_limit', () => this.dmaEntryLimit, (limit) => (this.dmaEntryLimit = limit));
  }

  checkExtension(extension: number): number {
    switch (extension) {
      case VFIO_TYPE1_IOMMU:
      case VFIO_TYPE1v2_IOMMU:
        return 1;
      case VFIO_TYPE1_NESTING_IOMMU:
        return this.host.profile.nesting ? 1 : 0;
      case VFIO_UNMAP_ALL:
        return this.host.profile.unmapAll ? 1 : 0;
      case VFIO_UPDATE_VADDR:
        return this.host.profile.updateVaddr && !this.host.profile.vaddrNeedsInstance ? 1 : 0;
      default:
        return 0;
    }
  }

  open(type: number): Type1Instance | number {
    switch (type) {
      case VFIO_TYPE1_IOMMU:
        return new Type1Instance(this, false, false);
      case VFIO_TYPE1v2_IOMMU:
        return new Type1Instance(this, true, false);
      case VFIO_TYPE1_NESTING_IOMMU:
        return this.host.profile.nesting ? new Type1Instance(this, true, true) : this.host.refusals.refuse(SET_IOMMU_TYPE, { type }, EINVAL);
      default:
        return this.host.refusals.refuse(SET_IOMMU_TYPE, { type }, EINVAL);
    }
  }
}
