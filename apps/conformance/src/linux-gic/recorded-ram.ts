/**
 * RAM whose contents a recording tells, access by access: what the recorded model read lies there before the access, and what it
 * wrote has to lie there after it. How the model of today moves these bytes (one by one, by 4, in blocks) is its own affair.
 */
import { PhysicalMemory, type Memory, type RamRange } from '@vsim/vfio-core';

/** Bytes that a recording read or wrote. */
export interface RecordedBytes {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export class RecordedRam implements Memory {
  readonly #ram: PhysicalMemory;
  /** Bytes as they were before the access, of those that it wrote. */
  readonly #before = new Map<number, number>();
  readonly #expected = new Map<number, number>();

  constructor(range: RamRange) {
    this.#ram = new PhysicalMemory([range]);
  }

  /** An access begins. */
  begin(): void {
    this.#before.clear();
    this.#expected.clear();
  }

  /** The recorded model read this. What it had written itself in the same access is there by the model of today, or is a difference. */
  reads({ address, bytes }: RecordedBytes): void {
    bytes.forEach((byte, i) => {
      if (!this.#expected.has(address + i)) this.#ram.write8(address + i, byte);
    });
  }

  /** The recorded model wrote this. */
  writes({ address, bytes }: RecordedBytes): void {
    bytes.forEach((byte, i) => this.#expected.set(address + i, byte));
  }

  /** The access is over. @returns where RAM is not as recorded: the first such byte; afterwards it is as recorded */
  end(): { readonly address: number; readonly expected: number; readonly actual: number } | undefined {
    let wrong: { address: number; expected: number; actual: number } | undefined;
    for (const [address, old] of this.#before) if (!this.#expected.has(address)) this.#expected.set(address, old);
    for (const [address, expected] of this.#expected) {
      const actual = this.#ram.read8(address);
      if (actual === expected) continue;
      wrong ??= { address, expected, actual };
      this.#ram.write8(address, expected);
    }
    return wrong;
  }

  #keep(address: number, length: number): void {
    for (let at = address; at < address + length; at += 1) if (!this.#before.has(at)) this.#before.set(at, this.#ram.read8(at));
  }

  accessible(address: number, length: number): boolean {
    return this.#ram.accessible(address, length);
  }

  read8(address: number): number {
    return this.#ram.read8(address);
  }

  read16(address: number): number {
    return this.#ram.read16(address);
  }

  read32(address: number): number {
    return this.#ram.read32(address);
  }

  write8(address: number, value: number): void {
    this.#keep(address, 1);
    this.#ram.write8(address, value);
  }

  write16(address: number, value: number): void {
    this.#keep(address, 2);
    this.#ram.write16(address, value);
  }

  write32(address: number, value: number): void {
    this.#keep(address, 4);
    this.#ram.write32(address, value);
  }

  readBytes(address: number, into: Uint8Array): void {
    this.#ram.readBytes(address, into);
  }

  writeBytes(address: number, from: Uint8Array): void {
    this.#keep(address, from.length);
    this.#ram.writeBytes(address, from);
  }
}
