/** A user space driver for edu: everything by system calls, as it would be on a real machine. */
import {
  PROT_READ,
  PROT_WRITE,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  mapDma,
  setIrqTriggers,
  setIrqs,
  type Process,
} from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { EDU, EDU_BUFFER, EDU_DMA_IRQ, EDU_DMA_RUN, EDU_DMA_TO_RAM, EDU_IDENTIFICATION, EDU_IRQ_DMA, EDU_IRQ_FACTORIAL, EDU_STATUS_IRQ_FACTORIAL } from '../src/index.ts';
import { CONFIG, openEdu, read32, write16, write32 } from './edu-host.ts';

const COMMAND = CONFIG + 4;
const MEMORY_AND_MASTER = 0x6;

function transfer(process: Process, fd: number, source: number, destination: number, count: number, command: number): void {
  write32(process, fd, EDU.DMA_SOURCE, source);
  write32(process, fd, EDU.DMA_DESTINATION, destination);
  write32(process, fd, EDU.DMA_COUNT, count);
  write32(process, fd, EDU.DMA_COMMAND, EDU_DMA_RUN | command);
}

describe('edu through VFIO', () => {
  it('shows its registers by pread and by a mapping', () => {
    const { process, device } = openEdu();
    expect(read32(process, device, EDU.IDENTIFICATION)).toBe(EDU_IDENTIFICATION);
    const map = process.mmap(device, 4096, 0);
    map.write(EDU.LIVENESS, 4, 0x1234_5678);
    expect(map.read(EDU.LIVENESS, 4)).toBe(0xedcb_a987);
    expect(read32(process, device, EDU.LIVENESS)).toBe(0xedcb_a987);
    expect(map.read(EDU.LIVENESS, 2)).toBe(0);
    expect(map.read(0x40, 4)).toBe(0xffff_ffff);
  });

  it.each([
    ['INTx', VFIO_PCI_INTX_IRQ_INDEX],
    ['MSI', VFIO_PCI_MSI_IRQ_INDEX],
  ])('computes a factorial and tells by %s', (_, index) => {
    const { process, device } = openEdu();
    const eventfd = process.eventfd();
    write16(process, device, COMMAND, MEMORY_AND_MASTER);
    setIrqTriggers(process, device, index, 0, [eventfd]);
    write32(process, device, EDU.STATUS, EDU_STATUS_IRQ_FACTORIAL);
    write32(process, device, EDU.FACTORIAL, 10);
    expect(process.readEventfd(eventfd)).toBe(1n);
    expect(read32(process, device, EDU.FACTORIAL)).toBe(3_628_800);
    expect(read32(process, device, EDU.INTERRUPT_STATUS)).toBe(EDU_IRQ_FACTORIAL);
    write32(process, device, EDU.INTERRUPT_ACKNOWLEDGE, EDU_IRQ_FACTORIAL);
    expect(process.readEventfd(eventfd)).toBe(0n);

    // INTx is masked from the first interrupt on, until the driver unmasks it; MSI is not.
    if (index === VFIO_PCI_INTX_IRQ_INDEX) setIrqs(process, device, index, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1);
    write32(process, device, EDU.FACTORIAL, 3);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });

  it('computes modulo 2^32, and large factorials at once', () => {
    const { process, device } = openEdu();
    write32(process, device, EDU.FACTORIAL, 13);
    expect(read32(process, device, EDU.FACTORIAL)).toBe(1_932_053_504);
    write32(process, device, EDU.FACTORIAL, 0xffff_ffff);
    expect(read32(process, device, EDU.FACTORIAL)).toBe(0);
  });

  it('copies to its buffer and back, through type1 mappings', () => {
    const { process, container, device } = openEdu();
    const memory = process.mmap(-1, 0x2000, 0, PROT_READ | PROT_WRITE);
    mapDma(process, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x2000, flags: 3 });
    const sent = Uint8Array.from({ length: 64 }, (_, i) => i * 3);
    memory.writeBytes(0xff0, sent);
    write16(process, device, COMMAND, MEMORY_AND_MASTER);
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [eventfd]);

    transfer(process, device, 0x10_0ff0, EDU_BUFFER, 64, EDU_DMA_IRQ);
    expect(process.readEventfd(eventfd)).toBe(1n);
    expect(read32(process, device, EDU.INTERRUPT_STATUS)).toBe(EDU_IRQ_DMA);
    expect(read32(process, device, EDU.DMA_COMMAND)).toBe(EDU_DMA_IRQ);
    transfer(process, device, EDU_BUFFER, 0x10_1800, 64, EDU_DMA_TO_RAM);
    expect(memory.readBytes(0x1800, 64)).toEqual(sent);
  });

  it('does no DMA without bus mastering', () => {
    const { process, container, device } = openEdu();
    const memory = process.mmap(-1, 0x1000);
    mapDma(process, container, { iova: 0, vaddr: memory.address, size: 0x1000, flags: 3 });
    memory.write(0, 4, 0xdead_beef);
    transfer(process, device, EDU_BUFFER, 0, 4, EDU_DMA_TO_RAM);
    expect(memory.read(0, 4)).toBe(0xdead_beef);
  });

  it('cuts addresses to 28 bits: what lies above is another page, and a fault if that is not mapped', () => {
    const { process, container, device, events } = openEdu();
    const memory = process.mmap(-1, 0x1000);
    const above = 0x1000_0000;
    mapDma(process, container, { iova: above, vaddr: memory.address, size: 0x1000, flags: 3 });
    memory.write(0, 4, 0x5555_5555);
    write16(process, device, COMMAND, MEMORY_AND_MASTER);
    transfer(process, device, EDU_BUFFER, above, 4, EDU_DMA_TO_RAM);
    expect(memory.read(0, 4)).toBe(0x5555_5555);
    expect(events.at(-1)).toMatchObject({ id: 'iommu/fault', fields: { iova: 0, write: true, why: 'not mapped' } });
  });

  it('writes nothing to a page that is mapped for reading only', () => {
    const { process, container, device, events } = openEdu();
    const memory = process.mmap(-1, 0x1000);
    mapDma(process, container, { iova: 0x1000, vaddr: memory.address, size: 0x1000, flags: 1 });
    write16(process, device, COMMAND, MEMORY_AND_MASTER);
    transfer(process, device, EDU_BUFFER, 0x1000, 4, EDU_DMA_TO_RAM);
    expect(events.at(-1)).toMatchObject({ id: 'iommu/fault', fields: { why: 'no permission' } });
  });

  it('moves nothing beyond its buffer', () => {
    const { process, container, device, events } = openEdu();
    const memory = process.mmap(-1, 0x2000);
    mapDma(process, container, { iova: 0, vaddr: memory.address, size: 0x2000, flags: 3 });
    write16(process, device, COMMAND, MEMORY_AND_MASTER);
    transfer(process, device, EDU_BUFFER + 0xff0, 0, 0x11, EDU_DMA_TO_RAM);
    expect(events.at(-1)).toMatchObject({ id: 'pci/edu-dma-out-of-bounds', fields: { count: 0x11 } });
    transfer(process, device, EDU_BUFFER - 4, 0, 4, EDU_DMA_TO_RAM);
    expect(events.filter(({ id }) => id === 'pci/edu-dma-out-of-bounds')).toHaveLength(2);
  });

  it('is not reached with memory decoding off: SIGBUS in the mapping, until it is on again', () => {
    const { process, device, events } = openEdu();
    const map = process.mmap(device, 4096, 0);
    write16(process, device, COMMAND, 0);
    expect(map.read(EDU.IDENTIFICATION, 4)).toBe(0xffff_ffff);
    expect(events.at(-1)).toMatchObject({ id: 'process/memory-fault', fields: { signal: 'SIGBUS', write: false } });
    write16(process, device, COMMAND, 2);
    expect(map.read(EDU.IDENTIFICATION, 4)).toBe(EDU_IDENTIFICATION);
  });
});
