import { ENOMEM, ETIMEDOUT, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';
import { poll, Registers } from './registers.ts';

const RING_SIZE = 0x1_0000;
const RING_VER = 0x0;
const RING_VER_MAGIC = 0x7630_3031;
const RING_CONTROL = 0x34;
const CONTROL_FLUSH = 0x20;
const RING_FLUSH_DONE = 0x38;
const MS = 1_000_000;

/**
 * Reset of Broadcom's FlexRM, a ring manager: every ring is stopped and flushed. Kernel: vfio_platform_bcmflexrm.c.
 *
 * Goes on with the next ring where one does not answer.
 *
 * @returns 0, -ETIMEDOUT or -ENOMEM
 */
export function* resetBcmFlexrm(device: PlatformDevice): Sleeps<number> {
  const rings = Registers.of(device, 0);
  if (rings === undefined) return -ENOMEM;
  let error = 0;
  for (let ring = 0; ring < rings.size; ring += RING_SIZE) {
    if (rings.read(ring + RING_VER) === RING_VER_MAGIC) error |= yield* shutDown(device, rings, ring);
  }
  return error;
}

function* shutDown(device: PlatformDevice, rings: Registers, ring: number): Sleeps<number> {
  const flushed = (): boolean => (rings.read(ring + RING_FLUSH_DONE) & 1) !== 0;
  rings.write(ring + RING_CONTROL, 0);
  rings.write(ring + RING_CONTROL, CONTROL_FLUSH);
  if (!(yield* poll(device, 1000, MS, flushed))) return -ETIMEDOUT;
  rings.write(ring + RING_CONTROL, 0);
  return (yield* poll(device, 1000, MS, () => !flushed())) ? 0 : -ETIMEDOUT;
}
