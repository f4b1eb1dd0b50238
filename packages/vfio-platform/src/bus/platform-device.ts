import { constant, createPowerFolder, Device, type Host, type MmioDevice } from '@vsim/vfio-core';
import type { DeviceDescription } from '../fdt/devices.ts';
import type { Trigger } from '../fdt/interrupts.ts';
import { IrqLine } from './irq-line.ts';
import { RuntimePm } from './runtime-pm.ts';

/** A resource of the device. An I/O port range is listed, and cannot be accessed; a range of bus numbers is no region. */
export interface PlatformResource {
  /** IORESOURCE_MEM, IORESOURCE_IO or IORESOURCE_BUS. */
  readonly kind: 'mem' | 'io' | 'bus';
  /** First CPU physical address, in bytes; for `io` a port, for `bus` a bus number. */
  readonly start: number;
  /** Bytes; for `io` ports. Only whole pages at a page's start can be mapped by user space. */
  readonly size: number;
  /** IORESOURCE_READONLY: VFIO gives the region without VFIO_REGION_INFO_FLAG_WRITE. @default false */
  readonly readOnly?: boolean | undefined;
}

/** An interrupt as the device's node describes it: several nodes may name one line, each with a trigger of its own. */
export interface PlatformInterrupt {
  /** The line into the distributor; another device's node may name it as well. */
  readonly line: IrqLine;
  /** As this node says; where an earlier node said another, the interrupt cannot be had. */
  readonly trigger: Trigger;
}

/** What the firmware says of the device, beyond resources. */
export interface Firmware {
  /** Device tree: the most specific first; left out, there is no such property. */
  readonly compatible?: readonly string[] | undefined;
  /** ACPI: hardware id (none: ''), and `_RST`, which gives false when it fails. */
  readonly acpi?: { readonly hid: string; readonly reset?: (() => boolean) | undefined } | undefined;
}

/** What a platform or AMBA device is made of. */
export interface PlatformDeviceInit {
  /** As the kernel names it, and its folder below /sys/devices/platform: `9040000.ethernet`. */
  readonly name: string;
  /** In the node's order: VFIO counts its regions by them. */
  readonly resources: readonly PlatformResource[];
  /** By index; a hole hides what is behind it. A line alone is triggered as it was made. @default none */
  readonly irqs?: readonly (IrqLine | PlatformInterrupt | undefined)[] | undefined;
  /** What the firmware says besides. @default nothing: vfio-platform refuses to probe it */
  readonly firmware?: Firmware | undefined;
  /** The hardware behind the memory resources, in their order; left out, they must be mapped already. */
  readonly hardware?: readonly MmioDevice[] | undefined;
  /**
   * AMBA: the peripheral id of `arm,primecell-periphid`, or `registers`: it is read from the last 0x20 bytes of the first resource. Left out, it
   * is a plain platform device.
   */
  readonly peripheralId?: number | 'registers' | undefined;
  /** Its node has an msi-parent, an ITS. From 6.2 on VFIO takes other devices only with allow_unsafe_interrupts. @default false */
  readonly msiParent?: boolean | undefined;
}

/** Interrupts that struct amba_device has room for. */
const AMBA_NR_IRQS = 9;
/** Where the identification of a PrimeCell begins, from the end of its registers; of the component id from there. */
const PERIPHERAL_ID_FROM_END = 0x20;
const COMPONENT_ID = 0x10;
/** Component ids of a PrimeCell, and of CoreSight. */
const COMPONENTS: readonly number[] = [0xb105_f00d, 0xb105_900d];

/**
 * A device at fixed addresses, on the platform or the AMBA bus. Kernel: struct platform_device, struct amba_device.
 *
 * @example
 * ```ts
 * import { Bus, Host, SmmuV3Iommu } from '@vsim/vfio-core';
 * import { IrqLine, Pl031, PlatformDevice } from '@vsim/vfio-platform';
 *
 * const host = new Host();
 * const bus = new Bus<PlatformDevice>(host, 'platform');
 * const line = new IrqLine(34, 'level-high');
 * const clock = new PlatformDevice(host, { name: '9010000.rtc', resources: [{ kind: 'mem', start: 0x901_0000, size: 0x1000 }], irqs: [line], hardware: [new Pl031(host, line)] });
 * bus.announce(clock);
 * console.log(new SmmuV3Iommu(host).addGroup([clock]).id); // 0
 * ```
 */
export class PlatformDevice extends Device {
  /** In the order of the node; VFIO's regions are those that are no range of bus numbers. */
  readonly resources: readonly PlatformResource[];
  /** By index, as the node lists them; undefined is a hole. */
  readonly interrupts: readonly (PlatformInterrupt | undefined)[];
  /** What device tree or ACPI say: vfio-platform looks for the reset function by it. */
  readonly firmware: Firmware;
  /** It was made with a peripheral id, and belongs on the AMBA bus: VFIO_DEVICE_FLAGS_AMBA. */
  readonly isAmba: boolean;
  /** Its node has an msi-parent: see PlatformDeviceInit.msiParent. */
  override readonly hasMsiDomain: boolean;
  /** Who keeps it awake; its files are in `power/` of the device's folder. */
  readonly runtimePm: RuntimePm = new RuntimePm();
  #peripheralId: number;
  /** What the AMBA bus found when a driver was bound. */
  #boundLines: readonly IrqLine[] | undefined;

  /**
   * Maps `init.hardware` into the host's physical memory; the device is on no bus yet.
   *
   * @throws RangeError for more `hardware` than resources, or a range that overlaps RAM or another device
   */
  constructor(host: Host, init: PlatformDeviceInit) {
    super(host, init.name, `/sys/devices/platform/${init.name}`);
    this.resources = init.resources;
    this.interrupts = (init.irqs ?? []).map((irq) => (irq instanceof IrqLine ? { line: irq, trigger: irq.trigger } : irq));
    this.firmware = init.firmware ?? {};
    this.hasMsiDomain = init.msiParent ?? false;
    this.isAmba = init.peripheralId !== undefined;
    this.#peripheralId = typeof init.peripheralId === 'number' ? init.peripheralId : 0;
    init.hardware?.forEach((hardware, i) => {
      const resource = this.resources[i];
      if (resource === undefined) throw new RangeError(`"hardware" expected at most ${this.resources.length} devices, got ${i + 1}`);
      host.memory.map(resource.start, resource.size, hardware);
    });
  }

  /** AMBA: the 32 bits of PeriphID0 to PeriphID3; 0 as long as nobody has read it. */
  get peripheralId(): number {
    return this.#peripheralId;
  }

  /** amba_read_periphid(). @returns false where the registers do not identify a component */
  identify(): boolean {
    if (this.#peripheralId !== 0) return true;
    const [registers] = this.resources;
    if (registers === undefined) return false;
    const at = registers.start + registers.size - PERIPHERAL_ID_FROM_END;
    if (COMPONENTS.includes(this.#readId(at + COMPONENT_ID))) this.#peripheralId = this.#readId(at);
    return this.#peripheralId !== 0;
  }

  /** platform_get_irq(), index after index until one fails: at the first hole, or line that another node has described otherwise. */
  mapLines(): readonly IrqLine[] {
    const lines: IrqLine[] = [];
    for (const interrupt of this.interrupts) {
      if (interrupt?.line.map(interrupt.trigger, this.host) !== true) break;
      lines.push(interrupt.line);
    }
    return lines;
  }

  /** The AMBA bus finds the lines before it calls a driver's probe: nine of them. */
  keepLines(): void {
    this.#boundLines = this.mapLines().slice(0, AMBA_NR_IRQS);
  }

  /** The interrupts that a driver gets: on the AMBA bus those of its bind, else what mapLines() gives now. */
  lines(): readonly IrqLine[] {
    return this.#boundLines ?? this.mapLines();
  }

  /** of_device_uevent(), platform_uevent(), amba_uevent(). Not modelled: aliases, and types of nodes. */
  protected override get uevents(): readonly string[] {
    const { compatible, acpi } = this.firmware;
    const [, address, node = this.name] = /^(?:([0-9a-f]+)\.)?(.*)$/.exec(this.name) ?? [];
    const tree = compatible === undefined ? [] : [`OF_NAME=${node}`, `OF_FULLNAME=/${node}${address === undefined ? '' : `@${address}`}`, ...compatible.map((one, n) => `OF_COMPATIBLE_${n}=${one}`), `OF_COMPATIBLE_N=${compatible.length}`];
    if (this.isAmba) return [...tree, `AMBA_ID=${hexId(this.peripheralId)}`, `MODALIAS=amba:d${hexId(this.peripheralId).toUpperCase()}`];
    if (compatible !== undefined) return [...tree, `MODALIAS=of:N${node}T(null)${compatible.map((one) => `C${one}`).join('')}`];
    return [acpi === undefined ? `MODALIAS=platform:${this.name}` : `MODALIAS=acpi:${acpi.hid}:`];
  }

  /** The files of its folder in sysfs: `driver_override`, `power/`, and for AMBA `id`. */
  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
    createPowerFolder(this, this.runtimePm);
    if (this.isAmba) this.host.files.add(`${this.sysfs}/id`, { kind: 'attribute', mode: 0o444, show: () => constant(`${hexId(this.peripheralId)}\n`) });
  }

  /** A byte from each of four words. */
  #readId(address: number): number {
    let id = 0;
    for (let i = 3; i >= 0; i -= 1) id = id * 0x100 + (this.host.memory.read32(address + 4 * i) & 0xff);
    return id;
  }
}

/** A peripheral id as the kernel prints it: eight hexadecimal digits. @param id 32 bits */
export function hexId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

/** A device of a device tree; `irq` gives the line of an INTID. */
export function deviceFromTree(
  host: Host,
  description: DeviceDescription,
  init: {
    readonly irq: (intid: number) => IrqLine | undefined;
    readonly hardware?: readonly MmioDevice[] | undefined;
    readonly peripheralId?: PlatformDeviceInit['peripheralId'];
  },
): PlatformDevice {
  return new PlatformDevice(host, {
    name: description.name,
    resources: description.ranges.map(({ start, size }) => ({ kind: 'mem', start, size })),
    irqs: description.interrupts.map(({ intid, trigger }) => ({ line: init.irq(intid) ?? new IrqLine(intid, trigger), trigger })),
    firmware: { compatible: description.compatible },
    hardware: init.hardware,
    peripheralId: init.peripheralId,
  });
}
