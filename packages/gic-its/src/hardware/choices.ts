/** What Arm IHI 0069 leaves to the implementer, as one typed set of choices with presets. docs/gic.md says which chips chose what. */

/**
 * A set of implementation choices by name. `arm`, the default: registers keep only architected bits, caches are used where the architecture
 * allows them, and whatever takes time is done at once. `qemu` answers as the device models of QEMU 11.1: nothing is cached. `strict` is `arm`
 * at its least accommodating: an effect is complete only after its SYNC, VSYNC or poll, and every use of unpredictable behaviour is an event
 * `gic/unpredictable`; the other presets report those that the model notices anyway. `gic-600` is `arm` with what Arm's GIC-600 chose.
 */
export type GicPreset = 'arm' | 'qemu' | 'strict' | 'gic-600';

/**
 * What Arm IHI 0069 leaves to the implementer, each choice with the values that it can have. implementationChoices() makes one of a preset.
 */
export interface ImplementationChoices {
  /** The preset that the values come from, before single ones were overridden. */
  readonly preset: GicPreset;
  /** Uses of unpredictable behaviour are reported even where the outcome is harmless or costs a look-up to notice. */
  readonly reportUnpredictable: boolean;

  // Registers

  /** RES0 bits of CBASER, CWRITER, CREADR, PROPBASER and PENDBASER are kept, and CREADR can be written. */
  readonly keepReservedBits: boolean;
  /** GITS_CTLR.Quiescent reads 1 at all times, instead of when the ITS is disabled and idle. */
  readonly alwaysQuiescent: boolean;
  /** GICR_PROPBASER and GICR_PENDBASER can be written while EnableLPIs is 1. */
  readonly lpiTablesAlwaysWritable: boolean;
  /** GICR_CTLR.CES: EnableLPIs can be cleared. False: once it is 1 it stays so until a reset. */
  readonly clearableLpis: boolean;
  /** GICR_CTLR.IR, and with it GICR_INVLPIR, GICR_INVALLR and GICR_SYNCR, which DirectLPI and GICv4.1 (RVPEID) have in any case. */
  readonly invalidateRegisters: boolean;
  /** GICR_TYPER.DirectLPI, and with it GICR_SETLPIR, GICR_CLRLPIR and those of `invalidateRegisters`. */
  readonly directLpi: boolean;
  /**
   * How many reads of GICR_SYNCR.Busy, GICR_VPENDBASER.Dirty and GICR_VSGIPENDR.Busy find 1 after what sets them; an
   * invalidation takes effect, and PendingLast is there, only after them. Infinity: for ever.
   */
  readonly busyReads: number;

  // Commands

  /** What makes a stalled queue try again: any write of CWRITER, or only one with Retry set. */
  readonly stallEnds: 'any-write' | 'retry';
  /** A command that cannot be executed: CREADR moves on, or the queue stalls. A table outside memory stalls always. */
  readonly commandErrors: 'skip' | 'stall';
  /** When a cached translation or configuration goes: when a command that changes it is taken, or at the SYNC or VSYNC after it. */
  readonly completion: 'command' | 'sync';
  /** GITS_TYPER.PTA: an RDbase is the address of a redistributor. False: its processor number. */
  readonly physicalTargets: boolean;
  /** GITS_TYPER.VMOVP: one ITS moves a vPE for all. False: each ITS that maps it must get the VMOVP, with one sequence number. */
  readonly vmovpOnce: boolean;

  // Tables and caches

  /** GICD_TYPER.num_LPIs: 0 for as many as INTID bits allow, else 2 ** (n + 1). */
  readonly numLpis: number;

  /** GITS_TYPER.ITT_entry_size, in bytes. */
  readonly ittEntryBytes: 12 | 16;
  /** GICR_PENDBASER.PTZ and VMAPP's PTZ: the table is taken to be zero, or the bit has no effect. */
  readonly honourPtz: boolean;
  /**
   * Pending bits of physical LPIs are held from EnableLPIs 0 to 1 until 1 to 0, configuration bytes until an invalidation.
   * False: both are in memory alone, and read again when an LPI becomes pending or the best one goes away.
   */
  readonly cacheLpis: boolean;
  /** The same for VLPIs: of GICv4.1 while the vPE is mapped (the last VMAPP with V=0 writes back), of GICv4.0 while it is resident. */
  readonly cacheVpt: boolean;
  /** An ITS keeps the translations of MSIs until a command changes them. */
  readonly cacheTranslations: boolean;
  /** Whether the GIC's table accesses snoop the CPUs' caches. False: the host driver cleans and invalidates (CpuCache). */
  readonly coherent: boolean;

  // Doorbells and priorities

  /** GICv4.0 individual doorbell: at each arrival for a vPE that is not resident, or when the VLPI becomes pending. */
  readonly individualDoorbell: 'every-arrival' | 'becomes-pending';
  /** GICv4.0: GICR_VPROPBASER.IDbits bounds VLPIs of vPEs that are not resident too, so that 0 drops them. */
  readonly vlpisBounded: boolean;
  /** VMOVP takes a pending doorbell with it. */
  readonly doorbellFollowsVpe: boolean;
  /** Bits of priority that the CPU interface has (ICC_CTLR_EL1.PRIbits); the redistributor keeps [7:2] of an LPI. */
  readonly priorityBits: 4 | 5;
  /** List registers of the virtual CPU interface, 1 to 16. */
  readonly listRegisters: number;
  /** ICC_SRE_EL2.Enable is RAO/WI, as it may be where SRE is. */
  readonly sreEnableFixed: boolean;
  /** The PPI of the virtual CPU interface's maintenance interrupt, 16 to 31. The Server Base System Architecture says 25. */
  readonly maintenancePpi: number;
}

const ARM: ImplementationChoices = {
  preset: 'arm',
  reportUnpredictable: false,
  keepReservedBits: false,
  alwaysQuiescent: false,
  lpiTablesAlwaysWritable: false,
  clearableLpis: true,
  invalidateRegisters: true,
  directLpi: false,
  busyReads: 0,
  stallEnds: 'retry',
  commandErrors: 'skip',
  completion: 'command',
  physicalTargets: false,
  vmovpOnce: true,
  numLpis: 0,
  ittEntryBytes: 12,
  honourPtz: true,
  cacheLpis: true,
  cacheVpt: true,
  cacheTranslations: true,
  coherent: true,
  individualDoorbell: 'becomes-pending',
  vlpisBounded: true,
  doorbellFollowsVpe: true,
  priorityBits: 5,
  listRegisters: 4,
  sreEnableFixed: false,
  maintenancePpi: 25,
};

const QEMU: ImplementationChoices = {
  ...ARM,
  preset: 'qemu',
  keepReservedBits: true,
  alwaysQuiescent: true,
  lpiTablesAlwaysWritable: true,
  invalidateRegisters: false,
  stallEnds: 'any-write',
  honourPtz: false,
  cacheLpis: false,
  cacheVpt: false,
  cacheTranslations: false,
  individualDoorbell: 'every-arrival',
  vlpisBounded: false,
  doorbellFollowsVpe: false,
  sreEnableFixed: true,
};

const PRESETS: Readonly<Record<GicPreset, ImplementationChoices>> = {
  arm: ARM,
  qemu: QEMU,
  'gic-600': { ...ARM, preset: 'gic-600', clearableLpis: false, invalidateRegisters: false },
  strict: { ...ARM, preset: 'strict', reportUnpredictable: true, busyReads: 1, completion: 'sync' },
};

/**
 * A preset's choices, with single ones overridden.
 *
 * @param preset which set to begin with
 * @param override choices that replace the preset's
 */
export function implementationChoices(preset: GicPreset, override: Partial<ImplementationChoices> = {}): ImplementationChoices {
  return { ...PRESETS[preset], ...override };
}
