/** Register offsets of a port, in bytes; RX and TX share one, as do FCR and IIR. */
export const UART = { RX: 0, TX: 0, IER: 1, IIR: 2, FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;

const IER_RDI = 1;
const IER_THRI = 2;
const IER_RLSI = 4;
const IER_MSI = 8;
const IIR_NO_INT = 1;
const IIR_THRI = 2;
const IIR_RDI = 4;
const IIR_RLSI = 6;
const IIR_FIFO = 0xc0;
const FCR_ENABLE = 1;
const FCR_CLEAR = 6;
const LCR_DLAB = 0x80;
const MCR_DTR = 1;
const MCR_RTS = 2;
const MCR_OUT2 = 8;
const MCR_AFE = 0x20;
const LSR_DR = 1;
const LSR_OE = 2;
const LSR_EMPTY = 0x60; // THRE and TEMT
const MSR_DSR_DCD = 0xa2; // DSR, DDSR, DCD
const MSR_CTS = 0x11; //     CTS, DCTS
const FIFO = 16;

const STATE_BYTES = 32;

/**
 * One port of the mtty sample: the registers of a 16550 whose transmitter is wired to its own receiver.
 *
 * Facts of the sample, not of the chip: a FIFO of 16 bytes looks empty when it is full, as its two ends meet, and stays so; the divisor is
 * OR-ed together and cleared only when DLAB is set anew; the trigger level is 0 until FCR is written, and 1 from then on; an overrun is
 * forgotten when the next byte is taken, and neither LSR nor FCR clears it; IIR has all causes OR-ed.
 */
export class Uart {
  readonly #fifo = new Uint8Array(FIFO);
  #count = 0;
  #head = 0;
  #tail = 0;
  #limit = FIFO;
  /** How many bytes make a receive interrupt. The sample sets none before FCR is written. */
  #trigger = 0;
  #overrun = false;
  #dlab = false;
  #divisor = 0;
  readonly #registers = new Uint8Array(8);
  #fcr = 0;
  /** Asks for the interrupt. */
  readonly #interrupt: () => void;

  /** A port as it is created. @param interrupt called when the port asks for its interrupt */
  constructor(interrupt: () => void) {
    this.#interrupt = interrupt;
  }

  /** Writes a register; LSR and MSR are read-only. @param register 0 to 7, UART; others do nothing @param value 8 bits */
  write(register: number, value: number): void {
    const registers = this.#registers;
    switch (register) {
      case UART.TX:
        if (this.#dlab) this.#divisor |= value;
        else this.#transmit(value);
        return;
      case UART.IER:
        if (this.#dlab) {
          this.#divisor |= value << 8;
          return;
        }
        registers[UART.IER] = value;
        if ((value & IER_THRI) !== 0 && this.#looksEmpty) this.#interrupt();
        return;
      case UART.FCR:
        this.#fcr = value;
        if ((value & FCR_CLEAR) !== 0) {
          this.#count = 0;
          this.#head = 0;
          this.#tail = 0;
        }
        this.#limit = (value & FCR_ENABLE) !== 0 ? FIFO : 1;
        this.#trigger = 1;
        return;
      case UART.LCR:
        this.#dlab = (value & LCR_DLAB) !== 0;
        if (this.#dlab) this.#divisor = 0;
        registers[UART.LCR] = value;
        return;
      case UART.MCR:
        registers[UART.MCR] = value;
        if ((registers[UART.IER]! & IER_MSI) === 0) return;
        if ((value & MCR_OUT2) !== 0) this.#interrupt();
        if ((value & (MCR_RTS | MCR_DTR)) !== 0) this.#interrupt();
        return;
      case UART.SCR:
        registers[UART.SCR] = value;
        return;
      default:
        return; // LSR and MSR are read-only
    }
  }

  /** Reads a register, with its side effects: RX takes a byte out of the FIFO. @param register 0 to 7, UART; others are 0 */
  read(register: number): number {
    const registers = this.#registers;
    switch (register) {
      case UART.RX:
        return this.#dlab ? this.#divisor & 0xff : this.#receive();
      case UART.IER:
        return this.#dlab ? (this.#divisor >> 8) & 0xff : registers[UART.IER]! & 0xf;
      case UART.IIR:
        return this.#identify();
      case UART.LSR:
        return (this.#looksEmpty ? LSR_EMPTY : LSR_DR) | (this.#overrun ? LSR_OE : 0);
      case UART.MSR: {
        const room = (registers[UART.MCR]! & MCR_AFE) === 0 || this.#count < this.#limit;
        return MSR_DSR_DCD | (room ? MSR_CTS : 0);
      }
      default:
        return registers[register] ?? 0;
    }
  }

  /** All state, for migration: `stateBytes` bytes. */
  save(): Uint8Array {
    const out = new Uint8Array(STATE_BYTES + FIFO);
    const fixed = [this.#count, this.#head, this.#tail, this.#limit, this.#overrun ? 1 : 0, this.#dlab ? 1 : 0, this.#divisor & 0xff, this.#divisor >> 8, this.#fcr, this.#trigger];
    out.set(fixed);
    out.set(this.#registers, 16);
    out.set(this.#fifo, STATE_BYTES);
    return out;
  }

  /** Takes a saved state. @returns false, with nothing changed, if it is none */
  load(bytes: Uint8Array): boolean {
    const [count = 0, head = 0, tail = 0, limit = 0, overrun = 0, dlab = 0, low = 0, high = 0, fcr = 0, trigger = 0] = bytes;
    if (bytes.length !== STATE_BYTES + FIFO || count > FIFO || head >= FIFO || tail >= FIFO || (limit !== FIFO && limit !== 1) || trigger > 1) return false;
    this.#count = count;
    this.#head = head;
    this.#tail = tail;
    this.#limit = limit;
    this.#overrun = overrun !== 0;
    this.#dlab = dlab !== 0;
    this.#divisor = low | (high << 8);
    this.#fcr = fcr;
    this.#trigger = trigger;
    this.#registers.set(bytes.subarray(16, 24));
    this.#fifo.set(bytes.subarray(STATE_BYTES));
    return true;
  }

  /** Bytes of a saved state: 48. */
  static readonly stateBytes: number = STATE_BYTES + FIFO;

  get #looksEmpty(): boolean {
    return this.#head === this.#tail;
  }

  #transmit(value: number): void {
    const ier = this.#registers[UART.IER]!;
    if (this.#count >= this.#limit) {
      this.#overrun = true;
      if ((ier & IER_RLSI) !== 0) this.#interrupt();
      return;
    }
    this.#fifo[this.#head] = value;
    this.#head = (this.#head + 1) % FIFO;
    this.#count += 1;
    this.#overrun = false;
    if ((ier & IER_RDI) !== 0 && this.#count === this.#trigger) this.#interrupt();
  }

  #receive(): number {
    let value = 0;
    if (!this.#looksEmpty) {
      value = this.#fifo[this.#tail]!;
      this.#tail = (this.#tail + 1) % FIFO;
      this.#count -= 1;
    }
    if (this.#looksEmpty && (this.#registers[UART.IER]! & IER_THRI) !== 0) this.#interrupt();
    return value;
  }

  #identify(): number {
    const ier = this.#registers[UART.IER]!;
    let value = 0;
    if ((ier & IER_RLSI) !== 0 && this.#overrun) value |= IIR_RLSI;
    if ((ier & IER_RDI) !== 0 && this.#count >= this.#trigger) value |= IIR_RDI;
    if ((ier & IER_THRI) !== 0 && this.#looksEmpty) value |= IIR_THRI;
    return (value === 0 ? IIR_NO_INT : value) | IIR_FIFO;
  }
}
