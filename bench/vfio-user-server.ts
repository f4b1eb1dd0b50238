/** `vfio-user-server.ts PATH`: the server that vfio-user.ts measures, in a process of its own: an edu device of a simulated host. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '../packages/vfio-core/src/index.ts';
import { createEdu, PciBus, VfioPciDriver } from '../packages/vfio-pci/src/index.ts';
import { servedDevice, ServerSession } from '../packages/vfio-user/src/index.ts';
import { ListeningSocket, SocketChannel } from '../packages/vfio-user/src/node/index.ts';

const ADDRESS = '0000:00:04.0';
const host = new Host();
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
bus.plug(createEdu(host, ADDRESS));
host.scheduler.call('modprobe', bus.addDriver(new VfioPciDriver(new Vfio(host))));
const server = new Process(host, { name: 'server' });
const device = servedDevice(server, openDevice(server, ADDRESS, { driver: 'vfio-pci' }));
const listening = new ListeningSocket(process.argv[2] ?? '');
for (let fd = listening.accept(); fd !== undefined; fd = listening.accept()) new ServerSession(new SocketChannel(fd), device).serve();
