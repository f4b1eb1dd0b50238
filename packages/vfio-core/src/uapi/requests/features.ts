/** Features of a device, typed: migration, low power, its own log of writes, VF tokens. */
import { get, set } from '../struct.ts';
import {
  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
  VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
  VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
  VFIO_DEVICE_FEATURE_PROBE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_MIG_GET_PRECOPY_INFO,
  vfio_device_feature_dma_logging_control,
  vfio_device_feature_dma_logging_range,
  vfio_device_feature_dma_logging_report,
  vfio_device_feature_mig_data_size,
  vfio_device_feature_mig_state,
  vfio_device_feature_migration,
  vfio_device_low_power_entry_with_wakeup,
  vfio_precopy_info,
} from '../vfio.ts';
import { bitmapBytes, feature, sized, withBuffer, type IoctlCaller, type MemoryCaller } from './caller.ts';

/**
 * VFIO_DEVICE_FEATURE_MIGRATION: which states of migration version 2 a device has.
 *
 * @param device the device's fd
 * @returns bits VFIO_MIGRATION_*
 * @throws ENOTTY, as the caller's ioctl throws it, for a device that cannot migrate
 */
export function getMigrationFlags(sys: IoctlCaller, device: number): bigint {
  const data = feature(sys, device, VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET, new Uint8Array(vfio_device_feature_migration.size));
  return get(data, vfio_device_feature_migration.flags);
}

/**
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, get: where a device's migration state machine stands.
 *
 * @param device the device's fd
 * @returns one of VFIO_DEVICE_STATE_*
 */
export function getMigrationState(sys: IoctlCaller, device: number): number {
  const state = new Uint8Array(vfio_device_feature_mig_state.size);
  const data = feature(sys, device, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET, state);
  return get(data, vfio_device_feature_mig_state.device_state);
}

/**
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, set: moves a device to a state, over those between.
 *
 * @param device the device's fd
 * @param state one of VFIO_DEVICE_STATE_*
 * @returns the data fd that the last arc made, or -1
 */
export function setMigrationState(sys: IoctlCaller, device: number, state: number): number {
  const data = new Uint8Array(vfio_device_feature_mig_state.size);
  set(data, vfio_device_feature_mig_state.device_state, state);
  const answer = feature(sys, device, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET, data);
  return get(answer, vfio_device_feature_mig_state.data_fd);
}

/**
 * VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: how much a device's whole state is, now.
 *
 * @param device the device's fd
 * @returns bytes
 */
export function getMigrationDataSize(sys: IoctlCaller, device: number): bigint {
  const data = feature(sys, device, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE | VFIO_DEVICE_FEATURE_GET, new Uint8Array(vfio_device_feature_mig_data_size.size));
  return get(data, vfio_device_feature_mig_data_size.stop_copy_length);
}

/** What is left to read before the device has to be stopped. */
export interface MigrationPrecopyInfo {
  /** Bits VFIO_PRECOPY_INFO_*. */
  readonly flags: number;
  /** Bytes of the initial data that were not read yet. */
  readonly initialBytes: bigint;
  /** Bytes that have changed since they were read. */
  readonly dirtyBytes: bigint;
}

/** VFIO_MIG_GET_PRECOPY_INFO. @param data the data fd that setMigrationState() gave for a pre-copy state */
export function getPrecopyInfo(sys: IoctlCaller, data: number): MigrationPrecopyInfo {
  const info = sized(vfio_precopy_info.size);
  sys.ioctl(data, VFIO_MIG_GET_PRECOPY_INFO, info);
  return { flags: get(info, vfio_precopy_info.flags), initialBytes: get(info, vfio_precopy_info.initial_bytes), dirtyBytes: get(info, vfio_precopy_info.dirty_bytes) };
}

/**
 * VFIO_DEVICE_FEATURE, PROBE: asks whether a device has a feature, and does nothing.
 *
 * @param device the device's fd
 * @param number a VFIO_DEVICE_FEATURE_*, 16 bits
 * @param operations VFIO_DEVICE_FEATURE_GET, _SET or both
 * @throws ENOTTY for a feature that it has not, EINVAL for an operation that the feature has not, as the caller's ioctl throws them
 */
export function probeFeature(sys: IoctlCaller, device: number, number: number, operations: number): void {
  feature(sys, device, number | VFIO_DEVICE_FEATURE_PROBE | operations, new Uint8Array(0));
}

/**
 * VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: the token that users of the PF's VFs have to know.
 *
 * @param device the fd of a PF under vfio-pci
 * @param token a UUID, 16 bytes
 */
export function setVfToken(sys: IoctlCaller, device: number, token: Uint8Array): void {
  feature(sys, device, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, token);
}

/**
 * VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, with WITH_WAKEUP where an eventfd is given: the device may sleep until it is used.
 *
 * @param device the device's fd
 * @param wakeup an eventfd that is signalled as the host wakes it
 */
export function enterLowPower(sys: IoctlCaller, device: number, wakeup?: number): void {
  if (wakeup === undefined) {
    feature(sys, device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | VFIO_DEVICE_FEATURE_SET, new Uint8Array(0));
    return;
  }
  const data = new Uint8Array(vfio_device_low_power_entry_with_wakeup.size);
  set(data, vfio_device_low_power_entry_with_wakeup.wakeup_eventfd, wakeup);
  feature(sys, device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | VFIO_DEVICE_FEATURE_SET, data);
}

/** VFIO_DEVICE_FEATURE_LOW_POWER_EXIT: the device stays awake. @param device the device's fd */
export function exitLowPower(sys: IoctlCaller, device: number): void {
  feature(sys, device, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | VFIO_DEVICE_FEATURE_SET, new Uint8Array(0));
}

/** IOVAs of a device, for its log of writes. */
export interface LoggedRange {
  /** The first IOVA, in bytes. */
  readonly iova: number | bigint;
  /** In bytes. */
  readonly size: number | bigint;
}

/**
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_START: the device itself notes what it writes.
 *
 * @param device the device's fd
 * @param ranges what is to be noted; without overlap
 * @param pageSize the bytes that one bit is to stand for: a wish
 * @returns the bytes that the device took instead
 */
export function startDmaLogging(sys: MemoryCaller, device: number, ranges: readonly LoggedRange[], pageSize = 4096): bigint {
  const layout = vfio_device_feature_dma_logging_range;
  return withBuffer(sys, Math.max(1, layout.size * ranges.length), (buffer) => {
    const table = new Uint8Array(layout.size * ranges.length);
    for (const [n, { iova, size }] of ranges.entries()) {
      set(table.subarray(layout.size * n), layout.iova, iova);
      set(table.subarray(layout.size * n), layout.range_length, size);
    }
    buffer.writeBytes(0, table);
    const data = new Uint8Array(vfio_device_feature_dma_logging_control.size);
    set(data, vfio_device_feature_dma_logging_control.page_size, pageSize);
    set(data, vfio_device_feature_dma_logging_control.num_ranges, ranges.length);
    set(data, vfio_device_feature_dma_logging_control.ranges, buffer.address);
    const answer = feature(sys, device, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET, data);
    return get(answer, vfio_device_feature_dma_logging_control.page_size);
  });
}

/** VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP: nothing is noted any more. @param device the device's fd */
export function stopDmaLogging(sys: IoctlCaller, device: number): void {
  feature(sys, device, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP | VFIO_DEVICE_FEATURE_SET, new Uint8Array(0));
}

/**
 * VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: what the device has written since the last report.
 *
 * @param device the device's fd
 * @param range IOVAs within what is noted
 * @param pageSize the bytes that one bit stands for
 * @returns a bit for each page, the first the lowest of byte 0
 */
export function reportDmaLogging(sys: MemoryCaller, device: number, { iova, size }: LoggedRange, pageSize = 4096): Uint8Array {
  const bytes = bitmapBytes(size, pageSize);
  return withBuffer(sys, bytes, (buffer) => {
    const data = new Uint8Array(vfio_device_feature_dma_logging_report.size);
    set(data, vfio_device_feature_dma_logging_report.iova, iova);
    set(data, vfio_device_feature_dma_logging_report.range_length, size);
    set(data, vfio_device_feature_dma_logging_report.page_size, pageSize);
    set(data, vfio_device_feature_dma_logging_report.bitmap, buffer.address);
    feature(sys, device, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT | VFIO_DEVICE_FEATURE_GET, data);
    return buffer.readBytes(0, bytes);
  });
}
