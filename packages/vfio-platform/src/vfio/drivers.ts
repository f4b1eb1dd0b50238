/**
 * The drivers vfio-platform and vfio-amba. Kernel: vfio_platform.c, vfio_amba.c, vfio_platform_probe_common(); catalogue: vfio 4.1, P4.
 *
 * Probe: firmware, reset function, IOMMU group, register, then runtime PM. Both match by driver_override alone.
 */
import {
  Driver,
  DriverData,
  EINVAL,
  ENODEV,
  ENOENT,
  eventKind,
  type EventKind,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';
import { ResetModules } from './reset-modules.ts';
import { VfioPlatformDevice, type Reset } from './vfio-platform-device.ts';

/** A device has no reset function, and the driver wants one. */
export const NO_RESET: EventKind<{ readonly device: string }> = eventKind(
  'vfio-platform/no-reset',
  'warn',
  ({ device }) => `${device}: no reset function found`,
);

export interface VfioPlatformInit {
  /** @default none is known */
  readonly resets?: ResetModules | undefined;
  /** Module parameter: a device without reset function is refused. @default true */
  readonly resetRequired?: boolean | undefined;
}

interface Bound {
  readonly vfioDevice: VfioPlatformDevice;
  /** The module that is held. */
  readonly module: string | undefined;
}

abstract class VfioPlatformCommon extends Driver<PlatformDevice> {
  override readonly managesDma: boolean = true;
  readonly resets: ResetModules;
  protected abstract readonly resetRequired: boolean;
  readonly #vfio: Vfio;
  readonly #bound = new DriverData<PlatformDevice, Bound>();

  constructor(vfio: Vfio, resets: ResetModules | undefined) {
    super();
    this.#vfio = vfio;
    this.resets = resets ?? new ResetModules();
  }

  override match(device: PlatformDevice): boolean {
    return device.driverOverride === this.name;
  }

  vfioDevice(device: PlatformDevice): VfioPlatformDevice | undefined {
    return this.#bound.get(device)?.vfioDevice;
  }

  override *probe(device: PlatformDevice): Sleeps<number> {
    const { acpi, compatible } = device.firmware;
    if (acpi?.hid === '') return -EINVAL;
    const [first] = compatible ?? [];
    if (acpi === undefined && first === undefined) return -ENODEV;
    const module = acpi === undefined ? first : undefined;
    const reset = this.#findReset(device, module);
    const missing = this.#checkReset(device, reset);
    if (missing < 0) return missing;
    const vfioDevice = new VfioPlatformDevice(this.#vfio, device, reset, this.resetRequired);
    if (device.iommuGroup === undefined && this.#vfio.iommuGroupGet(device) === undefined) return this.#unwind(module, reset, -EINVAL);
    const error = yield* vfioDevice.register();
    if (error < 0) return this.#unwind(module, reset, error);
    device.runtimePmEnabled = true;
    this.#bound.set(device, { vfioDevice, module: reset === undefined ? undefined : module });
    return 0;
  }

  override *remove(device: PlatformDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    yield* bound.vfioDevice.unregister();
    device.runtimePmEnabled = false;
    if (bound.module !== undefined) this.resets.put(bound.module);
    this.#bound.clear(device);
  }

  /** `_RST` where ACPI describes the device, else the module for its first compatible string. */
  #findReset(device: PlatformDevice, module: string | undefined): Reset {
    const { acpi } = device.firmware;
    if (acpi !== undefined) {
      const { reset } = acpi;
      return reset === undefined ? undefined : () => (reset() ? 0 : -EINVAL);
    }
    const found = module === undefined ? undefined : this.resets.get(module);
    return found === undefined ? undefined : () => found(device);
  }

  /** 6.1 fails the probe also where no reset is required, and says so only where one is. */
  #checkReset(device: PlatformDevice, reset: Reset): number {
    if (reset !== undefined) return 0;
    if (this.resetRequired) device.host.trace.emit(NO_RESET, { device: device.name });
    return this.resetRequired || device.host.profile.platformNeedsReset ? -ENOENT : 0;
  }

  #unwind(module: string | undefined, reset: Reset, error: number): number {
    if (module !== undefined && reset !== undefined) this.resets.put(module);
    return error;
  }
}

export class VfioPlatformDriver extends VfioPlatformCommon {
  override readonly name: string = 'vfio-platform';
  protected override readonly resetRequired: boolean;

  constructor(vfio: Vfio, init: VfioPlatformInit = {}) {
    super(vfio, init.resets);
    this.resetRequired = init.resetRequired ?? true;
  }
}

export class VfioAmbaDriver extends VfioPlatformCommon {
  override readonly name: string = 'vfio-amba';
  protected override readonly resetRequired: boolean = false;

  constructor(vfio: Vfio, init: Pick<VfioPlatformInit, 'resets'> = {}) {
    super(vfio, init.resets);
  }
}
