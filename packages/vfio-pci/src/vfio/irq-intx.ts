import {
  ENOTCONN,
  VFIO_IRQ_SET_DATA_EVENTFD,
  VFIO_IRQ_SET_DATA_NONE,
  Virqfd,
  eventKind,
  type EventFdContext,
  type EventKind,
  type IrqSet,
  type Process,
} from '@vsim/vfio-core';
import { setIntxEnabled } from '../bus/irq-vectors.ts';
import { read16 } from '../pci/capabilities.ts';
import { PCI_STATUS, PCI_STATUS_INTERRUPT } from '../pci/registers.ts';
import type { IrqOwner } from './irq-owner.ts';
import { listIntx } from './irq-rows.ts';
import { INTX_SHARED, IRQ_ACTION, IRQ_COUNT, IRQ_KIND, NO_INTX, UNMASK_TAKEN } from './vfio-pci-reasons.ts';

/** The oops of 5.13: INTx is signalled, and user space has given no eventfd. */
export const INTX_WITHOUT_TRIGGER: EventKind<{ readonly device: string }> = eventKind(
  'vfio-pci/intx-without-trigger',
  'bug',
  ({ device }) => `${device}: INTx is signalled without an eventfd: NULL dereference`,
);

/** INTx given to an eventfd: level-triggered, masked at each interrupt until the user unmasks. Kernel: vfio_pci_intrs.c. */
export class Intx {
  readonly #owner: IrqOwner;
  #trigger: EventFdContext | undefined;
  #unmaskFd: Virqfd | undefined;
  #masked = false;
  readonly #handler: () => boolean;
  /** Takes its line out of /proc/interrupts. */
  #unlist: (() => void) | undefined;

  constructor(owner: IrqOwner) {
    this.#owner = owner;
    this.#handler = owner.handler('interrupt', () => this.#interrupt());
  }

  get #active(): boolean {
    return this.#owner.irqKind === 'intx';
  }

  /** ACTION_TRIGGER. */
  setTrigger(process: Process, set: IrqSet): number {
    if (this.#active && set.count === 0 && set.dataType === VFIO_IRQ_SET_DATA_NONE) {
      this.disable();
      return 0;
    }
    if (!this.#active && this.#owner.irqKind !== 'none') return this.#otherKind(set);
    if (set.start !== 0 || set.count !== 1) return this.#notOne(set);
    if (set.dataType === VFIO_IRQ_SET_DATA_EVENTFD) return this.#setEventfd(process, fdOf(set, 0));
    if (!this.#active) return this.#otherKind(set);
    if (set.dataType === VFIO_IRQ_SET_DATA_NONE || set.data[0] !== 0) this.#signal();
    return 0;
  }

  /** ACTION_MASK. */
  setMask(set: IrqSet): number {
    if (!this.#active) return this.#otherKind(set);
    if (set.start !== 0 || set.count !== 1) return this.#notOne(set);
    if (set.dataType === VFIO_IRQ_SET_DATA_EVENTFD) return this.#owner.device.host.refusals.refuse(IRQ_ACTION, { index: set.index, flags: set.action | set.dataType }); // nobody has asked the kernel for it
    if (set.dataType === VFIO_IRQ_SET_DATA_NONE || set.data[0] !== 0) this.mask();
    return 0;
  }

  /** ACTION_UNMASK. */
  setUnmask(process: Process, set: IrqSet): number {
    if (!this.#active) return this.#otherKind(set);
    if (set.start !== 0 || set.count !== 1) return this.#notOne(set);
    if (set.dataType !== VFIO_IRQ_SET_DATA_EVENTFD) {
      if (set.dataType === VFIO_IRQ_SET_DATA_NONE || set.data[0] !== 0) this.unmask();
      return 0;
    }
    const fd = fdOf(set, 0);
    if (fd < 0) {
      this.#dropUnmaskFd();
      return 0;
    }
    const context = process.eventFdContext(fd);
    if (typeof context === 'number') return context;
    if (this.#unmaskFd !== undefined) return process.host.refusals.refuse(UNMASK_TAKEN, { device: this.#owner.device.name });
    this.#unmaskFd = new Virqfd(
      this.#owner,
      context,
      () => this.unmask(),
      () => {
        this.#unmaskFd = undefined;
      },
    );
    return 0;
  }

  /** Masks; without INTx in use the physical bit follows all the same. @returns whether it is this call that masked */
  mask(): boolean {
    const { device, canMaskIntx } = this.#owner;
    if (this.#active && this.#masked) return false;
    if (canMaskIntx) setIntxEnabled(device, false);
    else if (this.#active) device.function.line?.disable();
    if (this.#active) this.#masked = true;
    return this.#active;
  }

  /** The device goes to sleep with INTx in use. @returns whether it has to be unmasked when it wakes up */
  maskForSleep(): boolean {
    return this.#active && this.mask();
  }

  /** Unmasks; with the line still up it stays masked and signals at once. */
  unmask(): void {
    const owner = this.#owner;
    if (!this.#active) {
      if (owner.canMaskIntx) setIntxEnabled(owner.device, true);
      return;
    }
    if (!this.#masked || owner.intxDisabled) return;
    if (owner.canMaskIntx) {
      if (this.#asserted) {
        this.#signal();
        return;
      }
      this.#masked = false;
      setIntxEnabled(owner.device, true);
    } else {
      this.#masked = false;
      owner.device.function.line?.enable();
    }
  }

  disable(): void {
    this.#owner.irqKind = 'none';
    this.#dropUnmaskFd();
    this.#freeLine();
    this.#trigger = undefined;
  }

  /** The trigger is swapped under a line that stays requested; before the rework of 2024 the line goes and comes with it. */
  #setEventfd(process: Process, fd: number): number {
    if (!this.#owner.device.host.profile.intxKeepsLine) return this.#setEventfdAnew(process, fd);
    const context = fd < 0 ? undefined : process.eventFdContext(fd);
    if (typeof context === 'number') return context;
    if (this.#active) {
      this.#trigger = context;
      return 0;
    }
    const error = this.#enable();
    if (error < 0) return error;
    this.#trigger = context;
    const refused = this.#requestLine();
    if (refused < 0) this.disable();
    return refused;
  }

  /** vfio_intx_set_signal() of 5.13: a bad eventfd leaves an active INTx without trigger and line. */
  #setEventfdAnew(process: Process, fd: number): number {
    const enabling = !this.#active;
    const error = enabling ? this.#enable() : 0;
    if (error < 0) return error;
    this.#freeLine();
    this.#trigger = undefined;
    if (fd < 0) return 0;
    const context = process.eventFdContext(fd);
    let failed = typeof context === 'number' ? context : 0;
    if (typeof context === 'object') {
      this.#trigger = context;
      failed = this.#requestLine();
      if (failed < 0) this.#trigger = undefined;
    }
    if (failed < 0 && enabling) this.disable();
    return failed;
  }

  /** vfio_intx_enable(), but for the line. @returns 0, or -ENODEV */
  #enable(): number {
    const owner = this.#owner;
    if (!owner.hasIntx || (owner.device.function.line === undefined && !owner.intxUnconnected)) {
      return owner.device.host.refusals.refuse(NO_INTX, { device: owner.device.name });
    }
    owner.irqKind = 'intx';
    this.#masked = owner.intxDisabled;
    if (owner.canMaskIntx) setIntxEnabled(owner.device, !this.#masked);
    return 0;
  }

  /** The line's handler: ours only if the status bit says so. */
  #interrupt(): boolean {
    const owner = this.#owner;
    if (owner.canMaskIntx) {
      if (this.#masked || !this.#asserted) return false;
      this.#masked = true;
      setIntxEnabled(owner.device, false);
    } else {
      this.#masked = true;
      owner.device.function.line?.disable();
    }
    this.#signal();
    return true;
  }

  get #asserted(): boolean {
    return (read16(this.#owner.device.function.config.bytes, PCI_STATUS) & PCI_STATUS_INTERRUPT) !== 0;
  }

  #signal(): void {
    const { device, intxDisabled } = this.#owner;
    if (intxDisabled) return;
    if (this.#trigger === undefined && !device.host.profile.intxKeepsLine) device.host.trace.emit(INTX_WITHOUT_TRIGGER, { device: device.name });
    this.#trigger?.signal();
  }

  /** A line of one's own that has to be masked is requested switched off, so that its handler does not run before. */
  #requestLine(): number {
    const { device, canMaskIntx } = this.#owner;
    const { line } = device.function;
    const { refusals } = device.host;
    if (line === undefined) return refusals.refuse(NO_INTX, { device: device.name }, ENOTCONN);
    const late = device.host.profile.intxKeepsLine;
    const masked = !canMaskIntx && this.#masked;
    if (!line.request(this.#handler, !canMaskIntx, masked && late)) return refusals.refuse(INTX_SHARED, { device: device.name });
    this.#unlist = listIntx(device, line);
    if (masked && !late) line.disable();
    return 0;
  }

  #otherKind({ index }: IrqSet): number {
    const { device, irqKind } = this.#owner;
    return device.host.refusals.refuse(IRQ_KIND, { device: device.name, index, active: irqKind });
  }

  #notOne({ index, start, count }: IrqSet): number {
    const { device } = this.#owner;
    return device.host.refusals.refuse(IRQ_COUNT, { device: device.name, index, start, count, enabled: 1 });
  }

  #freeLine(): void {
    this.#owner.device.function.line?.free(this.#handler);
    this.#unlist?.();
    this.#unlist = undefined;
  }

  #dropUnmaskFd(): void {
    this.#unmaskFd?.disable();
    this.#unmaskFd = undefined;
  }
}

/** An fd of DATA_EVENTFD. @param i which, from 0 @returns 32 bits, signed */
export function fdOf(set: IrqSet, i: number): number {
  return new DataView(set.data.buffer, set.data.byteOffset).getInt32(4 * i, true);
}
