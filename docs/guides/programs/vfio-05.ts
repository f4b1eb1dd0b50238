/** Patch 5: user space opens a container of the fsl-mc bus as soon as its probe has published it. */
import { ApicMsi, Host, Mmu500Iommu, openDevice, Process, REGISTERED, setIrqTriggers, Vfio, type SeriesPatch } from '@vsim/vfio-core';
import { FslMcBus, ManagementComplex, VfioFslMcDriver } from '@vsim/vfio-fslmc';

function openAtOnce(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const mc = new ManagementComplex(host);
  const container = mc.root.addContainer({ id: 2, icid: 23 });
  for (const id of [0, 1]) container.add({ type: 'dpni', id });
  const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
  host.scheduler.call('boot', bus.start());
  host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));

  const admin = new Process(host, { name: 'admin' });
  admin.writeFile('/sys/bus/fsl-mc/devices/dprc.2/driver_override', 'vfio-fsl-mc');
  admin.writeFile('/sys/bus/fsl-mc/drivers/fsl_mc_dprc/unbind', 'dprc.2');
  const events = host.trace.record('bug');
  host.scheduler.stopAt(REGISTERED);
  const probe = admin.start('bind', admin.sys.writeFile('/sys/bus/fsl-mc/drivers/vfio-fsl-mc/bind', 'dprc.2'));

  const user = new Process(host, { name: 'user' });
  const opened = openDevice(user, 'dprc.2');
  let irqs = 'taken';
  try {
    setIrqTriggers(user, opened.device, 0, 0, [user.eventfd()]);
  } catch {
    irqs = 'refused';
  }
  const resets = container.resets;
  opened.close();
  console.log(`${title}: its interrupt is ${irqs}, and the last close resets it ${container.resets - resets} times`);
  for (const { text } of events) console.log('  told:', text);
  host.scheduler.release(REGISTERED);
  console.log('  the probe is', probe.outcome.state);
}

openAtOnce('before', [5]);
openAtOnce('after', []);
