/**
 * Kernel profiles: what one kernel does otherwise than another, as named values, read where they act.
 *
 * `linux-6.1` (6.1.192) is the kernel of most recordings; `linux-5.13` merged the series; `linux-5.10` (5.10.223) and
 * `linux-6.12` (6.12.107) were recorded too. A comment names the catalogue's entry (D61-n).
 */

export type ProfileName = 'linux-5.10' | 'linux-5.13' | 'linux-6.1' | 'linux-6.12';

export interface KernelProfile {
  readonly name: ProfileName;
  /** The driver core owns DMA: SET_CONTAINER claims it, native drivers are refused (D61-2, D61-4, D61-5). */
  readonly dmaOwnership: boolean;
  /** The last device that leaves detaches its group from the container, instead of waiting (D61-6, D61-7). */
  readonly forcedDetach: boolean;
  /** errno of SET_CONTAINER with a negative fd (D61-1). */
  readonly negativeContainerFd: 'EINVAL' | 'EBADF';
  /** GET_DEVICE_FD looks at the name before it looks at container and backend (D61-3). */
  readonly nameBeforeContainer: boolean;
  /** mmap of a container fd (D61-9). */
  readonly containerMmap: 'EINVAL' | 'ENODEV';
  /** UPDATE_VADDR is offered only with an instance, and not with an emulated group (D61-10). */
  readonly vaddrNeedsInstance: boolean;
  /** CHECK_EXTENSION(DMA_CC) asks for enforced coherency, not for IOMMU_CACHE (D61-10). */
  readonly enforcedCoherency: boolean;
  /** The core parses VFIO_DEVICE_FEATURE (D61-16). */
  readonly featureInCore: boolean;
  /** `/sys/class/vfio-dev` and its links (D61-11, D61-48). */
  readonly vfioDevClass: boolean;
  /** Driver core: bind of a device that is bound already, or whose probe refuses it (D61-43). */
  readonly bindPassesErrors: boolean;
  /** Driver core: new_id of an id that is there already is EEXIST (D61-44). */
  readonly newIdUnique: boolean;
  /** PM: unused devices are in D3hot by runtime PM, and D3hot stops memory access (D61-27). */
  readonly runtimePm: boolean;
  /** PME bits of the PM capability are virtual (D61-28). */
  readonly virtualPme: boolean;
  /** INTx keeps its line over changes of the trigger (D61-29). */
  readonly intxKeepsLine: boolean;
  /** Length of the PCIe capability, version 2, in bytes (D61-35). */
  readonly pcieCapabilityV2: 50 | 52;
}

const LINUX_5_13: KernelProfile = {
  name: 'linux-5.13',
  dmaOwnership: false,
  forcedDetach: false,
  negativeContainerFd: 'EINVAL',
  nameBeforeContainer: false,
  containerMmap: 'EINVAL',
  vaddrNeedsInstance: false,
  enforcedCoherency: false,
  featureInCore: false,
  vfioDevClass: false,
  bindPassesErrors: false,
  newIdUnique: false,
  runtimePm: false,
  virtualPme: false,
  intxKeepsLine: false,
  pcieCapabilityV2: 52,
};

const LINUX_6_1: KernelProfile = {
  name: 'linux-6.1',
  dmaOwnership: true,
  forcedDetach: true,
  negativeContainerFd: 'EBADF',
  nameBeforeContainer: true,
  containerMmap: 'ENODEV',
  vaddrNeedsInstance: true,
  enforcedCoherency: true,
  featureInCore: true,
  vfioDevClass: true,
  bindPassesErrors: true,
  newIdUnique: true,
  runtimePm: true,
  virtualPme: true,
  intxKeepsLine: true,
  pcieCapabilityV2: 50,
};

const PROFILES: Readonly<Record<ProfileName, KernelProfile>> = {
  'linux-5.10': { ...LINUX_5_13, name: 'linux-5.10' },
  'linux-5.13': LINUX_5_13,
  'linux-6.1': LINUX_6_1,
  'linux-6.12': { ...LINUX_6_1, name: 'linux-6.12' },
};

/** @throws RangeError for a name that is no profile. */
export function kernelProfile(name: ProfileName): KernelProfile {
  const profile: KernelProfile | undefined = PROFILES[name];
  // A caller without a type checker can pass anything.
  if (!Object.hasOwn(PROFILES, name)) throw new RangeError(`"profile" expected one of ${Object.keys(PROFILES).join(', ')}, got ${name}`);
  return profile;
}
