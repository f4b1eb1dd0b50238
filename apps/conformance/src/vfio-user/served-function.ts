/** A PCI function in a host of its own, bound to vfio-pci and open to be served. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { PciBus, VfioPciDriver, type PciFunction } from '@vsim/vfio-pci';
import { servedDevice, unconfigured, type ServedDevice } from '@vsim/vfio-user';

export const ADDRESS = '0000:00:02.0';

/** An interrupt controller that gives a function no vectors later: MSI-X is NORESIZE, as the recorded servers have it. */
class FixedVectors extends ApicMsi {
  readonly allocatesLater: boolean = false;
}

/** A function that is served, in its machine. */
export interface ServedFunction {
  readonly host: Host;
  /** Who serves it. */
  readonly process: Process;
  readonly device: ServedDevice;
}

/**
 * Serves a function at ADDRESS. Its kernel is one that has an error interrupt for conventional functions, too.
 *
 * @param make makes it, for the host
 * @param kernel `hidden`: nobody has configured it yet, as the recorded servers have it; `shown`: as vfio-pci shows it
 */
export function servedFunction(make: (host: Host) => PciFunction, kernel: 'shown' | 'hidden' = 'hidden'): ServedFunction {
  const host = new Host({ profile: 'linux-7.3' });
  const bus = new PciBus(host, { msi: new FixedVectors(host), iommu: new VtdIommu(host) });
  bus.plug(make(host), { irq: 16 });
  host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  const process = new Process(host, { name: 'server' });
  process.writeFile(`/sys/bus/pci/devices/${ADDRESS}/driver_override`, 'vfio-pci');
  process.writeFile('/sys/bus/pci/drivers_probe', ADDRESS);
  const open = servedDevice(process, openDevice(process, ADDRESS));
  return { host, process, device: kernel === 'shown' ? open : unconfigured(open) };
}
