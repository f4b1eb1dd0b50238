/** A host with one PCI device, and a program that uses the device from user space, as it would on Linux. */
// #region imports
import { ApicMsi, eventList, getRegionInfo, Host, mapDma, openDevice, Process, setIrqTriggers, Vfio, VtdIommu, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX, SyscallError } from '@vsim/vfio-core';
import { createEdu, EDU, EDU_BUFFER, EDU_DMA_IRQ, EDU_DMA_RUN, EDU_DMA_TO_RAM, PciBus, VfioPciDriver } from '@vsim/vfio-pci';
// #endregion imports

// #region host
// The machine: an IOMMU, interrupts, a PCI bus, and in it QEMU's edu device. The kernel has vfio-pci.
const host = new Host({ seed: 1, profile: 'linux-6.12' });
const bus = new PciBus(host, { msi: new ApicMsi(host), iommu: new VtdIommu(host) });
bus.plug(createEdu(host, '0000:00:02.0'));
host.scheduler.call('modprobe vfio-pci', bus.addDriver(new VfioPciDriver(new Vfio(host))));
// #endregion host

// #region open
// The program: binds the device to vfio-pci, opens its group in a container, and gets the device.
const root = new Process(host, { name: 'program' });
const { container, device } = openDevice(root, '0000:00:02.0', { driver: 'vfio-pci' });
const config = Number(getRegionInfo(root, device, VFIO_PCI_CONFIG_REGION_INDEX).offset);
root.pwrite(device, Uint8Array.of(0x06, 0x00), config + 4); // COMMAND: memory and bus master
const bar = root.mmap(device, 0x1000, Number(getRegionInfo(root, device, 0).offset));
// #endregion open

// #region registers
bar.write(EDU.FACTORIAL, 4, 10);
console.log('10! is', bar.read(EDU.FACTORIAL, 4));
// #endregion registers

// #region dma
// DMA: the device reads what the program has written, and writes it back beside it. An interrupt says that it is done.
const memory = root.mmap(-1, 0x1000);
mapDma(root, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE });
const done = root.eventfd();
setIrqTriggers(root, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [done]);

function transfer(source: number, destination: number, command: number): void {
  bar.write(EDU.DMA_SOURCE, 4, source);
  bar.write(EDU.DMA_DESTINATION, 4, destination);
  bar.write(EDU.DMA_COUNT, 4, 5);
  bar.write(EDU.DMA_COMMAND, 4, command | EDU_DMA_RUN | EDU_DMA_IRQ);
  bar.write(EDU.INTERRUPT_ACKNOWLEDGE, 4, 0xffff_ffff);
}

memory.writeBytes(0, new TextEncoder().encode('hello'));
transfer(0x10_0000, EDU_BUFFER, 0);
transfer(EDU_BUFFER, 0x10_0100, EDU_DMA_TO_RAM);
console.log('the device wrote', new TextDecoder().decode(memory.readBytes(0x100, 5)), 'and sent', String(root.readEventfd(done)), 'interrupts');
// #endregion dma

// #region refused
// What Linux refuses is refused, with its errno and the reason.
try {
  mapDma(root, container, { iova: 0x10_0800, vaddr: memory.address, size: 0x1000, flags: VFIO_DMA_MAP_FLAG_READ });
} catch (error) {
  if (!(error instanceof SyscallError)) throw error;
  console.log(error.message);
}
// #endregion refused

// #region trace
// A device that goes where nothing is mapped: the IOMMU stops it, and the trace says so.
const events = host.trace.record();
transfer(EDU_BUFFER, 0x20_0000, EDU_DMA_TO_RAM);
console.log(eventList(events, 'fault'));
// #endregion trace
