/**
 * The driver vfio-fsl-mc. Kernel: vfio_fsl_mc_probe() after the series; catalogue: vfio 5.5, P5, P6.
 *
 * Probe: IOMMU group, device, container, portal and notifier, register, and only then the scan: children find their container
 * registered. It has no id table: driver_override is the only way.
 */
import { Driver, DriverData, EINVAL, ENODEV, eventKind, type EventKind, type Sleeps, type Vfio } from '@vsim/vfio-core';
import { setUpDprc } from '../bus/dprc.ts';
import type { FslMcBus } from '../bus/fslmc-bus.ts';
import type { FslMcDevice } from '../bus/fslmc-device.ts';
import { VfioFslMcDevice } from './vfio-fslmc-device.ts';

/** An object of a container in user space was bound to a driver of the kernel. */
export const FOREIGN_DRIVER: EventKind<{ readonly device: string; readonly driver: string }> = eventKind(
  'vfio-fsl-mc/foreign-driver',
  'warn',
  ({ device, driver }) => `${device}: object was bound to ${driver} while its container is bound to vfio-fsl-mc`,
);

interface Bound {
  readonly vfioDevice: VfioFslMcDevice;
  /** Takes the notifier of a container away. */
  readonly unlisten: (() => void) | undefined;
}

export class VfioFslMcDriver extends Driver<FslMcDevice> {
  override readonly name: string = 'vfio-fsl-mc';
  override readonly managesDma: boolean = true;
  readonly #vfio: Vfio;
  readonly #bus: FslMcBus;
  readonly #bound = new DriverData<FslMcDevice, Bound>();
  #notifiers = 0;

  constructor(bus: FslMcBus, vfio: Vfio) {
    super();
    this.#bus = bus;
    this.#vfio = vfio;
  }

  override match(device: FslMcDevice): boolean {
    return device.driverOverride === this.name;
  }

  vfioDevice(device: FslMcDevice): VfioFslMcDevice | undefined {
    return this.#bound.get(device)?.vfioDevice;
  }

  /** Bus notifiers of containers: one for each that is bound. */
  get notifiers(): number {
    return this.#notifiers;
  }

  override *probe(device: FslMcDevice): Sleeps<number> {
    if (this.#vfio.iommuGroupGet(device) === undefined) return -EINVAL;
    const error = yield* this.#probeInGroup(device);
    if (error < 0) this.#vfio.iommuGroupPut(device);
    return error;
  }

  override *remove(device: FslMcDevice): Sleeps<void> {
    const bound = this.#bound.get(device);
    if (bound === undefined) return;
    yield* bound.vfioDevice.unregister();
    yield* device.dprc?.removeChildren() ?? [];
    this.#uninit(device, bound.unlisten);
    this.#bound.clear(device);
  }

  *#probeInGroup(device: FslMcDevice): Sleeps<number> {
    const shared = device.isDprc || device.host.profile.fslmcDeviceSet;
    if (!shared && !this.#registered(device.parent)) return -ENODEV;
    const vfioDevice = new VfioFslMcDevice(this.#vfio, device);
    const unlisten = device.isDprc ? this.#listen(device) : undefined;
    const ready = device.isDprc ? setUpDprc(this.#bus, device) : 0;
    if (ready < 0) {
      unlisten?.();
      return ready;
    }
    const error = yield* vfioDevice.register();
    if (error < 0) return this.#unwind(device, unlisten, error);
    const scanned = device.dprc === undefined ? 0 : yield* device.dprc.scan();
    if (scanned === 0) {
      this.#bound.set(device, { vfioDevice, unlisten });
      return 0;
    }
    yield* device.dprc?.removeChildren() ?? [];
    yield* vfioDevice.unregister();
    return this.#unwind(device, unlisten, scanned);
  }

  /** vfio_device_get_from_dev(): also while the probe that registered it has not returned. */
  #registered(device: FslMcDevice | undefined): boolean {
    return this.#vfio.groups.some(({ devices }) => devices.some((other) => other.device === device && other.references > 0));
  }

  /** vfio_fsl_mc_bus_notifier(): the objects of this container are for user space. */
  #listen(container: FslMcDevice): () => void {
    this.#notifiers += 1;
    const stop = this.#bus.listen({
      busEvent: (event, device) => {
        if (device.parent !== container) return;
        if (event === 'add') device.driverOverride = this.name;
        else if (event === 'bound' && device.driverName !== this.name) {
          container.host.trace.emit(FOREIGN_DRIVER, { device: device.name, driver: device.driverName ?? '' });
        }
      },
    });
    return () => {
      this.#notifiers -= 1;
      stop();
    };
  }

  #uninit(device: FslMcDevice, unlisten: (() => void) | undefined): void {
    if (!device.isDprc) return;
    device.dprc?.cleanUp();
    unlisten?.();
  }

  #unwind(device: FslMcDevice, unlisten: (() => void) | undefined, error: number): number {
    this.#uninit(device, unlisten);
    return error;
  }
}
