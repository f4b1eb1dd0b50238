/** The interrupts of mtty: INTx and MSI, one of each. Kernel: mtty_set_irqs(), mtty_get_irq_info() of samples/vfio-mdev/mtty.c. */
import {
  EINVAL,
  ENOTTY,
  eventKind,
  get,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  VFIO_IRQ_INFO_NORESIZE,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_DATA_BOOL,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  type EventFdContext,
  type EventKind,
  type IrqAnswer,
  type IrqSet,
  type Process,
} from '@vsim/vfio-core';
import type { MdevDevice } from '../mdev-device.ts';
import { SAMPLE_IRQ } from '../mdev-reasons.ts';

export interface MttyIrqs {
  /** The answer of GET_IRQ_INFO; undefined: -EINVAL. @param index VFIO_PCI_*_IRQ_INDEX */
  info(index: number): IrqAnswer | undefined;
  set(process: Process, request: IrqSet): number;
  /** A port asks for an interrupt. */
  signal(): void;
}

const INTX: IrqAnswer = { flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED, count: 1 };
const FIXED: IrqAnswer = { flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, count: 1 };
/** An fd in the data of a request. */
const FD = [0, 's32'] as const;

/** The sample goes on with an eventfd that it has none of, or has put. A kernel may stop here; the model goes on. */
export const EVENTFD_LOST: EventKind<{ readonly device: string; readonly what: string }> = eventKind(
  'mdev/eventfd-lost',
  'bug',
  ({ device, what }) => `${device}: ${what}`,
);

/** An eventfd, and whether the sample's reference to it is its own still. */
interface Slot {
  readonly eventfd: EventFdContext;
  held: boolean;
}

/**
 * Until 6.6: what the driver does not know it takes, and does nothing. DATA_NONE puts its reference and keeps the pointer: an INTx eventfd
 * that somebody has open is signalled still, and one of MSI stands in the way of all later ones.
 */
export class LenientIrqs implements MttyIrqs {
  readonly #mdev: MdevDevice;
  #intx: Slot | undefined;
  #msi: Slot | undefined;
  /** The index that was set up last decides which eventfd is signalled. */
  #index: number | undefined;

  constructor(mdev: MdevDevice) {
    this.#mdev = mdev;
  }

  info(index: number): IrqAnswer | undefined {
    if (index === VFIO_PCI_INTX_IRQ_INDEX) return INTX;
    return index === VFIO_PCI_MSI_IRQ_INDEX || index === VFIO_PCI_REQ_IRQ_INDEX ? FIXED : undefined;
  }

  set(process: Process, { index, action, dataType, data }: IrqSet): number {
    if (action !== VFIO_IRQ_SET_ACTION_TRIGGER || index > VFIO_PCI_MSI_IRQ_INDEX) return 0;
    const isMsi = index === VFIO_PCI_MSI_IRQ_INDEX;
    if (dataType === VFIO_IRQ_SET_DATA_NONE) {
      this.#put(isMsi ? this.#msi : this.#intx);
      if (isMsi) this.#index = VFIO_PCI_INTX_IRQ_INDEX;
      return 0;
    }
    if (dataType !== VFIO_IRQ_SET_DATA_EVENTFD || data.length < 4) return 0;
    const fd = get(data, FD);
    if (fd <= 0 || (isMsi && this.#msi !== undefined)) return 0;
    const eventfd = process.eventFdContext(fd);
    if (typeof eventfd === 'number') return eventfd;
    const slot: Slot = { eventfd, held: true };
    if (isMsi) this.#msi = slot;
    else this.#intx = slot;
    this.#index = index;
    return 0;
  }

  signal(): void {
    if (this.#index === undefined) this.#lost('an interrupt before any eventfd: NULL dereference');
    else this.#raise(this.#index === VFIO_PCI_MSI_IRQ_INDEX ? this.#msi : this.#intx);
  }

  #put(slot: Slot | undefined): void {
    if (slot?.held === false) this.#lost('a reference to an eventfd is put twice');
    if (slot !== undefined) slot.held = false;
  }

  #raise(slot: Slot | undefined): void {
    if (slot?.held === false && slot.eventfd.closed) this.#lost('an eventfd is signalled that is freed');
    else slot?.eventfd.signal();
  }

  #lost(what: string): void {
    this.#mdev.host.trace.emit(EVENTFD_LOST, { device: this.#mdev.name, what });
  }
}

/** From 6.7 on: one index at a time, and INTx can be masked. */
export class CheckedIrqs implements MttyIrqs {
  /** The index that is set up, and its eventfd. */
  #index: number | undefined;
  #eventfd: EventFdContext | undefined;
  #masked = false;

  info(index: number): IrqAnswer | undefined {
    if (index === VFIO_PCI_INTX_IRQ_INDEX) return INTX;
    return index === VFIO_PCI_MSI_IRQ_INDEX ? FIXED : undefined;
  }

  set(process: Process, request: IrqSet): number {
    const { index, action, start, count, dataType, data } = request;
    const refuse = (errno: number): number => process.host.refusals.refuse(SAMPLE_IRQ, { index, action, active: this.#index }, errno);
    if (index > VFIO_PCI_MSI_IRQ_INDEX) return refuse(ENOTTY);
    if (action !== VFIO_IRQ_SET_ACTION_TRIGGER) {
      if (index === VFIO_PCI_MSI_IRQ_INDEX) return refuse(ENOTTY);
      if (this.#index !== index || start !== 0 || count !== 1) return refuse(EINVAL);
      if (dataType === VFIO_IRQ_SET_DATA_EVENTFD) return refuse(ENOTTY);
      if (dataType === VFIO_IRQ_SET_DATA_NONE || data[0] !== 0) this.#masked = action === VFIO_IRQ_SET_ACTION_MASK;
      return 0;
    }
    const isOn = this.#index === index;
    if (isOn && count === 0 && dataType === VFIO_IRQ_SET_DATA_NONE) {
      this.#disable();
      return 0;
    }
    if (!(isOn || this.#index === undefined) || start !== 0 || count !== 1) return refuse(EINVAL);
    if (dataType === VFIO_IRQ_SET_DATA_EVENTFD) return this.#enable(process, index, get(data, FD));
    if (!isOn) return refuse(EINVAL);
    if (dataType === VFIO_IRQ_SET_DATA_NONE || (dataType === VFIO_IRQ_SET_DATA_BOOL && data[0] !== 0)) this.signal();
    return 0;
  }

  signal(): void {
    if (this.#index === VFIO_PCI_INTX_IRQ_INDEX) {
      if (this.#masked) return;
      this.#masked = true;
    }
    this.#eventfd?.signal();
  }

  #enable(process: Process, index: number, fd: number): number {
    this.#disable();
    if (fd < 0) return 0;
    const eventfd = process.eventFdContext(fd);
    if (typeof eventfd === 'number') return eventfd;
    this.#eventfd = eventfd;
    this.#index = index;
    return 0;
  }

  #disable(): void {
    this.#eventfd = undefined;
    this.#index = undefined;
    this.#masked = false;
  }
}
