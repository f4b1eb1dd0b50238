import { eventKind, type EventKind, removeItem } from '@vsim/vfio-core';

/** What firmware calls the line of a pin that is wired to nothing: linux/interrupt.h. */
export const IRQ_NOTCONNECTED = 0x8000_0000;

/** The line is up and no handler said that it was its device. */
export const INTX_UNHANDLED: EventKind<{ readonly irq: number; readonly source: string }> = eventKind(
  'pci/intx-unhandled',
  'warn',
  ({ irq, source }) => `irq ${irq}: raised by ${source}, nobody cared`,
);

/** request_irq() with IRQF_SHARED: true if the interrupt was the handler's device's. */
export type IntxHandler = () => boolean;

/** Who drives the line, and learns what became of it. */
export interface IntxSource {
  /** Who it is, for the event: a function's address. */
  readonly name: string;
  /** The line was raised by it, and no handler said that it was its device's: see INTX_UNHANDLED. @param irq Linux irq number */
  unhandled(irq: number): void;
}

/**
 * What an interrupt controller does with a line that is up already when its first handler comes: it fires, or the interrupt is missed until
 * the line is raised anew.
 */
export type EarlyLevel = 'fires' | 'missed';

/**
 * An interrupt line of the host: level-triggered, shared by the functions whose INTx pins are wired to it.
 *
 * Modelled: level, sharing, handlers that answer whether it was theirs. Not modelled: routing through link devices, affinity, the kernel's
 * switching off of a line that nobody handles.
 */
export class IntxLine {
  /** Linux irq number. */
  readonly irq: number;
  readonly #earlyLevel: EarlyLevel;
  readonly #handlers: IntxHandler[] = [];
  readonly #asserting = new Set<IntxSource>();
  /** disable_irq() calls that no enable_irq() has answered. */
  #disabled = 0;
  /** Its handler shares it with nobody. */
  #exclusive = false;

  /** @param irq Linux irq number @param earlyLevel what becomes of a line that is up before its first handler comes */
  constructor(irq: number, earlyLevel: EarlyLevel = 'fires') {
    this.irq = irq;
    this.#earlyLevel = earlyLevel;
  }

  /** Whether somebody drives it. */
  get level(): boolean {
    return this.#asserting.size > 0;
  }

  /**
   * request_irq().
   *
   * @param exclusive it fails while the line has another handler, and keeps others away
   * @param disabled the line stays off until enable(): IRQF_NO_AUTOEN
   * @returns false where the line is somebody else's alone, or cannot be this handler's alone
   */
  request(handler: IntxHandler, exclusive = false, disabled = false): boolean {
    if (this.#exclusive || (exclusive && this.#handlers.length > 0)) return false;
    this.#exclusive = exclusive;
    this.#handlers.push(handler);
    if (disabled) this.#disabled += 1;
    if (this.level && this.#earlyLevel === 'fires') this.#run(undefined);
    return true;
  }

  /** free_irq(). The last handler takes along what disabled the line. */
  free(handler: IntxHandler): void {
    removeItem(this.#handlers, handler);
    if (this.#handlers.length > 0) return;
    this.#disabled = 0;
    this.#exclusive = false;
  }

  /** disable_irq_nosync(): nested calls count. */
  disable(): void {
    this.#disabled += 1;
  }

  /** enable_irq(): the last one lets an interrupt in that is still up. */
  enable(): void {
    if (this.#disabled === 0) return;
    this.#disabled -= 1;
    if (this.level) this.#run(undefined);
  }

  /** A function's pin goes up: the handlers run once. */
  raise(source: IntxSource): void {
    if (this.#asserting.has(source)) return;
    this.#asserting.add(source);
    this.#run(source);
  }

  /** A function's pin goes down; the line stays up while another drives it. */
  lower(source: IntxSource): void {
    this.#asserting.delete(source);
  }

  #run(source: IntxSource | undefined): void {
    if (this.#disabled > 0) return;
    let handled = false;
    // A handler may free itself.
    for (const handler of [...this.#handlers]) if (handler()) handled = true;
    if (!handled && this.#handlers.length > 0) source?.unhandled(this.irq);
  }
}
