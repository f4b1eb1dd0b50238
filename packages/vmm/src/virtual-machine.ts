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
  type Host,
  type IrqBypassManager,
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
  type ItsDriver,
  type KvmVfio,
  type Vgic,
  type VgicIts,
} from '@vsim/gic-its';
import { AssignedDevice, type DeviceHost, type MsixRoute } from './assigned-device.ts';
import { VIRT_MACHINE, type MachineLayout } from './layout.ts';

/** As QEMU's service raises it: an eventfd for each vector of 256 devices. */
const MAX_FILES = 4096;

/** KVM refused something that the VMM cannot do without. */
export class VmmError extends Error {
  /** Tells it from errors that are the caller's own. */
  override readonly name = 'VmmError';
  /** Negative. */
  readonly errno: number;

  constructor(what: string, errno: number) {
    super(`${what}: ${errnoName(errno)}`);
    this.errno = errno;
  }
}

/** What a VM needs of the machine that it runs on. */
export interface VmHost {
  /** The machine itself: its threads, trace and files. */
  readonly host: Host;
  /** The host kernel's GIC driver. */
  readonly its: ItsDriver;
  /** The one that the host's VFIO drivers have, so that interrupts are forwarded. */
  readonly irqBypass: IrqBypassManager;
  /** The number of a device's IOMMU group. */
  groupOf(device: string): number;
}

/** What a VM is made of. */
export interface VirtualMachineInit {
  /** In [1, 512]. */
  readonly vcpus: number;
  /** Where memory and interrupt controllers are. @default VIRT_MACHINE */
  readonly layout?: MachineLayout | undefined;
}

/**
 * A VM as its VMM holds it: a process with guest memory, KVM's side, one VFIO container, and the devices in it.
 *
 * @typeParam H the host's own type, for who asks the VM where it runs
 *
 * @example
 * ```ts
 * import { Host, IrqBypassManager } from '@vsim/vfio-core';
 * import { Gic, ItsDriver } from '@vsim/gic-its';
 * import { VirtualMachine } from '@vsim/vmm';
 *
 * const host = new Host();
 * const its = new ItsDriver(host, new Gic(host, { version: 'gicv4.1', cpus: 2 }));
 * const vm = new VirtualMachine({ host, its, irqBypass: new IrqBypassManager(), groupOf: () => 0 }, { vcpus: 2 });
 * vm.run((vcpu) => vcpu);
 * console.log(vm.kvm.vcpus.map(({ state }) => state).join()); // running,running
 * vm.destroy();
 * ```
 */
export class VirtualMachine<H extends VmHost = VmHost> implements DeviceHost {
  /** The machine that it runs on. */
  readonly host: H;
  /** Where memory and interrupt controllers are. */
  readonly layout: MachineLayout;
  /** The VMM's process, `vmm`, with room for 4096 files. */
  readonly process: Process;
  /** KVM's side of it: vCPUs, memory slots, irqfds and routes. */
  readonly kvm: KvmVm;
  /** Its GICv3 (KVM_DEV_TYPE_ARM_VGIC_V3), initialized. */
  readonly vgic: Vgic;
  /** Its ITS (KVM_DEV_TYPE_ARM_VGIC_ITS), initialized. */
  readonly its: VgicIts;
  /** The KVM device that knows the VM's groups (KVM_DEV_TYPE_VFIO). */
  readonly kvmVfio: KvmVfio;
  /** The guest's RAM, in the VMM's address space. */
  readonly memory: Mapping;
  /** SGIs, PPIs and SPIs of the guest. */
  readonly nrIrqs: number = 96;
  /** Devices that are in it, in the order of their coming. */
  readonly devices: AssignedDevice[] = [];
  /** Opened with the first group, as QEMU does. */
  #container: number | undefined;
  /** Groups that are open, by their numbers: a group is opened once, however many devices of it the VM has. */
  readonly #groups = new Map<number, { readonly fd: number; readonly devices: Set<AssignedDevice> }>();
  #mapped = false;
  #gsi = 64;

  /**
   * vCPUs are stopped, the guest's memory is zero.
   *
   * @throws RangeError for less than one vCPU; TypeError for parts of two hosts; VmmError with KVM's errno for a layout or a number of vCPUs that it refuses
   */
  constructor(host: H, { vcpus, layout = VIRT_MACHINE }: VirtualMachineInit) {
    if (!(Number.isInteger(vcpus) && vcpus >= 1)) throw new RangeError(`"vcpus" expected a whole number of at least 1, got ${vcpus}`);
    this.host = host;
    this.layout = layout;
    const { ram } = layout;
    this.process = new Process(host.host, { name: 'vmm', maxFiles: MAX_FILES });
    this.memory = this.process.mmap(-1, ram.size);
    this.kvm = new KvmVm(host.host, { driver: host.its, irqBypass: host.irqBypass });
    this.kvm.memory.addSlot({ gpa: ram.base, size: ram.size, memory: this.process.mm, offset: this.memory.address });
    for (let n = 0; n < vcpus; n += 1) made(this.kvm.createVcpu(), 'KVM_CREATE_VCPU');
    this.vgic = made(this.kvm.createVgic(), 'KVM_CREATE_DEVICE(ARM_VGIC_V3)');
    this.its = made(this.kvm.createIts(), 'KVM_CREATE_DEVICE(ARM_VGIC_ITS)');
    this.kvmVfio = made(this.kvm.createVfio(), 'KVM_CREATE_DEVICE(VFIO)');
    must(this.vgic.setAttr(GRP.NR_IRQS, 0, this.nrIrqs), 'NR_IRQS');
    must(this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.DIST, layout.distributor), 'the distributor');
    must(this.vgic.setAttr(GRP.ADDR, ADDR_TYPE.REDIST, layout.redistributors), 'the redistributors');
    must(this.vgic.setAttr(GRP.CTRL, CTRL.INIT, 0), 'the vgic');
    must(this.its.setAttr(GRP.ADDR, ADDR_TYPE.ITS, layout.its), 'the ITS frames');
    must(this.its.setAttr(GRP.CTRL, CTRL.INIT, 0), 'the ITS');
  }

  /**
   * Puts a host device that is bound to its VFIO driver into the VM, with a DeviceID of the guest.
   *
   * @param name PCI address on the host
   * @param guestDevice DeviceID in the guest, 32 bits
   * @throws SyscallError with VFIO's errno, VmmError with that of kvm-vfio
   */
  assign(name: string, guestDevice: number): AssignedDevice {
    const id = this.host.groupOf(name);
    const group = this.#groups.get(id) ?? this.#openGroup(id);
    const device = new AssignedDevice(this, group.fd, name, guestDevice);
    group.devices.add(device);
    this.devices.push(device);
    return device;
  }

  #openGroup(id: number): { readonly fd: number; readonly devices: Set<AssignedDevice> } {
    const { process, layout: { ram } } = this;
    const fd = process.open(`/dev/vfio/${id}`, O_RDWR);
    const container = (this.#container ??= process.open('/dev/vfio/vfio', O_RDWR));
    setContainer(process, fd, container);
    if (!this.#mapped) {
      process.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
      mapDma(process, container, {
        iova: ram.base,
        vaddr: this.memory.address,
        size: ram.size,
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

  /** A GSI that nobody has; from 65 on. */
  nextGsi(): number {
    this.#gsi += 1;
    return this.#gsi;
  }

  /** Tells KVM the routes of all devices anew (KVM_SET_GSI_ROUTING). */
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

/**
 * Takes a result of KVM's, where the VMM cannot go on without.
 *
 * @param result 0 or more, or a negative errno
 * @param what what it was asked for, for the error's text
 * @throws VmmError if KVM answered with an errno
 */
export function must(result: number, what: string): void {
  if (result < 0) throw new VmmError(what, result);
}

function made<T extends object>(result: T | number, what: string): T {
  if (typeof result === 'number') throw new VmmError(what, result);
  return result;
}
