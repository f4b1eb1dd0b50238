/** All kernels that there are profiles of, the oldest first. */
export const PROFILE_NAMES = ['linux-5.10', 'linux-5.13', 'linux-6.1', 'linux-6.12', 'linux-6.12.117', 'linux-7.3'] as const;
/** The name of a kernel that there is a profile of. */
export type ProfileName = (typeof PROFILE_NAMES)[number];

/**
 * What one kernel does otherwise than another, as named values, read where they act.
 *
 * `linux-6.1` (6.1.192) is the kernel of most recordings; `linux-5.13` merged the series; `linux-5.10` (5.10.223), `linux-6.12` (6.12.107)
 * and `linux-7.3` (7.3.4) were recorded too. `linux-6.12.117` is `linux-6.12` but for KVM's virtual GIC. A version in brackets is the one
 * from which a value holds, unless it says until.
 */
export interface KernelProfile {
  /** Which kernel it is. */
  readonly name: ProfileName;

  // Groups, containers, devices

  /** The driver core owns DMA: SET_CONTAINER claims it, native drivers are refused. */
  readonly dmaOwnership: boolean;
  /** The last device that leaves detaches its group from the container, instead of waiting. */
  readonly forcedDetach: boolean;
  /** errno of SET_CONTAINER with a negative fd. */
  readonly negativeContainerFd: 'EINVAL' | 'EBADF';
  /** errno of SET_CONTAINER with an fd that is no container. */
  readonly foreignContainerFd: 'EINVAL' | 'EBADFD';
  /** GET_DEVICE_FD looks at the name, then for a free fd, before it looks at container and backend. */
  readonly nameBeforeContainer: boolean;
  /** GET_DEVICE_FD counts the container's user once the device is open, and without a lock: an UNSET_CONTAINER meanwhile goes through. */
  readonly containerUserLate: boolean;
  /**
   * The lock of a group: none; held while a driver opens or closes a device (6.1); by GET_DEVICE_FD and the last close from their beginning to
   * their end (6.2). Whoever asks for the group's status, or changes its container, waits for it.
   */
  readonly groupLock: 'none' | 'driver' | 'call';
  /** A driver's module is used by each open of a device, not once by the device that is open (until 6.1). */
  readonly countsEachOpen: boolean;
  /** CAP_SYS_RAWIO is asked of each open of a device without IOMMU, also of a further one (until 6.1). */
  readonly rawioForEachOpen: boolean;
  /** An SMMU of stage 1 alone can nest (until 6.1). */
  readonly nestsWithOneStage: boolean;
  /** Whether interrupts are isolated is asked of each device's own MSI domain, not of the machine (6.2). */
  readonly isolationOfDevices: boolean;
  /** Each device has an MSI domain of its own, which /proc/interrupts calls by the device's name (x86: 6.2, ITS: 6.11). */
  readonly msiDomainPerDevice: boolean;
  /** GET_DEVICE_FD still finds a device whose unregister has begun, while other fds hold it. */
  readonly dyingCanBeOpened: boolean;
  /** mmap of a container fd. */
  readonly containerMmap: 'EINVAL' | 'ENODEV';
  /** A device registers only where its DMA is coherent. */
  readonly needsCoherentDma: boolean;
  /** The in-kernel API is given devices and files, and pins for emulated devices alone. */
  readonly emulatedDevicesPin: boolean;
  /** The core parses VFIO_DEVICE_FEATURE. */
  readonly featureInCore: boolean;
  /** Migration states PRE_COPY and PRE_COPY_P2P, and the feature MIG_DATA_SIZE (6.2). */
  readonly preCopy: boolean;
  /** Files without a path cannot be mapped with PROT_EXEC (7.x). */
  readonly noexecPseudoFiles: boolean;
  /** `/sys/class/vfio-dev` and its links. */
  readonly vfioDevClass: boolean;
  /** Alignment in bytes of each capability of an info chain. */
  readonly capabilityAlignment: 1 | 8;
  /** sizeof(struct vfio_device_info): GET_INFO answers up to so many bytes. */
  readonly deviceInfoSize: 20 | 24;
  /** The kernel empties an eventfd that it listens to (virqfd, irqfd; 5.11). */
  readonly virqfdDrains: boolean;

  // type1

  /** VFIO_UNMAP_ALL (5.12). */
  readonly unmapAll: boolean;
  /** VFIO_UPDATE_VADDR (5.12). */
  readonly updateVaddr: boolean;
  /** The extension VFIO_TYPE1_NESTING_IOMMU (until 6.12). */
  readonly nesting: boolean;
  /** A range that passes 2^64 is EOVERFLOW, before its flags and alignment are looked at, not EINVAL. */
  readonly overflowIsTold: boolean;
  /** Ranges are compared by their last byte: a mapping that ends at 2^64 is found. Before, its end is 0, and it spoils searches. */
  readonly inclusiveEnds: boolean;
  /** UPDATE_VADDR is offered only with an instance, and not with an emulated group. */
  readonly vaddrNeedsInstance: boolean;
  /** An unmap takes its mappings by ascending address (5.12), not as the tree gives them. */
  readonly unmapAscends: boolean;
  /** A task unmaps only what a task of the same mm has mapped. */
  readonly unmapOwnOnly: boolean;
  /** MAP_DMA with VADDR by another process moves the accounting to it. */
  readonly vaddrMovesAccounting: boolean;
  /** CHECK_EXTENSION(DMA_CC) asks for enforced coherency, not for IOMMU_CACHE. */
  readonly enforcedCoherency: boolean;
  /** Firmware's `iommus` is read, and the group comes, when a device is added; before 6.15 when its first driver is tried. */
  readonly groupsWithDevices: boolean;
  /** Devices of two buses in one group cannot be attached. */
  readonly oneBusToGroup: boolean;
  /** Page sizes of a VT-d domain: what its tables can do, or every size from 4 KiB on. */
  readonly vtdPageSizes: 'tables' | 'all';
  /** errno of SET_IOMMU for a nesting domain where the unit has none. */
  readonly noNesting: 'EINVAL' | 'ENODEV';

  // Driver core and sysfs

  /** Bind of a device that is bound already, or whose probe refuses it, passes the error on. */
  readonly bindPassesErrors: boolean;
  /** new_id of an id that is there already is EEXIST. */
  readonly newIdUnique: boolean;
  /** Reading driver_override takes the device lock, and so waits for an unbind. */
  readonly overrideReadLocks: boolean;
  /** `reset_method` (5.15). */
  readonly resetMethodAttribute: boolean;
  /** `power_state` (5.11) */
  readonly powerStateAttribute: boolean;
  /** `sriov_vf_total_msix` (5.13). */
  readonly vfTotalMsixAttribute: boolean;

  /** Error reporting is switched on in every device that has AER, not by its driver (6.0). */
  readonly aerReportsByCore: boolean;

  // vfio-pci

  /** The library vfio-pci-core (5.15): probe leaves the group to register, and a driver of it matches by an override_only id. */
  readonly pciCore: boolean;
  /** When vfio-pci's parameters nointxmask and disable_idle_d3 are read: at each use, when the module is loaded (5.15), when a device is bound. */
  readonly vfioPciParametersAt: 'use' | 'load' | 'bind';
  /** A probe that fails in register lets its VGA client go; the order of 5.13 forgets it. */
  readonly vgaClientUnwound: boolean;
  /** A pin whose line is connected to nothing counts as no INTx. */
  readonly hidesUnconnectedIntx: boolean;
  /** So does one that has no irq number (7.3). */
  readonly hidesIntxWithoutIrq: boolean;
  /** PM: unused devices are in D3hot by runtime PM, and D3hot stops memory access. */
  readonly runtimePm: boolean;
  /** Features 3, 4 and 5 of VFIO_DEVICE_FEATURE: low power. */
  readonly lowPowerFeatures: boolean;
  /** PME bits of the PM capability are virtual. */
  readonly virtualPme: boolean;
  /** INTx keeps its line over changes of the trigger. */
  readonly intxKeepsLine: boolean;
  /** Length of the PCIe capability, version 2, in bytes. */
  readonly pcieCapabilityV2: 50 | 52;
  /** vfio-platform refuses a device without reset function also where none is required. */
  readonly platformNeedsReset: boolean;
  /** vfio-platform initialises the mutex of its interrupts after it has registered the device. */
  readonly platformLateIgate: boolean;
  /** vfio-fsl-mc looks whether there is a trigger before it loops an interrupt back (6.9; in the stable kernels of 2024). */
  readonly loopbackNeedsTrigger: boolean;
  /** vfio-platform requests each interrupt at the first open, and keeps it to the last close (6.9; in the stable kernels of 2024). */
  readonly platformKeepsHandlers: boolean;
  /** All devices of vfio-platform are opened and closed under one lock; each under its own from 5.15 on. */
  readonly platformGlobalLock: boolean;
  /** A failed open of vfio-platform gives back a reference on its base module, and keeps the one on the driver (fixed in 5.14). */
  readonly platformLeaksModule: boolean;
  /** vfio-platform clips reads and writes to their region (6.14; in the stable kernels of 2025). */
  readonly platformChecksBounds: boolean;
  /** A child of a DPRC binds to vfio-fsl-mc without the DPRC being registered: they share a device set, not a counted lock (5.15). */
  readonly fslmcDeviceSet: boolean;
  /** Every fsl-mc object can be reset, and the last close resets the object, not its container. */
  readonly fslmcResetsObjects: boolean;
  /** Each parent of mediated devices has a driver of its own, and parents are kept in no list (5.14 to 6.1). */
  readonly mdevParentDrivers: boolean;
  /** The sample mtty refuses in SET_IRQS what it cannot do (6.7). */
  readonly mttyChecksIrqs: boolean;
  /** The sample mtty migrates, by version 2 of the protocol (6.7). */
  readonly mttyMigrates: boolean;
  /**
   * Each fsl-mc container has an interrupt domain of its own, found in `msi-parent` alone, which stays until its driver goes: it is filled once;
   * objects have none (7.3).
   */
  readonly fslmcIrqDomains: boolean;
  /** /dev/dprc.N lets DPRC_GET_MEM through (7.3). */
  readonly fslmcGetMem: boolean;
  /** How long the kernel waits for a Management Complex, in ns. */
  readonly fslmcTimeout: number;
  /** IOEVENTFD of 8 bytes on x86-64. */
  readonly ioeventfd64: boolean;
  /** BAR accesses of 8 bytes go out as one, not as two of 4. */
  readonly barAccess64: boolean;
  /** MSI-X vectors can be added later: no NORESIZE. */
  readonly msixDynamic: boolean;
  /** The ERR interrupt is that of devices with PCI Express alone (until 6.12), not every device's. */
  readonly errOfExpressOnly: boolean;
  /** Feature MIG_PRECOPY_INFOv2: -EINVAL where a device has no PRE_COPY. */
  readonly preCopyInfo2: boolean;
  /** BARs are claimed when the device is opened, and shown in /proc. */
  readonly claimsBarsAtOpen: boolean;
  /** A ROM image from firmware is the ROM region of a function without ROM BAR. */
  readonly firmwareRoms: boolean;
  /** A function can say of itself that its BARs cannot be mapped; before, the architecture said it of all. */
  readonly nonMappableBars: boolean;
  /** Feature DMA_BUF. */
  readonly dmaBuf: boolean;
  /** fdinfo of a device fd names its sysfs folder. */
  readonly fdinfoNamesDevice: boolean;
  /** Role-based error reporting: the mask of Advisory Non-Fatal errors is cleared. */
  readonly unmasksAdvisoryErrors: boolean;
  /** A device without PM capability is in D0, not "unknown". */
  readonly powerStateAlwaysKnown: boolean;
  /** Attributes `serial_number`, and the folders `aer` and `wakeup`. */
  readonly serialNumberAttribute: boolean;
  /** ERR and REQ refuse fds below -1, instead of ignoring them. */
  readonly strictNotifierFds: boolean;
  /** Hot reset refuses an empty list of groups before it looks whether there is a slot or bus to reset. */
  readonly emptyHotResetFirst: boolean;
}

const LINUX_5_13: KernelProfile = {
  name: 'linux-5.13',
  dmaOwnership: false,
  forcedDetach: false,
  negativeContainerFd: 'EINVAL',
  foreignContainerFd: 'EINVAL',
  nameBeforeContainer: false,
  containerUserLate: true,
  groupLock: 'none',
  countsEachOpen: true,
  rawioForEachOpen: true,
  nestsWithOneStage: true,
  isolationOfDevices: false,
  msiDomainPerDevice: false,
  dyingCanBeOpened: true,
  containerMmap: 'EINVAL',
  needsCoherentDma: false,
  emulatedDevicesPin: false,
  featureInCore: false,
  preCopy: false,
  noexecPseudoFiles: false,
  vfioDevClass: false,
  capabilityAlignment: 1,
  deviceInfoSize: 20,
  virqfdDrains: true,
  unmapAll: true,
  updateVaddr: true,
  nesting: true,
  overflowIsTold: false,
  inclusiveEnds: false,
  vaddrNeedsInstance: false,
  unmapAscends: true,
  unmapOwnOnly: true,
  vaddrMovesAccounting: false,
  enforcedCoherency: false,
  groupsWithDevices: false,
  oneBusToGroup: true,
  vtdPageSizes: 'all',
  noNesting: 'ENODEV',
  bindPassesErrors: false,
  newIdUnique: false,
  overrideReadLocks: true,
  resetMethodAttribute: false,
  powerStateAttribute: true,
  vfTotalMsixAttribute: true,
  aerReportsByCore: false,
  pciCore: false,
  vfioPciParametersAt: 'use',
  vgaClientUnwound: false,
  hidesUnconnectedIntx: false,
  hidesIntxWithoutIrq: false,
  runtimePm: false,
  lowPowerFeatures: false,
  virtualPme: false,
  intxKeepsLine: false,
  pcieCapabilityV2: 52,
  platformNeedsReset: false,
  platformLateIgate: true,
  loopbackNeedsTrigger: false,
  platformKeepsHandlers: false,
  platformGlobalLock: true,
  platformLeaksModule: true,
  platformChecksBounds: false,
  fslmcDeviceSet: false,
  fslmcResetsObjects: false,
  fslmcIrqDomains: false,
  fslmcGetMem: false,
  mdevParentDrivers: false,
  mttyChecksIrqs: false,
  mttyMigrates: false,
  fslmcTimeout: 500_000_000,
  ioeventfd64: false,
  barAccess64: false,
  msixDynamic: false,
  errOfExpressOnly: true,
  preCopyInfo2: false,
  claimsBarsAtOpen: false,
  firmwareRoms: false,
  nonMappableBars: false,
  dmaBuf: false,
  fdinfoNamesDevice: false,
  unmasksAdvisoryErrors: false,
  powerStateAlwaysKnown: false,
  serialNumberAttribute: false,
  strictNotifierFds: false,
  emptyHotResetFirst: false,
};

/** Recorded from 5.10.223, which has half of the series as backports (series.ts), and the INTx rework of 2024. */
const LINUX_5_10: KernelProfile = {
  ...LINUX_5_13,
  name: 'linux-5.10',
  virqfdDrains: false,
  unmapAll: false,
  updateVaddr: false,
  unmapAscends: false,
  powerStateAttribute: false,
  vfTotalMsixAttribute: false,
  intxKeepsLine: true,
  loopbackNeedsTrigger: true,
  platformKeepsHandlers: true,
};

const LINUX_6_1: KernelProfile = {
  ...LINUX_5_13,
  name: 'linux-6.1',
  dmaOwnership: true,
  forcedDetach: true,
  negativeContainerFd: 'EBADF',
  nameBeforeContainer: true,
  containerUserLate: false,
  groupLock: 'driver',
  containerMmap: 'ENODEV',
  needsCoherentDma: true,
  emulatedDevicesPin: true,
  featureInCore: true,
  vfioDevClass: true,
  vaddrNeedsInstance: true,
  unmapOwnOnly: false,
  vaddrMovesAccounting: true,
  enforcedCoherency: true,
  oneBusToGroup: false,
  vtdPageSizes: 'tables',
  noNesting: 'EINVAL',
  bindPassesErrors: true,
  newIdUnique: true,
  resetMethodAttribute: true,
  aerReportsByCore: true,
  pciCore: true,
  vfioPciParametersAt: 'load',
  vgaClientUnwound: true,
  hidesUnconnectedIntx: true,
  runtimePm: true,
  lowPowerFeatures: true,
  virtualPme: true,
  intxKeepsLine: true,
  pcieCapabilityV2: 50,
  platformNeedsReset: true,
  platformLateIgate: false,
  loopbackNeedsTrigger: true,
  platformKeepsHandlers: true,
  platformGlobalLock: false,
  platformLeaksModule: false,
  platformChecksBounds: true,
  fslmcDeviceSet: true,
  fslmcResetsObjects: true,
  mdevParentDrivers: true,
  fslmcTimeout: 15_000_000_000,
  ioeventfd64: true,
};

const LINUX_6_12: KernelProfile = {
  ...LINUX_6_1,
  name: 'linux-6.12',
  foreignContainerFd: 'EBADFD',
  dyingCanBeOpened: false,
  groupLock: 'call',
  countsEachOpen: false,
  rawioForEachOpen: false,
  nestsWithOneStage: false,
  isolationOfDevices: true,
  msiDomainPerDevice: true,
  preCopy: true,
  capabilityAlignment: 8,
  deviceInfoSize: 24,
  overrideReadLocks: false,
  barAccess64: true,
  msixDynamic: true,
  strictNotifierFds: true,
  emptyHotResetFirst: true,
  platformNeedsReset: false,
  mttyChecksIrqs: true,
  mttyMigrates: true,
};

const LINUX_7_3: KernelProfile = {
  ...LINUX_6_12,
  name: 'linux-7.3',
  fslmcIrqDomains: true,
  fslmcGetMem: true,
  groupsWithDevices: true,
  noexecPseudoFiles: true,
  nesting: false,
  overflowIsTold: true,
  inclusiveEnds: true,
  errOfExpressOnly: false,
  preCopyInfo2: true,
  claimsBarsAtOpen: true,
  firmwareRoms: true,
  nonMappableBars: true,
  hidesIntxWithoutIrq: true,
  vfioPciParametersAt: 'bind',
  dmaBuf: true,
  fdinfoNamesDevice: true,
  unmasksAdvisoryErrors: true,
  powerStateAlwaysKnown: true,
  serialNumberAttribute: true,
};

const PROFILES: Readonly<Record<ProfileName, KernelProfile>> = {
  'linux-5.10': LINUX_5_10,
  'linux-5.13': LINUX_5_13,
  'linux-6.1': LINUX_6_1,
  'linux-6.12': LINUX_6_12,
  'linux-6.12.117': { ...LINUX_6_12, name: 'linux-6.12.117' },
  'linux-7.3': LINUX_7_3,
};

/** The profile of a kernel, as a Host takes it by name. @throws RangeError for a name that is no profile */
export function kernelProfile(name: ProfileName): KernelProfile {
  const profile: KernelProfile | undefined = PROFILES[name];
  // A caller without a type checker can pass anything.
  if (!Object.hasOwn(PROFILES, name)) throw new RangeError(`"profile" expected one of ${Object.keys(PROFILES).join(', ')}, got ${name}`);
  return profile;
}
