import { EBUSY } from '../uapi/errno.ts';
import type { EventFdContext } from './event-fd.ts';
import type { HostIrq } from './msi.ts';

/** Who produces an interrupt: a vector of a VFIO device. Kernel: struct irq_bypass_producer. */
export interface IrqBypassProducer {
  /** The eventfd that it signals. */
  readonly token: EventFdContext;
  /** The host interrupt whose delivery can be moved. */
  readonly irq: HostIrq;
  /** Enters whom the producer belongs to, which has to be there still. */
  readonly enter?: (operation: string) => void;
  /** Told before its consumer, and may refuse. @returns 0 or a negative errno */
  addConsumer?(consumer: IrqBypassConsumer): number;
  /** Told when they part, or when its consumer has refused. */
  delConsumer?(consumer: IrqBypassConsumer): void;
  /** Called before a connection changes. */
  stop?(): void;
  /** Called behind a change of the connection. */
  start?(): void;
}

/** Who can deliver an interrupt without the host's help: an irqfd of KVM. Kernel: struct irq_bypass_consumer. */
export interface IrqBypassConsumer {
  /** The eventfd that it listens to. */
  readonly token: EventFdContext;
  /** Takes the interrupt over. @returns 0, or a negative errno to refuse */
  addProducer(producer: IrqBypassProducer): number;
  /** Gives the interrupt back to the host. */
  delProducer(producer: IrqBypassProducer): void;
  /** Called before a connection changes. */
  stop?(): void;
  /** Called behind a change of the connection. */
  start?(): void;
}

/**
 * irqbypass: brings together who produces an interrupt (a VFIO device) and who can deliver it without the host's help (KVM), by a shared
 * token: the eventfd that both were given. At most one of each to a token. Kernel: virt/lib/irqbypass.c.
 */
export class IrqBypassManager {
  readonly #producers = new Map<EventFdContext, IrqBypassProducer>();
  readonly #consumers = new Map<EventFdContext, IrqBypassConsumer>();
  /** Producers whose consumer took them. */
  readonly #linked = new Set<IrqBypassProducer>();

  /** irq_bypass_register_producer(). @returns 0; -EBUSY if the token has a producer already; or what a side answered to being connected */
  registerProducer(producer: IrqBypassProducer): number {
    if (this.#producers.has(producer.token)) return -EBUSY;
    const consumer = this.#consumers.get(producer.token);
    const error = consumer === undefined ? 0 : this.#connect(producer, consumer);
    if (error === 0) this.#producers.set(producer.token, producer);
    return error;
  }

  /** irq_bypass_register_consumer(). @returns 0; -EBUSY if the token has a consumer already; or what a side answered to being connected */
  registerConsumer(consumer: IrqBypassConsumer): number {
    if (this.#consumers.has(consumer.token)) return -EBUSY;
    const producer = this.#producers.get(consumer.token);
    const error = producer === undefined ? 0 : this.#connect(producer, consumer);
    if (error === 0) this.#consumers.set(consumer.token, consumer);
    return error;
  }

  /** irq_bypass_unregister_producer(): parts it from its consumer. One that is not registered: nothing happens. */
  unregisterProducer(producer: IrqBypassProducer): void {
    if (this.#producers.get(producer.token) !== producer) return;
    this.#disconnect(producer);
    this.#producers.delete(producer.token);
  }

  /** irq_bypass_unregister_consumer(): parts it from its producer. One that is not registered: nothing happens. */
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
