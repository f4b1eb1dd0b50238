/** What a client holds, in front of the device that may be another one tomorrow: its accesses are counted, and what it has given is kept. */
import { get, VFIO_DEVICE_RESET, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD, vfio_irq_set } from '@vsim/vfio-core';
import type { ClientMemory, Descriptor, ServedDevice, SharedMemory } from '@vsim/vfio-user';
import type { Counts } from './counts.ts';

/** An eventfd of the client's, and which interrupt has it. */
export interface KeptIrq {
  readonly index: number;
  /** VFIO_IRQ_SET_ACTION_*. */
  readonly action: number;
  readonly interrupt: number;
  readonly eventfd: Descriptor;
}

/**
 * The device that a session serves. Descriptors and memory are handed on in wrappers: what the device lets go of is the client's no more, but while it is
 * replaced.
 */
export class Front implements ServedDevice {
  readonly #counts: Counts;
  #device: ServedDevice;
  readonly #maps = new Set<ClientMemory>();
  readonly #irqs = new Map<string, KeptIrq>();
  #replacing = false;

  constructor(device: ServedDevice, counts: Counts) {
    this.#device = device;
    this.#counts = counts;
  }

  /** The device behind it. */
  get device(): ServedDevice {
    return this.#device;
  }

  /** The client's memory, as the device has it. */
  get maps(): readonly ClientMemory[] {
    return [...this.#maps];
  }

  /** The client's eventfds, in the order of their interrupts. */
  get irqs(): readonly KeptIrq[] {
    return [...this.#irqs.values()].sort((a, b) => a.index - b.index || a.action - b.action || a.interrupt - b.interrupt);
  }

  /** Runs what puts another device in this one's place: what either lets go of meanwhile stays. @param replace returns the device from now on */
  replace(replace: () => ServedDevice): void {
    this.#replacing = true;
    try {
      this.#device = replace();
    } finally {
      this.#replacing = false;
    }
  }

  ioctl(request: number, argument: Uint8Array): number {
    if (request === VFIO_DEVICE_RESET) this.#counts.reset();
    return this.#device.ioctl(request, argument);
  }

  read(region: number, offset: number, into: Uint8Array): number {
    this.#counts.read(region);
    return this.#device.read(region, offset, into);
  }

  write(region: number, offset: number, from: Uint8Array): number {
    this.#counts.write(region);
    return this.#device.write(region, offset, from);
  }

  setIrqs(argument: Uint8Array, eventfds: readonly (Descriptor | undefined)[]): number {
    const flags = get(argument, vfio_irq_set.flags);
    if ((flags & VFIO_IRQ_SET_DATA_EVENTFD) === 0) return this.#device.setIrqs(argument, eventfds);
    const [index, first, action] = [get(argument, vfio_irq_set.index), get(argument, vfio_irq_set.start), flags & VFIO_IRQ_SET_ACTION_TYPE_MASK];
    const kept = eventfds.map((eventfd) => (eventfd === undefined ? undefined : this.#keptEventfd(eventfd)));
    const code = this.#device.setIrqs(argument, kept);
    if (code < 0) return code;
    kept.forEach((eventfd, i) => {
      const key = `${index}/${action}/${first + i}`;
      if (eventfd === undefined) this.#irqs.delete(key);
      else this.#irqs.set(key, { index, action, interrupt: first + i, eventfd });
    });
    return code;
  }

  #keptEventfd(own: Descriptor): Descriptor {
    const counts = this.#counts;
    const kept: Descriptor = {
      map: (offset, size, write) => own.map(offset, size, write),
      signal: () => {
        counts.irq();
        return own.signal();
      },
      listen: (told) => own.listen(told),
      duplicate: () => own.duplicate(),
      close: () => {
        if (this.#replacing) return;
        for (const [key, { eventfd }] of this.#irqs) if (eventfd === kept) this.#irqs.delete(key);
        own.close();
      },
    };
    return kept;
  }

  mapDma(memory: ClientMemory): number {
    const kept: ClientMemory = { ...memory, memory: this.#keptMemory(memory.memory, () => this.#maps.delete(kept)) };
    const code = this.#device.mapDma(kept);
    if (code >= 0) this.#maps.add(kept);
    return code;
  }

  #keptMemory(own: SharedMemory, ended: () => void): SharedMemory {
    const counts = this.#counts;
    return {
      size: own.size,
      read: (offset, into) => {
        counts.dmaRead(into.length);
        own.read(offset, into);
      },
      write: (offset, from) => {
        counts.dmaWrite(from.length);
        own.write(offset, from);
      },
      unmap: () => {
        if (this.#replacing) return;
        ended();
        own.unmap();
      },
    };
  }

  unmapDma(iova: bigint, size: bigint): number {
    return this.#device.unmapDma(iova, size);
  }

  regionMemory(region: number): Descriptor | undefined {
    return this.#device.regionMemory(region);
  }

  readState(into: Uint8Array): number {
    return this.#device.readState(into);
  }

  writeState(from: Uint8Array): number {
    return this.#device.writeState(from);
  }

  disconnect(): void {
    this.#device.disconnect();
  }
}
