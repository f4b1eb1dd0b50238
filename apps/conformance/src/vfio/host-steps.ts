/**
 * What the recorder did to the machine from outside, by commands to its emulator: a device taken out of a slot, and one put in.
 *
 * The machine's slots are firmware's (ACPI hot plug), one below each root port: `rpN` is the port whose bus is N + 1. QEMU's ids of devices
 * are learned from device_add; the device that is in a slot from the start is the one that the recorder's command line called hp0.
 */
import type { PciDevice } from '@vsim/vfio-pci';
import { makeFunction, plugInit } from '@vsim/vfio-pci';
import { toHex, type Fields } from '../json.ts';
import { deviceOf } from '../recorded-machine.ts';
import type { Session } from './session.ts';

/** In a slot when the machine starts. */
const FIRST = new Map([['hp0', '0000:06:00.0']]);
const PORT = /^rp([0-9]+)$/;

export class HostSteps {
  readonly #session: Session;
  readonly #recorded: Fields;
  readonly #places = new Map(FIRST);
  /** Ids of devices that have left since the events were last asked for. */
  #deleted: string[] = [];

  constructor(session: Session, recorded: Fields) {
    this.#session = session;
    this.#recorded = recorded;
  }

  run(step: Fields): void {
    const result = step.object('result');
    switch (step.string('execute')) {
      case 'device_del':
        this.#compareEmpty(result);
        this.#remove(step.object('arguments').string('id'));
        return;
      case 'device_add':
        this.#compareEmpty(result);
        this.#add(step.object('arguments'));
        return;
      case 'x-events':
        this.#compareEvents(result);
        return;
      default:
        this.#session.report.diverge('execute', step.string('execute'), 'not known');
    }
  }

  #compareEmpty(result: Fields): void {
    if (this.#session.report.compare('result', result.keys.join(), 'return')) this.#session.report.compare('result', result.object('return').keys.join(), '');
  }

  /** The guest's kernel is asked, and the device goes when it has let it go. */
  #remove(id: string): void {
    const { bus, host } = this.#session.machine;
    const device = bus.device(this.#places.get(id) ?? '');
    if (device === undefined) {
      this.#session.report.diverge('arguments', `a device ${id}`, 'none');
      return;
    }
    host.scheduler.spawn('kacpi_hotplug', this.#eject(id, device));
  }

  *#eject(id: string, device: PciDevice) {
    yield* this.#session.machine.bus.eject(device);
    this.#places.delete(id);
    this.#deleted.push(id);
  }

  /** A device of the kind that the slot had, as it is when power comes. */
  #add(init: Fields): void {
    const { bus, host } = this.#session.machine;
    const port = PORT.exec(init.string('bus'));
    const address = `0000:${(Number(port?.[1] ?? 0) + 1).toString(16).padStart(2, '0')}:00.0`;
    const devices = this.#recorded.object('devices');
    if (port === null || !devices.has(address) || bus.function(address) !== undefined) {
      this.#session.report.diverge('arguments', `a free slot at ${init.string('bus')}`, address);
      return;
    }
    const described = devices.object(address);
    // Its IOMMU group is found anew: the number is the lowest that is free.
    const device = { ...deviceOf(described), config: toHex(described.bytes('config')), iommu_group: undefined };
    const fn = makeFunction(host, address, device);
    fn.resetFunction();
    this.#places.set(init.string('id'), address);
    host.scheduler.spawn('kacpi_hotplug', bus.hotplug(fn, plugInit(device)));
  }

  /** Devices that have left; parts of a device that QEMU keeps as objects of their own are its affair. */
  #compareEvents(result: Fields): void {
    const told = result.objects('events').flatMap((event) => {
      const data = event.object('data');
      return event.string('event') === 'DEVICE_DELETED' && data.has('device') ? [data.string('device')] : [];
    });
    this.#session.report.compare('result', told.join(), this.#deleted.join());
    this.#deleted = [];
  }
}
