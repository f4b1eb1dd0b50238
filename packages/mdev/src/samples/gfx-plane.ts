/** VFIO_DEVICE_QUERY_GFX_PLANE, as the display samples answer it. */
import { get, set, vfio_device_gfx_plane_info, type UserArgument } from '@vsim/vfio-core';
import { PLANE } from '../mdev-reasons.ts';

/** VFIO_GFX_PLANE_TYPE_*: how a driver shows a plane; PROBE asks whether it can. */
export const GFX_PLANE = { PROBE: 1, DMABUF: 2, REGION: 4 } as const;

/** DRM_FORMAT_XRGB8888: 4 bytes a pixel, blue first, the last one unused. */
export const XRGB8888 = 0x3432_5258;
export const BYTES_PER_PIXEL = 4;

/** A plane that is shown. Sizes in pixels, stride and bytes in bytes. */
export interface GfxPlane {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly bytes: number;
  /** The region's index, or the id of the dmabuf. */
  readonly where: number;
}

/** The struct up to where the plane is to be found. */
const PLANE_BYTES = 60;

/**
 * Answers for the one way that a driver has, DMABUF or REGION.
 *
 * @param way GFX_PLANE.DMABUF or GFX_PLANE.REGION
 * @param plane of a type of plane (1 is the primary one): undefined where nothing is shown, which is an answer of zeros; or an errno
 * @returns 0, -EINVAL for other flags or a short argsz, -EFAULT, or what `plane` refused with
 */
export function queryGfxPlane(argument: UserArgument, way: number, plane: (type: number) => GfxPlane | undefined | number): number {
  const info = argument.copyIn(PLANE_BYTES);
  if (info === undefined) return argument.fault();
  const argsz = get(info, vfio_device_gfx_plane_info.argsz);
  if (argsz < PLANE_BYTES) return argument.tooShort(argsz, PLANE_BYTES);
  const flags = get(info, vfio_device_gfx_plane_info.flags);
  if (flags === (GFX_PLANE.PROBE | way)) return argument.copyOut(info) ? 0 : argument.fault();
  if (flags !== way) return argument.refuse(PLANE, { what: `flags ${flags}, and the device has ${way}` });
  const shown = plane(get(info, vfio_device_gfx_plane_info.drm_plane_type));
  if (typeof shown === 'number') return shown;
  // Modifier and positions are zero, as all is where nothing is shown.
  info.fill(0, vfio_device_gfx_plane_info.drm_format[0]);
  if (shown !== undefined) {
    set(info, vfio_device_gfx_plane_info.drm_format, XRGB8888);
    set(info, vfio_device_gfx_plane_info.width, shown.width);
    set(info, vfio_device_gfx_plane_info.height, shown.height);
    set(info, vfio_device_gfx_plane_info.stride, shown.stride);
    set(info, vfio_device_gfx_plane_info.plane_size, shown.bytes);
    set(info, vfio_device_gfx_plane_info.region_index, shown.where);
  }
  return argument.copyOut(info) ? 0 : argument.fault();
}
