/** Patch 10: a mediated device and its VFIO device are two objects, with two lives. */
import { Host, Process, Vfio, type SeriesPatch } from '@vsim/vfio-core';
import { MdevBus, Mtty } from '@vsim/mdev';

const UUID = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001';

function lives(title: string, without: readonly SeriesPatch[]): void {
  const host = new Host({ profile: 'linux-5.13', without });
  const vfio = new Vfio(host);
  const bus = new MdevBus(host);
  host.scheduler.call('modprobe mtty', new Mtty(bus, vfio).register());
  const admin = new Process(host, { name: 'admin' });
  const show = (when: string): void => console.log(`  ${when}: mdev ${bus.device(UUID) === undefined ? 'no' : 'yes'}, VFIO device ${bus.device(UUID)?.vfioDevice?.state ?? 'none'}, groups ${vfio.groups.length}`);

  console.log(title);
  admin.writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', UUID);
  const first = bus.device(UUID)?.vfioDevice;
  show('created');
  admin.writeFile('/sys/bus/mdev/drivers/vfio_mdev/unbind', UUID);
  show('unbound');
  admin.writeFile('/sys/bus/mdev/drivers/vfio_mdev/bind', UUID);
  show('bound again');
  console.log('  the VFIO device is', bus.device(UUID)?.vfioDevice === first ? 'the same' : 'another one');
  admin.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1');
  show('removed');
}

lives('before', [10]);
lives('after', []);
