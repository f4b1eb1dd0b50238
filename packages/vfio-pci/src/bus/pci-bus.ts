import {
  Bus,
  Mutex,
  assertSameHost,
  eventKind,
  hex,
  overlaps,
  rangeEnd,
  type Device,
  type Driver,
  type EventKind,
  type Host,
  type IommuGroup,
  type MsiController,
  type Sleeps,
} from '@vsim/vfio-core';
import { setBarAddress, type Bar } from '../pci/bars.ts';
import { IRQ_NOTCONNECTED, IntxLine, type EarlyLevel } from '../pci/intx-line.ts';
import type { ErrorMessage } from '../pci/aer.ts';
import { findExtendedCapability } from '../pci/capabilities.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PciPort } from '../pci/pci-port.ts';
import {
  PCI_EXP_DEVCTL,
  PCI_EXP_DEVCTL_ERRORS,
  PCI_EXT_CAP_ID_ERR,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_ROM_RESOURCE,
  PCI_SECONDARY_BUS,
  PCI_SUBORDINATE_BUS,
} from '../pci/registers.ts';
import { pciFacts } from '../topology/facts.ts';
import { IommuGrouping, type GroupingOptions, type Join } from '../topology/iommu-groups.ts';
import { createDeviceAttributes } from './device-attributes.ts';
import { createDeviceFolders } from './device-folders.ts';
import { DevicePlaces } from './device-places.ts';
import { badValue, parseUnsigned } from './parse.ts';
import { createResourceFiles } from './resource-files.ts';
import { PciDevice } from './pci-device.ts';
import { PciDriver } from './pci-driver.ts';
import { PciePort } from './pcie-port.ts';
import type { HotplugController } from './pciehp.ts';
import { VgaArbiter } from './vga-arbiter.ts';

/** What the bus needs of an IOMMU: groups of devices that it cannot tell apart. */
export interface PciIommu {
  /** The host whose devices it translates: the bus refuses another's. @default whichever */
  readonly host?: Host | undefined;
  /** What sysfs calls it, for errors. @default it has no name */
  readonly name?: string | undefined;
  /** Makes a group of devices. @param id number of the group; left out, the lowest that is free */
  addGroup(devices: readonly Device[], id?: number): IommuGroup;
  /** The firmware says who is behind it: groups come with the first driver that is tried. @default they come with the devices */
  readonly describedByFirmware?: boolean | undefined;
}

/** What the bus is made of: who takes its messages, who translates its DMA, where its BARs lie. */
export interface PciBusInit {
  /** Who takes the messages of MSI and MSI-X. */
  readonly msi: MsiController;
  /** Left out: DMA is not translated, and VFIO takes no device. */
  readonly iommu?: PciIommu | undefined;
  /** Physical addresses for memory BARs that have none: first address and bytes. @default 1.5 GiB at 0x8000_0000 */
  readonly window?: { readonly base: number; readonly size: number } | undefined;
  /** What the interrupt controller does with a line that is up before its handler comes. @default 'fires' */
  readonly earlyLevel?: EarlyLevel | undefined;
  /** How groups are found where no numbers are given. */
  readonly grouping?: GroupingOptions | undefined;
}

/** A function is in the IOMMU group of another, and why. */
export const GROUP_JOINED: EventKind<Join & { readonly group: number }> = eventKind(
  'pci/group-joined',
  'info',
  ({ device, group, why }) => `${device}: in IOMMU group ${group}: ${why}`,
);

/** How a function is wired: its group, its line, what sysfs shows. */
export interface PlugInit {
  /** Number of the IOMMU group; functions with the same number share it; null: not behind the IOMMU. @default as Linux groups the topology, numbered by the lowest free number */
  readonly group?: number | null | undefined;
  /** Linux irq number of the INTx pin; IRQ_NOTCONNECTED for one that is wired to nothing, 0 where the kernel has found none. @default 16 to 19, by device number and pin */
  readonly irq?: number | undefined;
  /** What sysfs `resource` shows besides the BARs. @default nothing */
  readonly resource?: string | undefined;
}

/** An error message that nobody handles: no root port with its driver is above. */
export const ERROR_UNHANDLED: EventKind<ErrorMessage & { readonly device: string }> = eventKind(
  'pci/error-unhandled',
  'fault',
  ({ device, error, severity }) => `${device}: ${severity} error ${error}: no root port with a driver above`,
);

interface Plugged {
  readonly fn: PciFunction;
  readonly init: PlugInit;
}

const FIRST_PORT = 0x1000;
/** Lines of the IOAPIC that PCI pins share. */
const FIRST_LINE = 16;
const LINES = 4;

/**
 * The PCI bus of a host: its functions, where they are, what they share, and their sysfs. Kernel: drivers/pci, pci_bus_type.
 *
 * Hardware is plugged (`plug`), and stays when the kernel forgets it (sysfs `remove`) until a rescan finds it again. The machine's tree is
 * told by bus numbers: a bridge's secondary bus has the functions below it. Cards in slots come and go by pciehp.ts. Not modelled: moving
 * of windows, more than one root bus in a domain.
 *
 * @example
 * ```ts
 * import { ApicMsi, Host, Process, VtdIommu } from '@vsim/vfio-core';
 * import { createEdu, PciBus } from '@vsim/vfio-pci';
 *
 * const host = new Host();
 * const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
 * bus.plug(createEdu(host, '0000:00:02.0'));
 * console.log(new Process(host).readFile('/sys/bus/pci/devices/0000:00:02.0/vendor').trim()); // 0x1234
 * ```
 */
export class PciBus extends Bus<PciDevice> {
  /** Who takes the messages of MSI and MSI-X. */
  readonly msi: MsiController;
  /** Which VGA device answers to the legacy addresses. */
  readonly vga: VgaArbiter = new VgaArbiter();
  readonly #iommu: PciIommu | undefined;
  readonly #earlyLevel: EarlyLevel;
  readonly #grouping: GroupingOptions | undefined;
  readonly #plugged = new Map<string, Plugged>();
  readonly #places: DevicePlaces = new DevicePlaces((device) => this.device(device.name) === device);
  readonly #groups = new Map<number, IommuGroup>();
  readonly #lines = new Map<number, IntxLine>();
  readonly #segments = new Map<number, object>();
  /** pci_rescan_remove_lock: one at a time changes what the kernel knows. */
  readonly rescanRemoveLock: Mutex;
  readonly #windowEnd: number;
  /** Ranges of functions that have left the machine: for others of the same size. */
  #freeRanges: { readonly io: boolean; readonly size: number; readonly address: number }[] = [];
  #nextAddress: number;
  #nextPort = FIRST_PORT;
  /** wakeup_source_register(): they are numbered from boot on. */
  #wakeupSources = 0;

  /** Adds /proc/iomem, /proc/ioports and /sys/bus/pci/rescan to the host's files; nothing is plugged. */
  constructor(host: Host, init: PciBusInit) {
    checkParts(host, init);
    super(host, 'pci');
    this.msi = init.msi;
    this.#iommu = init.iommu;
    this.#earlyLevel = init.earlyLevel ?? 'fires';
    this.#grouping = init.grouping;
    const window = init.window ?? { base: 0x8000_0000, size: 0x6000_0000 };
    this.#nextAddress = window.base;
    this.#windowEnd = window.base + window.size;
    this.rescanRemoveLock = new Mutex(host.scheduler, 'pci_rescan_remove_lock');
    this.listen(this.vga);
    createResourceFiles(this);
    host.files.add(`${this.sysfs}/rescan`, { kind: 'attribute', mode: 0o200, store: (bytes) => this.#storeRescan(bytes) });
  }

  /**
   * Puts a function into the machine before the kernel looks: it has its addresses, its line and its group, and no driver yet.
   *
   * @throws RangeError if its place is taken, or the window is full
   */
  plug(fn: PciFunction, init: PlugInit = {}): PciDevice {
    this.#wire(fn, init);
    this.portAbove(fn)?.seat(false);
    return this.#announce(fn, init);
  }

  /**
   * A card comes into the slot of a port: its functions, the first of them function 0 of device 0 on the bus below. The kernel finds them
   * when the slot has power: at once, or after the attention button.
   *
   * @throws RangeError if the slot is taken, the port is none of this bus, or a function does not belong below it
   */
  insert(port: PciPort, card: readonly PciFunction[], init: PlugInit = {}): void {
    if (port.present) throw new RangeError(`"port" expected an empty slot, got ${port.name}`);
    if (this.function(port.name) !== port) throw new RangeError(`"port" expected a port of this bus, got ${port.name}`);
    const outside = card.find((fn) => !isBehind(port, fn));
    if (outside !== undefined || card.length === 0) throw new RangeError(`"card" expected functions below ${port.name}, got ${outside?.name ?? 'none'}`);
    // A card that was pulled while the slot was off: no thread of the kernel has looked since.
    this.forget(port);
    for (const fn of card) this.#wire(fn, init);
    port.seat(true);
  }

  /** The card of a slot whose power is off is taken out. @throws RangeError while it has power, or the kernel knows it */
  takeOut(port: PciPort): void {
    const known = this.functionsBehind(port).find((fn) => this.device(fn.name) !== undefined);
    if (port.powered || known !== undefined) throw new RangeError(`"port" expected a slot without power, got ${port.name}`);
    if (port.present) port.surpriseRemove();
    this.forget(port);
  }

  /** Functions that are no longer in the machine leave it, once the kernel has let them go. @internal */
  forget(port: PciPort): void {
    for (const fn of this.functionsBehind(port)) {
      if (fn.absence === 'removed' && this.device(fn.name) === undefined) this.#leave(fn);
    }
  }

  #leave(fn: PciFunction): void {
    fn.unmapBars();
    this.#plugged.delete(fn.name);
    for (const bar of fn.bars) if (bar.address !== 0 && !bar.shadow) this.#freeRanges.push({ io: bar.kind === 'io', size: rangeOf(bar), address: bar.address });
  }

  /** Every function on the buses behind a port. */
  functionsBehind(port: PciPort): readonly PciFunction[] {
    return [...this.#plugged.values()].map(({ fn }) => fn).filter((fn) => isBehind(port, fn));
  }

  /** The port right above a function that is in its slot, or on the bus below. */
  portAbove(fn: PciFunction): PciPort | undefined {
    for (const { fn: other } of this.#plugged.values()) {
      if (other instanceof PciPort && other.address.domain === fn.address.domain && other.config.bytes[PCI_SECONDARY_BUS] === fn.address.bus) return other;
    }
    return undefined;
  }

  /** The hardware side of plug(). */
  #wire(fn: PciFunction, init: PlugInit): void {
    assertSameHost(this.host, fn, 'fn', fn.name, 'the PCI bus');
    if (this.#plugged.has(fn.name)) throw new RangeError(`"fn" expected a free place on the bus, got ${fn.name}`);
    for (const bar of fn.bars) this.#place(fn, bar);
    for (const bar of fn.virtualBars) this.#placeVirtual(fn, bar);
    const pin = fn.config.bytes[PCI_INTERRUPT_PIN]!;
    if (pin !== 0) {
      const irq = init.irq ?? FIRST_LINE + ((fn.address.device + pin - 1) % LINES);
      if (irq !== 0 && irq !== IRQ_NOTCONNECTED) fn.line = this.line(irq);
      if (init.irq === undefined) fn.config.bytes[PCI_INTERRUPT_LINE] = irq;
    }
    fn.mapBars();
    const errorMessage = (message: ErrorMessage): void => this.#errorMessage(fn, message);
    fn.errorMessage = errorMessage;
    if (fn instanceof PciPort) {
      const behind = (): readonly PciFunction[] => this.functionsBehind(fn);
      fn.behind = behind;
    }
    this.#plugged.set(fn.name, { fn, init });
  }

  /**
   * plug(), and the kernel finds it at once: drivers are asked. The device may be gone again when a driver's probe removed it.
   *
   * @throws RangeError if its place is taken, or the window is full
   */
  *hotplug(fn: PciFunction, init: PlugInit = {}): Sleeps<PciDevice> {
    const device = this.plug(fn, init);
    assignBars(fn);
    yield* this.probe(device);
    return device;
  }

  /** Firmware asks for a function back, as with ACPI hot plug: the kernel lets it go, which may sleep, and it leaves the machine. Kernel: acpiphp_disable_and_eject_slot(). */
  *eject(device: PciDevice): Sleeps<void> {
    yield* this.stopAndRemoveLocked(device);
    this.#leave(device.function);
  }

  /** A virtual function appears: it has its slices, a group, and no driver yet. @throws RangeError if its place is taken */
  plugVirtual(pf: PciDevice, fn: PciFunction, init: PlugInit = {}): PciDevice {
    if (this.#plugged.has(fn.name)) throw new RangeError(`"fn" expected a free place on the bus, got ${fn.name}`);
    fn.mapBars();
    this.#plugged.set(fn.name, { fn, init });
    return this.#announce(fn, init, pf);
  }

  /** A virtual function goes: unbound, which may sleep, and out of the machine. */
  *unplugVirtual(vf: PciDevice): Sleeps<void> {
    if (this.device(vf.name) === vf) yield* this.remove(vf);
    vf.function.unmapBars();
    vf.function.iommuGroup = undefined;
    this.#plugged.delete(vf.name);
  }

  /** pci_stop_dev(), then device_del(): its files are there until its driver has let it go. */
  override *remove(device: PciDevice): Sleeps<void> {
    yield* this.release(device);
    yield* super.remove(device);
    this.#places.delete(device);
  }

  /** The device is on the bus, with its files and its place among the others. @throws RangeError if the bus has a device of this name; TypeError for a device of another host */
  override announce(device: PciDevice): void {
    this.#places.add(device);
    super.announce(device);
  }

  /** Drivers are not asked for VFs of a PF that does not want it. Kernel: pci_device_can_probe(). */
  protected override matchOf(driver: Driver<PciDevice>, device: PciDevice): number {
    const asked = device.driverOverride !== undefined || (device.physicalFunction?.sriov?.driversAutoprobe ?? true);
    return asked ? super.matchOf(driver, device) : 0;
  }

  /** The function with this address, whether or not the kernel knows it. */
  function(name: string): PciFunction | undefined {
    return this.#plugged.get(name)?.fn;
  }

  /** An interrupt line by its Linux irq number; all pins that are wired to it share it. @param irq Linux irq number, from 1 */
  line(irq: number): IntxLine {
    let line = this.#lines.get(irq);
    if (line === undefined) {
      line = new IntxLine(irq, this.#earlyLevel);
      this.#lines.set(irq, line);
    }
    return line;
  }

  /** The bridge above a device; undefined on the root bus. */
  bridgeOf(device: PciDevice): PciDevice | undefined {
    const { bus, domain } = device.function.address;
    return this.#places.bridgeTo(domain, bus);
  }

  /** The slot of a hot-plug controller that a device is in. Kernel: struct pci_dev.slot. */
  slotOf(device: PciDevice): HotplugController | undefined {
    const port = this.bridgeOf(device);
    return port?.driver instanceof PciePort ? port.driver.slot(port) : undefined;
  }

  /** The devices on the same bus as `device`, itself included, in the order of their numbers. */
  siblings(device: PciDevice): readonly PciDevice[] {
    const { bus, domain } = device.function.address;
    return this.#places.onBus(domain, bus);
  }

  /** All devices below a bridge, depth first. */
  below(bridge: PciDevice): readonly PciDevice[] {
    return this.#places.below(bridge);
  }

  /** The highest bus number at or below the bus of a device that is behind a bridge: pci_bus_max_busnr(). */
  lastBusNumber(device: PciDevice): number {
    return this.bridgeOf(device)?.function.config.bytes[PCI_SUBORDINATE_BUS] ?? device.function.address.bus;
  }

  /** An object for each bus: devices on one are reset together. */
  segment(device: PciDevice): object {
    const key = device.function.address.domain * 256 + device.function.address.bus;
    const segment = this.#segments.get(key) ?? {};
    this.#segments.set(key, segment);
    return segment;
  }

  /** A PCI driver's own attributes, as new_id, come with it. */
  protected override comes(driver: Driver<PciDevice>): void {
    if (driver instanceof PciDriver) driver.createAttributes(this);
  }

  /** Puts the device's sysfs files there. @internal */
  createDeviceAttributes(device: PciDevice): void {
    createDeviceAttributes(device, this.#plugged.get(device.name)?.init.resource);
    createDeviceFolders(device, this.#wakeupSources);
    this.#wakeupSources += 1;
  }

  /** Finds the functions that the kernel has forgotten, behind a port or everywhere. With rescanRemoveLock held. */
  *scan(behind?: PciPort): Sleeps<void> {
    for (const { fn, init } of [...this.#plugged.values()]) {
      if (this.device(fn.name) !== undefined || fn.physicalFunction !== undefined || fn.absence !== undefined) continue;
      if (behind !== undefined && !isBehind(behind, fn)) continue;
      assignBars(fn);
      yield* this.probe(this.#announce(fn, init));
    }
  }

  /** sysfs `rescan`. */
  *rescan(): Sleeps<void> {
    yield* this.rescanRemoveLock.lock();
    yield* this.scan();
    this.rescanRemoveLock.unlock();
  }

  /** pci_stop_and_remove_bus_device(): what is below goes first. With rescanRemoveLock held; sleeps while users hold a device. */
  *stopAndRemove(device: PciDevice): Sleeps<void> {
    for (const below of device.isBridge ? [...this.below(device)].reverse() : []) yield* this.#removeOne(below);
    yield* this.#removeOne(device);
  }

  /** sysfs `remove`. */
  *stopAndRemoveLocked(device: PciDevice): Sleeps<void> {
    yield* this.rescanRemoveLock.lock();
    if (this.device(device.name) === device) yield* this.stopAndRemove(device);
    this.rescanRemoveLock.unlock();
  }

  *#removeOne(device: PciDevice): Sleeps<void> {
    yield* this.remove(device);
    if (device.sriov !== undefined) yield* device.sriov.disable();
    device.function.iommuGroup = undefined;
  }

  /** An error message travels up to the root port, whose driver handles it. */
  #errorMessage(fn: PciFunction, message: ErrorMessage): void {
    let port: PciPort | undefined = fn instanceof PciPort ? fn : this.portAbove(fn);
    while (port !== undefined && port.kind !== 'root') port = this.portAbove(port);
    const root = port === undefined ? undefined : this.device(port.name);
    const source = this.device(fn.name);
    if (root?.driver instanceof PciePort && source !== undefined) root.driver.error(source, message);
    else if (this.host.trace.on) this.host.trace.emit(ERROR_UNHANDLED, { device: fn.name, ...message });
  }

  *#storeRescan(bytes: Uint8Array): Sleeps<number> {
    const value = parseUnsigned(bytes);
    if (value === undefined) return badValue(this.host, 'rescan', bytes, 'a number');
    if (value !== 0) yield* this.rescan();
    return bytes.length;
  }

  #announce(fn: PciFunction, init: PlugInit, pf?: PciDevice): PciDevice {
    const sysfs = pf === undefined ? this.#sysfsOf(fn) : `${pf.sysfs.slice(0, pf.sysfs.lastIndexOf('/'))}/${fn.name}`;
    const device = new PciDevice(this, fn, sysfs, pf);
    device.lineUnconnected = init.irq === IRQ_NOTCONNECTED;
    if (this.host.profile.aerReportsByCore || fn.isBridge) enableErrorReporting(device);
    const join = (): void => {
      this.#join(device, init.group);
      fn.iommuGroup = device.iommuGroup;
    };
    if (this.#iommu?.describedByFirmware === true) device.configureDma = join;
    this.announce(device);
    if (device.configureDma === undefined) join();
    return device;
  }

  /** The group by its number, or by the topology of what is there already: pci_device_group(). */
  #join(device: PciDevice, id: number | null | undefined): void {
    if (this.#iommu === undefined || id === null) return;
    const known = id === undefined ? this.#groupByTopology(device) : this.#groups.get(id);
    if (known !== undefined && known.devices.length > 0) known.addDevice(device);
    else {
      const group = this.#iommu.addGroup([device], id);
      this.#groups.set(group.id, group);
    }
  }

  #groupByTopology(device: PciDevice): IommuGroup | undefined {
    const facts = this.devices.map((each) => ({ ...pciFacts(each.name, each.function.config.bytes), vendor: each.vendor, device: each.deviceId }));
    const found = new IommuGrouping(facts, this.#grouping).find(device.name, (name) => this.device(name)?.iommuGroup);
    if (found !== undefined && this.host.trace.on) this.host.trace.emit(GROUP_JOINED, { group: found.group.id, ...found.join });
    return found?.group;
  }

  #sysfsOf(fn: PciFunction): string {
    const { domain, bus } = fn.address;
    const root = `/sys/devices/pci${domain.toString(16).padStart(4, '0')}:00`;
    const bridge = this.#places.bridgeTo(domain, bus);
    return `${bridge?.sysfs ?? root}/${fn.name}`;
  }

  #place(fn: PciFunction, bar: Bar): void {
    if (bar.address !== 0 || bar.shadow) return;
    // A page of its own for each BAR, so that every one can be mapped.
    const align = rangeOf(bar);
    bar.address = this.#allocate(fn, bar, align, align);
    if (bar.index <= PCI_ROM_RESOURCE) setBarAddress(fn.config.bytes, bar, bar.address);
  }

  /** The slices of all VFs that there can be, one behind the other. */
  #placeVirtual(fn: PciFunction, bar: Bar): void {
    if (bar.address !== 0 || fn.sriov === undefined) return;
    bar.address = this.#allocate(fn, bar, bar.size * fn.sriov.totalVfs, bar.size);
    fn.sriov.setBar(bar);
  }

  #allocate(fn: PciFunction, bar: Bar, size: number, align: number): number {
    const io = bar.kind === 'io';
    const reused = this.#freeRanges.findIndex((range) => range.io === io && range.size === size && range.address % align === 0);
    if (reused >= 0) return this.#freeRanges.splice(reused, 1)[0]!.address;
    const address = Math.ceil((io ? this.#nextPort : this.#nextAddress) / align) * align;
    const end = rangeEnd(address, size);
    if (end > (io ? 0x1_0000 : this.#windowEnd)) throw new RangeError(`"window" expected room for BAR ${bar.index} of ${fn.name}, size 0x${size.toString(16)}`);
    if (io) this.#nextPort = end;
    else this.#nextAddress = end;
    return address;
  }
}

/** The kernel writes the BARs of a function that it finds; a ROM's only when somebody enables it: pci_std_update_resource(). */
function assignBars(fn: PciFunction): void {
  for (const bar of fn.bars) {
    if (bar.address !== 0 && !bar.shadow && !bar.slice && bar.index !== PCI_ROM_RESOURCE) setBarAddress(fn.config.bytes, bar, bar.address);
  }
}

/** How much room a BAR takes. */
function rangeOf(bar: Bar): number {
  return bar.kind === 'io' || bar.size >= 4096 ? bar.size : 4096;
}

/** Whether a function is on one of the buses behind a port. */
function isBehind(port: PciPort, fn: PciFunction): boolean {
  const { bytes } = port.config;
  return fn.address.domain === port.address.domain && fn.address.bus >= bytes[PCI_SECONDARY_BUS]! && fn.address.bus <= bytes[PCI_SUBORDINATE_BUS]!;
}

/** pci_enable_pcie_error_reporting(), where the device has AER. */
function enableErrorReporting({ express, function: fn }: PciDevice): void {
  if (express === 0 || findExtendedCapability(fn.config.bytes, PCI_EXT_CAP_ID_ERR) === 0) return;
  fn.configWrite(express + PCI_EXP_DEVCTL, 2, fn.configRead(express + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_ERRORS);
}

/** Before anything of the bus is there. @throws TypeError for a part of another host; RangeError for a window over RAM */
function checkParts(host: Host, { msi, iommu, window }: PciBusInit): void {
  assertSameHost(host, msi, 'msi', 'an MSI controller', 'the PCI bus');
  assertSameHost(host, iommu, 'iommu', iommu?.name ?? 'an IOMMU', 'the PCI bus');
  if (window === undefined) return; // a machine whose BARs all have addresses does not use the usual one
  const ram = host.memory.ram.ranges.find(({ base, size }) => overlaps(window.base, window.size, base, size));
  if (ram !== undefined) throw new RangeError(`"window" expected addresses without RAM, got ${range(window)}, over the RAM at ${range(ram)}`);
}

/** A range of addresses for an error. */
function range({ base, size }: { readonly base: number; readonly size: number }): string {
  return `${hex(base)} size ${hex(size)}`;
}
