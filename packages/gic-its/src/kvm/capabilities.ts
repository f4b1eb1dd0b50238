/** KVM_CHECK_EXTENSION, on /dev/kvm and on a VM. Kernel: kvm_vm_ioctl_check_extension_generic(), kvm_vm_ioctl_check_extension() of arm64. */
import { EINVAL } from '@vsim/vfio-core';
import { MAX_VCPUS } from '../vgic/kvm-vm.ts';
import type { KvmProfile } from './kvm-profile.ts';
import { USER_MEM_SLOTS } from './memory-slots.ts';
import * as cap from './uapi.ts';

/** KVM_MAX_IRQ_ROUTES: most entries of KVM_SET_GSI_ROUTING, and the first GSI that is none. */
export const MAX_ROUTES = 4096;

const PLAIN: ReadonlySet<number> = new Set([
  cap.KVM_CAP_IRQCHIP,
  cap.KVM_CAP_USER_MEMORY,
  cap.KVM_CAP_MP_STATE,
  cap.KVM_CAP_SYNC_MMU,
  cap.KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
  cap.KVM_CAP_JOIN_MEMORY_REGIONS_WORKS,
  cap.KVM_CAP_IRQFD,
  cap.KVM_CAP_IOEVENTFD,
  cap.KVM_CAP_INTERNAL_ERROR_DATA,
  cap.KVM_CAP_ONE_REG,
  cap.KVM_CAP_SIGNAL_MSI,
  cap.KVM_CAP_READONLY_MEM,
  cap.KVM_CAP_IRQFD_RESAMPLE,
  cap.KVM_CAP_ARM_PSCI,
  cap.KVM_CAP_DEVICE_CTRL,
  cap.KVM_CAP_ENABLE_CAP_VM,
  cap.KVM_CAP_ARM_PSCI_0_2,
  cap.KVM_CAP_CHECK_EXTENSION_VM,
  cap.KVM_CAP_IOEVENTFD_ANY_LENGTH,
  cap.KVM_CAP_IMMEDIATE_EXIT,
  cap.KVM_CAP_ARM_IRQ_LINE_LAYOUT_2,
  cap.KVM_CAP_HALT_POLL,
]);

/** What the answers depend on. */
export interface CapabilityContext {
  /** What the kernel's fds have. */
  readonly profile: KvmProfile;
  /** CPUs of the host. */
  readonly cpus: number;
  /** Most bits of a guest physical address. */
  readonly ipaBits: number;
  /** undefined on /dev/kvm: whether the VM has an ITS, so that its MSIs need a DeviceID. */
  readonly msisNeedDeviceId: boolean | undefined;
}

/**
 * What KVM_CHECK_EXTENSION answers.
 *
 * @param extension KVM_CAP_*, any number
 * @returns 0 for what this kernel has not, or what the model has not; -EINVAL for KVM_CAP_MSI_DEVID on /dev/kvm
 */
export function checkExtension(extension: number, { profile, cpus, ipaBits, msisNeedDeviceId }: CapabilityContext): number {
  if (PLAIN.has(extension)) return 1;
  switch (extension) {
    case cap.KVM_CAP_NR_VCPUS:
      return Math.min(cpus, MAX_VCPUS);
    case cap.KVM_CAP_MAX_VCPUS:
    case cap.KVM_CAP_MAX_VCPU_ID:
      return MAX_VCPUS;
    case cap.KVM_CAP_NR_MEMSLOTS:
      return USER_MEM_SLOTS;
    case cap.KVM_CAP_IRQ_ROUTING:
      return MAX_ROUTES;
    case cap.KVM_CAP_MSI_DEVID:
      return msisNeedDeviceId === undefined ? -EINVAL : Number(msisNeedDeviceId);
    case cap.KVM_CAP_ARM_VM_IPA_SIZE:
      return ipaBits;
    case cap.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
      return cap.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | cap.KVM_DIRTY_LOG_INITIALLY_SET;
    case cap.KVM_CAP_SYSTEM_EVENT_DATA:
      return Number(profile.systemEventData);
    case cap.KVM_CAP_USER_MEMORY2:
      return Number(profile.memoryRegion2);
    default:
      return 0;
  }
}
