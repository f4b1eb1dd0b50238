import type { UserArgument } from '../process/user-argument.ts';
import { get } from '../uapi/struct.ts';
import {
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  vfio_irq_set,
} from '../uapi/vfio.ts';
import { IRQ_FLAGS, IRQ_RANGE } from './vfio-reasons.ts';

const DATA_MASK = 7;
const ALL_FLAGS = 0x3f;

/** A request whose ranges have been checked. `data` has count elements of 1 (BOOL) or 4 bytes (EVENTFD). */
export interface IrqSet {
  /** The interrupt index, below `indices` of readIrqSet(). */
  readonly index: number;
  /** The first interrupt within the index. */
  readonly start: number;
  /** How many interrupts; start + count stays within the index. */
  readonly count: number;
  /** One of NONE, BOOL, EVENTFD. */
  readonly dataType: number;
  /** MASK, UNMASK and TRIGGER bits, as given: none or several are the driver's to refuse. */
  readonly action: number;
  /** `count` elements of 1 byte (BOOL) or 4 (EVENTFD, little-endian); empty for NONE. */
  readonly data: Uint8Array;
}

/**
 * Reads and checks the argument of VFIO_DEVICE_SET_IRQS, for a driver. Kernel: vfio_set_irqs_validate_and_prepare(). `irqs(index)` is the
 * count of interrupts of an index.
 *
 * @param indices how many interrupt indices the device has
 * @returns the request; -EFAULT or -EINVAL
 */
export function readIrqSet(argument: UserArgument, indices: number, irqs: (index: number) => number): IrqSet | number {
  const header = argument.copyIn(vfio_irq_set.size);
  if (header === undefined) return argument.fault();
  const argsz = get(header, vfio_irq_set.argsz);
  const flags = get(header, vfio_irq_set.flags);
  const index = get(header, vfio_irq_set.index);
  const start = get(header, vfio_irq_set.start);
  const count = get(header, vfio_irq_set.count);
  if (argsz < vfio_irq_set.size) return argument.tooShort(argsz, vfio_irq_set.size);
  if (index >= indices) return argument.refuse(IRQ_RANGE, { index, start, count, irqs: 0 });
  if (count >= 0xffff_ffff - start) return argument.refuse(IRQ_RANGE, { index, start, count, irqs: irqs(index) });
  if (flags > ALL_FLAGS) return argument.refuse(IRQ_FLAGS, { flags });
  const limit = irqs(index);
  if (start >= limit || start + count > limit) return argument.refuse(IRQ_RANGE, { index, start, count, irqs: limit });
  const dataType = flags & DATA_MASK;
  let size: number;
  switch (dataType) {
    case VFIO_IRQ_SET_DATA_NONE:
      size = 0;
      break;
    case VFIO_IRQ_SET_DATA_BOOL:
      size = 1;
      break;
    case VFIO_IRQ_SET_DATA_EVENTFD:
      size = 4;
      break;
    default:
      return argument.refuse(IRQ_FLAGS, { flags });
  }
  if (argsz - vfio_irq_set.size < count * size) return argument.tooShort(argsz, vfio_irq_set.size + count * size);
  const data = argument.copyIn(count * size, vfio_irq_set.size);
  if (data === undefined) return argument.fault();
  return { index, start, count, dataType, action: flags & ~DATA_MASK, data };
}
