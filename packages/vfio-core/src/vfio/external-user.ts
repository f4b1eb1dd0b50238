/**
 * Users of a group inside the kernel, as 5.13 knows them: KVM and mdev parents hold a group by its file or by a device in it. Later kernels
 * replaced them by the functions of file-api.ts.
 */
import type { Device } from '../model/device.ts';
import type { File } from '../process/file.ts';
import { EINVAL, ENODEV } from '../uapi/errno.ts';
import { GroupFile } from './group-file.ts';
import type { VfioGroup } from './vfio-group.ts';
import type { Vfio } from './vfio.ts';

/**
 * vfio_group_get_external_user(): a user inside the kernel, by the group's file.
 *
 * @returns the group, held until putExternalUser(); -EINVAL for another file, and for a group without container, without IOMMU backend or
 * not viable; -EPERM for one without IOMMU
 */
export function getExternalUser(file: File): VfioGroup | number {
  return file instanceof GroupFile ? hold(file.group) : -EINVAL;
}

/**
 * vfio_group_get_external_user_from_dev(): a user inside the kernel, by a device.
 *
 * @returns as getExternalUser(); -ENODEV for a device without VFIO group
 */
export function getExternalUserFromDevice(vfio: Vfio, device: Device): VfioGroup | number {
  const group = groupOf(vfio, device);
  return group === undefined ? -ENODEV : hold(group);
}

/** vfio_group_put_external_user(): may take the group out of its container. */
export function putExternalUser(group: VfioGroup): void {
  group.dropContainerUser();
  group.put();
}

/** vfio_external_group_match_file(): whether the file is the group's. */
export function externalGroupMatchFile(group: VfioGroup, file: File): boolean {
  return file instanceof GroupFile && file.group === group;
}

/** vfio_external_user_iommu_id(): the number of the IOMMU group, as in /dev/vfio/N. */
export function externalUserIommuId(group: VfioGroup): number {
  return group.iommuGroup.id;
}

/**
 * vfio_external_check_extension(): as the container answers, 0 without one.
 *
 * @param extension one of VFIO_TYPE1_IOMMU and what can be asked as it can
 */
export function externalCheckExtension(group: VfioGroup, extension: number): number {
  return group.container?.checkExtension(extension) ?? 0;
}

/** vfio_group_get_from_dev(), without its reference: the VFIO group of a device. */
export function groupOf(vfio: Vfio, device: Device): VfioGroup | undefined {
  return vfio.groups.find(({ iommuGroup }) => iommuGroup === device.iommuGroup);
}

function hold(group: VfioGroup): VfioGroup | number {
  const error = group.addContainerUser();
  if (error < 0) return error;
  group.get();
  return group;
}
