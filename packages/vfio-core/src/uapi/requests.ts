/**
 * The typed layer over the requests of linux/vfio.h: each function builds the struct, makes the call and reads the answer.
 *
 * They need only something that has ioctl(): a Process of the model, or a binding to a real kernel.
 */
import { get, set } from './struct.ts';
import {
  VFIO_DEVICE_FEATURE,
  VFIO_DEVICE_FEATURE_GET,
  VFIO_DEVICE_FEATURE_MIGRATION,
  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
  VFIO_DEVICE_FEATURE_SET,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_IRQ_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_SET_IRQS,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  vfio_device_feature,
  vfio_device_feature_mig_state,
  vfio_device_feature_migration,
  vfio_device_info,
  vfio_group_status,
  vfio_info_cap_header,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
  vfio_iommu_type1_info,
  vfio_iommu_type1_info_cap_iova_range,
  vfio_iova_range,
  vfio_irq_info,
  vfio_irq_set,
  vfio_region_info,
} from './vfio.ts';

const encoder = new TextEncoder();

/** Makes ioctl calls: throws on an error, as Process does. `argument` is changed in place. */
export interface IoctlCaller {
  /**
   * One ioctl(2).
   *
   * @param fd an open file descriptor
   * @param request the request's number, VFIO_*
   * @param argument bytes of the struct, or the number itself where the request takes one
   * @returns the kernel's answer, 0 or more
   * @throws an error with the errno where the kernel refuses; a Process throws SyscallError
   */
  ioctl(fd: number, request: number, argument?: number | Uint8Array): number;
}

/** One link of a capability chain; `data` starts behind the header. */
export interface InfoCapability {
  /** The capability's id, of 16 bits, in the numbering of the request that gave it. */
  readonly id: number;
  /** The version of the capability's layout, of 16 bits. */
  readonly version: number;
  /** A copy of the bytes between this header and the next one, or the end of the answer. */
  readonly data: Uint8Array;
}

/** What a device says of itself: VFIO_DEVICE_GET_INFO's answer without capabilities. */
export interface DeviceInfo {
  /** Bits VFIO_DEVICE_FLAGS_*. */
  readonly flags: number;
  /** One more than the highest index of a region. */
  readonly numRegions: number;
  /** One more than the highest interrupt index. */
  readonly numIrqs: number;
}

/** A region of a device: VFIO_DEVICE_GET_REGION_INFO's answer. */
export interface RegionInfo {
  /** Bits VFIO_REGION_INFO_FLAG_*. */
  readonly flags: number;
  /** In bytes; 0 for a region that the device has not. */
  readonly size: bigint;
  /** Where the region begins in the device's fd: what pread, pwrite and mmap take. */
  readonly offset: bigint;
  /** The capability chain, in its order; empty if there is none. */
  readonly capabilities: readonly InfoCapability[];
}

/** An interrupt index of a device: VFIO_DEVICE_GET_IRQ_INFO's answer. */
export interface IrqInfo {
  /** Bits VFIO_IRQ_INFO_*. */
  readonly flags: number;
  /** How many interrupts the index has; 0 for one that the device has not. */
  readonly count: number;
}

/** VFIO_GROUP_GET_STATUS: the flags. @param group the group's fd @returns bits VFIO_GROUP_FLAGS_* */
export function getGroupStatus(sys: IoctlCaller, group: number): number {
  const status = sized(vfio_group_status.size);
  sys.ioctl(group, VFIO_GROUP_GET_STATUS, status);
  return get(status, vfio_group_status.flags);
}

/** VFIO_GROUP_SET_CONTAINER: puts a group into a container. @param group the group's fd @param container the fd of /dev/vfio/vfio */
export function setContainer(sys: IoctlCaller, group: number, container: number): void {
  const fd = new Uint8Array(4);
  set(fd, [0, 's32'], container);
  sys.ioctl(group, VFIO_GROUP_SET_CONTAINER, fd);
}

/**
 * VFIO_GROUP_GET_DEVICE_FD: `name` as the driver takes it, e.g. `0000:00:02.0`.
 *
 * @param group the group's fd; it must be in a container that has an IOMMU model
 * @returns the fd of the open device
 */
export function getDeviceFd(sys: IoctlCaller, group: number, name: string): number {
  return sys.ioctl(group, VFIO_GROUP_GET_DEVICE_FD, encoder.encode(`${name}\0`));
}

/** VFIO_DEVICE_GET_INFO: what a device is, and how much it has. @param device the device's fd */
export function getDeviceInfo(sys: IoctlCaller, device: number): DeviceInfo {
  const info = sized(vfio_device_info.size);
  sys.ioctl(device, VFIO_DEVICE_GET_INFO, info);
  return {
    flags: get(info, vfio_device_info.flags),
    numRegions: get(info, vfio_device_info.num_regions),
    numIrqs: get(info, vfio_device_info.num_irqs),
  };
}

/**
 * VFIO_DEVICE_GET_REGION_INFO, asked again with room when there is a capability chain.
 *
 * @param device the device's fd
 * @param index from 0 to numRegions - 1; for PCI VFIO_PCI_*_REGION_INDEX
 */
export function getRegionInfo(sys: IoctlCaller, device: number, index: number): RegionInfo {
  let info = sized(vfio_region_info.size);
  set(info, vfio_region_info.index, index);
  sys.ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
  const needed = get(info, vfio_region_info.argsz);
  if (needed > info.length) {
    info = sized(needed);
    set(info, vfio_region_info.index, index);
    sys.ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info);
  }
  return {
    flags: get(info, vfio_region_info.flags),
    size: get(info, vfio_region_info.region_size),
    offset: get(info, vfio_region_info.offset),
    capabilities: capabilities(info, get(info, vfio_region_info.cap_offset)),
  };
}

/**
 * VFIO_DEVICE_GET_IRQ_INFO: how many interrupts an index has, and what they can do.
 *
 * @param device the device's fd
 * @param index from 0 to numIrqs - 1; for PCI VFIO_PCI_*_IRQ_INDEX
 */
export function getIrqInfo(sys: IoctlCaller, device: number, index: number): IrqInfo {
  const info = sized(vfio_irq_info.size);
  set(info, vfio_irq_info.index, index);
  sys.ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, info);
  return { flags: get(info, vfio_irq_info.flags), count: get(info, vfio_irq_info.count) };
}

/**
 * VFIO_DEVICE_SET_IRQS: eventfds as triggers of the interrupts of an index, from `start` on; -1 takes one away.
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param start the first interrupt within the index, from 0
 * @param eventfds fds, one for each interrupt
 * @returns what the ioctl returns, 0
 */
export function setIrqTriggers(sys: IoctlCaller, device: number, index: number, start: number, eventfds: readonly number[]): number {
  const request = new Uint8Array(vfio_irq_set.size + 4 * eventfds.length);
  set(request, vfio_irq_set.argsz, request.length);
  set(request, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
  set(request, vfio_irq_set.index, index);
  set(request, vfio_irq_set.start, start);
  set(request, vfio_irq_set.count, eventfds.length);
  eventfds.forEach((fd, i) => {
    set(request, [vfio_irq_set.size + 4 * i, 's32'], fd);
  });
  return sys.ioctl(device, VFIO_DEVICE_SET_IRQS, request);
}

/**
 * VFIO_DEVICE_SET_IRQS without data.
 *
 * @param device the device's fd
 * @param index the interrupt index; for PCI VFIO_PCI_*_IRQ_INDEX
 * @param action one of VFIO_IRQ_SET_ACTION_*
 * @param start the first interrupt within the index, from 0
 * @param count how many interrupts; 0 with TRIGGER disables the index
 * @returns what the ioctl returns, 0
 */
export function setIrqs(sys: IoctlCaller, device: number, index: number, action: number, start: number, count: number): number {
  const request = sized(vfio_irq_set.size);
  set(request, vfio_irq_set.flags, VFIO_IRQ_SET_DATA_NONE | action);
  set(request, vfio_irq_set.index, index);
  set(request, vfio_irq_set.start, start);
  set(request, vfio_irq_set.count, count);
  return sys.ioctl(device, VFIO_DEVICE_SET_IRQS, request);
}

/** What a container's IOMMU offers. */
export interface IommuInfo {
  /** Bit n says that pages of 2^n bytes can be mapped. */
  readonly pageSizes: bigint;
  /** Inclusive ranges of IOVAs that can be mapped. */
  readonly iovaRanges: readonly { readonly start: bigint; readonly end: bigint }[];
}

/** VFIO_IOMMU_GET_INFO, asked a second time with room for the capability chain. @param container the container's fd, with type1 */
export function getIommuInfo(sys: IoctlCaller, container: number): IommuInfo {
  let info = sized(vfio_iommu_type1_info.size);
  sys.ioctl(container, VFIO_IOMMU_GET_INFO, info);
  info = sized(Math.max(get(info, vfio_iommu_type1_info.argsz), info.length));
  sys.ioctl(container, VFIO_IOMMU_GET_INFO, info);
  const caps = capabilities(info, get(info, vfio_iommu_type1_info.cap_offset));
  const ranges = caps.find(({ id }) => id === VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
  const header = vfio_iommu_type1_info_cap_iova_range.size - vfio_info_cap_header.size;
  const iovaRanges: { start: bigint; end: bigint }[] = [];
  for (let at = header; ranges !== undefined && at + vfio_iova_range.size <= ranges.data.length; at += vfio_iova_range.size) {
    const range = ranges.data.subarray(at);
    iovaRanges.push({ start: get(range, vfio_iova_range.start), end: get(range, vfio_iova_range.end) });
  }
  return { pageSizes: get(info, vfio_iommu_type1_info.iova_pgsizes), iovaRanges };
}

/** Memory of the process that devices reach. */
export interface DmaMap {
  /** Its address in the process, in bytes. */
  readonly vaddr: number | bigint;
  /** The address under which devices reach it, in bytes. */
  readonly iova: number | bigint;
  /** In bytes, a multiple of the smallest page of the IOMMU. */
  readonly size: number | bigint;
  /** Bits VFIO_DMA_MAP_FLAG_*; READ, WRITE or both. */
  readonly flags: number;
}

/** VFIO_IOMMU_MAP_DMA: lets devices of a container reach memory of the process. @param container the container's fd, with type1 */
export function mapDma(sys: IoctlCaller, container: number, map: DmaMap): void {
  const layout = vfio_iommu_type1_dma_map;
  const request = sized(layout.size);
  set(request, layout.flags, map.flags);
  set(request, layout.vaddr, map.vaddr);
  set(request, layout.iova, map.iova);
  set(request, layout.map_size, map.size);
  sys.ioctl(container, VFIO_IOMMU_MAP_DMA, request);
}

/**
 * VFIO_IOMMU_UNMAP_DMA: takes IOVAs away from devices.
 *
 * @param container the container's fd, with type1
 * @param iova the first IOVA
 * @param size in bytes
 * @param flags bits VFIO_DMA_UNMAP_FLAG_*, of which GET_DIRTY_BITMAP has no room here; 0 by default
 * @returns how many bytes were unmapped
 */
export function unmapDma(sys: IoctlCaller, container: number, iova: number | bigint, size: number | bigint, flags = 0): bigint {
  const layout = vfio_iommu_type1_dma_unmap;
  const request = sized(layout.size);
  set(request, layout.flags, flags);
  set(request, layout.iova, iova);
  set(request, layout.unmap_size, size);
  sys.ioctl(container, VFIO_IOMMU_UNMAP_DMA, request);
  return get(request, layout.unmap_size);
}

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

/** VFIO_DEVICE_FEATURE; gives the data as the kernel left it. */
function feature(sys: IoctlCaller, device: number, flags: number, data: Uint8Array): Uint8Array {
  const request = new Uint8Array(vfio_device_feature.size + data.length);
  set(request, vfio_device_feature.argsz, request.length);
  set(request, vfio_device_feature.flags, flags);
  request.set(data, vfio_device_feature.size);
  sys.ioctl(device, VFIO_DEVICE_FEATURE, request);
  return request.subarray(vfio_device_feature.size);
}

/** A zeroed struct whose first field, argsz, is its size. */
function sized(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  set(bytes, [0, 'u32'], size);
  return bytes;
}

/** The chain that starts at `offset`, 0 for none. A link that points backwards ends it. */
function capabilities(info: Uint8Array, offset: number): InfoCapability[] {
  const found: InfoCapability[] = [];
  for (let at = offset; at >= vfio_info_cap_header.size && at + vfio_info_cap_header.size <= info.length; ) {
    const header = info.subarray(at);
    const next = get(header, vfio_info_cap_header.next);
    const end = next > at ? next : info.length;
    found.push({
      id: get(header, vfio_info_cap_header.id),
      version: get(header, vfio_info_cap_header.version),
      data: info.slice(at + vfio_info_cap_header.size, end),
    });
    if (next <= at) break;
    at = next;
  }
  return found;
}
