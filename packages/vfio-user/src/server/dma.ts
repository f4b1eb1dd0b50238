/** DMA_MAP and DMA_UNMAP: which memory of the client the device reaches. */
import {
  EEXIST,
  EINVAL,
  ENOSPC,
  type FrameMap,
  type FrameRange,
  passes64,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  wideRangeEnd,
} from '@vsim/vfio-core';
import type { Agreement } from '../negotiation/negotiate.ts';
import { closeAll, type Descriptor } from '../wire/descriptor.ts';
import { DMA_UNMAP_LAYOUT } from '../wire/layouts.ts';
import { type DmaMapMessage, type DmaUnmapMessage, type Refused, refused } from '../wire/messages.ts';
import { type Answer, deviceRefused, DONE } from './answer.ts';
import { type DmaLink, MessageMemory } from './message-memory.ts';
import type { ServedDevice } from './served-device.ts';

const END = 1n << 64n;
const PAGE = 4096n;
const EXACT = BigInt(Number.MAX_SAFE_INTEGER);

/** What a session's maps are made of. */
export interface DmaParts {
  readonly device: Pick<ServedDevice, 'mapDma' | 'unmapDma'>;
  readonly agreement: Agreement;
  readonly link: DmaLink;
  /** What is mapped, kept with the device's. */
  readonly ranges: FrameMap<FrameRange>;
}

/** DMA_MAP. Descriptors are closed: a mapping outlives them, and a vIOMMU brings one for each page. */
export function answerDmaMap(parts: DmaParts, asked: DmaMapMessage, descriptors: readonly Descriptor[]): Answer {
  const answer = map(parts, asked, descriptors);
  closeAll(descriptors);
  return answer;
}

function map({ device, agreement, link, ranges }: DmaParts, asked: DmaMapMessage, descriptors: readonly Descriptor[]): Answer {
  const { iova, length, offset } = asked;
  const [descriptor, ...surplus] = descriptors;
  if (surplus.length > 0) return refused(EINVAL, 'DMA_MAP has one descriptor or none');
  const wrong = wrongRange(iova, length);
  if (wrong !== undefined) return wrong;
  if (length > EXACT) return refused(EINVAL, 'DMA_MAP is of more bytes than can be counted');
  if (descriptor !== undefined && (offset % PAGE !== 0n || offset > EXACT)) return refused(EINVAL, 'the offset in the file is no multiple of 4096');
  const range = framesIn(iova, length);
  if (ranges.firstIn(range.first, range.last) !== undefined) return refused(EEXIST, 'DMA_MAP over what is mapped');
  if (ranges.size >= agreement.own.maxDmaMaps) return refused(ENOSPC, `${ranges.size} ranges are mapped, and no more may be`);
  const size = Number(length);
  const write = (asked.flags & VFIO_DMA_MAP_FLAG_WRITE) !== 0;
  const memory = descriptor === undefined ? new MessageMemory(link, iova, size, agreement.peer.maxDataXferSize) : descriptor.map(Number(offset), size, write);
  if (typeof memory === 'number') return refused(-memory, 'the descriptor cannot be mapped');
  const code = device.mapDma({ iova, size, read: (asked.flags & VFIO_DMA_MAP_FLAG_READ) !== 0, write, memory });
  if (code < 0) {
    memory.unmap();
    return deviceRefused(code, 'DMA_MAP');
  }
  ranges.insert(range);
  return DONE;
}

/**
 * DMA_UNMAP. The specification wants one range exactly as it was mapped. QEMU unmaps what holds many, or none, when a vIOMMU goes away, and maps over what was
 * left after an error: whatever lies inside goes, and that is no error. The reply is the request.
 */
export function answerDmaUnmap({ device, ranges }: DmaParts, asked: DmaUnmapMessage): Answer {
  let { iova, length } = asked;
  if ((asked.flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0) {
    if (iova !== 0n || length !== 0n) return refused(EINVAL, 'DMA_UNMAP of all has an address or a size');
    length = END;
    iova = 0n;
  } else {
    const wrong = wrongRange(iova, length);
    if (wrong !== undefined) return wrong;
  }
  const code = device.unmapDma(iova, length);
  if (code < 0) return deviceRefused(code, 'DMA_UNMAP');
  const { first, last } = framesIn(iova, length);
  ranges.removeInside(first, last);
  return { reply: { ...asked, argsz: DMA_UNMAP_LAYOUT.size } };
}

/** The page frames of a range of whole pages. */
function framesIn(iova: bigint, length: bigint): FrameRange {
  return { first: Number(iova / PAGE), last: Number(wideRangeEnd(iova, length) / PAGE) - 1 };
}

function wrongRange(iova: bigint, length: bigint): Refused | undefined {
  if (length === 0n || iova % PAGE !== 0n || length % PAGE !== 0n) return refused(EINVAL, 'a range of memory is not of whole pages of 4096 bytes');
  return passes64(iova, length) ? refused(EINVAL, 'a range of memory ends behind the last address') : undefined;
}
