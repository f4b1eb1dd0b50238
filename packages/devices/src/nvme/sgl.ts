/** Scatter gather lists. Reference: NVM Express Base 1.4, 4.4. */
import type { BusMaster } from './bus-master.ts';
import type { Command } from './command.ts';
import { MAX_SEGMENTS, type Segments } from './segments.ts';
import { NVME_STATUS } from './status.ts';
import { TransferBuffer } from './transfer-buffer.ts';

/** Types of descriptors, figure 115: bits 7:4 of the last byte. */
export const NVME_SGL = { DATA_BLOCK: 0, BIT_BUCKET: 1, SEGMENT: 2, LAST_SEGMENT: 3 } as const;

const DESCRIPTOR = 16;
/** Descriptors that are read at a time. */
const CHUNK = 256;
/** Descriptors of one list, empty ones and those of segments counted: what ends lists that lead in a circle. */
const MAX_DESCRIPTORS = 4 * MAX_SEGMENTS;

/** Turns a command's SGL into segments. @internal */
export class SglReader {
  readonly #chunk = new TransferBuffer(CHUNK * DESCRIPTOR, DESCRIPTOR);
  readonly #view = new DataView(this.#chunk.bytes.buffer);
  /** Where the next segment is: address low and high, and bytes. */
  readonly #next = new Uint32Array(3);
  #length = 0;
  #toHost = false;

  /**
   * The pieces of `length` bytes.
   *
   * @param length bytes
   * @param toHost data go to the driver: a bit bucket takes some; the other way it counts as nothing
   * @returns a status
   */
  map(memory: BusMaster, command: Command, length: number, toHost: boolean, into: Segments): number {
    into.clear();
    this.#length = length;
    this.#toHost = toHost;
    const last = command.bytes[39]!;
    if (last % 16 !== 0) return NVME_STATUS.SGL_TYPE_INVALID;
    const type = last >> 4;
    const status =
      type === NVME_SGL.SEGMENT || type === NVME_SGL.LAST_SEGMENT
        ? this.#walk(memory, command, type, into)
        : this.#take(type, command.dword(6), command.dword(7), command.dword(8), into);
    if (status !== NVME_STATUS.SUCCESS) return status;
    return into.bytes === length ? NVME_STATUS.SUCCESS : NVME_STATUS.SGL_LENGTH_INVALID;
  }

  #walk(memory: BusMaster, command: Command, first: number, into: Segments): number {
    const next = this.#next;
    for (let n = 0; n < 3; n += 1) next[n] = command.dword(6 + n);
    let type = first;
    for (let seen = 0; ; ) {
      const [lo, hi, bytes] = [next[0]!, next[1]!, next[2]!];
      if (bytes === 0 || bytes % DESCRIPTOR !== 0) return NVME_STATUS.INVALID_SGL_SEGMENT;
      const count = bytes / DESCRIPTOR;
      seen += count;
      if (seen > MAX_DESCRIPTORS) return NVME_STATUS.INVALID_SGL_COUNT;
      let following = -1;
      for (let done = 0; done < count; done += CHUNK) {
        const take = Math.min(CHUNK, count - done);
        if (!memory.read(lo, hi, this.#chunk.part(0, take * DESCRIPTOR), done * DESCRIPTOR)) return NVME_STATUS.DATA_TRANSFER_ERROR;
        for (let n = 0; n < take; n += 1) {
          const kind = this.#view.getUint8(n * DESCRIPTOR + 15);
          if (kind % 16 !== 0) return NVME_STATUS.SGL_TYPE_INVALID;
          const leads = kind >> 4 === NVME_SGL.SEGMENT || kind >> 4 === NVME_SGL.LAST_SEGMENT;
          if (leads) {
            // Only the last descriptor of a segment leads on, and none of the last segment's.
            if (type === NVME_SGL.LAST_SEGMENT || done + n < count - 1) return NVME_STATUS.INVALID_SGL_SEGMENT;
            following = kind >> 4;
            for (let word = 0; word < 3; word += 1) next[word] = this.#view.getUint32(n * DESCRIPTOR + 4 * word, true);
          } else {
            const status = this.#takeAt(n * DESCRIPTOR, kind >> 4, into);
            if (status !== NVME_STATUS.SUCCESS) return status;
          }
        }
      }
      if (type === NVME_SGL.LAST_SEGMENT) return NVME_STATUS.SUCCESS;
      if (following === -1) return NVME_STATUS.INVALID_SGL_SEGMENT;
      type = following;
    }
  }

  #takeAt(at: number, type: number, into: Segments): number {
    return this.#take(type, this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true), this.#view.getUint32(at + 8, true), into);
  }

  /** A data block or a bit bucket. */
  #take(type: number, lo: number, hi: number, length: number, into: Segments): number {
    if (type !== NVME_SGL.DATA_BLOCK && type !== NVME_SGL.BIT_BUCKET) return NVME_STATUS.SGL_TYPE_INVALID;
    const bucket = type === NVME_SGL.BIT_BUCKET;
    if (length === 0 || (bucket && !this.#toHost)) return NVME_STATUS.SUCCESS;
    if (length > this.#length - into.bytes) return NVME_STATUS.SGL_LENGTH_INVALID;
    return into.add(lo, hi, length, bucket) ? NVME_STATUS.SUCCESS : NVME_STATUS.INVALID_SGL_COUNT;
  }
}
