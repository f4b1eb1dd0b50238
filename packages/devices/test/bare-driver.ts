/** A driver of a controller without a bus, whose memory is the host's RAM. The controller can be changed for another under it. */
import type { Host } from '@vsim/vfio-core';
import { NVME_ADMIN, NVME_REGISTER, NVME_STATUS_CODE, createNvme, type NvmeController, type NvmeInit } from '../src/index.ts';
import { RAM } from './bare-nvme.ts';

const PAGE = 0x1000;
/** Entries of each queue. */
export const ENTRIES = 8;
/** Where data lie, from the beginning of RAM. */
export const DATA = 0x10_0000;

export interface Done {
  readonly queue: number;
  readonly id: number;
  readonly status: number;
  readonly result: number;
}

interface Pair {
  tail: number;
  head: number;
  phase: number;
  /** The submission queue's head, by the last completion. */
  consumed: number;
}

/** A controller with bus mastering on. */
export function bareController(host: Host, init: NvmeInit, address = '0000:00:05.0'): NvmeController {
  const disk = createNvme(host, address, { serial: 'BARE', ...init });
  disk.configWrite(4, 2, 6);
  return disk;
}

export class BareDriver {
  readonly host: Host;
  disk: NvmeController;
  readonly pairs: Pair[];

  constructor(host: Host, disk: NvmeController, queues: number) {
    this.host = host;
    this.disk = disk;
    this.pairs = Array.from({ length: queues + 1 }, () => ({ tail: 0, head: 0, phase: 1, consumed: 0 }));
  }

  bringUp(): void {
    const { disk } = this;
    disk.writeBar(0, NVME_REGISTER.CC, 4, 0);
    this.pairs.forEach((pair, id) => {
      Object.assign(pair, { tail: 0, head: 0, phase: 1, consumed: 0 });
      this.host.memory.writeBytes(RAM + this.#sq(id), new Uint8Array(2 * PAGE));
    });
    disk.writeBar(0, NVME_REGISTER.AQA, 4, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    disk.writeBar64(0, NVME_REGISTER.ASQ, this.#sq(0), 1);
    disk.writeBar64(0, NVME_REGISTER.ACQ, this.#sq(0) + PAGE, 1);
    disk.writeBar(0, NVME_REGISTER.CC, 4, 0x0046_0001);
    for (let id = 1; id < this.pairs.length; id += 1) {
      const size = ((ENTRIES - 1) << 16) | id;
      this.submit(0, [NVME_ADMIN.CREATE_CQ, 0, this.#sq(id) + PAGE, 0, size, 1]);
      this.submit(0, [NVME_ADMIN.CREATE_SQ, 0, this.#sq(id), 0, size, (id << 16) | 1]);
      this.reap(0);
    }
  }

  /** Whether a queue takes one more. */
  hasRoom(queue: number): boolean {
    const { tail, consumed } = this.pairs[queue]!;
    return (tail + 1) % ENTRIES !== consumed;
  }

  /** @param words opcode with flags and identifier, namespace, PRP 1, PRP 2 (both behind the beginning of RAM), dwords 10 and on */
  submit(queue: number, [first = 0, namespace = 0, prp1 = 0, prp2 = 0, ...dwords]: readonly number[]): void {
    const pair = this.pairs[queue]!;
    const entry = Int32Array.of(first, namespace, 0, 0, 0, 0, prp1, 1, prp2, 1, ...dwords, ...new Array<number>(6 - dwords.length).fill(0));
    this.host.memory.writeBytes(RAM + this.#sq(queue) + 64 * pair.tail, new Uint8Array(entry.buffer));
    pair.tail = (pair.tail + 1) % ENTRIES;
    this.disk.writeBar(0, NVME_REGISTER.DOORBELLS + 8 * queue, 4, pair.tail);
  }

  reap(queue: number): readonly Done[] {
    const pair = this.pairs[queue]!;
    const found: Done[] = [];
    for (;;) {
      const at = RAM + this.#sq(queue) + PAGE + 16 * pair.head;
      const last = this.host.memory.read32(at + 12) >>> 0;
      if (((last >>> 16) & 1) !== pair.phase) break;
      const third = this.host.memory.read32(at + 8) >>> 0;
      pair.consumed = third & 0xffff;
      found.push({ queue: third >>> 16, id: last & 0xffff, status: (last >>> 17) & NVME_STATUS_CODE, result: this.host.memory.read32(at) });
      pair.head = (pair.head + 1) % ENTRIES;
      if (pair.head === 0) pair.phase ^= 1;
    }
    if (found.length > 0) this.disk.writeBar(0, NVME_REGISTER.DOORBELLS + 8 * queue + 4, 4, pair.head);
    return found;
  }

  #sq(id: number): number {
    return 2 * id * PAGE;
  }
}
