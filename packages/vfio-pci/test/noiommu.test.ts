/** A PCI function without IOMMU. Recorded: golden/vfio-platform, noiommu_nosmmu. */
import { ApicMsi, Host, Process, Vfio, type ProfileName } from '@vsim/vfio-core';
import { noIommuSuite } from '@vsim/vfio-core/testing';
import { describe, it } from 'vitest';
import { createEdu, PciBus, VfioPciDriver } from '../src/index.ts';
import { EDU_NAME } from './edu-host.ts';

const PROFILES: readonly ProfileName[] = ['linux-6.1', 'linux-6.12', 'linux-7.3'];

describe.each(PROFILES)('a function without IOMMU, %s [platform 58]', (profile) => {
  const cases = noIommuSuite(() => {
    const host = new Host({ profile });
    const bus = new PciBus(host, { msi: new ApicMsi(host) });
    bus.plug(createEdu(host, EDU_NAME));
    host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(new Vfio(host))));
    const process = new Process(host);
    const driver = '/sys/bus/pci/drivers/vfio-pci';
    return {
      process,
      sysfs: `/sys/bus/pci/devices/${EDU_NAME}`,
      device: EDU_NAME,
      bind: () => {
        process.writeFile(`/sys/bus/pci/devices/${EDU_NAME}/driver_override`, 'vfio-pci');
        process.writeFile(`${driver}/bind`, EDU_NAME);
      },
      unbind: () => process.start('unbind', process.sys.writeFile(`${driver}/unbind`, EDU_NAME)),
    };
  });
  for (const { name, run } of cases) it(name, run);
});
