/**
 * The backend of containers whose devices have no IOMMU: it maps nothing, since nothing restricts their DMA. Kernel:
 * vfio_noiommu_ops; catalogue: vfio 2.8.
 */
import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { Process } from '../process/process.ts';
import { EINVAL } from '../uapi/errno.ts';
import { VFIO_NOIOMMU_IOMMU } from '../uapi/vfio.ts';
import type { IommuBackend, IommuBackendKind } from './iommu-backend.ts';
import { NOIOMMU_RIGHTS } from './vfio-reasons.ts';

export class NoIommuBackend implements IommuBackendKind {
  readonly name: string = 'vfio-noiommu';
  readonly noiommu: boolean = true;
  readonly #enabled: () => boolean;

  /** `enabled` is the module parameter. */
  constructor(enabled: () => boolean) {
    this.#enabled = enabled;
  }

  checkExtension(extension: number): number {
    return this.#enabled() && extension === VFIO_NOIOMMU_IOMMU ? 1 : 0;
  }

  open(type: number, process: Process): IommuBackend | number {
    if (type !== VFIO_NOIOMMU_IOMMU) return -EINVAL;
    if (!process.capable('CAP_SYS_RAWIO')) return process.host.refusals.refuse(NOIOMMU_RIGHTS, { group: 'without IOMMU', task: process.name });
    return {
      checkExtension: (extension) => this.checkExtension(extension),
      attachGroup: ({ kind }: IommuGroup) => (kind === 'noiommu' ? 0 : -EINVAL),
      detachGroup: () => undefined,
      ioctl: (_process, _request, argument) => argument.unknown(),
      release: () => undefined,
    };
  }
}
