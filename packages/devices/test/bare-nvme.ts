/** A controller without a bus: its DMA and its messages go straight to memory. For what a driver over VFIO cannot choose. */
import { Host, type TraceEvent } from '@vsim/vfio-core';
import { NVME_REGISTER, createNvme, type NvmeController, type NvmeInit } from '../src/index.ts';

/** Where the RAM of a host begins. */
export const RAM = 0x1_0000_0000;
const SQ = 0x1_0000;
const CQ = 0x1_1000;
/** Where a message goes. */
export const MESSAGE: number = RAM + 0x2_0000;

export interface BareNvme {
  readonly host: Host;
  readonly disk: NvmeController;
  readonly events: readonly TraceEvent[];
  /** Puts a Get Features at place n of the admin queue, and rings. */
  readonly command: (n: number) => void;
  /** The last dword of completion n. */
  readonly completion: (n: number) => number;
}

/** An enabled controller with bus mastering and admin queues of 16 entries. */
export function bareNvme(init: NvmeInit = {}): BareNvme {
  const host = new Host();
  const events = host.trace.record();
  const disk = createNvme(host, '0000:00:05.0', init);
  disk.configWrite(4, 2, 6);
  disk.writeBar(0, NVME_REGISTER.AQA, 4, 0x000f_000f);
  disk.writeBar64(0, NVME_REGISTER.ASQ, SQ, 1);
  disk.writeBar64(0, NVME_REGISTER.ACQ, CQ, 1);
  disk.writeBar(0, NVME_REGISTER.CC, 4, 0x0046_0001);
  const command = (n: number): void => {
    host.memory.writeBytes(RAM + SQ + 64 * (n % 16), new Uint8Array(Int32Array.of((n << 16) | 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0).buffer));
    disk.writeBar(0, NVME_REGISTER.DOORBELLS, 4, (n + 1) % 16);
  };
  return { host, disk, events, command, completion: (n) => host.memory.read32(RAM + CQ + 16 * (n % 16) + 12) };
}
