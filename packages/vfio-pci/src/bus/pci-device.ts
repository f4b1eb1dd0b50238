import { Device, type Bus, type HostIrq, type MsiController, type Mutex, type Sleeps } from '@vsim/vfio-core';
import { findCapability, findExtendedCapability, read16, read32 } from '../pci/capabilities.ts';
import { idText } from '../pci/ids.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import type { PciPort } from '../pci/pci-port.ts';
import {
  PCI_CAP_ID_EXP,
  PCI_CAP_ID_PM,
  PCI_CAP_ID_SSVID,
  PCI_CAP_ID_VPD,
  PCI_DEVICE_ID,
  PCI_ERR_COR_MASK,
  PCI_EXP_DEVCAP,
  PCI_EXT_CAP_ID_ERR,
  PCI_INTERRUPT_PIN,
  PCI_ROM_RESOURCE,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
} from '../pci/registers.ts';
import { romBarSize } from '../pci/rom.ts';
import { classOf } from './class-of.ts';
import type { PowerState } from './enable.ts';
import { intxMaskable } from './intx-masking.ts';
import type { VectorKind } from './irq-vectors.ts';
import { PciDriver, type ChannelState } from './pci-driver.ts';
import type { ResetMethod } from '../topology/reset-methods.ts';
import { probeResetMethods } from './reset.ts';
import type { SavedState } from './saved-state.ts';
import { Sriov } from './sriov.ts';
import type { VgaArbiter } from './vga-arbiter.ts';

/** Role-based error reporting, and the mask of Advisory Non-Fatal errors. */
const PCI_EXP_DEVCAP_RBER = 0x8000;
const PCI_ERR_COR_ADV_NFAT = 0x2000;
const NO_IMAGE = new Uint8Array(0);

/** The bus as its devices and their drivers know it: who else is there, and how VFs come and go. */
export interface DeviceBus extends Bus<PciDevice> {
  /** Who takes the messages of MSI and MSI-X. */
  readonly msi: MsiController;
  /** Which VGA device answers to the legacy addresses. */
  readonly vga: VgaArbiter;
  /** pci_rescan_remove_lock: one at a time changes what the kernel knows. */
  readonly rescanRemoveLock: Mutex;
  /** The bridge above a device; undefined on the root bus. */
  bridgeOf(device: PciDevice): PciDevice | undefined;
  /** The slot of a hot-plug controller that a device is in, which can reset it. Kernel: struct pci_dev.slot. */
  slotOf(device: PciDevice): { reset(): number } | undefined;
  /** The devices on the same bus as `device`, itself included, in the order of their numbers. */
  siblings(device: PciDevice): readonly PciDevice[];
  /** All devices below a bridge, depth first. */
  below(bridge: PciDevice): readonly PciDevice[];
  /** The highest bus number at or below the bus of a device that is behind a bridge: pci_bus_max_busnr(). */
  lastBusNumber(device: PciDevice): number;
  /** An object for each bus: devices on one are reset together. */
  segment(device: PciDevice): object;
  /** A virtual function appears: it has its slices, a group, and no driver yet. @throws RangeError if its place is taken */
  plugVirtual(pf: PciDevice, fn: PciFunction): PciDevice;
  /** A virtual function goes: unbound, which may sleep, and out of the machine. */
  unplugVirtual(vf: PciDevice): Sleeps<void>;
  /** Finds the functions that the kernel has forgotten, behind a port or everywhere. With rescanRemoveLock held. */
  scan(behind?: PciPort): Sleeps<void>;
  /** sysfs `rescan`. */
  rescan(): Sleeps<void>;
  /** pci_stop_and_remove_bus_device(): what is below goes first. With rescanRemoveLock held; sleeps while users hold a device. */
  stopAndRemove(device: PciDevice): Sleeps<void>;
  /** sysfs `remove`. */
  stopAndRemoveLocked(device: PciDevice): Sleeps<void>;
  /** Functions that are no longer in the machine leave it, once the kernel has let them go. @internal */
  forget(port: PciPort): void;
  /** Puts the device's sysfs files there. @internal */
  createDeviceAttributes(device: PciDevice): void;
}

/** A PCI function as the kernel holds it: struct pci_dev. The hardware itself is a PciFunction, which outlives it (remove and rescan). */
export class PciDevice extends Device {
  /** Header type 1: other functions are below it. */
  override readonly isBridge: boolean;
  /** The host's PCI bus: all functions, whatever bus number they have. */
  readonly bus: DeviceBus;
  /** The hardware, which outlives this. */
  readonly function: PciFunction;
  /** Offset of the PCI Express capability; 0 on a conventional device. */
  readonly express: number;
  /** Offset of the power management capability; 0 if there is none. */
  readonly pm: number;
  /** pci_enable_device(), counted. */
  enableCount = 0;
  /** What the kernel believes, as sysfs `power_state` shows it. */
  powerState: PowerState = 'unknown';
  /** What of the function resets works, in the order in which it is tried; `reset_method` changes it. */
  resetMethods: readonly ResetMethod[];
  /** DisINTx masks INTx, as PCI 2.3 says. */
  readonly masksIntx: boolean;
  /** Offset of the vital product data capability; 0 if there is none. */
  readonly vpd: number;
  /** Where the vital product data end; undefined until somebody has read them. */
  vpdLength: number | undefined = undefined;
  /** The configuration of a device that sleeps by runtime power management. */
  suspended: SavedState | undefined = undefined;
  /** Which kind its vectors are, or were last; undefined before the first. */
  vectorKind: VectorKind | undefined = undefined;
  /** Vectors of pci_alloc_irq_vectors(), by number; empty while there are none. */
  irqVectors: readonly HostIrq[] = [];
  /** Which of them the kernel has masked: its copy of the device's mask bits, for after a reset. */
  maskedVectors: boolean[] = [];
  /** sysfs d3cold_allowed. */
  d3coldAllowed = true;
  /** pci_request_selected_regions(): BARs that a driver has claimed, and the name that it gave. */
  readonly barClaims: Map<number, string> = new Map<number, string>();
  /** Whether its link works. */
  channel: ChannelState = 'normal';
  /** The INTx pin is wired to nothing: IRQ_NOTCONNECTED. Set by the bus. */
  lineUnconnected = false;
  /** The virtual functions of a PF. */
  readonly sriov: Sriov | undefined;
  /** The PF of a virtual function. */
  readonly physicalFunction: PciDevice | undefined;

  /** Made by PciBus. @internal @param sysfs its folder */
  constructor(bus: DeviceBus, fn: PciFunction, sysfs: string, physicalFunction?: PciDevice) {
    super(bus.host, fn.name, sysfs);
    this.bus = bus;
    this.function = fn;
    this.isBridge = fn.isBridge;
    this.express = findCapability(fn.config.bytes, PCI_CAP_ID_EXP);
    this.pm = findCapability(fn.config.bytes, PCI_CAP_ID_PM);
    this.vpd = findCapability(fn.config.bytes, PCI_CAP_ID_VPD);
    this.physicalFunction = physicalFunction;
    this.sriov = fn.sriov === undefined || fn.sriov.totalVfs === 0 ? undefined : new Sriov(this, fn.sriov);
    this.resetMethods = probeResetMethods(this);
    this.masksIntx = intxMaskable(this);
    if (bus.host.profile.powerStateAlwaysKnown) this.powerState = 'D0';
    if (bus.host.profile.unmasksAdvisoryErrors) unmaskAdvisoryErrors(this);
  }

  /** The driver, from the beginning of its probe to the end of its remove. */
  get driver(): PciDriver | undefined {
    const driver = this.driverName === undefined ? undefined : this.bus.driver(this.driverName);
    return driver instanceof PciDriver ? driver : undefined;
  }

  /** pdev->rom: an image from firmware that stands for the ROM that the function lacks, in a kernel that shows it to users; or empty. */
  get firmwareRom(): Uint8Array {
    const own = (this.function.bar(PCI_ROM_RESOURCE)?.address ?? 0) !== 0;
    return this.host.profile.firmwareRoms && !own ? this.function.firmwareRom : NO_IMAGE;
  }

  /** Bytes of the ROM region that the image makes: a power of two, or 0. */
  get firmwareRomSize(): number {
    const { length } = this.firmwareRom;
    return length === 0 ? 0 : romBarSize(length);
  }

  /** pdev->non_mappable_bars, in a kernel that has it. */
  get nonMappableBars(): boolean {
    return this.host.profile.nonMappableBars && this.function.nonMappableBars;
  }

  /** How many VFs are enabled: vfio-pci refuses a PF that has some. */
  get virtualFunctions(): number {
    return this.sriov?.count ?? 0;
  }

  /** Whether it is a virtual function of SR-IOV. */
  get isVirtual(): boolean {
    return this.physicalFunction !== undefined;
  }

  /** Vendor ID, 16 bits. A VF has no ids in its configuration space: they are the PF's to tell. */
  get vendor(): number {
    if (this.physicalFunction !== undefined) return this.physicalFunction.vendor;
    return read16(this.function.config.bytes, PCI_VENDOR_ID);
  }

  /** Device ID, 16 bits; a VF's is VF Device ID in the capability of its PF. */
  get deviceId(): number {
    const virtual = this.physicalFunction?.function.sriov?.vfDevice;
    if (virtual !== undefined) return virtual;
    return read16(this.function.config.bytes, PCI_DEVICE_ID);
  }

  /** `vendor:device`. */
  get idText(): string {
    return idText(this.vendor, this.deviceId);
  }

  /** Interrupt Pin of the header: 1 to 4 for INTA to INTD, 0 for none. */
  get interruptPin(): number {
    return this.function.config.bytes[PCI_INTERRUPT_PIN]!;
  }

  /** Bytes of its configuration space: 256 or 4096. */
  get configSize(): number {
    return this.function.config.size;
  }

  /** Subsystem vendor and device: a bridge has them in a capability, if at all. Kernel: pci_setup_device() */
  get subsystem(): readonly [vendor: number, device: number] {
    const { bytes } = this.function.config;
    const capability = this.isBridge ? findCapability(bytes, PCI_CAP_ID_SSVID) : 0;
    if (this.isBridge && capability === 0) return [0, 0];
    const at = this.isBridge ? capability + 4 : PCI_SUBSYSTEM_VENDOR_ID;
    return [read16(bytes, at), read16(bytes, at + 2)];
  }

  /** pci_uevent(): class, ids, slot name and modalias. */
  protected override get uevents(): readonly string[] {
    const hex = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, '0');
    const [vendor, device] = this.subsystem;
    const kind = classOf(this);
    const alias = `pci:v${hex(this.vendor, 8)}d${hex(this.deviceId, 8)}sv${hex(vendor, 8)}sd${hex(device, 8)}bc${hex(kind >>> 16, 2)}sc${hex((kind >>> 8) & 0xff, 2)}i${hex(kind & 0xff, 2)}`;
    return [`PCI_CLASS=${hex(kind, 4)}`, `PCI_ID=${hex(this.vendor, 4)}:${hex(this.deviceId, 4)}`, `PCI_SUBSYS_ID=${hex(vendor, 4)}:${hex(device, 4)}`, `PCI_SLOT_NAME=${this.name}`, `MODALIAS=${alias}`];
  }

  /** The files of its folder in sysfs: `driver_override`, ids, `config`, `resource`, resets, and those of SR-IOV. */
  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
    this.bus.createDeviceAttributes(this);
    this.sriov?.createAttributes();
  }
}

/** pci_aer_init() of 7.x: a function that reports errors by its role reports advisory ones too. */
function unmaskAdvisoryErrors({ function: fn, express }: PciDevice): void {
  const { bytes } = fn.config;
  const at = findExtendedCapability(bytes, PCI_EXT_CAP_ID_ERR);
  if (at === 0 || express === 0 || (read32(bytes, express + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_RBER) === 0) return;
  fn.configWrite(at + PCI_ERR_COR_MASK, 4, fn.configRead(at + PCI_ERR_COR_MASK, 4) & ~PCI_ERR_COR_ADV_NFAT);
}
