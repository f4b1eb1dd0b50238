/** What sysfs and procfs list of a PCI device: `uevent`, and its interrupts while VFIO has them. Kernel: pci_uevent(), vfio_pci_intrs.c. */
import { ApicMsi, Host, Process, setIrqs, setIrqTriggers, Vfio, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VtdIommu, type MsiController, type ProfileName } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { buildConfig, PciBus, PciFunction, VfioPciDriver } from '../src/index.ts';
import { bind, EDU_NAME, eduHost, open } from './edu-host.ts';

const BARS = [{ index: 0, size: 0x1000 }] as const;

/** A function with MSI-X behind an MSI controller, opened. */
function opened(profile: ProfileName, msiOf: (host: Host) => MsiController = (host) => new ApicMsi(host)) {
  const host = new Host({ profile });
  const bus = new PciBus(host, { msi: msiOf(host), iommu: new VtdIommu(host) });
  bus.plug(new PciFunction(host, { address: EDU_NAME, bars: BARS, config: buildConfig({ vendor: 0x1234, device: 1, class: 0xff0000, bars: BARS, msix: { vectors: 4, bar: 0, pbaOffset: 0x800 } }) }));
  host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(new Vfio(host))));
  const process = new Process(host);
  bind(process, EDU_NAME);
  return { process, ...open(process), rows: () => process.readFile('/proc/interrupts').trim().split('\n').map((row) => row.replace(/^ *\d+: /, '')) };
}

/** The same controller, as one that has another name. */
const named = (chip: string | undefined) => (host: Host): MsiController => {
  const msi = new ApicMsi(host);
  return { allocate: (...how) => msi.allocate(...how), release: (...what) => { msi.release(...what); }, isolated: true, chip };
};

describe('/proc/interrupts', () => {
  it('has INTx and MSI by name, from the first eventfd to the last', () => {
    const { process } = eduHost();
    bind(process, EDU_NAME);
    const { device } = open(process);
    const listed = (): (string | undefined)[] => process.readFile('/proc/interrupts').trim().split('\n').map((row) => row.split(' ').at(-1));
    expect(listed()).toEqual(['']);
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [process.eventfd()]);
    expect(listed()).toEqual([`vfio-intx(${EDU_NAME})`]);
    setIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [process.eventfd()]);
    expect(listed()).toEqual([`vfio-msi[0](${EDU_NAME})`]);
    process.close(device);
    expect(listed()).toEqual(['']);
  });

  it.each<readonly [ProfileName, string | undefined, string, string]>([
    ['linux-6.1', 'IR', 'IR-PCI-MSI', '32768'],
    ['linux-6.1', undefined, 'PCI-MSI', '32768'],
    ['linux-6.1', 'ITS', 'ITS-MSI', '32768'],
    ['linux-6.12', 'IR', `IR-PCI-MSIX-${EDU_NAME}`, '0'],
    ['linux-6.12', undefined, `PCI-MSIX-${EDU_NAME}`, '0'],
    ['linux-7.3', 'ITS', `ITS-PCI-MSIX-${EDU_NAME}`, '0'],
  ])('calls the controller of vectors as its kernel does: %s, behind %s', (profile, chip, controller, first) => {
    const { process, device, rows } = opened(profile, named(chip));
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [process.eventfd(), process.eventfd()]);
    expect(rows()).toEqual([0, 1].map((n) => `${controller} ${Number(first) + n} Edge vfio-msix[${n}](${EDU_NAME})`));
    setIrqTriggers(process, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [-1]);
    expect(rows()).toHaveLength(1);
  });
});

describe('uevent', () => {
  it('of a function has its driver, its ids and its alias', () => {
    const { process } = eduHost();
    const path = `/sys/bus/pci/devices/${EDU_NAME}/uevent`;
    const own = `PCI_CLASS=FF00\nPCI_ID=1234:11E8\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=${EDU_NAME}\nMODALIAS=pci:v00001234d000011E8sv00001AF4sd00001100bc00scFFi00\n`;
    expect([process.readFile(path), process.writeFile(path, 'change')]).toEqual([own, 6]);
    bind(process, EDU_NAME);
    expect(process.readFile(path)).toBe(`DRIVER=vfio-pci\n${own}`);
  });

  it('of a bridge has the subsystem of its capability, or none', () => {
    const host = new Host();
    const bus = new PciBus(host, { msi: new ApicMsi(host) });
    for (const [device, ssvid] of [[1, false], [2, true]] as const) {
      const config = buildConfig({ vendor: 0x1b36, device: 0xc, class: 0x060400 });
      config[0x0e] = 1;
      if (ssvid) {
        config[0x34] = 0x40;
        config[0x06] = 0x10;
        config.set([0x0d, 0, 0, 0, 0xf4, 0x1a, 0x34, 0x12], 0x40);
      }
      bus.plug(new PciFunction(host, { address: `0000:00:0${device}.0`, config }));
    }
    const process = new Process(host);
    const ids = [1, 2].map((device) => /PCI_SUBSYS_ID=(\S+)/.exec(process.readFile(`/sys/bus/pci/devices/0000:00:0${device}.0/uevent`))?.[1]);
    expect(ids).toEqual(['0000:0000', '1AF4:1234']);
  });
});
