/**
 * The six changes of the VLPI migration series, each of which can be taken out to see what it is for. Kernel: "KVM: arm64: Add VLPI
 * migration support on GICv4.1", merged for 5.13.
 */
export interface MigrationSwitches {
  /** Patch 1: CPU caches of a VPT are invalidated when its vPE is unmapped. */
  readonly flushVptOnUnmap: boolean;
  /** Patch 2: VMAPP never claims that a VPT is zero. */
  readonly neverPtz: boolean;
  /** Patch 3: a VLPI's pending bit can be read from the VPT. */
  readonly vlpiPeek: boolean;
  /** Patch 4: saving pending tables unmaps the vPEs and takes VLPIs from their VPTs. */
  readonly saveVlpiPending: boolean;
  /** Patch 5: pending state goes to the hardware when an interrupt is forwarded. */
  readonly transferPendingOnForward: boolean;
  /** Patch 6: ITS tables with forwarded interrupts can be saved on GICv4.1. */
  readonly allowSaveForwardedV41: boolean;
}

/** A kernel with the whole series: 5.13 and later. */
export const ALL_PATCHES: MigrationSwitches = {
  flushVptOnUnmap: true,
  neverPtz: true,
  vlpiPeek: true,
  saveVlpiPending: true,
  transferPendingOnForward: true,
  allowSaveForwardedV41: true,
};

/** A kernel before the series: 5.12 and older. */
export const NO_PATCHES: MigrationSwitches = {
  flushVptOnUnmap: false,
  neverPtz: false,
  vlpiPeek: false,
  saveVlpiPending: false,
  transferPendingOnForward: false,
  allowSaveForwardedV41: false,
};
