/** Patch 8: a user opens the device as soon as it is public, and the probe goes on. */
import { ApicMsi, getRegionInfo, Host, openDevice, Process, REGISTERED, Vfio, VFIO_PCI_CONFIG_REGION_INDEX, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { buildConfig, PciBus, PciFunction, VfioPciDriver } from '@vsim/vfio-pci';

const NIC = '0000:00:02.0';
const BARS = [{ index: 0, size: 0x1000 }] as const;

class Nic extends PciFunction {
  protected override barRead(): number {
    return 0x1af4_0001;
  }
}

function openAtOnce(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const config = buildConfig({ vendor: 0x1002, device: 2, class: 0x02_0000, bars: BARS, express: true });
  config[0x44] = 8; // No_Soft_Reset: the way to D3hot and back is no reset, and nobody resets it at an open
  const nic = new Nic(host, { address: NIC, config, bars: BARS });
  bus.plug(nic);
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  const events = host.trace.record();

  const admin = new Process(host, { name: 'admin' });
  admin.writeFile(`/sys/bus/pci/devices/${NIC}/driver_override`, 'vfio-pci');
  host.scheduler.stopAt(REGISTERED);
  admin.start('bind', admin.sys.writeFile('/sys/bus/pci/drivers_probe', NIC));
  const user = new Process(host, { name: 'user' });
  const { device } = openDevice(user, NIC);
  host.scheduler.release(REGISTERED);

  console.log(title);
  for (const { severity, id, text } of events) if (severity === 'bug') console.log(`  ${id}: ${text}`);
  user.pwrite(device, Uint8Array.of(2, 0), Number(getRegionInfo(user, device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4); // COMMAND: memory
  const word = new Uint8Array(4);
  user.pread(device, word, Number(getRegionInfo(user, device, 0).offset));
  console.log(`  the probe is done and the user has the device, which is in D${nic.powerState}; a register reads 0x${new DataView(word.buffer).getUint32(0, true).toString(16)}`);
}

openAtOnce('before', [8]);
openAtOnce('after', []);
