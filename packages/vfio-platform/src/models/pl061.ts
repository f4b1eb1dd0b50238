import type { MmioDevice } from '@vsim/vfio-core';
import type { IrqLine } from '../bus/irq-line.ts';

/**
 * Offsets of registers, in bytes (Arm DDI 0190, 3.2); ID is the first of eight identification words. Data has an address for each mask of
 * bits, in bits 2 to 9.
 */
export const PL061 = { DATA: 0x000, DIR: 0x400, IS: 0x404, IBE: 0x408, IEV: 0x40c, IE: 0x410, RIS: 0x414, MIS: 0x418, IC: 0x41c, AFSEL: 0x420, ID: 0xfe0 } as const;
const IDENTIFICATION = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
const DATA_END = 0x400;

/**
 * Arm PL061, eight general purpose inputs and outputs with one interrupt. Reference: Arm DDI 0190.
 *
 * Modelled: data through its address mask, directions, interrupts by level. As in the emulator that was recorded, a level that was seen
 * stays in the raw status until IC clears it, and is looked for at each write. Not modelled: interrupts by edge, hardware control (AFSEL).
 */
export class Pl061 implements MmioDevice {
  readonly #irq: IrqLine;
  readonly #plain = new Map<number, number>();
  #data = 0;
  #raw = 0;

  /** @param irq driven while a raw interrupt is not masked by IE */
  constructor(irq: IrqLine) {
    this.#irq = irq;
  }

  /** Levels from outside; pins that are outputs keep theirs. @param levels 8 bits, one for each pin */
  drive(levels: number): void {
    const outputs = this.#register(PL061.DIR);
    this.#data = (this.#data & outputs) | (levels & ~outputs & 0xff);
    this.#look();
  }

  /**
   * A register; data is masked by bits 2 to 9 of the offset.
   *
   * @param offset bytes from the first register; its lowest two bits are not looked at
   */
  read(offset: number): number {
    const at = offset & ~3;
    if (at < DATA_END) return this.#data & (at >>> 2);
    if (at === PL061.RIS) return this.#raw;
    if (at === PL061.MIS) return this.#raw & this.#register(PL061.IE);
    if (at === PL061.IC) return 0;
    return at >= PL061.ID ? (IDENTIFICATION[(at - PL061.ID) / 4] ?? 0) : this.#register(at);
  }

  /**
   * Writes a register; data changes the outputs that bits 2 to 9 of the offset name.
   *
   * @param offset bytes from the first register
   * @param _width bytes, not looked at
   * @param value the lowest 8 bits count
   */
  write(offset: number, _width: number, value: number): void {
    const at = offset & ~3;
    if (at < DATA_END) {
      const mask = (at >>> 2) & this.#register(PL061.DIR);
      this.#data = (this.#data & ~mask) | (value & mask);
    } else if (at === PL061.IC) this.#raw &= ~value;
    else if (at <= PL061.AFSEL && at !== PL061.RIS && at !== PL061.MIS) this.#plain.set(at, value & 0xff);
    this.#look();
  }

  #register(at: number): number {
    return this.#plain.get(at) ?? 0;
  }

  #look(): void {
    this.#raw |= ~(this.#data ^ this.#register(PL061.IEV)) & this.#register(PL061.IS) & 0xff;
    this.#irq.set((this.#raw & this.#register(PL061.IE)) !== 0);
  }
}
