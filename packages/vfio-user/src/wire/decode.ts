/**
 * Payloads as messages, strictly: a payload of another size than its fields say is refused with EINVAL, and so are bits that the protocol has not.
 * Data are views of the payload.
 */
import {
  EINVAL,
  ENOTTY,
  get,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_IRQ_SET_ACTION_TYPE_MASK,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_TYPE_MASK,
} from '@vsim/vfio-core';
import { commandName, type CommandName } from './commands.ts';
import { HEADER_SIZE, type Header } from './header.ts';
import * as layouts from './layouts.ts';
import { refused, type Command, type IoFd, type Refused, type Reply, type SingleWrite } from './messages.ts';

const NONE = new Uint8Array(0);

/**
 * The command in the bytes of a whole message.
 *
 * @returns ENOTTY for a command that the protocol has not, EINVAL for a payload that its command cannot have. libvfio-user answers EINVAL to both; ENOTTY lets
 *   a client tell a command that this server is too old for from one that it sent wrongly, and QEMU treats all errnos alike
 */
export function decodeCommand(header: Pick<Header, 'command'>, bytes: Uint8Array): Command | Refused {
  const name = commandName(header.command);
  if (name === undefined) return refused(ENOTTY, `there is no command ${header.command}`);
  const body = bytes.subarray(HEADER_SIZE);
  if (name === 'DMA_MAP') return dmaMap(body);
  if (name === 'DEVICE_SET_IRQS') return setIrqs(body);
  if (name === 'DEVICE_RESET') return body.length === 0 ? { name } : wrongSize(name, body, 0);
  return both(name, body, false);
}

/** The reply to a command in the bytes of a whole message, whose header has no FLAG_ERROR. @returns EINVAL for what cannot answer it */
export function decodeReply(command: CommandName, bytes: Uint8Array): Reply | Refused {
  const body = bytes.subarray(HEADER_SIZE);
  if (command === 'DMA_MAP' || command === 'DEVICE_SET_IRQS' || command === 'DEVICE_RESET' || command === 'MIG_DATA_WRITE') {
    return body.length === 0 ? { name: 'DONE' } : wrongSize(command, body, 0);
  }
  return both(command, body, true);
}

/** What has the same fields both ways. */
function both(name: Exclude<CommandName, 'DMA_MAP' | 'DEVICE_SET_IRQS' | 'DEVICE_RESET'>, body: Uint8Array, reply: boolean): Exclude<Reply, { name: 'DONE' }> | Refused {
  switch (name) {
    case 'VERSION':
      return version(body);
    case 'DMA_UNMAP': {
      const { size, argsz, flags, iova, length } = layouts.DMA_UNMAP_LAYOUT;
      const wrong = wrongArgument(name, body, size);
      if (wrong !== undefined) return wrong;
      if ((get(body, flags) & ~VFIO_DMA_UNMAP_FLAG_ALL) !== 0) return refused(EINVAL, 'DMA_UNMAP knows one flag, all');
      return { name, argsz: get(body, argsz), flags: get(body, flags), iova: get(body, iova), length: get(body, length) };
    }
    case 'DEVICE_GET_INFO': {
      const { size, argsz, flags, regions, irqs } = layouts.DEVICE_INFO_LAYOUT;
      const wrong = wrongArgument(name, body, size);
      if (wrong !== undefined) return wrong;
      return { name, argsz: get(body, argsz), flags: get(body, flags), regions: get(body, regions), irqs: get(body, irqs) };
    }
    case 'DEVICE_GET_REGION_INFO': {
      const { size, argsz, flags, index, capOffset, length, offset } = layouts.REGION_INFO_LAYOUT;
      const wrong = wrongArgument(name, body, size, reply);
      if (wrong !== undefined) return wrong;
      return {
        name,
        argsz: get(body, argsz),
        flags: get(body, flags),
        index: get(body, index),
        capOffset: get(body, capOffset),
        length: get(body, length),
        offset: get(body, offset),
        capabilities: body.subarray(size),
      };
    }
    case 'DEVICE_GET_REGION_IO_FDS': {
      const { size, argsz, flags, index, count } = layouts.REGION_IO_FDS_LAYOUT;
      const wrong = wrongArgument(name, body, size, reply);
      if (wrong !== undefined) return wrong;
      const parts = (body.length - size) / layouts.IO_FD_LAYOUT.size;
      if (!Number.isInteger(parts) || (parts !== 0 && parts !== get(body, count))) return refused(EINVAL, `${name} has ${body.length} bytes for ${get(body, count)} parts`);
      return { name, argsz: get(body, argsz), flags: get(body, flags), index: get(body, index), count: get(body, count), ioFds: ioFds(body.subarray(size)) };
    }
    case 'DEVICE_GET_IRQ_INFO': {
      const { size, argsz, flags, index, count } = layouts.IRQ_INFO_LAYOUT;
      const wrong = wrongArgument(name, body, size);
      if (wrong !== undefined) return wrong;
      return { name, argsz: get(body, argsz), flags: get(body, flags), index: get(body, index), count: get(body, count) };
    }
    case 'REGION_READ':
    case 'REGION_WRITE': {
      const { size, offset, region, count } = layouts.REGION_ACCESS_LAYOUT;
      if (body.length < size) return wrongSize(name, body, size);
      const data = (name === 'REGION_READ') === reply ? get(body, count) : 0;
      if (body.length !== size + data) return wrongSize(name, body, size + data);
      return { name, offset: get(body, offset), region: get(body, region), count: get(body, count), data: body.subarray(size) };
    }
    case 'DMA_READ':
    case 'DMA_WRITE': {
      const { size, iova, count } = layouts.DMA_ACCESS_LAYOUT;
      const short = layouts.SHORT_DMA_REPLY_LAYOUT;
      if (name === 'DMA_WRITE' && reply && body.length === short.size) return { name, iova: get(body, short.iova), count: BigInt(get(body, short.count)), data: NONE };
      if (body.length < size) return wrongSize(name, body, size);
      const data = (name === 'DMA_READ') === reply ? get(body, count) : 0n;
      if (BigInt(body.length - size) !== data) return wrongSize(name, body, BigInt(size) + data);
      return { name, iova: get(body, iova), count: get(body, count), data: body.subarray(size) };
    }
    case 'REGION_WRITE_MULTI':
      return writeMulti(body, reply);
    case 'DEVICE_FEATURE': {
      const { size, argsz, flags } = layouts.FEATURE_LAYOUT;
      const wrong = wrongArgument(name, body, size, true);
      if (wrong !== undefined) return wrong;
      return { name, argsz: get(body, argsz), flags: get(body, flags), data: body.subarray(size) };
    }
    case 'MIG_DATA_READ':
    case 'MIG_DATA_WRITE': {
      const { size, argsz, length } = layouts.MIG_DATA_LAYOUT;
      if (body.length < size) return wrongSize(name, body, size);
      const data = (name === 'MIG_DATA_READ') === reply ? get(body, length) : 0;
      if (body.length !== size + data) return wrongSize(name, body, size + data);
      return { name, argsz: get(body, argsz), length: get(body, length), data: body.subarray(size) };
    }
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function version(body: Uint8Array): Extract<Command, { name: 'VERSION' }> | Refused {
  const { size, major, minor } = layouts.VERSION_LAYOUT;
  if (body.length < size) return wrongSize('VERSION', body, size);
  const numbers = { name: 'VERSION', major: get(body, major), minor: get(body, minor) } as const;
  if (body.length === size) return { ...numbers, text: undefined };
  if (body.at(-1) !== 0) return refused(EINVAL, 'the text of VERSION does not end with a NUL');
  try {
    return { ...numbers, text: decoder.decode(body.subarray(size, -1)) };
  } catch {
    return refused(EINVAL, 'the text of VERSION is not UTF-8');
  }
}

function dmaMap(body: Uint8Array): Command | Refused {
  const { size, argsz, flags, offset, iova, length } = layouts.DMA_MAP_LAYOUT;
  const wrong = wrongArgument('DMA_MAP', body, size);
  if (wrong !== undefined) return wrong;
  const access = get(body, flags);
  if (access === 0 || (access & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) !== 0) return refused(EINVAL, 'DMA_MAP is for reading, writing, or both');
  return { name: 'DMA_MAP', argsz: get(body, argsz), flags: access, offset: get(body, offset), iova: get(body, iova), length: get(body, length) };
}

function setIrqs(body: Uint8Array): Command | Refused {
  const name = 'DEVICE_SET_IRQS';
  const { size, argsz, flags, index, start, count } = layouts.SET_IRQS_LAYOUT;
  const wrong = wrongArgument(name, body, size, true);
  if (wrong !== undefined) return wrong;
  const kinds = get(body, flags);
  const data = kinds & VFIO_IRQ_SET_DATA_TYPE_MASK;
  const action = kinds & VFIO_IRQ_SET_ACTION_TYPE_MASK;
  if (!oneBit(data) || !oneBit(action) || kinds !== (data | action)) return refused(EINVAL, 'DEVICE_SET_IRQS has one kind of data and one action');
  const tail = data === VFIO_IRQ_SET_DATA_BOOL ? get(body, count) : 0;
  if (body.length !== size + tail) return wrongSize(name, body, size + tail);
  if (get(body, argsz) < body.length) return tooSmall(name, body.length);
  return { name, argsz: get(body, argsz), flags: kinds, index: get(body, index), start: get(body, start), count: get(body, count), data: body.subarray(size) };
}

function oneBit(bits: number): boolean {
  return bits !== 0 && (bits & (bits - 1)) === 0;
}

function writeMulti(body: Uint8Array, reply: boolean): Extract<Command, { name: 'REGION_WRITE_MULTI' }> | Refused {
  const name = 'REGION_WRITE_MULTI';
  const { size, count } = layouts.WRITE_MULTI_LAYOUT;
  if (body.length < size) return wrongSize(name, body, size);
  const claimed = get(body, count);
  const single = layouts.SINGLE_WRITE_LAYOUT;
  const wanted = BigInt(size) + (reply ? 0n : claimed * BigInt(single.size));
  if (BigInt(body.length) !== wanted) return wrongSize(name, body, wanted);
  const writes: SingleWrite[] = [];
  for (let at = size; at < body.length; at += single.size) {
    const one = body.subarray(at, at + single.size);
    const bytes = get(one, single.count);
    if (bytes > single.size - DATA) return refused(EINVAL, `a write of ${name} has room for ${single.size - DATA} bytes, not ${bytes}`);
    writes.push({ offset: get(one, single.offset), region: get(one, single.region), data: one.subarray(DATA, DATA + bytes) });
  }
  return { name, count: claimed, writes };
}

/** Where the data of a single write begin, in bytes. */
const DATA = 16;

function ioFds(bytes: Uint8Array): IoFd[] {
  const layout = layouts.IO_FD_LAYOUT;
  const parts: IoFd[] = [];
  for (let at = 0; at < bytes.length; at += layout.size) {
    const one = bytes.subarray(at, at + layout.size);
    parts.push({
      offset: get(one, layout.offset),
      length: get(one, layout.length),
      fdIndex: get(one, layout.fdIndex),
      type: get(one, layout.type),
      flags: get(one, layout.flags),
      data: get(one, layout.data),
    });
  }
  return parts;
}

/** Of a payload that begins with argsz: its size, or more where `open`, and an argsz that has room for the fixed part. */
function wrongArgument(name: CommandName, body: Uint8Array, size: number, open = false): Refused | undefined {
  if (body.length < size || (!open && body.length !== size)) return wrongSize(name, body, size);
  return get(body, layouts.FEATURE_LAYOUT.argsz) < size ? tooSmall(name, size) : undefined;
}

function tooSmall(name: CommandName, size: number): Refused {
  return refused(EINVAL, `argsz of ${name} is below ${size}`);
}

function wrongSize(name: CommandName, body: Uint8Array, wanted: number | bigint): Refused {
  return refused(EINVAL, `${name} has a payload of ${body.length} bytes, not ${wanted}`);
}
