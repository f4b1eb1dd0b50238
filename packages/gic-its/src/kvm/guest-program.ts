/**
 * Guest code for KVM_RUN: a program is a generator function of a CPU, which yields each access that may leave the guest.
 *
 * The model has no instruction set. A program stands at the guest physical address at which its code would be loaded (Kvm.code), and a vCPU
 * whose PC is that address runs it; one that ends with another PC than its own goes on there. What does not trap on a real CPU (the virtual CPU interface) is a plain call; loads, stores, WFI and HVC are yielded,
 * as each of them may end in an exit to user space.
 */
import type { Vcpu } from '../vgic/vcpu.ts';
import type { VcpuRegisters } from './vcpu-registers.ts';

/** Bytes of one load or store of a guest. */
export type AccessWidth = 1 | 2 | 4 | 8;

/** What a program asks of KVM. */
export type GuestStep =
  | { readonly op: 'load'; readonly address: number; readonly width: AccessWidth }
  | { readonly op: 'store'; readonly address: number; readonly width: AccessWidth; readonly value: bigint }
  | { readonly op: 'wfi' }
  | { readonly op: 'hvc' };

/** Code that a guest runs: called with `yield*` from other guest code. */
export type Guest<T = void> = Generator<GuestStep, T, bigint>;

/** Code that stands at an address of Kvm.code: it runs on the CPU that it is given, until it returns. */
export type GuestProgram = (cpu: GuestCpu) => Guest;

/** A CPU as the code on it sees it. */
export class GuestCpu {
  /** x0 to x30, PC and what else KVM_GET_ONE_REG reaches of the vCPU. */
  readonly registers: VcpuRegisters;
  /** Where IRQs go while PSTATE.I is clear: run to its end before the program goes on. @default none is taken */
  vector: GuestProgram | undefined;
  /** PSTATE.I. */
  masked = false;
  readonly #vcpu: Vcpu;

  /** Made by a vCPU's fd. @internal */
  constructor(vcpu: Vcpu, registers: VcpuRegisters) {
    this.#vcpu = vcpu;
    this.registers = registers;
  }

  /** Whether the virtual IRQ is asserted: acknowledge() would find something. */
  get interrupted(): boolean {
    return this.#vcpu.interruptAsserted;
  }

  /**
   * Loads from guest memory, from the vgic or, with an exit, from what user space emulates.
   *
   * @param address guest physical, in bytes
   * @returns the value, unsigned
   */
  *load(address: number, width: AccessWidth): Guest<bigint> {
    return yield { op: 'load', address, width };
  }

  /**
   * Stores to guest memory, to the vgic or, with an exit, to what user space emulates.
   *
   * @param address guest physical, in bytes
   * @param value cut to the width
   */
  *store(address: number, width: AccessWidth, value: bigint): Guest {
    yield { op: 'store', address, width, value };
  }

  /** Loads 4 bytes. @param address guest physical, in bytes */
  *read32(address: number): Guest<number> {
    return Number(yield { op: 'load', address, width: 4 });
  }

  /** Stores 4 bytes. @param address guest physical, in bytes @param value cut to 32 bits */
  *write32(address: number, value: number): Guest {
    yield { op: 'store', address, width: 4, value: BigInt(value >>> 0) };
  }

  /** Waits for an interrupt; one that is masked ends it too. */
  *wfi(): Guest {
    yield { op: 'wfi' };
  }

  /**
   * HVC #0 by the SMC calling convention: the function and its arguments in x0 to x3, the result in x0.
   *
   * @param id the function, 32 bits: of PSCI
   * @param args at most three words of 64 bits
   * @returns x0, signed: negative for an error of PSCI
   */
  *hvc(id: number, ...args: readonly bigint[]): Guest<bigint> {
    this.registers.set(0, BigInt(id));
    args.forEach((value, n) => { this.registers.set(n + 1, value); });
    yield { op: 'hvc' };
    return BigInt.asIntN(64, this.registers.get(0));
  }

  // The virtual CPU interface, which is reached without an exit

  /** ICC_IAR1_EL1: takes the best interrupt of Group 1. @returns the INTID, or 1023 */
  acknowledge(): number {
    return this.#vcpu.acknowledge();
  }

  /** ICC_EOIR1_EL1: priority drop and deactivation. @param intid what acknowledge() returned */
  endOfInterrupt(intid: number): void {
    this.#vcpu.endOfInterrupt(intid);
  }

  /** ICC_PMR_EL1: interrupts of a lower priority than this do not come. @param mask 8 bits: 0xff lets all through */
  setPriorityMask(mask: number): void {
    this.#vcpu.setPriorityMask(mask);
  }

  /** ICC_IGRPEN1_EL1: whether interrupts of Group 1 come. */
  setGroup1(enabled: boolean): void {
    this.#vcpu.setGroup1(enabled);
  }

  /** ICC_SGI1R_EL1: sends an SGI of Group 1. @param value the register's 64 bits: INTID, target list, affinity, IRM */
  sendSgi(value: bigint): void {
    this.#vcpu.sendSgi(value);
  }
}
