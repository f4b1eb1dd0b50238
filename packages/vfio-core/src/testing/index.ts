/** @vsim/vfio-core/testing: compliance suites, as data, for any test runner. */
export * from './suite.ts';
export * from './vfio-device-suite.ts';
