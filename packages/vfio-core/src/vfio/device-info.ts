/**
 * VFIO_DEVICE_GET_INFO, GET_REGION_INFO and GET_IRQ_INFO, as every bus driver answers them: the fixed structs, and behind a region's a
 * chain of capabilities.
 */
import type { UserArgument } from '../process/user-argument.ts';
import { get, set } from '../uapi/struct.ts';
import { VFIO_REGION_INFO_FLAG_CAPS, vfio_device_info, vfio_irq_info, vfio_region_info } from '../uapi/vfio.ts';
import type { InfoCaps } from './info-caps.ts';
import { NO_INDEX } from './vfio-reasons.ts';

/** Bytes of struct vfio_device_info up to num_irqs: all that the first version had, and all that most drivers write. */
const DEVICE_INFO_BYTES = 16;

/** What a driver says of one region. */
export interface RegionAnswer {
  /** Bits VFIO_REGION_INFO_FLAG_* without CAPS, which comes with `caps`. */
  readonly flags: number;
  /** In bytes. */
  readonly size: number;
  /** In the device fd, in bytes. */
  readonly offset: number;
  /** Told where argsz has room for them; else argsz says how much room they need. @default none */
  readonly caps?: InfoCaps | undefined;
}

/** What a driver says of the interrupts of one index. */
export interface IrqAnswer {
  /** Bits VFIO_IRQ_INFO_*. */
  readonly flags: number;
  /** How many interrupts the index has, from 0. */
  readonly count: number;
}

/**
 * VFIO_DEVICE_GET_INFO, for a driver. Writes back 16 bytes, whatever argsz says.
 *
 * @param flags bits VFIO_DEVICE_FLAGS_*
 * @param regions one more than the highest region index
 * @param irqs one more than the highest interrupt index
 * @returns 0, -EINVAL for a short argsz, -EFAULT
 */
export function deviceInfo(argument: UserArgument, flags: number, regions: number, irqs: number): number {
  const info = copyIn(argument, DEVICE_INFO_BYTES);
  if (typeof info === 'number') return info;
  set(info, vfio_device_info.flags, flags);
  set(info, vfio_device_info.num_regions, regions);
  set(info, vfio_device_info.num_irqs, irqs);
  return argument.copyOut(info) ? 0 : argument.fault();
}

/**
 * VFIO_DEVICE_GET_REGION_INFO, for a driver. `region` answers for an index; undefined is -EINVAL.
 *
 * @returns 0, -EINVAL also for a short argsz, -EFAULT
 */
export function regionInfo(argument: UserArgument, region: (index: number) => RegionAnswer | undefined): number {
  const info = copyIn(argument, vfio_region_info.size);
  if (typeof info === 'number') return info;
  const index = get(info, vfio_region_info.index);
  const answer = region(index);
  if (answer === undefined) return argument.refuse(NO_INDEX, { request: argument.request, index });
  const { flags, size, offset, caps } = answer;
  set(info, vfio_region_info.flags, caps === undefined ? flags : flags | VFIO_REGION_INFO_FLAG_CAPS);
  set(info, vfio_region_info.region_size, size);
  set(info, vfio_region_info.offset, offset);
  if (caps !== undefined) {
    const needed = info.length + caps.length;
    const fits = get(info, vfio_region_info.argsz) >= needed;
    if (fits && !argument.copyOut(caps.bytes, info.length)) return argument.fault();
    if (!fits) set(info, vfio_region_info.argsz, needed);
    set(info, vfio_region_info.cap_offset, fits ? info.length : 0);
  }
  return argument.copyOut(info) ? 0 : argument.fault();
}

/**
 * VFIO_DEVICE_GET_IRQ_INFO, for a driver. `irq` answers for an index; undefined is -EINVAL.
 *
 * @returns 0, -EINVAL also for a short argsz, -EFAULT
 */
export function irqInfo(argument: UserArgument, irq: (index: number) => IrqAnswer | undefined): number {
  const info = copyIn(argument, vfio_irq_info.size);
  if (typeof info === 'number') return info;
  const index = get(info, vfio_irq_info.index);
  const answer = irq(index);
  if (answer === undefined) return argument.refuse(NO_INDEX, { request: argument.request, index });
  set(info, vfio_irq_info.flags, answer.flags);
  set(info, vfio_irq_info.count, answer.count);
  return argument.copyOut(info) ? 0 : argument.fault();
}

/** The first bytes of a struct that begins with argsz, which says at least so many. */
function copyIn(argument: UserArgument, bytes: number): Uint8Array | number {
  const info = argument.copyIn(bytes);
  if (info === undefined) return argument.fault();
  const argsz = get(info, vfio_device_info.argsz);
  return argsz < bytes ? argument.tooShort(argsz, bytes) : info;
}
