/** Patch 3: user space opens a device between its publication and the return of the call that published it. */
import { ApicMsi, BEFORE_SERIES, Host, openDevice, Process, REGISTERED, Vfio, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';

const EDU = '0000:00:02.0';

function openDuringProbe(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  bus.plug(createEdu(host, EDU));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  const events = host.trace.record();

  const admin = new Process(host, { name: 'admin' });
  admin.writeFile(`/sys/bus/pci/devices/${EDU}/driver_override`, 'vfio-pci');
  host.scheduler.stopAt(REGISTERED); // the device is public, and probe has not gone on
  const probe = admin.start('bind', admin.sys.writeFile('/sys/bus/pci/drivers_probe', EDU));
  const { device } = openDevice(new Process(host, { name: 'user' }), EDU);
  console.log(title);
  console.log(`  the user has fd ${device}, while the probe is ${probe.outcome.state}`);
  for (const { text } of events.filter(({ id }) => id === BEFORE_SERIES.id)) console.log('  told:', text);
  host.scheduler.release(REGISTERED);
  console.log('  the probe is', probe.outcome.state);
}

openDuringProbe('before', [3]);
openDuringProbe('after', []);
