/**
 * irqbypass: brings together who produces an interrupt (a VFIO device) and who can deliver it without the
 * host's help (KVM), by a shared token: the eventfd that both were given. Kernel: virt/lib/irqbypass.c.
 */
import { EBUSY } from '../uapi/errno.ts';
import type { EventFdContext } from './event-fd.ts';
import type { HostIrq } from './msi.ts';

/** Kernel: struct irq_bypass_producer. */
export interface IrqBypassProducer {
  readonly token: EventFdContext;
  /** The host interrupt whose delivery can be moved. */
  readonly irq: HostIrq;
  /** Enters whom the producer belongs to, which has to be there still. */
  readonly enter?: (operation: string) => void;
  /** Told before its consumer, and may refuse with an errno. */
  addConsumer?(consumer: IrqBypassConsumer): number;
  delConsumer?(consumer: IrqBypassConsumer): void;
  stop?(): void;
  start?(): void;
}

/** Kernel: struct irq_bypass_consumer. */
export interface IrqBypassConsumer {
  readonly token: EventFdContext;
  /** Takes the interrupt over, or refuses with an errno. */
  addProducer(producer: IrqBypassProducer): number;
  delProducer(producer: IrqBypassProducer): void;
  stop?(): void;
  start?(): void;
}

/** Matches producers and consumers, at most one each to a token. */
export class IrqBypassManager {
  readonly #producers = new Map<EventFdContext, IrqBypassProducer>();
  readonly #consumers = new Map<EventFdContext, IrqBypassConsumer>();
  /** Producers whose consumer took them. */
  readonly #linked = new Set<IrqBypassProducer>();

  /** @returns 0; -EBUSY if the token has a producer already; or what a side answered to being connected. */
  registerProducer(producer: IrqBypassProducer): number {
    if (this.#producers.has(producer.token)) return -EBUSY;
    const consumer = this.#consumers.get(producer.token);
    const error = consumer === undefined ? 0 : this.#connect(producer, consumer);
    if (error === 0) this.#producers.set(producer.token, producer);
    return error;
  }

  /** @returns as registerProducer(). */
  registerConsumer(consumer: IrqBypassConsumer): number {
    if (this.#consumers.has(consumer.token)) return -EBUSY;
    const producer = this.#producers.get(consumer.token);
    const error = producer === undefined ? 0 : this.#connect(producer, consumer);
    if (error === 0) this.#consumers.set(consumer.token, consumer);
    return error;
  }

  unregisterProducer(producer: IrqBypassProducer): void {
    if (this.#producers.get(producer.token) !== producer) return;
    this.#disconnect(producer);
    this.#producers.delete(producer.token);
  }

  unregisterConsumer(consumer: IrqBypassConsumer): void {
    if (this.#consumers.get(consumer.token) !== consumer) return;
    const producer = this.#producers.get(consumer.token);
    if (producer !== undefined) this.#disconnect(producer);
    this.#consumers.delete(consumer.token);
  }

  /** Both sides stopped, producer told first and taken back if the consumer refuses, both started again. */
  #connect(producer: IrqBypassProducer, consumer: IrqBypassConsumer): number {
    producer.enter?.('irq bypass');
    producer.stop?.();
    consumer.stop?.();
    let error = producer.addConsumer?.(consumer) ?? 0;
    if (error === 0) {
      error = consumer.addProducer(producer);
      if (error !== 0) producer.delConsumer?.(consumer);
    }
    consumer.start?.();
    producer.start?.();
    if (error === 0) this.#linked.add(producer);
    return error;
  }

  #disconnect(producer: IrqBypassProducer): void {
    const consumer = this.#consumers.get(producer.token);
    if (consumer === undefined || !this.#linked.delete(producer)) return;
    producer.enter?.('irq bypass');
    producer.stop?.();
    consumer.stop?.();
    consumer.delProducer(producer);
    producer.delConsumer?.(consumer);
    consumer.start?.();
    producer.start?.();
  }
}
