/** A userspace NVMe driver over VFIO, as SPDK or xNVMe are: registers by mmap, queues and data in memory that the device may reach, completions by eventfd. */
import { getRegionInfo, mapDma, openDevice, setIrqTriggers, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, type Mapping, type OpenedDevice, type Process } from '@vsim/vfio-core';
import { ADMIN, BLOCK, IO, NVME } from './nvme-device.ts';

// #region memory
/** The driver's memory, and where the device sees it. A page for each queue, then one for data. */
const IOVA = 0x10_0000;
const PAGE = 0x1000;
const AT = { ASQ: 0, ACQ: PAGE, SQ: 2 * PAGE, CQ: 3 * PAGE, DATA: 4 * PAGE, END: 5 * PAGE } as const;
const ENTRIES = 16;
// #endregion memory

/** A command that the controller did not complete with success. */
export class NvmeError extends Error {
  override readonly name = 'NvmeError';
  readonly status: number;

  constructor(status: number) {
    super(`NVMe status 0x${status.toString(16)}`);
    this.status = status;
  }
}

export class NvmeDriver {
  readonly model: string;
  readonly blocks: number;
  readonly #process: Process;
  readonly #opened: OpenedDevice;
  readonly #registers: Mapping;
  readonly #memory: Mapping;
  readonly #interrupt: number;
  readonly #queues = [{ sq: AT.ASQ, cq: AT.ACQ, tail: 0, head: 0, phase: 1 }, { sq: AT.SQ, cq: AT.CQ, tail: 0, head: 0, phase: 1 }];
  #id = 0;

  constructor(process: Process, address: string) {
    // #region open
    this.#process = process;
    this.#opened = openDevice(process, address, { driver: 'vfio-pci' });
    const { container, device } = this.#opened;
    process.pwrite(device, Uint8Array.of(0x06, 0x00), Number(getRegionInfo(process, device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4);
    this.#registers = process.mmap(device, 0x2000, Number(getRegionInfo(process, device, 0).offset));
    this.#memory = process.mmap(-1, AT.END);
    mapDma(process, container, { iova: IOVA, vaddr: this.#memory.address, size: AT.END, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
    this.#interrupt = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [this.#interrupt]);
    // #endregion open

    // #region start
    this.#registers.write(NVME.CC, 4, 0);
    this.#registers.write(NVME.AQA, 4, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    for (const [register, at] of [[NVME.ASQ, AT.ASQ], [NVME.ACQ, AT.ACQ]] as const) this.#registers.write(register, 4, IOVA + at);
    this.#registers.write(NVME.CC, 4, 0x0046_0001); // 64 and 16 byte entries, enabled
    if (this.#registers.read(NVME.CSTS, 4) !== 1) throw new Error('the controller does not get ready');
    // #endregion start

    this.#do(0, ADMIN.IDENTIFY, { prp: AT.DATA, dword10: 1 });
    this.model = new TextDecoder().decode(this.#memory.readBytes(AT.DATA + 24, 40)).trim();
    this.#do(0, ADMIN.IDENTIFY, { prp: AT.DATA, namespace: 1 });
    this.blocks = this.#memory.read(AT.DATA, 4);
    this.#do(0, ADMIN.CREATE_CQ, { prp: AT.CQ, dword10: ((ENTRIES - 1) << 16) | 1, dword11: 3 });
    this.#do(0, ADMIN.CREATE_SQ, { prp: AT.SQ, dword10: ((ENTRIES - 1) << 16) | 1, dword11: 0x1_0001 });
  }

  /** @param count blocks, from 1 to 8 */
  read(first: number, count: number): Uint8Array {
    this.#do(1, IO.READ, { prp: AT.DATA, namespace: 1, dword10: first, dword12: count - 1 });
    return this.#memory.readBytes(AT.DATA, count * BLOCK);
  }

  /** @param bytes whole blocks, from 1 to 8 */
  write(first: number, bytes: Uint8Array): void {
    this.#memory.writeBytes(AT.DATA, bytes);
    this.#do(1, IO.WRITE, { prp: AT.DATA, namespace: 1, dword10: first, dword12: bytes.length / BLOCK - 1 });
  }

  close(): void {
    this.#registers.write(NVME.CC, 4, 0);
    this.#registers.unmap();
    this.#opened.close();
    this.#process.close(this.#interrupt);
    this.#memory.unmap();
  }

  // #region command
  /** Puts one command into a queue, rings its doorbell, and takes its completion. */
  #do(queue: 0 | 1, opcode: number, { prp, namespace = 0, dword10 = 0, dword11 = 0, dword12 = 0 }: { readonly prp: number; readonly namespace?: number; readonly dword10?: number; readonly dword11?: number; readonly dword12?: number }): void {
    const state = this.#queues[queue]!;
    const command = Int32Array.of(((this.#id = (this.#id + 1) & 0xffff) << 16) | opcode, namespace, 0, 0, 0, 0, IOVA + prp, 0, 0, 0, dword10, dword11, dword12, 0, 0, 0);
    this.#memory.writeBytes(state.sq + 64 * state.tail, new Uint8Array(command.buffer));
    state.tail = (state.tail + 1) % ENTRIES;
    this.#registers.write(NVME.DOORBELLS + 8 * queue, 4, state.tail);
    if (this.#process.readEventfd(this.#interrupt) === 0n) throw new Error('no interrupt came');

    const answer = this.#memory.read(state.cq + 16 * state.head + 12, 4);
    if ((answer & 0xffff) !== this.#id || ((answer >>> 16) & 1) !== state.phase) throw new Error('the completion is of another command');
    state.head = (state.head + 1) % ENTRIES;
    if (state.head === 0) state.phase ^= 1;
    this.#registers.write(NVME.DOORBELLS + 8 * queue + 4, 4, state.head);
    const status = answer >>> 17;
    if (status !== 0) throw new NvmeError(status);
  }
  // #endregion command
}
