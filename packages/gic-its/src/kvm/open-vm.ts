/** A VM that user space has fds of: what they share, and who may use them. Kernel: the reference count, mm and vm_dead of struct kvm. */
import type { Host, Process, UserArgument } from '@vsim/vfio-core';
import type { KvmVm } from '../vgic/kvm-vm.ts';
import type { GuestProgram } from './guest-program.ts';
import { KVM_OTHER_PROCESS } from './kvm-reasons.ts';
import { kvmProfile, type KvmProfile } from './kvm-profile.ts';
import { MemorySlots } from './memory-slots.ts';
import type { VcpuFile } from './vcpu-file.ts';

/** /dev/kvm as its VMs know it. */
export interface OpenKvm {
  readonly host: Host;
  /** Accesses that guest code makes in one KVM_RUN. */
  readonly stepsPerRun: number;
  /** Guest code by the guest physical address where it begins. */
  readonly code: ReadonlyMap<bigint, GuestProgram>;
  /** KVM_CHECK_EXTENSION of a VM. */
  checkExtension(argument: UserArgument, vm: KvmVm): number;
  /** The last fd of a VM was closed. */
  forget(vm: OpenVm): void;
}

export class OpenVm {
  readonly kvm: OpenKvm;
  readonly vm: KvmVm;
  readonly process: Process;
  readonly profile: KvmProfile;
  readonly slots: MemorySlots;
  /** In the order of their creation. */
  readonly vcpus: VcpuFile[] = [];
  #references = 0;

  constructor(kvm: OpenKvm, vm: KvmVm, process: Process) {
    this.kvm = kvm;
    this.vm = vm;
    this.process = process;
    this.profile = kvmProfile(kvm.host.profile.name);
    this.slots = new MemorySlots(process, vm.memory, vm.ipaBits);
  }

  /** One fd more holds the VM. */
  get(): void {
    this.#references += 1;
  }

  /** With the last fd the VM goes. */
  put(): void {
    this.#references -= 1;
    if (this.#references > 0) return;
    this.vm.destroy();
    this.kvm.forget(this);
  }

  /** What every ioctl asks first. @returns 0 or -EIO */
  check(process: Process, argument: UserArgument): number {
    // A process that has ended and one that was made anew under the same name have other memory.
    if (process.mm !== this.process.mm) return argument.refuse(KVM_OTHER_PROCESS, { task: process.name, owner: this.process.name });
    return this.vm.checkAlive();
  }
}
