/**
 * Whole devices for the model: an NVMe controller.
 *
 * @module @vsim/devices
 */
export * from './block/index.ts';
export * from './nvme/index.ts';
