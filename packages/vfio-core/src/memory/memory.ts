/**
 * Bytes at addresses: physical RAM, an address space with devices in it, a process' memory and a guest's memory all answer to this, so that
 * a GIC, a DMA engine or a VMM does not care which it was given.
 *
 * An address is an integer in [0, 2^52); values are unsigned; all accesses are little-endian and may be unaligned. Where nothing answers,
 * reads give ones and writes go nowhere: ask accessible() first if that matters.
 */
export interface Memory {
  /**
   * Whether all of [address, address + length) can be read, and with `write` also written.
   *
   * @param address in bytes
   * @param length in bytes
   */
  accessible(address: number, length: number, write?: boolean): boolean;
  /** Loads a byte; 0xff where nothing answers. @param address in bytes */
  read8(address: number): number;
  /** Loads 2 bytes; 0xffff where nothing answers. @param address in bytes */
  read16(address: number): number;
  /** Loads 4 bytes; 0xffff_ffff where nothing answers. @param address in bytes */
  read32(address: number): number;
  /** Stores a byte. @param address in bytes @param value cut to 8 bits */
  write8(address: number, value: number): void;
  /** Stores 2 bytes. @param address in bytes @param value cut to 16 bits */
  write16(address: number, value: number): void;
  /** Stores 4 bytes. @param address in bytes @param value cut to 32 bits */
  write32(address: number, value: number): void;
  /** Fills `into` from `address` on. */
  readBytes(address: number, into: Uint8Array): void;
  /** Stores all of `from` at `address` and behind it. */
  writeBytes(address: number, from: Uint8Array): void;
  /**
   * readWords() of this memory, where it can do it at once.
   *
   * @param address in bytes
   * @param count how many words of 32 bits
   * @returns false, with nothing read, where it cannot
   */
  readWords?(address: number, into: Uint32Array, count: number): boolean;
  /**
   * writeWords() of this memory, where it can do it at once.
   *
   * @param address in bytes
   * @param count how many words of 32 bits
   * @returns false, with nothing written, where it cannot
   */
  writeWords?(address: number, from: Uint32Array, count: number): boolean;
  /** How many bytes from `address` on are zero because nobody ever wrote them; 0 where only reading tells. */
  untouched?(address: number): number;
}

/**
 * Loads `count` words of 32 bits from `address` on: into[0] is the lowest.
 *
 * @returns false, with nothing read, where not all of them are accessible
 */
export function readWords(memory: Memory, address: number, into: Uint32Array, count: number): boolean {
  return memory.readWords?.(address, into, count) === true || readEach(memory, address, into, count);
}

/** Apart from its caller, which is short enough to be taken into its own. */
function readEach(memory: Memory, address: number, into: Uint32Array, count: number): boolean {
  if (!memory.accessible(address, 4 * count)) return false;
  for (let i = 0; i < count; i += 1) into[i] = memory.read32(address + 4 * i);
  return true;
}

/**
 * Stores `count` words of 32 bits, the lowest first.
 *
 * @param address in bytes
 * @returns false, with nothing written, unless all of them can be written
 */
export function writeWords(memory: Memory, address: number, from: Uint32Array, count: number): boolean {
  return memory.writeWords?.(address, from, count) === true || writeEach(memory, address, from, count);
}

function writeEach(memory: Memory, address: number, from: Uint32Array, count: number): boolean {
  if (!memory.accessible(address, 4 * count, true)) return false;
  for (let i = 0; i < count; i += 1) memory.write32(address + 4 * i, from[i]!);
  return true;
}

/** The 64 bits at `address`, little-endian, as a number; exact below 2^53. */
export function read64AsNumber(memory: Memory, address: number): number {
  return memory.read32(address + 4) * 0x1_0000_0000 + memory.read32(address);
}

/** Stores an integer as 64 bits, little-endian. @param address in bytes @param value from 0 to 2^53 - 1 */
export function write64FromNumber(memory: Memory, address: number, value: number): void {
  memory.write32(address, value % 0x1_0000_0000 >>> 0);
  memory.write32(address + 4, Math.floor(value / 0x1_0000_0000));
}

/**
 * Fills a range with one byte.
 *
 * @param address in bytes
 * @param length in bytes
 * @param byte cut to 8 bits
 */
export function fill(memory: Memory, address: number, length: number, byte: number): void {
  const block = new Uint8Array(Math.min(length, 0x1000)).fill(byte);
  for (let done = 0; done < length; done += block.length) {
    memory.writeBytes(address + done, length - done < block.length ? block.subarray(0, length - done) : block);
  }
}
