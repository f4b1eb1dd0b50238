import {
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  type EventFdContext,
  type IrqSet,
  type Process,
} from '@vsim/vfio-core';
import { fdOf } from './irq-intx.ts';
import { NOTIFIER } from './vfio-pci-reasons.ts';

/** The ERR and REQ interrupts: eventfds that the driver itself signals. Kernel: vfio_pci_set_ctx_trigger_single(). */
export class Notifier {
  #trigger: EventFdContext | undefined;

  get armed(): boolean {
    return this.#trigger !== undefined;
  }

  signal(): void {
    this.#trigger?.signal();
  }

  clear(): void {
    this.#trigger = undefined;
  }

  /** ACTION_TRIGGER. @param strict fds below -1 are refused, where older kernels pass over them */
  setTrigger(process: Process, set: IrqSet, strict: boolean): number {
    if (set.start !== 0 || set.count > 1) return this.#refuse(process, set);
    switch (set.dataType) {
      case VFIO_IRQ_SET_DATA_NONE:
        if (this.#trigger === undefined) return this.#refuse(process, set);
        if (set.count === 1) this.signal();
        else this.clear();
        return 0;
      case VFIO_IRQ_SET_DATA_BOOL:
        if (set.count === 0) return this.#refuse(process, set);
        if (set.data[0] !== 0) this.signal();
        return 0;
      case VFIO_IRQ_SET_DATA_EVENTFD:
        return set.count === 0 ? this.#refuse(process, set) : this.#setEventfd(process, set, strict);
      default:
        return this.#refuse(process, set);
    }
  }

  #refuse(process: Process, { index }: IrqSet): number {
    return process.host.refusals.refuse(NOTIFIER, { index, armed: this.armed });
  }

  #setEventfd(process: Process, set: IrqSet, strict: boolean): number {
    const fd = fdOf(set, 0);
    if (fd === -1) this.clear();
    else if (fd >= 0) {
      const context = process.eventFdContext(fd);
      if (typeof context === 'number') return context;
      this.#trigger = context;
    } else if (strict) return this.#refuse(process, set);
    return 0;
  }
}
