/** Frames and registers of the hardware: offsets, fields, what is read-only, what reads back. */
import { toBigint } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, GICD, GICR, GITS, OPCODE } from '../src/index.ts';
import { AT, BareGic, DIRTY, DOORBELL, DOORBELL_LPI, ids, PENDING_LAST, VALID, type BareGicInit } from './bare-gic.ts';

class Probe extends BareGic {
  gicd(offset: number): number {
    return this.host.memory.read32(this.gic.distributorBase + offset);
  }

  setGicd(offset: number, value: number): void {
    this.host.memory.write32(this.gic.distributorBase + offset, value);
  }

  gicr64(cpu: number, offset: number): bigint {
    return toBigint(this.rd32(cpu, offset), this.rd32(cpu, offset + 4));
  }

  its(offset: number, n = 0): number {
    return this.host.memory.read32(this.gic.its[n]!.base + offset);
  }

  its64(offset: number, n = 0): bigint {
    return toBigint(this.its(offset, n), this.its(offset + 4, n));
  }

  setIts(offset: number, lo: number, hi: number): void {
    this.host.memory.write64(this.gic.its[0]!.base + offset, lo, hi);
  }

  disable(cpu: number): void {
    this.host.memory.write32(this.gic.redistributorBase[cpu]!, 0);
  }
}

const ALL = 0xffff_ffff;
const probe = (init: BareGicInit = {}): Probe => new Probe(init);
const field = (value: bigint | number, high: number, low: number): number => Number((BigInt(value) >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));

describe('frames', () => {
  it('distributor 64 KiB; redistributor 2 frames, 4 with VLPIs; ITS 2, 4 with vSGIs [gic 3.1/1]', () => {
    for (const [version, frames, itsFrames] of [['gicv3', 2, 2], ['gicv4', 4, 2], ['gicv4.1', 4, 4]] as const) {
      const gic = probe({ version });
      const [first, second] = gic.gic.redistributorBase;
      expect(second! - first!).toBe(frames * 0x1_0000);
      // The SGI frame is 64 KiB above RD_base, the VLPI frame 128 KiB.
      gic.host.memory.write32(first! + 0x1_0100, 1 << 5);
      expect(gic.rd32(0, 0x1_0100)).toBe(1 << 5);
      if (frames === 4) {
        gic.rd64(0, 0x2_0070, version === 'gicv4' ? AT.VPROPERTIES + 13 : 0, 0);
        expect(gic.rd32(0, 0x2_0070)).toBe(version === 'gicv4' ? AT.VPROPERTIES + 13 : 0);
        // The fourth frame is reserved.
        const events = gic.host.trace.record();
        expect(gic.rd32(0, 0x3_0000)).toBe(0);
        expect(ids(events)).toEqual(['gic/access-ignored']);
      }
      const { memory } = gic.host;
      const its = gic.gic.its[0]!.base;
      expect([memory.read32(its + 0xffe8) >>> 4, memory.read32(gic.gic.distributorBase + 0xffe8) >>> 4]).toEqual(version === 'gicv3' ? [3, 3] : [4, 4]);
      expect([gic.gic.its[0]!.translater - its, memory.read32(its + itsFrames * 0x1_0000)]).toEqual([0x1_0040, ALL]);
      expect(memory.read32(its + itsFrames * 0x1_0000 - 4)).toBe(0);
    }
  });
});

describe('the distributor', () => {
  it('CTLR: DS and ARE are 1, both groups can be enabled, nASSGIreq with GICv4.1 alone; RWP is never seen [gic 3.2/1]', () => {
    for (const version of ['gicv3', 'gicv4.1'] as const) {
      const gic = probe({ version });
      gic.setGicd(GICD.CTLR, 0);
      expect(gic.gicd(GICD.CTLR)).toBe(0x50);
      gic.setGicd(GICD.CTLR, ALL);
      expect(gic.gicd(GICD.CTLR)).toBe(version === 'gicv3' ? 0x53 : 0x153);
      expect(gic.gicd(GICD.CTLR) >>> 31).toBe(0);
    }
  });

  it('CTLR.nASSGIreq: an SGI that is acknowledged is not active; it changes while the groups are off alone [gic 3.2/1]', () => {
    const gic = probe();
    const { memory } = gic.host;
    const sgiFrame = gic.gic.redistributorBase[0]! + 0x1_0000;
    memory.write32(sgiFrame + 0x80, ALL);
    memory.write32(sgiFrame + 0x100, 0xffff);
    const activeAfter = (): number => {
      gic.gic.cpu(0).write('ICC_SGI1R_EL1', (5n << 24n) | 1n);
      const intid = gic.gic.cpu(0).acknowledge();
      const active = memory.read32(sgiFrame + 0x300);
      gic.gic.cpu(0).endOfInterrupt(intid);
      return active;
    };
    expect(activeAfter()).toBe(1 << 5);
    gic.setGicd(GICD.CTLR, 0x102);
    expect([gic.gicd(GICD.CTLR), activeAfter()]).toEqual([0x52, 1 << 5]);
    gic.setGicd(GICD.CTLR, 0);
    gic.setGicd(GICD.CTLR, 0x102);
    expect([gic.gicd(GICD.CTLR), activeAfter()]).toEqual([0x152, 0]);
    gic.setGicd(GICD.CTLR, 2);
    expect(gic.gicd(GICD.CTLR)).toBe(0x152);
  });

  it('TYPER: lines, num_LPIs, LPIS, 16 INTID bits, A3V, No1N; no MBIS, extended SPIs or RSS [gic 3.2/2]', () => {
    const gic = probe({ version: 'gicv3', choices: { numLpis: 9 } });
    const typer = gic.gicd(GICD.TYPER);
    expect({
      lines: field(typer, 4, 0),
      espi: field(typer, 8, 8),
      numLpis: field(typer, 15, 11),
      mbis: field(typer, 16, 16),
      lpis: field(typer, 17, 17),
      idBits: field(typer, 23, 19),
      a3v: field(typer, 24, 24),
      no1n: field(typer, 25, 25),
      rss: field(typer, 26, 26),
    }).toEqual({ lines: 8, espi: 0, numLpis: 9, mbis: 0, lpis: 1, idBits: 15, a3v: 1, no1n: 1, rss: 0 });
    gic.setGicd(GICD.TYPER, 0);
    expect(gic.gicd(GICD.TYPER)).toBe(typer);
  });

  it('IIDR is Arm, of GICD, GICR and GITS alike; TYPER2 has nASSGIcap with GICv4.1, and 16 vPEID bits [gic 3.2/3] [gic 3.2/4] [gic 3.4/2]', () => {
    for (const version of ['gicv3', 'gicv4', 'gicv4.1'] as const) {
      const gic = probe({ version });
      for (const iidr of [gic.gicd(GICD.IIDR), gic.rd32(0, GICR.IIDR), gic.its(GITS.IIDR)]) {
        expect([field(iidr, 11, 0), field(iidr, 31, 12)]).toEqual([0x43b, 0]);
      }
      // VIL (bit 7) 0: VID says nothing.
      expect(gic.gicd(GICD.TYPER2)).toBe(version === 'gicv4.1' ? 0x100 : 0);
    }
  });

  it('SPIs: group, enable, pending, active, priority, configuration, routing, identification at their offsets [gic 3.2/5]', () => {
    const gic = probe({ version: 'gicv3' });
    const spi = 40;
    const bit = 1 << (spi % 32);
    gic.setGicd(0x80 + 4, bit);
    gic.setGicd(0x100 + 4, bit);
    gic.host.memory.write8(gic.gic.distributorBase + 0x400 + spi, 0x90);
    gic.setGicd(0xc00 + 4 * (spi >>> 4), 2 << (2 * (spi % 16)));
    gic.setGicd(0x6000 + 8 * spi, 1);
    expect([gic.gicd(0x80 + 4), gic.gicd(0x100 + 4), gic.gicd(0x180 + 4), gic.gicd(0x400 + spi) & 0xff]).toEqual([bit, bit, bit, 0x90]);
    expect([gic.gicd(0xc00 + 8), gic.gicd(0x6000 + 8 * spi), gic.gicd(0x6000 + 8 * spi + 4)]).toEqual([2 << 16, 1, 0]);
    gic.setGicd(0x200 + 4, bit);
    expect([gic.gicd(0x200 + 4), gic.gicd(0x280 + 4)]).toEqual([bit, bit]);
    const cpu = gic.gic.cpu(1);
    expect([gic.gic.cpu(0).acknowledge(), cpu.acknowledge()]).toEqual([1023, spi]);
    expect([gic.gicd(0x200 + 4), gic.gicd(0x300 + 4), gic.gicd(0x380 + 4)]).toEqual([0, bit, bit]);
    cpu.endOfInterrupt(spi);
    expect(gic.gicd(0x300 + 4)).toBe(0);
    gic.setGicd(0x200 + 4, bit);
    gic.setGicd(0x280 + 4, bit);
    expect(cpu.acknowledge()).toBe(1023);
    gic.setGicd(0x180 + 4, bit);
    expect(gic.gicd(0x100 + 4)).toBe(0);
    expect(gic.gicd(0xffe8) >>> 4).toBe(3);
    // No message-based SPIs: GICD_TYPER.MBIS is 0, and SETSPI_NSR does nothing. STATUSR reads 0.
    gic.setGicd(0x100 + 4, bit);
    gic.setGicd(0x40, spi);
    expect([cpu.acknowledge(), gic.gicd(0x10)]).toEqual([1023, 0]);
  });
});

describe('a redistributor', () => {
  it('CTLR: EnableLPIs, CES, IR by choice; RWP and UWP are never seen [gic 3.3/1]', () => {
    const gic = probe({ version: 'gicv3' });
    expect(gic.rd32(0, GICR.CTLR)).toBe(7);
    gic.disable(0);
    expect(gic.rd32(0, GICR.CTLR)).toBe(6);
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, ALL);
    expect(gic.rd32(0, GICR.CTLR)).toBe(7);
    expect(probe({ version: 'gicv3', choices: { invalidateRegisters: false } }).rd32(0, GICR.CTLR)).toBe(3);
  });

  it('TYPER: what there is, who it is, and which is the last [gic 3.3/2]', () => {
    const typer = (init: BareGicInit, cpu: number): Record<string, number> => {
      const value = probe({ cpus: 18, ...init }).gicr64(cpu, GICR.TYPER);
      return {
        plpis: field(value, 0, 0),
        vlpis: field(value, 1, 1),
        dirty: field(value, 2, 2),
        direct: field(value, 3, 3),
        last: field(value, 4, 4),
        rvpeid: field(value, 7, 7),
        number: field(value, 23, 8),
        commonLpiAff: field(value, 25, 24),
        vsgi: field(value, 26, 26),
        ppi: field(value, 31, 27),
        affinity: field(value, 63, 32),
      };
    };
    const v3 = { plpis: 1, vlpis: 0, dirty: 0, direct: 0, last: 0, rvpeid: 0, number: 0, commonLpiAff: 1, vsgi: 0, ppi: 0, affinity: 0 };
    expect(typer({ version: 'gicv3' }, 0)).toEqual(v3);
    expect(typer({ version: 'gicv4', choices: { directLpi: true } }, 3)).toEqual({ ...v3, vlpis: 1, direct: 1, number: 3, affinity: 3 });
    expect(typer({ version: 'gicv4.1' }, 17)).toEqual({ ...v3, vlpis: 1, dirty: 1, rvpeid: 1, vsgi: 1, last: 1, number: 17, affinity: 0x101 });
  });

  it('WAKER: ChildrenAsleep follows ProcessorSleep [gic 3.3/3]', () => {
    const gic = probe({ version: 'gicv3' });
    const waker = gic.gic.redistributorBase[0]! + GICR.WAKER;
    expect(gic.rd32(0, GICR.WAKER)).toBe(6);
    gic.host.memory.write32(waker, 0);
    expect(gic.rd32(0, GICR.WAKER)).toBe(0);
    gic.host.memory.write32(waker, ALL);
    expect(gic.rd32(0, GICR.WAKER)).toBe(6);
  });

  it('SETLPIR and CLRLPIR take an INTID, with DirectLPI alone; they read as 0 [gic 3.3/4]', () => {
    for (const directLpi of [true, false]) {
      const gic = probe({ version: 'gicv3', choices: { directLpi } });
      gic.rd64(0, 0x40, 8300, ALL);
      expect([gic.pending(0, 8300), gic.gicr64(0, 0x40), gic.gicr64(0, 0x48)]).toEqual([directLpi, 0n, 0n]);
      gic.rd64(0, 0x48, 8300, ALL);
      expect(gic.pending(0, 8300)).toBe(false);
    }
  });

  it('PROPBASER and PENDBASER keep their fields, PTZ reads 0 [gic 3.3/5] [gic 3.3/6]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.disable(0);
    gic.rd64(0, 0x70, ALL, ALL);
    gic.rd64(0, 0x78, ALL, ALL);
    expect([gic.gicr64(0, 0x70), gic.gicr64(0, 0x78)]).toEqual([0x070f_ffff_ffff_ff9fn, 0x070f_ffff_ffff_0f80n]);
    // IDbits is one less than the bits: LPIs up to 2^14.
    gic.rd64(0, 0x70, AT.PROPERTIES + 13, 0);
    gic.rd64(0, 0x78, AT.PENDING, 0);
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 1);
    gic.mapDevice(2);
    for (const [event, lpi] of [[0, 16383], [1, 16384]] as const) {
      gic.post((to) => encode.mapti(to, 2, event, lpi, 0));
      gic.msi(2, event);
    }
    expect([gic.take(0), gic.take(0)]).toEqual([16383, 1023]);
  });

  it('INVLPIR: INTID, and with V a VLPI of vPEID; INVALLR: all, or all of vPEID; SYNCR is Busy until then [gic 3.3/7] [gic 3.3/8] [gic 3.3/9]', () => {
    const gic = probe({ choices: { busyReads: 1 } });
    gic.post(gic.vmapp(5));
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 0, 8192, 0), (to) => encode.vmapti(to, 2, 1, 5, 8192, 1023), (to) => encode.vpe(to, OPCODE.VSYNC, 5));
    gic.resident(0, 5);
    gic.rd32(0, GICR.VPENDBASER + 4);
    const seen = (): readonly [number, number] => [gic.gic.redistributors[0]!.best.intid, gic.gic.redistributors[0]!.bestVlpi.intid];
    const post = (offset: number, lo: number, hi: number): void => {
      gic.rd64(0, offset, lo, hi);
      expect([gic.rd32(0, 0xc0), gic.rd32(0, 0xc0)]).toEqual([1, 0]);
    };
    const set = (byte: number): void => {
      gic.property(8192, byte);
      gic.vproperty(8192, byte);
    };
    for (const event of [0, 1]) gic.msi(2, event);
    expect(seen()).toEqual([8192, 8192]);
    for (const [offset, intid] of [[0xa0, 8192], [0xb0, 0]] as const) {
      set(0xa0);
      post(offset, intid, VALID + 5);
      expect(seen()).toEqual([8192, 1023]);
      post(offset, intid, 5);
      expect(seen()).toEqual([1023, 1023]);
      set(0xa1);
      post(offset, intid, 0);
      post(offset, intid, VALID + 5);
      expect(seen()).toEqual([8192, 8192]);
    }
    expect([gic.gicr64(0, 0xa0), gic.gicr64(0, 0xb0)]).toEqual([0n, 0n]);
  });

  it('GICv4.0: VPROPBASER is the configuration table and IDbits, VPENDBASER the VPT with Dirty, PendingLast, IDAI, Valid [gic 3.3/10] [gic 3.3/11]', () => {
    const gic = probe({ version: 'gicv4', choices: { busyReads: 1 } });
    gic.post(gic.vmapp(0));
    gic.mapDevice(2);
    for (const [event, vintid] of [[0, 16383], [1, 16384]] as const) gic.post((to) => encode.vmapti(to, 2, event, 0, vintid, 1023));
    gic.rd64(0, 0x2_0070, AT.VPROPERTIES + 0x780 + 13, 0x0700_0000);
    expect(gic.gicr64(0, 0x2_0070)).toBe(0x0700_0000_0000_0000n + BigInt(AT.VPROPERTIES) + 0x78dn);
    gic.vproperty(16383, 0x41);
    gic.rd64(0, 0x2_0078, AT.VPT + 0x780, VALID + DOORBELL + 0x0700_0000);
    expect(gic.rd32(0, 0x2_007c)).toBe(VALID + DOORBELL + DIRTY + 0x0700_0000);
    expect(gic.rd32(0, 0x2_0078)).toBe(AT.VPT + 0x780);
    gic.rd32(0, 0x2_007c);
    for (const event of [0, 1]) gic.msi(2, event);
    expect(gic.gic.redistributors[0]!.bestVlpi).toMatchObject({ intid: 16383, priority: 0x40 });
    gic.rd64(0, 0x2_0078, AT.VPT, DOORBELL);
    expect([gic.rd32(0, 0x2_007c), gic.rd32(0, 0x2_007c)]).toEqual([DOORBELL + DIRTY, DOORBELL + PENDING_LAST]);
  });

  it('GICv4.1: VPROPBASER is the vPE table: Size, Page_Size, Indirect, Entry_Size read-only, Valid [H1] [gic 3.3/12]', () => {
    const gic = probe();
    gic.rd64(0, 0x2_0070, ALL, ALL);
    // Entry_Size 3: 32 bytes. RES0 is [62] alone of the high half.
    expect(gic.gicr64(0, 0x2_0070)).toBe(0x9fff_ffff_ffff_ffffn);
    // As Linux inherits it from PE to PE: InnerCache is [9:7], Size [6:0].
    gic.rd64(0, 0x2_0070, 0x425b_0780, 0x80c0_0000);
    expect(gic.gicr64(0, 0x2_0070)).toBe(0x98c0_0000_425b_0780n);
    const resident = (): boolean => {
      gic.resident(0, 5);
      const held = gic.gic.vpe(5)?.residentOn === 0;
      gic.deschedule(0, 5);
      return held;
    };
    const table = AT.TABLES + 0x2_0000;
    gic.post(gic.vmapp(5));
    gic.rd64(0, 0x2_0070, table, VALID + (2 << 21));
    expect(resident()).toBe(true);
    gic.rd64(0, 0x2_0070, table, 2 << 21);
    expect(resident()).toBe(false);
    // Pages of 4 KiB, one of them: vPEs up to 128. Indirect: level 1 at the base.
    gic.rd64(0, 0x2_0070, table, VALID);
    expect(resident()).toBe(true);
    gic.post(gic.vmapp(130));
    gic.resident(0, 130);
    expect(gic.gic.vpe(130)?.residentOn).toBe(-1);
    gic.deschedule(0, 130);
    const level1 = AT.TABLES + 0x8_0000;
    gic.host.memory.write64(level1 + 8, table + 0x1000, VALID);
    gic.rd64(0, 0x2_0070, level1, VALID + 0x0080_0000);
    gic.resident(0, 130);
    expect(gic.gic.vpe(130)?.residentOn).toBe(0);
  });

  it('GICv4.1: VPENDBASER has vPEID, group enables, Dirty, PendingLast, Doorbell, Valid [gic 3.3/13] [gic 9.2/1] [gic 9.2/2] [gic 9.2/3]', () => {
    const gic = probe();
    gic.post(gic.vmapp(5));
    gic.mapDevice(2);
    gic.post((to) => encode.vmapti(to, 2, 0, 5, 8200, 1023));
    // 0x8400000000000005: resident, Group 1 alone.
    gic.rd64(0, 0x2_0078, 5, 0x8400_0000);
    expect([gic.gicr64(0, 0x2_0078), gic.gic.vpe(5)!.residentOn]).toEqual([0x8400_0000_0000_0005n, 0]);
    gic.msi(2, 0);
    expect(gic.vtake(0)).toBe(8200);
    // 0x4400000000000005: blocking, a doorbell is wanted.
    gic.rd64(0, 0x2_0078, 5, 0x4400_0000);
    expect([gic.gic.vpe(5)!.residentOn, gic.rd32(0, 0x2_007c) & PENDING_LAST]).toEqual([-1, 0]);
    gic.msi(2, 0);
    expect(gic.take(0)).toBe(DOORBELL_LPI + 5);
    // 0x2400000000000005: not blocking; PendingLast is what was written, nothing rings.
    gic.rd64(0, 0x2_0078, 5, 0x8400_0000);
    gic.vtake(0);
    gic.rd64(0, 0x2_0078, 5, 0x2400_0000);
    expect(gic.rd32(0, 0x2_007c) & PENDING_LAST).toBe(PENDING_LAST);
    gic.msi(2, 0);
    expect(gic.take(0)).toBe(1023);
    // Group 1 not enabled, bit 58 0: pending, and not offered. vPEID is 16 bits.
    gic.rd64(0, 0x2_0078, 0xffff_0005, 0x8800_0000);
    expect([gic.gicr64(0, 0x2_0078), gic.vtake(0)]).toEqual([0x8800_0000_0000_0005n, 1023]);
  });

  it('VSGIR asks for a vPEID, VSGIPENDR answers 16 bits when Busy is 0 [gic 3.3/14] [gic 3.3/15]', () => {
    const gic = probe({ choices: { busyReads: 2 } });
    gic.post(gic.vmapp(5));
    for (const sgi of [0, 15]) gic.setIts(GITS.SGIR, sgi, 5);
    gic.host.memory.write32(gic.gic.redistributorBase[0]! + 0x2_0080, 0xffff_0005);
    expect([gic.rd32(0, 0x2_0088) >>> 31, gic.rd32(0, 0x2_0088) >>> 31, gic.rd32(0, 0x2_0088)]).toEqual([1, 1, 0x8001]);
    expect(gic.rd32(0, 0x2_0080)).toBe(0);
  });
});

describe('values that the driver writes', () => {
  it('INVLPIR, INVALLR and SGIR of vPE 5 [gic 9.2/4] [gic 9.2/5] [gic 9.2/6]', () => {
    const gic = probe();
    gic.post(gic.vmapp(5));
    gic.mapDevice(2);
    gic.post((to) => encode.vmapti(to, 2, 0, 5, 8195, 1023));
    gic.resident(0, 5);
    gic.msi(2, 0);
    gic.vproperty(8195, 0xa0);
    gic.rd64(0, 0xa0, 0x2003, 0x8000_0005);
    expect(gic.vtake(0)).toBe(1023);
    gic.vproperty(8195, 0xa1);
    gic.rd64(0, 0xb0, 0, 0x8000_0005);
    expect(gic.vtake(0)).toBe(8195);
    gic.post((to) => encode.vsgi(to, 5, 7, { enabled: true, group1: true, priority: 0xa0 }, false));
    gic.setIts(0x2_0020, 7, 5);
    expect(gic.vtake(0)).toBe(7);
  });
});

describe('an ITS', () => {
  it('CTLR: Enabled, ITS_Number, Quiescent read-only [gic 3.4/1]', () => {
    const gic = probe({ version: 'gicv4', itss: 3 });
    expect([0, 1, 2].map((n) => gic.its(GITS.CTLR, n))).toEqual([0x01, 0x11, 0x21]);
    gic.host.memory.write32(gic.gic.its[2]!.base, 0xffff_fffe);
    expect(gic.its(GITS.CTLR, 2)).toBe(0x8000_0020);
    expect(probe({ version: 'gicv3', itss: 2 }).its(GITS.CTLR, 1)).toBe(1);
  });

  it('TYPER says what the version has [gic 3.4/3]', () => {
    const typer = (init: BareGicInit): Record<string, number> => {
      const value = probe(init).its64(GITS.TYPER);
      return {
        physical: field(value, 0, 0),
        virtual: field(value, 1, 1),
        cct: field(value, 2, 2),
        itt: field(value, 7, 4) + 1,
        idBits: field(value, 12, 8) + 1,
        devBits: field(value, 17, 13) + 1,
        seis: field(value, 18, 18),
        pta: field(value, 19, 19),
        hcc: field(value, 31, 24),
        cidBits: field(value, 35, 32) + 1,
        cil: field(value, 36, 36),
        vmovp: field(value, 37, 37),
        mpam: field(value, 38, 38),
        vsgi: field(value, 39, 39),
        vmapp: field(value, 40, 40),
        svpet: field(value, 42, 41),
      };
    };
    const v3 = {
      physical: 1, virtual: 0, cct: 0, itt: 12, idBits: 16, devBits: 16, seis: 0, pta: 0, hcc: 0,
      cidBits: 16, cil: 1, vmovp: 0, mpam: 0, vsgi: 0, vmapp: 0, svpet: 0,
    };
    expect(typer({ version: 'gicv3', choices: { ittEntryBytes: 16 } })).toEqual({ ...v3, itt: 16 });
    expect(typer({ version: 'gicv4' })).toEqual({ ...v3, virtual: 1, vmovp: 1 });
    expect(typer({ version: 'gicv4', choices: { vmovpOnce: false } })).toEqual({ ...v3, virtual: 1 });
    expect(typer({ version: 'gicv4.1' })).toEqual({ ...v3, virtual: 1, vmovp: 1, vsgi: 1, vmapp: 1, svpet: 1 });
  });

  it('MPIDR names the group of the vPE table: that of Aff3 0 [gic 3.4/4]', () => {
    const gic = probe();
    gic.setIts(GITS.MPIDR, ALL, 0);
    expect(gic.its(GITS.MPIDR)).toBe(0);
  });

  it('CBASER, CWRITER and CREADR keep their fields [gic 3.4/5] [gic 3.4/6]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.host.memory.write32(gic.gic.its[0]!.base, 0);
    gic.setIts(GITS.CBASER, ALL, ALL);
    gic.setIts(GITS.CWRITER, ALL, ALL);
    gic.setIts(GITS.CREADR, ALL, ALL);
    expect([gic.its64(GITS.CBASER), gic.its64(GITS.CWRITER), gic.its64(GITS.CREADR)]).toEqual([0xb8ef_ffff_ffff_fcffn, 0xf_ffe0n, 0n]);
    const stalls = probe({ version: 'gicv3', choices: { commandErrors: 'stall' } });
    const at = stalls.its(GITS.CREADR);
    stalls.post((to) => encode.event(to, OPCODE.INT, 9, 0));
    expect(stalls.its(GITS.CREADR)).toBe(at + 1);
    // Retry takes the command that stalled again; it reads as 0.
    stalls.setIts(GITS.CWRITER, stalls.its(GITS.CWRITER) + 1, 0);
    expect([stalls.its(GITS.CREADR), stalls.its(GITS.CWRITER) & 1]).toEqual([at + 1, 0]);
    stalls.host.memory.write32(AT.QUEUE + at, 5);
    stalls.setIts(GITS.CWRITER, stalls.its(GITS.CWRITER) + 1, 0);
    expect(stalls.its(GITS.CREADR)).toBe(at + 32);
  });

  it('BASER0 to BASER2: devices, collections, vPEs; Type and Entry_Size read-only; the others are RAZ/WI [gic 3.4/7]', () => {
    for (const version of ['gicv3', 'gicv4', 'gicv4.1'] as const) {
      const gic = probe({ version });
      gic.host.memory.write32(gic.gic.its[0]!.base, 0);
      const seen = Array.from({ length: 8 }, (_, n) => {
        gic.setIts(GITS.BASER + 8 * n, ALL, ALL);
        const value = gic.its64(GITS.BASER + 8 * n);
        return value === 0n ? undefined : { type: field(value, 58, 56), entry: field(value, 52, 48) + 1, rest: (value | (0x71fn << 48n)) === (1n << 64n) - 1n };
      });
      const vpes = { type: 2, entry: version === 'gicv4' ? 8 : 32, rest: true };
      expect(seen).toEqual([
        { type: 1, entry: 8, rest: true },
        { type: 4, entry: 8, rest: true },
        ...(version === 'gicv3' ? [undefined] : [vpes]),
        undefined, undefined, undefined, undefined, undefined,
      ]);
    }
  });

  it('BASER3 to BASER7 are RES0: a store is no fault, enabled or not, as Linux makes it at each boot [H6]', () => {
    for (const version of ['gicv3', 'gicv4.1'] as const) {
      const gic = probe({ version });
      const events = gic.host.trace.record('fault');
      for (const enable of [0, 1]) {
        gic.host.memory.write32(gic.gic.its[0]!.base, enable);
        for (let n = version === 'gicv3' ? 2 : 3; n < 8; n += 1) gic.setIts(GITS.BASER + 8 * n, ALL, ALL);
      }
      expect(events).toEqual([]);
      gic.setIts(GITS.BASER, 0, 0);
      expect(events.map(({ id }) => id)).toContain('gic/access-ignored');
    }
  });

  it('BASER: pages of 4 KiB hold as many entries as fit; 64 KiB pages have address bits [51:48] in [15:12] [gic 3.4/7]', () => {
    const gic = probe({ version: 'gicv3' });
    const { memory } = gic.host;
    const mapped = (device: number): boolean => {
      const events = gic.host.trace.record();
      gic.mapDevice(device);
      return ids(events).every((id) => id === 'gic/command');
    };
    const base = (lo: number, hi: number): void => {
      memory.write32(gic.gic.its[0]!.base, 0);
      gic.setIts(GITS.BASER, lo, hi);
      memory.write32(gic.gic.its[0]!.base, 1);
    };
    base(AT.TABLES, VALID);
    expect([mapped(511), mapped(512)]).toEqual([true, false]);
    base(AT.TABLES + 1, VALID);
    expect([mapped(1023), mapped(1024)]).toEqual([true, false]);
    base(AT.TABLES + 0x100, VALID);
    expect([mapped(2047), mapped(2048)]).toEqual([true, false]);
    // Indirect: level 1 entries are 8 bytes, V in 63.
    memory.write64(AT.TABLES + 0x4_0000 + 8, AT.TABLES + 0x5_0000, VALID);
    base(AT.TABLES + 0x4_0000, VALID + DOORBELL);
    expect([mapped(511), mapped(512)]).toEqual([false, true]);
    base(AT.TABLES + 0x1200, VALID);
    expect(mapped(1)).toBe(false);
  });

  it('TRANSLATER takes an EventID, the DeviceID comes with the transaction; SGIR takes vINTID and vPEID [gic 3.4/8] [gic 3.4/9]', () => {
    const gic = probe();
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 3, 8195, 0));
    const { base } = gic.gic.its[0]!;
    gic.host.memory.write32(base + 0x1_0040, 3, 1);
    expect(gic.take(0)).toBe(1023);
    gic.host.memory.write16(base + 0x1_0040, 3, 2);
    expect([gic.take(0), gic.its(0x1_0040)]).toEqual([8195, 0]);
    gic.post(gic.vmapp(5), (to) => encode.vsgi(to, 5, 7, { enabled: true, group1: true, priority: 0 }, false));
    gic.host.memory.write64(base + 0x2_0020, 0x17, 0xffff_0005);
    expect([gic.gic.vpe(5)!.sgis.pending, gic.its64(0x2_0020)]).toEqual([1 << 7, 0n]);
  });

  it('identification registers [gic 3.4/10]', () => {
    const gic = probe({ version: 'gicv3' });
    const at = (offset: number): number => gic.its(offset);
    expect([at(0xffe0), at(0xffe4), at(0xffe8), at(0xffd0)]).toEqual([0x94, 0xb4, 0x3b, 0x44]);
    expect([0xfff0, 0xfff4, 0xfff8, 0xfffc].map(at)).toEqual([0x0d, 0xf0, 0x05, 0xb1]);
    expect(probe({ version: 'gicv4' }).its(0xffe8)).toBe(0x4b);
  });
});

describe('tables in memory', () => {
  it('a property byte: Enable 0, priority [7:2]; bit 1 says nothing [gic 3.6/1]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 0, 8199, 0), (to) => encode.mapti(to, 2, 1, 8198, 0));
    for (const [byte, intid, priority] of [[0x53, 8199, 0x50], [0x51, 8199, 0x50], [0x52, 8198, 0xa0], [0xfd, 8198, 0xa0]] as const) {
      gic.host.memory.write8(AT.PROPERTIES + 7, byte);
      gic.post((to) => encode.event(to, OPCODE.INV, 2, 0), (to) => encode.sync(to, 0));
      for (const event of [0, 1]) gic.msi(2, event);
      expect(gic.gic.redistributors[0]!.best).toMatchObject({ intid, priority });
    }
  });

  it('one property table for all redistributors that share CommonLPIAff [gic 3.6/1]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 0, 8192, 0), (to) => encode.mapti(to, 2, 1, 8193, 1));
    gic.property(8193, 0x41);
    gic.msi(2, 1);
    expect(gic.gic.redistributors[1]!.best).toMatchObject({ intid: 8193, priority: 0x40 });
  });

  it('a pending table: bit n % 8 of byte n / 8, 2^(IDbits + 1) / 8 bytes; software reads nothing from the first 1 KiB [gic 3.6/2] [gic 9.3/8]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.disable(0);
    for (let byte = 0; byte < 0x400; byte += 1) gic.host.memory.write8(AT.PENDING + byte, 0xff);
    gic.mapDevice(2);
    const lpis = [8192, 8195, 8199, 8200, 8447, 65535];
    lpis.forEach((lpi, event) => gic.post((to) => encode.mapti(to, 2, event, lpi, 0)));
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 1);
    lpis.forEach((_, event) => gic.msi(2, event));
    gic.disable(0);
    const set: string[] = [];
    for (let byte = 0x400; byte < 0x2000; byte += 1) {
      const value = gic.host.memory.read8(AT.PENDING + byte);
      for (let bit = 0; bit < 8; bit += 1) if ((value & (1 << bit)) !== 0) set.push(`0x${byte.toString(16)}.${bit}`);
    }
    expect(set).toEqual(['0x400.0', '0x400.3', '0x400.7', '0x401.0', '0x41f.7', '0x1fff.7']);
    expect([gic.host.memory.read8(AT.PENDING + 0x3ff), gic.host.memory.read8(AT.PENDING + 0x2000)]).toEqual([0xff, 0]);
  });

  it('the tables of the ITS are the model\'s own; level 1 entries are architected [gic 3.6/3]', () => {
    const gic = probe({ version: 'gicv3' });
    gic.host.memory.writeBytes(AT.ITT + 2 * 0x1000, new Uint8Array(64));
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 0, 8192, 1));
    const { memory } = gic.host;
    // Device 2: Valid, Size 4, ITT address >> 8; collection 1: Valid, RDbase 1; event 0: Valid, physical, INTID, ICID.
    expect(memory.read32(AT.TABLES + 0x10_0000 + 16)).toBe((((AT.ITT + 0x2000) / 256) * 64 + 4 * 2 + 1) % 2 ** 32);
    expect(memory.read32(AT.TABLES + 0x11_0000 + 8)).toBe(3);
    expect([memory.read32(AT.ITT + 0x2000), memory.read32(AT.ITT + 0x2004)]).toEqual([8192 * 4 + 3, 1]);
  });
});
