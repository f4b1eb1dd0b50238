/**
 * An interrupt line of a platform device: hardware drives it, one handler takes it. Kernel: an irq_desc with a level or an edge flow.
 */
import type { Trigger } from '../fdt/interrupts.ts';

export class IrqLine {
  /** The Linux irq number. */
  readonly number: number;
  /** How it is wired; vfio-platform looks at the first open. */
  trigger: Trigger;
  #handler: (() => void) | undefined;
  #enabled = false;
  #asserted = false;
  /** An edge that came while the line was disabled. */
  #latched = false;

  constructor(number: number, trigger: Trigger) {
    this.number = number;
    this.trigger = trigger;
  }

  get isLevel(): boolean {
    return this.trigger === 'level-high' || this.trigger === 'level-low';
  }

  get asserted(): boolean {
    return this.#asserted;
  }

  // Hardware

  /** The device drives its line: a level, or each time an edge. */
  set(asserted: boolean): void {
    const edge = asserted && !this.#asserted;
    this.#asserted = asserted;
    if (edge) this.#fire();
  }

  // The driver

  /** request_irq() with IRQF_NO_AUTOEN, and free_irq(). False: somebody has it. */
  request(handler: () => void): boolean {
    if (this.#handler !== undefined) return false;
    this.#handler = handler;
    this.#enabled = false;
    this.#latched = false;
    return true;
  }

  free(): void {
    this.#handler = undefined;
    this.#enabled = false;
  }

  /** enable_irq(): a level that is up, or an edge that has come meanwhile, fires now. */
  enable(): void {
    if (this.#enabled) return;
    this.#enabled = true;
    if (this.isLevel ? this.#asserted : this.#latched) this.#fire();
  }

  disable(): void {
    this.#enabled = false;
  }

  #fire(): void {
    if (this.#handler === undefined) return;
    if (!this.#enabled) {
      this.#latched = true;
      return;
    }
    this.#latched = false;
    this.#handler();
  }
}
