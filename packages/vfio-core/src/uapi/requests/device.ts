/** Groups and devices, typed: containers, device fds, regions, ioeventfds, planes of a display. */
import { get, set } from '../struct.ts';
import {
  VFIO_DEVICE_GET_GFX_DMABUF,
  VFIO_DEVICE_GET_INFO,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_DEVICE_IOEVENTFD,
  VFIO_DEVICE_QUERY_GFX_PLANE,
  VFIO_GROUP_GET_DEVICE_FD,
  VFIO_GROUP_GET_STATUS,
  VFIO_GROUP_SET_CONTAINER,
  vfio_device_gfx_plane_info,
  vfio_device_info,
  vfio_device_ioeventfd,
  vfio_group_status,
  vfio_region_info,
} from '../vfio.ts';
import { capabilities, sized, type InfoCapability, type IoctlCaller } from './caller.ts';

const encoder = new TextEncoder();

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

/** A store that the kernel does when an eventfd is signalled. */
export interface Ioeventfd {
  /** Where, in the device's fd: within a memory or I/O BAR. */
  readonly offset: number | bigint;
  /** Bytes. */
  readonly width: 1 | 2 | 4 | 8;
  /** What is stored; with `offset`, `width` and `fd` it names the ioeventfd when it is taken away. */
  readonly data: number | bigint;
}

/**
 * VFIO_DEVICE_IOEVENTFD.
 *
 * @param device the fd of a PCI device
 * @param fd an eventfd; -1 takes the ioeventfd away
 */
export function setIoeventfd(sys: IoctlCaller, device: number, { offset, width, data }: Ioeventfd, fd: number): void {
  const request = sized(vfio_device_ioeventfd.size);
  set(request, vfio_device_ioeventfd.flags, width); // VFIO_DEVICE_IOEVENTFD_8 to _64 are the bytes
  set(request, vfio_device_ioeventfd.offset, offset);
  set(request, vfio_device_ioeventfd.data, data);
  set(request, vfio_device_ioeventfd.fd, fd);
  sys.ioctl(device, VFIO_DEVICE_IOEVENTFD, request);
}

/** What a device shows on a display. */
export interface GfxPlane {
  /** DRM_PLANE_TYPE_*: 1 is the primary plane, 2 the cursor. */
  readonly planeType: number;
  /** A DRM fourcc; 0 while nothing is shown. */
  readonly format: number;
  /** The DRM format modifier. */
  readonly modifier: bigint;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Bytes of a line. */
  readonly stride: number;
  /** Bytes of the plane. */
  readonly size: number;
  /** Where it is on the display, in pixels. */
  readonly x: number;
  /** Where it is on the display, in pixels. */
  readonly y: number;
  /** The region that has the pixels (with REGION), or the id for getGfxDmabuf() (with DMABUF). */
  readonly region: number;
}

/**
 * VFIO_DEVICE_QUERY_GFX_PLANE.
 *
 * @param device the device's fd
 * @param flags VFIO_GFX_PLANE_TYPE_REGION or _DMABUF, with _PROBE only to ask whether it has such a plane
 * @param planeType DRM_PLANE_TYPE_*; 1, the primary plane, by default
 */
export function queryGfxPlane(sys: IoctlCaller, device: number, flags: number, planeType = 1): GfxPlane {
  const layout = vfio_device_gfx_plane_info;
  const info = sized(layout.size);
  set(info, layout.flags, flags);
  set(info, layout.drm_plane_type, planeType);
  sys.ioctl(device, VFIO_DEVICE_QUERY_GFX_PLANE, info);
  return {
    planeType: get(info, layout.drm_plane_type),
    format: get(info, layout.drm_format),
    modifier: get(info, layout.drm_format_mod),
    width: get(info, layout.width),
    height: get(info, layout.height),
    stride: get(info, layout.stride),
    size: get(info, layout.plane_size),
    x: get(info, layout.x_pos),
    y: get(info, layout.y_pos),
    region: get(info, layout.region_index),
  };
}

/** VFIO_DEVICE_GET_GFX_DMABUF. @param device the device's fd @param id what queryGfxPlane() gave with DMABUF @returns the fd of a dma-buf */
export function getGfxDmabuf(sys: IoctlCaller, device: number, id: number): number {
  const request = new Uint8Array(4);
  set(request, [0, 'u32'], id);
  return sys.ioctl(device, VFIO_DEVICE_GET_GFX_DMABUF, request);
}
