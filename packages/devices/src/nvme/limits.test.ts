import { Host } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../block/memory-store.ts';
import { createNvme } from './create-nvme.ts';

const store = new MemoryStore(4096);

describe('a controller', () => {
  it('has BAR 0 for doorbells, vectors and pending bits', () => {
    const sizes = [createNvme(new Host(), '0000:00:01.0'), createNvme(new Host(), '0000:00:01.0', { ioQueues: 256, vectors: 512, doorbellStride: 4 })].map((disk) => [
      disk.bars[0]?.size,
      disk.msix?.tableOffset,
      disk.msix?.pbaOffset,
      disk.msix?.size,
      disk.msi?.capable,
    ]);
    expect(sizes).toEqual([[0x4000, 0x2000, 0x3000, 17, 16], [0x1_0000, 0xa000, 0xc000, 512, 32]]);
  });

  it('has the class of NVMe, and INTA', () => {
    const disk = createNvme(new Host(), '0000:00:01.0');
    expect([disk.configRead(8, 4), disk.configRead(0x3d, 1)]).toEqual([0x0108_0201, 1]);
  });

  it.each([
    { ioQueues: 0 },
    { ioQueues: 257 },
    { vectors: 513 },
    { maxEntries: 1 },
    { maxEntries: 65_537 },
    { doorbellStride: 5 },
    { maxTransfer: 5000 },
    { maxTransfer: 2 ** 21 },
    { maxNamespaces: 0 },
    { namespaces: [{ store }, { store }], maxNamespaces: 1 },
    { serial: 'a serial number that is too long' },
    { model: 'é' },
    { namespaces: [{ store: new MemoryStore(511) }] },
    { namespaces: [{ store, guid: new Uint8Array(16) }] },
    { namespaces: [{ store, guid: new Uint8Array(8).fill(1) }] },
  ])('is not made with %o', (init) => {
    expect(() => createNvme(new Host(), '0000:00:01.0', init)).toThrow(RangeError);
  });

  it('has no namespace 0, and none above the highest', () => {
    const disk = createNvme(new Host(), '0000:00:01.0', { maxNamespaces: 2 });
    for (const id of [0, 3, 1.5]) {
      expect(() => disk.attach(id, { store })).toThrow(RangeError);
      expect(() => disk.detach(id)).toThrow(RangeError);
    }
  });
});
