export * from './cpu-sysregs.ts';
export { GuestMemory, type MemorySlot } from './guest-memory.ts';
export { Irqfd, IRQFD_INJECT } from './irqfd.ts';
export { KvmVm, type GuestDevice, type KvmVmInit, type MsiRoute } from './kvm-vm.ts';
export { ADDR_TYPE, CTRL, GRP, KVM_MSI_VALID_DEVID } from './uapi.ts';
export { Vcpu, type VcpuState } from './vcpu.ts';
export { VgicIrq } from './vgic-irq.ts';
export { E_ITS, VgicIts } from './vgic-its.ts';
export { Vgic } from './vgic.ts';
