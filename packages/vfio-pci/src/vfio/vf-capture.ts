import { eventKind, type BusEvent, type BusListener, type EventKind } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';

/** A VF appeared, and is kept for the PF's driver. */
export const VF_CAPTURED: EventKind<{ readonly device: string; readonly pf: string; readonly driver: string }> = eventKind(
  'vfio-pci/vf-captured',
  'info',
  ({ device, pf, driver }) => `${device}: VF of ${pf}, driver_override set to ${driver}`,
);
/** A VF of a PF that a user owns went to another driver: the user of the PF may do what it likes to that driver's device. */
export const VF_NATIVE_DRIVER: EventKind<{ readonly device: string; readonly pf: string; readonly driver: string }> = eventKind(
  'vfio-pci/vf-native-driver',
  'warn',
  ({ device, pf, driver }) => `${device}: VF of ${pf}, which is under user control, bound to ${driver}`,
);

/** The bus notifier of a PF of vfio-pci: its new VFs are VFIO's, too. Kernel: vfio_pci_bus_notifier(). */
export class VfCapture implements BusListener<PciDevice> {
  readonly #driver: string;
  readonly #pf: PciDevice;

  constructor(driver: string, pf: PciDevice) {
    this.#driver = driver;
    this.#pf = pf;
  }

  busEvent(event: BusEvent, device: PciDevice): void {
    if (device.physicalFunction !== this.#pf) return;
    const { trace } = device.host;
    const fields = { device: device.name, pf: this.#pf.name };
    if (event === 'add') {
      device.driverOverride = this.#driver;
      trace.emit(VF_CAPTURED, { ...fields, driver: this.#driver });
    } else if (event === 'bound' && device.driverName !== undefined && device.driverName !== this.#driver) {
      trace.emit(VF_NATIVE_DRIVER, { ...fields, driver: device.driverName });
    }
  }
}
