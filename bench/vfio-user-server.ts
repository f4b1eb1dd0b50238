/** `vfio-user-server.ts edu|nvme PATH`: the server that vfio-user.ts measures, in a process of its own: a device of a simulated host. */
import { ApicMsi, Host, openDevice, Process, Vfio, VtdIommu } from '../packages/vfio-core/src/index.ts';
import { createNvme, MemoryStore, VfioNvmeDriver } from '../packages/devices/src/index.ts';
import { createEdu, PciBus, VfioPciDriver } from '../packages/vfio-pci/src/index.ts';
import { servedDevice, ServerSession } from '../packages/vfio-user/src/index.ts';
import { ListeningSocket, SocketChannel } from '../packages/vfio-user/src/node/index.ts';

const ADDRESS = '0000:00:04.0';
/** Bytes of the disk. */
const DISK = 2 ** 26;
const host = new Host();
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
const isNvme = process.argv[2] === 'nvme';
const vfio = new Vfio(host);
bus.plug(isNvme ? createNvme(host, ADDRESS, { namespaces: [{ store: new MemoryStore(DISK) }] }) : createEdu(host, ADDRESS));
host.scheduler.call('modprobe', bus.addDriver(isNvme ? new VfioNvmeDriver(vfio) : new VfioPciDriver(vfio)));
const server = new Process(host, { name: 'server' });
const device = servedDevice(server, openDevice(server, ADDRESS, { driver: isNvme ? 'nvme-vfio-pci' : 'vfio-pci' }));
const listening = new ListeningSocket(process.argv[3] ?? '');
for (let fd = listening.accept(); fd !== undefined; fd = listening.accept()) new ServerSession(new SocketChannel(fd), device).serve();
