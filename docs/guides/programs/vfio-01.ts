/** Patch 1: what three opens of a device take of its group. */
import { ApicMsi, BEFORE_SERIES, getDeviceFd, Host, openDevice, Process, Vfio, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';

function opens(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const vfio = new Vfio(host);
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  bus.plug(createEdu(host, '0000:00:02.0'));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(vfio)));
  const events = host.trace.record();

  const user = new Process(host, { name: 'user' });
  const { group, device, container } = openDevice(user, '0000:00:02.0', { driver: 'vfio-pci' });
  const more = [1, 2].map(() => getDeviceFd(user, group, '0000:00:02.0'));
  console.log(title);
  console.log('  references on the group:', vfio.groups[0]?.references);
  for (const fd of [device, ...more, group, container]) user.close(fd);
  console.log('  when all is closed:', vfio.groups[0]?.references);
  const told = events.filter(({ id }) => id === BEFORE_SERIES.id).map(({ text }) => text);
  console.log('  told:', told.length === 0 ? 'nothing' : `${told.length} times "${told[0] ?? ''}"`);
}

opens('before', [1]);
opens('after', []);
