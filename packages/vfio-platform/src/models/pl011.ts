import type { MmioDevice } from '@vsim/vfio-core';
import type { IrqLine } from '../bus/irq-line.ts';

/**
 * Offsets of registers, in bytes (Arm DDI 0183, 3.2): data, flags, baud rate, line control, control, FIFO levels, interrupt mask, raw and
 * masked status, clear; ID is the first of eight identification words.
 */
export const PL011 = { DR: 0x00, FR: 0x18, IBRD: 0x24, FBRD: 0x28, LCR_H: 0x2c, CR: 0x30, IFLS: 0x34, IMSC: 0x38, RIS: 0x3c, MIS: 0x40, ICR: 0x44, ID: 0xfe0 } as const;
const IDENTIFICATION = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
const FR_RXFE = 0x10;
const FR_RXFF = 0x40;
const FR_TXFE = 0x80;
const INT_RX = 0x10;
const INT_TX = 0x20;
const INT_ALL = 0x7ff;
const FIFO = 16;

/**
 * Arm PL011, a UART. Reference: Arm DDI 0183.
 *
 * Modelled: data, flags, FIFO of 16, interrupt registers with receive and transmit interrupts. Not modelled: baud rate, modem lines, DMA, errors.
 */
export class Pl011 implements MmioDevice {
  readonly #irq: IrqLine;
  /** Hears each byte that is sent. */
  readonly #transmit: (byte: number) => void;
  readonly #received: number[] = [];
  readonly #plain = new Map<number, number>([[PL011.CR, 0x300], [PL011.IFLS, 0x12]]);
  #mask = 0;
  #raw = 0;

  /** @param irq driven while a raw interrupt is not masked @param transmit hears each byte that is sent, 0 to 255; left out, nobody does */
  constructor(irq: IrqLine, transmit: (byte: number) => void = () => undefined) {
    this.#irq = irq;
    this.#transmit = transmit;
  }

  /** A byte comes over the wire. @param byte 0 to 255 @returns false where the FIFO of 16 is full: it is lost */
  receive(byte: number): boolean {
    if (this.#received.length >= FIFO) return false;
    this.#received.push(byte);
    this.#raw |= INT_RX;
    this.#drive();
    return true;
  }

  /** A register; DR takes a byte out of the FIFO, 0 where there is none. @param offset bytes from the first register */
  read(offset: number): number {
    switch (offset) {
      case PL011.DR: {
        const byte = this.#received.shift() ?? 0;
        if (this.#received.length === 0) this.#raw &= ~INT_RX;
        this.#drive();
        return byte;
      }
      case PL011.FR:
        return FR_TXFE | (this.#received.length === 0 ? FR_RXFE : 0) | (this.#received.length === FIFO ? FR_RXFF : 0);
      case PL011.IMSC:
        return this.#mask;
      case PL011.RIS:
        return this.#raw;
      case PL011.MIS:
        return this.#raw & this.#mask;
      default:
        return this.#plain.get(offset) ?? IDENTIFICATION[(offset - PL011.ID) >> 2] ?? 0;
    }
  }

  /**
   * Writes a register; a byte to DR is sent at once.
   *
   * @param offset bytes from the first register
   * @param _width bytes, not looked at
   * @param value 32 bits; read-only registers ignore it
   */
  write(offset: number, _width: number, value: number): void {
    switch (offset) {
      case PL011.DR:
        this.#transmit(value & 0xff);
        this.#raw |= INT_TX;
        break;
      case PL011.IMSC:
        this.#mask = value & INT_ALL;
        break;
      case PL011.ICR:
        this.#raw &= ~value;
        break;
      case PL011.IBRD:
      case PL011.FBRD:
      case PL011.LCR_H:
      case PL011.CR:
      case PL011.IFLS:
        this.#plain.set(offset, value & 0xffff);
        return;
      default:
        return;
    }
    this.#drive();
  }

  #drive(): void {
    this.#irq.set((this.#raw & this.#mask) !== 0);
  }
}
