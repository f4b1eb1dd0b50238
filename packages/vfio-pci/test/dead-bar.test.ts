/** A mapped BAR that does not decode: nothing of it can be reached, copied or pinned. */
import { EFAULT, mapDma, VFIO_DEVICE_GET_INFO, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE } from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { describe, expect, it } from 'vitest';
import { MAP_MEMORY } from '@vsim/vfio-core';
import { CONFIG, openEdu, write16 } from './edu-host.ts';

const RW = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;

function mapped() {
  const made = openEdu();
  const { process, device, container } = made;
  const bar = process.mmap(device, 0x1000, 0);
  const decode = (on: boolean) => write16(process, device, CONFIG + 4, on ? 6 : 4);
  const map = (vaddr = bar.address, size = 0x1000) => outcomeOf(() => mapDma(process, container, { vaddr, iova: 0x10_0000, size, flags: RW }));
  return { ...made, bar, decode, map };
}

describe('a mapped BAR with COMMAND.MEM 0', () => {
  it('cannot be mapped for DMA: EFAULT, with nothing left of it; with COMMAND.MEM 1 it can [M10]', () => {
    const { decode, map, process, events } = mapped();
    decode(false);
    expect(map()).toBe('EFAULT');
    expect(events.filter(({ id }) => id === MAP_MEMORY.id)).toHaveLength(1);
    decode(true);
    expect([map(), process.mm.lockedPages]).toEqual(['success', 0]);
  });

  it('stays mapped for DMA when it was so before [M10]', () => {
    const { decode, map } = mapped();
    decode(true);
    expect(map()).toBe('success');
    decode(false);
    expect(map()).toBe('EEXIST');
  });

  it('is no argument of an ioctl, to read or to write: EFAULT [M10]', () => {
    const { decode, bar, process, device } = mapped();
    decode(true);
    expect(process.tryIoctl(device, VFIO_DEVICE_GET_INFO, bar.address)).not.toBe(-EFAULT);
    decode(false);
    expect(process.tryIoctl(device, VFIO_DEVICE_GET_INFO, bar.address)).toBe(-EFAULT);
  });

  it('is not copied from or to [M10]', () => {
    const { decode, bar, process } = mapped();
    decode(true);
    const copies = () => [process.mm.copyFromUser(bar.address, new Uint8Array(4)), process.mm.copyToUser(bar.address, new Uint8Array(4)), process.mm.accessible(bar.address, 4)];
    expect(copies()).toEqual([true, true, true]);
    decode(false);
    expect(copies()).toEqual([false, false, false]);
  });

  it('keeps its device open when the fd is closed, and is gone with it [M10] [platform 28]', () => {
    const { decode, bar, process, device } = mapped();
    decode(true);
    process.close(device);
    expect(process.mm.accessible(bar.address, 4)).toBe(true);
    bar.unmap();
    expect(process.mm.accessible(bar.address, 4)).toBe(false);
  });
});
