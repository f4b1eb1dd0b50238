import { EINVAL, ENOENT } from '@vsim/vfio-core';
import {
  KVM_REG_ARM64,
  KVM_REG_ARM64_SYSREG,
  KVM_REG_ARM_COPROC_MASK,
  KVM_REG_ARM_CORE,
  KVM_REG_SIZE_MASK,
  KVM_REG_SIZE_U64,
} from './uapi.ts';

/** Words of struct kvm_regs that are modelled: regs[31], sp, pc, pstate, sp_el1, elr_el1, spsr[5], each of two. */
const CORE_REGISTERS = 41;
/** All words of struct kvm_regs, floating point included. */
const CORE_WORDS = 216;
const PC = 32;
const PSTATE = 33;
/** EL1h with D, A, I, F masked: what a vCPU has at reset. */
const PSTATE_RESET = 0x3c5n;
/** PSTATE.M of EL0t, EL1t, EL1h. */
const MODES: readonly bigint[] = [0n, 4n, 5n];

/**
 * The id of a 64-bit register of struct kvm_regs.
 *
 * @param index 0 to 30 are x0 to x30, 31 SP, 32 PC, 33 PSTATE, 34 SP_EL1, 35 ELR_EL1, 36 to 40 SPSRs
 */
export function coreRegister(index: number): bigint {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | BigInt(2 * index);
}

/** The id of PC in struct kvm_regs. */
export const KVM_REG_ARM_PC: bigint = coreRegister(PC);
/** The id of MPIDR_EL1: op0 3, op1 0, CRn 0, CRm 0, op2 5. */
export const KVM_REG_ARM_MPIDR: bigint = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | 0xc005n;
/** The id of the firmware register KVM_REG_ARM_PSCI_VERSION: major << 16 and minor. */
export const KVM_REG_ARM_PSCI_VERSION: bigint = KVM_REG_ARM64 | KVM_REG_SIZE_U64 | 0x0014_0000n;

/** Bit 31 of an MPIDR. */
const MPIDR_RES1 = 0x8000_0000n;
/** Versions of PSCI that there are: 0.2, then 1.0 on. */
const PSCI_VERSIONS: readonly bigint[] = [0x2n, 0x1_0000n, 0x1_0001n, 0x1_0002n, 0x1_0003n];

/**
 * What KVM_GET_ONE_REG and KVM_SET_ONE_REG reach of a vCPU.
 *
 * Kernel: arch/arm64/kvm/guest.c (struct kvm_regs by words), sys_regs.c, hypercalls.c. Modelled: general registers, SP, PC, PSTATE, SP_EL1, ELR_EL1,
 * SPSRs, MPIDR_EL1, the version of PSCI. Not modelled: floating point, timers, all other system registers, which are -ENOENT.
 */
export class VcpuRegisters {
  readonly #core = new BigUint64Array(CORE_REGISTERS);
  readonly #vcpu: { affinity: number };
  #mpidr: bigint;
  readonly #latest: bigint;
  #psci: bigint;

  /**
   * @param vcpu who has the affinity: the GIC asks it too
   * @param psci the newest version of PSCI that this kernel has
   */
  constructor(vcpu: { affinity: number }, psci: bigint) {
    this.#vcpu = vcpu;
    this.#mpidr = MPIDR_RES1 | BigInt(vcpu.affinity & 0xff_ffff) | (BigInt(vcpu.affinity >>> 24) << 32n);
    this.#latest = psci;
    this.#psci = psci;
    this.reset();
  }

  /** kvm_reset_vcpu(): general registers are 0, PSTATE is EL1h with all masked. */
  reset(): void {
    this.#core.fill(0n);
    this.#core[PSTATE] = PSTATE_RESET;
  }

  /** A general register, x0 to x30. @param x 0 to 30 */
  get(x: number): bigint {
    return this.#core[x]!;
  }

  /** Writes a general register. @param x 0 to 30 @param value cut to 64 bits */
  set(x: number, value: bigint): void {
    this.#core[x] = value;
  }

  /** PC: the guest physical address at which the next program begins. */
  get pc(): bigint {
    return this.#core[PC]!;
  }

  set pc(address: bigint) {
    this.#core[PC] = address;
  }

  /** The version of PSCI that the guest is told: major << 16 and minor. */
  get psci(): bigint {
    return this.#psci;
  }

  /** KVM_GET_REG_LIST: the ids of all registers that are modelled. */
  get ids(): readonly bigint[] {
    return [...Array.from({ length: CORE_REGISTERS }, (_, index) => coreRegister(index)), KVM_REG_ARM_PSCI_VERSION, KVM_REG_ARM_MPIDR];
  }

  /**
   * KVM_GET_ONE_REG.
   *
   * @param id KVM_REG_*
   * @returns the value, -ENOENT for a register that there is not, -EINVAL for one of another architecture or size
   */
  read(id: bigint): bigint | number {
    const index = indexOf(id);
    if (typeof index === 'number') return index < 0 ? index : this.#core[index]!;
    return index === 'mpidr' ? this.#mpidr : this.#psci;
  }

  /**
   * KVM_SET_ONE_REG.
   *
   * @param id KVM_REG_*
   * @param value 64 bits
   * @returns 0, or as read(); -EINVAL also for a value that the register cannot have
   */
  write(id: bigint, value: bigint): number {
    const index = indexOf(id);
    if (typeof index === 'number') {
      if (index < 0) return index;
      if (index === PSTATE && !MODES.includes(value & 0x1fn)) return -EINVAL;
      this.#core[index] = value;
    } else if (index === 'mpidr') {
      this.#mpidr = value;
      // What the GIC goes by.
      this.#vcpu.affinity = Number((value & 0xff_ffffn) | (((value >> 32n) & 0xffn) << 24n));
    } else {
      if (value > this.#latest || !PSCI_VERSIONS.includes(value)) return -EINVAL;
      this.#psci = value;
    }
    return 0;
  }
}

/** Where the register of an id is kept, or a negative errno. */
function indexOf(id: bigint): number | 'mpidr' | 'psci' {
  if ((id & ~KVM_REG_SIZE_MASK) >> 32n !== KVM_REG_ARM64 >> 32n) return -EINVAL;
  if ((id & KVM_REG_ARM_COPROC_MASK) === KVM_REG_ARM_CORE) {
    const word = Number(id & 0xffffn);
    if (word >= CORE_WORDS) return -ENOENT;
    if (word >= 2 * CORE_REGISTERS) return -ENOENT;
    // A register begins at an even word, and is 64 bits wide.
    return word % 2 === 0 && (id & KVM_REG_SIZE_MASK) === KVM_REG_SIZE_U64 ? word / 2 : -EINVAL;
  }
  if (id === KVM_REG_ARM_MPIDR) return 'mpidr';
  return id === KVM_REG_ARM_PSCI_VERSION ? 'psci' : -ENOENT;
}
