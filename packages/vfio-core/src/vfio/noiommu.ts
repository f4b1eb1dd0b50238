import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { Process } from '../process/process.ts';
import { EINVAL } from '../uapi/errno.ts';
import { VFIO_NOIOMMU_IOMMU } from '../uapi/vfio.ts';
import type { IommuBackend, IommuBackendKind } from './iommu-backend.ts';
import { NOIOMMU_RIGHTS } from './vfio-reasons.ts';

/** The backend of containers whose devices have no IOMMU: it maps nothing, since nothing restricts their DMA. Kernel: vfio_noiommu_ops. */
export class NoIommuBackend implements IommuBackendKind {
  /** The kernel's name of the driver. */
  readonly name: string = 'vfio-noiommu';
  /** Always true: it is for groups without IOMMU alone. */
  readonly noiommu: boolean = true;
  readonly #enabled: () => boolean;

  /** `enabled` is the module parameter. */
  constructor(enabled: () => boolean) {
    this.#enabled = enabled;
  }

  /** VFIO_NOIOMMU_IOMMU is 1 while the module parameter is on. @param extension any number */
  checkExtension(extension: number): number {
    return this.#enabled() && extension === VFIO_NOIOMMU_IOMMU ? 1 : 0;
  }

  /** VFIO_SET_IOMMU. @param type VFIO_NOIOMMU_IOMMU; another is -EINVAL @returns an instance; -EPERM without CAP_SYS_RAWIO */
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
