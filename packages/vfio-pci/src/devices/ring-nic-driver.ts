/** The VFIO driver of the ring NIC: vfio-pci with migration and DMA logging. It takes a card only by driver_override. */
import type { DmaLogger, Sleeps, Vfio } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import { VfioMigratingPciDevice } from '../vfio/migrating-device.ts';
import type { VfioPciDevice, VfioPciDeviceInit } from '../vfio/vfio-pci-device.ts';
import { VfioPciDriver } from '../vfio/vfio-pci-driver.ts';
import { RingNic } from './ring-nic.ts';

export class VfioRingNic extends VfioMigratingPciDevice {
  readonly #nic: RingNic;

  constructor(vfio: Vfio, device: PciDevice, init: VfioPciDeviceInit, nic: RingNic) {
    super(vfio, device, init, nic);
    this.#nic = nic;
  }

  override get dmaLogger(): DmaLogger {
    return this.#nic.dmaLog;
  }

  protected override *closeDevice(): Sleeps<void> {
    yield* super.closeDevice();
    this.#nic.dmaLog.stop();
  }
}

export class VfioRingNicDriver extends VfioPciDriver {
  override readonly name: string = 'ring-nic-vfio-pci';

  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof RingNic;
  }

  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof RingNic ? new VfioRingNic(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
