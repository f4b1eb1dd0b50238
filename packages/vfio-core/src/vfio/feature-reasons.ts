/** Why VFIO_DEVICE_FEATURE and the fds that it gives refuse: features, DMA logging, migration. */
import { reason, type Reason } from '../host/reason.ts';
import { hex } from '../memory/u64.ts';
import { E2BIG, EBUSY, EINVAL, EIO, ENODEV, ENOMEM, ENOMSG, ENOTTY, EOVERFLOW, ESPIPE } from '../uapi/errno.ts';

const FEATURE = 'VFIO_DEVICE_FEATURE';

/**
 * Refusal of VFIO_DEVICE_FEATURE (EINVAL). The rule: flags are a feature with GET, SET or PROBE; GET and SET together only in a PROBE; the
 * feature has the operation. Kernel: vfio_ioctl_device_feature(), vfio_check_feature().
 */
export const FEATURE_FLAGS: Reason<{ readonly flags: number }> = reason({
  id: 'feature/flags',
  errno: EINVAL,
  call: FEATURE,
  rule: 'flags are a feature with GET, SET or PROBE; GET and SET together only in a PROBE; the feature has the operation',
  kernel: 'vfio_ioctl_device_feature(), vfio_check_feature()',
  wayOut: 'ask with PROBE which of GET and SET a feature has',
  text: ({ flags }) => `flags ${hex(flags)}: feature ${flags & 0xffff}, operation ${hex(flags >>> 16)}`,
});

/**
 * Refusal of VFIO_DEVICE_FEATURE (EINVAL). The rule: argsz holds the header of 8 bytes and the data of the feature. Kernel:
 * vfio_check_feature().
 */
export const FEATURE_SIZE: Reason<{ readonly length: number; readonly least: number }> = reason({
  id: 'feature/size',
  errno: EINVAL,
  call: FEATURE,
  rule: 'argsz holds the header of 8 bytes and the data of the feature',
  kernel: 'vfio_check_feature()',
  wayOut: 'set argsz to 8 and the size of the struct of the feature',
  text: ({ length, least }) => `argsz leaves ${length} bytes of data, and the feature needs ${least}`,
});

/**
 * Refusal of VFIO_DEVICE_FEATURE (ENOTTY or EINVAL). The rule: the device has the feature, in this kernel. Kernel:
 * vfio_ioctl_device_feature().
 */
export const FEATURE_UNKNOWN: Reason<{ readonly device: string; readonly feature: number }> = reason({
  id: 'feature/unknown',
  errno: [ENOTTY, EINVAL],
  call: FEATURE,
  rule: 'the device has the feature, in this kernel',
  kernel: 'vfio_ioctl_device_feature()',
  wayOut: 'do without: ENOTTY is how a device says that it lacks one',
  text: ({ device, feature }) => `${device} has no feature ${feature}`,
});

/**
 * Refusal of DMA_LOGGING_START (EINVAL or E2BIG). The rule: there is at least one range, and no more than fit into a page. Kernel:
 * vfio_ioctl_device_feature_logging_start().
 */
export const LOG_RANGES: Reason<{ readonly count: number; readonly limit: number }> = reason({
  id: 'dma-logging/ranges',
  errno: [EINVAL, E2BIG],
  call: 'DMA_LOGGING_START',
  rule: 'there is at least one range, and no more than fit into a page',
  kernel: 'vfio_ioctl_device_feature_logging_start()',
  wayOut: 'join ranges into larger ones',
  text: ({ count, limit }) => `${count} ranges: 1 to ${limit} are taken`,
});

/**
 * Refusal of DMA_LOGGING_START, DMA_LOGGING_REPORT (EINVAL or EOVERFLOW). The rule: ranges are aligned to the page size, end below 2^64,
 * and do not meet; the page size of a report is a power of two from 4096 on. Kernel: vfio_ioctl_device_feature_logging_start(),
 * ..._report().
 */
export const LOG_RANGE: Reason<{ readonly iova: bigint; readonly length: bigint; readonly pageSize: bigint }> = reason({
  id: 'dma-logging/range',
  errno: [EINVAL, EOVERFLOW],
  call: 'DMA_LOGGING_START, DMA_LOGGING_REPORT',
  rule: 'ranges are aligned to the page size, end below 2^64, and do not meet; the page size of a report is a power of two from 4096 on',
  kernel: 'vfio_ioctl_device_feature_logging_start(), ..._report()',
  wayOut: 'align iova and length to page_size',
  text: ({ iova, length, pageSize }) => `iova ${hex(iova)}, length ${hex(length)}, page size ${hex(pageSize)}`,
});

/**
 * Refusal of DMA_LOGGING_START, DMA_LOGGING_REPORT (EBUSY or EINVAL). The rule: logging is started once, and reported while it is on.
 * Kernel: struct vfio_log_ops of the driver.
 */
export const LOG_STATE: Reason<{ readonly on: boolean }> = reason({
  id: 'dma-logging/state',
  errno: [EBUSY, EINVAL],
  call: 'DMA_LOGGING_START, DMA_LOGGING_REPORT',
  rule: 'logging is started once, and reported while it is on',
  kernel: 'struct vfio_log_ops of the driver',
  wayOut: 'stop before the next start, start before the first report',
  text: ({ on }) => `logging is ${on ? 'on already' : 'off'}`,
});

const STATES = ['ERROR', 'STOP', 'RUNNING', 'STOP_COPY', 'RESUMING', 'RUNNING_P2P', 'PRE_COPY', 'PRE_COPY_P2P'];

function stateName(state: number): string {
  return STATES[state] ?? `state ${state}, which is none,`;
}

/**
 * Refusal of MIG_DEVICE_STATE (EINVAL, ENODEV or EIO). The rule: the state exists, the device and this kernel know it, and a path leads
 * there from the present one, on which the device follows; what was written to a RESUMING stream is a state of such a device. Kernel:
 * vfio_mig_get_next_state().
 */
export const MIGRATION_STATE: Reason<{ readonly device: string; readonly from: number; readonly to: number }> = reason({
  id: 'migration/state',
  errno: [EINVAL, ENODEV, EIO],
  call: 'MIG_DEVICE_STATE',
  rule: 'the state exists, the device and this kernel know it, and a path leads there from the present one, on which the device follows; what was written to a RESUMING stream is a state of such a device',
  kernel: 'vfio_mig_get_next_state()',
  wayOut: 'look at the flags of the feature MIGRATION; out of ERROR only VFIO_DEVICE_RESET leads',
  text: ({ device, from, to }) => `${device} does not get from ${stateName(from)} to ${stateName(to)}`,
});

/**
 * Refusal of pread and pwrite of a migration region (version 1) (EINVAL). The rule: registers are accessed whole, and are written only as
 * the uAPI has it; a path leads from the present device_state to the next; data is written while RESUMING, and stays within its section.
 * Kernel: vfio.h of 5.8 to 5.17: struct vfio_device_migration_info.
 */
export const MIGRATION_V1: Reason<{ readonly state: number; readonly offset: number; readonly length: number }> = reason({
  id: 'migration/region-v1',
  errno: EINVAL,
  call: 'pread and pwrite of a migration region (version 1)',
  rule: 'registers are accessed whole, and are written only as the uAPI has it; a path leads from the present device_state to the next; data is written while RESUMING, and stays within its section',
  kernel: 'vfio.h of 5.8 to 5.17: struct vfio_device_migration_info',
  wayOut: 'access device_state by 4 bytes, the others by 8, and go the ways that the header names',
  text: ({ state, offset, length }) => `${length} bytes at ${hex(offset)} of the migration region, whose device_state is ${state}`,
});

/** Refusal of pread and pwrite of a data_fd (ESPIPE). The rule: a data stream has no positions. Kernel: the driver's file_operations. */
export const STREAM_OFFSET: Reason<{ readonly stream: string }> = reason({
  id: 'migration/stream-offset',
  errno: ESPIPE,
  call: 'pread and pwrite of a data_fd',
  rule: 'a data stream has no positions',
  kernel: "the driver's file_operations",
  wayOut: 'use read() and write()',
  text: ({ stream }) => `${stream} is a stream`,
});

/**
 * Refusal of read and write of a data_fd, VFIO_MIG_GET_PRECOPY_INFO (ENODEV). The rule: a data stream lasts as long as the device is in the
 * state that it belongs to. Kernel: the driver's file_operations.
 */
export const STREAM_OVER: Reason<{ readonly stream: string }> = reason({
  id: 'migration/stream-over',
  errno: ENODEV,
  call: 'read and write of a data_fd, VFIO_MIG_GET_PRECOPY_INFO',
  rule: 'a data stream lasts as long as the device is in the state that it belongs to',
  kernel: "the driver's file_operations",
  wayOut: 'read to the end before the device leaves the state',
  text: ({ stream }) => `the device has left the state of ${stream}`,
});

/** Refusal of read of a data_fd in PRE_COPY (ENOMSG). The rule: there is something to read now. Kernel: the driver's file_operations. */
export const STREAM_EMPTY: Reason<{ readonly stream: string }> = reason({
  id: 'migration/stream-empty',
  errno: ENOMSG,
  call: 'read of a data_fd in PRE_COPY',
  rule: 'there is something to read now',
  kernel: "the driver's file_operations",
  wayOut: 'read again later, or go on to STOP_COPY',
  text: ({ stream }) => `${stream} has nothing more for now`,
});

/**
 * Refusal of write of a data_fd (ENOMEM). The rule: a saved state has at most the bytes that one of this device can have. Kernel: the
 * driver's file_operations.
 */
export const STREAM_FULL: Reason<{ readonly limit: number }> = reason({
  id: 'migration/stream-full',
  errno: ENOMEM,
  call: 'write of a data_fd',
  rule: 'a saved state has at most the bytes that one of this device can have',
  kernel: "the driver's file_operations",
  wayOut: 'write what the source gave, and no more',
  text: ({ limit }) => `a state of this device has at most ${limit} bytes`,
});

/**
 * Refusal of VFIO_MIG_GET_PRECOPY_INFO (EINVAL). The rule: the device is in PRE_COPY or PRE_COPY_P2P. Kernel: the driver's file_operations.
 */
export const PRECOPY_STATE: Reason<{ readonly state: number }> = reason({
  id: 'migration/precopy-state',
  errno: EINVAL,
  call: 'VFIO_MIG_GET_PRECOPY_INFO',
  rule: 'the device is in PRE_COPY or PRE_COPY_P2P',
  kernel: "the driver's file_operations",
  wayOut: 'read the stream to its end: the device has stopped',
  text: ({ state }) => `the device is in state ${state}`,
});
