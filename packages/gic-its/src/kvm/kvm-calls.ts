/**
 * A VMM's side of linux/kvm.h: each method builds the struct, makes the ioctl and reads the answer, as Process' own methods do for other calls.
 *
 * What a struct points at lies in a page of the process' memory that is mapped for it. Errors are thrown, as by Process.
 */
import { get, set, type Mapping, type Process } from '@vsim/vfio-core';
import { isMsiRoute, type GsiRoute } from '../vgic/gsi-routing.ts';
import { GRP, KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE, KVM_MSI_VALID_DEVID } from '../vgic/uapi.ts';
import * as uapi from './uapi.ts';

/** What KVM_RUN came back with. */
export interface KvmExit {
  /** KVM_EXIT_*. */
  readonly reason: number;
  readonly mmio: { readonly address: bigint; readonly length: number; readonly isWrite: boolean; readonly data: bigint } | undefined;
  /** KVM_SYSTEM_EVENT_*, of KVM_EXIT_SYSTEM_EVENT. */
  readonly systemEvent: number | undefined;
}

export class KvmCalls {
  readonly #process: Process;
  readonly #scratch: Mapping;

  constructor(process: Process) {
    this.#process = process;
    this.#scratch = process.mmap(-1, 0x1000);
  }

  /** @param ipaBits 0 is 40 */
  createVm(kvm: number, ipaBits = 0): number {
    return this.#process.ioctl(kvm, uapi.KVM_CREATE_VM, ipaBits);
  }

  /** A vCPU that was told what it is. */
  createVcpu(vm: number, id: number, { poweredOff = false }: { readonly poweredOff?: boolean } = {}): number {
    const fd = this.#process.ioctl(vm, uapi.KVM_CREATE_VCPU, id);
    const init = new Uint8Array(uapi.kvm_vcpu_init.size);
    this.#process.ioctl(vm, uapi.KVM_ARM_PREFERRED_TARGET, init);
    set(init, uapi.kvm_vcpu_init.features, (1 << uapi.KVM_ARM_VCPU_PSCI_0_2) | (poweredOff ? 1 << uapi.KVM_ARM_VCPU_POWER_OFF : 0));
    this.#process.ioctl(fd, uapi.KVM_ARM_VCPU_INIT, init);
    return fd;
  }

  /** A slot of guest memory: `size` 0 deletes it. */
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

  /** KVM_GET_DIRTY_LOG of a slot of at most 0x8000 pages: which pages were written, from its first. */
  dirtyPages(vm: number, slot: number, pages: number): number[] {
    const log = new Uint8Array(uapi.kvm_dirty_log.size);
    set(log, uapi.kvm_dirty_log.slot, slot);
    set(log, uapi.kvm_dirty_log.dirty_bitmap, this.#scratch.address);
    this.#process.ioctl(vm, uapi.KVM_GET_DIRTY_LOG, log);
    const bitmap = this.#scratch.readBytes(0, Math.ceil(pages / 64) * 8);
    return Array.from({ length: pages }, (_, page) => page).filter((page) => (bitmap[page >>> 3]! & (1 << (page & 7))) !== 0);
  }

  /** @param type KVM_DEV_TYPE_* @returns an fd */
  createDevice(vm: number, type: number): number {
    const request = new Uint8Array(uapi.kvm_create_device.size);
    set(request, uapi.kvm_create_device.type, type);
    this.#process.ioctl(vm, uapi.KVM_CREATE_DEVICE, request);
    return get(request, uapi.kvm_create_device.fd);
  }

  hasAttr(device: number, group: number, attr: number | bigint): boolean {
    return this.#process.tryIoctl(device, uapi.KVM_HAS_DEVICE_ATTR, this.#attr(group, attr)) === 0;
  }

  /** @param value none for attributes of GRP.CTRL */
  setAttr(device: number, group: number, attr: number | bigint, value: number | bigint = 0): void {
    this.#put(BigInt(value));
    this.#process.ioctl(device, uapi.KVM_SET_DEVICE_ATTR, this.#attr(group, attr));
  }

  /** @param asked what the kernel reads before it answers: of a redistributor region its index */
  getAttr(device: number, group: number, attr: number | bigint, asked = 0n): bigint {
    this.#put(asked);
    this.#process.ioctl(device, uapi.KVM_GET_DEVICE_ATTR, this.#attr(group, attr));
    return this.#take();
  }

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

  /** @param resample an eventfd that is told when the guest is done with the level */
  irqfd(vm: number, eventfd: number, gsi: number, { deassign = false, resample = -1 }: { readonly deassign?: boolean; readonly resample?: number } = {}): void {
    const layout = uapi.kvm_irqfd;
    const request = new Uint8Array(layout.size);
    set(request, layout.fd, eventfd);
    set(request, layout.gsi, gsi);
    set(request, layout.flags, (deassign ? KVM_IRQFD_FLAG_DEASSIGN : 0) | (resample < 0 ? 0 : KVM_IRQFD_FLAG_RESAMPLE));
    set(request, layout.resamplefd, resample);
    this.#process.ioctl(vm, uapi.KVM_IRQFD, request);
  }

  /** @param match what is stored @default anything */
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

  /** @returns 1 delivered, 0 blocked by the guest */
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

  /** The level of an SPI, or of a PPI of a vCPU. */
  irqLine(vm: number, intid: number, level: boolean, vcpu = 0): void {
    const type = intid < 32 ? uapi.KVM_ARM_IRQ_TYPE_PPI : uapi.KVM_ARM_IRQ_TYPE_SPI;
    const line = new Uint8Array(uapi.kvm_irq_level.size);
    set(line, uapi.kvm_irq_level.irq, (type << uapi.KVM_ARM_IRQ_TYPE_SHIFT) | ((vcpu & 0xff) << uapi.KVM_ARM_IRQ_VCPU_SHIFT) | ((vcpu >>> 8) << uapi.KVM_ARM_IRQ_VCPU2_SHIFT) | intid);
    set(line, uapi.kvm_irq_level.level, level ? 1 : 0);
    this.#process.ioctl(vm, uapi.KVM_IRQ_LINE, line);
  }

  getReg(vcpu: number, id: bigint): bigint {
    this.#process.ioctl(vcpu, uapi.KVM_GET_ONE_REG, this.#reg(id));
    return this.#take();
  }

  setReg(vcpu: number, id: bigint, value: bigint): void {
    this.#put(value);
    this.#process.ioctl(vcpu, uapi.KVM_SET_ONE_REG, this.#reg(id));
  }

  /** What the last KVM_RUN of a vCPU left in struct kvm_run, which is mapped. */
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

  /** The value that a load gets on which KVM_RUN came back, at the next KVM_RUN. */
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
