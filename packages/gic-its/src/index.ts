/** @vsim/gic-its: the Arm GIC, the host's ITS driver, and KVM's virtual GIC. */
export * from './hardware/index.ts';
export * from './host/index.ts';
export * from './vgic/index.ts';
