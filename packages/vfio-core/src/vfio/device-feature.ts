import type { Sleeps } from '../host/scheduler.ts';
import { MIG_STATE, type MigrationDriver } from '../migration/migration-driver.ts';
import { migrationFeature, setMigrationState } from '../migration/migration-feature.ts';
import type { Device } from '../model/device.ts';
import { WOULD_SLEEP } from '../process/file.ts';
import type { Process } from '../process/process.ts';
import type { UserArgument } from '../process/user-argument.ts';
import { EINVAL } from '../uapi/errno.ts';
import { get } from '../uapi/struct.ts';
import {
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MASK,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  vfio_device_feature,
} from '../uapi/vfio.ts';
import { dmaLoggingFeature, type DmaLogger } from './dma-logging.ts';
import type { FeatureArgument } from './feature-argument.ts';
import { checkFeature, noFeature } from './feature-check.ts';
import { FEATURE_FLAGS } from './feature-reasons.ts';

const OPERATIONS = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE;
const HEADER = vfio_device_feature.size;

/** A VFIO device as its features know it: those of the core, and what its driver adds. */
export interface FeatureDevice {
  /** As the bus has it. */
  readonly name: string;
  /** The device on its bus. */
  readonly device: Device;
  /** Migration (v2), where the device can. */
  readonly migration: MigrationDriver | undefined;
  /** A log of the pages that the device writes, where it keeps one. */
  readonly dmaLogger: DmaLogger | undefined;
  /** A feature of the driver's own. @param feature its number, 16 bits @param flags GET, SET and PROBE of the call */
  deviceFeature(process: Process, feature: number, flags: number, argument: FeatureArgument): number;
}

interface Request {
  readonly feature: number;
  readonly flags: number;
  readonly data: FeatureArgument;
}

/** The header, and what of it is wrong for every feature: -EFAULT, -EINVAL. */
function parse(argument: UserArgument): Request | number {
  const header = argument.copyIn(HEADER);
  if (header === undefined) return argument.fault();
  const argsz = get(header, vfio_device_feature.argsz);
  const flags = get(header, vfio_device_feature.flags);
  if (argsz < HEADER) return argument.tooShort(argsz, HEADER);
  if ((flags & ~(VFIO_DEVICE_FEATURE_MASK | OPERATIONS)) !== 0) return argument.refuse(FEATURE_FLAGS, { flags });
  const both = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
  if ((flags & VFIO_DEVICE_FEATURE_PROBE) === 0 && (flags & both) === both) return argument.refuse(FEATURE_FLAGS, { flags });
  const data: FeatureArgument = {
    argument,
    flags,
    length: argsz - HEADER,
    copyIn: (length, offset = 0) => argument.copyIn(length, HEADER + offset),
    copyOut: (bytes) => argument.copyOut(bytes, HEADER),
  };
  return { feature: flags & VFIO_DEVICE_FEATURE_MASK, flags: flags & OPERATIONS, data };
}

/**
 * VFIO_DEVICE_FEATURE as the core parses it since 5.18; what the core does not know goes to the device's deviceFeature(). Kernel:
 * vfio_ioctl_device_feature(), vfio_check_feature().
 *
 * @returns 0 or more; -EFAULT, -EINVAL for flags or a length that do not fit, -ENOTTY for a feature that the device lacks, or what the
 * driver answers; WOULD_SLEEP for a change of the migration state
 */
export function deviceFeature(device: FeatureDevice, process: Process, argument: UserArgument): number {
  const request = parse(argument);
  if (typeof request === 'number') return request;
  const { feature, flags, data } = request;
  const { profile } = device.device.host;
  switch (feature) {
    case VFIO_DEVICE_FEATURE_MIGRATION:
    case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
    case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: {
      const driver = device.migration;
      return driver === undefined ? noFeature(device, feature, data) : migrationFeature(driver, profile, feature, flags, data);
    }
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
    case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: {
      const logger = device.dmaLogger;
      return logger === undefined ? noFeature(device, feature, data) : dmaLoggingFeature(logger, process, feature, flags, data);
    }
    case VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
      return profile.preCopyInfo2 ? preCopyInfo2(device, flags, data) : device.deviceFeature(process, feature, flags, data);
    default:
      return device.deviceFeature(process, feature, flags, data);
  }
}

/** MIG_PRECOPY_INFOv2: the kernel asks for PRE_COPY before it looks at the operation. */
function preCopyInfo2(device: FeatureDevice, flags: number, data: FeatureArgument): number {
  const driver = device.migration;
  if (driver?.supports(MIG_STATE.PRE_COPY) !== true) return noFeature(device, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, data, EINVAL);
  const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, 0);
  if (go <= 0) return go;
  driver.preCopyInfo2 = true;
  return 0;
}

/**
 * VFIO_DEVICE_FEATURE in a thread, where deviceFeature() has answered WOULD_SLEEP: the one feature that sleeps is a change of the migration
 * state.
 *
 * @returns as deviceFeature(), never WOULD_SLEEP
 */
export function* deviceFeatureSleeps(device: FeatureDevice, process: Process, argument: UserArgument): Sleeps<number> {
  const request = parse(argument);
  if (typeof request === 'number') return request;
  const driver = device.migration;
  if (driver === undefined) return deviceFeature(device, process, argument);
  if (request.feature !== VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE) return deviceFeature(device, process, argument);
  const { profile } = device.device.host;
  const plain = migrationFeature(driver, profile, request.feature, request.flags, request.data);
  return plain === WOULD_SLEEP ? yield* setMigrationState(device.device, driver, process, request.data) : plain;
}
