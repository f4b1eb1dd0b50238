/** The device of device.ts without a VM: a program drives it over /dev/vfio. */
import { ApicMsi, getRegionInfo, Host, mapDma, openDevice, Process, setIrqTriggers, Vfio, VtdIommu, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX } from '@vsim/vfio-core';
import { PciBus, VfioPciDriver } from '@vsim/vfio-pci';
import { createDevice, REGISTER } from './device.ts';

const ADDRESS = '0000:00:03.0';
const BUFFER = 0x10_0000;

const host = new Host();
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
bus.plug(createDevice(host, ADDRESS));
host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));

const program = new Process(host, { name: 'program' });
const { container, device } = openDevice(program, ADDRESS, { driver: 'vfio-pci' });
program.pwrite(device, Uint8Array.of(0x06, 0x00), Number(getRegionInfo(program, device, VFIO_PCI_CONFIG_REGION_INDEX).offset) + 4); // COMMAND: memory, bus master
const registers = program.mmap(device, 0x1000);
console.log('id', registers.read(REGISTER.ID, 4).toString(16));

const text = program.mmap(-1, 0x1000);
mapDma(program, container, { iova: BUFFER, vaddr: text.address, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
const done = program.eventfd();
setIrqTriggers(program, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [done]);

const words = new TextEncoder().encode('a device written in TypeScript');
text.writeBytes(0, words);
registers.write(REGISTER.BUFFER, 4, BUFFER);
registers.write(REGISTER.LENGTH, 4, words.length);
registers.write(REGISTER.RUN, 4, 1);
console.log('interrupts', String(program.readEventfd(done)), 'runs', registers.read(REGISTER.DONE, 4));
console.log(new TextDecoder().decode(text.readBytes(0, words.length)));
