/**
 * The migration features of VFIO_DEVICE_FEATURE: what a device supports (1), its state (2), how much it has to save (9). Kernel:
 * vfio_ioctl_device_feature_migration(), ..._mig_device_state(), ..._migration_data_size().
 */
import type { KernelProfile } from '../host/profile.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { Device } from '../model/device.ts';
import { WOULD_SLEEP } from '../process/file.ts';
import { O_RDWR } from '../process/flags.ts';
import type { Process } from '../process/process.ts';
import { EINVAL, ENOTTY } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import {
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_MIGRATION_P2P,
  VFIO_MIGRATION_PRE_COPY,
  VFIO_MIGRATION_STOP_COPY,
  vfio_device_feature_mig_data_size,
  vfio_device_feature_mig_state,
  vfio_device_feature_migration,
} from '../uapi/vfio.ts';
import { checkFeature } from '../vfio/feature-check.ts';
import { FEATURE_UNKNOWN, MIGRATION_STATE } from '../vfio/feature-reasons.ts';
import type { FeatureArgument } from '../vfio/feature-argument.ts';
import { migStateOf, type MigrationDriver } from './migration-driver.ts';

const NO_FD = -1;

/** VFIO_MIGRATION_* that a kernel knows. */
function knownFlags({ preCopy }: KernelProfile): number {
  return VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | (preCopy ? VFIO_MIGRATION_PRE_COPY : 0);
}

/**
 * MIGRATION, MIG_DATA_SIZE, and MIG_DEVICE_STATE but for a SET, which sleeps.
 *
 * @param feature one of VFIO_DEVICE_FEATURE_MIG*
 * @param flags GET, SET and PROBE of the call
 */
export function migrationFeature(driver: MigrationDriver, profile: KernelProfile, feature: number, flags: number, data: FeatureArgument): number {
  switch (feature) {
    case VFIO_DEVICE_FEATURE_MIGRATION: {
      const layout = vfio_device_feature_migration;
      const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_GET, layout.size);
      if (go <= 0) return go;
      const out = new Uint8Array(layout.size);
      set(out, layout.flags, driver.flags & knownFlags(profile));
      return data.copyOut(out) ? 0 : data.argument.fault();
    }
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: {
      if (!profile.preCopy) return data.argument.refuse(FEATURE_UNKNOWN, { device: 'this kernel', feature }, ENOTTY);
      const layout = vfio_device_feature_mig_data_size;
      const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_GET, layout.size);
      if (go <= 0) return go;
      const out = new Uint8Array(layout.size);
      set(out, layout.stop_copy_length, driver.stopCopyLength);
      return data.copyOut(out) ? 0 : data.argument.fault();
    }
    default: {
      const layout = vfio_device_feature_mig_state;
      const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET, layout.size);
      if (go <= 0) return go;
      if ((flags & VFIO_DEVICE_FEATURE_SET) !== 0) return WOULD_SLEEP;
      if (data.copyIn(layout.size) === undefined) return data.argument.fault();
      return answer(data, driver.state, NO_FD) ? 0 : data.argument.fault();
    }
  }
}

/** SET of the device state: walks there, and hands a data stream out as an fd. The state told is the one asked for, also on failure. */
export function* setMigrationState(device: Device, driver: MigrationDriver, process: Process, data: FeatureArgument): Sleeps<number> {
  const { argument } = data;
  const { profile } = device.host;
  const bytes = data.copyIn(vfio_device_feature_mig_state.size);
  if (bytes === undefined) return argument.fault();
  const from = driver.state;
  const asked = get(bytes, vfio_device_feature_mig_state.device_state);
  const target = migStateOf(asked);
  const stream = target === undefined ? -EINVAL : yield* driver.setState(target, knownFlags(profile));
  if (typeof stream === 'number') {
    if (!answer(data, asked, NO_FD)) return argument.fault();
    return stream < 0 ? argument.refuse(MIGRATION_STATE, { device: device.name, from, to: asked }, -stream) : 0;
  }
  const fd = process.reserveFd();
  if (fd >= 0 && answer(data, asked, fd)) {
    process.install(stream, O_RDWR, fd);
    return 0;
  }
  if (fd >= 0) process.unreserveFd(fd);
  yield* stream.put();
  return fd < 0 ? fd : argument.fault();
}

function answer(data: FeatureArgument, state: number, fd: number): boolean {
  const out = new Uint8Array(vfio_device_feature_mig_state.size);
  set(out, vfio_device_feature_mig_state.device_state, state);
  set(out, vfio_device_feature_mig_state.data_fd, fd);
  return data.copyOut(out);
}
