/**
 * Guest code for KVM_RUN: a program is a generator function of a CPU, which yields each access that may leave the guest.
 *
 * The model has no instruction set. A program stands at the guest physical address at which its code would be loaded (Kvm.code), and a vCPU
 * whose PC is that address runs it; one that ends with another PC than its own goes on there. What does not trap on a real CPU (the virtual CPU interface) is a plain call; loads, stores, WFI and HVC are yielded,
 * as each of them may end in an exit to user space.
 */
import type { Vcpu } from '../vgic/vcpu.ts';
import type { VcpuRegisters } from './vcpu-registers.ts';

export type AccessWidth = 1 | 2 | 4 | 8;

/** What a program asks of KVM. */
export type GuestStep =
  | { readonly op: 'load'; readonly address: number; readonly width: AccessWidth }
  | { readonly op: 'store'; readonly address: number; readonly width: AccessWidth; readonly value: bigint }
  | { readonly op: 'wfi' }
  | { readonly op: 'hvc' };

/** Code that a guest runs: called with `yield*` from other guest code. */
export type Guest<T = void> = Generator<GuestStep, T, bigint>;

export type GuestProgram = (cpu: GuestCpu) => Guest;

/** A CPU as the code on it sees it. */
export class GuestCpu {
  readonly registers: VcpuRegisters;
  /** Where IRQs go while PSTATE.I is clear: run to its end before the program goes on. @default none is taken */
  vector: GuestProgram | undefined;
  /** PSTATE.I. */
  masked = false;
  readonly #vcpu: Vcpu;

  /** @internal Made by a vCPU's fd. */
  constructor(vcpu: Vcpu, registers: VcpuRegisters) {
    this.#vcpu = vcpu;
    this.registers = registers;
  }

  /** Whether the virtual IRQ is asserted. */
  get interrupted(): boolean {
    return this.#vcpu.interruptAsserted;
  }

  *load(address: number, width: AccessWidth): Guest<bigint> {
    return yield { op: 'load', address, width };
  }

  *store(address: number, width: AccessWidth, value: bigint): Guest {
    yield { op: 'store', address, width, value };
  }

  *read32(address: number): Guest<number> {
    return Number(yield { op: 'load', address, width: 4 });
  }

  *write32(address: number, value: number): Guest {
    yield { op: 'store', address, width: 4, value: BigInt(value >>> 0) };
  }

  /** Waits for an interrupt; one that is masked ends it too. */
  *wfi(): Guest {
    yield { op: 'wfi' };
  }

  /** HVC #0 by the SMC calling convention: the function and its arguments in x0 to x3, the result in x0. */
  *hvc(id: number, ...args: readonly bigint[]): Guest<bigint> {
    this.registers.set(0, BigInt(id));
    args.forEach((value, n) => { this.registers.set(n + 1, value); });
    yield { op: 'hvc' };
    return BigInt.asIntN(64, this.registers.get(0));
  }

  // The virtual CPU interface, which is reached without an exit

  /** ICC_IAR1_EL1. @returns the INTID, or 1023 */
  acknowledge(): number {
    return this.#vcpu.acknowledge();
  }

  /** ICC_EOIR1_EL1. */
  endOfInterrupt(intid: number): void {
    this.#vcpu.endOfInterrupt(intid);
  }

  /** ICC_PMR_EL1. */
  setPriorityMask(mask: number): void {
    this.#vcpu.setPriorityMask(mask);
  }

  /** ICC_IGRPEN1_EL1. */
  setGroup1(enabled: boolean): void {
    this.#vcpu.setGroup1(enabled);
  }

  /** ICC_SGI1R_EL1. */
  sendSgi(value: bigint): void {
    this.#vcpu.sendSgi(value);
  }
}
