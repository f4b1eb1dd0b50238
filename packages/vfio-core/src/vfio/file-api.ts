/** What KVM asks about a VFIO file since 5.19: vfio_file_*(). */
import type { File } from '../process/file.ts';
import { VFIO_DMA_CC_IOMMU } from '../uapi/vfio.ts';
import { VfioDeviceFile } from './device-file.ts';
import { GroupFile } from './group-file.ts';
import type { VfioDevice } from './vfio-device.ts';

/** vfio_file_is_group(): whether the file is a group's. */
export function vfioFileIsGroup(file: File): file is GroupFile {
  return file instanceof GroupFile;
}

/** vfio_file_enforced_coherent(): whether the VM need not emulate WBINVD; true for anything that is no group. */
export function vfioFileEnforcedCoherent(file: File): boolean {
  if (!(file instanceof GroupFile)) return true;
  const { container } = file.group;
  // Without a backend the answer is that of the module, which knows no domain.
  return container !== undefined && container.checkExtension(VFIO_DMA_CC_IOMMU) > 0;
}

/** vfio_file_has_dev(): whether the file is that of the device's group. */
export function vfioFileHasDevice(file: File, device: VfioDevice): boolean {
  return file instanceof GroupFile && file.group === device.group;
}

/** vfio_file_set_kvm(): the VM that the group's devices serve, undefined to forget it. */
export function vfioFileSetKvm(file: File, kvm: object | undefined): void {
  if (file instanceof GroupFile) file.group.setKvm(kvm);
}

/** The VFIO device behind an fd's file. */
export function vfioDeviceOfFile(file: File): VfioDevice | undefined {
  return file instanceof VfioDeviceFile ? file.device : undefined;
}
