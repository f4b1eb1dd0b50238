/** A server's device, by calls with types. Numbers below 0 are negative errnos. */
import { EINVAL, EIO } from '@vsim/vfio-core';
import type { Descriptor } from '../wire/descriptor.ts';
import { regionCapabilities, type RegionCapability } from '../wire/capabilities.ts';
import { closeAll } from '../wire/descriptor.ts';
import { DEVICE_INFO_LAYOUT, DMA_MAP_LAYOUT, DMA_UNMAP_LAYOUT, FEATURE_LAYOUT, IRQ_INFO_LAYOUT, MIG_DATA_LAYOUT, REGION_INFO_LAYOUT, REGION_IO_FDS_LAYOUT, SET_IRQS_LAYOUT } from '../wire/layouts.ts';
import type { Command, DeviceInfoMessage, IoFd, IrqInfoMessage, Reply, SingleWrite } from '../wire/messages.ts';
import type { ClientSession, Outcome } from './client-session.ts';

/** A region, as its server tells of it. */
export interface RemoteRegion {
  /** Bits VFIO_REGION_INFO_FLAG_*. */
  readonly flags: number;
  /** In bytes, of 64 bits. */
  readonly length: bigint;
  /** Where it begins in `memory`, in bytes, of 64 bits. */
  readonly offset: bigint;
  /** In the order of their chain. */
  readonly capabilities: readonly RegionCapability[];
  /** What may be mapped, and is the caller's; undefined: the region goes by messages alone. */
  readonly memory: Descriptor | undefined;
}

/** What is done to interrupts. */
export interface IrqSetting {
  /** Bits VFIO_IRQ_SET_*: of the data, and of the action. */
  readonly flags: number;
  /** Of the kind of interrupts. */
  readonly index: number;
  /** The first interrupt. */
  readonly start: number;
  /** How many interrupts. */
  readonly count: number;
  /** With VFIO_IRQ_SET_DATA_BOOL a byte for each. */
  readonly data?: Uint8Array;
}

/** More than any chain of capabilities has, in bytes. */
const MOST_OF_REGION = 65_536;
const NONE = new Uint8Array(0);

/** The device behind a session that has agreed on the version. */
export class RemoteDevice {
  readonly #session: ClientSession;

  constructor(session: ClientSession) {
    this.#session = session;
  }

  /** DEVICE_GET_INFO. */
  info(): DeviceInfoMessage | number {
    const reply = this.#reply({ name: 'DEVICE_GET_INFO', argsz: DEVICE_INFO_LAYOUT.size, flags: 0, regions: 0, irqs: 0 });
    return typeof reply === 'number' || reply.name !== 'DEVICE_GET_INFO' ? codeOf(reply) : reply;
  }

  /** DEVICE_GET_REGION_INFO, once more where capabilities want more room. @param index of the region @returns -EINVAL where they want too much, or lead nowhere */
  region(index: number): RemoteRegion | number {
    for (let argsz: number = REGION_INFO_LAYOUT.size, tries = 0; tries < 2 && argsz <= MOST_OF_REGION; tries += 1) {
      const asked: Command = { name: 'DEVICE_GET_REGION_INFO', argsz, flags: 0, index, capOffset: 0, length: 0n, offset: 0n, capabilities: NONE };
      const outcome = this.#session.ask(asked);
      if ('errno' in outcome) return -outcome.errno;
      const { reply, descriptors } = outcome;
      if (reply.name !== 'DEVICE_GET_REGION_INFO') return notThat(outcome);
      if (reply.argsz > argsz) {
        closeAll(descriptors);
        argsz = reply.argsz;
        continue;
      }
      const capabilities = regionCapabilities(reply);
      if (capabilities === undefined) return notThat(outcome);
      return { flags: reply.flags, length: reply.length, offset: reply.offset, capabilities, memory: descriptors[0] };
    }
    return -EINVAL;
  }

  /** DEVICE_GET_REGION_IO_FDS. @param index of the region @param room for that many parts @returns parts, and their descriptors, which are the caller's */
  regionIoFds(index: number, room: number): { readonly ioFds: readonly IoFd[]; readonly descriptors: readonly Descriptor[] } | number {
    const argsz = REGION_IO_FDS_LAYOUT.size + room * IO_FD_SIZE;
    const outcome = this.#session.ask({ name: 'DEVICE_GET_REGION_IO_FDS', argsz, flags: 0, index, count: 0, ioFds: [] });
    if ('errno' in outcome) return -outcome.errno;
    return outcome.reply.name === 'DEVICE_GET_REGION_IO_FDS' ? { ioFds: outcome.reply.ioFds, descriptors: outcome.descriptors } : notThat(outcome);
  }

  /** DEVICE_GET_IRQ_INFO. @param index of the kind of interrupts */
  irq(index: number): IrqInfoMessage | number {
    const reply = this.#reply({ name: 'DEVICE_GET_IRQ_INFO', argsz: IRQ_INFO_LAYOUT.size, flags: 0, index, count: 0 });
    return typeof reply === 'number' || reply.name !== 'DEVICE_GET_IRQ_INFO' ? codeOf(reply) : reply;
  }

  /** DEVICE_SET_IRQS. Eventfds stay the caller's; none take away what the interrupts had. */
  setIrqs(setting: IrqSetting, eventfds: readonly Descriptor[] = []): number {
    const { data = NONE, flags, index, start, count } = setting;
    return this.#done({ name: 'DEVICE_SET_IRQS', argsz: SET_IRQS_LAYOUT.size + data.length, flags, index, start, count, data }, eventfds);
  }

  /** REGION_READ, as many as it takes. @param region its index @param offset in bytes @returns bytes read, which may be fewer */
  read(region: number, offset: bigint, into: Uint8Array): number {
    return this.#pieces(into, (at, part) => {
      const reply = this.#reply({ name: 'REGION_READ', offset: offset + BigInt(at), region, count: part.length, data: NONE });
      if (typeof reply === 'number' || reply.name !== 'REGION_READ') return codeOf(reply);
      part.set(reply.data);
      return reply.count;
    });
  }

  /** REGION_WRITE, as many as it takes. @param region its index @param offset in bytes @returns bytes written, which may be fewer */
  write(region: number, offset: bigint, from: Uint8Array): number {
    return this.#pieces(from, (at, data) => {
      const reply = this.#reply({ name: 'REGION_WRITE', offset: offset + BigInt(at), region, count: data.length, data });
      return typeof reply === 'number' || reply.name !== 'REGION_WRITE' ? codeOf(reply) : reply.count;
    });
  }

  /** REGION_WRITE that is posted: nobody learns how it ends. @param region its index @param offset in bytes */
  postWrite(region: number, offset: bigint, from: Uint8Array): void {
    this.#pieces(from, (at, data) => {
      this.#session.tell({ name: 'REGION_WRITE', offset: offset + BigInt(at), region, count: data.length, data });
      return data.length;
    });
  }

  /** REGION_WRITE_MULTI. @returns how many writes were done, -EINVAL where it was not agreed on */
  writeMulti(writes: readonly SingleWrite[]): number {
    if (this.#session.agreement?.peer.writeMultiple !== true) return -EINVAL;
    const reply = this.#reply({ name: 'REGION_WRITE_MULTI', count: BigInt(writes.length), writes });
    return typeof reply === 'number' || reply.name !== 'REGION_WRITE_MULTI' ? codeOf(reply) : Number(reply.count);
  }

  /** DMA_MAP. The descriptor stays the caller's. @param iova in bytes @param length in bytes @param flags VFIO_DMA_MAP_FLAG_* @param offset in the descriptor's file, in bytes */
  mapDma(iova: bigint, length: bigint, flags: number, memory?: Descriptor, offset = 0n): number {
    return this.finish(this.postMapDma(iova, length, flags, memory, offset));
  }

  /** DMA_MAP without waiting: many may be on their way. @param iova in bytes @param length in bytes @param flags VFIO_DMA_MAP_FLAG_* @param offset in the descriptor's file, in bytes @returns what `finish()` takes */
  postMapDma(iova: bigint, length: bigint, flags: number, memory?: Descriptor, offset = 0n): number {
    return this.#session.post({ name: 'DMA_MAP', argsz: DMA_MAP_LAYOUT.size, flags, offset, iova, length }, memory === undefined ? [] : [memory]);
  }

  /** DMA_UNMAP. @param iova in bytes @param length in bytes @param flags 0 or VFIO_DMA_UNMAP_FLAG_ALL */
  unmapDma(iova: bigint, length: bigint, flags = 0): number {
    return this.finish(this.postUnmapDma(iova, length, flags));
  }

  /** DMA_UNMAP without waiting. @param iova in bytes @param length in bytes @param flags 0 or VFIO_DMA_UNMAP_FLAG_ALL @returns what `finish()` takes */
  postUnmapDma(iova: bigint, length: bigint, flags = 0): number {
    return this.#session.post({ name: 'DMA_UNMAP', argsz: DMA_UNMAP_LAYOUT.size, flags, iova, length });
  }

  /** Waits for what was posted. @param id what a post returned @returns 0, or a negative errno */
  finish(id: number): number {
    const outcome = this.#session.await(id);
    return 'errno' in outcome ? -outcome.errno : 0;
  }

  /** DEVICE_RESET. */
  reset(): number {
    return this.#done({ name: 'DEVICE_RESET' });
  }

  /** DEVICE_FEATURE. @param flags the feature and its methods @param room bytes of data that the answer may have @returns the answer's data, -EINVAL where there was no room */
  feature(flags: number, data: Uint8Array, room: number): Uint8Array | number {
    const argsz = FEATURE_LAYOUT.size + Math.max(room, data.length);
    const reply = this.#reply({ name: 'DEVICE_FEATURE', argsz, flags, data });
    if (typeof reply === 'number' || reply.name !== 'DEVICE_FEATURE') return codeOf(reply);
    return reply.argsz > argsz ? -EINVAL : reply.data;
  }

  /** MIG_DATA_READ, as many as it takes. @returns bytes read; fewer than there is room for mean that no more follow */
  readState(into: Uint8Array): number {
    return this.#pieces(into, (_at, part) => {
      const reply = this.#reply({ name: 'MIG_DATA_READ', argsz: MIG_DATA_LAYOUT.size + part.length, length: part.length, data: NONE });
      if (typeof reply === 'number' || reply.name !== 'MIG_DATA_READ') return codeOf(reply);
      part.set(reply.data);
      return reply.length;
    });
  }

  /** MIG_DATA_WRITE, as many as it takes. @returns bytes written */
  writeState(from: Uint8Array): number {
    return this.#pieces(from, (_at, data) => {
      const code = this.#done({ name: 'MIG_DATA_WRITE', argsz: MIG_DATA_LAYOUT.size + data.length, length: data.length, data });
      return code < 0 ? code : data.length;
    });
  }

  /** Goes through bytes in pieces that the server takes, until one is not done in full. */
  #pieces(bytes: Uint8Array, each: (at: number, part: Uint8Array) => number): number {
    const most = this.#session.agreement?.peer.maxDataXferSize ?? 1;
    let at = 0;
    do {
      const part = bytes.subarray(at, at + most);
      const count = each(at, part);
      if (count < 0) return at > 0 ? at : count;
      at += count;
      if (count < part.length) break;
    } while (at < bytes.length);
    return at;
  }

  #done(command: Command, descriptors: readonly Descriptor[] = []): number {
    const outcome = this.#session.ask(command, descriptors);
    return 'errno' in outcome ? -outcome.errno : 0;
  }

  #reply(command: Command): Reply | number {
    const outcome = this.#session.ask(command);
    return 'errno' in outcome ? -outcome.errno : outcome.reply;
  }
}

/** Bytes of a part in DEVICE_GET_REGION_IO_FDS's reply. */
const IO_FD_SIZE = 40;

/** Why there is no answer: what the server said, or that it has said something else. */
function codeOf(reply: Reply | number): number {
  return typeof reply === 'number' ? reply : -EIO;
}

/** Of a reply that is of no use here. */
function notThat({ descriptors }: Outcome): number {
  closeAll(descriptors);
  return -EIO;
}
