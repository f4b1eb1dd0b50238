import type { EventFdContext, EventFdListener, Host, IrqBypassConsumer, IrqBypassManager, IrqBypassProducer, Point, Sleeps } from '@vsim/vfio-core';
import { ItsIrq } from '../host/index.ts';
import { isMsiRoute, sameMsi, type GsiRoute } from './gsi-routing.ts';
import type { BusVcpu } from './guest-bus.ts';
import { setForwarding, unsetForwarding, type ForwardingVm } from './vgic-v4.ts';

/** The irqfds of a VM as one of them knows them: where its GSI leads, and the lines of pins. */
export interface IrqfdOwner {
  /** Where a GSI leads, undefined where nowhere. @param gsi below 4096 */
  route(gsi: number): GsiRoute | undefined;
  /** The irqfd of an eventfd and a GSI goes. @param gsi below 4096 */
  deassign(eventfd: EventFdContext, gsi: number): number;
  /** An irqfd raises a pin. @param pin INTID less 32 */
  raise(pin: number, resampled: boolean): void;
  /** The level of a pin. @param pin INTID less 32 */
  injectPin(pin: number, level: boolean): number;
  /** A work item is queued, or done. @param count one more or one less */
  injectionQueued(count: 1 | -1): void;
}

/** A VM as its irqfds know it: who takes MSIs and lines, and what is halted while an interrupt is forwarded. */
export interface IrqfdVm extends ForwardingVm {
  /** The host that runs it. */
  readonly host: Host;
  /** Where irqfds meet the interrupts of VFIO devices. */
  readonly irqBypass: IrqBypassManager | undefined;
  /** Its irqfds. */
  readonly irqfds: IrqfdOwner;
  /** Its vCPUs. */
  readonly vcpus: readonly BusVcpu[];
  /** An MSI. @param address the doorbell, guest physical @param data EventID @param device DeviceID @param cacheDevice what the cache is asked for */
  injectMsi(address: number, data: number, device: number | undefined, cacheDevice: number): number;
  /** An MSI whose translation is cached. @param address the doorbell, guest physical @param device DeviceID @param data EventID */
  injectCached(address: number, device: number, data: number): boolean;
  /** An MSI whose translation is not. @param address the doorbell, guest physical @param data EventID @param device DeviceID */
  injectByTables(address: number, data: number, device: number | undefined): number;
}

/** Before an irqfd's work item injects: hold threads here to see an interrupt that is in no table. */
export const IRQFD_INJECT: Point = { point: 'kvm/irqfd-inject' };

/** The work item has found no translation in the cache, and has its_lock to take: it may be another that is forwarding the interrupt. */
export const IRQFD_LOCK: Point = { point: 'kvm/irqfd-its-lock' };

/**
 * An irqfd: an eventfd whose signals become MSIs or SPIs of a VM; and, through irqbypass, the consumer that forwards a device's interrupt.
 *
 * Kernel: struct kvm_kernel_irqfd of virt/kvm/eventfd.c, and the arm64 irqbypass hooks. A signal is injected at once when its
 * translation is cached, or when it is an SPI; otherwise by a work item, which is a kernel thread here. The line of an SPI that is level-sensitive is raised,
 * and lowered by a resampler alone: when the guest is done with it, who raised it is told by an eventfd of his.
 */
export class Irqfd implements EventFdListener, IrqBypassConsumer {
  /** Whether it is told before other listeners of the eventfd, and alone: kernels after 5.10. */
  readonly priority: boolean;
  /** The eventfd, by which irqbypass finds the producer. */
  readonly token: EventFdContext;
  /** The GSI that it raises. */
  readonly gsi: number;
  /** Signalled when the guest is done with the level. */
  readonly resample: EventFdContext | undefined;
  readonly #vm: IrqfdVm;
  #queued = false;
  #attached = false;
  /** The host interrupt behind it, while irqbypass has brought one. */
  #hostIrq: ItsIrq | undefined;

  /** Made by KVM_IRQFD; attach() has to follow. @param gsi below 4096 @param resample signalled when the guest is done with the level */
  constructor(vm: IrqfdVm, eventfd: EventFdContext, gsi: number, resample?: EventFdContext) {
    this.#vm = vm;
    this.priority = vm.host.profile.virqfdDrains;
    this.token = eventfd;
    this.gsi = gsi;
    this.resample = resample;
  }

  /** Listens on the eventfd, whose count is injected at once, and registers as consumer of irqbypass. Kernel: kvm_irqfd_assign() */
  attach(): void {
    this.token.listen(this);
    this.#attached = true;
    // A connection that is refused leaves the irqfd as it is: interrupts come by software.
    this.#vm.irqBypass?.registerConsumer(this);
  }

  /** Its work item is done before, and takes what is in the counter. Kernel: irqfd_shutdown() */
  detach(): void {
    this.#vm.irqBypass?.unregisterConsumer(this);
    this.token.unlisten(this);
    this.token.drain();
    if (!this.#queued) return;
    this.#queued = false;
    const route = this.#vm.irqfds.route(this.gsi);
    if (isMsiRoute(route)) this.#vm.injectMsi(route.address, route.data, route.device, route.device ?? 0);
    else if (route !== undefined) this.#injectPin(route.pin);
  }

  /** A count that is there when the irqfd is made is left to the work item, and stays; so does every one in 5.10, which does not come first either. */
  signalled(): void {
    const { irqfds } = this.#vm;
    if (this.#attached && this.priority) this.token.drain();
    const route = irqfds.route(this.gsi);
    if (route === undefined || (this.#attached && this.#injectAtOnce(route)) || this.#queued) return;
    this.#queued = true;
    irqfds.injectionQueued(1);
    this.#vm.host.scheduler.spawn('irqfd-inject', this.#inject());
  }

  /** Without the work item. Kernel: kvm_arch_set_irq_inatomic() */
  #injectAtOnce(route: GsiRoute): boolean {
    if (isMsiRoute(route)) return this.#vm.injectCached(route.address, route.device ?? 0, route.data);
    this.#vm.irqfds.raise(route.pin, this.resample !== undefined);
    return true;
  }

  /** By the work item, which makes a pulse of it where no resampler will lower it. Kernel: irqfd_inject() */
  #injectPin(pin: number): void {
    this.#vm.irqfds.raise(pin, this.resample !== undefined);
    if (this.resample === undefined) this.#vm.irqfds.injectPin(pin, false);
  }

  /** The eventfd is closed: the irqfd goes, as by KVM_IRQFD_FLAG_DEASSIGN. Kernel: EPOLLHUP in irqfd_wakeup() */
  closed(): void {
    this.#vm.irqfds.deassign(this.token, this.gsi);
  }

  /** The guest is halted while a producer comes or goes: no list register holds what is about to be forwarded. */
  stop(): void {
    for (const vcpu of this.#vm.vcpus) vcpu.exitGuest();
  }

  /** The guest goes on. Kernel: kvm_arch_irq_bypass_start() */
  start(): void {
    for (const vcpu of this.#vm.vcpus) vcpu.enterGuest();
  }

  /**
   * A device's interrupt has the same eventfd: it is forwarded where the route is an MSI. Kernel: kvm_arch_irq_bypass_add_producer()
   *
   * @returns 0, or the errno for which it is not forwarded, and the connection refused
   */
  addProducer(producer: IrqBypassProducer): number {
    const route = this.#vm.irqfds.route(this.gsi);
    if (!(producer.irq instanceof ItsIrq)) return 0;
    this.#hostIrq = producer.irq;
    return isMsiRoute(route) ? setForwarding(this.#vm, producer.irq, route) : 0;
  }

  /** The device's interrupt goes: it is the host's again. Kernel: kvm_arch_irq_bypass_del_producer() */
  delProducer(producer: IrqBypassProducer): void {
    this.#hostIrq = undefined;
    const route = this.#vm.irqfds.route(this.gsi);
    if (producer.irq instanceof ItsIrq) unsetForwarding(this.#vm, producer.irq, isMsiRoute(route) ? route : undefined);
  }

  /** Its GSI leads elsewhere: since 7.3 the interrupt is software's then, as the new route cannot be looked up here. Kernel: kvm_arch_update_irqfd_routing() */
  rerouted(old: GsiRoute | undefined, now: GsiRoute | undefined): void {
    if (this.#hostIrq === undefined || !this.#vm.profile.unsetsByHostIrq || sameMsi(old, now)) return;
    unsetForwarding(this.#vm, this.#hostIrq, undefined);
  }

  *#inject(): Sleeps<void> {
    yield IRQFD_INJECT;
    const { irqfds } = this.#vm;
    const route = this.#queued ? irqfds.route(this.gsi) : undefined;
    this.#queued = false;
    if (isMsiRoute(route)) {
      if (!this.#injectAtOnce(route)) {
        yield IRQFD_LOCK;
        this.#vm.injectByTables(route.address, route.data, route.device);
      }
    } else if (route !== undefined) {
      this.#injectPin(route.pin);
    }
    irqfds.injectionQueued(-1);
  }
}
