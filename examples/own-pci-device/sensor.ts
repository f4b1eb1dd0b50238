/** A PCI device of your own: a sensor that stores a sample into memory at each tick, and sends MSI-X after each. */
// #region registers
import type { Host } from '@vsim/vfio-core';
import { buildConfig, ones, PciFunction, type BarInit } from '@vsim/vfio-pci';

/** Registers in BAR 0, 32 bits each. BUFFER takes a bus address, CONTROL starts and stops. */
export const SENSOR = { ID: 0x00, CONTROL: 0x04, BUFFER: 0x08, COUNT: 0x0c } as const;
export const SENSOR_ID = 0x5e45_0001;
export const SENSOR_RUN = 1;
/** Samples that the buffer holds: it is a ring. */
export const SENSOR_SAMPLES = 4;

const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }, { index: 2, size: 0x1000 }];
// #endregion registers

// #region function
export class Sensor extends PciFunction {
  #control = 0;
  #buffer = 0;
  #count = 0;
  readonly #sample = new DataView(new ArrayBuffer(4));

  constructor(host: Host, address: string) {
    const config = buildConfig({ vendor: 0x1234, device: 0x5e45, class: 0x118000, express: true, flr: true, bars: BARS, msix: { vectors: 1, bar: 2, pbaOffset: 0x800 } });
    super(host, { address, config, bars: BARS });
  }
// #endregion function

  // #region bar
  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar !== 0 || width !== 4) return ones(width);
    if (offset === SENSOR.ID) return SENSOR_ID;
    if (offset === SENSOR.CONTROL) return this.#control;
    if (offset === SENSOR.BUFFER) return this.#buffer;
    return offset === SENSOR.COUNT ? this.#count : 0;
  }

  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar !== 0 || width !== 4) return;
    if (offset === SENSOR.CONTROL) this.#control = value & SENSOR_RUN;
    if (offset === SENSOR.BUFFER) this.#buffer = value & ~0xf;
  }
  // #endregion bar

  // #region reset
  /** FLR, a bus reset, or VFIO_DEVICE_RESET. */
  protected override reset(): void {
    this.#control = 0;
    this.#buffer = 0;
    this.#count = 0;
  }
  // #endregion reset

  // #region tick
  /** The world outside: it has so many degrees. */
  tick(degrees: number): void {
    if (this.#control !== SENSOR_RUN) return;
    this.#sample.setInt32(0, degrees, true);
    // False if the device may not master the bus, or the IOMMU stops it.
    if (!this.dmaWrite(this.#buffer + 4 * (this.#count % SENSOR_SAMPLES), new Uint8Array(this.#sample.buffer))) return;
    this.#count += 1;
    this.raise(0);
  }
  // #endregion tick
}
