import {
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENXIO,
  GroupFile,
  VFIO_DMA_CC_IOMMU,
  externalCheckExtension,
  getExternalUser,
  putExternalUser,
  vfioFileEnforcedCoherent,
  vfioFileSetKvm,
  type Host,
  type Process,
  type Refusals,
  removeItem,
} from '@vsim/vfio-core';
import { KVM_VFIO_GROUP } from './vm-reasons.ts';
import { KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, KVM_DEV_VFIO_GROUP_DEL } from './uapi.ts';

/** A VM as the groups that serve it know it. */
interface ServedVm {
  readonly host: Host;
  readonly refusals: Refusals;
}

/**
 * The kvm-vfio device: a VMM tells KVM which VFIO groups its VM uses, and VFIO which VM they serve. Kernel: virt/kvm/vfio.c;
 * Documentation/virt/kvm/devices/vfio.rst.
 *
 * Modelled: groups. Not modelled: SPAPR TCE, which is -ENXIO as on every machine that is no POWER, and device fds of iommufd.
 */
export class KvmVfio {
  readonly #vm: ServedVm;
  readonly #files: GroupFile[] = [];

  /** By KvmVm.createVfio(). @internal */
  constructor(vm: ServedVm) {
    this.#vm = vm;
  }

  /** The groups' files, in the order in which they were added. */
  get files(): readonly GroupFile[] {
    return this.#files;
  }

  /** Some group's DMA does not snoop CPU caches. KVM/arm64 does nothing about it: guests there maintain caches themselves. */
  get noncoherent(): boolean {
    const coherent = this.#byFile ? vfioFileEnforcedCoherent : (file: GroupFile): boolean => externalCheckExtension(file.group, VFIO_DMA_CC_IOMMU) > 0;
    return this.#files.some((file) => !coherent(file));
  }

  /**
   * KVM_HAS_DEVICE_ATTR.
   *
   * @param group KVM_DEV_VFIO_GROUP
   * @param attr KVM_DEV_VFIO_GROUP_*
   * @returns 0, or -ENXIO for an attribute that there is not
   */
  hasAttr(group: number, attr: number): number {
    return isAttribute(group, attr) ? 0 : this.#refuse(-1, attr, ENXIO);
  }

  /**
   * KVM_SET_DEVICE_ATTR.
   *
   * @param group KVM_DEV_VFIO_GROUP
   * @param attr KVM_DEV_VFIO_GROUP_ADD or KVM_DEV_VFIO_GROUP_DEL
   * @param fd of a VFIO group in `process`; undefined when it cannot be read from the caller's memory
   * @returns 0; -ENXIO for an attribute that there is not, -EFAULT, -EBADF, -EINVAL for a file that is no group (before 5.19 also for one
   * without container, or not viable; -EPERM without IOMMU), -EEXIST and -ENOENT
   */
  setAttr(process: Process, group: number, attr: number, fd: number | undefined): number {
    if (!isAttribute(group, attr)) return this.#refuse(fd ?? -1, attr, ENXIO);
    if (fd === undefined) return this.#refuse(-1, attr, EFAULT);
    const file = process.file(fd);
    if (file === undefined) return this.#refuse(fd, attr, EBADF);
    const errno = attr === KVM_DEV_VFIO_GROUP_ADD ? this.#add(file) : this.#delete(file);
    return errno === 0 ? 0 : this.#refuse(fd, attr, errno);
  }

  /** The VM goes: groups serve nobody, and whoever held them only by this device is closed. */
  destroy(): void {
    for (const file of [...this.#files]) this.#release(file);
  }

  /** Since 5.19 KVM holds the group's file; before, it was a user of the group's container. */
  get #byFile(): boolean {
    return this.#vm.host.profile.dmaOwnership;
  }

  #refuse(fd: number, attr: number, errno: number): number {
    return this.#vm.refusals.refuse(KVM_VFIO_GROUP, { fd, attr }, errno);
  }

  /** @returns 0 or a positive errno */
  #add(file: object): number {
    if (!(file instanceof GroupFile)) return EINVAL;
    if (this.#files.includes(file)) return EEXIST;
    if (this.#byFile) {
      file.get();
    } else {
      const held = getExternalUser(file);
      if (typeof held === 'number') return -held;
    }
    this.#files.push(file);
    vfioFileSetKvm(file, this.#vm);
    return 0;
  }

  #delete(file: object): number {
    const held = this.#files.find((other) => other === file);
    if (held === undefined) return ENOENT;
    this.#release(held);
    return 0;
  }

  #release(file: GroupFile): void {
    removeItem(this.#files, file);
    vfioFileSetKvm(file, undefined);
    if (this.#byFile) this.#vm.host.scheduler.call('kvm-vfio fput', file.put());
    else putExternalUser(file.group);
  }
}

function isAttribute(group: number, attr: number): boolean {
  return group === KVM_DEV_VFIO_GROUP && (attr === KVM_DEV_VFIO_GROUP_ADD || attr === KVM_DEV_VFIO_GROUP_DEL);
}
