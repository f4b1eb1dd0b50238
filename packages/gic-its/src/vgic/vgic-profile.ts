/**
 * What one kernel's virtual GIC does otherwise than another's, as named values.
 *
 * `linux-6.12` is 6.12.107; `linux-6.12.117` has the fixes of
 * 6.12.113 to 6.12.115. Where a kernel of the profile corrupts or crashes, the answer is that of 6.1.
 */
import type { ProfileName } from '@vsim/vfio-core';

export interface VgicProfile {
  /** SAVE_PENDING_TABLES before INIT is -ENXIO. */
  readonly savePendingNeedsInit: boolean;
  /** MAPD V=0 writes 0 to the DTE, and DISCARD to the ITE, at once. */
  readonly zeroesUnmapped: boolean;
  /** A failed RESTORE_TABLES leaves nothing mapped. */
  readonly failedRestoreFrees: boolean;
  /** A DTE with more than 16 EventID bits, or beyond the table, is -EINVAL. */
  readonly checksDte: boolean;
  /** A distance past the end of a table leads on, instead of ending it. 5.13 alone: the fix of 6.1 is in 5.10.223. */
  readonly scansPastEnd: boolean;
  /** A CTE with an ICID beyond the table is -EINVAL, instead of being passed over. */
  readonly checksCteIcid: boolean;
  /** MAPTI and the restore of an ITE want its page in memory. */
  readonly checksItePage: boolean;
  /** Clearing EnableLPIs clears the pending state of queued LPIs. */
  readonly disableClearsPending: boolean;
  /** MOVALL moves every LPI of the VM, whatever its target. */
  readonly movallMovesAll: boolean;
  /** MAPC with V=0 looks at RDbase. */
  readonly unmapChecksTarget: boolean;
  /** GICD_IIDR.Revision; from 3 on, GICR_CTLR.IR and CES and the registers behind them. */
  readonly revision: 2 | 3;
  /** Revisions that user space may choose by GICD_IIDR. */
  readonly revisions: readonly number[];
  /** MAPC, MOVALL and CTEs name a vCPU by its id, not by when it was created; an SGI to all others leaves out the sender, not the vCPU of its number (6.7). */
  readonly vcpusById: boolean;
  /** REDIST is set once and with nothing beside it, always -EINVAL (until 5.13). */
  readonly oneLegacyRegion: boolean;
  /** What a first KVM_RUN that the vgic refuses leaves: a VM without it, with the distributor's address or not, or a dead VM, whose calls are all -EIO (6.1). */
  readonly failedFirstRun: 'keeps-address' | 'destroys' | 'dead';
  /** A register's value is read from the caller before its vCPU is looked up, and a CPU register that there is not is -ENXIO, not -ENOENT (until 6.0). */
  readonly readsValueFirst: boolean;
  /** What visits all LPIs goes by INTID, instead of in order of creation. Since 6.9. */
  readonly lpisByIntid: boolean;
  /** User space sees GICR_TYPER.Last. */
  readonly userSeesLast: boolean;
  /** Translations that are cached for each vCPU, in one cache of the VM; undefined: as many as there are, dropped for each ITS alone. */
  readonly cachedPerVcpu: number | undefined;
  /** An interrupt that is forwarded already is left alone. */
  readonly forwardsOnce: boolean;
  /** Forwarding is taken back by the host's interrupt, whatever the route leads to now: no VLPI is left mapped. */
  readonly unsetsByHostIrq: boolean;
  /** Maintenance interrupts say when the guest turns a group on or off, and with too many interrupts also when none in a list register is pending. Since 6.19. */
  readonly followsGroups: boolean;
  /**
   * A resampler is told that the guest has ended an SPI only if an exit has seen it active before. Since 6.19 (vgic_v3_fold_lr()); with an end in one stretch of guest code
   * the line stays up, and the interrupt comes again.
   */
  readonly tellsSeenEndsOnly: boolean;
  /** An eventfd has one irqfd, in whichever VM; before, one in each VM. Since 6.17. */
  readonly oneIrqfdPerEventfd: boolean;
  /** A BASER whose value changes frees what its table had, also while it stays valid. */
  readonly baserChangeFrees: boolean;
  /** SAVE_TABLES leaves out a device whose DTE cannot be reached, instead of -EINVAL. */
  readonly skipsUnreachable: boolean;
  /** An ITE's `next` is the distance to the next that has a collection. */
  readonly nextSkipsOrphans: boolean;
  /** An LPI belongs to one event: MAPTI and restore refuse it to a second, and give it the event's target. */
  readonly oneEventPerLpi: boolean;
  /** An unknown CTRL attribute of the ITS is -ENXIO, not 0. */
  readonly refusesUnknownItsCtrl: boolean;
  /** User space reads and writes GICD_IIDR and GICD_TYPER2 before INIT, and there clears nASSGIcap. */
  readonly registersBeforeInit: boolean;
  /** The vgic cannot be made while a vCPU is being made. */
  readonly vgicWaitsForVcpus: boolean;
  /** Attribute group MAINT_IRQ. */
  readonly maintIrq: boolean;
  /** The end of a frame counts, not only its start. */
  readonly checksFrameEnd: boolean;
}

const BEFORE_7_3 = {
  tellsSeenEndsOnly: false,
  oneIrqfdPerEventfd: false,
  baserChangeFrees: false,
  skipsUnreachable: false,
  nextSkipsOrphans: false,
  oneEventPerLpi: false,
  refusesUnknownItsCtrl: false,
  registersBeforeInit: false,
  vgicWaitsForVcpus: false,
  maintIrq: false,
} as const;

const LINUX_6_1: VgicProfile = {
  savePendingNeedsInit: true,
  zeroesUnmapped: true,
  failedRestoreFrees: true,
  checksDte: true,
  scansPastEnd: false,
  checksCteIcid: true,
  checksItePage: true,
  disableClearsPending: true,
  movallMovesAll: false,
  unmapChecksTarget: true,
  revision: 3,
  revisions: [2, 3],
  vcpusById: false,
  oneLegacyRegion: false,
  failedFirstRun: 'dead',
  readsValueFirst: false,
  lpisByIntid: false,
  userSeesLast: true,
  cachedPerVcpu: 16,
  forwardsOnce: false,
  unsetsByHostIrq: false,
  followsGroups: false,
  ...BEFORE_7_3,
  checksFrameEnd: true,
};

const LINUX_6_12: VgicProfile = {
  ...LINUX_6_1,
  disableClearsPending: false,
  movallMovesAll: true,
  unmapChecksTarget: false,
  vcpusById: true,
  lpisByIntid: true,
  cachedPerVcpu: undefined,
  forwardsOnce: true,
};

const LINUX_6_12_117: VgicProfile = { ...LINUX_6_12, disableClearsPending: true, movallMovesAll: false, baserChangeFrees: true, skipsUnreachable: true };

const LINUX_5_13: VgicProfile = {
  savePendingNeedsInit: true,
  zeroesUnmapped: false,
  failedRestoreFrees: false,
  checksDte: false,
  scansPastEnd: true,
  checksCteIcid: false,
  checksItePage: false,
  disableClearsPending: false,
  movallMovesAll: false,
  unmapChecksTarget: true,
  revision: 2,
  revisions: [2],
  vcpusById: false,
  oneLegacyRegion: false,
  failedFirstRun: 'destroys',
  readsValueFirst: true,
  lpisByIntid: false,
  userSeesLast: true,
  cachedPerVcpu: 16,
  forwardsOnce: false,
  unsetsByHostIrq: false,
  followsGroups: false,
  ...BEFORE_7_3,
  checksFrameEnd: false,
};

const PROFILES: Readonly<Record<ProfileName, VgicProfile>> = {
  'linux-5.10': { ...LINUX_5_13, savePendingNeedsInit: false, scansPastEnd: false, userSeesLast: false, oneLegacyRegion: true, failedFirstRun: 'keeps-address' },
  'linux-5.13': LINUX_5_13,
  'linux-6.1': LINUX_6_1,
  'linux-6.12': LINUX_6_12,
  'linux-6.12.117': LINUX_6_12_117,
  'linux-7.3': {
    ...LINUX_6_12_117,
    unsetsByHostIrq: true,
    followsGroups: true,
    tellsSeenEndsOnly: true,
    oneIrqfdPerEventfd: true,
    nextSkipsOrphans: true,
    oneEventPerLpi: true,
    refusesUnknownItsCtrl: true,
    registersBeforeInit: true,
    vgicWaitsForVcpus: true,
    maintIrq: true,
  },
};

export function vgicProfile(name: ProfileName): VgicProfile {
  return PROFILES[name];
}
