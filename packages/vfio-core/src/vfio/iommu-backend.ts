import type { Sleeps } from '../host/scheduler.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';

/** An emulated device that pins pages, and must let them go when they are unmapped. */
export interface DmaUnmapListener {
  /** `iova` and `length` in bytes: unpin all of it before this returns. */
  dmaUnmap(iova: number, length: number): void;
}

/**
 * What a container needs of an IOMMU driver of VFIO: one instance, in one container. Numbers are results of 0 or more, or negative errnos.
 * Kernel: struct vfio_iommu_driver_ops.
 */
export interface IommuBackend {
  /** VFIO_CHECK_EXTENSION. @param extension a number as VFIO_UNMAP_ALL @returns 1 or 0 */
  checkExtension(extension: number): number;
  /** A group joins the container: its devices see what is mapped. @returns 0 or a negative errno */
  attachGroup(group: IommuGroup): number;
  /** Whether attachGroup() has to wait for user space first (5.13: for a vaddr), and that wait: 0 or an errno. */
  readonly attachWaits?: boolean;
  /** Sleeps until attachGroup() can go on. @returns 0 or a negative errno */
  waitToAttach?(): Sleeps<number>;
  /** A group leaves the container: its devices see nothing more of it. */
  detachGroup(group: IommuGroup): void;
  /**
   * A request of the container's fd that the core does not know.
   *
   * @param request the number, of 32 bits
   * @returns 0 or more, or a negative errno
   */
  ioctl(process: Process, request: number, argument: UserArgument): number;
  /** The last group has left: unmaps everything. */
  release(): void;
  /** The container's fd was closed: whoever waits for user space gives up. */
  containerClosed?(): void;

  // For emulated devices. A backend without these answers -ENOTTY.

  /** An emulated device wants to be told of unmaps. */
  addListener?(listener: DmaUnmapListener): void;
  /** An emulated device is no longer told of unmaps. */
  removeListener?(listener: DmaUnmapListener): void;
  /**
   * Pins the pages behind IOVA frames.
   *
   * @param iovaFrames IOVA / 4096, one for each page
   * @param protection bits of IOMMU_READ and IOMMU_WRITE
   * @returns their physical frames, all or none; or a negative errno
   */
  pinPages?(group: IommuGroup, iovaFrames: readonly number[], protection: number): Sleeps<readonly number[] | number>;
  /** Undoes pinPages(). @param iovaFrames IOVA / 4096, one for each page @returns how many were unpinned, or -EINVAL. */
  unpinPages?(iovaFrames: readonly number[]): number;
  /**
   * Copies between `data` and the memory behind `iova` (in bytes), as the CPU. `current` is the calling process, if it is no kernel thread.
   *
   * @returns 0 or a negative errno
   */
  dmaRw?(current: Process | undefined, iova: number, data: Uint8Array, write: boolean): Sleeps<number>;
}

/** A kind of IOMMU driver that a container may choose with VFIO_SET_IOMMU. Vfio has type1 and no-IOMMU. */
export interface IommuBackendKind {
  /** The kernel's name of the driver, such as `vfio-iommu-type1`. */
  readonly name: string;
  /** The backend of containers of no-IOMMU groups; all others are for all others. */
  readonly noiommu?: boolean;
  /** VFIO_CHECK_EXTENSION of a container that has no instance yet. @param extension a number as VFIO_TYPE1v2_IOMMU @returns 1 or 0 */
  checkExtension(extension: number): number;
  /** VFIO_SET_IOMMU: makes an instance. @param type one that checkExtension() knows @returns the instance or a negative errno */
  open(type: number, process: Process): IommuBackend | number;
}
