/** Ways to put the GIC into a machine that is no Host of this package. */
import { PhysicalMemory, Trace } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, GICR, GITS } from '../src/index.ts';

const RAM = 0x8000_0000;

function alone(): { gic: Gic; ram: PhysicalMemory } {
  const ram = new PhysicalMemory([{ base: RAM, size: 0x10_0000 }]);
  return { ram, gic: new Gic({ memory: ram, trace: new Trace(() => 0) }, { version: 'gicv4.1', cpus: 2 }) };
}

describe('a Gic without a Host', () => {
  it('is made of memory and a trace; its frames say where they are [O1] [O2]', () => {
    const { gic } = alone();
    expect(gic.frames.map(({ base, size }) => [base, size])).toEqual([
      [0x0800_0000, 0x1_0000],
      [0x080c_0000, 0x4_0000],
      [0x0810_0000, 0x4_0000],
      [0x0808_0000, 0x4_0000],
    ]);
    expect(gic.frames.map(({ device }) => device)).toEqual([gic.distributor, ...gic.redistributors, ...gic.its]);
  });

  it('takes its commands from that memory [O1]', () => {
    const { gic, ram } = alone();
    const [its] = gic.its;
    its!.write64(GITS.BASER, 0x8002_0200, 0x8000_0000, 0);
    its!.write64(GITS.CBASER, RAM, 0x8000_0000, 0);
    its!.write(GITS.CTLR, 4, 1, 0);
    ram.write32(RAM, 0x08); // MAPD of device 0: 1 event bit, its ITT, valid
    ram.write32(RAM + 16, RAM + 0x4_0000);
    ram.write32(RAM + 20, 0x8000_0000);
    its!.write64(GITS.CWRITER, 32, 0, 0);
    expect(its!.read(GITS.CREADR, 4)).toBe(32);
    expect(ram.read32(RAM + 0x2_0000) | ram.read32(RAM + 0x2_0004)).not.toBe(0);
  });

  it('every frame answers loads of 8 bytes [O4]', () => {
    const { gic } = alone();
    const wide = new Uint32Array(2);
    gic.redistributors[1]!.read64(GICR.TYPER, wide);
    expect([...wide]).toEqual([gic.redistributors[1]!.read(GICR.TYPER, 4), 1]);
    gic.distributor.write64(0x6000 + 8 * 40, 0x0000_0001, 0);
    gic.distributor.read64(0x6000 + 8 * 40, wide);
    expect([...wide]).toEqual([1, 0]);
    gic.its[0]!.read64(GITS.TYPER, wide);
    expect(wide[0]).toBe(gic.its[0]!.read(GITS.TYPER, 4));
  });
});
