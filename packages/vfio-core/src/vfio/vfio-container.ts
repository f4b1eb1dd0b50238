import type { Host } from '../host/host.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { removeItem } from '../memory/list.ts';
import { File, type MmapRequest } from '../process/file.ts';
import { NO_OPERATION } from '../process/process-reasons.ts';
import type { Mapping } from '../process/mm.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EINVAL, ENODEV } from '../uapi/errno.ts';
import { VFIO_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_GET_API_VERSION, VFIO_SET_IOMMU, requestName } from '../uapi/vfio.ts';
import type { IommuBackend, IommuBackendKind } from './iommu-backend.ts';
import { CONTAINER_NOT_SET, NOIOMMU_ALONE, SET_IOMMU_ORDER, SET_IOMMU_TYPE } from './vfio-reasons.ts';

/** The module as a container knows it: where it is listed, and the IOMMU drivers that it may choose of. */
export interface ContainerModule {
  /** The host whose kernel has it. */
  readonly host: Host;
  /** All containers that are open. */
  readonly containers: Set<VfioContainer>;
  /** The IOMMU drivers, in the order in which they are asked. */
  readonly backends: readonly IommuBackendKind[];
}

/** A group as a container knows it. */
export interface ContainedGroup {
  /** As in /dev/vfio. */
  readonly name: string;
  /** What its IOMMU driver attaches. */
  readonly iommuGroup: IommuGroup;
}

/**
 * A container: groups that share one IOMMU context. Each open of /dev/vfio/vfio makes one. Kernel: struct vfio_container.
 *
 * Its fd holds one reference and each group in it another, so that either may go first.
 */
export class VfioContainer {
  /** The module that it belongs to. */
  readonly vfio: ContainerModule;
  readonly #groups: ContainedGroup[] = [];
  #backend: IommuBackend | undefined;
  #references = 1;

  /** Made by an open of /dev/vfio/vfio. */
  constructor(vfio: ContainerModule) {
    this.vfio = vfio;
    vfio.containers.add(this);
  }

  /** Its groups, in the order in which they joined. */
  get groups(): readonly ContainedGroup[] {
    return this.#groups;
  }

  /** The instance of an IOMMU driver: from VFIO_SET_IOMMU until the last group leaves. */
  get backend(): IommuBackend | undefined {
    return this.#backend;
  }

  /** Whether groups without IOMMU are in it; then no other may be. */
  get noiommu(): boolean {
    return this.#groups[0]?.iommuGroup.kind === 'noiommu';
  }

  /** One of the fd, and one of each group. */
  get references(): number {
    return this.#references;
  }

  /** Whether a group may join, by its kind. @returns 0; -EPERM if `group` and those inside are not all with or all without an IOMMU */
  admits(group: ContainedGroup): number {
    const noiommu = group.iommuGroup.kind === 'noiommu';
    return this.#groups.length > 0 && this.noiommu !== noiommu ? this.vfio.host.refusals.refuse(NOIOMMU_ALONE, { group: group.name }) : 0;
  }

  /** A group joins: the backend attaches it, if there is one. @returns 0 or the backend's errno */
  attachGroup(group: ContainedGroup): number {
    const error = this.#backend?.attachGroup(group.iommuGroup) ?? 0;
    if (error < 0) return error;
    this.#groups.push(group);
    this.#references += 1;
    return 0;
  }

  /** A group leaves; with the last one the backend goes, and all mappings with it. */
  detachGroup(group: ContainedGroup): void {
    this.#backend?.detachGroup(group.iommuGroup);
    removeItem(this.#groups, group);
    if (this.#groups.length === 0) {
      this.#backend?.release();
      this.#backend = undefined;
    }
    this.put();
  }

  /** Drops a reference; with the last one the container is gone. */
  put(): void {
    this.#references -= 1;
    if (this.#references === 0) this.vfio.containers.delete(this);
  }

  /**
   * VFIO_CHECK_EXTENSION: without backend the first kind that knows it answers.
   *
   * @param extension a number as VFIO_TYPE1v2_IOMMU
   * @returns 1 or 0
   */
  checkExtension(extension: number): number {
    if (this.#backend !== undefined) return this.#backend.checkExtension(extension);
    for (const kind of this.vfio.backends) {
      if (this.#groups.length > 0 && this.noiommu !== (kind.noiommu === true)) continue;
      const answer = kind.checkExtension(extension);
      if (answer > 0) return answer;
    }
    return 0;
  }

  /**
   * VFIO_SET_IOMMU: tries each kind of backend that knows the type; the last error is what remains.
   *
   * @param type a number as VFIO_TYPE1v2_IOMMU
   * @returns 0; -EINVAL without groups, or if it was set before; -ENODEV for a type that no backend knows; or what the backend answers
   */
  setIommu(process: Process, type: number): number {
    const { refusals } = this.vfio.host;
    if (this.#groups.length === 0 || this.#backend !== undefined) {
      return refusals.refuse(SET_IOMMU_ORDER, { groups: this.#groups.length, set: this.#backend !== undefined });
    }
    let error = 0;
    for (const kind of this.vfio.backends) {
      if (this.noiommu !== (kind.noiommu === true) || kind.checkExtension(type) <= 0) continue;
      const opened = this.#open(kind, type, process);
      if (typeof opened !== 'number') {
        this.#backend = opened;
        return 0;
      }
      error = opened;
    }
    return error < 0 ? error : refusals.refuse(SET_IOMMU_TYPE, { type });
  }

  /** A backend with all groups attached, or the errno after detaching them again in reverse. */
  #open(kind: IommuBackendKind, type: number, process: Process): IommuBackend | number {
    const backend = kind.open(type, process);
    if (typeof backend === 'number') return backend;
    for (let i = 0; i < this.#groups.length; i += 1) {
      const error = backend.attachGroup(this.#groups[i]!.iommuGroup);
      if (error === 0) continue;
      for (let done = i - 1; done >= 0; done -= 1) backend.detachGroup(this.#groups[done]!.iommuGroup);
      backend.release();
      return error;
    }
    return backend;
  }
}

/** The fd of a container. Kernel: vfio_fops. */
export class ContainerFile extends File {
  /** The path of the node. */
  override readonly label: string = '/dev/vfio/vfio';
  /** The container, which this open has made. */
  readonly container: VfioContainer;

  constructor(container: VfioContainer) {
    super();
    this.container = container;
  }

  /** The names of a container's requests, those of its IOMMU included. @param request the number, of 32 bits */
  override requestName(request: number): string | undefined {
    return requestName(request, 'VFIO_IOMMU_', 'VFIO_GET_', 'VFIO_CHECK_', 'VFIO_SET_');
  }

  /**
   * vfio_fops_unl_ioctl().
   *
   * @param request VFIO_GET_API_VERSION, VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU, or one of the backend's
   * @returns 0 or more; -EINVAL for others without backend, or what the backend answers
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
      case VFIO_CHECK_EXTENSION:
        return this.container.checkExtension(argument.value);
      case VFIO_SET_IOMMU:
        return this.container.setIommu(process, argument.value);
      default:
        return this.container.backend === undefined ? argument.refuse(CONTAINER_NOT_SET, { request: argument.request }) : this.container.backend.ioctl(process, request, argument);
    }
  }

  /** A container cannot be mapped: -EINVAL, or -ENODEV as profile.containerMmap says. */
  override mmap(_process: Process, _request: MmapRequest): Mapping | number {
    const errno = this.container.vfio.host.profile.containerMmap === 'EINVAL' ? EINVAL : ENODEV;
    return this.refuse(NO_OPERATION, { file: this.label, operation: 'mmap' }, errno);
  }

  /** vfio_fops_release(): drops the reference of the fd. */
  protected override *release(): Sleeps<void> {
    this.container.backend?.containerClosed?.();
    this.container.put();
  }
}
