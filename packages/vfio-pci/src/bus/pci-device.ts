/**
 * A PCI function as the kernel holds it: struct pci_dev. The hardware itself is a PciFunction, which outlives it (remove and rescan).
 */
import { Device, type HostIrq } from '@vsim/vfio-core';
import { findCapability, read16 } from '../pci/capabilities.ts';
import type { PciFunction } from '../pci/pci-function.ts';
import { PCI_CAP_ID_EXP, PCI_CAP_ID_PM, PCI_DEVICE_ID, PCI_INTERRUPT_PIN, PCI_VENDOR_ID } from '../pci/registers.ts';
import type { VectorKind } from './irq-vectors.ts';
import type { PciBus } from './pci-bus.ts';
import { probeResetMethods } from './reset.ts';
import type { SavedState } from './saved-state.ts';

/** What the kernel believes of the power state; unknown until a driver or the kernel has looked. */
export type PowerState = 'unknown' | 'D0' | 'D1' | 'D2' | 'D3hot';

export type ResetMethod = 'flr' | 'af_flr' | 'pm' | 'bus';

export class PciDevice extends Device {
  override readonly isBridge: boolean;
  readonly bus: PciBus;
  readonly function: PciFunction;
  /** Offset of the PCI Express capability; 0 on a conventional device. */
  readonly express: number;
  /** Offset of the power management capability; 0 if there is none. */
  readonly pm: number;
  /** pci_enable_device(), counted. */
  enableCount = 0;
  powerState: PowerState = 'unknown';
  /** What of the function resets works, in the order in which it is tried. */
  readonly resetMethods: readonly ResetMethod[];
  /** The configuration of a device that sleeps by runtime power management. */
  suspended: SavedState | undefined = undefined;
  /** Vectors of pci_alloc_irq_vectors(), and of which kind they are. */
  vectorKind: VectorKind | undefined = undefined;
  irqVectors: readonly HostIrq[] = [];
  /** PF whose VFs exist: vfio-pci refuses such a device. */
  virtualFunctions = 0;

  constructor(bus: PciBus, fn: PciFunction, sysfs: string) {
    super(bus.host, fn.name, sysfs);
    this.bus = bus;
    this.function = fn;
    this.isBridge = fn.isBridge;
    this.express = findCapability(fn.config.bytes, PCI_CAP_ID_EXP);
    this.pm = findCapability(fn.config.bytes, PCI_CAP_ID_PM);
    this.resetMethods = probeResetMethods(this);
  }

  get vendor(): number {
    return read16(this.function.config.bytes, PCI_VENDOR_ID);
  }

  get deviceId(): number {
    return read16(this.function.config.bytes, PCI_DEVICE_ID);
  }

  get interruptPin(): number {
    return this.function.config.bytes[PCI_INTERRUPT_PIN]!;
  }

  get configSize(): number {
    return this.function.config.size;
  }

  override createAttributes(): void {
    super.createAttributes();
    this.createDriverOverride();
    this.bus.createDeviceAttributes(this);
  }
}
