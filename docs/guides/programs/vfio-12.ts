/** Patch 12: operations get the VFIO device itself, of the driver's own type. The type checker holds what is said of it. */
import { Bus, Device, Driver, Host, openDevice, Process, Vfio, VfioDevice, VtdIommu, type Sleeps } from '@vsim/vfio-core';

class Sensor extends Device {}

class SensorVfioDevice extends VfioDevice {
  readonly degrees = 21;

  protected override *openDevice(): Sleeps<number> {
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    // There is nothing to stop.
  }

  /** Its own state, without a cast. */
  override read(into: Uint8Array): number {
    console.log('read() is called on the object that was registered:', this === registered[0]);
    return into.fill(this.degrees, 0, 1).length;
  }
}

/** Before, each operation had a `void *` in front, and any driver's state could be given for another's. */
export class Old extends SensorVfioDevice {
  // @ts-expect-error an operation with a pointer to anything does not compile
  override write(deviceData: object, from: Uint8Array): number {
    return from.length + Number(deviceData);
  }
}

const registered: SensorVfioDevice[] = [];

class SensorDriver extends Driver<Sensor> {
  override readonly name: string = 'vfio-sensor';
  override readonly managesDma: boolean = true;

  override match(): boolean {
    return true;
  }

  override *probe(sensor: Sensor): Sleeps<number> {
    const made = new SensorVfioDevice(vfio, sensor);
    registered.push(made);
    return yield* made.register();
  }

  override *remove(): Sleeps<void> {
    yield* registered[0]?.unregister() ?? [];
  }
}

const host = new Host({ profile: 'linux-5.13' });
const vfio = new Vfio(host);
const bus = new Bus<Sensor>(host, 'sensors');
const sensor = new Sensor(host, 'sensor0', '/sys/devices/sensor0');
bus.announce(sensor);
new VtdIommu(host).addGroup([sensor]);
host.scheduler.call('modprobe', bus.addDriver(new SensorDriver()));
const user = new Process(host, { name: 'user' });
const { device } = openDevice(user, 'sensor0');
const byte = new Uint8Array(1);
user.pread(device, byte, 0);
console.log('it is', byte[0], 'degrees');
