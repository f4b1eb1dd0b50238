/**
 * The system registers of the CPU interface: their encodings, who may access them, and which are there.
 *
 * Reference: Arm IHI 0069, "AArch64 System register descriptions", and its pseudocode of each access. One security state, no EL3:
 * ICC_CTLR_EL3, ICC_IGRPEN1_EL3 and ICC_SRE_EL3 are not there. Nor are the registers of FEAT_GICv3_NMI.
 */

/** 'ro' registers have no MSR, 'wo' ones no MRS. */
type Direction = 'rw' | 'ro' | 'wo';

/**
 * Whose traps and views a register has: those of a group; of both groups (`common`), with ICC_DIR_EL1 and the registers that send SGIs
 * apart; a hypervisor's (`el2`); ICC_SRE_EL1; ISR_EL1, which is the PE's own.
 */
type Kind = 'group0' | 'group1' | 'common' | 'dir' | 'sgi' | 'sre' | 'el2' | 'isr';

/** Registers of the CPU interface by their architected names. */
export type GicSystemRegister =
  | `ICC_${'PMR' | 'CTLR' | 'RPR' | 'DIR' | 'SRE' | 'SGI0R' | 'SGI1R' | 'ASGI1R'}_EL1`
  | `ICC_${'IAR' | 'EOIR' | 'HPPIR' | 'BPR' | 'IGRPEN'}${0 | 1}_EL1`
  | `${'ICC_AP0R' | 'ICC_AP1R'}${0 | 1 | 2 | 3}_EL1`
  | `${'ICH_AP0R' | 'ICH_AP1R'}${0 | 1 | 2 | 3}_EL2`
  | `ICH_LR${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}_EL2`
  | `ICH_${'HCR' | 'VTR' | 'MISR' | 'EISR' | 'ELRSR' | 'VMCR'}_EL2`
  | 'ICC_SRE_EL2'
  | 'ISR_EL1';

type Row = readonly [name: GicSystemRegister, op1: number, crn: number, crm: number, op2: number, direction: Direction, kind: Kind, index?: number];

// op0 is 3. `index` is that of an active priorities register or of a list register, of which a chip has some.
const ROWS: readonly Row[] = [
  ['ICC_PMR_EL1', 0, 4, 6, 0, 'rw', 'common'],
  ['ISR_EL1', 0, 12, 1, 0, 'ro', 'isr'],
  ['ICC_IAR0_EL1', 0, 12, 8, 0, 'ro', 'group0'],
  ['ICC_EOIR0_EL1', 0, 12, 8, 1, 'wo', 'group0'],
  ['ICC_HPPIR0_EL1', 0, 12, 8, 2, 'ro', 'group0'],
  ['ICC_BPR0_EL1', 0, 12, 8, 3, 'rw', 'group0'],
  ['ICC_AP0R0_EL1', 0, 12, 8, 4, 'rw', 'group0', 0],
  ['ICC_AP0R1_EL1', 0, 12, 8, 5, 'rw', 'group0', 1],
  ['ICC_AP0R2_EL1', 0, 12, 8, 6, 'rw', 'group0', 2],
  ['ICC_AP0R3_EL1', 0, 12, 8, 7, 'rw', 'group0', 3],
  ['ICC_AP1R0_EL1', 0, 12, 9, 0, 'rw', 'group1', 0],
  ['ICC_AP1R1_EL1', 0, 12, 9, 1, 'rw', 'group1', 1],
  ['ICC_AP1R2_EL1', 0, 12, 9, 2, 'rw', 'group1', 2],
  ['ICC_AP1R3_EL1', 0, 12, 9, 3, 'rw', 'group1', 3],
  ['ICC_DIR_EL1', 0, 12, 11, 1, 'wo', 'dir'],
  ['ICC_RPR_EL1', 0, 12, 11, 3, 'ro', 'common'],
  ['ICC_SGI1R_EL1', 0, 12, 11, 5, 'wo', 'sgi'],
  ['ICC_ASGI1R_EL1', 0, 12, 11, 6, 'wo', 'sgi'],
  ['ICC_SGI0R_EL1', 0, 12, 11, 7, 'wo', 'sgi'],
  ['ICC_IAR1_EL1', 0, 12, 12, 0, 'ro', 'group1'],
  ['ICC_EOIR1_EL1', 0, 12, 12, 1, 'wo', 'group1'],
  ['ICC_HPPIR1_EL1', 0, 12, 12, 2, 'ro', 'group1'],
  ['ICC_BPR1_EL1', 0, 12, 12, 3, 'rw', 'group1'],
  ['ICC_CTLR_EL1', 0, 12, 12, 4, 'rw', 'common'],
  ['ICC_SRE_EL1', 0, 12, 12, 5, 'rw', 'sre'],
  ['ICC_IGRPEN0_EL1', 0, 12, 12, 6, 'rw', 'group0'],
  ['ICC_IGRPEN1_EL1', 0, 12, 12, 7, 'rw', 'group1'],
  ['ICH_AP0R0_EL2', 4, 12, 8, 0, 'rw', 'el2', 0],
  ['ICH_AP0R1_EL2', 4, 12, 8, 1, 'rw', 'el2', 1],
  ['ICH_AP0R2_EL2', 4, 12, 8, 2, 'rw', 'el2', 2],
  ['ICH_AP0R3_EL2', 4, 12, 8, 3, 'rw', 'el2', 3],
  ['ICH_AP1R0_EL2', 4, 12, 9, 0, 'rw', 'el2', 0],
  ['ICH_AP1R1_EL2', 4, 12, 9, 1, 'rw', 'el2', 1],
  ['ICH_AP1R2_EL2', 4, 12, 9, 2, 'rw', 'el2', 2],
  ['ICH_AP1R3_EL2', 4, 12, 9, 3, 'rw', 'el2', 3],
  ['ICC_SRE_EL2', 4, 12, 9, 5, 'rw', 'el2'],
  ['ICH_HCR_EL2', 4, 12, 11, 0, 'rw', 'el2'],
  ['ICH_VTR_EL2', 4, 12, 11, 1, 'ro', 'el2'],
  ['ICH_MISR_EL2', 4, 12, 11, 2, 'ro', 'el2'],
  ['ICH_EISR_EL2', 4, 12, 11, 3, 'ro', 'el2'],
  ['ICH_ELRSR_EL2', 4, 12, 11, 5, 'ro', 'el2'],
  ['ICH_VMCR_EL2', 4, 12, 11, 7, 'rw', 'el2'],
  ['ICH_LR0_EL2', 4, 12, 12, 0, 'rw', 'el2', 0],
  ['ICH_LR1_EL2', 4, 12, 12, 1, 'rw', 'el2', 1],
  ['ICH_LR2_EL2', 4, 12, 12, 2, 'rw', 'el2', 2],
  ['ICH_LR3_EL2', 4, 12, 12, 3, 'rw', 'el2', 3],
  ['ICH_LR4_EL2', 4, 12, 12, 4, 'rw', 'el2', 4],
  ['ICH_LR5_EL2', 4, 12, 12, 5, 'rw', 'el2', 5],
  ['ICH_LR6_EL2', 4, 12, 12, 6, 'rw', 'el2', 6],
  ['ICH_LR7_EL2', 4, 12, 12, 7, 'rw', 'el2', 7],
  ['ICH_LR8_EL2', 4, 12, 13, 0, 'rw', 'el2', 8],
  ['ICH_LR9_EL2', 4, 12, 13, 1, 'rw', 'el2', 9],
  ['ICH_LR10_EL2', 4, 12, 13, 2, 'rw', 'el2', 10],
  ['ICH_LR11_EL2', 4, 12, 13, 3, 'rw', 'el2', 11],
  ['ICH_LR12_EL2', 4, 12, 13, 4, 'rw', 'el2', 12],
  ['ICH_LR13_EL2', 4, 12, 13, 5, 'rw', 'el2', 13],
  ['ICH_LR14_EL2', 4, 12, 13, 6, 'rw', 'el2', 14],
  ['ICH_LR15_EL2', 4, 12, 13, 7, 'rw', 'el2', 15],
];

/** A register as MRS and MSR find it. */
export interface SystemRegister {
  /** Its architected name, with the exception level. */
  readonly name: GicSystemRegister;
  /** Its 16 bits in MRS and MSR: see registerEncoding(). */
  readonly encoding: number;
  /** 'ro' has no MSR, 'wo' has no MRS. */
  readonly direction: Direction;
  /** Whose traps and views it has: those of a group, of both (`common`), a hypervisor's (`el2`), or its own. */
  readonly kind: Kind;
  /** Its number among active priorities registers (0 to 3) or list registers (0 to 15); 0 for others. */
  readonly index: number;
  /** Whether it is ICH_LR<n>_EL2. */
  readonly isList: boolean;
  /** Whether it is one of ICC_AP<m>R<n>_EL1 or ICH_AP<m>R<n>_EL2. */
  readonly isActivePriorities: boolean;
}

/**
 * The fields of an MRS or MSR as one number of 16 bits: op0 [15:14], op1 [13:11], CRn [10:7], CRm [6:3], op2 [2:0], as in KVM's register
 * ids.
 *
 * @param op0 0 to 3
 * @param op1 0 to 7
 * @param crn 0 to 15
 * @param crm 0 to 15
 * @param op2 0 to 7
 */
export function registerEncoding(op0: number, op1: number, crn: number, crm: number, op2: number): number {
  return (op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2;
}

/** Every register that some GIC of the versions here has. */
export const SYSTEM_REGISTERS: readonly SystemRegister[] = ROWS.map(([name, op1, crn, crm, op2, direction, kind, index = 0]) => ({
  name,
  encoding: registerEncoding(3, op1, crn, crm, op2),
  direction,
  kind,
  index,
  isList: name.startsWith('ICH_LR'),
  isActivePriorities: /_AP[01]R[0-3]_/.test(name),
}));

const BY_ENCODING = new Map<number, SystemRegister>(SYSTEM_REGISTERS.map((register) => [register.encoding, register]));
const BY_NAME = new Map<string, SystemRegister>(SYSTEM_REGISTERS.map((register) => [register.name, register]));

/** The register with an encoding; undefined if there is none. @internal @param encoding 16 bits: see registerEncoding() */
export function registerAt(encoding: number): SystemRegister | undefined {
  return BY_ENCODING.get(encoding);
}

/** The register with an architected name; undefined if there is none. */
export function registerNamed(name: string): SystemRegister | undefined {
  return BY_NAME.get(name);
}

/** The PE that executes an MRS or MSR. Made once for each state of the PE, not for each access. */
export interface RegisterAccess {
  /** Exception level of the PE. */
  readonly el: 1 | 2 | 3;
  /** HCR_EL2.IMO: at EL1, Group 1 is that of the virtual CPU interface. */
  readonly imo: boolean;
  /** HCR_EL2.FMO: at EL1, Group 0 is that of the virtual CPU interface. */
  readonly fmo: boolean;
}

/** The kernel of a host at EL2. */
export const AT_EL2: RegisterAccess = { el: 2, imo: false, fmo: false };
/** A kernel at EL1 that has the physical interrupts. */
export const AT_EL1: RegisterAccess = { el: 1, imo: false, fmo: false };
/** A guest. */
export const AS_GUEST: RegisterAccess = { el: 1, imo: true, fmo: true };

/** What becomes of an MRS or MSR: it is done, it is UNDEFINED, or it is a trap to EL2 (exception class 0x18). */
export type RegisterOutcome = 'done' | 'undefined' | 'trap';

// ICH_HCR_EL2
export const HCR_EN = 1;
const HCR_TC = 0x400;
const HCR_TALL0 = 0x800;
const HCR_TALL1 = 0x1000;
const HCR_TDIR = 0x4000;

/**
 * Whether an access is taken, before anything is looked at but the register that traps it.
 *
 * @param hcr ICH_HCR_EL2 @param sreEnable ICC_SRE_EL2.Enable
 */
export function admit({ direction, kind }: SystemRegister, write: boolean, { el, imo, fmo }: RegisterAccess, hcr: number, sreEnable: boolean): RegisterOutcome {
  if (direction === (write ? 'ro' : 'wo')) return 'undefined';
  if (el >= 2) return 'done';
  switch (kind) {
    case 'el2':
      return 'undefined';
    case 'sre':
      return sreEnable ? 'done' : 'trap';
    case 'group0':
      return (hcr & HCR_TALL0) !== 0 ? 'trap' : 'done';
    case 'group1':
      return (hcr & HCR_TALL1) !== 0 ? 'trap' : 'done';
    case 'common':
      return (hcr & HCR_TC) !== 0 ? 'trap' : 'done';
    case 'dir':
      return (hcr & (HCR_TC | HCR_TDIR)) !== 0 ? 'trap' : 'done';
    case 'sgi':
      // There is no virtual register to send SGIs.
      return (hcr & HCR_TC) !== 0 || imo || fmo ? 'trap' : 'done';
    case 'isr':
      return 'done';
  }
}

/** Whether an access at EL1 is one of the virtual CPU interface. */
export function isVirtualAccess({ kind }: SystemRegister, { el, imo, fmo }: RegisterAccess): boolean {
  if (el >= 2) return kind === 'el2';
  if (kind === 'group0') return fmo;
  if (kind === 'group1') return imo;
  return (kind === 'common' || kind === 'dir') && (imo || fmo);
}

// Fields that ICC_* and ICV_* share.

/** A3V, 24 INTID bits, PRIbits. @param priorityBits 4 or 5 */
export function ctlr(priorityBits: number): number {
  return 0x8800 | ((priorityBits - 1) << 8);
}

export const CTLR_CBPR = 1;
export const CTLR_EOIMODE = 2;
/** ISR_EL1.I and F. */
export const ISR_IRQ = 0x80;
export const ISR_FIQ = 0x40;
