/**
 * The ticker: a PCI function of our own that can migrate. Something outside ticks it; for each tick of a vector it writes the
 * count of that vector's ticks into a ring in memory, by DMA, and raises the vector.
 *
 * BAR 0 (4 KiB, little-endian): 0x00 identification, read-only; 0x04 control, bit 0 runs it; 0x08 ring address, low and high
 * half; 0x10 + 4n count of vector n's ticks, read-only. BAR 2 (4 KiB): MSI-X table at 0, PBA at 0x800. The ring has a word of 4
 * bytes for each vector. While it is stopped ticks are kept, and told when it runs again.
 */
import { buildConfig, PciFunction, type BarInit } from '@vsim/vfio-pci';
import type { Host, RecordedState } from '@vsim/vfio-core';

export const TICKER_VENDOR = 0x1234;
export const TICKER_DEVICE = 0x71cc;
export const TICKER_VECTORS = 4;
export const TICKER_IDENTIFICATION = 0x7469_636b;

/** Register offsets in BAR 0. */
export const REG = { IDENTIFICATION: 0x00, CONTROL: 0x04, RING_LOW: 0x08, RING_HIGH: 0x0c, COUNT: 0x10 } as const;

const BARS: readonly BarInit[] = [
  { index: 0, size: 0x1000 },
  { index: 2, size: 0x1000 },
];
const CONTROL_RUN = 1;
const STATE_BYTES = 12 + 8 * TICKER_VECTORS;

export class TickerFunction extends PciFunction implements RecordedState {
  readonly stateLimit: number = STATE_BYTES;
  #control = 0;
  #ringLow = 0;
  #ringHigh = 0;
  readonly #counts = new Uint32Array(TICKER_VECTORS);
  /** Ticks that came while it was stopped: their interrupts are still to be raised. */
  readonly #latched = new Uint32Array(TICKER_VECTORS);
  #stopped = false;
  readonly #wordBytes = new Uint8Array(4);
  readonly #word = new DataView(this.#wordBytes.buffer);

  constructor(host: Host, address: string) {
    super(host, {
      address,
      config: buildConfig({
        vendor: TICKER_VENDOR,
        device: TICKER_DEVICE,
        class: 0xff0000,
        revision: 1,
        bars: BARS,
        msix: { vectors: TICKER_VECTORS, bar: 2, pbaOffset: 0x800 },
      }),
      bars: BARS,
    });
  }

  /** The outside world ticks vector `n`. */
  tick(n: number): void {
    if (this.#stopped) this.#latched[n] = this.#latched[n]! + 1;
    else this.#tell(n);
  }

  /** No DMA and no interrupt from here on. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs again: what was kept is told now, once for each vector, as one tick would. */
  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    for (let n = 0; n < TICKER_VECTORS; n += 1) {
      if (this.#latched[n] === 0) continue;
      this.#counts[n] = this.#counts[n]! + this.#latched[n]! - 1;
      this.#latched[n] = 0;
      this.#tell(n);
    }
  }

  /** Whether a tick of vector `n` waits for the function to run. */
  isLatched(n: number): boolean {
    return this.#latched[n] !== 0;
  }

  /** The state that migrates: control, ring, then counts and kept ticks of each vector; 32-bit words. */
  save(): Uint8Array {
    const view = new DataView(new ArrayBuffer(STATE_BYTES));
    [this.#control, this.#ringLow, this.#ringHigh, ...this.#counts, ...this.#latched].forEach((word, i) => {
      view.setUint32(4 * i, word, true);
    });
    return new Uint8Array(view.buffer);
  }

  /** Takes a saved state. False: it is none, and nothing has changed. */
  load(bytes: Uint8Array): boolean {
    if (bytes.length !== STATE_BYTES) return false;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#control = view.getUint32(0, true);
    this.#ringLow = view.getUint32(4, true);
    this.#ringHigh = view.getUint32(8, true);
    for (let n = 0; n < TICKER_VECTORS; n += 1) {
      this.#counts[n] = view.getUint32(12 + 4 * n, true);
      this.#latched[n] = view.getUint32(12 + 4 * (TICKER_VECTORS + n), true);
    }
    return true;
  }

  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar !== 0 || width !== 4) return 0;
    switch (offset) {
      case REG.IDENTIFICATION:
        return TICKER_IDENTIFICATION;
      case REG.CONTROL:
        return this.#control;
      case REG.RING_LOW:
        return this.#ringLow;
      case REG.RING_HIGH:
        return this.#ringHigh;
      default:
        return this.#counts[(offset - REG.COUNT) / 4] ?? 0;
    }
  }

  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar !== 0 || width !== 4) return;
    if (offset === REG.CONTROL) this.#control = value & CONTROL_RUN;
    else if (offset === REG.RING_LOW) this.#ringLow = value;
    else if (offset === REG.RING_HIGH) this.#ringHigh = value;
  }

  protected override reset(): void {
    this.#control = 0;
    this.#ringLow = 0;
    this.#ringHigh = 0;
    this.#counts.fill(0);
    this.#latched.fill(0);
    this.#stopped = false;
  }

  #tell(n: number): void {
    if ((this.#control & CONTROL_RUN) === 0) return;
    const count = this.#counts[n]! + 1;
    this.#counts[n] = count;
    this.#word.setUint32(0, count, true);
    this.dmaWriteWide(this.#ringLow, this.#ringHigh, this.#wordBytes, 4 * n);
    this.raise(n);
  }
}
