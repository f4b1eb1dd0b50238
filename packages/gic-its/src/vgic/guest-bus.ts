/** What guest physical addresses lead to: emulated registers, or memory. Kernel: KVM_MMIO_BUS. */
import { highHalf, lowHalf, toBigint } from '@vsim/vfio-core';
import type { GuestMemory } from './guest-memory.ts';
import type { Ioeventfds } from './ioeventfds.ts';

/** A vCPU as the bus knows it: out of the guest while emulated registers are accessed. */
export interface BusVcpu {
  /** What KVM_CREATE_VCPU was asked for. */
  readonly id: number;
  /** Out of guest mode. */
  exitGuest(): void;
  /** Back into guest mode. */
  enterGuest(): void;
}

/** Registers at guest physical addresses. */
export interface GuestDevice {
  /**
   * A guest's load.
   *
   * @param vcpu whose guest code makes it
   * @param offset bytes from the start of the window
   * @param width 1, 2, 4 or 8 bytes
   * @returns the value, unsigned, of that width
   */
  load(vcpu: BusVcpu, offset: number, width: number): bigint;
  /**
   * A guest's store.
   *
   * @param vcpu whose guest code makes it
   * @param offset bytes from the start of the window
   * @param width 1, 2, 4 or 8 bytes
   * @param value unsigned, of that width
   */
  store(vcpu: BusVcpu, offset: number, width: number, value: bigint): void;
}

interface GuestWindow {
  readonly base: number;
  readonly size: number;
  readonly device: GuestDevice;
}

export class GuestBus {
  readonly #memory: GuestMemory;
  readonly #ioeventfds: Ioeventfds;
  readonly #windows: GuestWindow[] = [];

  constructor(memory: GuestMemory, ioeventfds: Ioeventfds) {
    this.#memory = memory;
    this.#ioeventfds = ioeventfds;
  }

  map(base: number, size: number, device: GuestDevice): void {
    this.#windows.push({ base, size, device });
  }

  /** What begins there goes. @param base guest physical address */
  unmap(base: number): void {
    const at = this.#windows.findIndex((window) => window.base === base);
    if (at >= 0) this.#windows.splice(at, 1);
  }

  /**
   * A load by guest code.
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   * @returns undefined outside memory and registers
   */
  load(vcpu: BusVcpu, gpa: number, width: number): bigint | undefined {
    if (this.#memory.visible(gpa)) return loadOnce(this.#memory, gpa, width);
    const window = this.#window(gpa);
    if (window === undefined) return undefined;
    vcpu.exitGuest();
    const value = window.device.load(vcpu, gpa - window.base, width);
    vcpu.enterGuest();
    return value;
  }

  /**
   * A store by guest code.
   *
   * @param gpa guest physical address
   * @param width 1, 2, 4 or 8 bytes
   * @returns false outside writable memory, registers and ioeventfds
   */
  store(vcpu: BusVcpu, gpa: number, width: number, value: bigint): boolean {
    if (this.#memory.writable(gpa)) {
      storeOnce(this.#memory, gpa, width, value);
      return true;
    }
    if (this.#ioeventfds.store(gpa, width, value)) return true;
    const window = this.#window(gpa);
    if (window === undefined) return false;
    vcpu.exitGuest();
    window.device.store(vcpu, gpa - window.base, width, value);
    vcpu.enterGuest();
    return true;
  }

  #window(gpa: number): GuestWindow | undefined {
    return this.#windows.find(({ base, size }) => gpa >= base && gpa < base + size);
  }
}

/** A load as it is made: behind a slot may be registers of a device, for which four bytes are not a word. */
function loadOnce(memory: GuestMemory, gpa: number, width: number): bigint {
  if (width === 8) return toBigint(memory.read32(gpa), memory.read32(gpa + 4));
  return BigInt(width === 4 ? memory.read32(gpa) : width === 2 ? memory.read16(gpa) : memory.read8(gpa));
}

function storeOnce(memory: GuestMemory, gpa: number, width: number, value: bigint): void {
  if (width === 1) memory.write8(gpa, lowHalf(value) & 0xff);
  else if (width === 2) memory.write16(gpa, lowHalf(value) & 0xffff);
  else memory.write32(gpa, lowHalf(value));
  if (width === 8) memory.write32(gpa + 4, highHalf(value));
}
