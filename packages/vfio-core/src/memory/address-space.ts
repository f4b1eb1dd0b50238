import { ForeignFrames, type ForeignMemory } from './foreign-memory.ts';
import { removeItem } from './list.ts';
import type { Memory } from './memory.ts';
import { PhysicalMemory, type RamRange } from './physical-memory.ts';
import { bytesToEnd, holdsAddress, isInside, overlaps } from './range.ts';
import { hex } from './u64.ts';

/** The requester id of accesses by a CPU. */
export const CPU_REQUESTER = 0;

/** Registers behind addresses. Every width must be answered: what the device does not decode reads as its bus says. */
export interface MmioDevice {
  /** Loads from a register. `width` is 1, 2 or 4 bytes; the value is unsigned. @param offset in bytes from where the device is mapped */
  read(offset: number, width: number): number;
  /**
   * Stores to a register.
   *
   * @param offset in bytes from where the device is mapped
   * @param width 1, 2 or 4 bytes
   * @param value unsigned, of that width
   * @param requester the id of the bus master: CPU_REQUESTER for a CPU
   */
  write(offset: number, width: number, value: number, requester: number): void;
  /**
   * 8-byte stores, for devices that tell them from two of 4; left out, the low word is stored first.
   *
   * @param offset in bytes from where the device is mapped
   * @param lo bits 31 to 0
   * @param hi bits 63 to 32
   * @param requester the id of the bus master
   */
  write64?(offset: number, lo: number, hi: number, requester: number): void;
  /**
   * 8-byte loads, low half to into[0], for devices that tell them from two of 4; left out, the low word is loaded first.
   *
   * @param offset in bytes from where the device is mapped
   */
  read64?(offset: number, into: Uint32Array): void;
}

/** What RAM is moved in, where not all of a range is RAM: no range of it ends within one. */
const CHUNK = 4096;

interface Window {
  readonly base: number;
  readonly size: number;
  readonly device: MmioDevice;
  /** What bytes are moved to at once; left out, they go one by one. */
  readonly memory?: ForeignMemory;
}

/**
 * The physical address space of a machine: RAM, and devices at addresses (MMIO).
 *
 * RAM is tried first. A device sees offsets from the base at which it was mapped, and the requester id of the bus master that asks: a
 * GITS_TRANSLATER tells devices apart by it.
 */
export class AddressSpace implements Memory {
  /** The RAM, without devices. */
  readonly ram: PhysicalMemory;
  /** Memory of programs outside of the simulation, in frames of its own above the machine's. */
  readonly foreign: ForeignFrames = new ForeignFrames();
  readonly #windows: Window[] = [];
  #last: Window | undefined;

  /** @throws RangeError if a range of RAM is malformed or two overlap */
  constructor(ram: readonly RamRange[] | PhysicalMemory) {
    this.ram = ram instanceof PhysicalMemory ? ram : new PhysicalMemory(ram);
  }

  /**
   * Puts a device at [base, base + size); returns what takes it away again.
   *
   * @param base physical, in bytes
   * @param size in bytes, above 0
   * @throws RangeError if the range overlaps RAM or another device.
   */
  map(base: number, size: number, device: MmioDevice): () => void {
    const window: Window = { base, size, device };
    const there = this.ram.ranges.find((range) => overlaps(base, size, range.base, range.size)) ?? this.#windows.find((other) => overlaps(base, size, other.base, other.size));
    if (size <= 0 || there !== undefined) {
      const clash = there === undefined ? '' : `, which overlaps ${'device' in there ? 'a device' : 'RAM'} at ${hex(there.base)} size ${hex(there.size)}`;
      throw new RangeError(`"base" expected a free range, got ${hex(base)} size ${hex(size)}${clash}`);
    }
    this.#windows.push(window);
    return () => {
      removeItem(this.#windows, window);
      this.#last = undefined;
    };
  }

  /** Whether all of [address, address + length) is RAM, or all of it one device. @param address in bytes @param length in bytes */
  accessible(address: number, length: number): boolean {
    if (this.ram.accessible(address, length)) return true;
    const window = this.#window(address);
    return window !== undefined && isInside(address, length, window.base, window.size);
  }

  /** Whether all of [address, address + length) is RAM, not a device. @param address in bytes @param length in bytes */
  isRam(address: number, length: number): boolean {
    return this.ram.accessible(address, length);
  }

  /** Loads a byte, of RAM or of a device; 0xff where there is neither. @param address in bytes */
  read8(address: number): number {
    const window = this.#window(address);
    return window === undefined ? this.ram.read8(address) : window.device.read(address - window.base, 1) & 0xff;
  }

  /** Loads 2 bytes, little-endian, of RAM or of a device; 0xffff where there is neither. @param address in bytes */
  read16(address: number): number {
    const window = this.#window(address);
    return window === undefined ? this.ram.read16(address) : window.device.read(address - window.base, 2) & 0xffff;
  }

  /** Loads 4 bytes, little-endian, of RAM or of a device; 0xffff_ffff where there is neither. @param address in bytes */
  read32(address: number): number {
    const window = this.#window(address);
    return window === undefined ? this.ram.read32(address) : window.device.read(address - window.base, 4) >>> 0;
  }

  /**
   * Stores a byte, to RAM or to a device; nowhere else.
   *
   * @param address in bytes
   * @param value cut to 8 bits
   * @param requester the id of the bus master; that of a CPU by default
   */
  write8(address: number, value: number, requester: number = CPU_REQUESTER): void {
    const window = this.#window(address);
    if (window === undefined) this.ram.write8(address, value);
    else window.device.write(address - window.base, 1, value & 0xff, requester);
  }

  /**
   * Stores 2 bytes, little-endian, to RAM or to a device; nowhere else.
   *
   * @param address in bytes
   * @param value cut to 16 bits
   * @param requester the id of the bus master; that of a CPU by default
   */
  write16(address: number, value: number, requester: number = CPU_REQUESTER): void {
    const window = this.#window(address);
    if (window === undefined) this.ram.write16(address, value);
    else window.device.write(address - window.base, 2, value & 0xffff, requester);
  }

  /**
   * Stores 4 bytes, little-endian, to RAM or to a device; nowhere else.
   *
   * @param address in bytes
   * @param value cut to 32 bits
   * @param requester the id of the bus master; that of a CPU by default
   */
  write32(address: number, value: number, requester: number = CPU_REQUESTER): void {
    const window = this.#window(address);
    if (window === undefined) this.ram.write32(address, value);
    else window.device.write(address - window.base, 4, value >>> 0, requester);
  }

  /**
   * An 8-byte store of two halves.
   *
   * @param address in bytes
   * @param lo bits 31 to 0
   * @param hi bits 63 to 32
   * @param requester the id of the bus master; that of a CPU by default
   */
  write64(address: number, lo: number, hi: number, requester: number = CPU_REQUESTER): void {
    const window = this.#window(address);
    if (window?.device.write64 !== undefined) {
      window.device.write64(address - window.base, lo >>> 0, hi >>> 0, requester);
      return;
    }
    this.write32(address, lo, requester);
    this.write32(address + 4, hi, requester);
  }

  /** An 8-byte load: low half to into[0], high half to into[1]. @param address in bytes */
  read64(address: number, into: Uint32Array): void {
    const window = this.#window(address);
    if (window?.device.read64 !== undefined) {
      window.device.read64(address - window.base, into);
      return;
    }
    into[0] = this.read32(address);
    into[1] = this.read32(address + 4);
  }

  /** Loads bytes; from a device one by one. @param address in bytes */
  readBytes(address: number, into: Uint8Array): void {
    if (this.ram.readFew(address, into)) return;
    if (this.ram.accessible(address, into.length)) {
      this.ram.readBytes(address, into);
      return;
    }
    const foreign = this.foreign.find(address);
    if (foreign !== undefined && isInside(address, into.length, foreign.base, foreign.size)) {
      foreign.memory.read(address - foreign.base, into);
      return;
    }
    this.#pieces(address, into.length, (window, at, done, take) => {
      if (window === undefined) this.ram.readBytes(at, into.subarray(done, done + take));
      else if (window.memory !== undefined) window.memory.read(at - window.base, into.subarray(done, done + take));
      else for (let i = 0; i < take; i += 1) into[done + i] = this.read8(at + i);
    });
  }

  /** Stores bytes; to a device one by one. @param address in bytes */
  writeBytes(address: number, from: Uint8Array): void {
    if (this.ram.writeFew(address, from)) return;
    if (this.ram.accessible(address, from.length)) {
      this.ram.writeBytes(address, from);
      return;
    }
    const foreign = this.foreign.find(address);
    if (foreign !== undefined && isInside(address, from.length, foreign.base, foreign.size)) {
      foreign.memory.write(address - foreign.base, from);
      return;
    }
    this.#pieces(address, from.length, (window, at, done, take) => {
      if (window === undefined) this.ram.writeBytes(at, from.subarray(done, done + take));
      else if (window.memory !== undefined) window.memory.write(at - window.base, from.subarray(done, done + take));
      else for (let i = 0; i < take; i += 1) this.write8(at + i, from[done + i]!);
    });
  }

  /** Calls `piece` for each part that is one device's, or a part of one RAM, or a byte of nothing. */
  #pieces(address: number, length: number, piece: (window: Window | undefined, at: number, done: number, take: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = address + done;
      const window = this.#window(at);
      // RAM is a matter of whole chunks; where nothing is, a device may begin with the next byte.
      const most = window !== undefined ? bytesToEnd(window.base, window.size, at) : this.ram.accessible(at, 1) ? bytesToEnd(0, CHUNK, at % CHUNK) : 1;
      const take = Math.min(most, length - done);
      piece(window, at, done, take);
      done += take;
    }
  }

  /** How many bytes of RAM from an address on are zero since nobody ever wrote them. @param address in bytes */
  untouched(address: number): number {
    return this.ram.untouched(address);
  }

  #window(address: number): Window | undefined {
    const last = this.#last;
    if (last !== undefined && holdsAddress(last.base, last.size, address)) return last;
    if (this.ram.accessible(address, 1)) return undefined;
    const foreign = this.foreign.find(address);
    if (foreign !== undefined) return foreign;
    for (const window of this.#windows) {
      if (holdsAddress(window.base, window.size, address)) {
        this.#last = window;
        return window;
      }
    }
    return undefined;
  }
}
