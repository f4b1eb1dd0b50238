/** A container of DPAA2 objects is made while the machine runs, bound to vfio-fsl-mc, used through its mapped portal, and taken apart. */
import { ApicMsi, Host, Mmu500Iommu, Process, Vfio } from '@vsim/vfio-core';
import { describeCommand, FslMcBus, ManagementComplex, VfioFslMcDriver } from '@vsim/vfio-fslmc';
import { bind, Firmware, makeContainer, openContainer, takeApart, throughKernel } from './container.ts';
import { LAYOUT } from './layout.ts';

const host = new Host({ profile: 'linux-6.1' });
const mc = ManagementComplex.fromDpl(host, LAYOUT, { release: '10.36.0' });
const bus = new FslMcBus(host, { mc, iommu: new Mmu500Iommu(host), msi: new ApicMsi(host) });
host.scheduler.call('boot', bus.start());
host.scheduler.call('modprobe vfio-fsl-mc', bus.addDriver(new VfioFslMcDriver(bus, new Vfio(host))));
const user = new Process(host, { name: 'root' });
const show = (when: string): void => console.log(`${when}: ${bus.devices.map(({ name, driverName }) => `${name} (${driverName ?? 'no driver'})`).join(', ')}`);
show('at boot');

const fd = user.open('/dev/dprc.1');
const firmware = new Firmware(throughKernel(user, fd));
let last = '';
mc.watch({ answered: (command, answer) => (last = describeCommand(command, answer)) });
const container = makeContainer(firmware, 3);
show('made');
bind(user, container);
show('bound');

const open = openContainer(user, container, 4);
console.log('through its portal:', open.mc.list(open.token).join(' '));
try {
  open.mc.open('dpmac', 3);
} catch {
  console.log('the firmware:', last);
}
open.close();
takeApart(user, firmware, container);
user.close(fd);
host.scheduler.settle();
show('at the end');
