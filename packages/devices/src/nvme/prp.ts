/** Physical Region Pages. Reference: NVM Express Base 1.4, 4.3. */
import type { BusMaster } from './bus-master.ts';
import type { Command } from './command.ts';
import type { Segments } from './segments.ts';
import { NVME_STATUS } from './status.ts';
import { TransferBuffer } from './transfer-buffer.ts';

const ENTRY = 8;
/** Entries of a list that are read at a time. */
const CHUNK = 512;

/** Turns a command's PRPs into segments. @internal */
export class PrpReader {
  readonly #list = new TransferBuffer(CHUNK * ENTRY, ENTRY);
  readonly #view = new DataView(this.#list.bytes.buffer);

  /**
   * The pieces of `length` bytes. The pages that it looks at are bounded by the length, whatever a list says.
   *
   * @param length bytes, from 1
   * @param page bytes of a memory page, by CC.MPS
   * @returns a status
   */
  map(memory: BusMaster, command: Command, length: number, page: number, into: Segments): number {
    into.clear();
    const lo = command.dword(6);
    if (lo % 4 !== 0) return NVME_STATUS.INVALID_PRP_OFFSET;
    const first = Math.min(length, page - (lo % page));
    into.add(lo, command.dword(7), first);
    const left = length - first;
    if (left === 0) return NVME_STATUS.SUCCESS;
    if (left > page) return this.#walk(memory, command.dword(8), command.dword(9), left, page, into);
    if (command.dword(8) % page !== 0) return NVME_STATUS.INVALID_PRP_OFFSET;
    into.add(command.dword(8), command.dword(9), left);
    return NVME_STATUS.SUCCESS;
  }

  /** A list: the first may begin within a page, those behind it not, so that each has entries. */
  #walk(memory: BusMaster, lo: number, hi: number, length: number, page: number, into: Segments): number {
    if (lo % ENTRY !== 0) return NVME_STATUS.INVALID_PRP_OFFSET;
    let left = length;
    for (let [low, high] = [lo, hi]; ; ) {
      const room = (page - (low % page)) / ENTRY;
      const needed = Math.ceil(left / page);
      // Where the list is too short, its last entry is the address of the next.
      const chained = needed > room;
      const count = chained ? room : needed;
      for (let done = 0; done < count; done += CHUNK) {
        const take = Math.min(CHUNK, count - done);
        if (!memory.read(low, high, this.#list.start(take * ENTRY), done * ENTRY)) return NVME_STATUS.DATA_TRANSFER_ERROR;
        const pages = chained && done + take === count ? take - 1 : take;
        for (let n = 0; n < pages; n += 1) {
          const at = this.#view.getUint32(n * ENTRY, true);
          if (at % page !== 0) return NVME_STATUS.INVALID_PRP_OFFSET;
          const bytes = Math.min(left, page);
          into.add(at, this.#view.getUint32(n * ENTRY + 4, true), bytes);
          left -= bytes;
        }
      }
      if (!chained) return NVME_STATUS.SUCCESS;
      const pointer = ((count - 1) % CHUNK) * ENTRY;
      low = this.#view.getUint32(pointer, true);
      high = this.#view.getUint32(pointer + 4, true);
      if (low % page !== 0) return NVME_STATUS.INVALID_PRP_OFFSET;
    }
  }
}
