/**
 * The VFIO driver of the ticker: vfio-pci, and the migration that vfio-pci does not know. Kernel: a variant driver, as mlx5-vfio-pci.
 * It takes a device only by driver_override.
 */
import { VfioMigratingPciDevice, VfioPciDriver, type PciDevice, type VfioPciDevice, type VfioPciDeviceInit } from '@vsim/vfio-pci';
import { TickerFunction } from './ticker.ts';

export class VfioTickerDriver extends VfioPciDriver {
  override readonly name: string = 'vfio-ticker';

  /** Only a ticker, and only by driver_override. */
  override match(device: PciDevice): boolean {
    return device.driverOverride === this.name && device.function instanceof TickerFunction;
  }

  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    return fn instanceof TickerFunction ? new VfioMigratingPciDevice(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}
