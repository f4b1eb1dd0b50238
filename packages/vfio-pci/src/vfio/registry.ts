import { ENOMEM, type FaultPoint, type Vfio } from '@vsim/vfio-core';
import type { PciDevice } from '../bus/pci-device.ts';
import type { VfioPciDevice } from './vfio-pci-device.ts';

/** No memory for the set of the first device of a bus. */
export const DEVICE_SET_ALLOCATION: FaultPoint = { fault: 'vfio-pci/device-set-allocation', error: ENOMEM };

/** Devices that are reset together; a device on a root bus has one of its own. */
export class DeviceSet {
  /** Devices that have joined. */
  members = 0;
}

/**
 * The vfio-pci devices of a host, whatever driver of the kind has them, and the sets that are opened, closed and reset together. Kernel:
 * struct vfio_pci_reflck before 5.15, struct vfio_device_set from then on.
 */
export class VfioPciRegistry {
  readonly #devices = new Map<PciDevice, VfioPciDevice>();
  readonly #sets = new Map<object, DeviceSet>();

  /** The VFIO device that was made for a PCI device, registered or not yet. */
  get(device: PciDevice): VfioPciDevice | undefined {
    return this.#devices.get(device);
  }

  /** A probe has made its structure. */
  add(device: PciDevice, vfioDevice: VfioPciDevice): void {
    this.#devices.set(device, vfioDevice);
  }

  /** The structure of a device is gone. */
  remove(device: PciDevice): void {
    this.#devices.delete(device);
  }

  /** vfio_device_get_from_dev(): the device while it is registered, with a reference that the caller puts. */
  getReference(device: PciDevice): VfioPciDevice | undefined {
    const found = this.#devices.get(device);
    return found?.tryGet() === true ? found : undefined;
  }

  /** How many sets there are. */
  get sets(): number {
    return this.#sets.size;
  }

  /** vfio_pci_reflck_attach(), vfio_assign_device_set(). @returns the set, or -ENOMEM */
  join(device: PciDevice): DeviceSet | number {
    const key = setKey(device);
    const found = this.#sets.get(key);
    if (found !== undefined) {
      found.members += 1;
      return found;
    }
    const error = device.host.faults.at(DEVICE_SET_ALLOCATION);
    if (error < 0) return error;
    const set = new DeviceSet();
    set.members = 1;
    this.#sets.set(key, set);
    return set;
  }

  /** vfio_pci_reflck_put(): the last that leaves takes the set away. */
  leave(device: PciDevice): void {
    const set = this.#sets.get(setKey(device));
    if (set === undefined) return;
    set.members -= 1;
    if (set.members === 0) this.#sets.delete(setKey(device));
  }
}

function setKey(device: PciDevice): object {
  return device.bus.bridgeOf(device) === undefined ? device : device.bus.segment(device);
}

/** The registry of a host: its drivers share one. */
export function registryOf(vfio: Vfio): VfioPciRegistry {
  return vfio.shared(VfioPciRegistry);
}
