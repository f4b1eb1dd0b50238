import { eventKind, type EventKind, type Host } from '@vsim/vfio-core';
import { buildConfig } from '../pci/config-builder.ts';
import type { BarInit } from '../pci/bars.ts';
import { PciFunction, ones } from '../pci/pci-function.ts';

/** Offsets in BAR 0, in bytes (QEMU, docs/specs/edu.rst). */
export const EDU = {
  IDENTIFICATION: 0x00,
  LIVENESS: 0x04,
  FACTORIAL: 0x08,
  STATUS: 0x20,
  INTERRUPT_STATUS: 0x24,
  INTERRUPT_RAISE: 0x60,
  INTERRUPT_ACKNOWLEDGE: 0x64,
  DMA_SOURCE: 0x80,
  DMA_DESTINATION: 0x88,
  DMA_COUNT: 0x90,
  DMA_COMMAND: 0x98,
} as const;

/** What IDENTIFICATION reads: major 1, minor 0, "ed". */
export const EDU_IDENTIFICATION = 0x0100_00ed;
/** STATUS, bit 0, read-only: the factorial is being computed. Here it is ready at once, and this is never seen. */
export const EDU_STATUS_COMPUTING = 0x01;
/** STATUS, bit 7: an interrupt is wanted when the factorial is ready. */
export const EDU_STATUS_IRQ_FACTORIAL = 0x80;
/** DMA command, bit 0: run. */
export const EDU_DMA_RUN = 0x1;
/** DMA command, bit 1: from the device's buffer to RAM; clear, the other way. */
export const EDU_DMA_TO_RAM = 0x2;
/** DMA command, bit 2: an interrupt is wanted when it is done. */
export const EDU_DMA_IRQ = 0x4;
/** Interrupt status bit that the device sets for a factorial. */
export const EDU_IRQ_FACTORIAL = 0x0001;
/** Interrupt status bit that the device sets for a transfer. */
export const EDU_IRQ_DMA = 0x0100;
/** Where the buffer begins, in the device's own addresses. */
export const EDU_BUFFER = 0x4_0000;
/** Bytes of the buffer. */
export const EDU_BUFFER_SIZE = 4096;
/** Addresses of RAM are cut to these bits. */
export const EDU_DMA_MASK = 0x0fff_ffff;

const BAR_SIZE = 0x10_0000;

/** A transfer that would leave the buffer. QEMU stops the machine; here nothing is moved. */
export const EDU_DMA_OUT_OF_BOUNDS: EventKind<{ readonly device: string; readonly at: number; readonly count: number }> = eventKind(
  'pci/edu-dma-out-of-bounds',
  'fault',
  ({ device, at, count }) => `${device}: dma of 0x${count.toString(16)} bytes at buffer address 0x${at.toString(16)}`,
);

/**
 * edu, QEMU's device for teaching drivers: a factorial, an inverter, and a DMA engine with a buffer of 4 KiB.
 *
 * Reference: QEMU, docs/specs/edu.rst. One BAR of 1 MiB. Registers below 0x80 take accesses of 4 bytes, those from 0x80 on of 4 or 8; a
 * narrower one reads zero, one where there is no register reads ones, and neither writes. Modelled: every register, INTx and MSI, the
 * 28-bit DMA mask, bounds of the buffer. A factorial is ready, and a transfer done, at once: BUSY and START are never seen set.
 */
export class Edu extends PciFunction {
  readonly #buffer = new Uint8Array(EDU_BUFFER_SIZE);
  #liveness = 0;
  #factorial = 0;
  #status = 0;
  #interrupts = 0;
  /** Source, destination, count and command, low and high halves. */
  readonly #dma = new Uint32Array(8);

  /**
   * A register, by accesses of 4 bytes.
   *
   * @param bar 0; others read ones
   * @param offset bytes
   * @param width of the access, in bytes
   */
  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar !== 0) return ones(width);
    if (width !== 4) return 0;
    switch (offset) {
      case EDU.IDENTIFICATION:
        return EDU_IDENTIFICATION;
      case EDU.LIVENESS:
        return this.#liveness;
      case EDU.FACTORIAL:
        return this.#factorial;
      case EDU.STATUS:
        return this.#status;
      case EDU.INTERRUPT_STATUS:
        return this.#interrupts;
      case EDU.DMA_SOURCE:
      case EDU.DMA_DESTINATION:
      case EDU.DMA_COUNT:
      case EDU.DMA_COMMAND:
        return this.#dma[(offset - EDU.DMA_SOURCE) >> 2]!;
      default:
        return ones(width);
    }
  }

  /** A DMA register as a whole; ones elsewhere. @param bar 0; others read ones @param offset bytes */
  protected override barRead64(bar: number, offset: number, into: Uint32Array): void {
    const at = (offset - EDU.DMA_SOURCE) >> 2;
    const wide = bar === 0 && offset >= EDU.DMA_SOURCE && offset <= EDU.DMA_COMMAND && offset % 8 === 0;
    into[0] = wide ? this.#dma[at]! : 0xffff_ffff;
    into[1] = wide ? this.#dma[at + 1]! : 0xffff_ffff;
  }

  /**
   * Writes a register, by accesses of 4 bytes; FACTORIAL and DMA_COMMAND act at once.
   *
   * @param bar 0; others ignore it
   * @param offset bytes
   * @param width of the access, in bytes
   * @param value unsigned
   */
  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar !== 0 || width !== 4) return;
    switch (offset) {
      case EDU.LIVENESS:
        this.#liveness = ~value >>> 0;
        return;
      case EDU.FACTORIAL:
        this.#computeFactorial(value);
        return;
      case EDU.STATUS:
        this.#status = value & EDU_STATUS_IRQ_FACTORIAL;
        return;
      case EDU.INTERRUPT_RAISE:
        this.#raise(value);
        return;
      case EDU.INTERRUPT_ACKNOWLEDGE:
        this.#acknowledge(value);
        return;
      case EDU.DMA_SOURCE:
      case EDU.DMA_DESTINATION:
      case EDU.DMA_COUNT:
      case EDU.DMA_COMMAND:
        this.#writeDma(offset, value, 0);
        return;
      default:
        return;
    }
  }

  /**
   * Writes a DMA register as a whole.
   *
   * @param bar 0; others ignore it
   * @param offset bytes
   * @param lo bits 31:0
   * @param hi bits 63:32
   */
  protected override barWrite64(bar: number, offset: number, lo: number, hi: number): void {
    if (bar !== 0 || offset < EDU.DMA_SOURCE || offset > EDU.DMA_COMMAND || offset % 8 !== 0) return;
    this.#writeDma(offset, lo, hi);
  }

  /** Registers and buffer become zero. */
  protected override reset(): void {
    this.#liveness = 0;
    this.#factorial = 0;
    this.#status = 0;
    this.#interrupts = 0;
    this.#dma.fill(0);
    this.#buffer.fill(0);
  }

  /** value!, modulo 2^32. */
  #computeFactorial(value: number): void {
    let result = 1;
    // From 34! on the product is a multiple of 2^32: the loop is bounded by that, not by the value.
    for (let n = value; n > 1 && result !== 0; n -= 1) result = Math.imul(result, n) >>> 0;
    this.#factorial = result;
    if ((this.#status & EDU_STATUS_IRQ_FACTORIAL) !== 0) this.#raise(EDU_IRQ_FACTORIAL);
  }

  #raise(bits: number): void {
    this.#interrupts = (this.#interrupts | bits) >>> 0;
    if (this.#interrupts === 0) return;
    if (this.msi?.enabled === true) this.raise();
    else this.setIntx(true);
  }

  #acknowledge(bits: number): void {
    this.#interrupts = (this.#interrupts & ~bits) >>> 0;
    if (this.#interrupts === 0 && this.msi?.enabled !== true) this.setIntx(false);
  }

  #writeDma(offset: number, lo: number, hi: number): void {
    const at = (offset - EDU.DMA_SOURCE) >> 2;
    this.#dma[at] = lo;
    this.#dma[at + 1] = hi;
    if (offset === EDU.DMA_COMMAND && (lo & EDU_DMA_RUN) !== 0) this.#transfer(lo);
  }

  #transfer(command: number): void {
    const dma = this.#dma;
    const count = dma[4]!;
    const toRam = (command & EDU_DMA_TO_RAM) !== 0;
    const inner = toRam ? dma[0]! : dma[2]!;
    const outer = (toRam ? dma[2]! : dma[0]!) & EDU_DMA_MASK;
    const at = inner - EDU_BUFFER;
    const fits = dma[5] === 0 && (toRam ? dma[1] : dma[3]) === 0 && at >= 0 && at + count <= EDU_BUFFER_SIZE;
    if (!fits) {
      if (this.host.trace.on) this.host.trace.emit(EDU_DMA_OUT_OF_BOUNDS, { device: this.name, at: inner, count });
    } else {
      const part = this.#buffer.subarray(at, at + count);
      if (toRam) this.dmaWrite(outer, part);
      else this.dmaRead(outer, part);
    }
    dma[6] = command & ~EDU_DMA_RUN;
    if ((command & EDU_DMA_IRQ) !== 0) this.#raise(EDU_IRQ_DMA);
  }
}

const EDU_BARS: readonly BarInit[] = [{ index: 0, size: BAR_SIZE }];

/** An edu as QEMU's `-device edu` makes it: 1234:11e8, INTx and one MSI. @param address as `0000:00:02.0` */
export function createEdu(host: Host, address: string): Edu {
  const config = buildConfig({
    vendor: 0x1234,
    device: 0x11e8,
    class: 0x00_ff00,
    revision: 0x10,
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
    interruptPin: 1,
    bars: EDU_BARS,
    msi: 1,
  });
  return new Edu(host, { address, config, bars: EDU_BARS });
}
