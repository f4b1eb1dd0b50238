/**
 * What one kernel's GIC driver does otherwise than another's, as named values.
 */
import type { ProfileName } from '@vsim/vfio-core';
import { ALL_PATCHES, NO_PATCHES, type MigrationSwitches } from './switches.ts';

/** What one kernel's GIC driver does otherwise than another's. driverProfile() has one for each kernel profile. */
export interface DriverProfile {
  /** What the kernel has of the VLPI migration series of 5.13. */
  readonly switches: MigrationSwitches;
  /** A lazily mapped vPE that is mapped again goes to the CPU on which it was, not to the first; while unmapped its affinity can be set. */
  readonly keepsVpeCpu: boolean;
  /** A VSYNC follows VMAPP V=0 on GICv4.1, too. Until 6.9, and the stable releases of its time. */
  readonly syncsUnmappedVpe: boolean;
  /** An interrupt that comes while its handler runs on another CPU is handled again when that is done; otherwise it is lost. Since 6.5. */
  readonly resendsInProgress: boolean;
  /** A device's ITT and LPIs outlive its MSIs: they go when it is given others. Since 6.16. */
  readonly keepsItt: boolean;
}

const LINUX_6_1: DriverProfile = { switches: ALL_PATCHES, keepsVpeCpu: false, syncsUnmappedVpe: false, resendsInProgress: false, keepsItt: false };
const LINUX_6_12: DriverProfile = { ...LINUX_6_1, keepsVpeCpu: true, resendsInProgress: true };

const PROFILES: Readonly<Record<ProfileName, DriverProfile>> = {
  'linux-5.10': { ...LINUX_6_1, switches: NO_PATCHES, syncsUnmappedVpe: true },
  'linux-5.13': { ...LINUX_6_1, syncsUnmappedVpe: true },
  'linux-6.1': LINUX_6_1,
  'linux-6.12': LINUX_6_12,
  'linux-6.12.117': LINUX_6_12,
  'linux-7.3': { ...LINUX_6_12, keepsItt: true },
};

/** The driver's part of a kernel profile. @param name a profile of vfio-core's kernelProfile() */
export function driverProfile(name: ProfileName): DriverProfile {
  return PROFILES[name];
}
