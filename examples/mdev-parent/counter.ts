/** An mdev parent of your own: it makes counters, PCI devices with one register that counts its reads. */
// #region imports
import * as core from '@vsim/vfio-core';
import { constant, VfioDevice, type Process, type Sleeps, type UserArgument, type Vfio } from '@vsim/vfio-core';
import { MdevParent, type MdevBus, type MdevDevice } from '@vsim/mdev';

const INSTANCES = 4;
// #endregion imports

// #region device
class Counter extends VfioDevice {
  #reads = 0;

  protected override openDevice(): Sleeps<number> {
    this.#reads = 0;
    return constant(0);
  }

  protected override closeDevice(): Sleeps<void> {
    return constant(undefined);
  }

  override ioctl(_process: Process, request: number, argument: UserArgument): number {
    if (request === core.VFIO_DEVICE_GET_INFO) return core.deviceInfo(argument, core.VFIO_DEVICE_FLAGS_PCI, 1, 0);
    if (request === core.VFIO_DEVICE_GET_IRQ_INFO) return core.irqInfo(argument, () => undefined);
    if (request !== core.VFIO_DEVICE_GET_REGION_INFO) return -core.ENOTTY;
    const region = { flags: core.VFIO_REGION_INFO_FLAG_READ, size: 4, offset: 0 };
    return core.regionInfo(argument, (index) => (index === 0 ? region : undefined));
  }

  override read(into: Uint8Array, offset: number): number {
    if (offset !== 0 || into.length !== 4) return -core.EINVAL;
    core.set(into, [0, 'u32'], (this.#reads += 1));
    return into.length;
  }
}
// #endregion device

// #region parent
export class CounterParent extends MdevParent {
  override readonly maxInstances: number = INSTANCES; // counted by the core
  readonly #vfio: Vfio;

  constructor(bus: MdevBus, vfio: Vfio) {
    super(bus, 'counter', [{ name: 'reads', pretty: 'Counts its reads' }]);
    this.#vfio = vfio;
  }

  override createDevice(mdev: MdevDevice): VfioDevice {
    return new Counter(this.#vfio, mdev);
  }
}
// #endregion parent
