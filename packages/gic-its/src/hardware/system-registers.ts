/** Names of the system registers of the CPU interface. Reference: Arm IHI 0069, "AArch64 System register descriptions". */

/** Registers of the CPU interface by their architected names; `virtual` turns ICC_* to ICV_*. */
export type GicSystemRegister =
  | 'ICC_PMR_EL1'
  | 'ICC_BPR0_EL1'
  | 'ICC_BPR1_EL1'
  | 'ICC_CTLR_EL1'
  | 'ICC_IGRPEN1_EL1'
  | 'ICC_IAR1_EL1'
  | 'ICC_EOIR1_EL1'
  | 'ICC_DIR_EL1'
  | 'ICC_HPPIR1_EL1'
  | 'ICC_RPR_EL1'
  | 'ICC_SGI1R_EL1'
  | 'ICC_AP1R0_EL1'
  | 'ICH_HCR_EL2'
  | 'ICH_VMCR_EL2'
  | 'ICH_AP1R0_EL2'
  | 'ICH_ELRSR_EL2'
  | 'ICH_LR0_EL2'
  | 'ICH_LR1_EL2'
  | 'ICH_LR2_EL2'
  | 'ICH_LR3_EL2'
  | 'ISR_EL1';

const SYSTEM_REGISTERS: ReadonlySet<string> = new Set<GicSystemRegister>([
  'ICC_PMR_EL1',
  'ICC_BPR0_EL1',
  'ICC_BPR1_EL1',
  'ICC_CTLR_EL1',
  'ICC_IGRPEN1_EL1',
  'ICC_IAR1_EL1',
  'ICC_EOIR1_EL1',
  'ICC_DIR_EL1',
  'ICC_HPPIR1_EL1',
  'ICC_RPR_EL1',
  'ICC_SGI1R_EL1',
  'ICC_AP1R0_EL1',
  'ICH_HCR_EL2',
  'ICH_VMCR_EL2',
  'ICH_AP1R0_EL2',
  'ICH_ELRSR_EL2',
  'ICH_LR0_EL2',
  'ICH_LR1_EL2',
  'ICH_LR2_EL2',
  'ICH_LR3_EL2',
  'ISR_EL1',
]);

export function isGicSystemRegister(name: string): name is GicSystemRegister {
  return SYSTEM_REGISTERS.has(name);
}

// Fields that ICC_* and ICV_* share.

/** A3V, 24 INTID bits, PRIbits. */
export function ctlr(priorityBits: number): number {
  return 0x8800 | ((priorityBits - 1) << 8);
}

export const CTLR_CBPR = 1;
export const CTLR_EOIMODE = 2;
/** ISR_EL1.I. */
export const ISR_IRQ = 0x80;
