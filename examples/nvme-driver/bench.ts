/** The machine that the driver runs on: one NVMe controller behind an IOMMU. */
import { ApicMsi, Host, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { PciBus, VfioPciDriver } from '@vsim/vfio-pci';
import { NvmeDevice } from './nvme-device.ts';

export const ADDRESS = '0000:00:04.0';

// #region bench
export function bench(): { readonly host: Host; readonly disk: NvmeDevice; readonly process: Process } {
  const host = new Host();
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const disk = new NvmeDevice(host, ADDRESS);
  bus.plug(disk);
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  return { host, disk, process: new Process(host, { name: 'driver' }) };
}
// #endregion bench
