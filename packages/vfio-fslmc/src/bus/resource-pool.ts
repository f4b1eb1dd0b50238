import { EBUSY, EINVAL, ENXIO } from '@vsim/vfio-core';
import type { FslMcDevice } from './fslmc-device.ts';

/** Types that drivers allocate; scans add them first. */
export const ALLOCATABLE: readonly string[] = ['dpmcp', 'dpbp', 'dpcon'];

/** Objects of one type that a container lends to who needs one: dpmcp, dpbp, dpcon. Kernel: fsl-mc-allocator.c. */
export class ResourcePool {
  readonly #free: FslMcDevice[] = [];
  readonly #lent = new Set<FslMcDevice>();

  /** Objects in it, lent ones included. */
  get size(): number {
    return this.#free.length + this.#lent.size;
  }

  /** Objects that somebody has. */
  get lent(): number {
    return this.#lent.size;
  }

  /** fsl_mc_resource_pool_add_device(). @returns 0, or -EINVAL if it is in */
  add(device: FslMcDevice): number {
    if (this.#free.includes(device) || this.#lent.has(device)) return -EINVAL;
    this.#free.push(device);
    return 0;
  }

  /** fsl_mc_resource_pool_remove_device(). @returns 0; -EBUSY while it is lent, -EINVAL if it is not in */
  remove(device: FslMcDevice): number {
    if (this.#lent.has(device)) return -EBUSY;
    const at = this.#free.indexOf(device);
    if (at < 0) return -EINVAL;
    this.#free.splice(at, 1);
    return 0;
  }

  /** fsl_mc_object_allocate(): the one that has been free longest, or -ENXIO. */
  allocate(): FslMcDevice | number {
    const device = this.#free.shift();
    if (device === undefined) return -ENXIO;
    this.#lent.add(device);
    return device;
  }

  /** fsl_mc_object_free(). */
  give(device: FslMcDevice): void {
    if (this.#lent.delete(device)) this.#free.push(device);
  }
}
