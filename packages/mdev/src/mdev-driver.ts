/**
 * The driver of mediated devices. 5.13 has one for all parents, vfio_mdev, which matches every mdev; since 5.14 each parent has its own,
 * which is attached at creation and matches nothing in sysfs. Kernel: vfio_mdev.c; struct mdev_driver.
 */
import { Driver, EINVAL, ENOMEM, type FaultPoint, type Sleeps, type VfioDevice } from '@vsim/vfio-core';
import { NO_INSTANCE } from './mdev-reasons.ts';
import type { MdevDevice } from './mdev-device.ts';
import type { MdevParent } from './mdev-parent.ts';
import { VfioMdevDevice } from './vfio-mdev-device.ts';

/** The probe has no memory for the VFIO device. */
export const VFIO_DEVICE_ALLOCATION: FaultPoint = { fault: 'mdev/vfio-device-allocation', error: ENOMEM };

/** A parent's own driver: the VFIO device lives from probe to remove. */
export class MdevDriver extends Driver<MdevDevice> {
  /** The parent's name. */
  override readonly name: string;
  /** The module whose users are counted: the parent's. */
  override readonly moduleName: string;
  /** It does no DMA of its own, and may bind while user space owns the group. Kernel: driver_managed_dma. */
  override readonly managesDma: boolean = true;

  /** The driver of one parent's devices. */
  constructor(parent: MdevParent) {
    super();
    this.name = parent.driverName;
    this.moduleName = parent.driverName;
  }

  /** Never: the bus attaches it at creation, and sysfs can bind it to nothing. */
  override match(): boolean {
    return false;
  }

  /**
   * Has the parent make the VFIO device, and registers it.
   *
   * @returns 0 or a negative errno: -ENOMEM for VFIO_DEVICE_ALLOCATION, the parent's, or that of registering
   */
  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION) || mdev.instantiate();
    if (refused < 0) return refused;
    const error = yield* register(mdev, mdev.instance);
    if (error < 0) mdev.dispose();
    else mdev.addVendor();
    return error;
  }

  /** Unregisters the VFIO device, which waits for its user, and gives it back to the parent. */
  override *remove(mdev: MdevDevice): Sleeps<void> {
    mdev.removeVendor();
    yield* unregister(mdev);
    mdev.dispose();
  }
}

/** vfio_mdev of 5.13: at each bind it allocates a device that stands before the one which the parent made at creation. */
export class VfioMdevDriver extends Driver<MdevDevice> {
  /** As in /sys/bus/mdev/drivers. */
  override readonly name: string = 'vfio_mdev';
  /** The module whose users are counted. */
  override readonly moduleName: string = 'vfio_mdev';
  /** It does no DMA of its own, and may bind while user space owns the group. Kernel: driver_managed_dma. */
  override readonly managesDma: boolean = true;

  /** Always: it serves the devices of all parents. */
  override match(): boolean {
    return true;
  }

  /**
   * Allocates a device before the parent's, and registers it.
   *
   * @returns 0 or a negative errno: -ENOMEM for VFIO_DEVICE_ALLOCATION, -EINVAL without an instance, or that of registering
   */
  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION);
    if (refused < 0) return refused;
    const device = mdev.instance === undefined ? undefined : new VfioMdevDevice(mdev, mdev.instance);
    const error = yield* register(mdev, device);
    if (error < 0) device?.free();
    return error;
  }

  /** Unregisters the device that probe() made, which waits for its user; the parent's stays. */
  override *remove(mdev: MdevDevice): Sleeps<void> {
    const device = mdev.vfioDevice;
    yield* unregister(mdev);
    device?.free();
  }
}

/** drvdata is set once the device is registered. @returns 0 or a negative errno */
function* register(mdev: MdevDevice, device: VfioDevice | undefined): Sleeps<number> {
  if (device === undefined) return mdev.host.refusals.refuse(NO_INSTANCE, { uuid: mdev.name }, EINVAL);
  const error = yield* device.registerEmulated();
  if (error === 0) mdev.vfioDevice = device;
  return error;
}

function* unregister(mdev: MdevDevice): Sleeps<void> {
  yield* mdev.vfioDevice?.unregister() ?? [];
  mdev.vfioDevice = undefined;
}
