import { EACCES, EINVAL, EIO } from '@vsim/vfio-core';

/** As `power/runtime_status` has it. */
export type RuntimeStatus = 'unsupported' | 'error' | 'active' | 'suspended';

/**
 * Runtime power management of a device: who uses it keeps it awake. Kernel: drivers/base/power/runtime.c.
 *
 * Not modelled: autosuspend, and that a put suspends a moment later, in a work queue.
 */
export class RuntimePm {
  /** What wakes the device: 0, or a negative errno. */
  resume: () => number = () => 0;
  /** What puts it to sleep. */
  suspend: () => void = () => undefined;
  /** 0: the device can be woken. */
  #disabled = 1;
  #usage = 0;
  #active = false;
  #error = false;
  #held = false;

  /** pm_runtime_enabled(): every disable() has been undone. A new device is disabled once. */
  get enabled(): boolean {
    return this.#disabled === 0;
  }

  /** Users that keep it awake; failed ones count, too, until they put. */
  get usage(): number {
    return this.#usage;
  }

  /** What `power/runtime_status` shows; an error of resume() comes before all, and `unsupported` is not enabled. */
  get status(): RuntimeStatus {
    if (this.#error) return 'error';
    if (!this.enabled) return 'unsupported';
    return this.#active ? 'active' : 'suspended';
  }

  /** pm_runtime_enable(). @returns false where it is enabled already: the kernel warns, and nothing changes */
  enable(): boolean {
    if (this.enabled) return false;
    this.#disabled -= 1;
    return true;
  }

  /** pm_runtime_disable(): each has its own enable(). */
  disable(): void {
    this.#disabled += 1;
  }

  /** What the driver core does when a driver has left: pm_runtime_reinit(). */
  reinit(): void {
    if (!this.enabled) this.#active = false;
  }

  /** pm_runtime_get_sync(): counts whatever comes of it. @returns 0; -EACCES while it is not enabled; what the device answered, and from then on -EINVAL */
  getSync(): number {
    this.#usage += 1;
    return this.#wake();
  }

  /** pm_runtime_put(): the last user lets it sleep. */
  put(): void {
    this.#usage -= 1;
    this.#sleep();
  }

  /** amba_probe(): the device is awake, and the bus holds it so until its driver has left. */
  holdActive(): void {
    this.#usage += 1;
    this.#active = true;
    this.enable();
  }

  /** amba_remove(), or a probe that failed. */
  letGo(): void {
    this.disable();
    this.#active = false;
    this.#usage -= 1;
  }

  /** `power/control`: `on` keeps the device awake, as a user of its own; `auto` does not. */
  get control(): 'on' | 'auto' {
    return this.#held ? 'on' : 'auto';
  }

  set control(value: 'on' | 'auto') {
    const held = value === 'on';
    if (held === this.#held) return;
    this.#held = held;
    this.#usage += held ? 1 : -1;
    if (held) this.#wake();
    else this.#sleep();
  }

  #wake(): number {
    if (this.#error) return -EINVAL;
    if (!this.enabled) return -EACCES;
    if (this.#active) return 0;
    const result = this.resume();
    if (result < 0) this.#error = result !== -EACCES;
    else this.#active = true;
    return result === -EACCES ? -EIO : Math.min(result, 0);
  }

  #sleep(): void {
    if (this.#usage > 0 || !this.enabled || this.#error || !this.#active) return;
    this.suspend();
    this.#active = false;
  }
}
