import {
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_NUM_IRQS,
  VFIO_PCI_REQ_IRQ_INDEX,
  readIrqSet,
  type IrqSet,
  type Process,
  type UserArgument,
} from '@vsim/vfio-core';
import { Intx } from './irq-intx.ts';
import { MessageIrqs } from './irq-msi.ts';
import { Notifier } from './irq-notifiers.ts';
import type { IrqOwner } from './irq-owner.ts';
import { IRQ_ACTION } from './vfio-pci-reasons.ts';

/** VFIO_DEVICE_SET_IRQS of vfio-pci: which index understands which action. Kernel: vfio_pci_set_irqs_ioctl(). */
export class Irqs {
  readonly intx: Intx;
  readonly messages: MessageIrqs;
  readonly err: Notifier = new Notifier();
  readonly req: Notifier = new Notifier();
  readonly #owner: IrqOwner;

  constructor(owner: IrqOwner) {
    this.#owner = owner;
    this.intx = new Intx(owner);
    this.messages = new MessageIrqs(owner);
  }

  /** How many interrupts an index has; 0 for one that the device lacks. @param index VFIO_PCI_*_IRQ_INDEX */
  count(index: number): number {
    const { device, hasIntx } = this.#owner;
    const fn = device.function;
    switch (index) {
      case VFIO_PCI_INTX_IRQ_INDEX:
        return hasIntx ? 1 : 0;
      case VFIO_PCI_MSI_IRQ_INDEX:
        return fn.msi?.capable ?? 0;
      case VFIO_PCI_MSIX_IRQ_INDEX:
        return fn.msix?.size ?? 0;
      case VFIO_PCI_ERR_IRQ_INDEX:
        return this.#hasErr ? 1 : 0;
      case VFIO_PCI_REQ_IRQ_INDEX:
        return 1;
      default:
        return 0;
    }
  }

  get #hasErr(): boolean {
    const { device } = this.#owner;
    return device.express !== 0 || !device.host.profile.errOfExpressOnly;
  }

  ioctl(process: Process, argument: UserArgument): number {
    const set = readIrqSet(argument, VFIO_PCI_NUM_IRQS, (index) => this.count(index));
    return typeof set === 'number' ? set : this.#run(process, set);
  }

  /** The last close. */
  disable(): void {
    switch (this.#owner.irqKind) {
      case 'intx':
        this.intx.disable();
        return;
      case 'msi':
      case 'msix':
        this.messages.disable();
        return;
      case 'none':
        return;
    }
  }

  #run(process: Process, set: IrqSet): number {
    const strict = this.#owner.device.host.profile.strictNotifierFds;
    if (set.index === VFIO_PCI_INTX_IRQ_INDEX) {
      if (set.action === VFIO_IRQ_SET_ACTION_MASK) return this.intx.setMask(set);
      if (set.action === VFIO_IRQ_SET_ACTION_UNMASK) return this.intx.setUnmask(process, set);
    }
    if (set.action !== VFIO_IRQ_SET_ACTION_TRIGGER || (set.index === VFIO_PCI_ERR_IRQ_INDEX && !this.#hasErr)) {
      return process.host.refusals.refuse(IRQ_ACTION, { index: set.index, flags: set.action | set.dataType });
    }
    switch (set.index) {
      case VFIO_PCI_INTX_IRQ_INDEX:
        return this.intx.setTrigger(process, set);
      case VFIO_PCI_MSI_IRQ_INDEX:
      case VFIO_PCI_MSIX_IRQ_INDEX:
        return this.messages.setTrigger(process, set);
      case VFIO_PCI_ERR_IRQ_INDEX:
        return this.err.setTrigger(process, set, strict);
      default:
        return this.req.setTrigger(process, set, strict);
    }
  }
}
