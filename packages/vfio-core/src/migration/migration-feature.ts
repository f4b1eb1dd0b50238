/** The migration features of VFIO_DEVICE_FEATURE: what a device supports (1), and its state (2). */
import type { Sleeps } from '../host/scheduler.ts';
import { WOULD_SLEEP } from '../process/file.ts';
import { O_RDWR, type Process } from '../process/process.ts';
import { EFAULT, EINVAL } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_SET,
  vfio_device_feature_mig_state,
  vfio_device_feature_migration,
} from '../uapi/vfio.ts';
import { checkFeature } from '../vfio/device-feature.ts';
import type { FeatureArgument } from '../vfio/vfio-device.ts';
import { migStateOf, type MigrationDriver } from './migration-driver.ts';

const NO_FD = -1;

export function migrationFeature(driver: MigrationDriver, feature: number, flags: number, data: FeatureArgument): number {
  if (feature === VFIO_DEVICE_FEATURE_MIGRATION) {
    const go = checkFeature(flags, data.length, VFIO_DEVICE_FEATURE_GET, vfio_device_feature_migration.size);
    if (go <= 0) return go;
    const out = new Uint8Array(vfio_device_feature_migration.size);
    set(out, vfio_device_feature_migration.flags, driver.flags);
    return data.copyOut(out) ? 0 : -EFAULT;
  }
  const both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
  const go = checkFeature(flags, data.length, both, vfio_device_feature_mig_state.size);
  if (go <= 0) return go;
  if ((flags & VFIO_DEVICE_FEATURE_SET) !== 0) return WOULD_SLEEP;
  return answer(data, driver.state, NO_FD);
}

/** SET of the device state: walks there, and hands a data stream out as an fd. */
export function* setMigrationState(driver: MigrationDriver, process: Process, data: FeatureArgument): Sleeps<number> {
  const bytes = data.copyIn(vfio_device_feature_mig_state.size);
  if (bytes === undefined) return -EFAULT;
  const target = migStateOf(get(bytes, vfio_device_feature_mig_state.device_state));
  if (target === undefined) return -EINVAL;
  const fd = process.reserveFd();
  if (fd < 0) return fd;
  const stream = yield* driver.setState(target);
  if (typeof stream === 'number') {
    process.unreserveFd(fd);
    const told = answer(data, driver.state, NO_FD);
    return stream < 0 ? stream : told;
  }
  return answer(data, driver.state, process.install(stream, O_RDWR, fd));
}

function answer(data: FeatureArgument, state: number, fd: number): number {
  const out = new Uint8Array(vfio_device_feature_mig_state.size);
  set(out, vfio_device_feature_mig_state.device_state, state);
  set(out, vfio_device_feature_mig_state.data_fd, fd);
  return data.copyOut(out) ? 0 : -EFAULT;
}
