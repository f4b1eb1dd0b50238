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
  override readonly name: string;
  override readonly moduleName: string;
  override readonly managesDma: boolean = true;

  constructor(parent: MdevParent) {
    super();
    this.name = parent.driverName;
    this.moduleName = parent.driverName;
  }

  override match(): boolean {
    return false;
  }

  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION) || mdev.instantiate();
    if (refused < 0) return refused;
    const error = yield* register(mdev, mdev.instance);
    if (error < 0) mdev.dispose();
    else mdev.addVendor();
    return error;
  }

  override *remove(mdev: MdevDevice): Sleeps<void> {
    mdev.removeVendor();
    yield* unregister(mdev);
    mdev.dispose();
  }
}

/** vfio_mdev of 5.13: at each bind it allocates a device that stands before the one which the parent made at creation. */
export class VfioMdevDriver extends Driver<MdevDevice> {
  override readonly name: string = 'vfio_mdev';
  override readonly moduleName: string = 'vfio_mdev';
  override readonly managesDma: boolean = true;

  override match(): boolean {
    return true;
  }

  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION);
    if (refused < 0) return refused;
    const device = mdev.instance === undefined ? undefined : new VfioMdevDevice(mdev, mdev.instance);
    const error = yield* register(mdev, device);
    if (error < 0) device?.free();
    return error;
  }

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
