import { expect, it } from 'vitest';
import { Host } from '../host/host.ts';
import { Mm } from '../process/mm.ts';
import { UserArgument } from '../process/user-argument.ts';
import { EFAULT, EINVAL } from '../uapi/errno.ts';
import { get, set } from '../uapi/struct.ts';
import { VFIO_REGION_INFO_FLAG_CAPS, vfio_region_info } from '../uapi/vfio.ts';
import { deviceInfo, irqInfo, regionInfo } from './device-info.ts';
import { InfoCaps } from './info-caps.ts';

const mm = new Mm(new Host());

function argument(size: number, argsz = size): { readonly bytes: Uint8Array; readonly user: UserArgument } {
  const bytes = new Uint8Array(size);
  set(bytes, [0, 'u32'], argsz);
  return { bytes, user: new UserArgument(mm, bytes) };
}

it('GET_INFO writes 16 bytes, whatever argsz says', () => {
  const { bytes, user } = argument(24);
  bytes.fill(0xee, 16);
  expect([deviceInfo(user, 3, 9, 5), [...bytes]]).toEqual([0, [24, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, ...new Array<number>(8).fill(0xee)]]);
  expect([deviceInfo(argument(16, 15).user, 0, 0, 0), deviceInfo(argument(12).user, 0, 0, 0)]).toEqual([-EINVAL, -EFAULT]);
  expect([irqInfo(argument(16, 15).user, () => ({ flags: 0, count: 0 })), irqInfo(argument(16).user, () => undefined)]).toEqual([-EINVAL, -EINVAL]);
});

it('GET_REGION_INFO says how much room capabilities need, and tells them where there is that much', () => {
  const caps = new InfoCaps(vfio_region_info.size);
  caps.add(7, 1, 8);
  const region = () => ({ flags: 3, size: 64, offset: 0x1000, caps });
  const short = argument(vfio_region_info.size);
  expect([regionInfo(short.user, region), get(short.bytes, vfio_region_info.argsz), get(short.bytes, vfio_region_info.cap_offset)]).toEqual([0, 40, 0]);
  const long = argument(40);
  expect([regionInfo(long.user, region), get(long.bytes, vfio_region_info.flags), get(long.bytes, vfio_region_info.cap_offset), long.bytes[32]]).toEqual([
    0, 3 | VFIO_REGION_INFO_FLAG_CAPS, 32, 7,
  ]);
  // More is promised than there is.
  expect(regionInfo(argument(vfio_region_info.size, 40).user, region)).toBe(-EFAULT);
});
