/** Patch 6: somebody comes to vfio-fsl-mc's structure after remove has returned, and before the driver core has cleaned up. */
import { ApicMsi, BEFORE_SERIES, Host, Mmu500Iommu, openDevice, Process, Vfio, type SeriesPatch, type Sleeps } from '@vsim/vfio-core';
import { FslMcBus, ManagementComplex, VfioFslMcDriver, type FslMcDevice } from '@vsim/vfio-fslmc';

class Watched extends VfioFslMcDriver {
  override *remove(device: FslMcDevice): Sleeps<void> {
    yield* super.remove(device);
    if (device.isDprc) console.log('  remove has returned; the structure is', this.vfioDevice(device) === undefined ? 'freed' : 'still there');
  }
}

function unbind(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const mc = new ManagementComplex(host);
  mc.root.addContainer({ id: 2, icid: 23 }).add({ type: 'dpni', id: 0 });
  const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
  host.scheduler.call('boot', bus.start());
  const driver = new Watched(bus, new Vfio(host));
  host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(driver));
  const admin = new Process(host, { name: 'admin' });
  openDevice(admin, 'dprc.2', { driver: 'vfio-fsl-mc' }).close();

  console.log(title);
  const events = host.trace.record();
  admin.writeFile('/sys/bus/fsl-mc/drivers/vfio-fsl-mc/unbind', 'dprc.2');
  for (const { id, text } of events) if (id === BEFORE_SERIES.id) console.log('  told:', text);
}

unbind('before', [6]);
unbind('after', []);
