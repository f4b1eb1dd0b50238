/** MAP and UNMAP against a list of bigints that follows the catalogue's table (vfio 2.13), in every version and kind of container. */
import { describe, expect, it } from 'vitest';
import { fc, parameters } from '../../../testing/random.ts';
import {
  getDeviceFd,
  mapDma,
  unmapDma,
  VFIO_DMA_MAP_FLAG_VADDR,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_DMA_UNMAP_FLAG_VADDR,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
} from '@vsim/vfio-core';
import { outcomeOf } from '@vsim/vfio-core/testing';
import { addEmulated, openGroup, sampleHost } from './sample-device.ts';

const PAGE = 4096n;
const END = 1n << 64n;
const RW = 3;

interface Mapping {
  readonly iova: bigint;
  readonly size: bigint;
  valid: boolean;
}

/** The rules, as slow and plain as can be. Errors are names of errnos; `bigint` is the size that an unmap tells. */
class Oracle {
  list: Mapping[] = [];
  readonly #v2: boolean;
  readonly #emulated: boolean;
  readonly #limit: number;

  constructor(v2: boolean, emulated: boolean, limit: number) {
    this.#v2 = v2;
    this.#emulated = emulated;
    this.#limit = limit;
  }

  /** What a search finds: its arithmetic wraps at 2^64, so that nothing that ends there is found, or finds. */
  #hits(iova: bigint, size: bigint): Mapping[] {
    if (iova + size === END) return [];
    const found = this.list.filter((m) => m.iova + m.size !== END && m.iova < iova + size && iova < m.iova + m.size);
    return found.sort((a, b) => (a.iova < b.iova ? -1 : 1));
  }

  map(iova: bigint, size: bigint): string {
    if (size === 0n || iova + size > END) return 'EINVAL';
    if (this.#hits(iova, size).length > 0) return 'EEXIST';
    if (this.list.length >= this.#limit) return 'ENOSPC';
    if (!this.#emulated && !this.#usable(iova, size)) return 'EINVAL';
    this.list.push({ iova, size, valid: true });
    return 'success';
  }

  #usable(iova: bigint, size: bigint): boolean {
    return iova + size <= 0xfee0_0000n || (iova >= 0xfef0_0000n && iova + size <= 1n << 48n);
  }

  update(iova: bigint, size: bigint): string {
    if (size === 0n || iova + size > END) return 'EINVAL';
    const [found] = this.#hits(iova, size);
    if (found === undefined) return 'ENOENT';
    if (found.valid || found.iova !== iova || found.size !== size) return 'EINVAL';
    found.valid = true;
    return 'success';
  }

  unmap(iova: bigint, size: bigint, flags: number): string | bigint {
    const vaddr = (flags & VFIO_DMA_UNMAP_FLAG_VADDR) !== 0;
    if (vaddr && this.#emulated) return 'EBUSY';
    let range: readonly [bigint, bigint] = [iova, size];
    if ((flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0) {
      if (iova !== 0n || size !== 0n) return 'EINVAL';
      range = [0n, END - 1n];
    } else if (size === 0n || iova + size > END) {
      return 'EINVAL';
    }
    const [from, length] = range;
    const hits = this.#hits(from, length);
    const cut = (at: bigint) => this.list.find((m) => m.iova + m.size !== END && m.iova <= at && at < m.iova + m.size);
    const head = cut(from);
    const tail = cut(from + length - 1n);
    if (this.#v2 && ((head !== undefined && head.iova !== from) || (tail !== undefined && tail.iova + tail.size !== from + length))) return 'EINVAL';
    // v1: what begins before the range ends the call.
    const taken = hits.length > 0 && hits[0]!.iova < from ? [] : hits;
    if (vaddr && taken.some(({ valid }) => !valid)) return 'EINVAL';
    if (vaddr) for (const m of taken) m.valid = false;
    else this.list = this.list.filter((m) => !taken.includes(m));
    return taken.reduce((sum, m) => sum + m.size, 0n);
  }
}

/** Addresses near each other, near the reserved window, and near the top. */
const page = fc.oneof(
  { weight: 6, arbitrary: fc.nat(24).map(BigInt) },
  { weight: 2, arbitrary: fc.nat(12).map((n) => 0xfedf_fn - 4n + BigInt(n) * 32n) },
  { weight: 2, arbitrary: fc.nat(7).map((n) => END / PAGE - 8n + BigInt(n)) },
  { weight: 1, arbitrary: fc.nat(4).map((n) => (1n << 36n) - 2n + BigInt(n)) },
);
const size = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 6 }).map(BigInt) }, { weight: 1, arbitrary: fc.constantFrom(0n, 512n, END / PAGE - 8n, END / PAGE - 1n) });
const step = fc.record({
  kind: fc.constantFrom('map', 'map', 'map', 'unmap', 'unmap', 'all', 'invalidate', 'invalidate', 'update', 'update', 'invalidate all'),
  page,
  size,
  again: fc.nat(20),
});

describe.each([
  ['v1', VFIO_TYPE1_IOMMU, false],
  ['v2', VFIO_TYPE1v2_IOMMU, false],
  ['v2 with emulated devices alone', VFIO_TYPE1v2_IOMMU, true],
] as const)('type1 %s', (_name, type, emulated) => {
  it('[vfio 2.13/8] [vfio 2.13/22] [vfio 2.13/23] [vfio 2.13/29] agrees with a list of bigints up to the top of the space, and accounts what is mapped', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), fc.integer({ min: 3, max: 40 }), (program, limit) => {
        const sample = sampleHost(['a']);
        const { root, host } = sample;
        sample.bind('a');
        const { group } = emulated ? addEmulated(sample, 'm') : { group: 0 };
        sample.vfio.type1.dmaEntryLimit = limit;
        const fds = openGroup(sample, group, undefined, type);
        const device = getDeviceFd(root, fds.group, emulated ? 'm' : 'a');
        const memory = root.mmap(-1, 600 * 4096);
        const used = host.pages.used;
        const oracle = new Oracle(type === VFIO_TYPE1v2_IOMMU, emulated, limit);
        for (const { kind, page: at, size: pages, again } of program) {
          // Half of the steps repeat a mapping's own range: random ones would hardly ever meet it.
          const known = again % 2 === 0 ? oracle.list[again % Math.max(oracle.list.length, 1)] : undefined;
          const iova = known?.iova ?? at * PAGE;
          const length = known?.size ?? pages * PAGE;
          // The kernel checks that vaddr does not wrap, too: keep it low enough, and inside the memory when it is pinned.
          const vaddr = length > 600n * PAGE ? 0 : memory.address;
          const unmap = (from: bigint, bytes: bigint, flags: number) => {
            let told = 0n;
            const outcome = outcomeOf(() => (told = unmapDma(root, fds.container, from, bytes, flags)));
            return outcome === 'success' ? told : outcome;
          };
          switch (kind) {
            case 'map': {
              const expected = oracle.map(iova, length);
              const outcome = outcomeOf(() => mapDma(root, fds.container, { iova, size: length, vaddr, flags: RW }));
              if (expected === 'success' && outcome === 'EFAULT' && vaddr === 0) oracle.list.pop(); // nothing there to pin
              else expect(outcome).toBe(expected);
              break;
            }
            case 'update':
              expect(outcomeOf(() => mapDma(root, fds.container, { iova, size: length, vaddr, flags: VFIO_DMA_MAP_FLAG_VADDR }))).toBe(oracle.update(iova, length));
              break;
            case 'unmap':
              expect(unmap(iova, length, 0)).toEqual(oracle.unmap(iova, length, 0));
              break;
            case 'invalidate':
              expect(unmap(iova, length, VFIO_DMA_UNMAP_FLAG_VADDR)).toEqual(oracle.unmap(iova, length, VFIO_DMA_UNMAP_FLAG_VADDR));
              break;
            case 'all':
              if (again > 4) break;
              expect(unmap(0n, 0n, VFIO_DMA_UNMAP_FLAG_ALL)).toEqual(oracle.unmap(0n, 0n, VFIO_DMA_UNMAP_FLAG_ALL));
              break;
            case 'invalidate all': {
              const flags = VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR;
              expect(unmap(0n, 0n, flags)).toEqual(oracle.unmap(0n, 0n, flags));
              break;
            }
          }
          const pinned = emulated ? 0n : oracle.list.reduce((sum, m) => sum + m.size / PAGE, 0n);
          expect(BigInt(root.mm.lockedPages)).toBe(pinned);
        }
        root.close(device);
        root.close(fds.group);
        expect([root.mm.lockedPages, host.pages.used]).toEqual([0, used]);
      }),
      parameters(3),
    );
  });
});
