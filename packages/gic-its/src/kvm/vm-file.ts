import {
  EINVAL,
  ENXIO,
  EBUSY,
  File,
  O_RDWR,
  PAGE_SIZE,
  get,
  invariant,
  passes64,
  set,
  toNumber,
  type PageRun,
  type Process,
  type Sleeps,
  type UserArgument,
} from '@vsim/vfio-core';
import type { Ioeventfd } from '../vgic/ioeventfds.ts';
import type { GsiRoute } from '../vgic/gsi-routing.ts';
import { KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE, KVM_MSI_VALID_DEVID } from '../vgic/uapi.ts';
import { MAX_ROUTES } from './capabilities.ts';
import { DeviceFile, type KvmDevice } from './device-file.ts';
import { registerDevice, vfioDevice } from './devices.ts';
import {
  KVM_CAPABILITY,
  KVM_DEVICE_TYPE,
  KVM_IOEVENTFD_NONE,
  KVM_IOEVENTFD_SHAPE,
  KVM_IOEVENTFD_TAKEN,
  KVM_IRQ_LINE_NO_GIC,
  KVM_IRQ_LINE_NUMBER,
  KVM_MEMORY_FLAGS,
  KVM_NO_PAGES,
  KVM_ROUTING,
} from './kvm-reasons.ts';
import { VCPU_MMAP_SIZE } from './vcpu-file.ts';
import type { OpenVm } from './open-vm.ts';
import { kvmRequestName } from './request-name.ts';
import * as uapi from './uapi.ts';
import { VcpuFile } from './vcpu-file.ts';

const IOEVENTFD_LENGTHS: readonly number[] = [0, 1, 2, 4, 8];
/** KVM_IRQCHIP_NUM_PINS. */
const PINS = 988;

/** The fd of a VM: memory, vCPUs, devices, interrupts. Kernel: kvm_vm_ioctl(), kvm_arch_vm_ioctl(). */
export class VmFile extends File {
  /** What /proc/PID/fd shows. */
  override readonly label: string = 'anon_inode:kvm-vm';
  readonly #open: OpenVm;

  /** By KVM_CREATE_VM. @internal */
  constructor(open: OpenVm) {
    super();
    this.#open = open;
    open.get();
  }

  /** The VM behind the fd: the typed layer. */
  get vm(): OpenVm['vm'] {
    return this.#open.vm;
  }

  /** Name of one of KVM's requests, for messages. @param request any number */
  override requestName(request: number): string | undefined {
    return kvmRequestName(request);
  }

  /**
   * Requests on a VM.
   *
   * @param request KVM_*
   * @returns what the request has, an fd or a count, or a negative errno: -EIO for another process or a dead VM, -EINVAL for a request that
   * there is not
   */
  override ioctl(process: Process, request: number, argument: UserArgument): number {
    const error = this.#open.check(process, argument);
    return error < 0 ? error : this.#request(process, request, argument);
  }

  #request(process: Process, request: number, argument: UserArgument): number {
    const { vm, slots } = this.#open;
    switch (request) {
      case uapi.KVM_CREATE_VCPU:
        return this.#createVcpu(process, argument);
      case uapi.KVM_CHECK_EXTENSION:
        return this.#open.kvm.checkExtension(argument, vm);
      case uapi.KVM_SET_USER_MEMORY_REGION:
        return withStruct(argument, uapi.kvm_userspace_memory_region.size, (bytes) => slots.set(argument, bytes));
      case uapi.KVM_SET_USER_MEMORY_REGION2:
        return this.#open.profile.memoryRegion2 ? this.#memoryRegion2(argument) : argument.unknown(EINVAL);
      case uapi.KVM_GET_DIRTY_LOG:
        return withStruct(argument, uapi.kvm_dirty_log.size, (bytes) => slots.getDirtyLog(argument, bytes));
      case uapi.KVM_CLEAR_DIRTY_LOG:
        return withStruct(argument, uapi.kvm_clear_dirty_log.size, (bytes) => slots.clearDirtyLog(argument, bytes));
      case uapi.KVM_ENABLE_CAP:
        return withStruct(argument, uapi.kvm_enable_cap.size, (bytes) => this.#enableCap(argument, bytes));
      case uapi.KVM_IRQFD:
        return withStruct(argument, uapi.kvm_irqfd.size, (bytes) => this.#irqfd(process, bytes));
      case uapi.KVM_IOEVENTFD:
        return withStruct(argument, uapi.kvm_ioeventfd.size, (bytes) => this.#ioeventfd(process, argument, bytes));
      case uapi.KVM_SIGNAL_MSI:
        return withStruct(argument, uapi.kvm_msi.size, (bytes) => {
          const address = toNumber(get(bytes, uapi.kvm_msi.address_lo), get(bytes, uapi.kvm_msi.address_hi));
          return vm.signalMsi(address, get(bytes, uapi.kvm_msi.data), get(bytes, uapi.kvm_msi.flags), get(bytes, uapi.kvm_msi.devid));
        });
      case uapi.KVM_IRQ_LINE:
      case uapi.KVM_IRQ_LINE_STATUS:
        return withStruct(argument, uapi.kvm_irq_level.size, (bytes) => this.#irqLine(argument, bytes));
      case uapi.KVM_SET_GSI_ROUTING:
        return withStruct(argument, uapi.kvm_irq_routing.size, (bytes) => this.#setRouting(argument, bytes));
      case uapi.KVM_CREATE_DEVICE:
        return withStruct(argument, uapi.kvm_create_device.size, (bytes) => this.#createDevice(process, argument, bytes));
      case uapi.KVM_CREATE_IRQCHIP:
        // The GICv2, which cannot be emulated here.
        return argument.refuse(KVM_DEVICE_TYPE, { type: uapi.KVM_DEV_TYPE_ARM_VGIC_V2 });
      case uapi.KVM_ARM_PREFERRED_TARGET: {
        const init = new Uint8Array(uapi.kvm_vcpu_init.size);
        set(init, uapi.kvm_vcpu_init.target, uapi.KVM_ARM_TARGET_GENERIC_V8);
        return argument.copyOut(init) ? 0 : argument.fault();
      }
      default:
        return argument.unknown(EINVAL);
    }
  }

  /** Its last fd is closed: irqfds go, and the VM too once vCPUs and devices have no fd. */
  protected override *release(): Sleeps<void> {
    this.#open.vm.irqfds.release();
    this.#open.put();
  }

  #createVcpu(process: Process, argument: UserArgument): number {
    const { vm, kvm } = this.#open;
    let pages: PageRun | undefined;
    // Whether there is an fd is seen last. Kernel: create_vcpu_fd()
    const vcpu = vm.createVcpu(argument.value, () => {
      const fd = process.nextFd();
      if (fd >= 0) pages = kvm.host.pages.allocate(VCPU_MMAP_SIZE / PAGE_SIZE);
      return fd >= 0 && pages === undefined ? argument.refuse(KVM_NO_PAGES, {}) : fd;
    });
    if (typeof vcpu === 'number') return vcpu;
    invariant(pages !== undefined, 'a vCPU was made without its pages');
    return process.install(new VcpuFile(this.#open, vcpu, pages), O_RDWR);
  }

  #memoryRegion2(argument: UserArgument): number {
    const layout = uapi.kvm_userspace_memory_region2;
    return withStruct(argument, layout.size, (bytes) => {
      // Memory of a guest_memfd: there is none here.
      const flags = get(bytes, layout.flags);
      return (flags & ~3) !== 0 ? argument.refuse(KVM_MEMORY_FLAGS, { flags }) : this.#open.slots.set(argument, bytes);
    });
  }

  #enableCap(argument: UserArgument, bytes: Uint8Array): number {
    const cap = get(bytes, uapi.kvm_enable_cap.cap);
    const flags = get(bytes, uapi.kvm_enable_cap.flags);
    const value = get(bytes, uapi.kvm_enable_cap.args);
    if (flags === 0 && cap === uapi.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) {
      // INITIALLY_SET goes with PROTECT_ENABLE only.
      if (value === 0n || value === 1n || value === 3n) {
        this.#open.slots.manualProtect = Number(value);
        return 0;
      }
    } else if (flags === 0 && cap === uapi.KVM_CAP_HALT_POLL && value <= 0xffff_ffffn) {
      return 0;
    }
    return argument.refuse(KVM_CAPABILITY, { cap, flags, argument: value });
  }

  #irqfd(process: Process, bytes: Uint8Array): number {
    const { vm } = this.#open;
    const flags = get(bytes, uapi.kvm_irqfd.flags);
    const gsi = get(bytes, uapi.kvm_irqfd.gsi);
    const early = vm.irqfds.check(flags, gsi);
    if (early < 0) return early;
    const eventfd = process.eventFdContext(get(bytes, uapi.kvm_irqfd.fd));
    if (typeof eventfd === 'number') return eventfd;
    const resamples = (flags & KVM_IRQFD_FLAG_RESAMPLE) !== 0 && (flags & KVM_IRQFD_FLAG_DEASSIGN) === 0;
    const resample = resamples ? process.eventFdContext(get(bytes, uapi.kvm_irqfd.resamplefd)) : undefined;
    return typeof resample === 'number' ? resample : vm.irqfd(eventfd, gsi, flags, resample);
  }

  #ioeventfd(process: Process, argument: UserArgument, bytes: Uint8Array): number {
    const layout = uapi.kvm_ioeventfd;
    const flags = get(bytes, layout.flags);
    const length = get(bytes, layout.len);
    const address = get(bytes, layout.addr);
    const deassign = (flags & uapi.KVM_IOEVENTFD_FLAG_DEASSIGN) !== 0;
    const matches = (flags & uapi.KVM_IOEVENTFD_FLAG_DATAMATCH) !== 0;
    if (!deassign) {
      const wrong = (field: string, value: bigint): number => argument.refuse(KVM_IOEVENTFD_SHAPE, { field, value });
      if (!IOEVENTFD_LENGTHS.includes(length)) return wrong('the length', BigInt(length));
      // C's sum of both must not be smaller than the address, so that the range may not even end at 2^64.
      if (length > 0 && passes64(address, BigInt(length + 1))) return wrong('the address', address);
      if ((flags & ~uapi.KVM_IOEVENTFD_VALID_FLAG_MASK) !== 0 || (length === 0 && matches)) return wrong('flags', BigInt(flags));
    }
    const eventfd = process.eventFdContext(get(bytes, layout.fd));
    if (typeof eventfd === 'number') return eventfd;
    const bus = (flags & uapi.KVM_IOEVENTFD_FLAG_PIO) !== 0 ? 'pio' : (flags & uapi.KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY) !== 0 ? 'ccw' : 'mmio';
    const one: Ioeventfd = { bus, address, length, match: matches ? get(bytes, layout.datamatch) : undefined, eventfd };
    const { ioeventfds } = this.#open.vm;
    const error = deassign ? ioeventfds.deassign(one) : ioeventfds.assign(one);
    return error < 0 ? argument.refuse(deassign ? KVM_IOEVENTFD_NONE : KVM_IOEVENTFD_TAKEN, { address, length }) : 0;
  }

  #irqLine(argument: UserArgument, bytes: Uint8Array): number {
    const { vm } = this.#open;
    const irq = get(bytes, uapi.kvm_irq_level.irq);
    const level = get(bytes, uapi.kvm_irq_level.level) !== 0;
    const type = (irq >>> uapi.KVM_ARM_IRQ_TYPE_SHIFT) & 0xf;
    const intid = irq & uapi.KVM_ARM_IRQ_NUM_MASK;
    const index = (irq >>> uapi.KVM_ARM_IRQ_VCPU2_SHIFT) * 0x100 + ((irq >>> uapi.KVM_ARM_IRQ_VCPU_SHIFT) & 0xff);
    const wrong = (field: string, value: number): number => argument.refuse(KVM_IRQ_LINE_NUMBER, { irq, field, value });
    if (type === uapi.KVM_ARM_IRQ_TYPE_CPU) {
      // IRQ and FIQ of a vCPU without GIC: it would have to have one outside of the kernel.
      if (vm.vgic !== undefined) return argument.refuse(KVM_IRQ_LINE_NO_GIC, { irq }, ENXIO);
      if (index >= vm.vcpus.length) return wrong('the vCPU', index);
      return intid > 1 ? wrong('the line', intid) : 0;
    }
    if (type !== uapi.KVM_ARM_IRQ_TYPE_SPI && type !== uapi.KVM_ARM_IRQ_TYPE_PPI) return wrong('the type', type);
    if (vm.vgic === undefined) return argument.refuse(KVM_IRQ_LINE_NO_GIC, { irq }, ENXIO);
    const uninitialised = (): number => argument.refuse(KVM_IRQ_LINE_NO_GIC, { irq }, EBUSY);
    if (!vm.vgic.initialized && this.#open.profile.irqLineAsksInitFirst) return uninitialised();
    const ppi = type === uapi.KVM_ARM_IRQ_TYPE_PPI;
    const named = ppi ? vm.vcpuOfTarget(index) : undefined;
    if (ppi && named === undefined) return wrong('the vCPU', index);
    if (ppi ? intid < 16 || intid >= 32 : intid < 32) return wrong('the INTID', intid);
    if (!vm.vgic.initialized) return uninitialised();
    // Until 6.6 the vCPU is named by its index, and then looked up by its id as if that were one.
    const vcpu = named === undefined || vm.profile.vcpusById ? named : vm.vcpus[named.id];
    return vm.vgic.inject(vcpu, intid, level) < 0 ? wrong('the INTID', intid) : 0;
  }

  #setRouting(argument: UserArgument, table: Uint8Array): number {
    const layout = uapi.kvm_irq_routing_entry;
    const count = get(table, uapi.kvm_irq_routing.nr);
    const flags = get(table, uapi.kvm_irq_routing.flags);
    if (count > MAX_ROUTES) return argument.refuse(KVM_ROUTING, { entry: undefined, field: 'the count', value: count });
    if (flags !== 0) return argument.refuse(KVM_ROUTING, { entry: undefined, field: 'flags', value: flags });
    const all = argument.copyIn(count * layout.size, uapi.kvm_irq_routing.size);
    if (all === undefined) return argument.fault();
    const entries = Array.from({ length: count }, (_, n) => all.subarray(n * layout.size, (n + 1) * layout.size));
    const tooHigh = entries.findIndex((entry) => get(entry, layout.gsi) >= MAX_ROUTES);
    if (tooHigh >= 0) return argument.refuse(KVM_ROUTING, { entry: tooHigh, field: 'the GSI', value: get(entries[tooHigh]!, layout.gsi) });
    const routes = new Map<number, GsiRoute>();
    for (const [n, entry] of entries.entries()) {
      const wrong = (field: string, value: number): number => argument.refuse(KVM_ROUTING, { entry: n, field, value });
      const gsi = get(entry, layout.gsi);
      const type = get(entry, layout.type);
      const own = get(entry, layout.flags);
      if ((own & ~(type === uapi.KVM_IRQ_ROUTING_MSI ? KVM_MSI_VALID_DEVID : 0)) !== 0) return wrong('flags', own);
      if (routes.has(gsi)) return wrong('the GSI, which has a route already,', gsi);
      if (type === uapi.KVM_IRQ_ROUTING_MSI) {
        const address = toNumber(get(entry, layout.u_msi_address_lo), get(entry, layout.u_msi_address_hi));
        const device = (own & KVM_MSI_VALID_DEVID) === 0 ? undefined : get(entry, layout.u_msi_devid);
        routes.set(gsi, { gsi, address, data: get(entry, layout.u_msi_data), device });
      } else if (type === uapi.KVM_IRQ_ROUTING_IRQCHIP) {
        const pin = get(entry, layout.u_irqchip_pin);
        const chip = get(entry, layout.u_irqchip_irqchip);
        if (pin >= PINS) return wrong('the pin', pin);
        if (chip !== 0) return wrong('the irqchip', chip);
        routes.set(gsi, { gsi, pin });
      } else {
        return wrong('the type', type);
      }
    }
    this.#open.vm.setRouting([...routes.values()]);
    return 0;
  }

  #createDevice(process: Process, argument: UserArgument, bytes: Uint8Array): number {
    const layout = uapi.kvm_create_device;
    const type = get(bytes, layout.type);
    const make = this.#maker(type);
    if (make === undefined) return argument.refuse(KVM_DEVICE_TYPE, { type });
    if ((get(bytes, layout.flags) & uapi.KVM_CREATE_DEVICE_TEST) === 0) {
      const device = make();
      if (typeof device === 'number') return device;
      // Without fd a GIC stays in the VM: its destroy() frees the device's own struct alone.
      const fd = process.nextFd();
      if (fd < 0) {
        device.undone?.();
        return fd;
      }
      set(bytes, layout.fd, process.install(new DeviceFile(this.#open, device), O_RDWR, fd));
    }
    return argument.copyOut(bytes) ? 0 : argument.fault();
  }

  #maker(type: number): (() => KvmDevice | number) | undefined {
    const { vm, profile } = this.#open;
    switch (type) {
      case uapi.KVM_DEV_TYPE_ARM_VGIC_V3:
        return () => {
          const made = vm.createVgic();
          return typeof made === 'number' ? made : registerDevice('kvm-arm-vgic-v3', made);
        };
      case uapi.KVM_DEV_TYPE_ARM_VGIC_ITS:
        return () => {
          const made = vm.createIts();
          return typeof made === 'number' ? made : registerDevice('kvm-arm-vgic-its', made);
        };
      case uapi.KVM_DEV_TYPE_VFIO:
        return () => {
          const made = vm.createVfio();
          return typeof made === 'number' ? made : vfioDevice(made, () => { vm.releaseVfio(); }, profile.vfioFdReleases);
        };
      default:
        return undefined;
    }
  }
}

/** copy_from_user() of the request's struct. */
function withStruct(argument: UserArgument, size: number, then: (bytes: Uint8Array) => number): number {
  const bytes = argument.copyIn(size);
  return bytes === undefined ? argument.fault() : then(bytes);
}
