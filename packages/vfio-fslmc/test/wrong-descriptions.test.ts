/** What a DPAA2 host's author may get wrong: each is refused as it is said. */
import { expect, it } from 'vitest';
import { ApicMsi, Host, Mmu500Iommu, Process, Vfio } from '@vsim/vfio-core';
import { FslMcBus, ManagementComplex, VfioFslMcDriver } from '../src/index.ts';

const refused = (parameter: string, part: string): TypeError => new TypeError(`"${parameter}" expected a part of the host that the fsl-mc bus is of, got ${part} of another host`);

it('parts of two hosts', () => {
  const [here, there] = [new Host(), new Host()];
  const mc = new ManagementComplex(here);
  const [iommu, msi] = [new Mmu500Iommu(there), new ApicMsi(there)];
  expect(() => new FslMcBus(there, { mc, iommu, msi })).toThrow(refused('mc', 'a Management Complex'));
  expect(() => new FslMcBus(here, { mc, iommu: new Mmu500Iommu(here), msi })).toThrow(refused('msi', 'an MSI controller'));
});

it('an IOMMU of another host', () => {
  const [here, there] = [new Host(), new Host()];
  const iommu = new Mmu500Iommu(there);
  expect(() => new FslMcBus(here, { mc: new ManagementComplex(here), iommu, msi: new ApicMsi(here) })).toThrow(refused('iommu', iommu.name));
});

it('a Vfio of another host', () => {
  const host = new Host();
  const bus = new FslMcBus(host, { mc: new ManagementComplex(host), iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
  expect(() => new VfioFslMcDriver(bus, new Vfio(new Host()))).toThrow(new TypeError('"bus" expected a part of the host that its Vfio is of, got the fsl-mc bus of another host'));
});

it('a bus that nobody started', () => {
  const host = new Host();
  const start = new FslMcBus(host, { mc: new ManagementComplex(host), iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) }).start();
  expect(() => new Process(host)).toThrow(new TypeError('"bus.start()" expected to be run, as host.scheduler.call(\'boot\', bus.start()), got a generator that nobody ran'));
  host.scheduler.call('boot', start);
  expect(() => new Process(host)).not.toThrow();
});
