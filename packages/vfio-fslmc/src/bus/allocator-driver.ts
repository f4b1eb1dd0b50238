import { Driver, eventKind, type EventKind, type Sleeps } from '@vsim/vfio-core';
import type { FslMcDevice } from './fslmc-device.ts';
import { NOT_ALLOCATABLE } from './fslmc-reasons.ts';
import { ALLOCATABLE, type ResourcePool } from './resource-pool.ts';

/** An object is taken away while somebody has it: the kernel's remove says -EBUSY, and nobody listens. */
export const OBJECT_IN_USE: EventKind<{ readonly device: string; readonly error: number }> = eventKind(
  'fsl-mc/object-in-use',
  'warn',
  ({ device, error }) => `${device}: cannot be taken out of its pool: error ${error}`,
);

/** The kernel's driver of allocatable objects: it puts them into the pools of their container. Kernel: fsl-mc-allocator.c. */
export class FslMcAllocatorDriver extends Driver<FslMcDevice> {
  /** As `driver_override` and the folder below /sys/bus/fsl-mc/drivers have it. */
  override readonly name: string = 'fsl_mc_allocator';

  /** By vendor (0x1957) and type, of a plugged object: dpmcp, dpbp, dpcon. With a driver_override, which the bus has looked at, any. */
  override match(device: FslMcDevice): boolean {
    if (device.driverOverride !== undefined) return true;
    return device.descriptor.vendor === 0x1957 && device.plugged && ALLOCATABLE.includes(device.descriptor.type);
  }

  /** fsl_mc_allocator_probe(). @returns 0, or -EINVAL where its container has no pool for the type, or has it already */
  override *probe(device: FslMcDevice): Sleeps<number> {
    const added = poolOf(device)?.add(device);
    return added === 0 ? 0 : device.host.refusals.refuse(NOT_ALLOCATABLE, { device: device.name, type: device.descriptor.type });
  }

  /** fsl_mc_allocator_remove(): takes it out of its pool. One that is lent stays in, and is OBJECT_IN_USE. */
  override *remove(device: FslMcDevice): Sleeps<void> {
    const error = poolOf(device)?.remove(device) ?? 0;
    if (error < 0) device.host.trace.emit(OBJECT_IN_USE, { device: device.name, error });
  }
}

function poolOf(device: FslMcDevice): ResourcePool | undefined {
  return device.parent?.dprc?.pool(device.descriptor.type);
}
