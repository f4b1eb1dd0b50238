/** Whether a reply can answer a command: a server is not trusted to. */
import { VFIO_REGION_INFO_FLAG_CAPS, VFIO_REGION_INFO_FLAG_MMAP } from '@vsim/vfio-core';
import { REGION_INFO_LAYOUT } from '../wire/layouts.ts';
import type { Command, RegionIoFdsMessage, RegionInfoMessage, Reply } from '../wire/messages.ts';

/** What is wrong with it, in words. @param size bytes of the reply's payload @param descriptors how many came beside it @returns undefined: nothing */
export function wrongReply(asked: Command, reply: Reply, size: number, descriptors: number): string | undefined {
  if ('argsz' in asked && reply.name !== 'DONE' && size > asked.argsz) return `${asked.name} is answered by ${size} bytes, for which there is no room`;
  if (descriptors > 0 && reply.name !== 'DEVICE_GET_REGION_INFO' && reply.name !== 'DEVICE_GET_REGION_IO_FDS') return `${asked.name} is answered with descriptors`;
  return same(asked, reply) && (reply.name !== 'DEVICE_GET_REGION_INFO' || region(reply, descriptors)) && (reply.name !== 'DEVICE_GET_REGION_IO_FDS' || ioFds(reply, descriptors))
    ? undefined
    : `${asked.name} is answered by something else`;
}

/** Whether it is of what was asked for, and not of more. */
function same(asked: Command, reply: Reply): boolean {
  switch (reply.name) {
    case 'DMA_UNMAP':
      return asked.name === reply.name && reply.iova === asked.iova;
    case 'DEVICE_GET_REGION_INFO':
    case 'DEVICE_GET_REGION_IO_FDS':
    case 'DEVICE_GET_IRQ_INFO':
      return asked.name === reply.name && reply.index === asked.index;
    case 'REGION_READ':
    case 'REGION_WRITE':
      return asked.name === reply.name && reply.region === asked.region && reply.offset === asked.offset && reply.count <= asked.count;
    case 'REGION_WRITE_MULTI':
      return asked.name === reply.name && reply.count <= asked.count;
    case 'DEVICE_FEATURE':
      return asked.name === reply.name && reply.flags === asked.flags;
    case 'MIG_DATA_READ':
      return asked.name === reply.name && reply.length <= asked.length;
    // These have nothing of the command's; a client decodes no others.
    case 'VERSION':
    case 'DEVICE_GET_INFO':
    case 'DONE':
    case 'MIG_DATA_WRITE':
    case 'DMA_READ':
    case 'DMA_WRITE':
      return true;
  }
}

/** A descriptor comes with all of a region that may be mapped, and with nothing else; capabilities are behind the fixed part. */
function region(reply: RegionInfoMessage, descriptors: number): boolean {
  const whole = reply.argsz <= REGION_INFO_LAYOUT.size + reply.capabilities.length;
  const mapped = (reply.flags & VFIO_REGION_INFO_FLAG_MMAP) !== 0;
  const capabilities = whole && (reply.flags & VFIO_REGION_INFO_FLAG_CAPS) !== 0;
  return descriptors === (whole && mapped ? 1 : 0) && (!capabilities || reply.capOffset >= REGION_INFO_LAYOUT.size);
}

function ioFds(reply: RegionIoFdsMessage, descriptors: number): boolean {
  return reply.ioFds.every(({ fdIndex }) => fdIndex < descriptors);
}
