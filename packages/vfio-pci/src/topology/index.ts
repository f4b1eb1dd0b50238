export { Acs, REQUIRED_ACS } from './acs.ts';
export * from './facts.ts';
export * from './iommu-groups.ts';
export { PciTopology, type PciNode } from './topology.ts';
