/** What KVM's fds do otherwise in one kernel than in another, as named values. Sources: Debian's linux-source of 6.1.192, 6.12.117 and 7.3.4. */
import type { ProfileName } from '@vsim/vfio-core';

export interface KvmProfile {
  /** KVM_ARM_PSCI_LATEST: major << 16, minor. */
  readonly psci: bigint;
  /** KVM_VCPU_MAX_FEATURES: a feature bit from here on is -ENOENT, one below that the CPU has not -EINVAL. */
  readonly vcpuFeatures: number;
  /** KVM_ARM_VCPU_POWER_OFF counts for one KVM_ARM_VCPU_INIT, and is no feature of the vCPU that a second one must repeat. */
  readonly powerOffOnce: boolean;
  /** KVM_SET_USER_MEMORY_REGION2. */
  readonly memoryRegion2: boolean;
  /** KVM_EXIT_SYSTEM_EVENT has a count and words of data (KVM_CAP_SYSTEM_EVENT_DATA); before, one word of flags. */
  readonly systemEventData: boolean;
  /** KVM_IRQ_LINE is -EBUSY before the GIC is initialised, whatever else is wrong with it. */
  readonly irqLineAsksInitFirst: boolean;
  /** The fd of a kvm-vfio device gives its groups back when it is closed, and another may be made; else they stay until the VM goes. */
  readonly vfioFdReleases: boolean;
}

const LINUX_5_10: KvmProfile = { psci: 0x1_0000n, vcpuFeatures: 7, powerOffOnce: false, memoryRegion2: false, systemEventData: false, irqLineAsksInitFirst: false, vfioFdReleases: false };
const LINUX_6_1: KvmProfile = { ...LINUX_5_10, psci: 0x1_0001n, systemEventData: true, vfioFdReleases: true };
const LINUX_6_12: KvmProfile = { ...LINUX_6_1, powerOffOnce: true, memoryRegion2: true };

const PROFILES: Readonly<Record<ProfileName, KvmProfile>> = {
  'linux-5.10': LINUX_5_10,
  'linux-5.13': LINUX_5_10,
  'linux-6.1': LINUX_6_1,
  'linux-6.12': LINUX_6_12,
  'linux-6.12.117': LINUX_6_12,
  'linux-7.3': { ...LINUX_6_12, psci: 0x1_0003n, vcpuFeatures: 10, irqLineAsksInitFirst: true },
};

export function kvmProfile(name: ProfileName): KvmProfile {
  return PROFILES[name];
}
