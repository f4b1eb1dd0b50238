/** The sensor in a host, and a program that takes its samples. */
// #region imports
import { ApicMsi, eventList, getRegionInfo, Host, mapDma, openDevice, Process, setIrqTriggers, Vfio, VtdIommu, VFIO_DEVICE_RESET, VFIO_DMA_MAP_FLAG_WRITE, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX } from '@vsim/vfio-core';
import { PciBus, VfioPciDriver } from '@vsim/vfio-pci';
import { Sensor, SENSOR, SENSOR_RUN } from './sensor.ts';
// #endregion imports

// #region host
const host = new Host();
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
const sensor = new Sensor(host, '0000:00:03.0');
bus.plug(sensor);
host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
const events = host.trace.record();
// #endregion host

// #region open
const program = new Process(host, { name: 'program' });
const { container, device } = openDevice(program, '0000:00:03.0', { driver: 'vfio-pci' });
program.pwrite(device, Uint8Array.of(0x06, 0x00), Number(getRegionInfo(program, device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4);
const registers = program.mmap(device, 0x1000, Number(getRegionInfo(program, device, 0).offset));
console.log('id', registers.read(SENSOR.ID, 4).toString(16));
// #endregion open

// #region samples
const samples = program.mmap(-1, 0x1000);
mapDma(program, container, { iova: 0x4_0000, vaddr: samples.address, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_WRITE });
const ready = program.eventfd();
setIrqTriggers(program, device, VFIO_PCI_MSIX_IRQ_INDEX, 0, [ready]);
registers.write(SENSOR.BUFFER, 4, 0x4_0000);
registers.write(SENSOR.CONTROL, 4, SENSOR_RUN);

for (const degrees of [21, 22, -3]) sensor.tick(degrees);
console.log('interrupts', String(program.readEventfd(ready)), 'samples', [0, 4, 8].map((at) => samples.read(at, 4) | 0).join(' '));
// #endregion samples

// #region reset
program.ioctl(device, VFIO_DEVICE_RESET);
sensor.tick(50);
console.log('after a reset:', registers.read(SENSOR.COUNT, 4), 'samples');
// #endregion reset

// #region fault
// The program runs it with an address that it has not mapped: the IOMMU stops the write, and the sensor counts nothing.
registers.write(SENSOR.BUFFER, 4, 0x9_0000);
registers.write(SENSOR.CONTROL, 4, SENSOR_RUN);
sensor.tick(23);
console.log(eventList(events, 'fault'));
// #endregion fault
