/**
 * KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS: the guest's CPU interface, register by register, while its vCPU is out of the guest.
 *
 * Kernel: vgic-sys-reg-v3.c. An attribute is the vCPU's affinity in the high half, and op0, op1, CRn, CRm, op2 as in the instruction.
 * With five bits of priority there is one register of active priorities a group: the other three are there, and cannot be read or written. Of CTLR the EOImode
 * and CBPR bits are kept.
 */
import { EINVAL, ENXIO, type Refusals } from '@vsim/vfio-core';
import { NO_REGISTER, REGISTER_VALUE } from './vm-reasons.ts';

/** Registers of GRP.CPU_SYSREGS: the low 16 bits of the attribute, as registerEncoding() has them. */
export const SYSREG = {
  ICC_PMR_EL1: 0xc230,
  ICC_BPR0_EL1: 0xc643,
  ICC_AP0R0_EL1: 0xc644,
  ICC_AP1R0_EL1: 0xc648,
  ICC_BPR1_EL1: 0xc663,
  ICC_CTLR_EL1: 0xc664,
  ICC_SRE_EL1: 0xc665,
  ICC_IGRPEN0_EL1: 0xc666,
  ICC_IGRPEN1_EL1: 0xc667,
} as const;

/** SRE, DFB and DIB: system registers and no bypass, always. */
const SRE = 7n;
/** A3V, 24 INTID bits, 5 priority bits: what the virtual CPU interface says of itself. */
const CTLR_FIXED = 0x8c00n;
const CTLR_PRIBITS = 0x700n;
const CTLR_CBPR = 1n;
const CTLR_EOIMODE = 2n;

/** A vCPU as the registers of its CPU interface know it: what they are kept in. */
export interface SysregVcpu {
  /** ICH_VMCR_EL2. */
  vmcr: bigint;
  /** ICH_AP0R0_EL2. */
  ap0r: bigint;
  /** ICH_AP1R0_EL2. */
  ap1r: bigint;
  /** The VM that it is of: where refused calls are told. */
  readonly vm: { readonly refusals: Refusals };
}

/** A field of ICH_VMCR_EL2. */
interface VmcrField {
  readonly shift: bigint;
  readonly mask: bigint;
}

const VMCR: ReadonlyMap<number, VmcrField> = new Map([
  [SYSREG.ICC_PMR_EL1, { shift: 24n, mask: 0xf8n }],
  [SYSREG.ICC_BPR0_EL1, { shift: 21n, mask: 7n }],
  [SYSREG.ICC_BPR1_EL1, { shift: 18n, mask: 7n }],
  [SYSREG.ICC_IGRPEN0_EL1, { shift: 0n, mask: 1n }],
  [SYSREG.ICC_IGRPEN1_EL1, { shift: 1n, mask: 1n }],
]);
const VMCR_EOIM: VmcrField = { shift: 9n, mask: 1n };
const VMCR_CBPR: VmcrField = { shift: 4n, mask: 1n };

/** ICC_AP0R1_EL1 to AP0R3 and ICC_AP1R1_EL1 to AP1R3, which only more priorities would use. */
function isSpareApr(register: number): boolean {
  return register > SYSREG.ICC_AP0R0_EL1 && register < SYSREG.ICC_AP1R0_EL1 + 4 && register !== SYSREG.ICC_AP1R0_EL1;
}

const KNOWN: ReadonlySet<number> = new Set<number>(Object.values(SYSREG));

/**
 * Whether an attribute of GRP.CPU_SYSREGS, without the affinity, names one of these registers.
 *
 * @param register op0, op1, CRn, CRm and op2 in 16 bits: see registerEncoding()
 */
export function isSysreg(register: number): boolean {
  return isSpareApr(register) || KNOWN.has(register);
}

/**
 * KVM_GET_DEVICE_ATTR of a register of the guest's CPU interface.
 *
 * @param register one of SYSREG
 * @returns the value, -EINVAL for active priorities that there are not, or -ENXIO for a register that is none of these
 */
export function readSysreg(vcpu: SysregVcpu, register: number): bigint | number {
  const field = VMCR.get(register);
  if (field !== undefined) return extract(vcpu.vmcr, field);
  switch (register) {
    case SYSREG.ICC_AP0R0_EL1:
      return vcpu.ap0r;
    case SYSREG.ICC_AP1R0_EL1:
      return vcpu.ap1r;
    case SYSREG.ICC_SRE_EL1:
      return SRE;
    case SYSREG.ICC_CTLR_EL1:
      return CTLR_FIXED | (extract(vcpu.vmcr, VMCR_EOIM) * CTLR_EOIMODE) | (extract(vcpu.vmcr, VMCR_CBPR) * CTLR_CBPR);
    default:
      return vcpu.vm.refusals.refuse(NO_REGISTER, { device: 'cpu interface', offset: register }, isSpareApr(register) ? EINVAL : ENXIO);
  }
}

/**
 * KVM_SET_DEVICE_ATTR of a register of the guest's CPU interface.
 *
 * @param register one of SYSREG
 * @param value 64 bits, cut to what the register keeps
 * @returns 0; -EINVAL for a value that this CPU interface cannot have; -ENXIO as readSysreg()
 */
export function writeSysreg(vcpu: SysregVcpu, register: number, value: bigint): number {
  const field = VMCR.get(register);
  if (field !== undefined) {
    vcpu.vmcr = insert(vcpu.vmcr, field, value);
    return 0;
  }
  switch (register) {
    case SYSREG.ICC_AP0R0_EL1:
      vcpu.ap0r = BigInt.asUintN(32, value);
      return 0;
    case SYSREG.ICC_AP1R0_EL1:
      vcpu.ap1r = BigInt.asUintN(32, value);
      return 0;
    case SYSREG.ICC_SRE_EL1:
      return (value & SRE) === SRE ? 0 : vcpu.vm.refusals.refuse(REGISTER_VALUE, { register: 'ICC_SRE_EL1', value, has: SRE });
    case SYSREG.ICC_CTLR_EL1:
      // More priority or INTID bits than there are cannot be given.
      if ((value & CTLR_PRIBITS) > (CTLR_FIXED & CTLR_PRIBITS)) return vcpu.vm.refusals.refuse(REGISTER_VALUE, { register: 'ICC_CTLR_EL1', value, has: CTLR_FIXED });
      vcpu.vmcr = insert(insert(vcpu.vmcr, VMCR_EOIM, (value & CTLR_EOIMODE) === 0n ? 0n : 1n), VMCR_CBPR, value & CTLR_CBPR);
      return 0;
    default:
      return vcpu.vm.refusals.refuse(NO_REGISTER, { device: 'cpu interface', offset: register }, isSpareApr(register) ? EINVAL : ENXIO);
  }
}

function extract(word: bigint, { shift, mask }: VmcrField): bigint {
  return (word >> shift) & mask;
}

function insert(word: bigint, { shift, mask }: VmcrField, value: bigint): bigint {
  return (word & ~(mask << shift)) | ((value & mask) << shift);
}
