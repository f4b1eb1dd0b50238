/**
 * Compliance suites, as data, for any test runner.
 *
 * @module @vsim/vfio-core/testing
 */
export * from './bus-suite.ts';
export * from './fail-on.ts';
export * from './fixtures.ts';
export * from './iommu-suite.ts';
export * from './migration-suite.ts';
export * from './noiommu-suite.ts';
export * from './suite.ts';
export * from './vfio-device-suite.ts';
export * from './interleave.ts';
