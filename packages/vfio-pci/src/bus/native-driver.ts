/**
 * Drivers that are not VFIO's: a stand-in for a driver of the kernel that uses its device, and pci-stub, which does nothing with it.
 *
 * Modelled: binding, ownership of the group's DMA, the command register, vectors that a driver takes. Not modelled: what it does then.
 */
import type { Sleeps } from '@vsim/vfio-core';
import { disableDevice, enableDevice, setMaster } from './enable.ts';
import { allocateVectors, freeVectors } from './irq-vectors.ts';
import type { PciDevice } from './pci-device.ts';
import { PciDriver, type PciDeviceId } from './pci-driver.ts';
import { saveState } from './saved-state.ts';

/** What a NativeDriver takes, and how it leaves its device. */
export interface NativeDriverInit {
  /** The ids that it knows; it binds other devices by driver_override. @default none */
  readonly ids?: readonly PciDeviceId[] | undefined;
  /** Vectors of MSI-X that it takes, where the device has them. @default 0 */
  readonly vectors?: number | undefined;
  /** It does no DMA of its own, and may bind while user space owns the group's. @default false */
  readonly managesDma?: boolean | undefined;
  /**
   * The configuration that it saved, with bus mastering on, outlives it: the device's next wake-up restores it (e1000e of 6.12).
   * @default false
   */
  readonly leavesSavedState?: boolean | undefined;
  /** It enables VFs; its remove takes them away (igb), or leaves them there (nvme). @default it enables none */
  readonly sriov?: 'taken-away' | 'left' | undefined;
}

/** A stand-in for a driver of the kernel that uses its device: it enables it, with bus mastering, and takes vectors. */
export class NativeDriver extends PciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. */
  override readonly name: string;
  /** The ids that it knows. */
  override readonly ids: readonly PciDeviceId[];
  /** It does no DMA of its own: driver_managed_dma. */
  override readonly managesDma: boolean;
  readonly #vectors: number;
  readonly #leavesSavedState: boolean;
  readonly #sriov: NativeDriverInit['sriov'];

  /** @param name as sysfs has it: `igb` */
  constructor(name: string, init: NativeDriverInit = {}) {
    super();
    this.name = name;
    this.ids = init.ids ?? [];
    this.managesDma = init.managesDma ?? false;
    this.#vectors = init.vectors ?? 0;
    this.#leavesSavedState = init.leavesSavedState ?? false;
    this.#sriov = init.sriov;
  }

  /** Enables the device and takes its vectors. @returns 0 */
  override *probe(device: PciDevice): Sleeps<number> {
    enableDevice(device);
    setMaster(device, true);
    if (this.#vectors > 0 && device.function.msix !== undefined) allocateVectors(device, device.bus.msi, 'msix', this.#vectors);
    return 0;
  }

  /** Takes VFs away where it does, gives vectors back, disables the device. */
  override *remove(device: PciDevice): Sleeps<void> {
    if (this.#sriov === 'taken-away' && device.sriov !== undefined) yield* device.sriov.disable();
    freeVectors(device, device.bus.msi);
    if (this.#leavesSavedState) device.suspended = saveState(device.function);
    disableDevice(device);
  }

  /**
   * Enables VFs where it can.
   *
   * @param count how many; 0 takes them away
   * @returns the count; -ENOENT for a driver that makes none; -EBUSY while there are VFs; -ENOTTY for hardware that makes none
   */
  override sriovConfigure(device: PciDevice, count: number): Sleeps<number> {
    return this.#sriov === undefined || device.sriov === undefined ? super.sriovConfigure(device, count) : device.sriov.configure(count);
  }
}

/** pci-stub: keeps other drivers away, and touches nothing. */
export class PciStub extends PciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. */
  override readonly name: string = 'pci-stub';
  /** True: it may bind while user space owns the group's DMA. */
  override readonly managesDma: boolean = true;

  /** Takes whatever it is given. @returns 0 */
  override *probe(_device: PciDevice): Sleeps<number> {
    return 0;
  }

  /** Leaves the device as it is. */
  override *remove(_device: PciDevice): Sleeps<void> {
    // It had nothing.
  }
}
