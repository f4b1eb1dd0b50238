import {
  VFIO_DEVICE_FEATURE_SET,
  checkFeature,
  type EventFdContext,
  type FeatureArgument,
  type Process,
} from '@vsim/vfio-core';
import { LOW_POWER } from './vfio-pci-reasons.ts';

const WAKEUP_SIZE = 8;

/** The low power features (6.1): the user lets the device sleep until it is next touched. Kernel: vfio_pci_core_pm_entry(). */
export class LowPower {
  readonly #device: string;
  #entered = false;
  #wakeup: EventFdContext | undefined;

  /** `device`: its name, for whoever is refused. */
  constructor(device: string) {
    this.#device = device;
  }

  get entered(): boolean {
    return this.#entered;
  }

  enter(flags: number, data: FeatureArgument): number {
    const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, 0);
    return go <= 0 ? go : this.#enter(data, undefined);
  }

  enterWithWakeup(process: Process, flags: number, data: FeatureArgument): number {
    const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, WAKEUP_SIZE);
    if (go <= 0) return go;
    const bytes = data.copyIn(WAKEUP_SIZE);
    if (bytes === undefined) return data.argument.fault();
    const fd = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
    if (fd < 0) return data.argument.refuse(LOW_POWER, { device: this.#device, fd });
    const context = process.eventFdContext(fd);
    return typeof context === 'number' ? context : this.#enter(data, context);
  }

  exit(flags: number, data: FeatureArgument): number {
    const go = checkFeature(data, flags, VFIO_DEVICE_FEATURE_SET, 0);
    if (go <= 0) return go;
    this.leave();
    return 0;
  }

  /** The device is touched: with an eventfd to tell, that ends the low power state. */
  touched(): void {
    if (this.#wakeup === undefined) return;
    const wakeup = this.#wakeup;
    this.leave();
    wakeup.signal();
  }

  /** Ends it: also at the last close. */
  leave(): void {
    this.#entered = false;
    this.#wakeup = undefined;
  }

  #enter({ argument }: FeatureArgument, wakeup: EventFdContext | undefined): number {
    if (this.#entered) return argument.refuse(LOW_POWER, { device: this.#device, fd: undefined });
    this.#entered = true;
    this.#wakeup = wakeup;
    return 0;
  }
}
