import { Host, Random } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { HeldLpis } from './held-lpis.ts';

const RAM = 0x8000_0000;
const PROPERTIES = RAM + 0x1_0000;

function held(): { readonly lpis: HeldLpis; readonly property: (lpi: number, byte: number) => void } {
  const { memory } = new Host({ ram: [{ base: RAM, size: 0x4_0000 }] });
  memory.writeBytes(PROPERTIES, new Uint8Array(0xe000).fill(0xa1));
  const lpis = new HeldLpis(memory.ram);
  lpis.place(RAM, PROPERTIES, 16);
  lpis.open(true);
  return { lpis, property: (lpi, byte) => memory.write8(PROPERTIES + lpi - 8192, byte) };
}

describe('LPIs that are held', () => {
  it('are found by priority, then by number, wherever they are', () => {
    const { lpis, property } = held();
    const random = new Random(3);
    const wanted: { intid: number; priority: number }[] = [];
    for (let n = 0; n < 300; n += 1) {
      const intid = 8192 + random.below(57344);
      const priority = random.below(64) * 4;
      property(intid, priority + 1);
      if (lpis.set(intid)) wanted.push({ intid, priority });
    }
    wanted.sort((a, b) => a.priority - b.priority || a.intid - b.intid);
    for (const { intid, priority } of wanted) {
      expect([lpis.best.intid, lpis.best.priority]).toEqual([intid, priority]);
      lpis.take(intid);
    }
    expect([lpis.best.intid, lpis.best.priority]).toEqual([1023, 0xff]);
  });

  it('do not come up disabled when the best one has gone', () => {
    const { lpis, property } = held();
    property(8193, 0x10);
    lpis.set(8193);
    lpis.set(8192);
    lpis.take(8192);
    expect([lpis.best.intid, lpis.test(8193)]).toEqual([1023, true]);
  });

  it('are taken out of the index as they were put in, whatever memory says since', () => {
    const { lpis, property } = held();
    lpis.set(8192);
    lpis.set(8200);
    property(8192, 0x10);
    lpis.clear(8192);
    expect(lpis.best.intid).toBe(8200);
  });
});
