import { describe, expect, it } from 'vitest';
import { encodeCapabilities, regionCapabilities, sparseAreas, sparseCapability } from './capabilities.ts';

const AREAS = [
  { offset: 0x1000n, length: 0x2000n },
  { offset: 0x4000n, length: 0x1000n },
];

describe('capabilities of a region', () => {
  it('come back from their chain, padded to 8 bytes', () => {
    const chain = [{ id: 2, version: 1, body: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }, sparseCapability(AREAS)];
    expect(regionCapabilities({ capOffset: 32, capabilities: encodeCapabilities(chain) })).toEqual(chain);
    expect(encodeCapabilities([{ id: 2, version: 1, body: Uint8Array.of(1) }])).toHaveLength(16);
    expect(sparseAreas(chain)).toEqual(AREAS);
  });

  it('are none without bytes, and without the offset', () => {
    expect(regionCapabilities({ capOffset: 32, capabilities: new Uint8Array(0) })).toEqual([]);
    expect(regionCapabilities({ capOffset: 0, capabilities: new Uint8Array(8) })).toEqual([]);
  });

  it.each([
    ['into the fixed part', 8, chained(0)],
    ['out of the message', 33, chained(0)],
    ['to itself', 32, chained(32)],
    ['backwards', 32, chained(8)],
    ['into its own header', 32, chained(36, 16)],
    ['far away', 32, chained(0xffff_fff0)],
  ])('that lead %s are undefined', (_name, capOffset, capabilities) => {
    expect(regionCapabilities({ capOffset, capabilities })).toBeUndefined();
  });

  it('of areas that are cut are undefined', () => {
    const { body, ...rest } = sparseCapability(AREAS);
    expect(sparseAreas([{ ...rest, body: body.subarray(0, -1) }])).toBeUndefined();
    expect(sparseAreas([{ ...rest, body: body.subarray(0, 7) }])).toBeUndefined();
    expect(sparseAreas([])).toBeUndefined();
  });
});

/** One capability whose next is at `next`. */
function chained(next: number, size = 8): Uint8Array {
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(4, next, true);
  return bytes;
}
