/**
 * Runtime power management of a device: who uses it keeps it awake. Kernel: drivers/base/power/runtime.c.
 *
 * Not modelled: autosuspend, and that a put suspends a moment later, in a work queue; `power/control`; that amba_probe() switches it on for
 * its drivers, and holds it awake.
 */
import { EACCES, EINVAL, EIO } from '@vsim/vfio-core';

/** As `power/runtime_status` has it. */
export type RuntimeStatus = 'unsupported' | 'error' | 'active' | 'suspended';

export class RuntimePm {
  /** pm_runtime_enable() has been called: before that the device cannot be woken. */
  enabled = false;
  /** What wakes the device: 0, or a negative errno. */
  resume: () => number = () => 0;
  /** What puts it to sleep. */
  suspend: () => void = () => undefined;
  #usage = 0;
  #active = false;
  #error = false;

  /** Users that keep it awake; failed ones count, too, until they put. */
  get usage(): number {
    return this.#usage;
  }

  get status(): RuntimeStatus {
    if (this.#error) return 'error';
    if (!this.enabled) return 'unsupported';
    return this.#active ? 'active' : 'suspended';
  }

  /** pm_runtime_get_sync(): counts whatever comes of it. @returns 0; -EACCES while it is not enabled; what the device answered, and from then on -EINVAL */
  getSync(): number {
    this.#usage += 1;
    if (this.#error) return -EINVAL;
    if (!this.enabled) return -EACCES;
    if (this.#active) return 0;
    const result = this.resume();
    if (result < 0) this.#error = result !== -EACCES;
    else this.#active = true;
    return result === -EACCES ? -EIO : Math.min(result, 0);
  }

  /** pm_runtime_put(): the last user lets it sleep. */
  put(): void {
    this.#usage -= 1;
    if (this.#usage > 0 || !this.enabled || this.#error || !this.#active) return;
    this.suspend();
    this.#active = false;
  }
}
