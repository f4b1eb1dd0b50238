/** DEVICE_GET_REGION_INFO: the device's struct, as far as the client has room and the region has memory to map. */
import {
  EINVAL,
  get,
  set,
  VFIO_DEVICE_GET_REGION_INFO,
  VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
  VFIO_REGION_INFO_CAP_SPARSE_MMAP,
  VFIO_REGION_INFO_FLAG_CAPS,
  VFIO_REGION_INFO_FLAG_MMAP,
} from '@vsim/vfio-core';
import { encodeCapabilities, regionCapabilities } from '../wire/capabilities.ts';
import { closeAll } from '../wire/descriptor.ts';
import { REGION_INFO_LAYOUT, REGION_IO_FDS_LAYOUT } from '../wire/layouts.ts';
import { type RegionInfoMessage, type RegionIoFdsMessage, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused } from './answer.ts';
import type { ServedDevice } from './served-device.ts';

/** More than any chain of capabilities has, in bytes. */
const MOST = 65_536;
const NONE = new Uint8Array(0);

/** What the device says of a region. @param index of the region @returns a negative errno where it refuses */
export function regionInfo(device: Pick<ServedDevice, 'ioctl'>, index: number): RegionInfoMessage | number {
  const { size, argsz, flags, capOffset, length, offset } = REGION_INFO_LAYOUT;
  let info = NONE;
  for (let room: number = size, tries = 0; room > info.length && tries < 2; tries += 1) {
    info = new Uint8Array(Math.min(room, MOST));
    set(info, argsz, info.length);
    set(info, REGION_INFO_LAYOUT.index, index);
    const code = device.ioctl(VFIO_DEVICE_GET_REGION_INFO, info);
    if (code < 0) return code;
    room = get(info, argsz);
  }
  return {
    name: 'DEVICE_GET_REGION_INFO',
    argsz: get(info, argsz),
    flags: get(info, flags),
    index,
    capOffset: get(info, capOffset),
    length: get(info, length),
    offset: get(info, offset),
    capabilities: info.subarray(size),
  };
}

/**
 * DEVICE_GET_REGION_INFO. What speaks of mappings is left out where there is nothing to map. The offset is 0: the descriptor is of the region alone.
 *
 * Where the client has no room for the capabilities, it gets the fixed part, what the whole takes in argsz, and no descriptor. QEMU takes the flag CAPS there
 * only with a cap_offset behind the fixed part, and the kernel sets the flag: it has both.
 *
 * @param maxMsgFds descriptors that the client takes beside a message
 */
export function answerRegionInfo(device: Pick<ServedDevice, 'ioctl' | 'regionMemory'>, asked: RegionInfoMessage, maxMsgFds: number): Answer {
  if (asked.capabilities.length > 0) return refused(EINVAL, 'GET_REGION_INFO with more than its struct');
  const info = regionInfo(device, asked.index);
  if (typeof info === 'number') return deviceRefused(info, 'GET_REGION_INFO');
  const memory = (info.flags & VFIO_REGION_INFO_FLAG_MMAP) !== 0 && maxMsgFds > 0 ? device.regionMemory(asked.index) : undefined;
  const all = (info.flags & VFIO_REGION_INFO_FLAG_CAPS) === 0 ? [] : (regionCapabilities(info) ?? []);
  const kept = memory === undefined ? all.filter(({ id }) => id !== VFIO_REGION_INFO_CAP_SPARSE_MMAP && id !== VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) : all;
  const capabilities = encodeCapabilities(kept);
  const argsz = REGION_INFO_LAYOUT.size + capabilities.length;
  const fits = argsz <= asked.argsz;
  const flags =
    (info.flags & ~(VFIO_REGION_INFO_FLAG_CAPS | VFIO_REGION_INFO_FLAG_MMAP)) |
    (memory === undefined ? 0 : VFIO_REGION_INFO_FLAG_MMAP) |
    (kept.length === 0 ? 0 : VFIO_REGION_INFO_FLAG_CAPS);
  if (memory !== undefined && !fits) closeAll([memory]);
  return {
    reply: { ...info, argsz, flags, capOffset: kept.length === 0 ? 0 : REGION_INFO_LAYOUT.size, offset: 0n, capabilities: fits ? capabilities : NONE },
    descriptors: memory === undefined || !fits ? [] : [memory],
  };
}

/** DEVICE_GET_REGION_IO_FDS: no part of a region goes to descriptors here, which is no error. */
export function answerRegionIoFds(device: Pick<ServedDevice, 'ioctl'>, asked: RegionIoFdsMessage): Answer {
  if (asked.flags !== 0 || asked.count !== 0 || asked.ioFds.length > 0) return refused(EINVAL, 'GET_REGION_IO_FDS with flags or parts');
  const info = regionInfo(device, asked.index);
  if (typeof info === 'number') return deviceRefused(info, 'GET_REGION_INFO');
  return { reply: { ...asked, argsz: REGION_IO_FDS_LAYOUT.size } };
}
