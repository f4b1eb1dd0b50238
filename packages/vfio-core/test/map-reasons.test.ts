/** What a user is told when VFIO_IOMMU_MAP_DMA is refused: the event and the error's message name the cause [M14]. */
import { MAP_LIMIT, MAP_MEMLOCK, Process, SyscallError, VFIO_IOMMU_MAP_DMA, mapDma, type DmaMap } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { openGroup, sampleHost } from './sample-device.ts';

const BOTH = 3;

function world() {
  const sample = sampleHost(['a']);
  sample.bind('a');
  const { container } = openGroup(sample, 0);
  const memory = sample.root.mmap(-1, 0x10_0000);
  const events = sample.host.trace.record();
  const refused = (map: Partial<DmaMap>, process: Process = sample.root): SyscallError => {
    try {
      mapDma(process, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x1000, flags: BOTH, ...map });
    } catch (error) {
      if (error instanceof SyscallError) return error;
      throw error;
    }
    throw new Error('it was not refused');
  };
  return { ...sample, container, memory, events, refused };
}

describe('a mapping that is refused', () => {
  it('for its alignment: which of the three, and to what', () => {
    const error = world().refused({ iova: 0x10_0800 });
    expect(error.message).toBe('ioctl VFIO_IOMMU_MAP_DMA fd 3 (/dev/vfio/vfio): EINVAL: iova 0x100800 is not a multiple of the page size 0x1000, or nothing; align all three to the smallest bit of iova_pgsizes in VFIO_IOMMU_GET_INFO');
  });

  it('for an overlap: with which mapping', () => {
    const { container, root, memory, refused, events } = world();
    mapDma(root, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x4000, flags: BOTH });
    const error = refused({ iova: 0x10_2000, size: 0x8000 });
    expect(error.why?.text).toBe('0x102000 to 0x109fff overlaps the mapping 0x100000 to 0x103fff');
    expect(events.map(({ id, severity }) => `${severity} ${id}`)).toEqual(['info type1/map-overlap']);
  });

  it('for a reserved window: which windows are free', () => {
    const error = world().refused({ iova: 0xfee0_0000 });
    expect(error.why?.reason.id).toBe('type1/map-reserved');
    expect(error.why?.text).toContain('0x0 to 0xfedfffff, 0xfef00000 to');
  });

  it('for the limit of locked memory: who, how much, and by how much', () => {
    const { host, root, container, events } = world();
    const poor = new Process(host, { name: 'poor', uid: 1000, memlock: 0x2000 });
    const memory = poor.mmap(-1, 0x4000);
    const request = new Uint8Array(32);
    const view = new DataView(request.buffer);
    view.setUint32(0, 32, true);
    view.setUint32(4, BOTH, true);
    view.setBigUint64(8, BigInt(memory.address), true);
    view.setBigUint64(24, 0x4000n, true);
    // The container's fd is root's: the memory and the limit are those of whoever calls.
    const file = root.file(container)!;
    file.get();
    const fd = poor.install(file, 2);
    poor.tryIoctl(fd, VFIO_IOMMU_MAP_DMA, request);
    expect(events.at(-1)?.fields).toEqual({ task: 'poor', locked: 0, wanted: 4, limit: 2 });
    expect(events.at(-1)?.id).toBe(MAP_MEMLOCK.id);
    expect(events.at(-1)?.text).toBe('poor has 0 KiB locked and wants 16 KiB more: 8 KiB over the limit of 8 KiB');
  });

  it('for memory that is not there: at which address', () => {
    const error = world().refused({ vaddr: 0x1000 });
    expect(error.code).toBe('EFAULT');
    expect(error.why?.text).toBe('no writable page at vaddr 0x1000');
  });

  it('for its flags, for 2^64, for a vaddr that is valid or that nothing has', () => {
    const { refused, root, container, memory } = world();
    expect(refused({ flags: 0 }).why?.reason.id).toBe('type1/map-flags');
    expect(refused({ iova: 0xffff_ffff_ffff_f000n, size: 0x2000 }).why?.reason.id).toBe('type1/map-overflow');
    expect(refused({ flags: 4 }).why?.reason.id).toBe('type1/map-no-vaddr');
    mapDma(root, container, { iova: 0x10_0000, vaddr: memory.address, size: 0x1000, flags: BOTH });
    expect(refused({ flags: 4 }).why?.text).toBe('0x100000 to 0x100fff meets the mapping 0x100000 to 0x100fff, whose vaddr is valid');
  });

  it('for the number of mappings: how many there may be', () => {
    const sample = sampleHost(['a']);
    sample.root.writeFile('/sys/module/vfio_iommu_type1/parameters/dma_entry_limit', '1');
    sample.bind('a');
    const { container } = openGroup(sample, 0);
    const memory = sample.root.mmap(-1, 0x2000);
    const map = (iova: number) => () => mapDma(sample.root, container, { iova, vaddr: memory.address, size: 0x1000, flags: BOTH });
    map(0)();
    expect(map(0x1000)).toThrow(`ENOSPC: ${MAP_LIMIT.text({ limit: 1 })}; ${MAP_LIMIT.wayOut}`);
  });
});
