/**
 * The Arm GIC, the host's ITS driver, KVM's virtual GIC, and /dev/kvm.
 *
 * @module @vsim/gic-its
 */
export * from './hardware/index.ts';
export * from './host/index.ts';
export * from './vgic/index.ts';
export * from './kvm/index.ts';
