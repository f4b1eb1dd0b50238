import type { DmaLogger, Sleeps, Vfio } from '@vsim/vfio-core';
import { VfioMigratingPciDevice, VfioPciDriver, type PciDevice, type VfioPciDevice, type VfioPciDeviceInit } from '@vsim/vfio-pci';
import { NvmeController } from './controller.ts';

/** An NVMe controller given to user space: a vfio-pci device with migration and a log of the pages that it writes. */
export class VfioNvme extends VfioMigratingPciDevice {
  readonly #controller: NvmeController;

  /** @param controller the hardware behind `device` */
  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, controller: NvmeController) {
    super(vfio, device, init, controller);
    this.#controller = controller;
  }

  /** The controller's own log of the pages that it writes. */
  override get dmaLogger(): DmaLogger {
    return this.#controller.dmaLog;
  }

  /** The last close: as vfio-pci, and logging ends. */
  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.#controller.dmaLog.stop();
  }
}

/** The VFIO driver of the NVMe controller: vfio-pci with migration and DMA logging. It takes a controller only by driver_override. */
export class VfioNvmeDriver extends VfioPciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. */
  override readonly name: string = 'nvme-vfio-pci';

  /** By `driver_override`, and only an NvmeController. */
  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof NvmeController;
  }

  /** A VfioNvme for an NvmeController. */
  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof NvmeController ? new VfioNvme(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
