import {
  ERANGE,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_PCI_MSIX_IRQ_INDEX,
  eventKind,
  type EventFdContext,
  type EventKind,
  type HostIrq,
  type IrqBypassProducer,
  type IrqSet,
  type Process,
} from '@vsim/vfio-core';
import { addVectors, allocateVectors, canAddVectors, freeVectors, maskVector, type VectorKind } from '../bus/irq-vectors.ts';
import { PCI_COMMAND } from '../pci/registers.ts';
import { fdOf } from './irq-intx.ts';
import type { IrqOwner } from './irq-owner.ts';
import { listVector } from './irq-rows.ts';
import { IRQ_COUNT, IRQ_KIND } from './vfio-pci-reasons.ts';

/** irqbypass did not take a producer: the interrupt is delivered by the host, which is only slower. */
export const BYPASS_REFUSED: EventKind<{ readonly device: string; readonly vector: number; readonly error: number }> = eventKind(
  'vfio-pci/bypass-refused',
  'info',
  ({ device, vector, error }) => `${device}: irq bypass producer for vector ${vector} refused: ${error}`,
);

interface Vector {
  readonly irq: HostIrq;
  readonly trigger: EventFdContext;
  /** What irqbypass took; undefined if it refused. */
  readonly producer: IrqBypassProducer | undefined;
  /** Takes it out of /proc/interrupts. */
  readonly unlist: () => void;
}

/**
 * MSI and MSI-X vectors given to eventfds. Kernel: vfio_pci_intrs.c.
 *
 * Each vector with an eventfd is an irqbypass producer, so that KVM may take the interrupt over.
 */
export class MessageIrqs {
  readonly #owner: IrqOwner;
  /** As many as were enabled; undefined has no eventfd. */
  #vectors: (Vector | undefined)[] = [];

  constructor(owner: IrqOwner) {
    this.#owner = owner;
  }

  /** Vectors of MSI as log2, rounded up; undefined while MSI is not in use. */
  get queueSize(): number | undefined {
    return this.#owner.irqKind === 'msi' ? Math.ceil(Math.log2(this.#vectors.length)) : undefined;
  }

  /** ACTION_TRIGGER of either index. */
  setTrigger(process: Process, set: IrqSet): number {
    const kind: VectorKind = set.index === VFIO_PCI_MSIX_IRQ_INDEX ? 'msix' : 'msi';
    const active = this.#owner.irqKind === kind;
    if (active && set.count === 0 && set.dataType === VFIO_IRQ_SET_DATA_NONE) {
      this.disable();
      return 0;
    }
    if (!active && this.#owner.irqKind !== 'none') return this.#otherKind(set);
    if (set.dataType === VFIO_IRQ_SET_DATA_EVENTFD) {
      if (active) return this.#setBlock(process, set);
      const error = this.#enable(kind, set);
      if (error !== 0) return error;
      const failed = this.#setBlock(process, set);
      if (failed !== 0) this.disable();
      return failed;
    }
    // Where vectors come and go, one that is not there is passed over.
    const anyIndex = canAddVectors(this.#owner.device);
    if (!active) return this.#otherKind(set);
    if (!anyIndex && set.start + set.count > this.#vectors.length) return this.#tooMany(set);
    for (let i = 0; i < set.count; i += 1) {
      if (set.dataType === VFIO_IRQ_SET_DATA_NONE || set.data[i] !== 0) this.#vectors[set.start + i]?.trigger.signal();
    }
    return 0;
  }

  disable(): void {
    this.#vectors.forEach((_, vector) => this.#clear(vector));
    this.#vectors = [];
    this.#owner.irqKind = 'none';
    this.#keepCommand(() => freeVectors(this.#owner.device, this.#owner.device.bus.msi));
  }

  /** @returns 0, -ERANGE for none, or how many vectors there would have been */
  #enable(kind: VectorKind, set: IrqSet): number {
    const count = set.start + set.count;
    if (count === 0) return this.#tooMany(set, ERANGE);
    const { device } = this.#owner;
    const got = this.#keepCommand(() => allocateVectors(device, device.bus.msi, kind, count));
    if (got < count) return got;
    this.#owner.irqKind = kind;
    this.#vectors = new Array<Vector | undefined>(count).fill(undefined);
    return 0;
  }

  /**
   * Memory decoding is forced on while the table is written, and COMMAND then put back as it was: so INTx keeps the mask that it had,
   * whatever the PCI core did to it.
   */
  #keepCommand<T>(change: () => T): T {
    const fn = this.#owner.device.function;
    const { command } = fn;
    const out = change();
    if (fn.command !== command) fn.configWrite(PCI_COMMAND, 2, command);
    return out;
  }

  /** All or none of a block; what fails takes down the vectors of the block that were done before. */
  #setBlock(process: Process, set: IrqSet): number {
    const { device } = this.#owner;
    const dynamic = this.#owner.irqKind === 'msix' && canAddVectors(device);
    if (set.start + set.count > this.#vectors.length) {
      if (!dynamic) return this.#tooMany(set);
      addVectors(device, device.bus.msi, set.start + set.count);
      while (this.#vectors.length < set.start + set.count) this.#vectors.push(undefined);
    }
    for (let i = 0; i < set.count; i += 1) {
      const error = this.#setVector(process, set, i);
      if (error === 0) continue;
      for (let undo = i - 1; undo >= 0; undo -= 1) this.#clear(set.start + undo);
      return error;
    }
    return 0;
  }

  #setVector(process: Process, set: IrqSet, i: number): number {
    const vector = set.start + i;
    const fd = fdOf(set, i);
    const { device, bypass } = this.#owner;
    this.#clear(vector);
    if (fd < 0) return 0;
    const trigger = process.eventFdContext(fd);
    if (typeof trigger === 'number') return trigger;
    const irq = device.irqVectors[vector];
    if (irq === undefined) return this.#tooMany(set);
    irq.setHandler(this.#owner.handler('interrupt', () => { trigger.signal(); }));
    const producer: IrqBypassProducer = { token: trigger, irq, enter: (operation) => { this.#owner.enter(operation); } };
    maskVector(device, vector, false);
    const error = bypass?.registerProducer(producer) ?? 0;
    // KVM's ITS answers with a code of its own, above zero, for an event that is not mapped.
    if (error !== 0) device.host.trace.emit(BYPASS_REFUSED, { device: device.name, vector, error });
    this.#vectors[vector] = { irq, trigger, producer: error === 0 ? producer : undefined, unlist: listVector(device, vector, irq) };
    return 0;
  }

  #otherKind({ index }: IrqSet): number {
    const { device, irqKind } = this.#owner;
    return device.host.refusals.refuse(IRQ_KIND, { device: device.name, index, active: irqKind });
  }

  #tooMany({ index, start, count }: IrqSet, errno?: number): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(IRQ_COUNT, { device: device.name, index, start, count, enabled: this.#vectors.length }, errno);
  }

  #clear(vector: number): void {
    const held = this.#vectors[vector];
    if (held === undefined) return;
    if (held.producer !== undefined) this.#owner.bypass?.unregisterProducer(held.producer);
    maskVector(this.#owner.device, vector, true);
    held.irq.setHandler(undefined);
    held.unlist();
    this.#vectors[vector] = undefined;
  }
}
