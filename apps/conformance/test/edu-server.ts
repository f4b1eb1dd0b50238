/** `edu-server.ts PATH`: serves an edu device to one client after another. For tests only. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '@vsim/vfio-core';
import { createEdu, PciBus, VfioPciDriver } from '@vsim/vfio-pci';
import { servedDevice, ServerSession } from '@vsim/vfio-user';
import { ListeningSocket, SocketChannel } from '@vsim/vfio-user/node';

const ADDRESS = '0000:00:04.0';
const host = new Host();
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
bus.plug(createEdu(host, ADDRESS));
host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(new Vfio(host))));
const server = new Process(host, { name: 'server' });
const device = servedDevice(server, openDevice(server, ADDRESS, { driver: 'vfio-pci' }));
const listening = new ListeningSocket(process.argv[2] ?? '');
console.log('listening');
for (let fd = listening.accept(); fd !== undefined; fd = listening.accept()) new ServerSession(new SocketChannel(fd), device).serve();
