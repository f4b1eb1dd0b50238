import { EAGAIN, EBUSY, EINVAL, WaitQueue, type EventFdContext, type Refusals, type Sleeps } from '@vsim/vfio-core';
import { END_NOT_TOLD, type EndNotToldEvent } from './events.ts';
import { isMsiRoute, type GsiRoute } from './gsi-routing.ts';
import { Irqfd, type IrqfdVm } from './irqfd.ts';
import { IRQFD_REFUSED, NOT_INITIALISED } from './vm-reasons.ts';
import { KVM_IRQFD_FLAG_DEASSIGN, KVM_IRQFD_FLAG_RESAMPLE } from './uapi.ts';

const FIRST_SPI = 32;
const FLAGS = KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE;

/** A VM as KVM_IRQFD knows it: the GIC whose lines are raised. */
interface IrqchipVm extends IrqfdVm {
  readonly refusals: Refusals;
  readonly vgic: {
    readonly initialized: boolean;
    inject(vcpu: undefined, intid: number, level: boolean): number;
    isEdge(intid: number): boolean;
    isRaised(intid: number): boolean;
  } | undefined;
}

/**
 * The irqfds of a VM and where its GSIs lead; the levels of those that are pins of the GIC, and their resamplers.
 *
 * Kernel: virt/kvm/eventfd.c, virt/kvm/irqchip.c, arch/arm64/kvm/vgic/vgic-irqfd.c.
 */
export class Irqfds {
  readonly #vm: IrqchipVm;
  readonly #irqfds: Irqfd[] = [];
  #routes = new Map<number, GsiRoute>();
  #injecting = 0;
  readonly #drained = new WaitQueue('irqfd work');

  constructor(vm: IrqchipVm) {
    this.#vm = vm;
  }

  /** As KvmVm.setRouting(). */
  setRouting(routes: readonly GsiRoute[]): void {
    const old = this.#routes;
    this.#routes = new Map();
    for (const route of routes) this.#routes.set(route.gsi, route);
    for (const irqfd of this.#irqfds) irqfd.rerouted(old.get(irqfd.gsi), this.#routes.get(irqfd.gsi));
  }

  route(gsi: number): GsiRoute | undefined {
    return this.#routes.get(gsi);
  }

  /**
   * The first checks of KVM_IRQFD.
   *
   * @param flags KVM_IRQFD_FLAG_*
   * @param gsi the GSI, for the reason
   * @returns 0; -EINVAL for unknown flags; -EAGAIN for a new one before the vgic is initialised
   */
  check(flags: number, gsi: number): number {
    const { refusals, vgic } = this.#vm;
    if ((flags & ~FLAGS) !== 0) return refusals.refuse(IRQFD_REFUSED, { gsi, flags });
    if ((flags & KVM_IRQFD_FLAG_DEASSIGN) !== 0 || vgic?.initialized === true) return 0;
    return refusals.refuse(NOT_INITIALISED, { what: 'KVM_IRQFD' }, EAGAIN);
  }

  /** As KvmVm.irqfd(). @param gsi below 4096 @param flags KVM_IRQFD_FLAG_* */
  assign(eventfd: EventFdContext, gsi: number, flags: number, resample: EventFdContext | undefined): number {
    const error = this.check(flags, gsi);
    if (error < 0) return error;
    if ((flags & KVM_IRQFD_FLAG_DEASSIGN) !== 0) return this.deassign(eventfd, gsi);
    const here = this.#irqfds.some((other) => other.token === eventfd);
    if (here || (this.#vm.profile.oneIrqfdPerEventfd && eventfd.hasPriorityListener)) {
      // Its resampler was there for a moment.
      if (resample !== undefined) this.#resamplerGone(gsi);
      return this.#vm.refusals.refuse(IRQFD_REFUSED, { gsi, flags }, EBUSY);
    }
    const irqfd = new Irqfd(this.#vm, eventfd, gsi, resample);
    this.#irqfds.push(irqfd);
    irqfd.attach();
    return 0;
  }

  /** As KvmVm.deassignIrqfd(). @param gsi below 4096 */
  deassign(eventfd: EventFdContext, gsi: number): number {
    const at = this.#irqfds.findIndex((irqfd) => irqfd.token === eventfd && irqfd.gsi === gsi);
    const [irqfd] = at < 0 ? [] : this.#irqfds.splice(at, 1);
    irqfd?.detach();
    if (irqfd?.resample !== undefined) this.#resamplerGone(gsi);
    return 0;
  }

  /** The VM's own fd is closed: its irqfds go, whoever else holds the VM. Kernel: kvm_irqfd_release() */
  release(): void {
    for (const irqfd of [...this.#irqfds]) this.deassign(irqfd.token, irqfd.gsi);
  }

  /** The level of a pin of the GIC: an SPI. @param pin INTID less 32 @returns 0, or -EINVAL for one that there is not */
  injectPin(pin: number, level: boolean): number {
    return this.#vm.vgic?.inject(undefined, FIRST_SPI + pin, level) ?? -EINVAL;
  }

  /** An irqfd raises a pin. @param pin INTID less 32 */
  raise(pin: number, resampled: boolean): void {
    this.injectPin(pin, true);
    if (resampled && this.#vm.vgic?.isEdge(FIRST_SPI + pin) === true) this.#tell(FIRST_SPI + pin, 'edge');
  }

  /**
   * The guest has ended a level-sensitive SPI: lines that are resampled fall, and who raised them is told. Kernel: irqfd_resampler_ack()
   *
   * @param intid 32 or more
   */
  acknowledged(intid: number): void {
    const gsi = this.#resampledGsi(intid);
    if (gsi === undefined) return;
    this.injectPin(intid - FIRST_SPI, false);
    for (const irqfd of this.#irqfds) if (irqfd.gsi === gsi) irqfd.resample?.signal();
  }

  /** The guest has ended one, and the kernel has not seen that it was active. @param intid 32 or more */
  endUnseen(intid: number): void {
    if (this.#resampledGsi(intid) !== undefined) this.#tell(intid, 'unseen');
  }

  /** User space has lowered lines by LEVEL_INFO: bits of INTIDs from `first` on. @param lines 32 bits */
  overwritten(first: number, lines: number): void {
    for (let n = 0; n < 32; n += 1) if ((lines & (1 << n)) !== 0 && this.#resampledGsi(first + n) !== undefined) this.#tell(first + n, 'level-info');
  }

  /** The last resampler of a GSI lowers its line. Kernel: irqfd_resampler_shutdown() */
  #resamplerGone(gsi: number): void {
    const route = this.#routes.get(gsi);
    if (route === undefined || isMsiRoute(route) || this.#irqfds.some((other) => other.resample !== undefined && other.gsi === gsi)) return;
    if (this.#vm.vgic?.isRaised(FIRST_SPI + route.pin) === true) this.#tell(FIRST_SPI + route.pin, 'deassign');
    this.injectPin(route.pin, false);
  }

  /** The GSI of an SPI, if it has a resampler; of several GSIs with one pin the last. Kernel: kvm_irq_map_chip_pin() */
  #resampledGsi(intid: number): number | undefined {
    if (this.#irqfds.every(({ resample }) => resample === undefined)) return undefined;
    const gsi = [...this.#routes.values()].findLast((route) => !isMsiRoute(route) && route.pin === intid - FIRST_SPI)?.gsi;
    return this.#irqfds.some((irqfd) => irqfd.resample !== undefined && irqfd.gsi === gsi) ? gsi : undefined;
  }

  #tell(intid: number, because: EndNotToldEvent['because']): void {
    if (this.#vm.trace.on) this.#vm.trace.emit(END_NOT_TOLD, { intid, because });
  }

  /** An irqfd's work item is queued, or done. */
  injectionQueued(count: 1 | -1): void {
    this.#injecting += count;
    if (this.#injecting === 0) this.#drained.wake();
  }

  get pendingInjections(): number {
    return this.#injecting;
  }

  *drain(): Sleeps<void> {
    yield* this.#drained.wait(this.#vm.host.scheduler, () => this.#injecting === 0);
  }
}
