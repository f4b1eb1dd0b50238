import type { Host, MmioDevice } from '@vsim/vfio-core';

/** Offset of the general control register, in bytes: it stops and starts the firmware. */
export const GCR1 = 0;
/** Offset of the general status register, in bytes: how far the firmware is, and what went wrong. */
export const GSR = 8;
/** In GCR1, bits 31 and 30: both halves of the firmware are stopped. */
export const GCR1_STOPPED = 0xc000_0000;
/** In GSR, bit 0: the boot is done. */
export const GSR_BOOT_DONE = 1;

const SIZE = 0x1000;

/**
 * The control registers of the Management Complex: GCR1 at 0, with which the boot loader and Linux stop and start the firmware, and GSR at
 * 8, in which it tells how far it is. Kernel: fsl_mc_firmware_check(), fsl_mc_bus_probe().
 *
 * Not modelled: a stopped firmware answers like any other.
 */
export class ControlRegisters implements MmioDevice {
  /** Physical address of GCR1. */
  readonly address: number;
  /** Set it for a firmware that has not booted, or has failed. */
  gsr: number = GSR_BOOT_DONE;
  /** What was last written to GCR1, 32 bits: GCR1_STOPPED is what Linux sets and clears. */
  gcr1 = 0;

  /** Maps 4 KiB of registers into the host's memory. @param address physical @throws RangeError where RAM or another device lies there */
  constructor(host: Host, address: number) {
    this.address = address;
    host.memory.map(address, SIZE, this);
  }

  /** GCR1, GSR, or 0 elsewhere. @param offset bytes from GCR1 @param width 1, 2 or 4 bytes */
  read(offset: number, width: number): number {
    const word = offset < GCR1 + 4 ? this.gcr1 : offset >= GSR && offset < GSR + 4 ? this.gsr : 0;
    const shifted = word >>> (8 * (offset % 4));
    return width === 4 ? shifted : (shifted & (width === 2 ? 0xffff : 0xff));
  }

  /**
   * Only a whole word to GCR1 is taken.
   *
   * @param offset bytes from GCR1
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width
   */
  write(offset: number, width: number, value: number): void {
    if (offset === GCR1 && width === 4) this.gcr1 = value >>> 0;
  }
}
