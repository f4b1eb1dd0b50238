/** Regions that a client may map. */
import {
  get,
  set,
  VFIO_DEVICE_GET_REGION_INFO,
  vfio_region_info,
  VFIO_REGION_INFO_FLAG_CAPS,
  VFIO_REGION_INFO_FLAG_MMAP,
} from '@vsim/vfio-core';
import type { ServedDevice } from '../server/served-device.ts';
import { encodeCapabilities, sparseCapability, type MappableArea } from '../wire/capabilities.ts';
import type { Descriptor } from '../wire/descriptor.ts';
import { wrapped } from './wrapped.ts';

/** A region with memory behind it, which the device reads and writes, too. */
export interface MappableRegion {
  /** What of it may be mapped; accesses to the rest of it are messages. */
  readonly areas: readonly MappableArea[];
  /** As large as the region: a MemoryFile within one program, a MemoryFd of `@vsim/vfio-user/node` over a socket. */
  readonly memory: { descriptor(): Descriptor };
}

/**
 * A device some of whose regions may be mapped by clients (VFIO_REGION_INFO_CAP_SPARSE_MMAP): stores through a mapping are no messages, and the device hears of none.
 *
 * @param regions by their indices
 */
export function mappable(device: ServedDevice, regions: ReadonlyMap<number, MappableRegion>): ServedDevice {
  return wrapped(device, {
    ioctl: (request, argument) => {
      const result = device.ioctl(request, argument);
      const region = request === VFIO_DEVICE_GET_REGION_INFO && result >= 0 ? regions.get(get(argument, vfio_region_info.index)) : undefined;
      if (region !== undefined) tellAreas(argument, region.areas);
      return result;
    },
    regionMemory: (region) => regions.get(region)?.memory.descriptor(),
  });
}

/** The areas as a capability, where there is room for it. Nothing else of the device has any. */
function tellAreas(info: Uint8Array, areas: readonly MappableArea[]): void {
  const { argsz, cap_offset, flags, size } = vfio_region_info;
  const capabilities = encodeCapabilities([sparseCapability(areas)]);
  set(info, flags, get(info, flags) | VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
  set(info, argsz, size + capabilities.length);
  const fits = info.length >= size + capabilities.length;
  set(info, cap_offset, fits ? size : 0);
  if (fits) info.set(capabilities, size);
}
