import { get, set, type Mapping, type Process } from '@vsim/vfio-core';
import { isMsiRoute, type GsiRoute } from '../vgic/gsi-routing.ts';
import { GRP, KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE, KVM_MSI_VALID_DEVID } from '../vgic/uapi.ts';
import * as uapi from './uapi.ts';

/** What KVM_RUN came back with. */
export interface KvmExit {
  /** KVM_EXIT_* of linux/kvm.h. */
  readonly reason: number;
  /** The access that user space has to emulate, of KVM_EXIT_MMIO: guest physical address, bytes, direction, and what was stored. */
  readonly mmio: { readonly address: bigint; readonly length: number; readonly isWrite: boolean; readonly data: bigint } | undefined;
  /** KVM_SYSTEM_EVENT_*, of KVM_EXIT_SYSTEM_EVENT. */
  readonly systemEvent: number | undefined;
}

/**
 * A VMM's side of linux/kvm.h: each method builds the struct, makes the ioctl and reads the answer, as Process' own methods do for other calls.
 *
 * What a struct points at lies in a page of the process' memory that is mapped for it. Errors are thrown, as by Process.
 */
export class KvmCalls {
  readonly #process: Process;
  readonly #scratch: Mapping;

  /** Calls of one process, in which it maps a page. @throws SyscallError if mmap() is refused */
  constructor(process: Process) {
    this.#process = process;
    this.#scratch = process.mmap(-1, 0x1000);
  }

  /**
   * KVM_CREATE_VM.
   *
   * @param kvm fd of /dev/kvm
   * @param ipaBits guest physical address bits, 32 to KVM_CAP_ARM_VM_IPA_SIZE; 0 is 40
   * @returns an fd
   * @throws SyscallError with -EINVAL for another number of bits, or -EMFILE
   */
  createVm(kvm: number, ipaBits = 0): number {
    return this.#process.ioctl(kvm, uapi.KVM_CREATE_VM, ipaBits);
  }

  /**
   * KVM_CREATE_VCPU and KVM_ARM_VCPU_INIT: a vCPU of the preferred target, with PSCI 0.2 and later.
   *
   * @param vm fd of the VM
   * @param id below 512, none that the VM has
   * @returns an fd
   * @throws SyscallError with the errno of either
   */
  createVcpu(vm: number, id: number, { poweredOff = false }: { readonly poweredOff?: boolean } = {}): number {
    const fd = this.#process.ioctl(vm, uapi.KVM_CREATE_VCPU, id);
    const init = new Uint8Array(uapi.kvm_vcpu_init.size);
    this.#process.ioctl(vm, uapi.KVM_ARM_PREFERRED_TARGET, init);
    set(init, uapi.kvm_vcpu_init.features, (1 << uapi.KVM_ARM_VCPU_PSCI_0_2) | (poweredOff ? 1 << uapi.KVM_ARM_VCPU_POWER_OFF : 0));
    this.#process.ioctl(fd, uapi.KVM_ARM_VCPU_INIT, init);
    return fd;
  }

  /**
   * KVM_SET_USER_MEMORY_REGION: a slot of guest memory; `size` 0 deletes it.
   *
   * @param vm fd of the VM
   * @param slot below KVM_CAP_NR_MEMSLOTS
   * @param address guest physical, a multiple of the page size
   * @param size bytes, a multiple of the page size
   * @param vaddr where the memory is in this process, a multiple of the page size
   * @param flags KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY
   * @throws SyscallError with KVM's errno
   */
  setMemory(vm: number, slot: number, address: number, size: number, vaddr: number, flags = 0): void {
    const layout = uapi.kvm_userspace_memory_region;
    const region = new Uint8Array(layout.size);
    set(region, layout.slot, slot);
    set(region, layout.flags, flags);
    set(region, layout.guest_phys_addr, address);
    set(region, layout.memory_size, size);
    set(region, layout.userspace_addr, vaddr);
    this.#process.ioctl(vm, uapi.KVM_SET_USER_MEMORY_REGION, region);
  }

  /**
   * KVM_GET_DIRTY_LOG: which pages of a slot were written since it was last asked.
   *
   * @param vm fd of the VM
   * @param slot one with KVM_MEM_LOG_DIRTY_PAGES
   * @param pages of the slot, at most 0x8000
   * @returns numbers of pages, counted from the slot's first
   * @throws SyscallError with KVM's errno
   */
  dirtyPages(vm: number, slot: number, pages: number): number[] {
    const log = new Uint8Array(uapi.kvm_dirty_log.size);
    set(log, uapi.kvm_dirty_log.slot, slot);
    set(log, uapi.kvm_dirty_log.dirty_bitmap, this.#scratch.address);
    this.#process.ioctl(vm, uapi.KVM_GET_DIRTY_LOG, log);
    const bitmap = this.#scratch.readBytes(0, Math.ceil(pages / 64) * 8);
    return Array.from({ length: pages }, (_, page) => page).filter((page) => (bitmap[page >>> 3]! & (1 << (page & 7))) !== 0);
  }

  /**
   * KVM_CREATE_DEVICE.
   *
   * @param vm fd of the VM
   * @param type KVM_DEV_TYPE_*
   * @returns an fd
   * @throws SyscallError with KVM's errno: -ENODEV for a type that there is not
   */
  createDevice(vm: number, type: number): number {
    const request = new Uint8Array(uapi.kvm_create_device.size);
    set(request, uapi.kvm_create_device.type, type);
    this.#process.ioctl(vm, uapi.KVM_CREATE_DEVICE, request);
    return get(request, uapi.kvm_create_device.fd);
  }

  /**
   * KVM_HAS_DEVICE_ATTR: whether a device has an attribute; any errno is no.
   *
   * @param device fd of the device
   * @param group KVM_DEV_*_GRP_*
   * @param attr 64 bits, of the group
   */
  hasAttr(device: number, group: number, attr: number | bigint): boolean {
    return this.#process.tryIoctl(device, uapi.KVM_HAS_DEVICE_ATTR, this.#attr(group, attr)) === 0;
  }

  /**
   * KVM_SET_DEVICE_ATTR, with a number of 4 or 8 bytes as data.
   *
   * @param device fd of the device
   * @param group KVM_DEV_*_GRP_*
   * @param attr 64 bits, of the group
   * @param value none for attributes of GRP.CTRL
   * @throws SyscallError with KVM's errno
   */
  setAttr(device: number, group: number, attr: number | bigint, value: number | bigint = 0): void {
    this.#put(BigInt(value));
    this.#process.ioctl(device, uapi.KVM_SET_DEVICE_ATTR, this.#attr(group, attr));
  }

  /**
   * KVM_GET_DEVICE_ATTR, with a number of 4 or 8 bytes as data.
   *
   * @param device fd of the device
   * @param group KVM_DEV_*_GRP_*
   * @param attr 64 bits, of the group
   * @param asked what the kernel reads before it answers: of a redistributor region its index
   * @throws SyscallError with KVM's errno
   */
  getAttr(device: number, group: number, attr: number | bigint, asked = 0n): bigint {
    this.#put(asked);
    this.#process.ioctl(device, uapi.KVM_GET_DEVICE_ATTR, this.#attr(group, attr));
    return this.#take();
  }

  /**
   * KVM_SET_GSI_ROUTING: replaces the whole table.
   *
   * @param vm fd of the VM
   * @param routes at most 4096, one for a GSI
   * @throws SyscallError with KVM's errno
   */
  setRouting(vm: number, routes: readonly GsiRoute[]): void {
    const layout = uapi.kvm_irq_routing_entry;
    const table = new Uint8Array(uapi.kvm_irq_routing.size + routes.length * layout.size);
    set(table, uapi.kvm_irq_routing.nr, routes.length);
    routes.forEach((route, n) => {
      const entry = table.subarray(uapi.kvm_irq_routing.size + n * layout.size);
      set(entry, layout.gsi, route.gsi);
      set(entry, layout.type, isMsiRoute(route) ? uapi.KVM_IRQ_ROUTING_MSI : uapi.KVM_IRQ_ROUTING_IRQCHIP);
      if (!isMsiRoute(route)) {
        set(entry, layout.u_irqchip_pin, route.pin);
        return;
      }
      set(entry, layout.u_msi_address_lo, route.address % 2 ** 32);
      set(entry, layout.u_msi_address_hi, Math.floor(route.address / 2 ** 32));
      set(entry, layout.u_msi_data, route.data);
      if (route.device === undefined) return;
      set(entry, layout.flags, KVM_MSI_VALID_DEVID);
      set(entry, layout.u_msi_devid, route.device);
    });
    this.#process.ioctl(vm, uapi.KVM_SET_GSI_ROUTING, table);
  }

  /**
   * KVM_IRQFD: a signal of an eventfd raises a GSI; or with `deassign` no longer.
   *
   * @param resample an eventfd that is told when the guest is done with the level
   * @param vm fd of the VM
   * @param eventfd fd of the eventfd
   * @param gsi below 4096
   * @throws SyscallError with KVM's errno
   */
  irqfd(vm: number, eventfd: number, gsi: number, { deassign = false, resample = -1 }: { readonly deassign?: boolean; readonly resample?: number } = {}): void {
    const layout = uapi.kvm_irqfd;
    const request = new Uint8Array(layout.size);
    set(request, layout.fd, eventfd);
    set(request, layout.gsi, gsi);
    set(request, layout.flags, (deassign ? KVM_IRQFD_FLAG_DEASSIGN : 0) | (resample < 0 ? 0 : KVM_IRQFD_FLAG_RESAMPLE));
    set(request, layout.resamplefd, resample);
    this.#process.ioctl(vm, uapi.KVM_IRQFD, request);
  }

  /**
   * KVM_IOEVENTFD: a store of the guest signals an eventfd, without an exit.
   *
   * @param vm fd of the VM
   * @param eventfd fd of the eventfd
   * @param address guest physical, in bytes
   * @param length of the store: 1, 2, 4 or 8; 0 is any
   * @param match what is stored
   * @default anything
   * @throws SyscallError with KVM's errno
   */
  ioeventfd(vm: number, eventfd: number, address: number, length: number, match?: bigint): void {
    const layout = uapi.kvm_ioeventfd;
    const request = new Uint8Array(layout.size);
    set(request, layout.fd, eventfd);
    set(request, layout.addr, address);
    set(request, layout.len, length);
    if (match !== undefined) {
      set(request, layout.datamatch, match);
      set(request, layout.flags, uapi.KVM_IOEVENTFD_FLAG_DATAMATCH);
    }
    this.#process.ioctl(vm, uapi.KVM_IOEVENTFD, request);
  }

  /**
   * KVM_SIGNAL_MSI with a DeviceID.
   *
   * @param vm fd of the VM
   * @param address the guest's doorbell, physical
   * @param data EventID, 32 bits
   * @param device DeviceID, 32 bits
   * @returns 1 delivered, 0 blocked by the guest
   * @throws SyscallError with KVM's errno
   */
  signalMsi(vm: number, address: number, data: number, device: number): number {
    const layout = uapi.kvm_msi;
    const msi = new Uint8Array(layout.size);
    set(msi, layout.address_lo, address % 2 ** 32);
    set(msi, layout.address_hi, Math.floor(address / 2 ** 32));
    set(msi, layout.data, data);
    set(msi, layout.flags, KVM_MSI_VALID_DEVID);
    set(msi, layout.devid, device);
    return this.#process.ioctl(vm, uapi.KVM_SIGNAL_MSI, msi);
  }

  /**
   * KVM_IRQ_LINE: the level of an SPI, or of a PPI of a vCPU.
   *
   * @param vm fd of the VM
   * @param intid 16 to 31 is a PPI, from 32 on an SPI
   * @param vcpu of a PPI, by KVM's index
   * @throws SyscallError with KVM's errno
   */
  irqLine(vm: number, intid: number, level: boolean, vcpu = 0): void {
    const type = intid < 32 ? uapi.KVM_ARM_IRQ_TYPE_PPI : uapi.KVM_ARM_IRQ_TYPE_SPI;
    const line = new Uint8Array(uapi.kvm_irq_level.size);
    set(line, uapi.kvm_irq_level.irq, (type << uapi.KVM_ARM_IRQ_TYPE_SHIFT) | ((vcpu & 0xff) << uapi.KVM_ARM_IRQ_VCPU_SHIFT) | ((vcpu >>> 8) << uapi.KVM_ARM_IRQ_VCPU2_SHIFT) | intid);
    set(line, uapi.kvm_irq_level.level, level ? 1 : 0);
    this.#process.ioctl(vm, uapi.KVM_IRQ_LINE, line);
  }

  /**
   * KVM_GET_ONE_REG.
   *
   * @param vcpu fd of the vCPU
   * @param id KVM_REG_*, of a register of 64 bits
   * @throws SyscallError with KVM's errno: -ENOENT for a register that there is not
   */
  getReg(vcpu: number, id: bigint): bigint {
    this.#process.ioctl(vcpu, uapi.KVM_GET_ONE_REG, this.#reg(id));
    return this.#take();
  }

  /**
   * KVM_SET_ONE_REG.
   *
   * @param vcpu fd of the vCPU
   * @param id KVM_REG_*, of a register of 64 bits
   * @param value 64 bits
   * @throws SyscallError with KVM's errno: -ENOENT for a register that there is not
   */
  setReg(vcpu: number, id: bigint, value: bigint): void {
    this.#put(value);
    this.#process.ioctl(vcpu, uapi.KVM_SET_ONE_REG, this.#reg(id));
  }

  /** What the last KVM_RUN of a vCPU left in struct kvm_run, which is mapped. @param run the mapping of the vCPU's fd */
  exitOf(run: Mapping): KvmExit {
    const bytes = run.readBytes(0, 0x40);
    const reason = get(bytes, uapi.kvm_run.exit_reason);
    const mmio =
      reason !== uapi.KVM_EXIT_MMIO
        ? undefined
        : {
            address: get(bytes, uapi.kvm_run.mmio_phys_addr),
            length: get(bytes, uapi.kvm_run.mmio_len),
            isWrite: get(bytes, uapi.kvm_run.mmio_is_write) !== 0,
            data: get(bytes, uapi.kvm_run.mmio_data),
          };
    return { reason, mmio, systemEvent: reason === uapi.KVM_EXIT_SYSTEM_EVENT ? get(bytes, uapi.kvm_run.system_event_type) : undefined };
  }

  /**
   * The value that a load gets on which KVM_RUN came back, at the next KVM_RUN.
   *
   * @param run the mapping of the vCPU's fd
   * @param value the load's width counts
   */
  answerMmio(run: Mapping, value: bigint): void {
    const bytes = new Uint8Array(8);
    set(bytes, [0, 'u64'], value);
    run.writeBytes(uapi.kvm_run.mmio_data[0], bytes);
  }

  #attr(group: number, attr: number | bigint): Uint8Array {
    const request = new Uint8Array(uapi.kvm_device_attr.size);
    set(request, uapi.kvm_device_attr.group, group);
    set(request, uapi.kvm_device_attr.attr, attr);
    if (group !== GRP.CTRL) set(request, uapi.kvm_device_attr.addr, this.#scratch.address);
    return request;
  }

  #reg(id: bigint): Uint8Array {
    const request = new Uint8Array(uapi.kvm_one_reg.size);
    set(request, uapi.kvm_one_reg.id, id);
    set(request, uapi.kvm_one_reg.addr, this.#scratch.address);
    return request;
  }

  #put(value: bigint): void {
    const bytes = new Uint8Array(8);
    set(bytes, [0, 'u64'], value);
    this.#scratch.writeBytes(0, bytes);
  }

  #take(): bigint {
    return get(this.#scratch.readBytes(0, 8), [0, 'u64']);
  }
}
