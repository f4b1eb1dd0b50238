/**
 * An irqfd: an eventfd whose signals become MSIs of a VM; and, through irqbypass, the consumer that forwards a device's interrupt.
 *
 * Kernel: struct kvm_kernel_irqfd of virt/kvm/eventfd.c, and the arm64 irqbypass hooks. A signal is injected at once when its
 * translation is cached; otherwise by a work item, which is a kernel thread here.
 */
import type { EventFdContext, EventFdListener, IrqBypassConsumer, IrqBypassProducer, Point, Sleeps } from '@vsim/vfio-core';
import { ItsIrq } from '../host/index.ts';
import type { KvmVm } from './kvm-vm.ts';
import { setForwarding, unsetForwarding } from './vgic-v4.ts';

/** Before an irqfd's work item injects: hold threads here to see an interrupt that is in no table. */
export const IRQFD_INJECT: Point = { point: 'kvm/irqfd-inject' };

export class Irqfd implements EventFdListener, IrqBypassConsumer {
  readonly token: EventFdContext;
  readonly gsi: number;
  readonly #vm: KvmVm;
  #queued = false;

  constructor(vm: KvmVm, eventfd: EventFdContext, gsi: number) {
    this.#vm = vm;
    this.token = eventfd;
    this.gsi = gsi;
  }

  attach(): void {
    this.token.listen(this);
    // A connection that is refused leaves the irqfd as it is: interrupts come by software.
    this.#vm.irqBypass?.registerConsumer(this);
  }

  detach(): void {
    this.#vm.irqBypass?.unregisterConsumer(this);
    this.token.unlisten(this);
  }

  signalled(): void {
    this.token.drain();
    const route = this.#vm.route(this.gsi);
    if (route === undefined || this.#vm.injectCached(route.address, route.device ?? 0, route.data) || this.#queued) return;
    this.#queued = true;
    this.#vm.injectionQueued(1);
    this.#vm.host.scheduler.spawn('irqfd-inject', this.#inject());
  }

  closed(): void {
    this.#vm.deassignIrqfd(this.token, this.gsi);
  }

  /** The guest is halted while a producer comes or goes: no list register holds what is about to be forwarded. */
  stop(): void {
    for (const vcpu of this.#vm.vcpus) vcpu.exitGuest();
  }

  start(): void {
    for (const vcpu of this.#vm.vcpus) vcpu.enterGuest();
  }

  addProducer(producer: IrqBypassProducer): number {
    const route = this.#vm.route(this.gsi);
    if (route === undefined || !(producer.irq instanceof ItsIrq)) return 0;
    return setForwarding(this.#vm, producer.irq, route);
  }

  delProducer(producer: IrqBypassProducer): void {
    if (producer.irq instanceof ItsIrq) unsetForwarding(this.#vm, producer.irq, this.#vm.route(this.gsi));
  }

  *#inject(): Sleeps<void> {
    yield IRQFD_INJECT;
    this.#queued = false;
    const route = this.#vm.route(this.gsi);
    if (route !== undefined) this.#vm.injectMsi(route.address, route.data, route.device, route.device ?? 0);
    this.#vm.injectionQueued(-1);
  }
}
