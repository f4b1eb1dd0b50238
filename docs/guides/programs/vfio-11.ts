/** Patch 11: the way from a device to the mdev that it is. The type checker holds what is said of it. */
import { Device, Host, Process, Vfio, type VfioDevice } from '@vsim/vfio-core';
import { MdevBus, mdevFromDevice, Mtty } from '@vsim/mdev';

const host = new Host({ profile: 'linux-5.13' });
const vfio = new Vfio(host);
const bus = new MdevBus(host);
host.scheduler.call('modprobe mtty', new Mtty(bus, vfio).register());
new Process(host).writeFile('/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create', '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001');

const vfioDevice = vfio.groups[0]?.devices[0];
if (vfioDevice === undefined) throw new Error('no VFIO device');

// The name of what is converted does not matter: the macro took none but `dev`.
const whatever: Device = vfioDevice.device;
console.log('from the device:', mdevFromDevice(whatever)?.type.id);

// A device that is no mdev gives nothing, and what is found has to be looked at before it is used.
class Other extends Device {}
console.log('from another device:', mdevFromDevice(new Other(host, 'other', '/sys/devices/other')));

// A VFIO device stands beside the mdev and is no Device, a string is none either: with anything else than 'no' this does not compile.
type Taken = Parameters<typeof mdevFromDevice>[0];
const vfioDeviceIsTaken: VfioDevice extends Taken ? 'yes' : 'no' = 'no';
const nameIsTaken: string extends Taken ? 'yes' : 'no' = 'no';
console.log('a VFIO device is taken:', vfioDeviceIsTaken, '- a name is taken:', nameIsTaken);
