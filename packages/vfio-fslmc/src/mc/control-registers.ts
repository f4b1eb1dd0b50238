/**
 * The control registers of the Management Complex: GCR1 at 0, with which the boot loader and Linux stop and start the firmware, and GSR at 8,
 * in which it tells how far it is. Kernel: fsl_mc_firmware_check(), fsl_mc_bus_probe(); [fslmc 2].
 *
 * Not modelled: a stopped firmware answers like any other.
 */
import type { Host, MmioDevice } from '@vsim/vfio-core';

export const GCR1 = 0;
export const GSR = 8;
/** In GCR1: both halves of the firmware are stopped. */
export const GCR1_STOPPED = 0xc000_0000;
/** In GSR: the boot is done. */
export const GSR_BOOT_DONE = 1;

const SIZE = 0x1000;

export class ControlRegisters implements MmioDevice {
  readonly address: number;
  /** Set it for a firmware that has not booted, or has failed. */
  gsr: number = GSR_BOOT_DONE;
  gcr1 = 0;

  constructor(host: Host, address: number) {
    this.address = address;
    host.memory.map(address, SIZE, this);
  }

  read(offset: number, width: number): number {
    const word = offset < GCR1 + 4 ? this.gcr1 : offset >= GSR && offset < GSR + 4 ? this.gsr : 0;
    const shifted = word >>> (8 * (offset % 4));
    return width === 4 ? shifted : (shifted & (width === 2 ? 0xffff : 0xff));
  }

  write(offset: number, width: number, value: number): void {
    if (offset === GCR1 && width === 4) this.gcr1 = value >>> 0;
  }
}
