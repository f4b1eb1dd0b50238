/** The fd of a device that KVM_CREATE_DEVICE made: three requests for all kinds. Kernel: kvm_device_ioctl(). */
import { File, exactAddress, get, lowHalf, set, type Process, type Sleeps, type UserArgument } from '@vsim/vfio-core';
import { KVM_DEVICE_OPERATION, KVM_DEVICE_REQUEST } from './kvm-reasons.ts';
import { kvmRequestName } from './request-name.ts';
import type { OpenVm } from './open-vm.ts';
import { KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR, KVM_SET_DEVICE_ATTR, kvm_device_attr } from './uapi.ts';

/** An attribute as the caller names it; `width` and the functions are about what `addr` points at. */
export interface AttributeAccess {
  readonly group: number;
  readonly attr: bigint;
  /** get_user() of 4 or 8 bytes; undefined is a fault. */
  read(width: 4 | 8): bigint | undefined;
  /** put_user() of 4 or 8 bytes. @returns 0 or -EFAULT */
  write(width: 4 | 8, value: bigint): number;
}

/** What a kind of device does. Results are 0 or a negative errno. */
export interface KvmDevice {
  /** After `anon_inode:`. */
  readonly name: string;
  setAttr(process: Process, access: AttributeAccess): number;
  /** undefined: this kind has none that is read. */
  readonly getAttr: ((access: AttributeAccess) => number) | undefined;
  hasAttr(group: number, attr: bigint): number;
  /** Its fd is closed. */
  released?(): void;
  /** It got no fd. */
  undone?(): void;
}

export class DeviceFile extends File {
  override readonly label: string;
  readonly #vm: OpenVm;
  readonly #device: KvmDevice;

  constructor(vm: OpenVm, device: KvmDevice) {
    super();
    this.label = `anon_inode:${device.name}`;
    this.#vm = vm;
    this.#device = device;
    vm.get();
  }

  override requestName(request: number): string | undefined {
    return kvmRequestName(request);
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const error = this.#vm.check(process, argument);
    if (error < 0) return error;
    const device = this.#device;
    if (request !== KVM_SET_DEVICE_ATTR && request !== KVM_GET_DEVICE_ATTR && request !== KVM_HAS_DEVICE_ATTR) {
      return argument.refuse(KVM_DEVICE_REQUEST, { device: device.name, request: argument.request });
    }
    if (request === KVM_GET_DEVICE_ATTR && device.getAttr === undefined) {
      return argument.refuse(KVM_DEVICE_OPERATION, { device: device.name, operation: 'KVM_GET_DEVICE_ATTR' });
    }
    const bytes = argument.copyIn(kvm_device_attr.size);
    if (bytes === undefined) return argument.fault();
    const access = new UserAttribute(process, argument, bytes);
    if (request === KVM_HAS_DEVICE_ATTR) return device.hasAttr(access.group, access.attr);
    return request === KVM_SET_DEVICE_ATTR ? device.setAttr(process, access) : device.getAttr!(access);
  }

  protected override *release(): Sleeps<void> {
    this.#device.released?.();
    this.#vm.put();
  }
}

class UserAttribute implements AttributeAccess {
  readonly group: number;
  readonly attr: bigint;
  readonly #process: Process;
  readonly #argument: UserArgument;
  readonly #at: number | undefined;

  constructor(process: Process, argument: UserArgument, bytes: Uint8Array) {
    this.#process = process;
    this.#argument = argument;
    this.group = get(bytes, kvm_device_attr.group);
    this.attr = get(bytes, kvm_device_attr.attr);
    this.#at = exactAddress(get(bytes, kvm_device_attr.addr));
  }

  read(width: 4 | 8): bigint | undefined {
    const bytes = new Uint8Array(width);
    if (this.#at === undefined || !this.#process.mm.copyFromUser(this.#at, bytes)) return undefined;
    return width === 4 ? BigInt(get(bytes, [0, 'u32'])) : get(bytes, [0, 'u64']);
  }

  write(width: 4 | 8, value: bigint): number {
    const bytes = new Uint8Array(width);
    if (width === 4) set(bytes, [0, 'u32'], lowHalf(value));
    else set(bytes, [0, 'u64'], value);
    return this.#at !== undefined && this.#process.mm.copyToUser(this.#at, bytes) ? 0 : this.#argument.fault();
  }
}
