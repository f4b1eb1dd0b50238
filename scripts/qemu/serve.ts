/** The devices of scripts/test-qemu.mjs: `serve.ts DEVICE PATH` serves one over vfio-user, to one client after another. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { createNvme, MemoryStore, VfioNvmeDriver } from '@vsim/devices';
import { createEdu, PciBus, VfioPciDriver, type PciFunction } from '@vsim/vfio-pci';
import { servedDevice, ServerSession } from '@vsim/vfio-user';
import { ListeningSocket, SocketChannel } from '@vsim/vfio-user/node';

const ADDRESS = '0000:00:04.0';
const [name = '', path = ''] = process.argv.slice(2);

const host = new Host();
host.trace.listen(({ severity, text }) => { if (severity !== 'info') console.log(text); });
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
const vfio = new Vfio(host);
bus.plug(made(name));
host.scheduler.call('modprobe', bus.addDriver(name === 'nvme' ? new VfioNvmeDriver(vfio) : new VfioPciDriver(vfio)));

function made(device: string): PciFunction {
  if (device === 'nvme') return createNvme(host, ADDRESS, { namespaces: [{ store: new MemoryStore(2 ** 28), blockSize: 512 }] });
  if (device === 'edu') return createEdu(host, ADDRESS);
  throw new RangeError(`"DEVICE" expected nvme or edu, got ${device}`);
}

const server = new Process(host, { name: 'server' });
const device = servedDevice(server, openDevice(server, ADDRESS, { driver: name === 'nvme' ? 'nvme-vfio-pci' : 'vfio-pci' }));
const listening = new ListeningSocket(path);
console.log('listening');
for (let fd = listening.accept(); fd !== undefined; fd = listening.accept()) {
  const session = new ServerSession(new SocketChannel(fd), device, { refused: (command, { reason }) => { console.log(`command ${command} refused: ${reason}`); } });
  session.serve();
  console.log(session.over);
}
