/** The machine behind a served device: a host that has nothing else, and a process that has it open. */
import { ApicMsi, EIO, Host, openDevice, Process, Vfio, VtdIommu, type RecordedState } from '@vsim/vfio-core';
import { NvmeController, VfioNvme } from '@vsim/devices';
import { PciBus, PciPort, VfioMigratingPciDevice, VfioPciDriver, type PciDevice, type PciFunction, type VfioPciDevice, type VfioPciDeviceInit } from '@vsim/vfio-pci';
import { servedDevice, unconfigured, wrapped, type ServedDevice } from '@vsim/vfio-user';

const PORT = '0000:00:01.0';
const ADDRESS = '0000:01:00.0';

/** Makes a device. @param address as `0000:01:00.0` */
export type Maker = (host: Host, address: string) => PciFunction;

/** A device that may be given to a session. */
export interface Machine {
  readonly host: Host;
  /** Its calls throw nothing. */
  readonly device: ServedDevice;
}

/** vfio-pci, with migration for each function that can save its state. */
class ServingDriver extends VfioPciDriver {
  protected override createDevice(device: PciDevice, init: VfioPciDeviceInit): VfioPciDevice {
    const { function: fn } = device;
    if (fn instanceof NvmeController) return new VfioNvme(this.vfio, device, init, fn);
    return isRecorded(fn) ? new VfioMigratingPciDevice(this.vfio, device, init, fn) : super.createDevice(device, init);
  }
}

/** Whether a function has the members of RecordedState, wherever it is declared. */
function isRecorded(fn: PciFunction): fn is PciFunction & RecordedState {
  const member = (name: keyof RecordedState): unknown => Reflect.get(fn, name);
  return typeof member('stateLimit') === 'number' && (['stop', 'start', 'save', 'load'] as const).every((name) => typeof member(name) === 'function');
}

/**
 * Makes a machine with one device.
 *
 * @param failed hears of what the device's code throws when it is used; the access is answered with EIO
 * @param made hears of the host before anything is in it
 * @throws what `make` throws
 */
export function machineOf(make: Maker, failed: (error: unknown) => void, made: (host: Host) => void = () => undefined): Machine {
  const host = new Host();
  made(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  // Below a port of its own, any function can be reset.
  bus.plug(new PciPort(host, { address: PORT, kind: 'root', secondary: 1 }));
  bus.plug(make(host, ADDRESS));
  host.scheduler.call('modprobe', bus.addDriver(new ServingDriver(new Vfio(host))));
  const process = new Process(host, { name: 'server' });
  return { host, device: unconfigured(guarded(servedDevice(process, openDevice(process, ADDRESS, { driver: 'vfio-pci' })), failed)) };
}

/** A device whose code may throw: it is somebody's first draft. */
function guarded(device: ServedDevice, failed: (error: unknown) => void): ServedDevice {
  const guard = (call: () => number): number => {
    try {
      return call();
    } catch (error) {
      failed(error);
      return -EIO;
    }
  };
  return wrapped(device, {
    ioctl: (request, argument) => guard(() => device.ioctl(request, argument)),
    read: (region, offset, into) => guard(() => device.read(region, offset, into)),
    write: (region, offset, from) => guard(() => device.write(region, offset, from)),
    setIrqs: (argument, eventfds) => guard(() => device.setIrqs(argument, eventfds)),
    mapDma: (memory) => guard(() => device.mapDma(memory)),
    unmapDma: (iova, size) => guard(() => device.unmapDma(iova, size)),
    readState: (into) => guard(() => device.readState(into)),
    writeState: (from) => guard(() => device.writeState(from)),
    disconnect: () => void guard(() => (device.disconnect(), 0)),
  });
}
