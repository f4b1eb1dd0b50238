/** The drivers vfio-platform and vfio-amba. Kernel: vfio_platform.c, vfio_amba.c, vfio_platform_probe_common(). */
import {
  addBoolParameter,
  constant,
  Driver,
  DriverData,
  EINVAL,
  ENODATA,
  ENOMEM,
  eventKind,
  NO_IOMMU_GROUP,
  type EventKind,
  type FaultPoint,
  type Host,
  type Sleeps,
  type Vfio,
} from '@vsim/vfio-core';
import type { PlatformDevice } from '../bus/platform-device.ts';
import { ResetModules } from './reset-modules.ts';
import { VfioPlatformDevice, type Reset } from './vfio-platform-device.ts';
import { NO_RESET, UNIDENTIFIED } from './vfio-platform-reasons.ts';

/** What the firmware does not say of a device: the ACPI object, its hardware id, or the property `compatible`. */
export const NO_IDENTITY: EventKind<{ readonly device: string; readonly missing: 'companion' | 'hid' | 'compatible' }> = eventKind(
  'vfio-platform/no-identity',
  'warn',
  ({ device, missing }) => `${device}: the firmware gives no ${missing}`,
);
/** The AMBA bus has enabled runtime power management before the driver does: the kernel warns at the first bind. */
export const PM_UNBALANCED: EventKind<{ readonly device: string }> = eventKind(
  'vfio-platform/pm-unbalanced',
  'warn',
  ({ device }) => `${device}: Unbalanced pm_runtime_enable!`,
);
/** The probe has no memory for its structure. */
export const DEVICE_ALLOCATION: FaultPoint = { fault: 'vfio-platform/device-allocation', error: ENOMEM };
/** vfio-amba has none for the device's name. */
export const NAME_ALLOCATION: FaultPoint = { fault: 'vfio-platform/name-allocation', error: ENOMEM };

const RESET_REQUIRED = '/sys/module/vfio_platform/parameters/reset_required';

/** How the drivers are loaded. */
export interface VfioPlatformInit {
  /** The kernel runs with ACPI, and looks at it first. @default as the device's firmware has it */
  readonly acpi?: boolean | undefined;
  /** The reset functions that are installed; `new ResetModules(CHIP_RESETS)` are the kernel's. @default none is known */
  readonly resets?: ResetModules | undefined;
  /** Module parameter `reset_required`: a device without a reset function is refused. Linux 6.1 refuses it also with false. @default true */
  readonly resetRequired?: boolean | undefined;
}

interface Bound {
  readonly vfioDevice: VfioPlatformDevice;
  /** The module that is held. */
  readonly module: string | undefined;
}

abstract class VfioPlatformCommon extends Driver<PlatformDevice> {
  /** driver_managed_dma: user space sets up the DMA, so that the kernel's default domain is not used. */
  override readonly managesDma: boolean = true;
  /** The reset modules that it asks, and whose users it counts. */
  readonly resets: ResetModules;
  /** Whether a device needs a reset function, and one that succeeds at the first open. */
  protected abstract readonly resetRequired: boolean;
  readonly #vfio: Vfio;
  readonly #acpi: boolean | undefined;
  readonly #bound = new Map<PlatformDevice, Bound>();
  /** dev_get_drvdata(), from patch 4 of the series on. */
  readonly #data = new DriverData<PlatformDevice, VfioPlatformDevice>();

  /** That of its Vfio. */
  override readonly host: Host;

  constructor(vfio: Vfio, { resets, acpi }: VfioPlatformInit) {
    super();
    this.host = vfio.host;
    this.#vfio = vfio;
    this.#acpi = acpi;
    this.resets = resets ?? new ResetModules();
  }

  /** By `driver_override` alone: ids are not looked at. */
  override match(device: PlatformDevice): boolean {
    return device.driverOverride === this.name;
  }

  /** The VFIO device of a device that is bound; undefined for any other. */
  vfioDevice(device: PlatformDevice): VfioPlatformDevice | undefined {
    return device.host.has(4) ? this.#data.get(device) : this.#bound.get(device)?.vfioDevice;
  }

  /**
   * vfio_platform_probe_common().
   *
   * @returns 0; -ENOMEM; -EINVAL or -ENODATA where the firmware names nothing; -ENOENT without a reset function that is needed; -EINVAL
   * without IOMMU group; what register() answers
   */
  override *probe(device: PlatformDevice): Sleeps<number> {
    const { faults } = device.host;
    const refused = faults.at(DEVICE_ALLOCATION) || (device.isAmba ? faults.at(NAME_ALLOCATION) : 0);
    if (refused < 0) return refused;
    const identity = this.#identify(device);
    if (typeof identity === 'number') return identity;
    const reset = this.#findReset(device, identity.compatible);
    const missing = this.#checkReset(device, reset);
    if (missing < 0) return missing;
    const module = reset === undefined ? undefined : identity.compatible;
    const error = yield* this.#probeWithReset(device, reset, module);
    if (error < 0 && module !== undefined) this.resets.put(module);
    return error;
  }

  /** vfio_platform_remove_common(): waits until user space has closed the device. */
  override *remove(device: PlatformDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    yield* bound.vfioDevice.unregister();
    device.runtimePm.disable();
    device.runtimePm.reinit();
    if (bound.module !== undefined) this.resets.put(bound.module);
    this.#vfio.iommuGroupPut(device);
    this.#data.clear(device);
    this.#bound.delete(device);
    bound.vfioDevice.free();
  }

  *#probeWithReset(device: PlatformDevice, reset: Reset, module: string | undefined): Sleeps<number> {
    const vfioDevice = new VfioPlatformDevice(this.#vfio, device, reset, this.resetRequired);
    if (this.#vfio.iommuGroupGet(device) === undefined) {
      vfioDevice.free();
      return device.host.refusals.refuse(NO_IOMMU_GROUP, { device: device.name });
    }
    const error = yield* vfioDevice.register();
    if (error < 0) {
      this.#vfio.iommuGroupPut(device);
      vfioDevice.free();
      return error;
    }
    vfioDevice.initMutex();
    if (!device.runtimePm.enable()) device.host.trace.emit(PM_UNBALANCED, { device: device.name });
    this.#bound.set(device, { vfioDevice, module });
    if (device.host.has(4)) this.#data.set(device, vfioDevice);
    return 0;
  }

  /** ACPI where the kernel has it, else the device tree. @returns the string to look for a reset module with, or a negative errno */
  #identify(device: PlatformDevice): { readonly compatible: string | undefined } | number {
    const { acpi, compatible } = device.firmware;
    const lacks = (missing: 'companion' | 'hid' | 'compatible') => { device.host.trace.emit(NO_IDENTITY, { device: device.name, missing }); };
    if (this.#acpi ?? acpi !== undefined) {
      if (acpi !== undefined && acpi.hid !== '') return { compatible: undefined };
      lacks(acpi === undefined ? 'companion' : 'hid');
    }
    const first = compatible?.[0];
    if (first !== undefined) return { compatible: first };
    lacks('compatible');
    return device.host.refusals.refuse(UNIDENTIFIED, { device: device.name, acpi: acpi?.hid, compatible }, compatible === undefined ? EINVAL : ENODATA);
  }

  /** `_RST` where ACPI describes the device, else the module for its first compatible string. */
  #findReset(device: PlatformDevice, compatible: string | undefined): Reset {
    if (compatible === undefined) {
      const method = device.firmware.acpi?.reset;
      return method === undefined ? undefined : () => constant(method() ? 0 : -EINVAL);
    }
    const found = this.resets.get(compatible, device.host.moduleHelper.works);
    return found === undefined ? undefined : () => found(device);
  }

  /** 6.1 fails the probe also where no reset is required. */
  #checkReset(device: PlatformDevice, reset: Reset): number {
    if (reset !== undefined) return 0;
    const needed = this.resetRequired || device.host.profile.platformNeedsReset;
    return needed ? device.host.refusals.refuse(NO_RESET, { device: device.name }) : 0;
  }
}

/**
 * The driver vfio-platform, for the platform bus. It matches by driver_override alone. Its probe: structure, firmware, reset function,
 * IOMMU group, register, then the interrupts' mutex (5.13) and runtime PM; -EINVAL or -ENODATA where the firmware names nothing, -ENOENT
 * without a reset function that is required, -EINVAL without IOMMU group. Kernel: vfio_platform.c, vfio_platform_probe_common().
 */
export class VfioPlatformDriver extends VfioPlatformCommon {
  /** As `driver_override` and the folder below /sys/bus/platform/drivers have it. */
  override readonly name: string = 'vfio-platform';
  /** The kernel's module, whose users each open device adds to. */
  override readonly moduleName: string = 'vfio_platform';
  /** The module parameter `reset_required`. */
  protected override readonly resetRequired: boolean;

  /** Adds /sys/module/vfio_platform/parameters/reset_required, if it is not there. @param vfio registers the devices that it binds */
  constructor(vfio: Vfio, init: VfioPlatformInit = {}) {
    super(vfio, init);
    this.resetRequired = init.resetRequired ?? true;
    if (vfio.host.files.lookup(RESET_REQUIRED) === undefined) addBoolParameter(vfio.host, 'vfio_platform', 'reset_required', () => this.resetRequired);
  }
}

/**
 * The driver vfio-amba, for the AMBA bus: as VfioPlatformDriver, and never demands a reset function, except with Linux 6.1, whose probe
 * does. Kernel: vfio_amba.c.
 */
export class VfioAmbaDriver extends VfioPlatformCommon {
  /** As `driver_override` and the folder below /sys/bus/amba/drivers have it. */
  override readonly name: string = 'vfio-amba';
  /** The kernel's module, whose users each open device adds to. */
  override readonly moduleName: string = 'vfio_amba';
  /** A failed reset at the first open is no error. */
  protected override readonly resetRequired: boolean = false;

  /** @param vfio registers the devices that it binds */
  constructor(vfio: Vfio, init: Omit<VfioPlatformInit, 'resetRequired'> = {}) {
    super(vfio, init);
  }
}
