import { WaitQueue, type Host, type MmioDevice, type Sleeps } from '@vsim/vfio-core';
import type { IrqLine } from '../bus/irq-line.ts';

/**
 * Offsets of registers, in bytes (Arm DDI 0224, 3.2): data, match, load, control, interrupt mask, raw and masked status, clear; ID is the
 * first of eight identification words.
 */
export const PL031 = { DR: 0x00, MR: 0x04, LR: 0x08, CR: 0x0c, IMSC: 0x10, RIS: 0x14, MIS: 0x18, ICR: 0x1c, ID: 0xfe0 } as const;
/** Revision 1. */
const IDENTIFICATION = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
const SECOND = 1_000_000_000;

/**
 * Arm PL031, a real time clock: counts seconds, and interrupts when the count meets a match. Reference: Arm DDI 0224.
 *
 * Modelled: every register; time is the host's virtual clock. Not modelled: test registers.
 */
export class Pl031 implements MmioDevice {
  readonly #host: Host;
  readonly #irq: IrqLine;
  /** Seconds at virtual time 0, as the load register set them. */
  #offset = 0;
  #match = 0;
  #load = 0;
  #mask = 0;
  #raw = 0;
  /** Virtual time of the next match. */
  #due: number | undefined;
  /** The device's one timer runs: a thread that sleeps until #due, whatever that has become. */
  #ticking = false;
  readonly #rearmed = new WaitQueue('pl031 alarm');

  /** @param host whose virtual clock it counts, from 0 at time 0 @param irq driven while the alarm is raised and not masked */
  constructor(host: Host, irq: IrqLine) {
    this.#host = host;
    this.#irq = irq;
  }

  /** A register; DR is the count in seconds, modulo 2^32. @param offset bytes from the first register */
  read(offset: number): number {
    switch (offset) {
      case PL031.DR:
        return this.#now;
      case PL031.MR:
        return this.#match;
      case PL031.LR:
        return this.#load;
      case PL031.CR:
        return 1; // it cannot be stopped once it runs
      case PL031.IMSC:
        return this.#mask;
      case PL031.RIS:
        return this.#raw;
      case PL031.MIS:
        return this.#raw & this.#mask;
      default:
        return IDENTIFICATION[(offset - PL031.ID) >> 2] ?? 0;
    }
  }

  /**
   * Writes a register; MR and LR set the alarm anew.
   *
   * @param offset bytes from the first register
   * @param _width bytes, not looked at
   * @param value 32 bits; read-only registers ignore it
   */
  write(offset: number, _width: number, value: number): void {
    switch (offset) {
      case PL031.MR:
        this.#match = value;
        this.#setAlarm();
        return;
      case PL031.LR:
        this.#load = value;
        this.#offset = (this.#offset + value - this.#now) | 0;
        this.#setAlarm();
        return;
      case PL031.IMSC:
        this.#mask = value & 1;
        break;
      case PL031.ICR:
        this.#raw &= ~value & 1;
        break;
      default:
        return;
    }
    this.#drive();
  }

  get #now(): number {
    return (Math.floor(this.#host.scheduler.now / SECOND) + this.#offset) >>> 0;
  }

  #setAlarm(): void {
    const seconds = (this.#match - this.#now) >>> 0;
    const { scheduler } = this.#host;
    this.#due = seconds === 0 ? undefined : (Math.floor(scheduler.now / SECOND) + seconds) * SECOND;
    if (seconds === 0) this.#matched();
    if (this.#ticking) {
      this.#rearmed.wake();
      scheduler.settle();
    } else if (seconds !== 0) {
      this.#ticking = true;
      scheduler.spawn('pl031 alarm', this.#tick());
    }
  }

  *#tick(): Sleeps<void> {
    while (this.#due !== undefined) {
      const due = this.#due;
      if (yield* this.#rearmed.wait(this.#host.scheduler, () => this.#due !== due, due)) continue;
      this.#due = undefined;
      this.#matched();
    }
    this.#ticking = false;
  }

  #matched(): void {
    this.#raw = 1;
    this.#drive();
  }

  #drive(): void {
    this.#irq.set((this.#raw & this.#mask) !== 0);
  }
}
