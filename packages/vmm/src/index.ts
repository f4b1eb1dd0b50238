/**
 * The VMM's part, and the guest's.
 *
 * @module @vsim/vmm
 */
export * from './assigned-device.ts';
export * from './guest-gic-driver.ts';
export * from './layout.ts';
export * from './migration.ts';
export * from './virtual-machine.ts';
