/** A host with /dev/kvm, and a VMM that has opened it: what the tests of KVM's fds share. */
import { Host, IrqBypassManager, Process, get, set, type Mapping, type ProfileName } from '@vsim/vfio-core';
import {
  ADDR_TYPE,
  CTRL,
  GRP,
  Gic,
  ItsDriver,
  KVM_ARM_TARGET_GENERIC_V8,
  KVM_ARM_VCPU_INIT,
  KVM_CREATE_DEVICE,
  KVM_CREATE_VCPU,
  KVM_CREATE_VM,
  KVM_DEV_TYPE_ARM_VGIC_ITS,
  KVM_DEV_TYPE_ARM_VGIC_V3,
  KVM_GET_DEVICE_ATTR,
  KVM_HAS_DEVICE_ATTR,
  KVM_RUN,
  KVM_SET_DEVICE_ATTR,
  Kvm,
  KvmCalls,
  VCPU_MMAP_SIZE,
  kvm_create_device,
  kvm_device_attr,
  kvm_vcpu_init,
  type GicVersion,
  type KvmInit,
  type KvmVm,
} from '../src/index.ts';

/** Guest physical addresses. */
export const AT = { CODE: 0x4000_0000n, RAM: 0x4000_0000, DIST: 0x0800_0000, REDIST: 0x080a_0000, ITS: 0x0808_0000, UART: 0x0900_0000 } as const;
export const RAM_BYTES = 0x80_0000;

export interface VmmInit extends Partial<Omit<KvmInit, 'driver'>> {
  readonly profile?: ProfileName | undefined;
  readonly version?: GicVersion | undefined;
}

/** Raw ioctls: results are negative errnos, as C has them. */
export class Vmm {
  readonly host: Host;
  readonly driver: ItsDriver;
  readonly kvm: Kvm;
  readonly process: Process;
  readonly calls: KvmCalls;
  readonly fd: number;
  readonly #page: Mapping;

  constructor({ profile, version = 'gicv4.1', ...init }: VmmInit = {}) {
    this.host = new Host({ profile, ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
    this.driver = new ItsDriver(this.host, new Gic(this.host, { version, cpus: 4 }));
    this.kvm = new Kvm(this.host, { driver: this.driver, irqBypass: new IrqBypassManager(), ...init });
    this.process = new Process(this.host, { name: 'vmm' });
    this.calls = new KvmCalls(this.process);
    this.fd = this.process.open('/dev/kvm');
    this.#page = this.process.mmap(-1, 0x1000);
  }

  ioctl(fd: number, request: number, argument: number | Uint8Array = 0): number {
    return this.process.tryIoctl(fd, request, argument);
  }

  vm(type = 0): number {
    return this.calls.createVm(this.fd, type);
  }

  /** Another process with a VM, which has no fd left. */
  full(): { readonly small: Process; readonly kvm: number; readonly vm: number } {
    const small = new Process(this.host, { maxFiles: 5 });
    const kvm = small.open('/dev/kvm');
    return { small, kvm, vm: small.ioctl(kvm, KVM_CREATE_VM) };
  }

  /** The VM behind the fd that was made last. */
  get last(): KvmVm {
    return this.kvm.vms.at(-1)!;
  }

  /** KVM_CREATE_VCPU and KVM_ARM_VCPU_INIT. @returns an fd, or the errno of the first */
  vcpu(vm: number, id: number, features = 4): number {
    const fd = this.ioctl(vm, KVM_CREATE_VCPU, id);
    if (fd >= 0) this.init(fd, features);
    return fd;
  }

  init(vcpu: number, features = 4, target: number = KVM_ARM_TARGET_GENERIC_V8): number {
    const init = new Uint8Array(kvm_vcpu_init.size);
    set(init, kvm_vcpu_init.target, target);
    set(init, kvm_vcpu_init.features, features);
    return this.ioctl(vcpu, KVM_ARM_VCPU_INIT, init);
  }

  /** @returns the device's fd, with KVM_CREATE_DEVICE_TEST 0, or an errno */
  device(vm: number, type: number, flags = 0): number {
    const request = new Uint8Array(kvm_create_device.size);
    set(request, kvm_create_device.type, type);
    set(request, kvm_create_device.flags, flags);
    const result = this.ioctl(vm, KVM_CREATE_DEVICE, request);
    return result < 0 ? result : get(request, kvm_create_device.fd);
  }

  has(device: number, group: number, attr: number | bigint): number {
    return this.ioctl(device, KVM_HAS_DEVICE_ATTR, attribute(group, attr, 0));
  }

  /** @param value undefined: the pointer leads nowhere */
  set(device: number, group: number, attr: number | bigint, value: number | bigint | undefined): number {
    const bytes = new Uint8Array(8);
    set(bytes, [0, 'u64'], value ?? 0);
    this.#page.writeBytes(0, bytes);
    return this.ioctl(device, KVM_SET_DEVICE_ATTR, attribute(group, attr, value === undefined ? 0 : this.#page.address));
  }

  /** @returns the value, or a negative errno as a number */
  get(device: number, group: number, attr: number | bigint, asked = 0n, width: 4 | 8 = 4): bigint | number {
    const bytes = new Uint8Array(8);
    set(bytes, [0, 'u64'], asked);
    this.#page.writeBytes(0, bytes);
    const result = this.ioctl(device, KVM_GET_DEVICE_ATTR, attribute(group, attr, this.#page.address));
    if (result < 0) return result;
    const read = this.#page.readBytes(0, 8);
    return width === 8 ? get(read, [0, 'u64']) : BigInt(get(read, [0, 'u32']));
  }

  run(vcpu: number): number {
    return this.ioctl(vcpu, KVM_RUN);
  }

  mapRun(vcpu: number): Mapping {
    return this.process.mmap(vcpu, VCPU_MMAP_SIZE);
  }
}

/** A VM with RAM, vCPUs, a GIC and an ITS, initialised: what a VMM makes. */
export class Booted extends Vmm {
  readonly vmFd: number;
  readonly vcpus: readonly number[];
  readonly gicFd: number;
  readonly itsFd: number;
  readonly ram: Mapping;
  readonly runs: readonly Mapping[];

  constructor({ vcpus = 2, ...init }: VmmInit & { readonly vcpus?: number } = {}) {
    super(init);
    const { calls } = this;
    this.vmFd = this.vm();
    this.ram = this.process.mmap(-1, RAM_BYTES);
    calls.setMemory(this.vmFd, 0, AT.RAM, RAM_BYTES, this.ram.address);
    this.vcpus = Array.from({ length: vcpus }, (_, id) => calls.createVcpu(this.vmFd, id, { poweredOff: id > 0 }));
    this.runs = this.vcpus.map((fd) => this.mapRun(fd));
    this.gicFd = calls.createDevice(this.vmFd, KVM_DEV_TYPE_ARM_VGIC_V3);
    this.itsFd = calls.createDevice(this.vmFd, KVM_DEV_TYPE_ARM_VGIC_ITS);
    calls.setAttr(this.gicFd, GRP.ADDR, ADDR_TYPE.DIST, AT.DIST);
    calls.setAttr(this.gicFd, GRP.ADDR, ADDR_TYPE.REDIST, AT.REDIST);
    calls.setAttr(this.gicFd, GRP.CTRL, CTRL.INIT);
    calls.setAttr(this.itsFd, GRP.ADDR, ADDR_TYPE.ITS, AT.ITS);
    calls.setAttr(this.itsFd, GRP.CTRL, CTRL.INIT);
  }
}

export function attribute(group: number, attr: number | bigint, addr: number): Uint8Array {
  const bytes = new Uint8Array(kvm_device_attr.size);
  set(bytes, kvm_device_attr.group, group);
  set(bytes, kvm_device_attr.attr, attr);
  set(bytes, kvm_device_attr.addr, addr);
  return bytes;
}
