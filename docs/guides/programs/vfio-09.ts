/** Patch 9: the last user has closed the device, and remove has not gone on: what does the driver find at its device? */
import { ApicMsi, Host, LAST_PUT, openDevice, Process, Vfio, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';

const EDU = '0000:00:02.0';

function closeWhileRemoved(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const edu = bus.plug(createEdu(host, EDU));
  const driver = new VfioPciDriver(new Vfio(host));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(driver));
  const data = () => (driver.vfioDevice(edu) === undefined ? 'NULL' : 'its structure');

  const user = new Process(host, { name: 'user' });
  const opened = openDevice(user, EDU, { driver: 'vfio-pci' });
  const admin = new Process(host, { name: 'admin' });
  host.scheduler.stopAt(LAST_PUT);
  const unbind = admin.start('unbind', admin.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', EDU));
  console.log(title);
  console.log(`  remove is ${unbind.outcome.state}; the driver finds`, data());
  user.close(opened.device);
  console.log(`  the user has closed it, remove is ${unbind.outcome.state}; the driver finds`, data());
}

closeWhileRemoved('before', [9]);
closeWhileRemoved('after', []);
