/**
 * Pages of user space for emulated devices: vfio_pin_pages(), vfio_unpin_pages(), vfio_dma_rw(), and the notifiers of 5.13.
 *
 * Pages are named by their IOVA frames in every profile. 6.1 takes one address and a count, which is a run of frames.
 */
import { InvariantError } from '../host/errors.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { Device } from '../model/device.ts';
import type { Process } from '../process/process.ts';
import { E2BIG, EINVAL, ENODEV, ENOTTY } from '../uapi/errno.ts';
import { getExternalUserFromDevice, groupOf, putExternalUser } from './external-user.ts';
import type { DmaUnmapListener, IommuBackend } from './iommu-backend.ts';
import type { VfioDevice } from './vfio-device.ts';
import type { VfioGroup } from './vfio-group.ts';
import type { Vfio } from './vfio.ts';

/** VFIO_PIN_PAGES_MAX_ENTRIES: one page of frame numbers. */
export const MAX_PINNED_AT_ONCE = 512;

/** VFIO_IOMMU_NOTIFY and VFIO_GROUP_NOTIFY of vfio_register_notifier(). */
export type NotifierType = 'iommu' | 'group';
/** The one event of either type: VFIO_IOMMU_NOTIFY_DMA_UNMAP, VFIO_GROUP_NOTIFY_SET_KVM. */
export const NOTIFIER_EVENT = 1;

/**
 * vfio_pin_pages(), for a driver of an emulated device: pins pages of user space. `protection` has IOMMU_READ, IOMMU_WRITE; `iovaFrames`
 * are IOVA / 4096, at most 512.
 *
 * @returns the physical frames, all pinned; -EINVAL for no frames, or for a device that is not open or (5.13) not alone in its group;
 * -E2BIG, -ENODEV without group, -ENOTTY without backend, or what type1 answers
 */
export function* pinPages(device: VfioDevice, iovaFrames: readonly number[], protection: number): Sleeps<readonly number[] | number> {
  if (iovaFrames.length === 0) return -EINVAL;
  const user = begin(device, iovaFrames.length, true);
  if (typeof user === 'number') return user;
  const { backend, group } = user;
  const pinned = backend.pinPages === undefined ? -ENOTTY : yield* backend.pinPages(group.iommuGroup, iovaFrames, protection);
  user.end();
  return pinned;
}

/**
 * vfio_unpin_pages(): undoes pinPages().
 *
 * @returns how many were unpinned, up to the first that is not mapped; -EINVAL, -E2BIG, -ENODEV, -ENOTTY as pinPages()
 */
export function unpinPages(device: VfioDevice, iovaFrames: readonly number[]): number {
  if (iovaFrames.length === 0) return -EINVAL;
  const user = begin(device, iovaFrames.length, false);
  if (typeof user === 'number') return user;
  const unpinned = user.backend.unpinPages?.(iovaFrames) ?? -ENOTTY;
  user.end();
  return unpinned;
}

/**
 * vfio_dma_rw(), for a driver of an emulated device: copies between `data` and memory of user space. `iova` is in bytes. `current` is the
 * process in whose system call this runs, undefined in a kernel thread.
 *
 * @returns 0; -EINVAL, -ENODEV, -ENOTTY as pinPages(), or what type1 answers
 */
export function* dmaRw(device: VfioDevice, current: Process | undefined, iova: number, data: Uint8Array, write: boolean): Sleeps<number> {
  if (data.length === 0) return -EINVAL;
  const user = begin(device, 1, false);
  if (typeof user === 'number') return user;
  const result = user.backend.dmaRw === undefined ? -ENOTTY : yield* user.backend.dmaRw(current, iova, data, write);
  user.end();
  return result;
}

interface User {
  readonly group: VfioGroup;
  readonly backend: IommuBackend;
  end(): void;
}

/** The checks that a kernel makes before it asks the backend, and what it holds meanwhile. */
function begin(device: VfioDevice, count: number, pins: boolean): User | number {
  if (device.device.host.profile.emulatedDevicesPin) {
    const { group } = device;
    // The container cannot change while the device is open.
    if (device.openCount === 0 || group === undefined) return -EINVAL;
    if (count > MAX_PINNED_AT_ONCE) return -E2BIG;
    const backend = group.container?.backend;
    return backend === undefined ? -ENOTTY : { group, backend, end: () => undefined };
  }
  if (count > MAX_PINNED_AT_ONCE) return -E2BIG;
  const group = groupOf(device.vfio, device.device);
  if (group === undefined) return -ENODEV;
  // Dirty tracking would blame the whole group for what one of its devices pins.
  if (pins && group.devices.length > 1) return -EINVAL;
  const error = group.addContainerUser();
  if (error < 0) return error;
  const backend = group.container?.backend;
  if (backend === undefined) throw new InvariantError('a user of a container that has no backend');
  return { group, backend, end: () => group.dropContainerUser() };
}

/**
 * vfio_register_notifier() of 5.13. The IOMMU notifier is told of unmaps, the group notifier of the group's VM, at once if it
 * has one. `events` is a mask of NOTIFIER_EVENT.
 *
 * @returns what ends it, or -EINVAL, -ENODEV.
 */
export function registerNotifier(
  vfio: Vfio,
  device: Device,
  type: NotifierType,
  events: number,
  listener: DmaUnmapListener | ((kvm: object | undefined) => void),
): (() => void) | number {
  if (events === 0) return -EINVAL;
  const group = groupOf(vfio, device);
  if (group === undefined) return -ENODEV;
  if (events !== NOTIFIER_EVENT) return -EINVAL;
  if (type === 'group') return typeof listener === 'function' ? group.listenKvm(listener) : -EINVAL;
  if (typeof listener === 'function') return -EINVAL;
  const held = getExternalUserFromDevice(vfio, device);
  if (typeof held === 'number') return -EINVAL;
  const backend = held.container?.backend;
  backend?.addListener?.(listener);
  putExternalUser(held);
  return () => backend?.removeListener?.(listener);
}
