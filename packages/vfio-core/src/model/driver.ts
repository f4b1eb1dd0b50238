/** A driver of one bus. Kernel: struct device_driver. */
import type { Sleeps } from '../host/scheduler.ts';
import type { Device } from './device.ts';

/** A module as its users see it. Kernel: try_module_get(), module_put(). */
export interface ModuleUse {
  /** It is being unloaded: nobody new may use it. */
  going: boolean;
  /** Who keeps it from being unloaded. */
  users: number;
  /** See Driver. */
  readonly managesDma: boolean;
}

export abstract class Driver<D extends Device> implements ModuleUse {
  abstract readonly name: string;
  /** The module that it is in; undefined: it is built in. */
  readonly moduleName: string | undefined = undefined;
  going = false;
  users = 0;

  /**
   * The driver does DMA only on behalf of user space, or none: it may bind while user space owns the group's DMA.
   * Kernel: driver_managed_dma.
   */
  readonly managesDma: boolean = false;

  /** Whether the driver would take this device. The bus has looked at driver_override before. */
  abstract match(device: D): boolean;

  /** @returns 0 or a negative errno, with everything undone. */
  abstract probe(device: D): Sleeps<number>;

  abstract remove(device: D): Sleeps<void>;

  /** devres_release_all(), after remove: what the driver core frees for the driver goes. */
  released(_device: D): void {
    // Nothing is the driver core's.
  }
}

/**
 * What a driver keeps for each device that it is bound to: dev_set_drvdata(), typed, and nobody else's.
 */
export class DriverData<D extends Device, T> {
  readonly #data = new Map<D, T>();

  /** Undefined also where somebody else has written over it. */
  get(device: D): T | undefined {
    return device.drvdata === this ? this.#data.get(device) : undefined;
  }

  set(device: D, data: T): void {
    device.drvdata = this;
    this.#data.set(device, data);
  }

  clear(device: D): void {
    if (device.drvdata === this) device.drvdata = undefined;
    this.#data.delete(device);
  }

  /** In the order in which they were set. */
  get all(): readonly T[] {
    return [...this.#data.values()];
  }
}
