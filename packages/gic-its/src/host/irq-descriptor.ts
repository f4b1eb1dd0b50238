/**
 * How often an interrupt is disabled: what decides whether its chip is told.
 *
 * Kernel: depth of struct irq_desc; __disable_irq(), __enable_irq(), irq_shutdown(). Chips here are not disabled lazily (IRQ_DISABLE_UNLAZY).
 */
export class IrqDescriptor {
  /** An interrupt is made disabled. */
  #depth = 1;
  #started = false;

  get disabled(): boolean {
    return this.#depth > 0;
  }

  /** irqd_is_started(): it was enabled once since it was requested. */
  get started(): boolean {
    return this.#started;
  }

  /** disable_irq_nosync(). @returns whether it was enabled: the chip masks it */
  disable(): boolean {
    this.#depth += 1;
    return this.#depth === 1;
  }

  /** enable_irq() until it is enabled, as vgic does. @returns whether it was disabled: the chip unmasks it */
  enable(): boolean {
    const disabled = this.disabled;
    this.#depth = 0;
    this.#started = true;
    return disabled;
  }

  /** free_irq(). @returns whether it was enabled: the chip masks it */
  shutDown(): boolean {
    const enabled = !this.disabled;
    this.#depth = 1;
    this.#started = false;
    return enabled;
  }
}
