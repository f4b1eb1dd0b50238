/** Ways to put the GIC into a machine that is no Host of this package. */
import { PhysicalMemory, Trace } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { AT_EL2, encode, Gic, GICR, GITS, LINE, OPCODE, SYSTEM_REGISTERS, type GicVersion } from '../src/index.ts';
import { BareGic, DOORBELL, VALID } from './bare-gic.ts';

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

describe('reset() [O2]', () => {
  /** Where the frames have nothing. */
  const NEXT = new Map([[0x0d00, 0x6000], [0x6a00, 0xffd0], [0x1_0d00, 0x2_0000], [0x2_0100, 0x4_0000]]);

  /** Everything that software can read: each register of each frame and of each CPU interface. */
  function readable(gic: Gic): string[] {
    const wide = new Uint32Array(2);
    const seen: string[] = [];
    for (const { base, size, device } of gic.frames) {
      for (let at = 0; at < size; at = NEXT.get(at) ?? at + 4) {
        const value = device.read(at, 4);
        if (value !== 0) seen.push(`${(base + at).toString(16)}=${value.toString(16)}`);
      }
    }
    gic.redistributors.forEach(({ cpu }, n) => {
      seen.push(`cpu ${n} lines ${cpu.lines}`);
      for (const { name, encoding } of SYSTEM_REGISTERS) if (cpu.readRegister(encoding, AT_EL2, wide) === 'done') seen.push(`cpu ${n} ${name}=${wide.join('/')}`);
    });
    return seen;
  }

  /** A GIC in the middle of its work: pending, resident, moved, invalidated, signalled. */
  function busy(version: GicVersion): BareGic {
    const gic = new BareGic({ version, preset: 'strict', choices: { directLpi: true, vmovpOnce: false, busyReads: 3 } });
    const { memory } = gic.host;
    for (const rd of gic.gic.redistributorBase) {
      memory.write32(rd + GICR.SGI_FRAME + 0x100, 0xffff_ffff);
      memory.write32(rd + GICR.SGI_FRAME + 0x80, 0x0f0f_0f0f);
      memory.write32(rd + GICR.SGI_FRAME + 0xc04, 0x8888_8888);
      memory.write32(rd + GICR.WAKER, 0);
    }
    memory.write32(gic.gic.distributorBase, 3);
    memory.write32(gic.gic.distributorBase + 0x104, 0xff);
    memory.write64(gic.gic.distributorBase + 0x6000 + 8 * 33, 1, 0);
    gic.gic.setSpi(33, true);
    for (const n of [17, 18]) gic.gic.setPpi(1, n, true);
    gic.mapDevice(1);
    for (let n = 0; n < 4; n += 1) gic.post((to) => encode.mapti(to, 1, n, 8200 + n, n % 2), (to) => encode.event(to, OPCODE.INV, 1, n));
    for (let n = 0; n < 4; n += 1) gic.msi(1, n);
    const cpu = gic.gic.cpu(0);
    cpu.write('ICC_IGRPEN0_EL1', 1n);
    cpu.acknowledge();
    cpu.write('ICC_CTLR_EL1', 3n);
    cpu.write('ICC_SRE_EL2', 15n);
    cpu.virtual.setList(1, 40, 0x5080_0000);
    cpu.write('ICH_HCR_EL2', 0x3n);
    cpu.virtual.acknowledge();
    if (version !== 'gicv3') {
      gic.post(gic.vmapp(0), (to) => encode.vmapti(to, 1, 8, 0, 8300, version === 'gicv4' ? 9000 : 1023));
      gic.post((to) => encode.vmovp(to, 0, 1, 7, 3, undefined));
      if (version === 'gicv4.1') gic.resident(0, 0);
      else gic.rd64(0, GICR.VPENDBASER, 0x8020_0000, VALID);
      gic.msi(1, 8);
      gic.deschedule(1, 1, DOORBELL);
    }
    gic.rd64(1, GICR.INVLPIR, 8201, 0);
    if (version === 'gicv4.1') gic.rd64(0, GICR.VSGIR, 0, 0);
    return gic;
  }

  it.each(['gicv3', 'gicv4', 'gicv4.1'] as const)('%s: every register has its reset value, nothing is kept, RAM is as it was', (version) => {
    const used = busy(version);
    const before = Buffer.alloc(0x80_0000);
    const after = Buffer.alloc(0x80_0000);
    used.host.memory.readBytes(0x8000_0000, before);
    used.gic.reset();
    used.host.memory.readBytes(0x8000_0000, after);
    expect(Buffer.compare(after, before)).toBe(0);
    const never = new Gic({ memory: new PhysicalMemory([{ base: RAM, size: 0x10_0000 }]), trace: new Trace(() => 0) }, {
      version, cpus: 2, its: [0x1000_0000], preset: 'strict', choices: { directLpi: true, vmovpOnce: false, busyReads: 3 },
    });
    // Inputs keep their levels.
    never.setSpi(33, true);
    for (const n of [17, 18]) never.setPpi(1, n, true);
    expect(readable(used.gic)).toEqual(readable(never));
    expect(used.gic.vpe(0)).toBeUndefined();
  });

  it('tells the PE that its lines fell, once all is reset', () => {
    const gic = busy('gicv4.1');
    const told: [number, number][] = [];
    const cpu = gic.gic.cpu(1);
    cpu.onLines = (levels) => told.push([levels, cpu.lines]);
    expect(cpu.lines & LINE.IRQ).toBe(LINE.IRQ);
    gic.gic.reset();
    expect(told.at(-1)).toEqual([0, 0]);
    expect(told.every(([levels, now]) => levels === now)).toBe(true);
  });

  it('what is pending in a cache alone is lost, what the VPT holds is not', () => {
    const gic = new BareGic();
    gic.post(gic.vmapp(0));
    gic.mapDevice(1);
    gic.post((to) => encode.vmapti(to, 1, 0, 0, 8200, 1023));
    gic.host.memory.write8(0x8020_0000 + 8208 / 8, 1);
    gic.msi(1, 0);
    gic.gic.reset();
    expect(gic.host.memory.read8(0x8020_0000 + 8200 / 8)).toBe(0);
    expect(gic.host.memory.read8(0x8020_0000 + 8208 / 8)).toBe(1);
  });
});

describe('inputs', () => {
  it('are those that there are', () => {
    const { gic } = alone();
    for (const wrong of [31, 288, 40.5]) expect(() => gic.setSpi(wrong, true)).toThrow(RangeError);
    for (const wrong of [15, 32]) expect(() => gic.setPpi(0, wrong, true)).toThrow(RangeError);
    expect(() => gic.setPpi(2, 20, true)).toThrow(RangeError);
    expect(() => gic.cpu(2)).toThrow(RangeError);
    for (const choices of [{ listRegisters: 0 }, { listRegisters: 17 }, { maintenancePpi: 32 }]) expect(() => new BareGic({ choices })).toThrow(RangeError);
  });
});
