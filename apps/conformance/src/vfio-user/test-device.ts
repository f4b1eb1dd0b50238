import type { Host } from '@vsim/vfio-core';
import { ones, PciFunction, type BarInit } from '@vsim/vfio-pci';

/** Offsets in BAR 0, in bytes. */
const REGISTER = { ID: 0x00, RAISE: 0x08, INTX: 0x0c, SOURCE: 0x10, DESTINATION: 0x18, LENGTH: 0x20, RUN: 0x24, STATUS: 0x28, WINDOW: 0x2c } as const;
const ID = 0x5646_5553;
const RAISE_ONLY = 0x8000_0000;
/** What a move does to each byte. */
const XOR = 0x5a;
/** Of WINDOW, in BAR 2. */
const WINDOW_AT = 0x1000;
/** The interrupt after a move. */
const MOVED = 1;
const DONE = 1;
const FAILED = 2;
/** More than any guest asked for: a length that is nonsense fails. */
const MOST = 0x1000_0000;

const BARS: readonly BarInit[] = [{ index: 0, size: 0x1000 }, { index: 2, size: 0x1_0000 }, { index: 4, size: 0x1000 }];

/** What is not zero in its configuration space: header, MSI-X at 0x40, MSI at 0x50, power management at 0x70. */
const CONFIG: readonly (readonly [at: number, ...bytes: readonly number[]])[] = [
  [0x00, 0x34, 0x12, 0xfe, 0x5a, 0, 0, 0x10, 0, 1, 0, 0x80, 0x08],
  [0x2c, 0x34, 0x12, 1, 0],
  [0x34, 0x40],
  [0x3d, 1],
  [0x40, 0x11, 0x50, 3, 0, 4, 0, 0, 0, 4, 8, 0, 0],
  [0x50, 0x05, 0x70, 0x84, 0],
  [0x70, 0x01, 0, 3, 0],
];

/** Bits that software may write, of dwords. */
const WRITABLE = { 0x04: 0x0547, 0x0c: 0xff, 0x3c: 0xff, 0x40: 0xc000_0000, 0x50: 0x0071_0000, 0x74: 3 } as const;

/**
 * The device of the captured conversations, 1234:5afe, as its description says: registers that raise interrupts and move memory, and plain memory behind them.
 *
 * An interrupt goes by MSI-X if software has switched that on, else by MSI, else by the pin.
 */
export class TestDevice extends PciFunction {
  readonly #registers = new Uint8Array(0x1000);
  readonly #memory: Uint8Array;
  readonly #mappable: boolean;
  #intx = false;
  /** Software writes its configuration space. */
  #configured = false;

  /** @param memory what BAR 2 holds, 64 KiB, if others reach it too: WINDOW reads it then */
  constructor(host: Host, address: string, memory?: Uint8Array) {
    const config = new Uint8Array(256);
    for (const [at, ...bytes] of CONFIG) config.set(bytes, at);
    super(host, { address, config, bars: BARS, writeMasks: WRITABLE, acpiReset: true });
    this.#memory = memory ?? new Uint8Array(0x1_0000);
    this.#mappable = memory !== undefined;
    this.reset();
  }

  /** Power states do nothing: what the recorded server kept through D3hot, no reset has touched. */
  override configWrite(offset: number, width: number, value: number): void {
    this.#configured = true;
    super.configWrite(offset, width, value);
    this.#configured = false;
  }

  override resetFunction(): void {
    if (!this.#configured) super.resetFunction();
  }

  protected override barRead(bar: number, offset: number, width: number): number {
    if (bar === 0 && offset === REGISTER.INTX && width === 4) return this.#intx ? 1 : 0;
    if (bar === 0 && offset === REGISTER.WINDOW && this.#mappable) return load(this.#memory, WINDOW_AT, width);
    return bar === 0 ? load(this.#registers, offset, width) : bar === 2 ? load(this.#memory, offset, width) : bar === 4 ? 0 : ones(width);
  }

  protected override barWrite(bar: number, offset: number, width: number, value: number): void {
    if (bar === 2) store(this.#memory, offset, width, value);
    if (bar !== 0 || offset < 4) return;
    switch (offset) {
      case REGISTER.RAISE:
        if (width !== 4 || value !== RAISE_ONLY) store(this.#registers, offset, width, value);
        this.#interrupt(value & 0xff);
        return;
      case REGISTER.INTX:
        this.#setIntx(false);
        return;
      case REGISTER.RUN:
        store(this.#registers, offset, width, value);
        this.#move();
        return;
      default:
        store(this.#registers, offset, width, value);
    }
  }

  protected override reset(): void {
    this.config.set(4, 2, 0);
    this.#registers.fill(0);
    store(this.#registers, REGISTER.ID, 4, ID);
    this.#intx = false;
  }

  #interrupt(number: number): void {
    if (this.messagesEnabled) this.raise(number & 3);
    else this.#setIntx(true);
  }

  #setIntx(level: boolean): void {
    this.#intx = level;
    this.setIntx(level);
  }

  #move(): void {
    const word = (at: number): number => load(this.#registers, at, 4);
    const length = word(REGISTER.LENGTH);
    const bytes = new Uint8Array(length > MOST ? 0 : length);
    const read = length <= MOST && this.dmaReadWide(word(REGISTER.SOURCE), word(REGISTER.SOURCE + 4), bytes);
    const written = read && this.dmaWriteWide(word(REGISTER.DESTINATION), word(REGISTER.DESTINATION + 4), bytes.map((byte) => byte ^ XOR));
    store(this.#registers, REGISTER.STATUS, 4, written ? DONE : FAILED);
    this.#interrupt(MOVED);
  }
}

function load(bytes: Uint8Array, offset: number, width: number): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i -= 1) value = value * 0x100 + bytes[offset + i]!;
  return value;
}

function store(bytes: Uint8Array, offset: number, width: number, value: number): void {
  for (let i = 0; i < width; i += 1) bytes[offset + i] = value >>> (8 * i);
}
