/** The typed layer over requests, on devices that answer them: each does what its request does, and gives the answer as numbers and bytes. */
import { describe, expect, it } from 'vitest';
import {
  disableIrqs, enterLowPower, exitLowPower, getDirtyPages, getHotResetInfo, getIrqInfo, getMigrationDataSize, hotReset, mapDma, maskIrqs, PROT_READ, PROT_WRITE, MAP_SHARED, probeFeature,
  remapVaddr, reportDmaLogging, resetDevice, setIoeventfd, setIrqBools, setIrqEventfds, setIrqTriggers, startDirtyPages, startDmaLogging, stopDirtyPages, stopDmaLogging, unmapDirtyDma,
  unmapVaddr, unmaskIrqs, VFIO_DEVICE_FEATURE_GET, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_SET, VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_INTX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, type Mapping, type Process,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { createEdu, createRingNic, EDU, EDU_BUFFER, EDU_DMA_RUN, EDU_DMA_TO_RAM, PciPort, VfioRingNicDriver } from '../src/index.ts';
import { bind, CONFIG, eduHost, open, openEdu, write16, write32 } from './edu-host.ts';

const IOVA = 0x10_0000;
const BOTH = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

/** Edu, with 4 pages at IOVA, that stores 4 bytes at an IOVA. */
function storing() {
  const made = openEdu();
  const { process, container, device } = made;
  write16(process, device, CONFIG + 4, 6);
  const memory = process.mmap(-1, 0x4000, 0, PROT_READ | PROT_WRITE, MAP_SHARED);
  mapDma(process, container, { iova: IOVA, vaddr: memory.address, size: 0x4000, flags: BOTH });
  const store = (iova: number): void => {
    write32(process, device, EDU.DMA_SOURCE, EDU_BUFFER);
    write32(process, device, EDU.DMA_DESTINATION, iova);
    write32(process, device, EDU.DMA_COUNT, 4);
    write32(process, device, EDU.DMA_COMMAND, EDU_DMA_RUN | EDU_DMA_TO_RAM);
  };
  return { ...made, memory, store };
}

function raise(process: Process, device: number): void {
  write32(process, device, EDU.INTERRUPT_RAISE, 1);
}

describe('interrupts', () => {
  it('INTx is masked and unmasked, and signalled once more while its line is up', () => {
    const { process, device } = openEdu();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    maskIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX);
    raise(process, device);
    expect(process.readEventfd(eventfd)).toBe(0n);
    unmaskIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX);
    expect(process.readEventfd(eventfd)).toBe(1n);
    disableIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX);
    expect(outcomeOf(() => unmaskIrqs(process, device, VFIO_PCI_INTX_IRQ_INDEX))).toBe('EINVAL');
  });

  it('an eventfd unmasks INTx', () => {
    const { process, device } = openEdu();
    const [eventfd, unmask] = [process.eventfd(), process.eventfd()];
    setIrqTriggers(process, device, VFIO_PCI_INTX_IRQ_INDEX, 0, [eventfd]);
    setIrqEventfds(process, device, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 0, [unmask]);
    raise(process, device);
    expect(process.readEventfd(eventfd)).toBe(1n);
    process.writeEventfd(unmask, 1n);
    expect(process.readEventfd(eventfd)).toBe(1n);
  });

  it('bools raise those that are true, as a loop-back', () => {
    const { process, device } = openEdu();
    const eventfd = process.eventfd();
    setIrqTriggers(process, device, VFIO_PCI_MSI_IRQ_INDEX, 0, [eventfd]);
    setIrqBools(process, device, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, [false]);
    expect(process.readEventfd(eventfd)).toBe(0n);
    setIrqBools(process, device, VFIO_PCI_MSI_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0, [true]);
    expect(process.readEventfd(eventfd)).toBe(1n);
    expect(getIrqInfo(process, device, VFIO_PCI_MSI_IRQ_INDEX).count).toBe(1);
  });
});

describe('dirty pages', () => {
  it('are those that a device may have written: all that is mapped, as it is pinned', () => {
    const { process, container } = storing();
    startDirtyPages(process, container);
    expect([...getDirtyPages(process, container, { iova: IOVA, size: 0x4000 })]).toEqual([0b1111, 0, 0, 0, 0, 0, 0, 0]);
    expect([...unmapDirtyDma(process, container, { iova: IOVA, size: 0x4000 })]).toEqual([0b1111, 0, 0, 0, 0, 0, 0, 0]);
    stopDirtyPages(process, container);
    expect(outcomeOf(() => getDirtyPages(process, container, { iova: IOVA, size: 0x4000 }))).toBe('EINVAL');
  });

  it('leave no memory behind, also of a request that is refused', () => {
    const { process, container } = storing();
    startDirtyPages(process, container);
    const made: Mapping[] = [];
    const caller = {
      ioctl: (...call: Parameters<Process['ioctl']>) => process.ioctl(...call),
      mmap: (fd: number, length: number) => {
        const mapping = process.mmap(fd, length);
        made.push(mapping);
        return mapping;
      },
    };
    getDirtyPages(caller, container, { iova: IOVA, size: 0x4000 });
    expect(outcomeOf(() => getDirtyPages(caller, container, { iova: 1, size: 0x4000 }))).toBe('EINVAL');
    expect(made.map(({ mapped }) => mapped)).toEqual([false, false]);
  });
});

describe('a mapping', () => {
  it('loses its address in the process, and gets another', () => {
    const { process, container, memory, store } = storing();
    expect(unmapVaddr(process, container, IOVA, 0x4000)).toBe(0x4000n);
    remapVaddr(process, container, { iova: IOVA, vaddr: memory.address, size: 0x4000 });
    expect(outcomeOf(() => remapVaddr(process, container, { iova: IOVA, vaddr: memory.address, size: 0x4000 }))).toBe('EINVAL');
    memory.write(0, 4, 7);
    store(IOVA);
    expect(memory.read(0, 4)).toBe(0);
  });
});

describe('an ioeventfd', () => {
  it('stores what it was told to, as wide, until it is taken away', () => {
    const { process, device } = openEdu();
    write16(process, device, CONFIG + 4, 6);
    const eventfd = process.eventfd();
    const told = { offset: EDU.LIVENESS, width: 4, data: 0x1234_5678 } as const;
    setIoeventfd(process, device, told, eventfd);
    const bar = process.mmap(device, 0x1000, 0);
    process.writeEventfd(eventfd, 1n);
    expect(bar.read(EDU.LIVENESS, 4)).toBe(~0x1234_5678 >>> 0);
    setIoeventfd(process, device, told, -1);
    bar.write(EDU.LIVENESS, 4, 0);
    process.writeEventfd(eventfd, 1n);
    expect(bar.read(EDU.LIVENESS, 4)).toBe(0xffff_ffff);
  });
});

describe('resets', () => {
  it('one that edu has not is refused', () => {
    const { process, device } = openEdu();
    expect(outcomeOf(() => { resetDevice(process, device); })).toBe('EINVAL');
  });

  it('a hot reset names all that it meets, also with little room at first, and is done for who owns it', () => {
    const made = eduHost();
    const { process, bus, host } = made;
    const port = new PciPort(host, { address: '0000:00:1c.0', kind: 'root', secondary: 1 });
    bus.plug(port);
    for (const n of [0, 1]) bus.plug(createEdu(host, `0000:01:00.${n}`), { group: 5 });
    for (const n of [0, 1]) bind(process, `0000:01:00.${n}`);
    const { device, group } = open(process, '0000:01:00.0', 5);
    const met = [0, 1].map((n) => ({ group: 5, segment: 0, bus: 1, device: 0, function: n }));
    expect(getHotResetInfo(process, device, 1)).toEqual(met);
    expect(getHotResetInfo(process, device)).toEqual(met);
    expect(outcomeOf(() => { hotReset(process, device, [group]); })).toBe('success');
    expect(outcomeOf(() => { hotReset(process, device, []); })).toBe('EINVAL');
  });

  it('a device on a root bus meets nothing: the answer is the errno', () => {
    const { process, device } = openEdu();
    expect(outcomeOf(() => getHotResetInfo(process, device))).toBe('ENODEV');
  });
});

describe('low power', () => {
  it('is entered, entered no second time, and left', () => {
    const made = eduHost({ profile: 'linux-6.12' });
    const nic = createRingNic(made.host, '0000:00:05.0');
    made.bus.plug(nic, { group: 9 });
    bind(made.process, '0000:00:05.0');
    const { process } = made;
    const { device } = open(process, '0000:00:05.0', 9);
    expect(outcomeOf(() => probeFeature(process, device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_SET))).toBe('success');
    expect(outcomeOf(() => probeFeature(process, device, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_GET))).toBe('EINVAL');
    enterLowPower(process, device);
    expect(outcomeOf(() => enterLowPower(process, device))).toBe('EINVAL');
    exitLowPower(process, device);
    expect(outcomeOf(() => enterLowPower(process, device, process.eventfd()))).toBe('success');
  });
});

describe('migration', () => {
  function migrating() {
    const made = eduHost({ profile: 'linux-6.12' });
    const nic = createRingNic(made.host, '0000:00:05.0');
    made.bus.plug(nic, { group: 9 });
    made.host.scheduler.call('modprobe', made.bus.addDriver(new VfioRingNicDriver(made.vfio)));
    bind(made.process, '0000:00:05.0', 'ring-nic-vfio-pci');
    return { ...made, ...open(made.process, '0000:00:05.0', 9) };
  }

  it('tells the size of the state', () => {
    const { process, device } = migrating();
    expect(getMigrationDataSize(process, device)).toBeGreaterThan(0n);
  });

  it('logs what the device itself writes', () => {
    const { process, device, container } = migrating();
    const memory = process.mmap(-1, 0x4000);
    mapDma(process, container, { iova: IOVA, vaddr: memory.address, size: 0x4000, flags: BOTH });
    expect(startDmaLogging(process, device, [{ iova: IOVA, size: 0x4000 }])).toBe(4096n);
    expect([...reportDmaLogging(process, device, { iova: IOVA, size: 0x4000 })]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    stopDmaLogging(process, device);
    expect(outcomeOf(() => reportDmaLogging(process, device, { iova: IOVA, size: 0x4000 }))).toBe('EINVAL');
  });
});

it('a mapping is loaded and stored 8 bytes at once, also over the end of a page', () => {
  const { memory } = storing();
  for (const at of [0, 8, 0xffc]) {
    memory.write64(at, 0x1122_3344_5566_7788n);
    expect([memory.read64(at), memory.read(at, 4), memory.read(at + 4, 4)]).toEqual([0x1122_3344_5566_7788n, 0x5566_7788, 0x1122_3344]);
  }
});
