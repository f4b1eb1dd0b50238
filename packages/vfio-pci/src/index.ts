/**
 * PCI machines, models of PCI devices, and the vfio-pci driver.
 *
 * @module @vsim/vfio-pci
 */
export * from './bus/index.ts';
export * from './devices/index.ts';
export * from './lspci/index.ts';
export * from './pci/index.ts';
export * from './topology/index.ts';
export * from './vfio/index.ts';
