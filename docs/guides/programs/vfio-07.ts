/** Patch 7: a graphics card leaves vfio-pci while the VGA arbiter asks its clients; and the arbiter refuses a client. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { buildConfig, PciBus, PciFunction, STEP_UNDONE, VfioPciDriver, VGA_ARBITER_ALLOCATION } from '@vsim/vfio-pci';

const CARD = '0000:00:02.0';
const BARS = [{ index: 0, size: 0x1000 }] as const;

function machine(without: readonly SeriesPatch[], refused: boolean) {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  if (refused) host.faults.failNext(VGA_ARBITER_ALLOCATION);
  const config = buildConfig({ vendor: 0x1234, device: 0x1111, class: 0x03_0000, bars: BARS });
  const card = bus.plug(new PciFunction(host, { address: CARD, config, bars: BARS }));
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  return { host, bus, card, admin: new Process(host, { name: 'admin' }) };
}

function unbindWhileAsked(without: readonly SeriesPatch[]): void {
  const { host, bus, card, admin } = machine(without, false);
  openDevice(admin, CARD, { driver: 'vfio-pci' }).close();
  bus.vga.access(card); // from its first use on the arbiter asks its clients
  const events = host.trace.record();
  host.scheduler.stopAt(STEP_UNDONE.device); // remove has freed the driver's structure
  admin.start('unbind', admin.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', CARD));
  console.log('  remove has freed the structure; the arbiter has a client:', bus.vga.hasClient(card));
  bus.vga.notifyClients();
  for (const { severity, id, text } of events) if (severity === 'bug') console.log(`  ${id}: ${text}`);
}

function refused(without: readonly SeriesPatch[]): void {
  const { host, card, admin } = machine(without, true);
  const events = host.trace.record();
  admin.writeFile(`/sys/bus/pci/devices/${CARD}/driver_override`, 'vfio-pci');
  admin.writeFile('/sys/bus/pci/drivers_probe', CARD);
  console.log('  the arbiter refuses the card, whose driver is then', card.driverName ?? 'none');
  for (const { severity, id, text } of events) if (severity === 'bug') console.log(`  ${id}: ${text}`);
}

for (const [title, without] of [['before', [7]], ['after', []]] as const) {
  console.log(title);
  unbindWhileAsked(without);
  refused(without);
}
