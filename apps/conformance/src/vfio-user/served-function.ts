/** A PCI function in a host of its own, bound to vfio-pci and open to be served. */
import { ApicMsi, Host, openDevice, Process, Vfio, VFIO_DEVICE_RESET, VFIO_PCI_CONFIG_REGION_INDEX, VtdIommu } from '@vsim/vfio-core';
import { PciBus, VfioPciDriver, type PciFunction } from '@vsim/vfio-pci';
import { servedDevice, type ServedDevice } from '@vsim/vfio-user';
import { wrapped } from './wrapped.ts';

export const ADDRESS = '0000:00:02.0';

/** An interrupt controller that gives a function no vectors later: MSI-X is NORESIZE, as the recorded servers have it. */
class FixedVectors extends ApicMsi {
  readonly allocatesLater: boolean = false;
}

/** Command and BARs: offsets in configuration space, and bytes. */
const CONFIGURED = [[0x04, 2], [0x10, 24]] as const;

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
 * vfio-pci shows where the host's firmware has put a function, and that its memory is on; after a reset Linux restores Command, of which a client had cleared
 * all but SERR# Enable. The recorded servers have no kernel below. Both are put
 * right by a write, so that all else on the wire is vfio-pci's own.
 *
 * @param make makes it, for the host
 * @param kernel `shown`: without those writes
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

function unconfigured(open: ServedDevice): ServedDevice {
  const clear = (): void => { for (const [offset, length] of CONFIGURED) open.write(VFIO_PCI_CONFIG_REGION_INDEX, offset, new Uint8Array(length)); };
  clear();
  return wrapped(open, {
    ioctl: (request, argument) => {
      const result = open.ioctl(request, argument);
      if (request === VFIO_DEVICE_RESET && result >= 0) clear();
      return result;
    },
  });
}
