import { expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { Process } from '../process/process.ts';
import { UserArgument } from '../process/user-argument.ts';
import { EFAULT, EINVAL } from '../uapi/errno.ts';
import { set } from '../uapi/struct.ts';
import { vfio_irq_set } from '../uapi/vfio.ts';
import { readIrqSet } from './set-irqs.ts';

const { mm } = new Process(new Host());
const IRQS = [4, 0];

interface Fields {
  argsz?: number;
  flags?: number;
  index?: number;
  start?: number;
  count?: number;
  data?: number;
}

/** What the check says of a request: its action and data, or the errno. */
function check({ data = 0, argsz = 20 + data, flags = 0x21, index = 0, start = 0, count = 1 }: Fields) {
  const bytes = new Uint8Array(20 + data);
  set(bytes, vfio_irq_set.argsz, argsz);
  set(bytes, vfio_irq_set.flags, flags);
  set(bytes, vfio_irq_set.index, index);
  set(bytes, vfio_irq_set.start, start);
  set(bytes, vfio_irq_set.count, count);
  const told = readIrqSet(new UserArgument(mm, bytes), IRQS.length, (i) => IRQS[i]!);
  return typeof told === 'number' ? told : [told.dataType, told.action, told.data.length];
}

it('takes a range inside the index, of the data that its type says', () => {
  expect(check({})).toEqual([1, 0x20, 0]);
  expect(check({ flags: 0x22, count: 4, data: 4 })).toEqual([2, 0x20, 4]);
  expect(check({ flags: 0x24, start: 2, count: 2, data: 8 })).toEqual([4, 0x20, 8]);
  expect(check({ count: 0, start: 3 })).toEqual([1, 0x20, 0]);
  // No action or several are the driver's to refuse.
  expect([check({ flags: 1 }), check({ flags: 0x39 })]).toEqual([[1, 0, 0], [1, 0x38, 0]]);
});

it('refuses every other', () => {
  const wrong: readonly Fields[] = [
    { argsz: 19 },
    { index: 2 },
    { start: 0xffff_fffe, count: 1 },
    { flags: 0x61 },
    { start: 4, count: 0 },
    { start: 3, count: 2 },
    { flags: 0x20 },
    { flags: 0x23 },
    { flags: 0x26, data: 8 },
    { flags: 0x24, count: 2, data: 7 },
    { flags: 0x22, count: 2, data: 1 },
    // An index without interrupts refuses even to be disabled.
    { index: 1, count: 0 },
  ];
  expect(wrong.map(check)).toEqual(wrong.map(() => -EINVAL));
});

it('tells a fault of the header and of the data', () => {
  expect(readIrqSet(new UserArgument(mm, 0), 1, () => 1)).toBe(-EFAULT);
  expect(check({ flags: 0x24, count: 1, argsz: 24 })).toBe(-EFAULT);
});
