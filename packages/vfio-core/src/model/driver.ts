import type { Host } from '../host/host.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { Device } from './device.ts';

/** A module as its users see it. Kernel: try_module_get(), module_put(). */
export interface ModuleUse {
  /** It is being unloaded: nobody new may use it. */
  going: boolean;
  /** Who keeps it from being unloaded. */
  users: number;
  /** It does DMA only on behalf of user space, or none. Kernel: driver_managed_dma. */
  readonly managesDma: boolean;
}

/** A driver of one bus. A driver of one's own extends it. Kernel: struct device_driver. */
export abstract class Driver<D extends Device> implements ModuleUse {
  /** Unique on its bus. */
  abstract readonly name: string;
  /** The host that its parts are of, where it has some: addDriver() refuses another's. @default it has none */
  readonly host: Host | undefined = undefined;
  /** The module that it is in; undefined: it is built in. */
  readonly moduleName: string | undefined = undefined;
  /** Its module is being unloaded: nobody new may use it. */
  going = false;
  /** Who keeps its module from being unloaded. */
  users = 0;

  /**
   * The driver does DMA only on behalf of user space, or none: it may bind while user space owns the group's DMA.
   * Kernel: driver_managed_dma.
   */
  readonly managesDma: boolean = false;

  /** Whether the driver would take this device. The bus has looked at driver_override before. */
  abstract match(device: D): boolean;

  /** Takes a device, which is driverless and matches. @returns 0 or a negative errno, with everything undone */
  abstract probe(device: D): Sleeps<number>;

  /** Lets a device go, which may sleep as long as somebody uses it. */
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

  /** dev_set_drvdata(): keeps data for a device. */
  set(device: D, data: T): void {
    device.drvdata = this;
    this.#data.set(device, data);
  }

  /** Forgets the data of a device. */
  clear(device: D): void {
    if (device.drvdata === this) device.drvdata = undefined;
    this.#data.delete(device);
  }

  /** The data of all devices, in the order in which they were set. */
  get all(): readonly T[] {
    return [...this.#data.values()];
  }
}
