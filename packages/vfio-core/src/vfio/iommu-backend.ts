/** What a container needs of an IOMMU driver of VFIO. Kernel: struct vfio_iommu_driver_ops. */
import type { Sleeps } from '../host/scheduler.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';

/** An emulated device that pins pages, and must let them go when they are unmapped. */
export interface DmaUnmapListener {
  /** `iova` and `length` in bytes: unpin all of it before this returns. */
  dmaUnmap(iova: number, length: number): void;
}

/** One instance, in one container. Numbers are results >= 0 or negative errnos. */
export interface IommuBackend {
  checkExtension(extension: number): number;
  attachGroup(group: IommuGroup): number;
  /** Whether attachGroup() has to wait for user space first (5.13: for a vaddr), and that wait: 0 or an errno. */
  readonly attachWaits?: boolean;
  waitToAttach?(): Sleeps<number>;
  detachGroup(group: IommuGroup): void;
  ioctl(process: Process, request: number, argument: UserArgument): number;
  /** The last group has left: unmaps everything. */
  release(): void;
  /** The container's fd was closed: whoever waits for user space gives up. */
  containerClosed?(): void;

  // For emulated devices. A backend without these answers -ENOTTY.

  addListener?(listener: DmaUnmapListener): void;
  removeListener?(listener: DmaUnmapListener): void;
  /** Pins the pages behind IOVA frames. @returns their physical frames, all or none */
  pinPages?(group: IommuGroup, iovaFrames: readonly number[], protection: number): Sleeps<readonly number[] | number>;
  /** @returns how many were unpinned, or -EINVAL. */
  unpinPages?(iovaFrames: readonly number[]): number;
  /** Copies between `data` and the memory behind `iova`, as the CPU. `current` is the calling process, if it is no kernel thread. */
  dmaRw?(current: Process | undefined, iova: number, data: Uint8Array, write: boolean): Sleeps<number>;
}

export interface IommuBackendKind {
  readonly name: string;
  /** The backend of containers of no-IOMMU groups; all others are for all others. */
  readonly noiommu?: boolean;
  /** Without an instance. */
  checkExtension(extension: number): number;
  open(type: number, process: Process): IommuBackend | number;
}
