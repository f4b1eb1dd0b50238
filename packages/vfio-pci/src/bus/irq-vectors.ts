/**
 * Message-signalled interrupts as the PCI core hands them to drivers: pci_alloc_irq_vectors() and what follows from it. While a device
 * sends messages its INTx is switched off in COMMAND.
 */
import type { Host, HostIrq, MsiController } from '@vsim/vfio-core';
import type { PciFunction } from '../pci/pci-function.ts';
import {
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_MSIX_FLAGS,
  PCI_MSIX_FLAGS_ENABLE,
  PCI_MSIX_FLAGS_MASKALL,
  PCI_MSI_FLAGS,
  PCI_MSI_FLAGS_ENABLE,
  PCI_MSI_FLAGS_QSIZE,
} from '../pci/registers.ts';

/** Which capability sends a device's messages: MSI has up to 32 vectors with consecutive data, MSI-X up to 2048 of any. */
export type VectorKind = 'msi' | 'msix';

/** A device as far as its messages go. */
export interface MessageDevice {
  /** The hardware, whose capabilities have the messages. */
  readonly function: PciFunction;
  /** Which kind its vectors are, or were last. */
  vectorKind: VectorKind | undefined;
  /** Its vectors, by number. */
  irqVectors: readonly HostIrq[];
  /** Which of them the kernel has masked. */
  maskedVectors: boolean[];
}

/** pci_intx(): DisINTx on or off. */
export function setIntxEnabled(device: Pick<MessageDevice, 'function'>, enabled: boolean): void {
  const fn = device.function;
  const command = fn.command;
  const wanted = enabled ? command & ~PCI_COMMAND_INTX_DISABLE : command | PCI_COMMAND_INTX_DISABLE;
  if (wanted !== command) fn.configWrite(PCI_COMMAND, 2, wanted);
}

/**
 * Allocates vectors, programs and enables them; every one is masked where the device can mask.
 *
 * @param msi gives them, for the function's requester id
 * @param count how many are wanted
 * @returns how many there are; fewer than asked enables none
 */
export function allocateVectors(device: MessageDevice, msi: MsiController, kind: VectorKind, count: number): number {
  const fn = device.function;
  const capable = kind === 'msi' ? (fn.msi?.capable ?? 0) : (fn.msix?.size ?? 0);
  const requester = fn.address.requester;
  const irqs = msi.allocate(requester, Math.min(count, capable), kind === 'msi');
  if (irqs.length < count) {
    msi.release(requester, irqs);
    return irqs.length;
  }
  device.irqVectors = irqs;
  device.maskedVectors = irqs.map(() => true);
  program(device, irqs, kind);
  setIntxEnabled(device, false);
  return count;
}

/** pci_free_irq_vectors(). */
export function freeVectors(device: MessageDevice, msi: MsiController): void {
  const fn = device.function;
  if (device.irqVectors.length === 0) return;
  if (fn.msi !== undefined) {
    fn.configWrite(fn.msi.at + PCI_MSI_FLAGS, 2, fn.msi.flags & ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE));
    for (let vector = 0; vector < fn.msi.capable; vector += 1) fn.msi.setMask(vector, false);
    if (device.vectorKind === 'msi') fn.msi.setMessage(0, 0);
  }
  if (fn.msix !== undefined) fn.configWrite(fn.msix.at + PCI_MSIX_FLAGS, 2, fn.msix.flags & ~PCI_MSIX_FLAGS_ENABLE);
  if (device.vectorKind === 'msix') device.irqVectors.forEach((_, vector) => fn.msix?.setMessage(vector, 0, 0));
  setIntxEnabled(device, true);
  msi.release(fn.address.requester, device.irqVectors);
  device.irqVectors = [];
  device.maskedVectors = [];
}

/** After a reset: messages, masks and enable bits as the kernel last wrote them. Kernel: pci_restore_msi_state(). */
export function reprogramVectors(device: MessageDevice): void {
  const irqs = device.irqVectors;
  const kind = device.vectorKind;
  if (irqs.length === 0 || kind === undefined) return;
  program(device, irqs, kind);
  setIntxEnabled(device, false);
}

/** request_irq() and free_irq() of one vector reach the device as its mask bit. @param vector in [0, irqVectors.length) */
export function maskVector(device: MessageDevice, vector: number, masked: boolean): void {
  const fn = device.function;
  device.maskedVectors[vector] = masked;
  if (fn.msix?.enabled === true) {
    const irq = device.irqVectors[vector];
    if (!masked && irq !== undefined) fn.msix.setMessage(vector, irq.message.address, irq.message.data);
    fn.msix.setMask(vector, masked);
  } else {
    fn.msi?.setMask(vector, masked);
  }
}

function program(device: MessageDevice, irqs: readonly HostIrq[], kind: VectorKind): void {
  const fn = device.function;
  device.vectorKind = kind;
  if (kind === 'msix' && fn.msix !== undefined) {
    // Behind the function's mask, so that nothing pending is sent by an entry that is half written.
    const control = fn.msix.at + PCI_MSIX_FLAGS;
    fn.configWrite(control, 2, fn.msix.flags | PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    irqs.forEach(({ message }, vector) => {
      fn.msix?.setMessage(vector, message.address, message.data);
      fn.msix?.setMask(vector, device.maskedVectors[vector] ?? true);
    });
    fn.configWrite(control, 2, fn.msix.flags & ~PCI_MSIX_FLAGS_MASKALL);
  } else if (fn.msi !== undefined) {
    const first = irqs[0];
    if (first === undefined) return;
    fn.msi.setMessage(first.message.address, first.message.data);
    irqs.forEach((_, vector) => fn.msi?.setMask(vector, device.maskedVectors[vector] ?? true));
    const enable = Math.ceil(Math.log2(irqs.length)) << 4;
    fn.configWrite(fn.msi.at + PCI_MSI_FLAGS, 2, (fn.msi.flags & ~PCI_MSI_FLAGS_QSIZE) | enable | PCI_MSI_FLAGS_ENABLE);
  }
}

/**
 * pci_msix_alloc_irq_at(): more MSI-X vectors while they are enabled.
 *
 * @param count how many there shall be in all
 * @returns how many there are then
 */
export function addVectors(device: MessageDevice, msi: MsiController, count: number): number {
  const fn = device.function;
  const more = Math.min(count, fn.msix?.size ?? 0) - device.irqVectors.length;
  if (more <= 0) return device.irqVectors.length;
  const first = device.irqVectors.length;
  const irqs = msi.allocate(fn.address.requester, more, false);
  irqs.forEach(({ message }, i) => fn.msix?.setMessage(first + i, message.address, message.data));
  device.irqVectors = [...device.irqVectors, ...irqs];
  device.maskedVectors.push(...irqs.map(() => true));
  return device.irqVectors.length;
}

/** pci_msix_can_alloc_dyn(): vectors can be added to those that a device has. The kernel can, and so can the interrupt controller: an ITS cannot. */
export function canAddVectors(device: { readonly host: Host; readonly bus: { readonly msi: MsiController } }): boolean {
  return device.host.profile.msixDynamic && (device.bus.msi.allocatesLater ?? true);
}
