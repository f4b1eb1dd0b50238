import { assertSameCore, type Host } from '../host/host.ts';
import { Mutex } from '../host/mutex.ts';
import type { Sleeps } from '../host/scheduler.ts';
import type { IommuGroup } from '../iommu/iommu-group.ts';
import { BAD_VALUE } from './model-reasons.ts';
import type { ModuleUse } from './driver.ts';
import { addUevent } from './uevent.ts';

const PAGE = 4096;
const decoder = new TextDecoder();

/** A device on a bus, as the driver core knows it. A kind of one's own extends it. Kernel: struct device. */
export abstract class Device {
  /** The host that it is a device of. */
  readonly host: Host;
  /** Unique on its bus, e.g. `0000:00:02.0`. */
  readonly name: string;
  /** Its folder, e.g. `/sys/devices/pci0000:00/0000:00:02.0`. */
  readonly sysfs: string;
  /** device_lock(): held while a driver is bound or unbound. */
  readonly lock: Mutex;
  /** The name of the driver that is bound: set when its probe begins, cleared when its remove has returned. */
  driverName: string | undefined = undefined;
  /** The module of that driver. */
  module: ModuleUse | undefined = undefined;
  /** Whose data is kept for the device: a driver's, and without patch 14 of the series that of VFIO's core. Kernel: dev_get_drvdata(). */
  drvdata: object | undefined = undefined;
  /** The only driver that may bind, if set. */
  driverOverride: string | undefined = undefined;
  /** Set by the IOMMU when it learns of the device. */
  iommuGroup: IommuGroup | undefined = undefined;
  /**
   * What the firmware says of its DMA is read, and its IOMMU group comes of it. Done when a driver is first tried, or when the device is added
   * (linux-7.3). Left out, nothing is to be read. Kernel: the bus's dma_configure operation.
   */
  configureDma: (() => void) | undefined = undefined;
  /** The bus that it is on, once announced. */
  busName: string | undefined = undefined;
  /** Its messages go to an interrupt controller that tells devices apart, as an ITS does; a device that sends none has nobody. */
  readonly hasMsiDomain: boolean = true;
  /** A bridge forwards the DMA of others, and does not spoil its group. */
  readonly isBridge: boolean = false;

  /**
   * Makes a device that is on no bus yet: Bus.add() or Bus.announce().
   *
   * @param name unique on its bus
   * @param sysfs its folder, an absolute path
   * @throws TypeError if another copy of @vsim/vfio-core made the host
   */
  constructor(host: Host, name: string, sysfs: string) {
    assertSameCore(host);
    this.host = host;
    this.name = name;
    this.sysfs = sysfs;
    this.lock = new Mutex(host.scheduler, `the device lock of ${name}`);
  }

  /** DEVTYPE of its uevents. Kernel: the name of its struct device_type. @default it has none */
  protected get deviceType(): string | undefined {
    return undefined;
  }

  /** What its firmware and its bus add to its uevents, `KEY=VALUE`. Kernel: of_device_uevent(), the bus's uevent operation. */
  protected get uevents(): readonly string[] {
    return [];
  }

  /** Puts the attributes that every device of this kind has under `this.sysfs`. */
  createAttributes(): void {
    this.host.files.folder(this.sysfs);
    addUevent(this.host, this.sysfs, () => this.#uevent());
  }

  /** dev_uevent() */
  #uevent(): string {
    const type = this.deviceType === undefined ? [] : [`DEVTYPE=${this.deviceType}`];
    const driver = this.driverName === undefined ? [] : [`DRIVER=${this.driverName}`];
    return [...type, ...driver, ...this.uevents].map((line) => `${line}\n`).join('');
  }

  /** The `driver_override` attribute, for buses that have one. Kernel: driver_set_override(). */
  protected createDriverOverride(): void {
    const { lock } = this;
    this.host.files.add(`${this.sysfs}/driver_override`, {
      kind: 'attribute',
      mode: 0o644,
      show: () => this.#showOverride(),
      store: (bytes) => this.#storeOverride(bytes, lock),
    });
  }

  *#showOverride(): Sleeps<string> {
    const locks = this.host.profile.overrideReadLocks;
    if (locks) yield* this.lock.lock();
    const text = `${this.driverOverride ?? '(null)'}\n`;
    if (locks) this.lock.unlock();
    return text;
  }

  *#storeOverride(bytes: Uint8Array, lock: Mutex): Sleeps<number> {
    const line = decoder.decode(bytes).split(/[\n\0]/, 1)[0] ?? '';
    if (bytes.length >= PAGE - 1) {
      return this.host.refusals.refuse(BAD_VALUE, { attribute: 'driver_override', text: line, wants: `less than ${PAGE - 1} bytes` });
    }
    yield* lock.lock();
    this.driverOverride = line === '' ? undefined : line;
    lock.unlock();
    return bytes.length;
  }
}
