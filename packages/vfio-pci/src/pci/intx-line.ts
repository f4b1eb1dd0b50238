/**
 * An interrupt line of the host: level-triggered, shared by the functions whose INTx pins are wired to it.
 *
 * Modelled: level, sharing, handlers that answer whether it was theirs. Not modelled: routing through link devices, affinity, the
 * kernel's switching off of a line that nobody handles.
 */
import { eventKind, type EventKind } from '@vsim/vfio-core';

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
  readonly name: string;
  unhandled(irq: number): void;
}

/** What an interrupt controller does with a line that is up already when its first handler comes. */
export type EarlyLevel = 'fires' | 'missed';

export class IntxLine {
  /** Linux irq number. */
  readonly irq: number;
  readonly #earlyLevel: EarlyLevel;
  readonly #handlers: IntxHandler[] = [];
  readonly #asserting = new Set<IntxSource>();
  /** The only handler, which will not share. */
  #owner: IntxHandler | undefined;
  #enabled = true;

  constructor(irq: number, earlyLevel: EarlyLevel = 'fires') {
    this.irq = irq;
    this.#earlyLevel = earlyLevel;
  }

  get level(): boolean {
    return this.#asserting.size > 0;
  }

  /** request_irq(). It fails while the line has another handler, if either of them is `exclusive`. */
  request(handler: IntxHandler, exclusive = false): boolean {
    if (this.#owner !== undefined || (exclusive && this.#handlers.length > 0)) return false;
    if (exclusive) this.#owner = handler;
    this.#enabled = true;
    this.#handlers.push(handler);
    if (this.level && this.#earlyLevel === 'fires') this.#run(undefined);
    return true;
  }

  /** disable_irq(), by the owner of a line that is not shared. */
  disable(): void {
    this.#enabled = false;
  }

  /** enable_irq(): a line that is up fires. */
  enable(): void {
    if (this.#enabled) return;
    this.#enabled = true;
    if (this.level) this.#run(undefined);
  }

  /** free_irq(). */
  free(handler: IntxHandler): void {
    const at = this.#handlers.indexOf(handler);
    if (at >= 0) this.#handlers.splice(at, 1);
    if (this.#owner === handler) this.#owner = undefined;
  }

  /** A function's pin goes up: the handlers run once. */
  raise(source: IntxSource): void {
    if (this.#asserting.has(source)) return;
    this.#asserting.add(source);
    this.#run(source);
  }

  lower(source: IntxSource): void {
    this.#asserting.delete(source);
  }

  #run(source: IntxSource | undefined): void {
    if (!this.#enabled) return;
    let handled = false;
    // A handler may free itself.
    for (const handler of [...this.#handlers]) if (handler()) handled = true;
    if (!handled && this.#handlers.length > 0) source?.unhandled(this.irq);
  }
}
