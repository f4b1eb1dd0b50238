/** Commands that a client might send to the fake device, and what may become of a message on its way. */
import { type Random, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_PROBE, VFIO_DEVICE_FEATURE_SET } from '@vsim/vfio-core';
import { edgeAddress, pick } from '../../../testing/fuzz.ts';
import type { CommandName } from '../src/wire/commands.ts';
import type { Command } from '../src/wire/messages.ts';
import { IRQ_COUNTS, REGION_SIZES, REGISTERS } from './fake-device.ts';
import { randomCommand } from './random-messages.ts';

const NONE = new Uint8Array(0);

/** A command whose fields mostly fit the device. */
export function plausibleCommand(random: Random, name: CommandName): Command {
  if (random.below(8) === 0) return randomCommand(random, name);
  const region = pick(random, [0, 0, 0, 2, 7, random.below(12)]);
  const offset = BigInt(pick(random, [REGISTERS.IOVA, REGISTERS.LENGTH, REGISTERS.GO, REGISTERS.GO, REGISTERS.RAISE, random.below(0x1010), REGION_SIZES[region] ?? 0]));
  const iova = BigInt(random.below(24) * 4096);
  const length = BigInt((1 + random.below(4)) * 4096);
  switch (name) {
    case 'VERSION':
      return { name, major: 0, minor: random.below(3), text: pick(random, [undefined, '{"capabilities":{"max_msg_fds":16}}', '{"capabilities":{"pgsizes":4096.5}}', '{"']) };
    case 'DMA_MAP':
      return { name, argsz: 32, flags: 1 + random.below(3), offset: BigInt(random.below(4) * 4096), iova: random.below(6) === 0 ? edgeAddress(random) : iova, length };
    case 'DMA_UNMAP':
      return random.below(4) === 0 ? { name, argsz: 24, flags: 2, iova: 0n, length: 0n } : { name, argsz: 24, flags: 0, iova, length };
    case 'DEVICE_GET_INFO':
      return { name, argsz: 16 + random.below(9), flags: 0, regions: 0, irqs: 0 };
    case 'DEVICE_GET_REGION_INFO':
      return { name, argsz: 32 + random.below(80), flags: 0, index: region, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE };
    case 'DEVICE_GET_REGION_IO_FDS':
      return { name, argsz: 16 + random.below(90), flags: 0, index: region, count: 0, ioFds: [] };
    case 'DEVICE_GET_IRQ_INFO':
      return { name, argsz: 16, flags: 0, index: random.below(6), count: 0 };
    case 'DEVICE_SET_IRQS': {
      const index = random.below(IRQ_COUNTS.length);
      const start = random.below(2);
      const count = random.below((IRQ_COUNTS[index] ?? 0) + 1);
      const kind = pick(random, [1, 2, 4, 4]);
      const data = kind === 2 ? random.bytes(count) : NONE;
      return { name, argsz: 20 + data.length, flags: kind | pick(random, [8, 16, 32, 32]), index, start, count, data };
    }
    case 'REGION_READ':
      return { name, offset, region, count: random.below(20), data: NONE };
    case 'REGION_WRITE': {
      if (random.below(4) === 0) return { name, offset: BigInt(REGISTERS.GO), region: 0, count: 1, data: Uint8Array.of(1 + random.below(2)) };
      const data = pick(random, [Uint8Array.of(random.below(4)), Uint8Array.of(0, random.below(256), random.below(2), 0), random.bytes(random.below(20))]);
      return { name, offset, region, count: data.length, data };
    }
    case 'DMA_READ':
      return { name, iova, count: BigInt(random.below(40)), data: NONE };
    case 'DMA_WRITE': {
      const data = random.bytes(random.below(40));
      return { name, iova, count: BigInt(data.length), data };
    }
    case 'DEVICE_RESET':
      return { name };
    case 'REGION_WRITE_MULTI': {
      const writes = Array.from({ length: random.below(4) }, () => ({ offset, region, data: random.bytes(random.below(9)) }));
      return { name, count: BigInt(writes.length), writes };
    }
    case 'DEVICE_FEATURE': {
      if (random.below(3) === 0) return { name, argsz: 16, flags: 2 | VFIO_DEVICE_FEATURE_SET, data: Uint8Array.of(pick(random, [3, 4]), 0, 0, 0, 0, 0, 0, 0) };
      const flags = pick(random, [1, 2, 2, 8, random.below(14)]) | pick(random, [VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_SET, VFIO_DEVICE_FEATURE_PROBE, 0]);
      const data = pick(random, [NONE, Uint8Array.of(1 + random.below(7), 0, 0, 0, 0, 0, 0, 0), report(random)]);
      return { name, argsz: 8 + random.below(60), flags, data };
    }
    case 'MIG_DATA_READ': {
      const size = random.below(40);
      return { name, argsz: 8 + size - (random.below(8) === 0 ? 1 : 0), length: size, data: NONE };
    }
    case 'MIG_DATA_WRITE': {
      const data = random.bytes(random.below(40));
      return { name, argsz: 8, length: data.length, data };
    }
  }
}

/** The range of a report of dirty pages. */
function report(random: Random): Uint8Array {
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  view.setBigUint64(8, BigInt(random.below(200) * 4096), true);
  view.setBigUint64(16, pick(random, [4096n, 4096n, 8192n, 0n, 1n]), true);
  return data;
}

const EDGES = [0, 1, 8, 15, 16, 17, 24, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** A message as it may arrive: mostly as it was sent, else with one thing wrong. */
export function mutated(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  switch (random.below(24)) {
    case 0:
      copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 1: // a field of 4 bytes behind the header
      if (copy.length >= 20) view.setUint32(16 + 4 * random.below(Math.floor((copy.length - 16) / 4)), pick(random, EDGES), true);
      return copy;
    case 2: // cut, and the header knows
    case 3: // cut, and it does not
      return resized(copy, random.below(copy.length + 1), random.below(2) === 0);
    case 4:
      return resized(copy, copy.length + 1 + random.below(40), random.below(4) > 0);
    case 5:
      view.setUint32(4, pick(random, EDGES), true);
      return copy;
    case 6:
      view.setUint16(2, random.below(24), true);
      return copy;
    case 7:
      view.setUint32(8, pick(random, [0x10, 0x10, 0x20, 0x40, 1, 0x21, 2]), true);
      return copy;
    default:
      return copy;
  }
}

function resized(bytes: Uint8Array, size: number, told: boolean): Uint8Array {
  const other = new Uint8Array(size);
  other.set(bytes.subarray(0, size));
  if (told && size >= 8) new DataView(other.buffer).setUint32(4, size, true);
  return other;
}
