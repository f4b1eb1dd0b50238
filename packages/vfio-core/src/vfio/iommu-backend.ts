/** What a container needs of an IOMMU driver of VFIO. Kernel: struct vfio_iommu_driver_ops. */
import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';

/** One instance, in one container. Numbers are results >= 0 or negative errnos. */
export interface IommuBackend {
  checkExtension(extension: number): number;
  attachGroup(group: IommuGroup): number;
  detachGroup(group: IommuGroup): void;
  ioctl(process: Process, request: number, argument: UserArgument): number;
  /** The last group has left: unmaps everything. */
  release(): void;
}

export interface IommuBackendKind {
  readonly name: string;
  /** Without an instance. */
  checkExtension(extension: number): number;
  open(type: number): IommuBackend | number;
}
