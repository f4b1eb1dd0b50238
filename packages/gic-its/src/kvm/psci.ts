/** PSCI, as KVM answers HVC #0: what turns CPUs and the machine on and off. Kernel: arch/arm64/kvm/psci.c, hypercalls.c. */
import type { OpenVm } from './open-vm.ts';
import { KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_STOPPED, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN } from './uapi.ts';
import type { VcpuFile } from './vcpu-file.ts';

/** Function ids of PSCI, for GuestCpu.hvc() (Arm DEN0022): the 64-bit ones of CPU_ON and AFFINITY_INFO. */
export const PSCI = {
  VERSION: 0x8400_0000,
  CPU_OFF: 0x8400_0002,
  CPU_ON: 0xc400_0003,
  AFFINITY_INFO: 0xc400_0004,
  SYSTEM_OFF: 0x8400_0008,
  SYSTEM_RESET: 0x8400_0009,
  FEATURES: 0x8400_000a,
} as const;

const CPU_ON_32 = 0x8400_0003;
const AFFINITY_INFO_32 = 0x8400_0004;
const SMCCC_VERSION = 0x8000_0000;
const SMCCC_1_1 = 0x1_0001n;
const SUCCESS = 0n;
const NOT_SUPPORTED = -1n;
const INVALID_PARAMETERS = -2n;
const ALREADY_ON = -4n;
const AFFINITY_ON = 0n;
const AFFINITY_OFF = 1n;

const KNOWN: ReadonlySet<number> = new Set([...Object.values(PSCI), CPU_ON_32, AFFINITY_INFO_32, SMCCC_VERSION]);

/** One HVC of a guest: x0 is the function and then the result. @returns the system event that user space is told of */
export function psciCall(caller: VcpuFile, open: OpenVm): number | undefined {
  const { registers } = caller;
  const id = Number(BigInt.asUintN(32, registers.get(0)));
  const result = caller.hasPsci || id === SMCCC_VERSION ? call(id, caller, open) : NOT_SUPPORTED;
  if (typeof result === 'bigint') {
    registers.set(0, result);
    return undefined;
  }
  // No vCPU runs on behind the event, until user space has started it anew.
  for (const vcpu of open.vcpus) vcpu.setMpState(KVM_MP_STATE_STOPPED);
  return result;
}

/** @returns x0, or a system event */
function call(id: number, caller: VcpuFile, open: OpenVm): bigint | number {
  const { registers } = caller;
  const target = (): VcpuFile | undefined => {
    const mpidr = registers.get(1);
    const vcpu = open.vm.vcpuOfAffinity(Number((mpidr & 0xff_ffffn) | (((mpidr >> 32n) & 0xffn) << 24n)));
    return open.vcpus.find((file) => file.vcpu === vcpu);
  };
  switch (id) {
    case SMCCC_VERSION:
      return SMCCC_1_1;
    case PSCI.VERSION:
      return registers.psci;
    case PSCI.FEATURES:
      return KNOWN.has(Number(BigInt.asUintN(32, registers.get(1)))) ? SUCCESS : NOT_SUPPORTED;
    case PSCI.CPU_OFF:
      caller.setMpState(KVM_MP_STATE_STOPPED);
      return SUCCESS;
    case PSCI.CPU_ON:
    case CPU_ON_32: {
      const vcpu = target();
      if (vcpu === undefined) return INVALID_PARAMETERS;
      if (vcpu.mpState !== KVM_MP_STATE_STOPPED) return ALREADY_ON;
      vcpu.start(registers.get(2), registers.get(3));
      return SUCCESS;
    }
    case PSCI.AFFINITY_INFO:
    case AFFINITY_INFO_32: {
      const vcpu = target();
      if (vcpu === undefined) return INVALID_PARAMETERS;
      return vcpu.mpState === KVM_MP_STATE_RUNNABLE ? AFFINITY_ON : AFFINITY_OFF;
    }
    case PSCI.SYSTEM_OFF:
      return KVM_SYSTEM_EVENT_SHUTDOWN;
    case PSCI.SYSTEM_RESET:
      return KVM_SYSTEM_EVENT_RESET;
    default:
      return NOT_SUPPORTED;
  }
}
