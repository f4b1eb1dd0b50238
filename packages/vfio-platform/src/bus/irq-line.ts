import { EBUSY, EINVAL, eventKind, type EventKind, type Host, type Work } from '@vsim/vfio-core';
import { TRIGGER_NAMES, type Trigger } from '../fdt/interrupts.ts';

/** A level that nobody takes down is unmasked each time it comes, by an eventfd that is its trigger as well: the CPU does nothing else any more. */
export const INTERRUPT_STORM: EventKind<{ readonly intid: number; readonly times: number }> = eventKind(
  'vfio-platform/interrupt-storm',
  'bug',
  ({ intid, times }) => `interrupt ${intid} has come ${times} times without end: a kernel hangs`,
);
/** So many times in a row are no accident. */
const STORM = 1000;

/**
 * An interrupt of a platform device: a line into the distributor of a GIC, and what Linux keeps for it. One handler takes it.
 *
 * The distributor latches what comes while it has the interrupt off. Linux disables lazily: the interrupt stays on in the distributor until
 * it comes once more; then it is noted, and turned off. An edge that was noted is sent again when the interrupt is enabled, a level shows by
 * itself. Kernel: irq_desc, handle_fasteoi_irq(), check_irq_resend(); Arm GIC architecture, 4.
 *
 * Not modelled: sharing, threads of handlers, priorities, affinity.
 */
export class IrqLine implements Work {
  /** INTID on the GIC, as DeviceInterrupt.intid: an SPI mostly. */
  readonly number: number;
  #trigger: Trigger;
  /** The Linux irq number, since a node that describes it was looked at: what the next one says has to agree. */
  #irq: number | undefined;
  /** It is the parent of another interrupt controller, whose driver takes it by itself. */
  #chained = false;
  #handler: (() => void) | undefined;
  #asserted = false;
  /** The distributor's pending bit, besides a level that is up. */
  #latched = false;
  /** The distributor has it on. */
  #on = false;
  /** How often it was disabled, less how often enabled. */
  #depth = 1;
  /** It came while it was disabled: IRQS_PENDING. */
  #noted = false;
  #host: Host | undefined;
  /** How often it was taken in one go. */
  #taken = 0;

  /**
   * @param number its INTID: an SPI from 32 to 1019, an extended one from 4096 on, or what else the tree names
   * @param trigger how it is triggered until a node says otherwise; `none` leaves it to the first node
   * @throws RangeError for a trigger that there is not
   */
  constructor(number: number, trigger: Trigger) {
    if (!TRIGGER_NAMES.includes(trigger)) throw new RangeError(`"trigger" expected one of ${TRIGGER_NAMES.join(', ')}, got ${trigger}`);
    this.number = number;
    this.#trigger = trigger;
  }

  /** How it is triggered: as the first node says that was looked at. */
  get trigger(): Trigger {
    return this.#trigger;
  }

  /** Whether it is level-triggered, high or low; edges and `none` are not. */
  get isLevel(): boolean {
    return this.#trigger === 'level-high' || this.#trigger === 'level-low';
  }

  // Hardware

  /** The level that the device drives now, whatever the distributor makes of it. */
  get asserted(): boolean {
    return this.#asserted;
  }

  /** The pending bit of the distributor, as GICD_ISPENDR reads it. */
  get pending(): boolean {
    return this.#latched || (this.isLevel && this.#asserted);
  }

  /** The device drives its line: a level, or each time that it rises an edge. */
  set(asserted: boolean): void {
    const edge = asserted && !this.#asserted;
    this.#asserted = asserted;
    if (edge && !this.isLevel) this.#latched = true;
    if (edge) this.#deliver();
  }

  /** A write to GICD_ISPENDR: pending until it is taken once, whatever the line does. */
  setPending(): void {
    this.#latched = true;
    this.#deliver();
  }

  // The kernel

  /**
   * irq_create_fwspec_mapping(): whether a node that describes it so gets it. The first one decides how it is triggered.
   *
   * @returns false where this node says another trigger than the first
   */
  map(trigger: Trigger, host: Host): boolean {
    if (this.#irq !== undefined && this.#trigger !== 'none') return trigger === this.#trigger || trigger === 'none';
    this.#host = host;
    this.#irq ??= host.interrupts.allocate();
    this.#trigger = trigger;
    return true;
  }

  /** The Linux irq number; undefined as long as no node that describes it was looked at. */
  get irq(): number | undefined {
    return this.#irq;
  }

  /** irq_set_chained_handler(): from here on nobody can request it, also when that driver has left. */
  chain(): void {
    this.#chained = true;
  }

  /** request_irq() with IRQF_NO_AUTOEN. @returns 0, -EBUSY where somebody has it, -EINVAL where it is chained or its trigger none that the GIC's SPIs know */
  request(handler: () => void): number {
    if (this.#chained || this.#trigger === 'level-low' || this.#trigger === 'edge-falling') return -EINVAL;
    if (this.#handler !== undefined) return -EBUSY;
    this.#handler = handler;
    this.#depth = 1;
    return 0;
  }

  /** free_irq(): the interrupt is off. What was noted, or is pending, stays for the next one. */
  free(): void {
    this.#handler = undefined;
    this.#on = false;
    this.#depth = 1;
  }

  /** enable_irq(): with the last one, what is pending comes now. */
  enable(): void {
    this.#depth -= 1;
    if (this.#depth > 0) return;
    this.#on = true;
    if (this.#noted && !this.isLevel) this.#latched = true;
    this.#noted = false;
    this.#deliver();
  }

  /** disable_irq_nosync() */
  disable(): void {
    this.#depth += 1;
  }

  /** At once, or behind the work that is being done, as its interrupts are off. */
  #deliver(): void {
    if (!this.#on || !this.pending) return;
    if (this.#host?.work.busy !== true) this.#taken = 0;
    if (this.#host === undefined) this.work();
    else this.#host.work.run(this);
  }

  /** The interrupt is taken: its latch is empty then, and a level that stays up comes again unless it is disabled. */
  work(): void {
    while (this.#on && this.pending) {
      this.#latched = false;
      if (this.#depth > 0 || this.#handler === undefined) {
        this.#noted = true;
        this.#on = false;
        break;
      }
      this.#taken += 1;
      if (this.#taken === STORM) this.#host?.trace.emit(INTERRUPT_STORM, { intid: this.number, times: STORM });
      this.#handler();
      if (this.#depth === 0) break;
    }
  }
}
