/** Patch 14: a driver keeps its structure at its device, as dev_set_drvdata() does, before it registers or after. */
import { Bus, Device, Driver, DriverData, Host, Process, Vfio, VfioDevice, VtdIommu, type SeriesPatch, type Sleeps } from '@vsim/vfio-core';

class Sensor extends Device {}

class SensorVfioDevice extends VfioDevice {
  protected override *openDevice(): Sleeps<number> {
    return 0;
  }

  protected override *closeDevice(): Sleeps<void> {
    // There is nothing to stop.
  }
}

class SensorDriver extends Driver<Sensor> {
  override readonly name: string = 'vfio-sensor';
  readonly #vfio: Vfio;
  readonly #keepsEarly: boolean;
  readonly #data = new DriverData<Sensor, SensorVfioDevice>();
  #made: SensorVfioDevice | undefined;

  constructor(vfio: Vfio, keepsEarly: boolean) {
    super();
    this.#vfio = vfio;
    this.#keepsEarly = keepsEarly;
  }

  override match(): boolean {
    return true;
  }

  override *probe(sensor: Sensor): Sleeps<number> {
    const made = (this.#made = new SensorVfioDevice(this.#vfio, sensor));
    if (this.#keepsEarly) this.#data.set(sensor, made);
    const error = yield* made.register();
    if (!this.#keepsEarly) this.#data.set(sensor, made);
    console.log(`  kept ${this.#keepsEarly ? 'before' : 'after'} register; when probe ends:`, this.#found(sensor));
    return error;
  }

  override *remove(sensor: Sensor): Sleeps<void> {
    yield* this.#made?.unregister() ?? [];
    console.log('    when unregister has returned:', this.#found(sensor));
    this.#data.clear(sensor);
    this.#made?.free();
  }

  #found(sensor: Sensor): string {
    return this.#data.get(sensor) === undefined ? 'lost' : 'there';
  }
}

function life(without: readonly SeriesPatch[], keepsEarly: boolean): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new Bus<Sensor>(host, 'sensors');
  const sensor = new Sensor(host, 'sensor0', '/sys/devices/sensor0');
  bus.announce(sensor);
  new VtdIommu(host).addGroup([sensor]);
  const events = host.trace.record();
  host.scheduler.call('modprobe', bus.addDriver(new SensorDriver(new Vfio(host), keepsEarly)));
  new Process(host).writeFile('/sys/bus/sensors/drivers/vfio-sensor/unbind', 'sensor0');
  for (const { severity, id, text } of events) if (severity === 'bug') console.log(`    ${id}: ${text}`);
}

for (const [title, without] of [['before', [14]], ['after', []]] as const) {
  console.log(title);
  life(without, true);
  life(without, false);
}
