/** Patch 13: a VF is opened, which looks at its PF; whatever comes of it, the PF is no busier than before. */
import { ApicMsi, getDeviceFd, Host, openDevice, Process, setContainer, SyscallError, Vfio, VtdIommu, type SeriesPatch } from '@vsim/vfio-core';
import { buildConfig, PciBus, PciFunction, registryOf, VfioPciDriver, virtualFunctionConfig } from '@vsim/vfio-pci';

const [PF, VF] = ['0000:00:02.0', '0000:00:03.0'] as const;
const [TOKEN, OTHER] = ['2ab74924-c335-45f4-9b16-8569e5b08258', 'b7c4a1d0-0000-4000-8000-000000000001'] as const;
const BARS = [{ index: 0, size: 0x1000 }] as const;

function tokens(title: string, without: readonly SeriesPatch[], forgets = false): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
  const config = buildConfig({ vendor: 0x1234, device: 2, class: 0x02_0000, bars: BARS, express: true, flr: true, sriov: { totalVfs: 2, vfDevice: 3 } });
  const pf = bus.plug(new PciFunction(host, { address: PF, config, bars: BARS, virtualFunctions: { ...virtualFunctionConfig(config), bars: BARS } }));
  const vfio = new Vfio(host);
  const driver = new VfioPciDriver(vfio, { parameters: { enableSriov: true } });
  host.scheduler.call('modprobe vfio-pci', bus.addDriver(driver));

  // The PF's user sets a token, and VFs are made, which vfio-pci takes.
  const user = new Process(host, { name: 'user' });
  openDevice(user, PF, { driver: 'vfio-pci' }).close();
  user.writeFile(`${pf.sysfs}/sriov_numvfs`, '2');
  const opened = openDevice(user, PF);
  user.close(opened.device);
  user.close(getDeviceFd(user, opened.group, `${PF} vf_token=${TOKEN}`));

  const vf = user.open(`/dev/vfio/${bus.device(VF)?.iommuGroup?.id ?? -1}`);
  setContainer(user, vf, opened.container);
  console.log(title);
  for (const name of [VF, `${VF} vf_token=${OTHER}`, `${VF} vf_token=none`, `${VF} vf_token=${TOKEN}`]) {
    let answer = 'opened';
    try {
      user.close(getDeviceFd(user, vf, name));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      answer = error.code;
    }
    console.log(`  ${answer.padEnd(6)} ${name}: ${driver.vfioDevice(pf)?.references ?? 0} reference on the PF`);
  }
  user.exit();
  const pfDevice = registryOf(vfio).getReference(pf); // what the driver does to look at the PF
  if (!forgets) pfDevice?.put();
  const admin = new Process(host, { name: 'admin' });
  const unbind = admin.start('unbind', admin.sys.writeFile('/sys/bus/pci/drivers/vfio-pci/unbind', PF));
  console.log('  who unbinds the PF', unbind.finished ? 'has done so at once' : 'waits');
}

tokens('before', [13]);
tokens('after', []);
tokens('a caller that forgets to put the PF', [], true);
