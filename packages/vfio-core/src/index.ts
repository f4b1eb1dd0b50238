/**
 * What every host has, and the interfaces that the other packages share.
 *
 * @module @vsim/vfio-core
 */
export * from './fdt/index.ts';
export * from './host/index.ts';
export * from './iommu/index.ts';
export * from './irq/index.ts';
export * from './memory/index.ts';
export * from './migration/index.ts';
export * from './model/index.ts';
export * from './process/index.ts';
export * from './uapi/index.ts';
export * from './vfio/index.ts';
