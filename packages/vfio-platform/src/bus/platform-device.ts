/** A device at fixed addresses, on the platform or the AMBA bus. Kernel: struct platform_device, struct amba_device. */
import { Device, type Host, type MmioDevice } from '@vsim/vfio-core';
import type { DeviceDescription } from '../fdt/devices.ts';
import { IrqLine } from './irq-line.ts';
import { RuntimePm } from './runtime-pm.ts';

/** A resource of the device. An I/O port range is listed, and cannot be accessed. */
export interface PlatformResource {
  readonly kind: 'mem' | 'io';
  readonly start: number;
  readonly size: number;
  /** @default false */
  readonly readOnly?: boolean | undefined;
}

/** What the firmware says of the device, beyond resources. */
export interface Firmware {
  /** Device tree: the most specific first; left out, there is no such property. */
  readonly compatible?: readonly string[] | undefined;
  /** ACPI: hardware id (none: ''), and `_RST`, which gives false when it fails. */
  readonly acpi?: { readonly hid: string; readonly reset?: (() => boolean) | undefined } | undefined;
}

export interface PlatformDeviceInit {
  readonly name: string;
  readonly resources: readonly PlatformResource[];
  /** By index; a hole hides what is behind it. @default none */
  readonly irqs?: readonly (IrqLine | undefined)[] | undefined;
  readonly firmware?: Firmware | undefined;
  /** The hardware behind the memory resources, in their order; left out, they must be mapped already. */
  readonly hardware?: readonly MmioDevice[] | undefined;
  /** AMBA: the peripheral id. Left out, it is a plain platform device. */
  readonly peripheralId?: number | undefined;
}

export class PlatformDevice extends Device {
  readonly resources: readonly PlatformResource[];
  readonly irqs: readonly (IrqLine | undefined)[];
  readonly firmware: Firmware;
  readonly peripheralId: number | undefined;
  readonly runtimePm: RuntimePm = new RuntimePm();

  constructor(host: Host, init: PlatformDeviceInit) {
    super(host, init.name, `/sys/devices/platform/${init.name}`);
    this.resources = init.resources;
    this.irqs = init.irqs ?? [];
    this.firmware = init.firmware ?? {};
    this.peripheralId = init.peripheralId;
    init.hardware?.forEach((hardware, i) => {
      const resource = this.resources[i];
      if (resource === undefined) throw new RangeError(`"hardware" expected at most ${this.resources.length} devices, got ${i + 1}`);
      host.memory.map(resource.start, resource.size, hardware);
    });
  }

  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
    this.host.files.constant(`${this.sysfs}/power/runtime_status`, () => `${this.runtimePm.status}\n`);
  }
}

/** A device of a device tree; `irq` gives the line of an INTID. */
export function deviceFromTree(
  host: Host,
  description: DeviceDescription,
  init: { readonly irq: (intid: number) => IrqLine | undefined; readonly hardware?: readonly MmioDevice[] | undefined; readonly peripheralId?: number | undefined },
): PlatformDevice {
  return new PlatformDevice(host, {
    name: description.name,
    resources: description.ranges.map(({ start, size }) => ({ kind: 'mem', start, size })),
    irqs: description.interrupts.map(({ intid, trigger }) => init.irq(intid) ?? new IrqLine(intid, trigger)),
    firmware: { compatible: description.compatible },
    hardware: init.hardware,
    peripheralId: init.peripheralId,
  });
}

