export { Acs, REQUIRED_ACS } from './acs.ts';
export * from './facts.ts';
export * from './iommu-groups.ts';
export { DEFAULT_KERNEL, type KernelVersion } from './kernel-version.ts';
export { PciTopology, type PciNode } from './topology.ts';
export { uncovered, type Uncovered, type UncoveredRule } from './uncovered.ts';
export { isBelowVmd, isVmd, vmdsAbove } from './vmd.ts';
