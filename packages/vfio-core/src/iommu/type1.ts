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

/**
 * The type1 IOMMU driver of VFIO: its module parameters, which are read where the kernel reads them, the types that it knows, and an
 * instance for each container. Kernel: vfio_iommu_type1.c.
 */
export class Type1 implements IommuBackendKind {
  /** The kernel's name of the driver. */
  readonly name: string = 'vfio-iommu-type1';
  /** The host whose kernel has the module. */
  readonly host: Host;
  /** Module parameter `allow_unsafe_interrupts`: groups without interrupt remapping may be used all the same. */
  allowUnsafeInterrupts = false;
  /** Module parameter `disable_hugepages`: every page is mapped by itself. */
  disableHugepages = false;
  /** Module parameter `dma_entry_limit`: mappings of one container at most; sampled by VFIO_SET_IOMMU. */
  dmaEntryLimit = 65535;

  /** Loads the module; a Vfio has one, as `type1`. */
  constructor(host: Host) {
    this.host = host;
    const module = 'vfio_iommu_type1';
    addBoolParameter(host, module, 'allow_unsafe_interrupts', () => this.allowUnsafeInterrupts, (on) => (this.allowUnsafeInterrupts = on));
    addBoolParameter(host, module, 'disable_hugepages', () => this.disableHugepages, (on) => (this.disableHugepages = on));
    addUintParameter(host, module, 'dma_entry_limit', () => this.dmaEntryLimit, (limit) => (this.dmaEntryLimit = limit));
  }

  /** VFIO_CHECK_EXTENSION of a container without instance. @param extension a number as VFIO_TYPE1v2_IOMMU @returns 1 or 0 */
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

  /**
   * VFIO_SET_IOMMU.
   *
   * @param type VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, or VFIO_TYPE1_NESTING_IOMMU where the kernel has it
   * @returns an instance; -EINVAL for another type
   */
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
