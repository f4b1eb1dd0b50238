/** Patch 2: one device waits for its user to let go, and another device is taken away meanwhile. */
import { ApicMsi, BEFORE_SERIES, Host, openDevice, Process, setIrqTriggers, Vfio, VFIO_PCI_REQ_IRQ_INDEX, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';

const [A, B] = ['0000:00:02.0', '0000:00:03.0'] as const;

function unbindBoth(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  for (const address of [A, B]) bus.plug(createEdu(host, address));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  const events = host.trace.record();

  // The user of A has an eventfd that asks for the device back. B is bound, and nobody has it open.
  const user = new Process(host, { name: 'user' });
  const a = openDevice(user, A, { driver: 'vfio-pci' });
  openDevice(user, B, { driver: 'vfio-pci' }).close();
  const request = user.eventfd();
  setIrqTriggers(user, a.device, VFIO_PCI_REQ_IRQ_INDEX, 0, [request]);

  const admin = new Process(host, { name: 'admin' });
  const unbind = (address: string) => admin.start('unbind', admin.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', address));
  const waiting = unbind(A);
  host.scheduler.advance(3e9);
  unbind(B);
  console.log(title);
  console.log('  3 s after the unbind of A, its user has been asked', String(user.readEventfd(request)), 'times');
  a.close();
  console.log('  the user has closed A: the unbind is', waiting.finished ? 'done' : 'waiting');
  for (const { text } of events.filter(({ id }) => id === BEFORE_SERIES.id)) console.log('  told:', text);
}

unbindBoth('before', [2]);
unbindBoth('after', []);
