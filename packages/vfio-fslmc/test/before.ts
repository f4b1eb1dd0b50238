/**
 * vfio-fsl-mc as it was before the series (5.11): the device is public before its lock, its portal and its mutex are there, and its memory
 * is the driver core's to free. The tests of P5 and P6 run on it as well, to show that they see what the series mended.
 */
import {
  Driver,
  DriverData,
  EINVAL,
  ENODEV,
  eventKind,
  VFIO_DEVICE_SET_IRQS,
  type EventKind,
  type Point,
  type Process,
  type Sleeps,
  type UserArgument,
  type Vfio,
} from '@vsim/vfio-core';
import { setUpDprc, VfioFslMcDevice, type FslMcBus, type FslMcDevice } from '../src/index.ts';

/** The kernel uses what the probe has not made yet. */
export const OOPS: EventKind<{ readonly device: string; readonly what: string }> = eventKind('test/oops', 'bug', ({ device, what }) => `${device}: ${what}`);

const ATTACHED: Point = { point: 'before/lock-attached' };
const INITIALISED: Point = { point: 'before/device-initialised' };

class DeviceBefore extends VfioFslMcDevice {
  hasLock = false;
  hasMutex = false;

  #oops(what: string): void {
    this.device.host.trace.emit(OOPS, { device: this.name, what });
  }

  protected override *openDevice(): Sleeps<number> {
    if (!this.hasLock) this.#oops('open: NULL lock of the container');
    return yield* super.openDevice();
  }

  protected override *closeDevice(): Sleeps<void> {
    if (this.device.container.dprc === undefined) this.#oops('close: reset through a NULL portal');
    yield* super.closeDevice();
  }

  override ioctl(process: Process, request: number, argument: UserArgument): number {
    if (request === VFIO_DEVICE_SET_IRQS && !this.hasMutex) this.#oops('SET_IRQS: uninitialised mutex');
    return super.ioctl(process, request, argument);
  }
}

export class DriverBefore extends Driver<FslMcDevice> {
  override readonly name: string = 'vfio-fsl-mc';
  override readonly managesDma: boolean = true;
  /** devm_kzalloc(): freed by the driver core when remove has returned. */
  readonly managed: DriverData<FslMcDevice, DeviceBefore> = new DriverData<FslMcDevice, DeviceBefore>();
  readonly #bus: FslMcBus;
  readonly #vfio: Vfio;
  readonly #unlisten = new Map<FslMcDevice, () => void>();

  constructor(bus: FslMcBus, vfio: Vfio) {
    super();
    this.#bus = bus;
    this.#vfio = vfio;
  }

  override match(device: FslMcDevice): boolean {
    return device.driverOverride === this.name;
  }

  override *probe(device: FslMcDevice): Sleeps<number> {
    if (this.#vfio.iommuGroupGet(device) === undefined) return -EINVAL;
    const vfioDevice = new DeviceBefore(this.#vfio, device);
    this.managed.set(device, vfioDevice);
    const added = yield* vfioDevice.register(); // vfio_add_group_dev(): live from here on
    if (added < 0) return added;
    const parent = device.isDprc ? undefined : device.parent;
    if (parent !== undefined && this.managed.get(parent) === undefined) {
      yield* vfioDevice.unregister();
      return -ENODEV;
    }
    vfioDevice.hasLock = true;
    yield ATTACHED;
    const error = yield* this.#initDevice(device);
    if (error < 0) {
      yield* vfioDevice.unregister();
      return error;
    }
    yield INITIALISED;
    vfioDevice.hasMutex = true;
    return 0;
  }

  override *remove(device: FslMcDevice): Sleeps<void> {
    yield* this.managed.get(device)?.unregister() ?? [];
    yield* device.dprc?.removeChildren() ?? [];
    device.dprc?.cleanUp();
    this.#unlisten.get(device)?.();
  }

  /** Notifier, portal and scan, all after the device was public. */
  *#initDevice(device: FslMcDevice): Sleeps<number> {
    if (!device.isDprc) return 0;
    const unlisten = this.#bus.listen({
      busEvent: (event, child) => {
        if (event === 'add' && child.parent === device) child.driverOverride = this.name;
      },
    });
    this.#unlisten.set(device, unlisten);
    const error = setUpDprc(this.#bus, device);
    if (error < 0) unlisten();
    return error < 0 || device.dprc === undefined ? error : yield* device.dprc.scan();
  }
}
