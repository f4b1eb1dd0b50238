import { EAGAIN, type Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';

/** Brings a device into a quiet state, and may wait for it; 0 or a negative errno. */
export type ResetFunction = (device: PlatformDevice) => Sleeps<number>;

interface Module {
  readonly functions: Map<string, ResetFunction>;
  loaded: boolean;
  users: number;
}

/**
 * Reset functions of vfio-platform, by compatible string: modules that are loaded when a device needs them and held while it is bound.
 * Kernel: vfio_platform_register_reset(), request_module().
 */
export class ResetModules {
  readonly #modules = new Map<string, Module>();

  /**
   * @param installed the modules that are installed, by compatible string; CHIP_RESETS are the kernel's own
   * @default none
   */
  constructor(installed: ReadonlyMap<string, ResetFunction> = new Map()) {
    for (const [compatible, reset] of installed) this.register(compatible, reset);
  }

  /** A module that `vfio-reset:<compatible>` would load; one module may have several functions. @default a module of its own */
  register(compatible: string, reset: ResetFunction, module: string = compatible): void {
    const found = this.#modules.get(module) ?? { functions: new Map<string, ResetFunction>(), loaded: false, users: 0 };
    this.#modules.set(module, found);
    found.functions.set(compatible, reset);
  }

  /** Takes a reference on the module for this string, which is loaded if it is not there and `loads` (its helper works). */
  get(compatible: string, loads = true): ResetFunction | undefined {
    const module = this.#with(compatible);
    if (module === undefined || (!module.loaded && !loads)) return undefined;
    module.loaded = true;
    module.users += 1;
    return module.functions.get(compatible);
  }

  /** Gives back the reference that get() took: the module can be unloaded with the last one. */
  put(compatible: string): void {
    const module = this.#with(compatible);
    if (module !== undefined) module.users -= 1;
  }

  /** References on the module for a string: the devices that are bound and use it. */
  users(compatible: string): number {
    return this.#with(compatible)?.users ?? 0;
  }

  /** The same, by the module's name. */
  usersOf(module: string): number {
    return this.#modules.get(module)?.users ?? 0;
  }

  /** By its name, or the string of a module of its own. */
  isLoaded(module: string): boolean {
    return this.#modules.get(module)?.loaded ?? false;
  }

  /** modprobe. @returns whether it is installed */
  load(module: string): boolean {
    const found = this.#modules.get(module);
    if (found !== undefined) found.loaded = true;
    return found !== undefined;
  }

  /** rmmod. @returns 0, or -EAGAIN while a device uses it */
  unload(module: string): number {
    const found = this.#modules.get(module);
    if (found === undefined || found.users > 0) return found === undefined ? 0 : -EAGAIN;
    found.loaded = false;
    return 0;
  }

  #with(compatible: string): Module | undefined {
    for (const module of this.#modules.values()) if (module.functions.has(compatible)) return module;
    return undefined;
  }
}
