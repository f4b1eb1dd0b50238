/**
 * Reset functions of vfio-platform, by compatible string: modules that are loaded when a device needs them and held while it is bound.
 * Kernel: vfio_platform_register_reset(); catalogue: vfio 4.1, 4.7.
 */
import type { Sleeps } from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';

/** Brings a device into a quiet state, and may wait for it; 0 or a negative errno. */
export type ResetFunction = (device: PlatformDevice) => Sleeps<number>;

interface Module {
  readonly reset: ResetFunction;
  users: number;
}

export class ResetModules {
  readonly #modules = new Map<string, Module>();

  /** The modules that are installed, by compatible string; CHIP_RESETS are the kernel's own. @default none */
  constructor(installed: ReadonlyMap<string, ResetFunction> = new Map()) {
    for (const [compatible, reset] of installed) this.register(compatible, reset);
  }

  /** A module that `vfio-reset:<compatible>` would load. */
  register(compatible: string, reset: ResetFunction): void {
    this.#modules.set(compatible, { reset, users: 0 });
  }

  /** Takes a reference on the module for this string. */
  get(compatible: string): ResetFunction | undefined {
    const module = this.#modules.get(compatible);
    if (module === undefined) return undefined;
    module.users += 1;
    return module.reset;
  }

  put(compatible: string): void {
    const module = this.#modules.get(compatible);
    if (module !== undefined) module.users -= 1;
  }

  /** References on a module: the devices that are bound and use it. */
  users(compatible: string): number {
    return this.#modules.get(compatible)?.users ?? 0;
  }
}
