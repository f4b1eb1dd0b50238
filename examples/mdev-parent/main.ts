/** The parent in a host: its devices are made and removed by UUID in sysfs, and used as any VFIO device is. */
// #region host
import { getRegionInfo, Host, openDevice, Process, SyscallError, Vfio } from '@vsim/vfio-core';
import { MdevBus } from '@vsim/mdev';
import { CounterParent } from './counter.ts';

const TYPE = '/sys/class/mdev_bus/counter/mdev_supported_types/counter-reads';
const uuid = (n: number): string => `83b8f4f2-509f-382f-3c1e-e6bfe0fa100${n}`;

const host = new Host();
const bus = new MdevBus(host);
host.scheduler.call('modprobe counter', new CounterParent(bus, new Vfio(host)).register());
const root = new Process(host, { name: 'root' });
console.log(`${root.readFile(`${TYPE}/name`).trim()}: ${root.readFile(`${TYPE}/available_instances`).trim()} can be made, ${root.readFile(`${TYPE}/device_api`).trim()}`);
// #endregion host

// #region use
root.writeFile(`${TYPE}/create`, uuid(1));
const { device, close } = openDevice(root, uuid(1));
const offset = Number(getRegionInfo(root, device, 0).offset);
const reads = [1, 2, 3].map(() => {
  const into = new Uint8Array(4);
  root.pread(device, into, offset);
  return into[0];
});
console.log('it counts', reads.join(' '));
// #endregion use

// #region fifth
for (const n of [2, 3, 4]) root.writeFile(`${TYPE}/create`, uuid(n));
try {
  root.writeFile(`${TYPE}/create`, uuid(5));
} catch (error) {
// #endregion fifth
  if (!(error instanceof SyscallError)) throw error;
  console.log('a fifth:', error.message);
}

// #region removal
// A removal waits for whoever has the device open.
const removal = root.start('remove', root.sys.writeFile(`/sys/bus/mdev/devices/${uuid(1)}/remove`, '1'));
console.log('removal', removal.outcome.state);
close();
console.log('removal', removal.outcome.state, '-', root.readFile(`${TYPE}/available_instances`).trim(), 'can be made');
// #endregion removal
