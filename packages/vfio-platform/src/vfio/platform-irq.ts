import { EBUSY, EINVAL, Virqfd, type EventFdContext, type VfioDevice } from '@vsim/vfio-core';
import type { IrqLine } from '../bus/irq-line.ts';

/**
 * One interrupt of a platform device for user space. Kernel: vfio_platform_irq.c.
 *
 * An edge is signalled each time. A level is masked by the kernel when it comes, until user space unmasks it. The interrupt is requested at
 * the first open, and enabled while there is an eventfd; before 6.9, and the stable kernels of 2024, it was requested for each eventfd.
 */
export class PlatformIrq {
  readonly #device: VfioDevice;
  /** What the kernel calls the device in /proc/interrupts. */
  readonly #owner: string;
  readonly #keepsHandler: boolean;
  /** The line that it is signalled by. */
  readonly line: IrqLine;
  /** A level: VFIO_IRQ_INFO_MASKABLE and AUTOMASKED. */
  readonly maskable: boolean;
  #trigger: EventFdContext | undefined;
  #masked = false;
  #unlist: (() => void) | undefined;
  readonly #virqfds = new Map<'mask' | 'unmask', Virqfd>();
  /** What request_irq() answered at the open: as long as the device is open, every SET_IRQS answers a failure. */
  readonly error: number;

  constructor(device: VfioDevice, line: IrqLine, owner: string) {
    this.#device = device;
    this.#owner = owner;
    this.#keepsHandler = device.device.host.profile.platformKeepsHandlers;
    this.line = line;
    this.maskable = line.isLevel;
    this.error = this.#keepsHandler ? this.#request() : 0;
  }

  /** By user space, or by the handler of a level that came. */
  get masked(): boolean {
    return this.#masked;
  }

  /** Installs an eventfd, or takes it away. A mask outlives it. @returns 0, or what request_irq() answers where each eventfd asks */
  setTrigger(trigger: EventFdContext | undefined): number {
    if (this.#trigger !== undefined) {
      this.#trigger = undefined;
      if (this.#keepsHandler) this.line.disable();
      else this.#free();
    }
    if (trigger === undefined) return 0;
    const error = this.#keepsHandler ? 0 : this.#request();
    if (error < 0) return error;
    this.#trigger = trigger;
    // A handler that is kept has its own count of masks.
    if (this.#keepsHandler || !this.#masked) this.line.enable();
    return 0;
  }

  /** Whether it has an eventfd. */
  get hasTrigger(): boolean {
    return this.#trigger !== undefined;
  }

  /**
   * The handler, also as loopback: a level masks itself, and is silent while it is masked.
   *
   * @returns false where there was nobody to tell: a kernel that does not look follows a NULL pointer
   */
  fire(): boolean {
    if (this.maskable) {
      if (this.#masked) return true;
      this.mask();
    }
    this.#trigger?.signal();
    return this.hasTrigger;
  }

  /** Masks the line once; does nothing while it is masked. */
  mask(): void {
    if (this.#masked) return;
    this.#masked = true;
    this.line.disable();
  }

  /** Undoes mask(): a level that is still up comes at once. */
  unmask(): void {
    if (!this.#masked) return;
    this.#masked = false;
    this.line.enable();
  }

  /** An eventfd of user space that masks or unmasks; undefined takes it away. @returns 0; -EINVAL for an edge; -EBUSY if there is one */
  setVirqfd(which: 'mask' | 'unmask', eventfd: EventFdContext | undefined): number {
    if (!this.maskable) return -EINVAL;
    if (eventfd === undefined) {
      this.#virqfds.get(which)?.disable();
      this.#virqfds.delete(which);
      return 0;
    }
    if (this.#virqfds.has(which)) return -EBUSY;
    const act = which === 'mask' ? () => { this.mask(); } : () => { this.unmask(); };
    this.#virqfds.set(which, new Virqfd(this.#device, eventfd, act, () => this.#virqfds.delete(which)));
    return 0;
  }

  /** The last close. */
  release(): void {
    this.setVirqfd('mask', undefined);
    this.setVirqfd('unmask', undefined);
    this.#trigger = undefined;
    this.#free();
    this.#masked = false;
  }

  #request(): number {
    const { line } = this;
    const error = line.request(this.#device.handler('interrupt', () => { this.fire(); }));
    if (error < 0) return error;
    const { number: hardware, irq = hardware } = line;
    this.#unlist = this.#device.device.host.interrupts.add({ irq, controller: 'GICv3', hardware, level: line.isLevel, name: `vfio-irq[${irq}](${this.#owner})` });
    return 0;
  }

  #free(): void {
    if (this.#unlist === undefined) return;
    this.#unlist();
    this.#unlist = undefined;
    this.line.free();
  }
}
