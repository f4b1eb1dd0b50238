/**
 * What Arm IHI 0069 leaves to the implementer, as one typed set of choices with presets.
 *
 * `arm` is the default: registers keep only architected bits, caches are used where the architecture allows them. `qemu`
 * answers as the device models of QEMU 11.1 (golden/qemu-gic). `strict` is `arm`; a listener of the trace sees
 * every use of unpredictable behaviour as `gic/unpredictable` in each of them.
 */

export type GicPreset = 'arm' | 'qemu' | 'strict';

export interface ImplementationChoices {
  readonly preset: GicPreset;
  /** RES0 bits of CBASER, CWRITER, CREADR, PROPBASER and PENDBASER are kept, and CREADR can be written. */
  readonly keepReservedBits: boolean;
  /** GITS_CTLR.Quiescent reads 1 at all times, instead of when the ITS is disabled and idle. */
  readonly alwaysQuiescent: boolean;
  /** GICR_PROPBASER and GICR_PENDBASER can be written while EnableLPIs is 1. */
  readonly lpiTablesAlwaysWritable: boolean;
  /** What makes a stalled queue try again: any write of CWRITER, or only one with Retry set. */
  readonly stallEnds: 'any-write' | 'retry';
  /** GICR_PENDBASER.PTZ and VMAPP's PTZ: the table is taken to be zero, or the bit has no effect. */
  readonly honourPtz: boolean;
  /** GICv4.0 individual doorbell: at each arrival for a vPE that is not resident, or when the VLPI becomes pending. */
  readonly individualDoorbell: 'every-arrival' | 'becomes-pending';
  /** VMOVP takes a pending doorbell with it. */
  readonly doorbellFollowsVpe: boolean;
  /** GICv4.1: pending bits of a mapped vPE are held in the GIC, and written back by the last VMAPP with V=0. */
  readonly cacheVpt: boolean;
  /** GICR_CTLR.IR, and with it GICR_INVLPIR, GICR_INVALLR and GICR_SYNCR. */
  readonly invalidateRegisters: boolean;
  /** Whether the GIC's table accesses snoop the CPUs' caches. False: the host driver cleans and invalidates (CpuCache). */
  readonly coherent: boolean;
}

const ARM: ImplementationChoices = {
  preset: 'arm',
  keepReservedBits: false,
  alwaysQuiescent: false,
  lpiTablesAlwaysWritable: false,
  stallEnds: 'retry',
  honourPtz: true,
  individualDoorbell: 'becomes-pending',
  doorbellFollowsVpe: true,
  cacheVpt: true,
  invalidateRegisters: true,
  coherent: true,
};

const QEMU: ImplementationChoices = {
  preset: 'qemu',
  keepReservedBits: true,
  alwaysQuiescent: true,
  lpiTablesAlwaysWritable: true,
  stallEnds: 'any-write',
  honourPtz: false,
  individualDoorbell: 'every-arrival',
  doorbellFollowsVpe: false,
  cacheVpt: false,
  invalidateRegisters: false,
  coherent: true,
};

const PRESETS: Readonly<Record<GicPreset, ImplementationChoices>> = {
  arm: ARM,
  qemu: QEMU,
  strict: { ...ARM, preset: 'strict' },
};

/** A preset, with single choices overridden. */
export function implementationChoices(preset: GicPreset, override: Partial<ImplementationChoices> = {}): ImplementationChoices {
  return { ...PRESETS[preset], ...override };
}
