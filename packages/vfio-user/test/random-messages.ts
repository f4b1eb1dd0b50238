/** Random messages of each kind, whose fields may be anything that their size allows. */
import type { Random } from '@vsim/vfio-core';
import { edgeAddress, pick, random64 } from '../../../testing/fuzz.ts';
import type { CommandName } from '../src/wire/commands.ts';
import type { Command, Reply } from '../src/wire/messages.ts';

const NONE = new Uint8Array(0);

/** What an argsz may be where the fixed part has `size` bytes. */
function argsz(random: Random, size: number): number {
  return size + random.below(100);
}

function some(random: Random, most = 40): Uint8Array {
  return random.bytes(random.below(most));
}

function u64(random: Random): bigint {
  return random.below(2) === 0 ? edgeAddress(random) : random64(random);
}

/** A command that decodes. */
export function randomCommand(random: Random, name: CommandName): Command {
  const u32 = (): number => random.uint32();
  switch (name) {
    case 'VERSION':
      return { name, major: random.below(65_536), minor: random.below(65_536), text: pick(random, [undefined, '', '{}', '{"capabilities":{"ü":1}}', '\ufeff{}']) };
    case 'DMA_MAP':
      return { name, argsz: argsz(random, 32), flags: 1 + random.below(3), offset: u64(random), iova: u64(random), length: u64(random) };
    case 'DMA_UNMAP':
      return { name, argsz: argsz(random, 24), flags: pick(random, [0, 2]), iova: u64(random), length: u64(random) };
    case 'DEVICE_GET_INFO':
      return { name, argsz: argsz(random, 16), flags: u32(), regions: u32(), irqs: u32() };
    case 'DEVICE_GET_REGION_INFO':
      return { name, argsz: argsz(random, 32), flags: u32(), index: u32(), capOffset: u32(), length: u64(random), offset: u64(random), capabilities: NONE };
    case 'DEVICE_GET_REGION_IO_FDS':
      return { name, argsz: argsz(random, 16), flags: u32(), index: u32(), count: u32(), ioFds: [] };
    case 'DEVICE_GET_IRQ_INFO':
      return { name, argsz: argsz(random, 16), flags: u32(), index: u32(), count: u32() };
    case 'DEVICE_SET_IRQS': {
      const kind = pick(random, [1, 2, 4]);
      const data = kind === 2 ? some(random) : NONE;
      return { name, argsz: argsz(random, 20 + data.length), flags: kind | pick(random, [8, 16, 32]), index: u32(), start: u32(), count: kind === 2 ? data.length : u32(), data };
    }
    case 'REGION_READ':
      return { name, offset: u64(random), region: u32(), count: u32(), data: NONE };
    case 'REGION_WRITE': {
      const data = some(random);
      return { name, offset: u64(random), region: u32(), count: data.length, data };
    }
    case 'DMA_READ':
      return { name, iova: u64(random), count: u64(random), data: NONE };
    case 'DMA_WRITE': {
      const data = some(random);
      return { name, iova: u64(random), count: BigInt(data.length), data };
    }
    case 'DEVICE_RESET':
      return { name };
    case 'REGION_WRITE_MULTI': {
      const writes = Array.from({ length: random.below(5) }, () => ({ offset: u64(random), region: u32(), data: random.bytes(random.below(9)) }));
      return { name, count: BigInt(writes.length), writes };
    }
    case 'DEVICE_FEATURE':
      return { name, argsz: argsz(random, 8), flags: u32(), data: some(random) };
    case 'MIG_DATA_READ':
      return { name, argsz: u32(), length: u32(), data: NONE };
    case 'MIG_DATA_WRITE': {
      const data = some(random);
      return { name, argsz: u32(), length: data.length, data };
    }
  }
}

/** A reply that decodes. */
export function randomReply(random: Random, name: CommandName): Reply {
  const command = randomCommand(random, name);
  switch (command.name) {
    case 'DMA_MAP':
    case 'DEVICE_SET_IRQS':
    case 'DEVICE_RESET':
      return { name: 'DONE' };
    case 'DEVICE_GET_REGION_INFO':
      return { ...command, capabilities: some(random) };
    case 'DEVICE_GET_REGION_IO_FDS': {
      const ioFds = Array.from({ length: random.below(4) }, () => ({
        offset: u64(random),
        length: u64(random),
        fdIndex: random.uint32(),
        type: random.uint32(),
        flags: random.uint32(),
        data: u64(random),
      }));
      return { ...command, count: ioFds.length === 0 ? command.count : ioFds.length, ioFds };
    }
    case 'REGION_READ':
    case 'REGION_WRITE': {
      const data = command.name === 'REGION_READ' ? some(random) : NONE;
      return { ...command, count: command.name === 'REGION_READ' ? data.length : command.count, data };
    }
    case 'DMA_READ':
    case 'DMA_WRITE': {
      const data = command.name === 'DMA_READ' ? some(random) : NONE;
      return { ...command, count: command.name === 'DMA_READ' ? BigInt(data.length) : command.count, data };
    }
    case 'REGION_WRITE_MULTI':
      return { ...command, count: u64(random), writes: [] };
    case 'MIG_DATA_READ': {
      const data = some(random);
      return { ...command, length: data.length, data };
    }
    case 'MIG_DATA_WRITE':
      return { name: 'DONE' };
    case 'VERSION':
    case 'DMA_UNMAP':
    case 'DEVICE_GET_INFO':
    case 'DEVICE_GET_IRQ_INFO':
    case 'DEVICE_FEATURE':
      return command;
  }
}
