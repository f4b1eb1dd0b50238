/** What guest physical addresses lead to: emulated registers, or memory. Kernel: KVM_MMIO_BUS. */
import type { GuestMemory } from './guest-memory.ts';
import type { Ioeventfds } from './ioeventfds.ts';
import type { Vcpu } from './vcpu.ts';

/** Registers at guest physical addresses. */
export interface GuestDevice {
  load(vcpu: Vcpu, offset: number, width: number): bigint;
  store(vcpu: Vcpu, offset: number, width: number, value: bigint): void;
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

  /** What begins there goes. */
  unmap(base: number): void {
    const at = this.#windows.findIndex((window) => window.base === base);
    if (at >= 0) this.#windows.splice(at, 1);
  }

  /** @returns undefined outside memory and registers */
  load(vcpu: Vcpu, gpa: number, width: number): bigint | undefined {
    if (this.#memory.visible(gpa)) {
      let value = 0n;
      for (let i = width - 1; i >= 0; i -= 1) value = value * 256n + BigInt(this.#memory.read8(gpa + i));
      return value;
    }
    const window = this.#window(gpa);
    if (window === undefined) return undefined;
    vcpu.exitGuest();
    const value = window.device.load(vcpu, gpa - window.base, width);
    vcpu.enterGuest();
    return value;
  }

  /** @returns false outside writable memory, registers and ioeventfds */
  store(vcpu: Vcpu, gpa: number, width: number, value: bigint): boolean {
    if (this.#memory.writable(gpa)) {
      for (let i = 0; i < width; i += 1) this.#memory.write8(gpa + i, Number((value >> BigInt(8 * i)) & 0xffn));
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
