export * from './events.ts';
export { HostCpus } from './host-cpus.ts';
export { HostMemoryView } from './host-memory-view.ts';
export { ItsDevice, ItsDriver, type ItsDriverInit } from './its-driver.ts';
export { ItsIrq, LPI_ENABLED, LPI_GROUP1, type VlpiMap } from './its-irq.ts';
export { ItsNode } from './its-node.ts';
export { ItsVm, ItsVpe } from './its-vpe.ts';
export { ItsVsgis } from './its-vsgi.ts';
export { ALL_PATCHES, type MigrationSwitches } from './switches.ts';
