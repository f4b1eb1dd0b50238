/** Memory of a program outside of the simulation, as a device reaches it: mapped, pinned, translated. */
import { describe, expect, it } from 'vitest';
import {
  DmaLog,
  DmaPort,
  dmaRw,
  getDeviceFd,
  getDirtyPages,
  IOMMU_READ,
  IOMMU_WRITE,
  mapDma,
  pinPages,
  startDirtyPages,
  unmapDma,
  unpinPages,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  type ForeignMemory,
  type Mapping,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { addEmulated, openGroup, sampleHost } from './sample-device.ts';

const PAGE = 4096;
const SPAN = 64 * PAGE;
const RW = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

/** Memory of somebody else, that tells what was asked of it and can be taken away. */
class Foreign implements ForeignMemory {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  gone = false;

  constructor(size: number) {
    this.size = size;
    this.bytes = new Uint8Array(size);
  }

  read(offset: number, into: Uint8Array): void {
    this.log.push(`read ${offset}+${into.length}`);
    if (this.gone || offset + into.length > this.size) into.fill(0xff);
    else into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.log.push(`write ${offset}+${from.length}`);
    if (!this.gone && offset + from.length <= this.size) this.bytes.set(from, offset);
  }
}

function setUp() {
  const sample = sampleHost(['a']);
  sample.bind('a');
  const { host, root } = sample;
  const { container } = openGroup(sample, 0);
  const device = sample.bus.device('a')!;
  const dma = new DmaPort(host, 'a', 8, () => device.iommuGroup);
  const give = (memory: ForeignMemory, write = true): Mapping => {
    const mapping = root.mm.mapForeign(memory, true, write);
    if (typeof mapping === 'number') throw new Error(`mapForeign: ${mapping}`);
    return mapping;
  };
  const map = (memory: Mapping, iova: number, size = memory.length, flags = RW) => { mapDma(root, container, { iova, size, vaddr: memory.address, flags }); };
  return { ...sample, container, dma, give, map };
}

describe('foreign memory', () => {
  it('is written and read by the process that maps it, at every width, each in one access', () => {
    const { give } = setUp();
    const foreign = new Foreign(2 * PAGE);
    const mapping = give(foreign);
    mapping.write(PAGE - 2, 4, 0x4433_2211);
    mapping.write(8, 1, 0xab);
    mapping.write(10, 2, 0xbeef);
    mapping.write64(16, 0x8877_6655_4433_2211n);
    mapping.writeBytes(32, Uint8Array.of(1, 2, 3));
    expect([...foreign.bytes.subarray(8, 35)]).toEqual([0xab, 0, 0xef, 0xbe, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
    expect([mapping.read(PAGE - 2, 4), mapping.read(8, 1), mapping.read(10, 2), mapping.read64(16), [...mapping.readBytes(31, 5)]]).toEqual([
      0x4433_2211, 0xab, 0xbeef, 0x8877_6655_4433_2211n, [0, 1, 2, 3, 0],
    ]);
    // An access that crosses pages of the process is made of two, as every one is.
    expect(foreign.log).toEqual([
      'write 4094+2', 'write 4096+2', 'write 8+1', 'write 10+2', 'write 16+8', 'write 32+3',
      'read 4094+2', 'read 4096+2', 'read 8+1', 'read 10+2', 'read 16+8', 'read 31+5',
    ]);
  });

  it('is the same for a child of the process, and let go of with the last that maps it', () => {
    const { host, root, give } = setUp();
    const mapping = give(new Foreign(PAGE));
    const child = root.fork();
    child.mm.write32(mapping.address, 7);
    expect(mapping.read(0, 4)).toBe(7);
    mapping.unmap();
    expect(host.memory.foreign.count).toBe(1);
    child.exit();
    expect(host.memory.foreign.count).toBe(0);
  });

  it('is reached by DMA, a stretch of any length in one access', () => {
    const { dma, give, map } = setUp();
    const foreign = new Foreign(2 * SPAN);
    map(give(foreign), 0x4000_0000);
    const sent = Uint8Array.from({ length: SPAN }, (_, i) => i * 7);
    expect(dma.write(0x4000_0123, sent)).toBe(true);
    expect(foreign.bytes.subarray(0x123, 0x123 + SPAN)).toEqual(sent);
    const into = new Uint8Array(SPAN);
    expect([dma.read(0x4000_0123, into), into]).toEqual([true, sent]);
    dma.write(0x4000_0ffe, Uint8Array.of(1, 2, 3, 4));
    expect(foreign.log).toEqual(['write 291+262144', 'read 291+262144', 'write 4094+4']);
  });

  it('takes an access for each memory that a transfer crosses, and RAM lies between', () => {
    const { root, dma, give, map } = setUp();
    const [low, high] = [new Foreign(PAGE), new Foreign(PAGE)];
    map(give(low), 0);
    map(root.mmap(-1, PAGE), PAGE);
    map(give(high), 2 * PAGE);
    const sent = Uint8Array.from({ length: 3 * PAGE }, (_, i) => i >> 4);
    const into = new Uint8Array(3 * PAGE);
    expect([dma.write(0, sent), dma.read(0, into), into]).toEqual([true, true, sent]);
    expect([low.log, high.log]).toEqual([['write 0+4096', 'read 0+4096'], ['write 0+4096', 'read 0+4096']]);
    expect(high.bytes).toEqual(sent.subarray(2 * PAGE));
  });

  it('is read only where it is mapped so', () => {
    const { dma, give, map } = setUp();
    const foreign = new Foreign(PAGE);
    const mapping = give(foreign, false);
    expect(outcomeOf(() => { map(mapping, 0); })).toBe('EFAULT');
    map(mapping, 0, PAGE, VFIO_DMA_MAP_FLAG_READ);
    expect([dma.write(0, Uint8Array.of(1)), dma.read(0, new Uint8Array(1))]).toEqual([false, true]);
  });

  it('counts as locked, stays while it is pinned, and goes with the last page', () => {
    const { host, root, container, dma, give, map } = setUp();
    const foreign = new Foreign(4 * PAGE);
    const mapping = give(foreign);
    map(mapping, 0);
    expect(root.mm.lockedPages).toBe(4);
    mapping.unmap();
    expect([dma.write(PAGE, Uint8Array.of(9)), foreign.bytes[PAGE]]).toEqual([true, 9]);
    expect(host.memory.foreign.count).toBe(1);
    unmapDma(root, container, 0, 4 * PAGE);
    expect([root.mm.lockedPages, host.memory.foreign.count]).toEqual([0, 0]);
  });

  it('reads ones when it was taken away while it is mapped, and throws nothing', () => {
    const { dma, give, map } = setUp();
    const foreign = new Foreign(2 * PAGE);
    const mapping = give(foreign);
    map(mapping, 0);
    foreign.gone = true;
    const into = new Uint8Array(PAGE + 1);
    expect([dma.read(1, into), new Set(into)]).toEqual([true, new Set([0xff])]);
    expect([dma.write(0, into), foreign.bytes[0]]).toEqual([true, 0]);
    expect([mapping.read(0, 1), mapping.read(0, 2), mapping.read(0, 4), mapping.read64(0)]).toEqual([0xff, 0xffff, 0xffff_ffff, (1n << 64n) - 1n]);
  });

  it('has its own frames again when it is given back, apart from those of others', () => {
    const { host } = setUp();
    const { foreign } = host.memory;
    const [one, two] = [foreign.add(new Foreign(3 * PAGE))!, foreign.add(new Foreign(PAGE))!];
    expect([one.first, one.count, two.first]).toEqual([2 ** 40, 3, 2 ** 40 + 4]);
    const end = (2 ** 40 + 3) * PAGE;
    expect([host.memory.accessible(end - 8, 8), host.memory.accessible(end - 8, 9), host.memory.isRam(end - 8, 8), host.memory.read32(end)]).toEqual([true, false, false, 0xffff_ffff]);
    one.put();
    expect(host.memory.accessible(end - 8, 8)).toBe(false);
    expect(foreign.add(new Foreign(2 * PAGE))!.first).toBe(2 ** 40);
  });

  it('is refused where it is no whole pages, and where there are no addresses for it', () => {
    const { root } = setUp();
    for (const size of [0, -PAGE, 1, PAGE + 1, NaN, Infinity]) expect(() => root.mm.mapForeign({ size, read: () => undefined, write: () => undefined })).toThrow('"memory" expected a size');
    const huge = (size: number) => root.mm.mapForeign({ size, read: () => undefined, write: () => undefined });
    expect([huge(2 ** 47), huge(2 ** 52), root.host.memory.foreign.count]).toEqual([-12, -12, 0]);
  });
});

describe('an emulated device, and dirty pages', () => {
  it('pins foreign pages and copies through the process', () => {
    const sample = sampleHost([]);
    const { host, root } = sample;
    const { group, device } = addEmulated(sample, 'm');
    const fds = openGroup(sample, group);
    getDeviceFd(root, fds.group, 'm');
    const foreign = new Foreign(4 * PAGE);
    const mapping = root.mm.mapForeign(foreign);
    if (typeof mapping === 'number') throw new Error('mapForeign');
    mapDma(root, fds.container, { iova: 0, size: 4 * PAGE, vaddr: mapping.address, flags: RW });
    const frames = host.scheduler.call('pin', pinPages(device, [1, 3], IOMMU_READ | IOMMU_WRITE));
    if (typeof frames === 'number') throw new Error(`pin ${frames}`);
    host.memory.write32(frames[1]! * PAGE, 0x1234);
    expect([foreign.bytes[3 * PAGE], foreign.bytes[3 * PAGE + 1], root.mm.lockedPages]).toEqual([0x34, 0x12, 2]);
    const data = Uint8Array.of(5, 6, 7, 8);
    expect([host.scheduler.call('rw', dmaRw(device, undefined, PAGE - 2, data, true)), [...foreign.bytes.subarray(PAGE - 2, PAGE + 2)]]).toEqual([0, [5, 6, 7, 8]]);
    startDirtyPages(root, fds.container);
    getDirtyPages(root, fds.container, { iova: 0, size: 4 * PAGE });
    unpinPages(device, [1, 3]);
    host.scheduler.call('rw', dmaRw(device, undefined, 2 * PAGE, data, true));
    const dirty = () => getDirtyPages(root, fds.container, { iova: 0, size: 4 * PAGE })[0];
    // Pages that were pinned at the last look, and the one that was copied to since.
    expect([dirty(), dirty()]).toEqual([0b1110, 0]);
    unmapDma(root, fds.container, 0, 4 * PAGE);
    mapping.unmap();
    expect(host.memory.foreign.count).toBe(0);
  });

  it('are told of foreign memory as of any other: by type1, and by the device’s own log', () => {
    const { root, container, dma, give, map } = setUp();
    const log = new DmaLog();
    dma.written = (frame, offset, length) => { log.wroteFrames(frame, offset, length); };
    map(give(new Foreign(8 * PAGE)), 0);
    startDirtyPages(root, container);
    log.start([{ iova: 0n, length: BigInt(8 * PAGE) }], 4096n);
    dma.write(PAGE + 1, new Uint8Array(2 * PAGE));
    const wrote: [bigint, bigint][] = [];
    log.readAndClear({ iova: 0n, length: BigInt(8 * PAGE) }, (iova, length) => wrote.push([iova, length]));
    expect(wrote).toEqual([[0x1000n, 0x1000n], [0x2000n, 0x1000n], [0x3000n, 0x1000n]]);
    // Nobody keeps an IOMMU's writes: each time all that its devices could have written.
    expect([...getDirtyPages(root, container, { iova: 0, size: 8 * PAGE }).subarray(0, 1)]).toEqual([0xff]);
  });
});
