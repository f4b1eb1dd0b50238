/**
 * A small NVMe controller: one namespace in memory, an admin queue pair and one I/O queue pair, MSI-X vector 0 for both.
 * NVM Express Base 1.4: registers 3.1, queues 4.1, Identify 5.15, Create I/O queues 5.3 and 5.4, Read and Write of the NVM command set.
 * A transfer is at most one page (PRP1).
 */
import type { Host } from '@vsim/vfio-core';
import { buildConfig, PciFunction, type BarInit } from '@vsim/vfio-pci';

export const NVME = { CAP: 0x00, VS: 0x08, CC: 0x14, CSTS: 0x1c, AQA: 0x24, ASQ: 0x28, ACQ: 0x30, DOORBELLS: 0x1000 } as const;
export const ADMIN = { CREATE_SQ: 0x01, CREATE_CQ: 0x05, IDENTIFY: 0x06 } as const;
export const IO = { WRITE: 0x01, READ: 0x02 } as const;
/** Status codes: generic ones, NVM Express Base 1.4, 4.6.1.2. */
export const STATUS = { SUCCESS: 0x00, INVALID_OPCODE: 0x01, DATA_TRANSFER_ERROR: 0x04, LBA_OUT_OF_RANGE: 0x80 } as const;
export const BLOCK = 512;
const BLOCKS = 2048;
const PAGE = 4096;
const BARS: readonly BarInit[] = [{ index: 0, size: 0x4000, kind: 'mem64' }];

/** A submission queue and the completion queue that belongs to it. */
interface QueuePair {
  readonly submission: number;
  readonly completion: number;
  readonly entries: number;
  head: number;
  tail: number;
  phase: 0 | 1;
}

export class NvmeDevice extends PciFunction {
  readonly #blocks = new Uint8Array(BLOCK * BLOCKS);
  readonly #registers = new DataView(new ArrayBuffer(0x40));
  readonly #queues: (QueuePair | undefined)[] = [];
  readonly #command = new DataView(new ArrayBuffer(64));
  readonly #answer = new DataView(new ArrayBuffer(16));
  /** Where the I/O completion queue is, until its submission queue is made. */
  #ioCompletion = 0;

  constructor(host: Host, address: string) {
    const config = buildConfig({ vendor: 0x1234, device: 0x0010, class: 0x010802, express: true, flr: true, bars: BARS, msix: { vectors: 1, bar: 0, tableOffset: 0x2000, pbaOffset: 0x3000 } });
    super(host, { address, config, bars: BARS });
    this.reset();
  }

  protected override reset(): void {
    this.#queues.length = 0;
    for (let at = 0; at < 0x40; at += 4) this.#registers.setUint32(at, 0);
    this.#registers.setUint32(NVME.CAP, 0x0f01_003f, true); // 64 entries, contiguous queues, 7.5 s to get ready
    this.#registers.setUint32(NVME.CAP + 4, 0x20, true); // NVM command set
    this.#registers.setUint32(NVME.VS, 0x0001_0400, true);
  }

  protected override barRead(_bar: number, offset: number): number {
    return offset < 0x40 ? this.#registers.getUint32(offset, true) : 0;
  }

  protected override barWrite(_bar: number, offset: number, width: number, value: number): void {
    if (width !== 4) return;
    if (offset >= NVME.DOORBELLS) this.#ring((offset - NVME.DOORBELLS) / 4, value);
    else if (offset === NVME.CC) this.#configure(value);
    else if (offset >= NVME.AQA && offset < 0x38) this.#registers.setUint32(offset, value, true);
  }

  #configure(value: number): void {
    this.#registers.setUint32(NVME.CC, value, true);
    const on = (value & 1) !== 0;
    this.#registers.setUint32(NVME.CSTS, on ? 1 : 0, true);
    this.#queues.length = 0;
    if (on) this.#queues[0] = pair(this.#registers.getUint32(NVME.ASQ, true), this.#registers.getUint32(NVME.ACQ, true), (this.#registers.getUint32(NVME.AQA, true) & 0xfff) + 1);
  }

  /** Doorbells of submission queues are the even ones. Every command up to the new tail is done at once. */
  #ring(doorbell: number, tail: number): void {
    const id = doorbell >> 1;
    const queue = this.#queues[id];
    if (doorbell % 2 === 1 || queue === undefined || tail >= queue.entries) return;
    while (queue.head !== tail) {
      if (!this.dmaRead(queue.submission + 64 * queue.head, new Uint8Array(this.#command.buffer))) return;
      queue.head = (queue.head + 1) % queue.entries;
      const status = id === 0 ? this.#admin() : this.#io();
      this.#complete(queue, id, status);
    }
  }

  #complete(queue: QueuePair, id: number, status: number): void {
    this.#answer.setUint16(8, queue.head, true);
    this.#answer.setUint16(10, id, true);
    this.#answer.setUint16(12, this.#command.getUint16(2, true), true);
    this.#answer.setUint16(14, (status << 1) | queue.phase, true);
    if (!this.dmaWrite(queue.completion + 16 * queue.tail, new Uint8Array(this.#answer.buffer))) return;
    queue.tail = (queue.tail + 1) % queue.entries;
    if (queue.tail === 0) queue.phase = queue.phase === 1 ? 0 : 1;
    this.raise(0);
  }

  #admin(): number {
    const prp = this.#command.getUint32(24, true);
    switch (this.#command.getUint8(0)) {
      case ADMIN.IDENTIFY:
        return this.#identify(prp);
      case ADMIN.CREATE_CQ:
        this.#ioCompletion = prp;
        return STATUS.SUCCESS;
      case ADMIN.CREATE_SQ:
        this.#queues[1] = pair(prp, this.#ioCompletion, this.#command.getUint16(42, true) + 1);
        return STATUS.SUCCESS;
      default:
        return STATUS.INVALID_OPCODE;
    }
  }

  /** CNS 1, the controller: its serial number and model; CNS 0, the namespace: its size in blocks. */
  #identify(prp: number): number {
    const page = new Uint8Array(PAGE);
    if (this.#command.getUint8(40) === 1) {
      page.fill(0x20, 4, 64);
      page.set(new TextEncoder().encode('VSIM0001'), 4);
      page.set(new TextEncoder().encode('vsim example disk'), 24);
    } else {
      new DataView(page.buffer).setUint32(0, BLOCKS, true);
      page[130] = 9; // LBA format 0: blocks of 2^9 bytes
    }
    return this.dmaWrite(prp, page) ? STATUS.SUCCESS : STATUS.DATA_TRANSFER_ERROR;
  }

  #io(): number {
    const opcode = this.#command.getUint8(0);
    const first = this.#command.getUint32(40, true);
    const count = this.#command.getUint16(48, true) + 1;
    if (opcode !== IO.READ && opcode !== IO.WRITE) return STATUS.INVALID_OPCODE;
    if (first + count > BLOCKS || count * BLOCK > PAGE) return STATUS.LBA_OUT_OF_RANGE;
    const blocks = this.#blocks.subarray(first * BLOCK, (first + count) * BLOCK);
    const prp = this.#command.getUint32(24, true);
    const moved = opcode === IO.READ ? this.dmaWrite(prp, blocks) : this.dmaRead(prp, blocks);
    return moved ? STATUS.SUCCESS : STATUS.DATA_TRANSFER_ERROR;
  }
}

function pair(submission: number, completion: number, entries: number): QueuePair {
  return { submission, completion, entries, head: 0, tail: 0, phase: 1 };
}
