import type { DmaLogger, Sleeps, Vfio } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { VfioMigratingPciDevice } from '../vfio/migrating-device.ts';
import type { VfioPciDevice, VfioPciDeviceInit } from '../vfio/vfio-pci-device.ts';
import { VfioPciDriver } from '../vfio/vfio-pci-driver.ts';
import { RingNic } from './ring-nic.ts';

/** A ring NIC given to user space: a vfio-pci device with migration and a log of the pages that it writes. */
export class VfioRingNic extends VfioMigratingPciDevice {
  readonly #nic: RingNic;

  /** @param nic the hardware behind `device` */
  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, nic: RingNic) {
    super(vfio, device, init, nic);
    this.#nic = nic;
  }

  /** The card's own log of the pages that it writes. */
  override get dmaLogger(): DmaLogger {
    return this.#nic.dmaLog;
  }

  /** The last close: as vfio-pci, and logging ends. */
  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.#nic.dmaLog.stop();
  }
}

/** The VFIO driver of the ring NIC: vfio-pci with migration and DMA logging. It takes a card only by driver_override. */
export class VfioRingNicDriver extends VfioPciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. */
  override readonly name: string = 'ring-nic-vfio-pci';

  /** By `driver_override`, and only a RingNic. */
  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof RingNic;
  }

  /** A VfioRingNic for a RingNic. */
  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof RingNic ? new VfioRingNic(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
