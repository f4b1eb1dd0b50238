/** GET_INFO, GET_REGION_INFO and GET_IRQ_INFO as the sample drivers answer them: the fixed structs, no capabilities. */
import {
  EFAULT,
  EINVAL,
  get,
  set,
  vfio_device_info,
  vfio_irq_info,
  vfio_region_info,
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_PCI_NUM_IRQS,
  VFIO_PCI_NUM_REGIONS,
  type UserArgument,
} from '@vsim/vfio-core';

/** Writes back 16 bytes, whatever argsz says. */
export function deviceInfo(argument: UserArgument, flags: number = VFIO_DEVICE_FLAGS_PCI): number {
  const info = argument.copyIn(16);
  if (info === undefined) return -EFAULT;
  if (get(info, vfio_device_info.argsz) < info.length) return -EINVAL;
  set(info, vfio_device_info.flags, flags & ~VFIO_DEVICE_FLAGS_RESET);
  set(info, vfio_device_info.num_regions, VFIO_PCI_NUM_REGIONS);
  set(info, vfio_device_info.num_irqs, VFIO_PCI_NUM_IRQS);
  return argument.copyOut(info) ? 0 : -EFAULT;
}

/** What a driver says of one region. */
export interface RegionAnswer {
  readonly flags: number;
  readonly size: number;
  /** In the device fd. */
  readonly offset: number;
}

/** `region` answers for an index, or with -EINVAL. */
export function regionInfo(argument: UserArgument, region: (index: number) => RegionAnswer | number): number {
  const info = argument.copyIn(vfio_region_info.size);
  if (info === undefined) return -EFAULT;
  if (get(info, vfio_region_info.argsz) < info.length) return -EINVAL;
  const answer = region(get(info, vfio_region_info.index));
  if (typeof answer === 'number') return answer;
  set(info, vfio_region_info.flags, answer.flags);
  set(info, vfio_region_info.region_size, answer.size);
  set(info, vfio_region_info.offset, answer.offset);
  return argument.copyOut(info) ? 0 : -EFAULT;
}

/** `irq` answers flags and count for an index, or with -EINVAL. */
export function irqInfo(argument: UserArgument, irq: (index: number) => { readonly flags: number; readonly count: number } | number): number {
  const info = argument.copyIn(vfio_irq_info.size);
  if (info === undefined) return -EFAULT;
  if (get(info, vfio_irq_info.argsz) < info.length) return -EINVAL;
  const answer = irq(get(info, vfio_irq_info.index));
  if (typeof answer === 'number') return answer;
  set(info, vfio_irq_info.flags, answer.flags);
  set(info, vfio_irq_info.count, answer.count);
  return argument.copyOut(info) ? 0 : -EFAULT;
}

/** Calls `access` for naturally aligned pieces of 4, 2 and 1 bytes. @returns the count, or the first refusal */
export function inPieces(bytes: Uint8Array, offset: number, access: (piece: Uint8Array, at: number) => number): number {
  for (let done = 0; done < bytes.length; ) {
    const at = offset + done;
    const left = bytes.length - done;
    const width = left >= 4 && at % 4 === 0 ? 4 : left >= 2 && at % 2 === 0 ? 2 : 1;
    const error = access(bytes.subarray(done, done + width), at);
    if (error < 0) return error;
    done += width;
  }
  return bytes.length;
}
