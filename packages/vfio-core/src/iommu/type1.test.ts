import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../../testing/random.ts';
import {
  DmaPort,
  getIommuInfo,
  IOMMU_FAULT,
  mapDma,
  Process,
  setContainer,
  unmapDma,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  type HostInit,
  type Mapping,
} from '@vsim/vfio-core';
import { outcomeOf } from '../testing/suite.ts';
import { sampleHost } from '../../test/sample-device.ts';

const PAGE = 4096;
const RW = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
const M = 0x10_0000;

function setUp(type: number = VFIO_TYPE1v2_IOMMU, init: HostInit = {}) {
  const sample = sampleHost(['a'], init);
  sample.bind('a');
  const { root } = sample;
  const container = root.open('/dev/vfio/vfio');
  const group = root.open('/dev/vfio/0');
  setContainer(root, group, container);
  root.ioctl(container, VFIO_SET_IOMMU, type);
  const memory: Mapping = root.mmap(-1, 16 * M);
  const device = sample.bus.device('a')!;
  const dma = new DmaPort(sample.host, 'a', 8, () => device.iommuGroup);
  const map = (iova: number | bigint, size: number | bigint, flags = RW, vaddr: number | bigint = memory.address) => {
    mapDma(root, container, { iova, size, vaddr, flags });
  };
  const unmap = (iova: number | bigint, size: number | bigint, flags = 0) => unmapDma(root, container, iova, size, flags);
  return { ...sample, container, group, memory, dma, map, unmap };
}

describe('type1', () => {
  it('reports page sizes and the IOVA ranges around the MSI window', () => {
    const { root, container } = setUp();
    expect(getIommuInfo(root, container)).toEqual({
      pageSizes: 0x4020_1000n,
      iovaRanges: [
        { start: 0n, end: 0xfedf_ffffn },
        { start: 0xfef0_0000n, end: 0xffff_ffff_ffffn },
      ],
    });
  });

  it('[vfio 2.13/1] checks the arguments of MAP_DMA in the kernel’s order', () => {
    const { map, memory } = setUp();
    const none = 0x1000;
    expect(outcomeOf(() => { map(0, PAGE, 0); })).toBe('EINVAL');
    expect(outcomeOf(() => { map(0, PAGE, RW | VFIO_DMA_MAP_FLAG_VADDR); })).toBe('EINVAL');
    expect(outcomeOf(() => { map(0, 0); })).toBe('EINVAL');
    expect(outcomeOf(() => { map(1, PAGE); })).toBe('EINVAL');
    expect(outcomeOf(() => { map((1n << 64n) - 4096n, 2 * PAGE); })).toBe('EINVAL');
    map(0xfedf_0000, 0x1_0000);
    expect(outcomeOf(() => { map(0xfedf_f000, 2 * PAGE); })).toBe('EEXIST');
    expect(outcomeOf(() => { map(0xfee0_0000, PAGE); })).toBe('EINVAL');
    expect(outcomeOf(() => { map(M, PAGE, RW, none); })).toBe('EFAULT');
    expect(outcomeOf(() => { map(M, PAGE, VFIO_DMA_MAP_FLAG_VADDR); })).toBe('ENOENT');
    expect(outcomeOf(() => { map(M, 17 * M, RW, memory.address); })).toBe('EFAULT');
    map(M, PAGE);
  });

  it('counts mappings against dma_entry_limit as it was at SET_IOMMU, and locked pages against the limit of the process', () => {
    const { root, map, unmap, memory } = setUp();
    root.uid = 1000;
    root.memlock = 3 * PAGE;
    map(0, 2 * PAGE);
    expect(root.mm.lockedPages).toBe(2);
    expect(outcomeOf(() => { map(M, 2 * PAGE); })).toBe('ENOMEM');
    expect(root.mm.lockedPages).toBe(2);
    map(M, PAGE); // the same page twice counts twice
    expect(root.mm.lockedPages).toBe(3);
    expect(unmap(0, 2 * M)).toBe(3n * 4096n);
    expect(root.mm.lockedPages).toBe(0);
    const limited = sampleHost(['a']);
    limited.root.writeFile('/sys/module/vfio_iommu_type1/parameters/dma_entry_limit', '1');
    limited.bind('a');
    const container = limited.root.open('/dev/vfio/vfio');
    setContainer(limited.root, limited.root.open('/dev/vfio/0'), container);
    limited.root.ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    limited.root.writeFile('/sys/module/vfio_iommu_type1/parameters/dma_entry_limit', '7');
    const own = limited.root.mmap(-1, 2 * PAGE);
    mapDma(limited.root, container, { iova: 0, size: PAGE, vaddr: own.address, flags: RW });
    expect(outcomeOf(() => { mapDma(limited.root, container, { iova: M, size: PAGE, vaddr: own.address, flags: RW }); })).toBe('ENOSPC');
    expect(memory.mapped).toBe(true);
  });

  it('refuses in v2 to cut a mapping, and in v1 takes it whole or leaves it', () => {
    const v2 = setUp();
    v2.map(0, 4 * PAGE);
    v2.map(8 * PAGE, PAGE);
    expect(outcomeOf(() => v2.unmap(PAGE, PAGE))).toBe('EINVAL');
    expect(outcomeOf(() => v2.unmap(0, 2 * PAGE))).toBe('EINVAL');
    expect(v2.unmap(4 * PAGE, PAGE)).toBe(0n);
    expect(v2.unmap(0, 16 * PAGE)).toBe(5n * 4096n);
    const v1 = setUp(VFIO_TYPE1_IOMMU);
    v1.map(0, 4 * PAGE);
    expect(v1.unmap(PAGE, PAGE)).toBe(0n);
    expect(v1.unmap(0, PAGE)).toBe(4n * 4096n);
  });

  it('unmaps all, and invalidates and updates addresses', () => {
    const { map, unmap, memory, root } = setUp();
    map(0, PAGE);
    map(4 * PAGE, PAGE);
    expect(unmap(0, PAGE, VFIO_DMA_UNMAP_FLAG_VADDR)).toBe(4096n);
    expect(outcomeOf(() => unmap(0, 8 * PAGE, VFIO_DMA_UNMAP_FLAG_VADDR))).toBe('EINVAL');
    expect(outcomeOf(() => { map(0, 2 * PAGE, VFIO_DMA_MAP_FLAG_VADDR); })).toBe('EINVAL');
    map(0, PAGE, VFIO_DMA_MAP_FLAG_VADDR, memory.address + M);
    expect(outcomeOf(() => { map(0, PAGE, VFIO_DMA_MAP_FLAG_VADDR); })).toBe('EINVAL');
    expect(outcomeOf(() => unmap(PAGE, 0, VFIO_DMA_UNMAP_FLAG_ALL))).toBe('EINVAL');
    expect(unmap(0, 0, VFIO_DMA_UNMAP_FLAG_ALL)).toBe(2n * 4096n);
    expect(root.mm.lockedPages).toBe(0);
  });

  it('keeps pinned pages for the device after munmap, and frees them with the mapping', () => {
    const { host, root, map, unmap, dma } = setUp();
    const used = host.pages.used;
    const buffer = root.mmap(-1, PAGE);
    buffer.write(0, 4, 0x1234_5678);
    map(0, PAGE, RW, buffer.address);
    buffer.unmap();
    const into = new Uint8Array(4);
    expect([dma.read(0, into), ...into]).toEqual([true, 0x78, 0x56, 0x34, 0x12]);
    expect(host.pages.used).toBe(used + 1);
    unmap(0, PAGE);
    expect(host.pages.used).toBe(used);
  });

  it('drops everything when the last group leaves', () => {
    const { root, host, map, group, dma } = setUp();
    const events = host.trace.record();
    map(0, PAGE);
    root.close(group);
    expect(root.mm.lockedPages).toBe(0);
    // Without a domain the device is in the kernel's own identity domain again: that is no fault.
    expect(dma.read(0, new Uint8Array(1))).toBe(true);
    expect(events).toEqual([]);
  });

  it('agrees with a list of bigints, and DMA moves bytes only where it may', () => {
    const step = fc.record({
      kind: fc.constantFrom('map', 'map', 'unmap', 'read', 'write'),
      page: fc.nat(40),
      pages: fc.integer({ min: 1, max: 6 }),
      flags: fc.constantFrom(1, 2, 3),
      v: fc.nat(20),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (program, v2) => {
        const { host, root, map, unmap, dma, memory } = setUp(v2 ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU);
        const faults = host.trace.record();
        let list: { iova: bigint; size: bigint; flags: number; v: number }[] = [];
        for (const { kind, page, pages, flags, v } of program) {
          const iova = BigInt(page) * 4096n;
          const size = BigInt(pages) * 4096n;
          const end = iova + size;
          const hits = list.filter((m) => m.iova < end && iova < m.iova + m.size);
          if (kind === 'map') {
            const outcome = outcomeOf(() => { map(iova, size, flags, memory.address + v * PAGE); });
            expect(outcome).toBe(hits.length > 0 ? 'EEXIST' : 'success');
            if (hits.length === 0) list.push({ iova, size, flags, v });
          } else if (kind === 'unmap') {
            const cut = hits.some((m) => m.iova < iova || m.iova + m.size > end);
            if (v2 && cut) {
              expect(outcomeOf(() => unmap(iova, size))).toBe('EINVAL');
            } else {
              const gone = hits.filter((m) => m.iova >= iova);
              expect(unmap(iova, size)).toBe(gone.reduce((sum, m) => sum + m.size, 0n));
              list = list.filter((m) => !gone.includes(m));
            }
          } else {
            const length = pages * 1000;
            const at = page * PAGE + 17;
            const need = kind === 'read' ? 1 : 2;
            const allowed = [...Array(length).keys()].every((i) =>
              list.some((m) => (m.flags & need) !== 0 && m.iova <= BigInt(at + i) && BigInt(at + i) < m.iova + m.size),
            );
            const bytes = new Uint8Array(length).fill(v + 1);
            const before = faults.length;
            const moved = kind === 'read' ? dma.read(at, bytes) : dma.write(at, bytes);
            expect(moved).toBe(allowed);
            expect(faults.slice(before).map(({ id }) => id)).toEqual(allowed ? [] : [IOMMU_FAULT.id]);
            if (kind === 'read' && !allowed) expect(bytes.every((byte) => byte === v + 1)).toBe(true);
            if (kind === 'write' && allowed) {
              const first = list.find((m) => m.iova <= BigInt(at) && BigInt(at) < m.iova + m.size)!;
              expect(memory.read(first.v * PAGE + Number(BigInt(at) - first.iova), 1)).toBe(v + 1);
            }
          }
          const pagesMapped = list.reduce((sum, m) => sum + m.size, 0n) / 4096n;
          expect(root.mm.lockedPages).toBe(Number(pagesMapped));
        }
      }),
      parameters(1),
    );
  });
});

it('a process without the right may not open what is root’s', () => {
  const { host } = setUp();
  const user = new Process(host, { uid: 1000 });
  user.close(user.open('/dev/vfio/vfio'));
  expect(outcomeOf(() => user.open('/dev/vfio/0'))).toBe('EACCES');
});
