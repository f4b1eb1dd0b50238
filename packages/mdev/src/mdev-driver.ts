/**
 * The driver of mediated devices. 5.13 has one for all parents, vfio_mdev, which matches every mdev; since 5.14 each parent has its own,
 * which is attached at creation and matches nothing in sysfs. Kernel: vfio_mdev.c; struct mdev_driver.
 */
import { Driver, EINVAL, ENOMEM, eventKind, type EventKind, type FaultPoint, type Sleeps } from '@vsim/vfio-core';
import type { MdevDevice } from './mdev-device.ts';
import type { MdevParent } from './mdev-parent.ts';

/** The probe has no memory for the VFIO device. */
export const VFIO_DEVICE_ALLOCATION: FaultPoint = { fault: 'mdev/vfio-device-allocation', error: ENOMEM };

/** 5.13: an unbind waits for the user, whom nobody can ask. Told once. */
export const NOT_ASKED: EventKind<{ readonly device: string }> = eventKind(
  'mdev/not-asked',
  'info',
  ({ device }) => `${device}: its parent cannot ask the user for it: blocked until it is released`,
);

/** A parent's own driver: the VFIO device lives from probe to remove. */
export class MdevDriver extends Driver<MdevDevice> {
  override readonly name: string;
  override readonly managesDma: boolean = true;

  constructor(parent: MdevParent) {
    super();
    this.name = parent.driverName;
  }

  override match(): boolean {
    return false;
  }

  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION) || mdev.instantiate();
    if (refused < 0) return refused;
    const error = (yield* mdev.vfioDevice?.registerEmulated() ?? []) ?? -EINVAL;
    if (error < 0) mdev.dispose();
    return error;
  }

  override *remove(mdev: MdevDevice): Sleeps<void> {
    yield* mdev.vfioDevice?.unregister() ?? [];
    mdev.dispose();
  }
}

/** vfio_mdev of 5.13: what the parent made at creation is registered while the driver is bound. */
export class VfioMdevDriver extends Driver<MdevDevice> {
  override readonly name: string = 'vfio_mdev';
  override readonly managesDma: boolean = true;

  override match(): boolean {
    return true;
  }

  override *probe(mdev: MdevDevice): Sleeps<number> {
    const refused = mdev.host.faults.at(VFIO_DEVICE_ALLOCATION);
    return refused < 0 ? refused : ((yield* mdev.vfioDevice?.registerEmulated() ?? []) ?? -EINVAL);
  }

  override *remove(mdev: MdevDevice): Sleeps<void> {
    const { vfioDevice, parent, host } = mdev;
    if (vfioDevice === undefined) return;
    if (vfioDevice.openCount > 0 && !parent.asksUser) host.trace.emit(NOT_ASKED, { device: mdev.name });
    yield* vfioDevice.unregister();
  }
}
