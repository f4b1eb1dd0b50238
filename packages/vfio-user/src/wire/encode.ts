/** Messages as bytes. */
import { set } from '@vsim/vfio-core';
import { joined } from './bytes.ts';
import { COMMANDS, type CommandName } from './commands.ts';
import { encodeHeader, FLAG_ERROR, FLAG_REPLY, HEADER_SIZE } from './header.ts';
import * as layouts from './layouts.ts';
import type { Command, IoFd, Reply, SingleWrite } from './messages.ts';

const NONE = new Uint8Array(0);
const encoder = new TextEncoder();

/** A command as bytes. @param id of 16 bits @param flags FLAG_NO_REPLY or 0 */
export function encodeCommand(id: number, command: Command, flags = 0): Uint8Array {
  return message(id, COMMANDS[command.name], flags, payload(command));
}

/** A reply as bytes. @param id the command's @param command what it answers */
export function encodeReply(id: number, command: CommandName, reply: Reply): Uint8Array {
  return message(id, COMMANDS[command], FLAG_REPLY, reply.name === 'DONE' ? NONE : payload(reply));
}

/** A reply that says that the command failed. @param id the command's @param command its number, which may be none of the protocol's @param errno positive */
export function encodeError(id: number, command: number, errno: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  encodeHeader(bytes, { id, command, size: HEADER_SIZE, flags: FLAG_REPLY | FLAG_ERROR, error: errno });
  return bytes;
}

function message(id: number, command: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + body.length);
  encodeHeader(bytes, { id, command, size: bytes.length, flags, error: 0 });
  bytes.set(body, HEADER_SIZE);
  return bytes;
}

function payload(message: Command): Uint8Array {
  switch (message.name) {
    case 'VERSION': {
      const text = message.text === undefined ? NONE : encoder.encode(`${message.text}\0`);
      const bytes = withTail(layouts.VERSION_LAYOUT.size, text);
      set(bytes, layouts.VERSION_LAYOUT.major, message.major);
      set(bytes, layouts.VERSION_LAYOUT.minor, message.minor);
      return bytes;
    }
    case 'DMA_MAP': {
      const bytes = argument(layouts.DMA_MAP_LAYOUT.size, message);
      set(bytes, layouts.DMA_MAP_LAYOUT.offset, message.offset);
      set(bytes, layouts.DMA_MAP_LAYOUT.iova, message.iova);
      set(bytes, layouts.DMA_MAP_LAYOUT.length, message.length);
      return bytes;
    }
    case 'DMA_UNMAP': {
      const bytes = argument(layouts.DMA_UNMAP_LAYOUT.size, message);
      set(bytes, layouts.DMA_UNMAP_LAYOUT.iova, message.iova);
      set(bytes, layouts.DMA_UNMAP_LAYOUT.length, message.length);
      return bytes;
    }
    case 'DEVICE_GET_INFO': {
      const bytes = argument(layouts.DEVICE_INFO_LAYOUT.size, message);
      set(bytes, layouts.DEVICE_INFO_LAYOUT.regions, message.regions);
      set(bytes, layouts.DEVICE_INFO_LAYOUT.irqs, message.irqs);
      return bytes;
    }
    case 'DEVICE_GET_REGION_INFO': {
      const bytes = argument(layouts.REGION_INFO_LAYOUT.size, message, message.capabilities);
      set(bytes, layouts.REGION_INFO_LAYOUT.index, message.index);
      set(bytes, layouts.REGION_INFO_LAYOUT.capOffset, message.capOffset);
      set(bytes, layouts.REGION_INFO_LAYOUT.length, message.length);
      set(bytes, layouts.REGION_INFO_LAYOUT.offset, message.offset);
      return bytes;
    }
    case 'DEVICE_GET_REGION_IO_FDS': {
      const bytes = argument(layouts.REGION_IO_FDS_LAYOUT.size, message, joined(message.ioFds.map(ioFd)));
      set(bytes, layouts.REGION_IO_FDS_LAYOUT.index, message.index);
      set(bytes, layouts.REGION_IO_FDS_LAYOUT.count, message.count);
      return bytes;
    }
    case 'DEVICE_GET_IRQ_INFO': {
      const bytes = argument(layouts.IRQ_INFO_LAYOUT.size, message);
      set(bytes, layouts.IRQ_INFO_LAYOUT.index, message.index);
      set(bytes, layouts.IRQ_INFO_LAYOUT.count, message.count);
      return bytes;
    }
    case 'DEVICE_SET_IRQS': {
      const bytes = argument(layouts.SET_IRQS_LAYOUT.size, message, message.data);
      set(bytes, layouts.SET_IRQS_LAYOUT.index, message.index);
      set(bytes, layouts.SET_IRQS_LAYOUT.start, message.start);
      set(bytes, layouts.SET_IRQS_LAYOUT.count, message.count);
      return bytes;
    }
    case 'REGION_READ':
    case 'REGION_WRITE': {
      const bytes = withTail(layouts.REGION_ACCESS_LAYOUT.size, message.data);
      set(bytes, layouts.REGION_ACCESS_LAYOUT.offset, message.offset);
      set(bytes, layouts.REGION_ACCESS_LAYOUT.region, message.region);
      set(bytes, layouts.REGION_ACCESS_LAYOUT.count, message.count);
      return bytes;
    }
    case 'DMA_READ':
    case 'DMA_WRITE': {
      const bytes = withTail(layouts.DMA_ACCESS_LAYOUT.size, message.data);
      set(bytes, layouts.DMA_ACCESS_LAYOUT.iova, message.iova);
      set(bytes, layouts.DMA_ACCESS_LAYOUT.count, message.count);
      return bytes;
    }
    case 'DEVICE_RESET':
      return NONE;
    case 'REGION_WRITE_MULTI': {
      const bytes = withTail(layouts.WRITE_MULTI_LAYOUT.size, joined(message.writes.map(singleWrite)));
      set(bytes, layouts.WRITE_MULTI_LAYOUT.count, message.count);
      return bytes;
    }
    case 'DEVICE_FEATURE':
      return argument(layouts.FEATURE_LAYOUT.size, message, message.data);
    case 'MIG_DATA_READ':
    case 'MIG_DATA_WRITE': {
      const bytes = withTail(layouts.MIG_DATA_LAYOUT.size, message.data);
      set(bytes, layouts.MIG_DATA_LAYOUT.argsz, message.argsz);
      set(bytes, layouts.MIG_DATA_LAYOUT.length, message.length);
      return bytes;
    }
  }
}

/** A payload that begins with argsz and flags, as most do. */
function argument(size: number, { argsz, flags }: { readonly argsz: number; readonly flags: number }, tail: Uint8Array = NONE): Uint8Array {
  const bytes = withTail(size, tail);
  set(bytes, layouts.FEATURE_LAYOUT.argsz, argsz);
  set(bytes, layouts.FEATURE_LAYOUT.flags, flags);
  return bytes;
}

function ioFd(part: IoFd): Uint8Array {
  const bytes = new Uint8Array(layouts.IO_FD_LAYOUT.size);
  set(bytes, layouts.IO_FD_LAYOUT.offset, part.offset);
  set(bytes, layouts.IO_FD_LAYOUT.length, part.length);
  set(bytes, layouts.IO_FD_LAYOUT.fdIndex, part.fdIndex);
  set(bytes, layouts.IO_FD_LAYOUT.type, part.type);
  set(bytes, layouts.IO_FD_LAYOUT.flags, part.flags);
  set(bytes, layouts.IO_FD_LAYOUT.data, part.data);
  return bytes;
}

function singleWrite({ offset, region, data }: SingleWrite): Uint8Array {
  const bytes = new Uint8Array(layouts.SINGLE_WRITE_LAYOUT.size);
  set(bytes, layouts.SINGLE_WRITE_LAYOUT.offset, offset);
  set(bytes, layouts.SINGLE_WRITE_LAYOUT.region, region);
  set(bytes, layouts.SINGLE_WRITE_LAYOUT.count, data.length);
  bytes.set(data, SINGLE_WRITE_DATA);
  return bytes;
}

/** Where the data of a single write begin, in bytes. */
const SINGLE_WRITE_DATA = 16;

function withTail(size: number, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(size + tail.length);
  bytes.set(tail, size);
  return bytes;
}
