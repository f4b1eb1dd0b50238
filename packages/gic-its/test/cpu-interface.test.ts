/** The CPU interface: Group 0 beside Group 1, the hypervisor's registers, traps, and the lines to the PE. */
import { describe, expect, it } from 'vitest';
import { AS_GUEST, AT_EL1, AT_EL2, encode, GICR, LINE, registerEncoding, registerNamed, SYSTEM_REGISTERS, type CpuInterface, type GicSystemRegister, type RegisterAccess } from '../src/index.ts';
import { BareGic, RESIDENT_GRP1, unpredictable, type BareGicInit } from './bare-gic.ts';

const WIDE = new Uint32Array(2);

/** A GIC whose distributor forwards both groups, SGIs and PPIs enabled, with the priorities 0x80 (Group 0) and 0xa0 (Group 1, the even ones). */
function bothGroups(init: BareGicInit = {}): BareGic {
  const gic = new BareGic(init);
  gic.host.memory.write32(gic.gic.distributorBase, 3);
  gic.gic.redistributorBase.forEach((base) => {
    gic.host.memory.write32(base + GICR.SGI_FRAME + 0x80, 0x5555_5555);
    gic.host.memory.write32(base + GICR.SGI_FRAME + 0x100, 0xffff_ffff);
    for (let intid = 0; intid < 32; intid += 1) gic.host.memory.write8(base + GICR.SGI_FRAME + 0x400 + intid, intid % 2 === 0 ? 0xa0 : 0x80);
  });
  gic.gic.redistributors.forEach(({ cpu }) => cpu.write('ICC_IGRPEN0_EL1', 1n));
  return gic;
}

const numbers = (cpu: { read(name: GicSystemRegister): bigint }, ...names: readonly GicSystemRegister[]): number[] => names.map((name) => Number(cpu.read(name)));

describe('Group 0 [H5]', () => {
  it('is the FIQ, has registers of its own, and goes before Group 1 by priority', () => {
    const gic = bothGroups();
    const cpu = gic.gic.cpu(0);
    const rd = gic.gic.redistributors[0]!;
    expect(numbers(cpu, 'ICC_IAR0_EL1', 'ICC_HPPIR0_EL1')).toEqual([1023, 1023]);
    rd.setPpi(20, true);
    expect([cpu.lines, cpu.irq]).toEqual([LINE.IRQ, true]);
    rd.setPpi(21, true);
    expect([cpu.lines, cpu.irq]).toEqual([LINE.FIQ, false]);
    expect(numbers(cpu, 'ICC_HPPIR0_EL1', 'ICC_HPPIR1_EL1', 'ICC_IAR1_EL1', 'ISR_EL1')).toEqual([21, 1023, 1023, 0x40]);
    expect(numbers(cpu, 'ICC_IAR0_EL1', 'ICC_RPR_EL1', 'ICC_AP0R0_EL1', 'ICC_AP1R0_EL1')).toEqual([21, 0x80, 1 << 16, 0]);
    // Group 1 waits below it.
    expect([cpu.lines, Number(cpu.read('ICC_HPPIR1_EL1'))]).toEqual([0, 20]);
    // The end of an interrupt of the other group ends nothing.
    cpu.write('ICC_EOIR1_EL1', 21n);
    expect(numbers(cpu, 'ICC_RPR_EL1')).toEqual([0x80]);
    cpu.write('ICC_EOIR0_EL1', 21n);
    expect([cpu.lines, ...numbers(cpu, 'ICC_RPR_EL1')]).toEqual([LINE.FIQ, 0xff]);
  });

  it('is off at the CPU interface or at the distributor by its own enable', () => {
    const gic = bothGroups();
    const cpu = gic.gic.cpu(0);
    gic.gic.redistributors[0]!.setPpi(20, true);
    gic.gic.redistributors[0]!.setPpi(21, true);
    expect(numbers(cpu, 'ICC_IGRPEN0_EL1', 'ICC_IGRPEN1_EL1')).toEqual([1, 1]);
    cpu.write('ICC_IGRPEN0_EL1', 0n);
    expect([cpu.lines, Number(cpu.read('ICC_HPPIR1_EL1'))]).toEqual([LINE.IRQ, 20]);
    cpu.write('ICC_IGRPEN0_EL1', 1n);
    gic.host.memory.write32(gic.gic.distributorBase, 2);
    expect(cpu.lines).toBe(LINE.IRQ);
    gic.host.memory.write32(gic.gic.distributorBase, 1);
    expect(cpu.lines).toBe(LINE.FIQ);
  });

  it('preempts Group 1, and BPR0 is its binary point', () => {
    const gic = bothGroups();
    const cpu = gic.gic.cpu(0);
    gic.gic.redistributors[0]!.setPpi(20, true);
    expect(cpu.acknowledge()).toBe(20);
    gic.gic.redistributors[0]!.setPpi(21, true);
    expect(cpu.lines).toBe(LINE.FIQ);
    cpu.write('ICC_BPR0_EL1', 7n);
    expect(cpu.lines).toBe(0);
    cpu.write('ICC_BPR0_EL1', 5n);
    expect(cpu.lines).toBe(0);
    cpu.write('ICC_BPR0_EL1', 4n);
    expect(cpu.lines).toBe(LINE.FIQ);
    expect(numbers(cpu, 'ICC_IAR0_EL1', 'ICC_RPR_EL1', 'ICC_AP0R0_EL1', 'ICC_AP1R0_EL1')).toEqual([21, 0x80, 1 << 16, 1 << 20]);
    const events = gic.host.trace.record();
    cpu.write('ICC_EOIR0_EL1', 21n);
    cpu.write('ICC_EOIR1_EL1', 20n);
    expect(unpredictable(events)).toEqual([]);
    cpu.write('ICC_EOIR0_EL1', 21n);
    expect(unpredictable(events)).toEqual(['cpu 0: ICC_EOIR0_EL1 written with nothing active']);
  });

  it('SGI0R and ASGI1R reach SGIs of Group 0 alone, SGI1R those of either', () => {
    const gic = bothGroups();
    const pending = (): number => gic.rd32(1, GICR.SGI_FRAME + 0x200);
    const send = (name: GicSystemRegister, sgi: bigint): void => gic.gic.cpu(0).write(name, (sgi << 24n) | 2n);
    send('ICC_SGI0R_EL1', 2n);
    send('ICC_ASGI1R_EL1', 4n);
    expect(pending()).toBe(0);
    send('ICC_SGI0R_EL1', 3n);
    send('ICC_ASGI1R_EL1', 5n);
    send('ICC_SGI1R_EL1', 6n);
    expect(pending()).toBe((1 << 3) | (1 << 5) | (1 << 6));
  });

  it('an SPI of Group 0 is a FIQ at the PE to which it is routed', () => {
    const gic = bothGroups();
    const { memory } = gic.host;
    const base = gic.gic.distributorBase;
    memory.write32(base + 0x104, 1);
    memory.write64(base + 0x6000 + 8 * 32, 1, 0);
    gic.gic.distributor.setSpi(32, true);
    expect([gic.gic.cpu(0).lines, gic.gic.cpu(1).lines]).toEqual([0, LINE.FIQ]);
    expect(numbers(gic.gic.cpu(1), 'ICC_IAR0_EL1')).toEqual([32]);
    memory.write32(base + 0x84, 1);
    expect(numbers(gic.gic.cpu(1), 'ICC_AP0R0_EL1')).toEqual([1]);
  });
});

describe('list registers of both groups [H5]', () => {
  const list = (group1: boolean, priority: number, more = 0): number => (0x4000_0000 | (group1 ? 0x1000_0000 : 0) | (priority << 16) | more) >>> 0;

  it('one of Group 0 is the virtual FIQ, behind its own enable, and is taken by IAR0', () => {
    const { virtual } = new BareGic().gic.cpu(0);
    virtual.setList(0, 40, list(false, 0x80));
    virtual.setList(1, 41, list(true, 0xa0));
    expect(virtual.lines).toBe(LINE.VIRTUAL_IRQ);
    virtual.write('ICC_IGRPEN0_EL1', 1n);
    expect([virtual.lines, virtual.irq]).toEqual([LINE.VIRTUAL_FIQ, false]);
    expect(numbers(virtual, 'ICH_VMCR_EL2').map((vmcr) => vmcr & 3)).toEqual([3]);
    expect(numbers(virtual, 'ICC_HPPIR0_EL1', 'ICC_HPPIR1_EL1', 'ICC_IAR1_EL1', 'ISR_EL1', 'ICC_IAR0_EL1')).toEqual([40, 1023, 1023, 0x40, 40]);
    expect(numbers(virtual, 'ICH_AP0R0_EL2', 'ICH_AP1R0_EL2', 'ICC_AP0R0_EL1', 'ICC_RPR_EL1')).toEqual([1 << 16, 0, 1 << 16, 0x80]);
    virtual.write('ICC_EOIR0_EL1', 40n);
    expect(virtual.acknowledge()).toBe(41);
  });

  it('ICH_AP0R0_EL2 and ICH_AP1R0_EL2 keep what is written, and give the running priority', () => {
    const { virtual } = new BareGic().gic.cpu(0);
    virtual.write('ICH_AP0R0_EL2', 1n << 4n);
    virtual.write('ICH_AP1R0_EL2', 1n << 8n);
    expect(numbers(virtual, 'ICH_AP0R0_EL2', 'ICC_AP1R0_EL1', 'ICC_RPR_EL1')).toEqual([0x10, 0x100, 0x20]);
  });

  it('a vSGI of Group 0 is the virtual FIQ while VPENDBASER.vGrp0En is 1', () => {
    const gic = new BareGic();
    gic.post(gic.vmapp(0), (to) => encode.vsgi(to, 0, 5, { enabled: true, group1: false, priority: 0x90 }, false));
    gic.resident(0, 0);
    gic.host.memory.write64(gic.gic.its[0]!.base + 0x2_0020, 5, 0);
    const { virtual } = gic.gic.cpu(0);
    virtual.write('ICC_IGRPEN0_EL1', 1n);
    expect(virtual.lines).toBe(0);
    gic.deschedule(0, 0);
    gic.rd64(0, GICR.VPENDBASER, 0, RESIDENT_GRP1 | 0x0800_0000);
    expect(virtual.lines).toBe(LINE.VIRTUAL_FIQ);
    expect(numbers(virtual, 'ICC_HPPIR0_EL1', 'ICC_IAR1_EL1', 'ICC_IAR0_EL1')).toEqual([5, 1023, 5]);
    expect([gic.gic.vpe(0)?.sgis.pending, virtual.lines]).toEqual([0, 0]);
  });
});

describe('what a hypervisor reads', () => {
  it('ICH_VTR_EL2 says priority bits, list registers, and whether there are VLPIs [H3]', () => {
    const vtr = (init: BareGicInit): bigint => new BareGic(init).gic.cpu(0).read('ICH_VTR_EL2');
    expect(vtr({ version: 'gicv4.1' })).toBe(0x90a8_0003n);
    expect(vtr({ version: 'gicv4' })).toBe(0x90a8_0003n);
    expect(vtr({ version: 'gicv3' })).toBe(0x90b8_0003n);
    expect(vtr({ choices: { priorityBits: 4, listRegisters: 16 } })).toBe(0x6ca8_000fn);
  });

  it('ICH_ELRSR_EL2 and ICH_EISR_EL2: empty, or done with an end of interrupt that was asked for [H4]', () => {
    const { virtual } = new BareGic().gic.cpu(0);
    virtual.setList(0, 40, 0x1080_0200); // EOI, inactive
    virtual.setList(1, 41, 0x3080_0200); // HW: the bit is the physical INTID's
    virtual.setList(2, 42, 0x5080_0200); // pending
    expect(numbers(virtual, 'ICH_EISR_EL2', 'ICH_ELRSR_EL2')).toEqual([0b0001, 0b1010]);
    expect(virtual.acknowledge()).toBe(42);
    virtual.endOfInterrupt(42);
    expect(numbers(virtual, 'ICH_EISR_EL2', 'ICH_ELRSR_EL2')).toEqual([0b0101, 0b1010]);
  });

  it('ICH_MISR_EL2: each bit is there when it is asked for and its state holds [H4]', () => {
    const { virtual } = new BareGic().gic.cpu(0);
    const misr = (hcr: number): number => {
      virtual.write('ICH_HCR_EL2', BigInt(hcr));
      return Number(virtual.read('ICH_MISR_EL2'));
    };
    const pending = 0x5080_0000;
    const active = 0x9080_0000;
    // U: at most one list register in use.
    virtual.setList(0, 40, active);
    expect([misr(1), misr(3)]).toEqual([0, 2]);
    virtual.setList(1, 41, active);
    expect(misr(3)).toBe(0);
    // NP: none pending.
    expect(misr(9)).toBe(8);
    virtual.setList(1, 41, pending);
    expect(misr(9)).toBe(0);
    // LRENP: an end without a list register.
    expect([misr(5), misr(5 + 2 ** 27)]).toEqual([0, 4]);
    // Groups.
    virtual.write('ICC_IGRPEN1_EL1', 1n);
    virtual.write('ICC_IGRPEN0_EL1', 0n);
    expect([misr(0x11), misr(0x21), misr(0x41), misr(0x81)]).toEqual([0, 0x20, 0x40, 0]);
    virtual.write('ICC_IGRPEN1_EL1', 0n);
    virtual.write('ICC_IGRPEN0_EL1', 1n);
    expect([misr(0x11), misr(0x21), misr(0x41), misr(0x81)]).toEqual([0x10, 0, 0, 0x80]);
    // EOI, whatever is enabled.
    virtual.setList(3, 43, 0x0080_0200);
    expect(misr(1)).toBe(1);
  });

  it('EOIcount counts ends of interrupts without a list register, but no LPIs, and vSGIs by choice of the hypervisor [H4]', () => {
    const count = (vintid: number, hcr = 1): number => {
      const { virtual } = new BareGic().gic.cpu(0);
      virtual.write('ICH_HCR_EL2', BigInt(hcr));
      virtual.write('ICH_AP1R0_EL2', 0xffff_ffffn);
      virtual.endOfInterrupt(vintid);
      virtual.endOfInterrupt(vintid);
      return Number(virtual.read('ICH_HCR_EL2') >> 27n);
    };
    expect([count(40), count(8192), count(1023), count(5), count(5, 0x101)]).toEqual([2, 0, 0, 2, 0]);
    expect(count(40, 0xf800_0001)).toBe(1);
    const { virtual } = new BareGic().gic.cpu(0);
    // No priority was active: nothing ended.
    virtual.endOfInterrupt(40);
    expect(virtual.read('ICH_HCR_EL2')).toBe(1n);
    // With EOImode the deactivation counts, not the drop.
    virtual.write('ICC_CTLR_EL1', 2n);
    virtual.write('ICH_AP1R0_EL2', 1n);
    virtual.endOfInterrupt(40);
    expect(virtual.read('ICH_HCR_EL2')).toBe(1n);
    virtual.write('ICC_DIR_EL1', 40n);
    expect(virtual.read('ICH_HCR_EL2')).toBe(0x0800_0001n);
  });

  it('the maintenance interrupt is a level, and PPI 25 of its PE, while ICH_HCR_EL2.En is 1 [H4]', () => {
    const gic = new BareGic();
    const cpu = gic.gic.cpu(1);
    const ppi = (): boolean => (gic.rd32(1, GICR.SGI_FRAME + 0x200) & (1 << 25)) !== 0;
    cpu.write('ICH_HCR_EL2', 2n);
    expect([cpu.read('ICH_MISR_EL2'), cpu.lines, ppi()]).toEqual([2n, 0, false]);
    cpu.write('ICH_HCR_EL2', 3n);
    expect([cpu.lines, ppi()]).toEqual([LINE.MAINTENANCE, true]);
    expect(gic.rd32(0, GICR.SGI_FRAME + 0x200)).toBe(0);
    cpu.virtual.setList(0, 40, 0x5080_0000);
    cpu.virtual.setList(1, 41, 0x5080_0000);
    expect([cpu.lines & LINE.MAINTENANCE, ppi()]).toEqual([0, false]);
    // A guest ends one: the level rises in that access.
    cpu.virtual.acknowledge();
    expect(ppi()).toBe(false);
    cpu.virtual.endOfInterrupt(40);
    expect(ppi()).toBe(true);
    const other = new BareGic({ choices: { maintenancePpi: 24 } });
    other.gic.cpu(0).write('ICH_HCR_EL2', 3n);
    expect(other.rd32(0, GICR.SGI_FRAME + 0x200)).toBe(1 << 24);
  });

  it('ICH_HCR_EL2 keeps its fields; vSGIEOICount is of GICv4.1', () => {
    const kept = (version: 'gicv3' | 'gicv4' | 'gicv4.1'): bigint => {
      const cpu = new BareGic({ version }).gic.cpu(0);
      cpu.write('ICH_HCR_EL2', 0xffff_ffffn);
      return cpu.read('ICH_HCR_EL2');
    };
    expect(['gicv3', 'gicv4', 'gicv4.1'].map((version) => kept(version === 'gicv3' ? 'gicv3' : version === 'gicv4' ? 'gicv4' : 'gicv4.1'))).toEqual([0xf800_7cffn, 0xf800_7cffn, 0xf800_7dffn]);
  });
});

describe('lines [H7]', () => {
  /** The levels that a PE is told. */
  function told(cpu: CpuInterface): number[] {
    const levels: number[] = [];
    cpu.onLines = (now) => levels.push(now);
    return levels;
  }

  it('are told with both edges, and when they change alone', () => {
    const gic = bothGroups();
    const levels = told(gic.gic.cpu(0));
    const rd = gic.gic.redistributors[0]!;
    for (const level of [true, true, false, false, true]) rd.setPpi(20, level);
    expect(levels).toEqual([LINE.IRQ, 0, LINE.IRQ]);
    // One access: the FIQ takes the IRQ's place.
    rd.setPpi(21, true);
    expect(levels).toEqual([LINE.IRQ, 0, LINE.IRQ, LINE.FIQ]);
    gic.gic.cpu(0).read('ICC_IAR0_EL1');
    expect(levels.at(-1)).toBe(0);
  });

  it('of the virtual CPU interface are told in the same call', () => {
    const gic = new BareGic();
    const cpu = gic.gic.cpu(0);
    gic.post(gic.vmapp(0));
    gic.mapDevice(1);
    gic.post((to) => encode.vmapti(to, 1, 0, 0, 8200, 1023));
    gic.resident(0, 0);
    const levels = told(cpu);
    gic.msi(1, 0);
    cpu.write('ICH_HCR_EL2', 3n);
    cpu.write('ICH_HCR_EL2', 0n);
    expect(levels).toEqual([LINE.VIRTUAL_IRQ, LINE.VIRTUAL_IRQ | LINE.MAINTENANCE, 0]);
    cpu.write('ICH_HCR_EL2', 1n);
    expect(gic.vtake(0)).toBe(8200);
    expect(levels.slice(3)).toEqual([LINE.VIRTUAL_IRQ, 0]);
  });

  it('a listener that comes late is told of the next change', () => {
    const gic = bothGroups();
    gic.gic.redistributors[0]!.setPpi(20, true);
    const levels = told(gic.gic.cpu(0));
    gic.gic.redistributors[0]!.setPpi(21, true);
    expect(levels).toEqual([LINE.FIQ]);
  });
});

describe('registers by their encoding [O3]', () => {
  const at = (name: GicSystemRegister): number => registerNamed(name)!.encoding;
  const GUEST_FIQ: RegisterAccess = { el: 1, imo: false, fmo: true };

  it('are those of the architecture', () => {
    expect(at('ICC_PMR_EL1')).toBe(registerEncoding(3, 0, 4, 6, 0));
    expect(at('ICC_IAR1_EL1')).toBe(0xc660);
    expect(at('ICH_LR15_EL2')).toBe(registerEncoding(3, 4, 12, 13, 7));
    expect(new Set(SYSTEM_REGISTERS.map(({ encoding }) => encoding)).size).toBe(SYSTEM_REGISTERS.length);
  });

  it('one that is not there is undefined: no register, too few priority bits or list registers, the wrong direction', () => {
    const cpu = new BareGic().gic.cpu(0);
    const read = (encoding: number): string => cpu.readRegister(encoding, AT_EL2, WIDE);
    const there = SYSTEM_REGISTERS.filter(({ encoding, direction }) => (direction === 'wo' ? cpu.writeRegister(encoding, AT_EL2, 1023, 0) : read(encoding)) === 'done');
    const lacking = SYSTEM_REGISTERS.filter((register) => !there.includes(register)).map(({ name }) => name);
    const several = (names: readonly string[], from: number, to: number, suffix: string): string[] => names.flatMap((name) => Array.from({ length: to - from + 1 }, (_, i) => `${name}${from + i}${suffix}`));
    expect(new Set(lacking)).toEqual(new Set([...several(['ICC_AP0R', 'ICC_AP1R'], 1, 3, '_EL1'), ...several(['ICH_AP0R', 'ICH_AP1R'], 1, 3, '_EL2'), ...several(['ICH_LR'], 4, 15, '_EL2')]));
    expect(read(registerEncoding(3, 0, 12, 9, 5))).toBe('undefined'); // ICC_NMIAR1_EL1
    expect(read(registerEncoding(3, 6, 12, 12, 5))).toBe('undefined'); // ICC_SRE_EL3
    expect([read(at('ICC_EOIR1_EL1')), cpu.writeRegister(at('ICC_IAR1_EL1'), AT_EL2, 0, 0)]).toEqual(['undefined', 'undefined']);
    const many = new BareGic({ choices: { listRegisters: 16 } }).gic.cpu(0);
    expect(many.writeRegister(at('ICH_LR15_EL2'), AT_EL2, 77, 0x5080_0000)).toBe('done');
    expect([many.readRegister(at('ICH_LR15_EL2'), AT_EL2, WIDE), ...WIDE]).toEqual(['done', 77, 0x5080_0000]);
    expect([many.virtual.acknowledge(), Number(many.read('ICH_ELRSR_EL2'))]).toEqual([77, 0x7fff]);
  });

  it('a name that is none, or has no such access, is a mistake of the caller', () => {
    const cpu = new BareGic().gic.cpu(0);
    expect(() => cpu.read('ICC_EOIR1_EL1')).toThrow(RangeError);
    expect(() => cpu.write('ICC_IAR1_EL1', 0n)).toThrow(RangeError);
    expect(() => cpu.read('ICH_LR4_EL2')).toThrow(RangeError);
    expect(() => cpu.virtual.read('ICH_LR4_EL2')).toThrow(RangeError);
    expect(() => cpu.virtual.write('ICC_SGI1R_EL1', 0n)).toThrow(RangeError);
  });

  it('a guest has the view of each group that HCR_EL2.IMO and FMO say, EL2 always the physical one', () => {
    const gic = bothGroups();
    const cpu = gic.gic.cpu(0);
    cpu.virtual.write('ICC_IGRPEN0_EL1', 0n);
    cpu.virtual.write('ICC_PMR_EL1', 0x50n);
    const read = (name: GicSystemRegister, from: RegisterAccess): number => {
      expect(cpu.readRegister(at(name), from, WIDE)).toBe('done');
      return WIDE[0]!;
    };
    const views = (name: GicSystemRegister): number[] => [AT_EL2, AT_EL1, AS_GUEST, GUEST_FIQ].map((from) => read(name, from));
    expect(views('ICC_IGRPEN0_EL1')).toEqual([1, 1, 0, 0]);
    cpu.virtual.write('ICC_IGRPEN1_EL1', 0n);
    expect(views('ICC_IGRPEN1_EL1')).toEqual([1, 1, 0, 1]);
    expect(views('ICC_PMR_EL1')).toEqual([0xf0, 0xf0, 0x50, 0x50]);
    gic.gic.redistributors[0]!.setPpi(20, true);
    expect(views('ISR_EL1')).toEqual([0x80, 0x80, 0, 0x80]);
    expect(cpu.writeRegister(at('ICC_IGRPEN1_EL1'), AS_GUEST, 1, 0)).toBe('done');
    expect(cpu.virtual.read('ICC_IGRPEN1_EL1')).toBe(1n);
  });

  it('a guest cannot reach the hypervisor, and its SGIs trap [O5]', () => {
    const cpu = new BareGic().gic.cpu(0);
    expect(cpu.readRegister(at('ICH_HCR_EL2'), AS_GUEST, WIDE)).toBe('undefined');
    expect(cpu.writeRegister(at('ICC_SRE_EL2'), AT_EL1, 0, 0)).toBe('undefined');
    expect(cpu.writeRegister(at('ICC_SGI1R_EL1'), AS_GUEST, 0, 0)).toBe('trap');
    expect(cpu.writeRegister(at('ICC_SGI0R_EL1'), GUEST_FIQ, 0, 0)).toBe('trap');
    expect(cpu.writeRegister(at('ICC_SGI1R_EL1'), AT_EL1, 0, 0)).toBe('done');
  });

  it.each<[string, number, readonly GicSystemRegister[]]>([
    ['TC', 0x400, ['ICC_PMR_EL1', 'ICC_CTLR_EL1', 'ICC_RPR_EL1', 'ICC_DIR_EL1', 'ICC_SGI0R_EL1', 'ICC_SGI1R_EL1', 'ICC_ASGI1R_EL1']],
    ['TALL0', 0x800, ['ICC_IAR0_EL1', 'ICC_EOIR0_EL1', 'ICC_HPPIR0_EL1', 'ICC_BPR0_EL1', 'ICC_IGRPEN0_EL1', 'ICC_AP0R0_EL1']],
    ['TALL1', 0x1000, ['ICC_IAR1_EL1', 'ICC_EOIR1_EL1', 'ICC_HPPIR1_EL1', 'ICC_BPR1_EL1', 'ICC_IGRPEN1_EL1', 'ICC_AP1R0_EL1']],
    ['TDIR', 0x4000, ['ICC_DIR_EL1']],
  ])('ICH_HCR_EL2.%s traps its registers at EL1, in either view, and none at EL2 [O5]', (_, bit, names) => {
    for (const from of [AT_EL1, AS_GUEST, AT_EL2]) {
      const cpu = new BareGic().gic.cpu(0);
      const trapped = (): GicSystemRegister[] =>
        SYSTEM_REGISTERS.filter((register) => cpu.has(register))
          .filter(({ encoding, direction }) => (direction === 'wo' ? cpu.writeRegister(encoding, from, 1023, 0) : cpu.readRegister(encoding, from, WIDE)) === 'trap')
          .map(({ name }) => name);
      // ICC_SRE_EL1 traps by ICC_SRE_EL2.Enable.
      cpu.write('ICC_SRE_EL2', 8n);
      const before = new Set(trapped());
      cpu.write('ICH_HCR_EL2', BigInt(bit | 1));
      const sgis = from === AS_GUEST ? names.filter((name) => !name.includes('SGI')) : names;
      expect(new Set(trapped().filter((name) => !before.has(name)))).toEqual(new Set(from === AT_EL2 ? [] : sgis));
    }
  });

  it('a trapped access does nothing', () => {
    const gic = bothGroups();
    const cpu = gic.gic.cpu(0);
    gic.gic.redistributors[0]!.setPpi(20, true);
    cpu.write('ICH_HCR_EL2', 0x1001n);
    WIDE.fill(7);
    expect(cpu.readRegister(at('ICC_IAR1_EL1'), AT_EL1, WIDE)).toBe('trap');
    expect([...WIDE, cpu.lines]).toEqual([7, 7, LINE.IRQ]);
  });

  it('ICC_SRE_EL2.Enable lets EL1 have ICC_SRE_EL1; SRE, DFB and DIB are fixed to 1; a chip may fix Enable [O5]', () => {
    const cpu = new BareGic().gic.cpu(0);
    const sre = (): string => cpu.readRegister(at('ICC_SRE_EL1'), AS_GUEST, WIDE);
    expect([cpu.read('ICC_SRE_EL2'), sre(), cpu.writeRegister(at('ICC_SRE_EL1'), AT_EL1, 0, 0)]).toEqual([7n, 'trap', 'trap']);
    cpu.write('ICC_SRE_EL2', 0xffn);
    expect([cpu.read('ICC_SRE_EL2'), sre(), WIDE[0]]).toEqual([15n, 'done', 7]);
    cpu.write('ICC_SRE_EL2', 0n);
    expect(sre()).toBe('trap');
    const fixed = new BareGic({ choices: { sreEnableFixed: true } }).gic.cpu(0);
    fixed.write('ICC_SRE_EL2', 0n);
    expect(fixed.read('ICC_SRE_EL2')).toBe(15n);
  });
});

describe('without bigint', () => {
  it('an MSR and MRS of 64 bits carry both halves', () => {
    const gic = new BareGic();
    const cpu = gic.gic.cpu(0);
    gic.host.memory.write32(gic.gic.redistributorBase[1]! + GICR.SGI_FRAME + 0x80, 0xffff_ffff);
    // IRM is bit 40.
    expect(cpu.writeRegister(registerNamed('ICC_SGI1R_EL1')!.encoding, AT_EL2, 5 << 24, 0x100)).toBe('done');
    expect(gic.rd32(1, GICR.SGI_FRAME + 0x200)).toBe(1 << 5);
  });
});
