/**
 * MSI and MSI-X inside a function: the registers that software programs, and what becomes of a vector that the function raises.
 *
 * Reference: PCI Local Bus 3.0, 6.8. Modelled: multiple messages, per-vector masks and pending bits, function mask, table and
 * pending bit array in a BAR. Not modelled: steering tags, 64-bit data.
 */
import { read16, read32 } from './capabilities.ts';
import type { ConfigSpace } from './config-space.ts';
import {
  PCI_MSIX_BIR,
  PCI_MSIX_ENTRY_CTRL_MASKBIT,
  PCI_MSIX_ENTRY_SIZE,
  PCI_MSIX_ENTRY_VECTOR_CTRL,
  PCI_MSIX_FLAGS,
  PCI_MSIX_FLAGS_ENABLE,
  PCI_MSIX_FLAGS_MASKALL,
  PCI_MSIX_FLAGS_QSIZE,
  PCI_MSIX_PBA,
  PCI_MSIX_TABLE,
  PCI_MSI_ADDRESS_HI,
  PCI_MSI_ADDRESS_LO,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_64BIT,
  PCI_MSI_FLAGS_ENABLE,
  PCI_MSI_FLAGS_MASKBIT,
  PCI_MSI_FLAGS_QMASK,
  PCI_MSI_FLAGS_QSIZE,
} from './registers.ts';

/**
 * Sends one message as the function's bus master, a store of 32 bits; dropped unless the function may. Both arguments are what software
 * programmed: address in bytes, and data.
 */
export type SendMessage = (address: number, data: number) => void;

/** A vector was raised while it is masked: it waits in its pending bit. */
export type Pended = (vector: number) => void;

/** The MSI capability of one function. */
export class Msi {
  /** Offset of the capability. */
  readonly at: number;
  readonly #config: ConfigSpace;
  readonly #send: SendMessage;
  readonly #pended: Pended;

  /**
   * @param at offset of the capability, in bytes
   * @param send what becomes of a message
   * @param pended hears of a vector that waits for its mask bit
   */
  constructor(config: ConfigSpace, at: number, send: SendMessage, pended: Pended = nobody) {
    this.#config = config;
    this.at = at;
    this.#send = send;
    this.#pended = pended;
  }

  /** Off, one vector, no message, nothing masked and nothing pending. */
  reset(): void {
    const { flags } = this;
    this.#config.set(this.at + PCI_MSI_FLAGS, 2, flags & ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE));
    this.setMessage(0, 0);
    if (!this.maskable) return;
    this.#config.set(this.#data + 4, 4, 0);
    this.#config.set(this.#data + 8, 4, 0);
  }

  /** Message Control, 16 bits. */
  get flags(): number {
    return read16(this.#config.bytes, this.at + PCI_MSI_FLAGS);
  }

  /** MSI Enable. */
  get enabled(): boolean {
    return (this.flags & PCI_MSI_FLAGS_ENABLE) !== 0;
  }

  /** Vectors that the function can send: a power of two up to 32. */
  get capable(): number {
    return 1 << ((this.flags & PCI_MSI_FLAGS_QMASK) >> 1);
  }

  /** Vectors that software gave it. */
  get vectors(): number {
    return Math.min(1 << ((this.flags & PCI_MSI_FLAGS_QSIZE) >> 4), this.capable);
  }

  /** Per-Vector Masking Capable. */
  get maskable(): boolean {
    return (this.flags & PCI_MSI_FLAGS_MASKBIT) !== 0;
  }

  /** Raises a vector; one beyond those given is sent as vector 0. @param vector in [0, 32) */
  raise(vector: number): void {
    const bit = vector < this.vectors ? vector : 0;
    if (this.maskable && (this.#word(4) & (1 << bit)) !== 0) {
      this.#config.set(this.#data + 8, 4, this.#word(8) | (1 << bit));
      this.#pended(bit);
      return;
    }
    this.#deliver(bit);
  }

  /** Software wrote the mask bits or the enable bit: pending vectors that are free now are sent. */
  update(): void {
    if (!this.maskable || !this.enabled) return;
    const free = this.#word(8) & ~this.#word(4);
    if (free === 0) return;
    this.#config.set(this.#data + 8, 4, this.#word(8) & ~free);
    for (let bit = 0; bit < 32; bit += 1) if ((free & (1 << bit)) !== 0) this.#deliver(bit);
  }

  /**
   * The kernel's programming of the message.
   *
   * @param address physical, 64 bits below 2^53 where the capability has them, else 32
   * @param data 16 bits
   */
  setMessage(address: number, data: number): void {
    this.#config.set(this.at + PCI_MSI_ADDRESS_LO, 4, address % 0x1_0000_0000 >>> 0);
    if (this.#wide) this.#config.set(this.at + PCI_MSI_ADDRESS_HI, 4, Math.floor(address / 0x1_0000_0000));
    this.#config.set(this.#data, 2, data);
  }

  /** The kernel's masking of one vector, where the function can mask. @param vector in [0, 32) */
  setMask(vector: number, masked: boolean): void {
    if (!this.maskable) return;
    const mask = this.#word(4);
    this.#config.set(this.#data + 4, 4, masked ? mask | (1 << vector) : mask & ~(1 << vector));
    if (!masked) this.update();
  }

  get #wide(): boolean {
    return (this.flags & PCI_MSI_FLAGS_64BIT) !== 0;
  }

  /** Offset of the message data; mask bits are 4 behind it, pending bits 8. */
  get #data(): number {
    return this.at + (this.#wide ? 12 : 8);
  }

  #word(behindData: number): number {
    return read32(this.#config.bytes, this.#data + behindData);
  }

  #deliver(vector: number): void {
    const { bytes } = this.#config;
    const low = read32(bytes, this.at + PCI_MSI_ADDRESS_LO);
    const high = this.#wide ? read32(bytes, this.at + PCI_MSI_ADDRESS_HI) : 0;
    // The function may change the low bits of the data, as many as it has vectors.
    const data = read16(bytes, this.#data);
    this.#send(high * 0x1_0000_0000 + low, (data & ~(this.vectors - 1)) | ((data + vector) & (this.vectors - 1)));
  }
}

/** The MSI-X capability of one function, its table and its pending bit array. */
export class Msix {
  /** Offset of the capability. */
  readonly at: number;
  /** Entries of the table, 1 to 2048. */
  readonly size: number;
  /** BAR of the table, 0 to 5. */
  readonly tableBar: number;
  /** Offset of the table in its BAR, in bytes. */
  readonly tableOffset: number;
  /** BAR of the pending bit array, 0 to 5. */
  readonly pbaBar: number;
  /** Offset of the pending bit array in its BAR, in bytes. */
  readonly pbaOffset: number;
  readonly #config: ConfigSpace;
  readonly #send: SendMessage;
  readonly #pended: Pended;
  /** Address low, address high, data and control of each entry. */
  readonly #table: Uint32Array;
  readonly #pending: Uint32Array;

  /**
   * @param at offset of the capability, in bytes
   * @param send what becomes of a message
   * @param pended hears of a vector that waits for its mask bit
   */
  constructor(config: ConfigSpace, at: number, send: SendMessage, pended: Pended = nobody) {
    this.#config = config;
    this.at = at;
    this.#send = send;
    this.#pended = pended;
    this.size = (read16(config.bytes, at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
    const table = read32(config.bytes, at + PCI_MSIX_TABLE);
    const pba = read32(config.bytes, at + PCI_MSIX_PBA);
    this.tableBar = table & PCI_MSIX_BIR;
    this.tableOffset = (table & ~PCI_MSIX_BIR) >>> 0;
    this.pbaBar = pba & PCI_MSIX_BIR;
    this.pbaOffset = (pba & ~PCI_MSIX_BIR) >>> 0;
    this.#table = new Uint32Array(4 * this.size);
    this.#pending = new Uint32Array(2 * Math.ceil(this.size / 64));
    this.#maskAll();
  }

  /** Bytes of the table: 16 for each entry. */
  get tableBytes(): number {
    return this.size * PCI_MSIX_ENTRY_SIZE;
  }

  /** Bytes of the pending bit array: 8 for each 64 entries that are begun. */
  get pbaBytes(): number {
    return this.#pending.byteLength;
  }

  /** Message Control, 16 bits. */
  get flags(): number {
    return read16(this.#config.bytes, this.at + PCI_MSIX_FLAGS);
  }

  /** MSI-X Enable. */
  get enabled(): boolean {
    return (this.flags & PCI_MSIX_FLAGS_ENABLE) !== 0;
  }

  /** Off; every vector masked, nothing pending. */
  reset(): void {
    this.#config.set(this.at + PCI_MSIX_FLAGS, 2, this.flags & ~(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL));
    this.#table.fill(0);
    this.#pending.fill(0);
    this.#maskAll();
  }

  #maskAll(): void {
    for (let entry = 0; entry < this.size; entry += 1) this.#table[4 * entry + 3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
  }

  /** Whether a vector waits for its mask bit. @param vector in [0, size) */
  isPending(vector: number): boolean {
    return (this.#pending[vector >>> 5]! & (1 << (vector & 31))) !== 0;
  }

  /**
   * Sends a vector's message, or, while the vector or the function is masked, sets its pending bit.
   *
   * @param vector in [0, size); a higher one is ignored
   */
  raise(vector: number): void {
    if (vector >= this.size) return;
    if ((this.flags & PCI_MSIX_FLAGS_MASKALL) !== 0 || (this.#table[4 * vector + 3]! & PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0) {
      this.#pending[vector >>> 5] = this.#pending[vector >>> 5]! | (1 << (vector & 31));
      this.#pended(vector);
      return;
    }
    this.#deliver(vector);
  }

  /** Software wrote the control word: pending vectors that are free now are sent. */
  update(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.size; vector += 1) this.#release(vector);
  }

  /**
   * Loads from the table; unaligned or narrow loads give the bytes all the same.
   *
   * @param offset bytes from its start
   * @param width 1, 2 or 4 bytes
   */
  readTable(offset: number, width: number): number {
    return readWords(this.#table, offset, width);
  }

  /** Loads from the pending bit array. @param offset bytes from its start @param width 1, 2 or 4 bytes */
  readPending(offset: number, width: number): number {
    return readWords(this.#pending, offset, width);
  }

  /**
   * Stores to the table; a vector that this unmasks is sent if it was pending.
   *
   * @param offset bytes from its start
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width
   */
  writeTable(offset: number, width: number, value: number): void {
    const at = offset >>> 2;
    if (width === 4) {
      this.#table[at] = value;
    } else {
      const shift = 8 * (offset & 3);
      const mask = (width === 1 ? 0xff : 0xffff) << shift;
      this.#table[at] = (this.#table[at]! & ~mask) | ((value << shift) & mask);
    }
    const first = (offset % PCI_MSIX_ENTRY_SIZE) - (offset & 3);
    if (first === PCI_MSIX_ENTRY_VECTOR_CTRL && this.enabled) this.#release(at >>> 2);
  }

  /**
   * The kernel's programming of one entry.
   *
   * @param vector in [0, size)
   * @param address physical, below 2^53
   * @param data 32 bits
   */
  setMessage(vector: number, address: number, data: number): void {
    this.#table[4 * vector] = address % 0x1_0000_0000;
    this.#table[4 * vector + 1] = Math.floor(address / 0x1_0000_0000);
    this.#table[4 * vector + 2] = data;
  }

  /** The kernel's masking of one vector, in its Vector Control; unmasked, it is sent if it was pending. @param vector in [0, size) */
  setMask(vector: number, masked: boolean): void {
    this.writeTable(vector * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
  }

  #release(vector: number): void {
    if (!this.isPending(vector) || (this.flags & PCI_MSIX_FLAGS_MASKALL) !== 0) return;
    if ((this.#table[4 * vector + 3]! & PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0) return;
    this.#pending[vector >>> 5] = this.#pending[vector >>> 5]! & ~(1 << (vector & 31));
    this.#deliver(vector);
  }

  #deliver(vector: number): void {
    const at = 4 * vector;
    this.#send(this.#table[at + 1]! * 0x1_0000_0000 + this.#table[at]!, this.#table[at + 2]!);
  }
}

function nobody(): void {
  // Nobody wants to hear of vectors that wait.
}

function readWords(words: Uint32Array, offset: number, width: number): number {
  const word = words[offset >>> 2] ?? 0;
  if (width === 4) return word;
  return (word >>> (8 * (offset & 3))) & (width === 1 ? 0xff : 0xffff);
}
