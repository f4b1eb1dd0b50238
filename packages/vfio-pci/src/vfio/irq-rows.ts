/** Interrupts of a device in /proc/interrupts, as long as VFIO has them requested. Kernel: vfio_intx_set_signal(), vfio_msi_set_vector_signal(); pci_msi_domain_calc_hwirq(). */
import type { HostIrq } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import type { IntxLine } from '../pci/intx-line.ts';

/** INTx of a device, while it is requested. Which controller a line leads to is not known here. @returns what free_irq() takes away */
export function listIntx({ host, name }: PciDevice, { irq }: IntxLine): () => void {
  return host.interrupts.add({ irq, controller: 'INTx', hardware: irq, level: true, name: `vfio-intx(${name})` });
}

/** A vector of a device, while it is requested. @param vector from 0 @returns what free_irq() takes away */
export function listVector({ host, name, bus, function: fn, vectorKind }: PciDevice, vector: number, { number: irq }: HostIrq): () => void {
  const x = vectorKind === 'msix' ? 'x' : '';
  const { chip } = bus.msi;
  const own = host.profile.msiDomainPerDevice;
  const before = chip === undefined ? '' : `${chip}-`;
  // The ITS' domain of all PCI devices was called by the ITS alone.
  const controller = own ? `${before}PCI-MSI${x.toUpperCase()}-${name}` : chip === 'ITS' ? 'ITS-MSI' : `${before}PCI-MSI`;
  return host.interrupts.add({ irq, controller, hardware: own ? vector : fn.address.requester * 2048 + vector, level: false, name: `vfio-msi${x}[${vector}](${name})` });
}
