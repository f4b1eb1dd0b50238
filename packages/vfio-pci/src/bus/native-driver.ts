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

export interface NativeDriverInit {
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

export class NativeDriver extends PciDriver {
  override readonly name: string;
  override readonly ids: readonly PciDeviceId[];
  override readonly managesDma: boolean;
  readonly #vectors: number;
  readonly #leavesSavedState: boolean;
  readonly #sriov: NativeDriverInit['sriov'];

  constructor(name: string, init: NativeDriverInit = {}) {
    super();
    this.name = name;
    this.ids = init.ids ?? [];
    this.managesDma = init.managesDma ?? false;
    this.#vectors = init.vectors ?? 0;
    this.#leavesSavedState = init.leavesSavedState ?? false;
    this.#sriov = init.sriov;
  }

  override *probe(device: PciDevice): Sleeps<number> {
    enableDevice(device);
    setMaster(device, true);
    if (this.#vectors > 0 && device.function.msix !== undefined) allocateVectors(device, device.bus.msi, 'msix', this.#vectors);
    return 0;
  }

  override *remove(device: PciDevice): Sleeps<void> {
    if (this.#sriov === 'taken-away' && device.sriov !== undefined) yield* device.sriov.disable();
    freeVectors(device, device.bus.msi);
    if (this.#leavesSavedState) device.suspended = saveState(device.function);
    disableDevice(device);
  }

  override sriovConfigure(device: PciDevice, count: number): Sleeps<number> {
    return this.#sriov === undefined || device.sriov === undefined ? super.sriovConfigure(device, count) : device.sriov.configure(count);
  }
}

/** pci-stub: keeps other drivers away, and touches nothing. */
export class PciStub extends PciDriver {
  override readonly name: string = 'pci-stub';
  override readonly managesDma: boolean = true;

  override *probe(_device: PciDevice): Sleeps<number> {
    return 0;
  }

  override *remove(_device: PciDevice): Sleeps<void> {
    // It had nothing.
  }
}
