export * from './frame-map.ts';
export * from './iommu.ts';
export * from './iommu-group.ts';
export * from './iommu-unit-base.ts';
export * from './smmuv3.ts';
export * from './type1.ts';
export * from './type1-instance.ts';
export * from './vtd.ts';
