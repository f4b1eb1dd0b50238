/** What can go wrong in the life of a VFIO device, as events. */
import { eventKind, type EventKind } from '../host/trace.ts';

/**
 * A broken invariant of a device's life cycle: an operation outside of register and unregister, more puts than gets, a close without an
 * open.
 */
export const LIFE_CYCLE_BROKEN: EventKind<{ readonly device: string; readonly what: string }> = eventKind(
  'vfio/life-cycle-broken',
  'bug',
  ({ device, what }) => `${device}: ${what}`,
);
/** The kernel's dev_warn: a device was asked to be given back, and user space has no way to hear it. */
export const RELEASE_BLOCKED: EventKind<{ readonly device: string; readonly task: string; readonly count: number }> = eventKind(
  'vfio/release-blocked',
  'warn',
  ({ device, task, count }) => `${device}: ${task} is blocked until the device is released (request ${count})`,
);
/** The device was already registered: dev_WARN of __vfio_register_dev(). */
export const ALREADY_REGISTERED: EventKind<{ readonly device: string }> = eventKind(
  'vfio/already-registered',
  'warn',
  ({ device }) => `${device}: device already exists on its group`,
);
/** Somebody came through a door of a device whose structure the kernel has freed. The model goes on as if the memory were still there. */
export const USE_AFTER_FREE: EventKind<{ readonly device: string; readonly operation: string }> = eventKind(
  'vfio/use-after-free',
  'bug',
  ({ device, operation }) => `${device}: ${operation} after its structure was freed`,
);
