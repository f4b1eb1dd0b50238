import { assertSameHost, EINVAL, File, O_RDWR, removeItem, type Host, type IrqBypassManager, type Process, type Sleeps, type UserArgument } from '@vsim/vfio-core';
import type { ItsDriver } from '../host/index.ts';
import { KvmVm } from '../vgic/kvm-vm.ts';
import { checkExtension } from './capabilities.ts';
import type { GuestProgram } from './guest-program.ts';
import { KVM_VM_TYPE } from './kvm-reasons.ts';
import { kvmProfile } from './kvm-profile.ts';
import { OpenVm } from './open-vm.ts';
import { kvmRequestName } from './request-name.ts';
import { KVM_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION, KVM_GET_VCPU_MMAP_SIZE } from './uapi.ts';
import { VCPU_MMAP_SIZE, withoutArgument } from './vcpu-file.ts';
import { VmFile } from './vm-file.ts';

/** KVM_PHYS_SHIFT: guest physical address bits of a VM of type 0. */
const DEFAULT_IPA_BITS = 40;
/** ARM64_MIN_PARANGE_BITS. */
const LEAST_IPA_BITS = 32;

/** What /dev/kvm stands on, and what its VMs may have. */
export interface KvmInit {
  /** The host's GIC driver: where physical interrupts and vPEs come from. */
  readonly driver: ItsDriver;
  /** Where irqfds meet the interrupts of VFIO devices. @default none: MSIs are injected by software */
  readonly irqBypass?: IrqBypassManager | undefined;
  /** Guest physical address bits that a VM can have at most, 32 to 52. @default 48 */
  readonly ipaBits?: number | undefined;
  /** Accesses that guest code makes in one KVM_RUN, before the call comes back as if a signal had come. @default 1,000,000 */
  readonly stepsPerRun?: number | undefined;
}

/**
 * /dev/kvm of a host with an Arm GICv3 or later: VMs, vCPUs and devices as fds, requests as bytes.
 *
 * Kernel: virt/kvm/kvm_main.c, arch/arm64/kvm/arm.c. KvmVm and what it makes are the typed layer; an ioctl enters the same code. The GICv2 is not emulated.
 *
 * @example
 * ```ts
 * import { Host, Process } from '@vsim/vfio-core';
 * import { Gic, ItsDriver, Kvm, KvmCalls } from '@vsim/gic-its';
 *
 * const host = new Host();
 * new Kvm(host, { driver: new ItsDriver(host, new Gic(host, { version: 'gicv3', cpus: 1 })) });
 * const user = new Process(host);
 * const calls = new KvmCalls(user);
 * const vm = calls.createVm(user.open('/dev/kvm'));
 * console.log(vm, calls.createVcpu(vm, 0)); // 4 5
 * ```
 */
export class Kvm {
  /** The host whose file tree has /dev/kvm. */
  readonly host: Host;
  /** The host's GIC driver. */
  readonly driver: ItsDriver;
  /** Where irqfds meet the interrupts of VFIO devices; undefined: no interrupt is forwarded. */
  readonly irqBypass: IrqBypassManager | undefined;
  /** KVM_CAP_ARM_VM_IPA_SIZE: guest physical address bits that a VM can have at most. */
  readonly ipaBits: number;
  /** Accesses that guest code makes in one KVM_RUN, before the call comes back as if a signal had come. */
  readonly stepsPerRun: number;
  /** Guest code by the guest physical address where it begins: what a vCPU runs whose PC is there. */
  readonly code: Map<bigint, GuestProgram> = new Map();
  readonly #vms: OpenVm[] = [];

  /** Puts /dev/kvm into the host's file tree. @throws RangeError for `ipaBits` that are not 32 to 52 */
  constructor(host: Host, { driver, irqBypass, ipaBits = 48, stepsPerRun = 1_000_000 }: KvmInit) {
    if (!Number.isInteger(ipaBits) || ipaBits < LEAST_IPA_BITS || ipaBits > 52) throw new RangeError(`"ipaBits" expected 32 to 52, got ${ipaBits}`);
    assertSameHost(host, driver, 'driver', 'the ITS driver', 'KVM');
    this.host = host;
    this.driver = driver;
    this.irqBypass = irqBypass;
    this.ipaBits = ipaBits;
    this.stepsPerRun = stepsPerRun;
    host.files.add('/dev/kvm', { kind: 'device', mode: 0o666, open: () => this.#open() });
  }

  *#open(): Sleeps<File> {
    return new KvmFile(this);
  }

  /** VMs that have fds, in the order of their creation: for tests and tools. */
  get vms(): readonly KvmVm[] {
    return this.#vms.map(({ vm }) => vm);
  }

  /** KVM_CREATE_VM. @internal @returns an fd; -EINVAL for a type that is no count of bits, or what Process.nextFd() gives */
  createVm(process: Process, argument: UserArgument): number {
    // The fd comes first: a process without one is refused whatever the type.
    const fd = process.nextFd();
    if (fd < 0) return fd;
    const type = argument.value;
    const wanted = type % 0x100;
    const ipaBits = wanted === 0 ? DEFAULT_IPA_BITS : wanted;
    if (type < 0 || type > 0xff || ipaBits < LEAST_IPA_BITS || ipaBits > this.ipaBits) return argument.refuse(KVM_VM_TYPE, { type, most: this.ipaBits });
    const vm = new OpenVm(this, new KvmVm(this.host, { driver: this.driver, irqBypass: this.irqBypass, ipaBits }), process);
    this.#vms.push(vm);
    return process.install(new VmFile(vm), O_RDWR, fd);
  }

  /** The last fd of a VM is closed. @internal */
  forget(vm: OpenVm): void {
    removeItem(this.#vms, vm);
  }

  /** KVM_CHECK_EXTENSION, of a VM or without one. @internal */
  checkExtension(argument: UserArgument, vm?: KvmVm): number {
    return checkExtension(argument.value, {
      profile: kvmProfile(this.host.profile.name),
      cpus: this.driver.cpus.count,
      ipaBits: this.ipaBits,
      msisNeedDeviceId: vm === undefined ? undefined : vm.itss.length > 0,
    });
  }
}

class KvmFile extends File {
  override readonly label: string = '/dev/kvm';
  readonly #kvm: Kvm;

  constructor(kvm: Kvm) {
    super();
    this.#kvm = kvm;
  }

  override requestName(request: number): string | undefined {
    return kvmRequestName(request);
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    switch (request) {
      case KVM_GET_API_VERSION:
        return withoutArgument(argument) ?? KVM_API_VERSION;
      case KVM_CREATE_VM:
        return this.#kvm.createVm(process, argument);
      case KVM_CHECK_EXTENSION:
        return this.#kvm.checkExtension(argument);
      case KVM_GET_VCPU_MMAP_SIZE:
        return withoutArgument(argument) ?? VCPU_MMAP_SIZE;
      default:
        return argument.unknown(EINVAL);
    }
  }

  protected override *release(): Sleeps<void> {
    // Its VMs have fds of their own.
  }
}
