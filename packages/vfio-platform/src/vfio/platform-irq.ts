/**
 * One interrupt of a platform device for user space. Kernel: vfio_platform_irq.c; catalogue: vfio 4.5.
 *
 * An edge is signalled each time. A level is masked by the kernel when it comes, until user space unmasks it.
 */
import { EBUSY, EINVAL, Virqfd, type EventFdContext, type VfioDevice } from '@vsim/vfio-core';
import type { IrqLine } from '../bus/irq-line.ts';

export class PlatformIrq {
  readonly #device: VfioDevice;
  readonly line: IrqLine;
  readonly maskable: boolean;
  #trigger: EventFdContext | undefined;
  #masked = false;
  readonly #virqfds = new Map<'mask' | 'unmask', Virqfd>();

  constructor(device: VfioDevice, line: IrqLine) {
    this.#device = device;
    this.line = line;
    this.maskable = line.isLevel;
  }

  get masked(): boolean {
    return this.#masked;
  }

  /** Installs an eventfd, or frees the line. A mask outlives it. @returns 0, or -EBUSY where the line is taken */
  setTrigger(trigger: EventFdContext | undefined): number {
    if (this.#trigger !== undefined) {
      this.line.free();
      this.#trigger = undefined;
    }
    if (trigger === undefined) return 0;
    if (!this.line.request(this.#device.handler('interrupt', () => { this.fire(); }))) return -EBUSY;
    this.#trigger = trigger;
    if (!this.#masked) this.line.enable();
    return 0;
  }

  get hasTrigger(): boolean {
    return this.#trigger !== undefined;
  }

  /**
   * The handler, also as loopback: a level masks itself, and is silent while it is masked.
   *
   * @returns false where there was nobody to tell: the kernel follows a NULL pointer
   */
  fire(): boolean {
    if (this.maskable) {
      if (this.#masked) return true;
      this.mask();
    }
    this.#trigger?.signal();
    return this.hasTrigger;
  }

  mask(): void {
    if (this.#masked) return;
    this.#masked = true;
    this.line.disable();
  }

  unmask(): void {
    if (!this.#masked) return;
    this.#masked = false;
    if (this.#trigger !== undefined) this.line.enable();
  }

  /** An eventfd of user space that masks or unmasks. @returns 0, -EINVAL, or -EBUSY if there is one */
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
    this.setTrigger(undefined);
    this.#masked = false;
  }
}
