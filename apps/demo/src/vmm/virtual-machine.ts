/**
 * A VM as its VMM holds it: a process with guest memory, KVM's side, one VFIO container, and the devices in it.
 */
import {
  errnoName,
  mapDma,
  O_RDWR,
  Process,
  setContainer,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_SET_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type Mapping,
  removeItem,
} from '@vsim/vfio-core';
import {
  ADDR_TYPE,
  CTRL,
  GRP,
  KVM_DEV_VFIO_GROUP,
  KVM_DEV_VFIO_GROUP_ADD,
  KVM_DEV_VFIO_GROUP_DEL,
  KvmVm,
  type KvmVfio,
  type Vgic,
  type VgicIts,
} from '@vsim/gic-its';
import { GUEST_GICD, GUEST_GICR, GUEST_ITS, GUEST_RAM } from '../guest/layout.ts';
import type { ArmHost } from '../hosts/arm-host.ts';
import { AssignedDevice, type DeviceHost, type MsixRoute } from './assigned-device.ts';

/** As QEMU's service raises it: an eventfd for each vector of 256 devices. */
const MAX_FILES = 4096;

/** KVM refused something that the VMM cannot do without. */
export class VmmError extends Error {
  override readonly name = 'VmmError';
  /** Negative. */
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`${what}: ${errnoName(errno)}`);
    this.errno = errno;
  }
}

export class VirtualMachine implements DeviceHost {
  readonly host: ArmHost;
  readonly process: Process;
  readonly kvm: KvmVm;
  readonly vgic: Vgic;
  readonly its: VgicIts;
  readonly kvmVfio: KvmVfio;
  readonly memory: Mapping;
  /** SGIs, PPIs and SPIs of the guest. */
  readonly nrIrqs: number = 96;
  readonly devices: AssignedDevice[] = [];
  readonly #container: number;
  /** Groups that are open, by their numbers: a group is opened once, however many devices of it the VM has. */
  readonly #groups = new Map<number, { readonly fd: number; readonly devices: Set<AssignedDevice> }>();
  #mapped = false;
  #gsi = 64;

  /** vCPUs are stopped, the guest's memory is zero. */
  constructor(host: ArmHost, vcpus: number) {
    this.host = host;
    this.process = new Process(host.host, { name: 'vmm', maxFiles: MAX_FILES });
    this.#container = this.process.open('/dev/vfio/vfio', O_RDWR);
    this.memory = this.process.mmap(-1, GUEST_RAM.size);
    this.kvm = new KvmVm(host.host, { driver: host.its, irqBypass: host.irqBypass });
    this.kvm.memory.addSlot({ gpa: GUEST_RAM.base, size: GUEST_RAM.size, memory: this.process.mm, offset: this.memory.address });
    for (let n = 0; n < vcpus; n += 1) made(this.kvm.createVcpu(), 'KVM_CREATE_VCPU');
    this.vgic = made(this.kvm.createVgic(), 'KVM_CREATE_DEVICE(ARM_VGIC_V3)');
    this.its = made(this.kvm.createIts(), 'KVM_CREATE_DEVICE(ARM_VGIC_ITS)');
    this.kvmVfio = made(this.kvm.createVfio(), 'KVM_CREATE_DEVICE(VFIO)');
    must(this.vgic.setAttr(GRP.NR_IRQS, 0, this.nrIrqs), 'NR_IRQS');
    must(this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, GUEST_GICD), 'the distributor');
    must(this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, GUEST_GICR), 'the redistributors');
    must(this.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0), 'the vgic');
    must(this.its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, GUEST_ITS), 'the ITS frames');
    must(this.its.setAttr(GRP.CTRL, CTRL.INIT, 0), 'the ITS');
  }

  /** Puts a host device that is bound to its VFIO driver into the VM, with a DeviceID of the guest. */
  assign(name: string, guestDevice: number): AssignedDevice {
    const id = this.host.groupOf(name);
    const group = this.#groups.get(id) ?? this.#openGroup(id);
    const device = new AssignedDevice(this, group.fd, name, guestDevice);
    group.devices.add(device);
    this.devices.push(device);
    return device;
  }

  #openGroup(id: number): { readonly fd: number; readonly devices: Set<AssignedDevice> } {
    const { process } = this;
    const fd = process.open(`/dev/vfio/${id}`, O_RDWR);
    setContainer(process, fd, this.#container);
    if (!this.#mapped) {
      process.ioctl(this.#container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
      mapDma(process, this.#container, {
        iova: GUEST_RAM.base,
        vaddr: this.memory.address,
        size: GUEST_RAM.size,
        flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
      });
      this.#mapped = true;
    }
    must(this.kvmVfio.setAttr(process, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_ADD, fd), 'kvm-vfio');
    const group = { fd, devices: new Set<AssignedDevice>() };
    this.#groups.set(id, group);
    return group;
  }

  /** Takes a device out of the VM. */
  unplug(device: AssignedDevice): void {
    device.close();
    removeItem(this.devices, device);
    for (const [id, { fd, devices }] of this.#groups) {
      if (!devices.delete(device) || devices.size > 0) continue;
      must(this.kvmVfio.setAttr(this.process, KVM_DEV_VFIO_GROUP, KVM_DEV_VFIO_GROUP_DEL, fd), 'kvm-vfio');
      this.process.close(fd);
      this.#groups.delete(id);
    }
    this.updateRouting();
  }

  nextGsi(): number {
    this.#gsi += 1;
    return this.#gsi;
  }

  updateRouting(): void {
    const routes: MsixRoute[] = [];
    for (const device of this.devices) device.addRoutes(routes);
    this.kvm.setRouting(routes);
  }

  /** Every vCPU that is stopped enters the guest, vCPU n on physical CPU `place(n)`. */
  run(place: (vcpu: number) => number): void {
    for (const vcpu of this.kvm.vcpus) if (vcpu.state === 'stopped') must(vcpu.run(place(vcpu.id)), `vCPU ${vcpu.id}`);
  }

  /** Every vCPU leaves the guest. */
  stop(): void {
    for (const vcpu of this.kvm.vcpus) vcpu.stop();
  }

  /** The process ends: devices, KVM's side and memory go. */
  destroy(): void {
    for (const device of [...this.devices]) this.unplug(device);
    this.kvm.destroy();
    this.process.exit();
  }
}

/** @throws VmmError if KVM answered with an errno */
export function must(result: number, what: string): void {
  if (result < 0) throw new VmmError(what, result);
}

function made<T extends object>(result: T | number, what: string): T {
  if (typeof result === 'number') throw new VmmError(what, result);
  return result;
}
