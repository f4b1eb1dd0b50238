import { DriverData, type Sleeps } from '@vsim/vfio-core';
import type { ErrorMessage } from '../pci/aer.ts';
import { PciPort } from '../pci/pci-port.ts';
import { PCI_EXP_FLAGS, PCI_EXP_FLAGS_TYPE, PCI_EXP_TYPE_DOWNSTREAM, PCI_EXP_TYPE_ROOT_PORT, PCI_EXP_TYPE_UPSTREAM } from '../pci/registers.ts';
import { NOT_PORT } from './bus-reasons.ts';
import { createWakeupFiles } from './device-folders.ts';
import { handleError } from './error-recovery.ts';
import type { PciDevice } from './pci-device.ts';
import { PCI_ANY_ID, PciDriver, pciId, type PciDeviceId } from './pci-driver.ts';
import { HotplugController } from './pciehp.ts';

/**
 * The driver of PCI Express ports and its services: hot plug for a slot, errors and PME of what is below a root port. Kernel: portdrv.c.
 *
 * Other bridges it refuses.
 */
export class PciePort extends PciDriver {
  /** As `driver_override` and the folder below /sys/bus/pci/drivers have it. */
  override readonly name: string = 'pcieport';
  /** True: it may bind while user space owns the group's DMA. */
  override readonly managesDma: boolean = true;
  /** Every PCI-to-PCI bridge, by its class. */
  override readonly ids: readonly PciDeviceId[] = [pciId(PCI_ANY_ID, PCI_ANY_ID, 0x06_0400, 0xff_ff00)];
  readonly #slots = new DriverData<PciDevice, HotplugController>();

  /**
   * pcie_portdrv_probe(): starts the services of the port.
   *
   * @returns 0, or -EINVAL for a bridge that is no root port and no port of a switch
   */
  override *probe(device: PciDevice): Sleeps<number> {
    const { express, host, name } = device;
    if (express === 0) return host.refusals.refuse(NOT_PORT, { device: name, type: undefined });
    const type = (device.function.config.bytes[express + PCI_EXP_FLAGS]! & PCI_EXP_FLAGS_TYPE) >> 4;
    const isPort = type === PCI_EXP_TYPE_ROOT_PORT || type === PCI_EXP_TYPE_UPSTREAM || type === PCI_EXP_TYPE_DOWNSTREAM;
    if (!isPort) return host.refusals.refuse(NOT_PORT, { device: name, type });
    if (type === PCI_EXP_TYPE_ROOT_PORT) for (const each of [device, ...device.bus.below(device)]) createWakeupFiles(each);
    const { function: fn } = device;
    if (fn instanceof PciPort && fn.slot !== undefined) this.#slots.set(device, new HotplugController(device, fn, fn.slot));
    return 0;
  }

  /** Ends the hot plug of its slot. */
  override *remove(device: PciDevice): Sleeps<void> {
    this.#slots.get(device)?.stop();
    this.#slots.clear(device);
  }

  /** The slot below a port. */
  slot(device: PciDevice): HotplugController | undefined {
    return this.#slots.get(device);
  }

  /** The AER interrupt of a root port: a kernel thread handles it. Kernel: aer_irq(), aer_isr(). */
  error(source: PciDevice, message: ErrorMessage): void {
    source.host.scheduler.spawn(`aer ${source.name}`, handleError(source, message));
  }
}
