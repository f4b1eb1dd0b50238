/** VLPIs, vSGIs and vPEs: what the architecture says of virtual commands, residency and doorbells. */
import { describe, expect, it } from 'vitest';
import { encode, GICR, OPCODE } from '../src/index.ts';
import { AT, BareGic, DIRTY, DOORBELL, DOORBELL_LPI, ids, PENDING_LAST, RESIDENT_GRP1, unpredictable, VALID } from './bare-gic.ts';

const DEV = 1;
const SGI7 = { enabled: true, group1: true, priority: 0xa0 };

/** vPEs 0 and 1 on CPU 0; device 1, event n is VLPI 8192 + n of vPE n % 2, with a doorbell of its own on GICv4.0. */
function virtual(init: ConstructorParameters<typeof BareGic>[0] = {}): BareGic {
  const gic = new BareGic(init);
  for (const vpeid of [0, 1]) gic.post(gic.vmapp(vpeid), (to) => encode.vpe(to, OPCODE.VSYNC, vpeid));
  gic.mapDevice(DEV);
  const v41 = gic.gic.version === 'gicv4.1';
  for (let n = 0; n < 4; n += 1) {
    gic.post((to) => encode.vmapti(to, DEV, n, n % 2, 8192 + n, v41 ? 1023 : DOORBELL_LPI + n), (to) => encode.vpe(to, OPCODE.VSYNC, n % 2));
  }
  return gic;
}

const sgir = (gic: BareGic, vpeid: number, sgi: number): void => gic.host.memory.write64(gic.gic.its[0]!.base + 0x2_0020, sgi, vpeid);
const residentV40 = (gic: BareGic, cpu: number, vpeid: number): void => gic.rd64(cpu, GICR.VPENDBASER, AT.VPT + vpeid * 0x1_0000, VALID);

describe('VLPIs', () => {
  it('are candidates while their vPE is resident and its group enabled, and pend otherwise [gic H-11]', () => {
    const gic = virtual();
    gic.msi(DEV, 0);
    expect([gic.vpending(0, 8192), gic.vtake(0)]).toEqual([true, 1023]);
    gic.rd64(0, GICR.VPENDBASER, 0, VALID);
    expect(gic.vtake(0)).toBe(1023);
    gic.deschedule(0, 0);
    gic.resident(0, 0);
    expect([gic.vtake(0), gic.vpending(0, 8192)]).toEqual([8192, false]);
  });

  it('INT, CLEAR, DISCARD and INV of a virtual event act on the VLPI [gic H-5]', () => {
    const gic = virtual();
    gic.resident(0, 0);
    gic.post((to) => encode.event(to, OPCODE.INT, DEV, 0));
    expect(gic.vpending(0, 8192)).toBe(true);
    gic.post((to) => encode.event(to, OPCODE.CLEAR, DEV, 0));
    expect([gic.vpending(0, 8192), gic.vtake(0)]).toEqual([false, 1023]);
    gic.vproperty(8192, 0xa0);
    gic.msi(DEV, 0);
    gic.post((to) => encode.event(to, OPCODE.INV, DEV, 0));
    expect(gic.vtake(0)).toBe(1023);
    gic.post((to) => encode.event(to, OPCODE.DISCARD, DEV, 0));
    expect(gic.vpending(0, 8192)).toBe(false);
    gic.msi(DEV, 0);
    expect(gic.vpending(0, 8192)).toBe(false);
  });

  it('outside 8192 and the VPT are dropped [gic H-25]', () => {
    const gic = new BareGic();
    gic.post(gic.vmapp(0, { vptSize: 13 }));
    gic.mapDevice(DEV);
    gic.post((to) => encode.vmapti(to, DEV, 0, 0, 16384, 1023), (to) => encode.vmapti(to, DEV, 1, 0, 16383, 1023), (to) => encode.vmapti(to, DEV, 2, 0, 8191, 1023));
    for (const event of [0, 1, 2]) gic.msi(DEV, event);
    expect([gic.vpending(0, 16384), gic.vpending(0, 16383), gic.vpending(0, 8191)]).toEqual([false, true, false]);
  });

  it('GICv4.0: a redistributor whose VPROPBASER.IDbits is 0 drops them [gic H-25]', () => {
    const gic = virtual({ version: 'gicv4' });
    gic.rd64(0, GICR.VPROPBASER, 0, 0);
    gic.msi(DEV, 0);
    expect([gic.host.memory.read8(AT.VPT + 0x400), gic.pending(0, DOORBELL_LPI)]).toEqual([0, false]);
  });

  it('a VLPI, a vSGI and a list register go by priority [gic H-28]', () => {
    const gic = virtual();
    gic.vproperty(8192, 0x81);
    gic.post((to) => encode.vpe(to, OPCODE.VINVALL, 0), (to) => encode.vsgi(to, 0, 7, { ...SGI7, priority: 0x90 }, false));
    gic.resident(0, 0);
    gic.msi(DEV, 0);
    sgir(gic, 0, 7);
    gic.gic.cpu(0).virtual.setList(0, 40, 0x5088_0000);
    expect([gic.vtake(0), gic.vtake(0), gic.vtake(0), gic.vtake(0)]).toEqual([8192, 40, 7, 1023]);
  });

  it('a VLPI that comes while a better vSGI is pending waits for it [gic H-28]', () => {
    const gic = virtual();
    gic.post((to) => encode.vsgi(to, 0, 7, { ...SGI7, priority: 0x90 }, false));
    gic.resident(0, 0);
    sgir(gic, 0, 7);
    gic.msi(DEV, 0);
    expect([gic.vtake(0), gic.vtake(0), gic.vtake(0)]).toEqual([7, 8192, 1023]);
  });

  it('move with VMOVI, with their pending state [gic H-5]', () => {
    for (const version of ['gicv4', 'gicv4.1'] as const) {
      const gic = virtual({ version });
      gic.msi(DEV, 0);
      gic.post((to) => encode.vmovi(to, DEV, 0, 1, 1023));
      if (version === 'gicv4') expect([gic.host.memory.read8(AT.VPT + 0x400), gic.host.memory.read8(AT.VPT + 0x1_0400)]).toEqual([0, 1]);
      else expect([gic.vpending(0, 8192), gic.vpending(1, 8192)]).toEqual([false, true]);
    }
  });
});

describe('configuration of a VLPI that went', () => {
  it.each(['gicv4', 'gicv4.1'] as const)('%s: is read again when it comes back, by VMOVI or VMAPTI [gic H-3]', (version) => {
    for (const by of ['VMOVI', 'VMAPTI']) {
      const gic = virtual({ version });
      if (version === 'gicv4') residentV40(gic, 0, 0);
      else gic.resident(0, 0);
      gic.msi(DEV, 0);
      expect(gic.vtake(0)).toBe(8192);
      if (by === 'VMOVI') gic.post((to) => encode.vmovi(to, DEV, 0, 1, 1023));
      else gic.post((to) => encode.event(to, OPCODE.DISCARD, DEV, 0));
      gic.vproperty(8192, 0xa0);
      if (by === 'VMOVI') gic.post((to) => encode.event(to, OPCODE.INV, DEV, 0), (to) => encode.vmovi(to, DEV, 0, 0, 1023));
      else gic.post((to) => encode.vmapti(to, DEV, 0, 0, 8192, 1023));
      gic.msi(DEV, 0);
      expect(gic.vtake(0)).toBe(1023);
    }
  });
});

describe('configuration of a doorbell whose vPE went [H8]', () => {
  /** vPE 0 on CPU 1. The doorbell of VLPI 8192 rings there while it is disabled, and is cleared: the redistributor knows it as disabled. */
  function rung(version: 'gicv4' | 'gicv4.1'): BareGic {
    const gic = virtual({ version, choices: { directLpi: true } });
    gic.post(encodeVmovp(0, 1));
    gic.property(DOORBELL_LPI, 0xa0);
    if (version === 'gicv4.1') {
      gic.resident(1, 0);
      gic.deschedule(1, 0, DOORBELL);
    }
    gic.msi(DEV, 0);
    expect(gic.pending(1, DOORBELL_LPI)).toBe(true);
    gic.rd64(1, GICR.CLRLPIR, DOORBELL_LPI, 0);
    gic.property(DOORBELL_LPI, 0xa1);
    return gic;
  }
  const encodeVmovp = (vpeid: number, cpu: number) => (to: Uint32Array): void => encode.vmovp(to, vpeid, cpu, 0, 0, undefined);
  /** The number is an LPI of a device now. */
  const taken = (gic: BareGic): number => {
    gic.gic.redistributors[1]!.lpis.deliver(DOORBELL_LPI);
    return gic.take(1);
  };

  it.each<[string, 'gicv4' | 'gicv4.1', (gic: BareGic) => void]>([
    ['VMAPP V=0', 'gicv4', (gic) => gic.post(gic.vmapp(0, { valid: false }))],
    ['VMAPP V=0', 'gicv4.1', (gic) => gic.post(gic.vmapp(0, { valid: false }))],
    ['VMOVP', 'gicv4', (gic) => gic.post(encodeVmovp(0, 0))],
    ['VMOVP', 'gicv4.1', (gic) => gic.post(encodeVmovp(0, 0))],
    ['VMOVI', 'gicv4', (gic) => gic.post((to) => encode.vmovi(to, DEV, 0, 1, 1023))],
    ['DISCARD', 'gicv4', (gic) => gic.post((to) => encode.event(to, OPCODE.DISCARD, DEV, 0))],
  ])('%s of %s: is read again', (_, version, leave) => {
    const gic = rung(version);
    leave(gic);
    expect(taken(gic)).toBe(DOORBELL_LPI);
  });

  it('stays while nothing of it went', () => {
    expect(taken(rung('gicv4'))).toBe(1023);
  });

  it('MOVI: is read again where the LPI comes to', () => {
    const gic = rung('gicv4');
    gic.mapDevice(2);
    gic.post((to) => encode.mapti(to, 2, 0, DOORBELL_LPI, 0), (to) => encode.movi(to, 2, 0, 1));
    gic.msi(2, 0);
    expect(gic.take(1)).toBe(DOORBELL_LPI);
  });
});

describe('doorbells', () => {
  it('GICv4.0: one per VLPI, at each that becomes pending off its CPU, enabled or not [gic H-12]', () => {
    const gic = virtual({ version: 'gicv4' });
    gic.vproperty(8192, 0xa0);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(DOORBELL_LPI);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
    gic.msi(DEV, 2);
    expect(gic.take(0)).toBe(DOORBELL_LPI + 2);
    residentV40(gic, 0, 1);
    gic.msi(DEV, 1);
    expect(gic.take(0)).toBe(1023);
  });

  it('GICv4.1: none that was not asked for, one until the next residency [gic H-13]', () => {
    const gic = virtual();
    gic.msi(DEV, 0);
    gic.resident(0, 0);
    gic.vtake(0);
    gic.deschedule(0, 0);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
    gic.resident(0, 0);
    gic.vtake(0);
    gic.deschedule(0, 0, DOORBELL);
    gic.msi(DEV, 0);
    gic.msi(DEV, 2);
    expect([gic.take(0), gic.take(0)]).toEqual([DOORBELL_LPI, 1023]);
  });

  it('GICv4.1: one that rang does not ring again, nor one asked for with something pending [gic H-13] [gic H-14]', () => {
    const gic = virtual();
    gic.resident(0, 0);
    gic.deschedule(0, 0, DOORBELL);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(DOORBELL_LPI);
    gic.msi(DEV, 2);
    expect(gic.take(0)).toBe(1023);
    gic.resident(0, 0);
    expect(gic.deschedule(0, 0, DOORBELL) & PENDING_LAST).toBe(PENDING_LAST);
    gic.vproperty(8196, 0xa1);
    gic.post((to) => encode.vmapti(to, DEV, 4, 0, 8196, 1023));
    gic.msi(DEV, 4);
    expect(gic.take(0)).toBe(1023);
  });

  it('a vSGI rings it too [gic H-13]', () => {
    const gic = virtual();
    gic.post((to) => encode.vsgi(to, 0, 7, SGI7, false));
    gic.resident(0, 0);
    gic.deschedule(0, 0, DOORBELL);
    sgir(gic, 0, 7);
    expect(gic.take(0)).toBe(DOORBELL_LPI);
  });

  it('VMOVP takes pending VLPIs and the doorbell along [gic H-21]', () => {
    const gic = virtual();
    gic.resident(0, 0);
    gic.deschedule(0, 0, DOORBELL);
    gic.msi(DEV, 0);
    gic.post((to) => encode.vmovp(to, 0, 1, 0, 0, DOORBELL_LPI), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    expect([gic.take(0), gic.take(1)]).toEqual([1023, DOORBELL_LPI]);
    gic.resident(1, 0);
    expect(gic.vtake(1)).toBe(8192);
  });

  it('INVDB reads its configuration again; an INVALL of a collection without it does not [gic H-22]', () => {
    const gic = virtual();
    gic.property(DOORBELL_LPI, 0xa0);
    gic.resident(0, 0);
    gic.deschedule(0, 0, DOORBELL);
    gic.msi(DEV, 0);
    gic.property(DOORBELL_LPI, 0xa1);
    gic.post((to) => encode.invall(to, 1), (to) => encode.sync(to, 1));
    expect(gic.take(0)).toBe(1023);
    gic.post((to) => encode.vpe(to, OPCODE.INVDB, 0), (to) => encode.vpe(to, OPCODE.VSYNC, 0));
    expect(gic.take(0)).toBe(DOORBELL_LPI);
  });
});

describe('residency', () => {
  it('of GICv4.1 needs a vPE table, and is on one redistributor [gic H-15]', () => {
    const gic = virtual();
    const events = gic.host.trace.record();
    gic.resident(0, 0);
    gic.resident(1, 0);
    gic.rd64(0, GICR.VPENDBASER, 1, RESIDENT_GRP1);
    gic.deschedule(0, 0);
    gic.rd64(0, GICR.VPROPBASER, 0, 0);
    gic.resident(0, 0);
    expect(unpredictable(events)).toEqual([
      'vpe 0 made resident on 1, mapped to 0',
      'VPENDBASER changed while Valid is 1',
      'vpe 0 made resident, but it is not mapped in the table of VPROPBASER',
    ]);
  });

  it('Dirty is 1 until it was polled; PendingLast is there after it [gic H-16]', () => {
    for (const version of ['gicv4', 'gicv4.1'] as const) {
      const gic = virtual({ version, choices: { busyReads: 1 } });
      const events = gic.host.trace.record();
      const low = version === 'gicv4' ? AT.VPT : 0;
      gic.msi(DEV, 0);
      gic.rd64(0, GICR.VPENDBASER, low, RESIDENT_GRP1);
      expect(gic.rd32(0, GICR.VPENDBASER + 4) & DIRTY).toBe(DIRTY);
      gic.rd64(0, GICR.VPENDBASER, low, 0);
      expect(gic.rd32(0, GICR.VPENDBASER + 4) & (DIRTY | PENDING_LAST)).toBe(DIRTY);
      expect(gic.rd32(0, GICR.VPENDBASER + 4) & (DIRTY | PENDING_LAST)).toBe(PENDING_LAST);
      expect(unpredictable(events)).toEqual([]);
      gic.rd64(0, GICR.VPENDBASER, low, RESIDENT_GRP1);
      gic.rd64(0, GICR.VPENDBASER, low, 0);
      expect(unpredictable(events)).toEqual(['VPENDBASER.Valid changed while Dirty is 1']);
    }
  });

  it('of GICv4.0 gives PendingLast back, and IDAI as it was [gic H-17] [gic H-29]', () => {
    const gic = virtual({ version: 'gicv4' });
    gic.rd64(0, GICR.VPENDBASER, AT.VPT, VALID + DOORBELL);
    gic.msi(DEV, 0);
    expect(gic.host.memory.read8(AT.VPT + 0x400)).toBe(0);
    gic.rd64(0, GICR.VPENDBASER, AT.VPT, DOORBELL);
    expect([gic.rd32(0, GICR.VPENDBASER + 4), gic.host.memory.read8(AT.VPT + 0x400)]).toEqual([DOORBELL + PENDING_LAST, 1]);
    const v41 = virtual();
    v41.resident(0, 0);
    expect(v41.deschedule(0, 0, DOORBELL) & PENDING_LAST).toBe(0);
    v41.msi(DEV, 0);
    expect(v41.take(0)).toBe(DOORBELL_LPI);
  });
});

describe('mapping', () => {
  it('Alloc takes the VPT over and gives it back; another ITS joins with the same tables [gic H-18] [gic H-19]', () => {
    const gic = new BareGic({ itss: 2, preset: 'strict' });
    const events = gic.host.trace.record();
    gic.host.memory.write8(AT.VPT + 0x400, 2);
    gic.on(0, gic.vmapp(0));
    gic.on(1, gic.vmapp(0, { alloc: false }));
    expect([gic.vpending(0, 8193), unpredictable(events)]).toEqual([true, []]);
    gic.mapDevice(DEV, 1);
    gic.on(1, (to) => encode.vmapti(to, DEV, 0, 0, 8192, 1023));
    gic.msi(DEV, 0, 1);
    gic.on(0, gic.vmapp(0, { valid: false, alloc: false }));
    expect([gic.host.memory.read8(AT.VPT + 0x400), gic.gic.vpe(0) === undefined]).toEqual([2, false]);
    gic.on(1, gic.vmapp(0, { valid: false }));
    expect([gic.host.memory.read8(AT.VPT + 0x400), gic.gic.vpe(0)]).toEqual([3, undefined]);
    gic.on(0, gic.vmapp(0));
    gic.on(1, gic.vmapp(0, { alloc: false, vptAddress: AT.VPT + 0x1_0000 }));
    expect(unpredictable(events)).toEqual(['vpe 0 mapped with other tables than another its has']);
  });

  it('PTZ drops what the VPT holds, SGIs too; without it both survive [gic H-18] [gic H-24] [gic P2-T3]', () => {
    for (const ptz of [false, true]) {
      const gic = virtual();
      gic.post((to) => encode.vsgi(to, 0, 7, SGI7, false));
      sgir(gic, 0, 7);
      gic.msi(DEV, 0);
      const events = gic.host.trace.record();
      gic.post(gic.vmapp(0, { valid: false }), gic.vmapp(0, { ptz }));
      gic.resident(0, 0);
      expect([gic.vtake(0), gic.vtake(0)]).toEqual(ptz ? [1023, 1023] : [7, 8192]);
      expect(unpredictable(events).length).toBe(ptz ? 1 : 0);
    }
  });

  it('VMAPP with V=0 and VMOVP of a resident vPE are unpredictable [gic H-20] [gic I-5]', () => {
    for (const version of ['gicv4', 'gicv4.1'] as const) {
      const gic = virtual({ version, preset: 'strict' });
      if (version === 'gicv4') residentV40(gic, 0, 0);
      else gic.resident(0, 0);
      const events = gic.host.trace.record();
      gic.post((to) => encode.vmovp(to, 0, 1, 0, 0, undefined));
      expect(unpredictable(events)).toEqual(['vpe 0 unmapped or moved while it is resident']);
    }
    const gic = virtual({ version: 'gicv4', preset: 'strict' });
    residentV40(gic, 0, 0);
    const events = gic.host.trace.record();
    gic.post(gic.vmapp(0, { valid: false }));
    expect(unpredictable(events)).toEqual(['vpe 0 unmapped or moved while it is resident']);
  });

  it('strict: a VSYNC or VMAPP with V=0 of a vPE that is not mapped is unpredictable', () => {
    const gic = new BareGic({ preset: 'strict' });
    const events = gic.host.trace.record();
    gic.vsync(3);
    gic.post(gic.vmapp(3, { valid: false }));
    expect(unpredictable(events)).toEqual(['VSYNC of vpe 3, which is not mapped', 'VMAPP with V=0 of vpe 3, which its 0 does not map']);
  });
});

describe('VMOVP with an ITSList', () => {
  function listed(): BareGic {
    const gic = new BareGic({ version: 'gicv4', itss: 3, choices: { vmovpOnce: false } });
    for (const its of [0, 1]) {
      gic.on(its, gic.vmapp(0));
      gic.mapDevice(DEV, its);
      gic.on(its, (to) => encode.vmapti(to, DEV, 0, 0, 8192 + its, DOORBELL_LPI + its));
    }
    return gic;
  }
  const move = (gic: BareGic, its: number, list: number, sequence = 7): void =>
    gic.on(its, (to) => encode.vmovp(to, 0, 1, sequence, list, undefined), (to) => encode.vpe(to, OPCODE.VSYNC, 0));

  it('is complete when every ITS of the list has taken it [gic H-21]', () => {
    const gic = listed();
    const events = gic.host.trace.record();
    move(gic, 0, 3);
    gic.msi(DEV, 0);
    expect([gic.take(0), gic.take(1)]).toEqual([DOORBELL_LPI, 1023]);
    move(gic, 1, 3);
    gic.msi(DEV, 0, 1);
    expect([gic.take(0), gic.take(1), unpredictable(events)]).toEqual([1023, DOORBELL_LPI + 1, []]);
  });

  it('a list that is not where the vPE is mapped, or a number that another move has, is unpredictable [gic H-21]', () => {
    const gic = listed();
    const events = gic.host.trace.record();
    move(gic, 0, 1);
    move(gic, 1, 4);
    move(gic, 0, 3, 9);
    move(gic, 1, 2, 9);
    expect(unpredictable(events)).toEqual([
      'VMOVP of vpe 0 with a list that has its 1 wrong',
      'VMOVP of vpe 0 on its 1, which is not in its list',
      'VMOVP of vpe 0 with sequence number 9, which another move has',
      'VMOVP of vpe 0 with a list that has its 0 wrong',
    ]);
  });

  it('GITS_TYPER.VMOVP and GITS_CTLR.ITS_Number say how it is done', () => {
    const gic = listed();
    expect(gic.host.memory.read32(gic.gic.its[2]!.base + 12) & 0x20).toBe(0);
    expect((gic.host.memory.read32(gic.gic.its[2]!.base) >>> 4) & 0xf).toBe(2);
    const once = virtual();
    expect(once.host.memory.read32(once.gic.its[0]!.base + 12) & 0x20).toBe(0x20);
  });
});

describe('vSGIs', () => {
  it('VSGI configures or clears, GITS_SGIR sets, VSGIPENDR answers [gic H-23]', () => {
    const gic = virtual({ choices: { busyReads: 1 } });
    gic.post((to) => encode.vsgi(to, 0, 7, SGI7, false));
    sgir(gic, 0, 7);
    sgir(gic, 0, 3);
    gic.host.memory.write32(gic.gic.redistributorBase[0]! + GICR.VSGIR, 0);
    expect([gic.rd32(0, GICR.VSGIPENDR), gic.rd32(0, GICR.VSGIPENDR)]).toEqual([VALID, 0x88]);
    // Clear=1 ignores the configuration that comes with it.
    gic.post((to) => encode.vsgi(to, 0, 3, { enabled: true, group1: true, priority: 0 }, true));
    gic.resident(0, 0);
    expect([gic.vtake(0), gic.vtake(0)]).toEqual([7, 1023]);
    sgir(gic, 0, 3);
    expect(gic.vtake(0)).toBe(1023);
    gic.post((to) => encode.vsgi(to, 0, 3, SGI7, false));
    expect(gic.vtake(0)).toBe(3);
  });

  it('one that is disabled, or of Group 0, is no candidate [gic H-23]', () => {
    const gic = virtual();
    gic.resident(0, 0);
    gic.post((to) => encode.vsgi(to, 0, 4, { ...SGI7, enabled: false }, false), (to) => encode.vsgi(to, 0, 5, { ...SGI7, group1: false }, false));
    sgir(gic, 0, 4);
    sgir(gic, 0, 5);
    expect(gic.vtake(0)).toBe(1023);
  });

  it('a query on a redistributor where the vPE is not mapped is unpredictable [gic H-23]', () => {
    const gic = virtual();
    const events = gic.host.trace.record();
    gic.host.memory.write32(gic.gic.redistributorBase[1]! + GICR.VSGIR, 0);
    expect(unpredictable(events)).toEqual(['VSGIR of vpe 0 on 1, where it is not mapped']);
  });
});

describe('INVLPIR and INVALLR with V=1', () => {
  it('act on the vPE, at the redistributor where it is [gic H-26]', () => {
    const gic = virtual();
    gic.resident(0, 0);
    gic.msi(DEV, 0);
    gic.vproperty(8192, 0xa0);
    const events = gic.host.trace.record();
    gic.rd64(1, GICR.INVLPIR, 8192, VALID);
    expect([gic.gic.redistributors[0]!.bestVlpi.intid, unpredictable(events)]).toEqual([8192, ['invalidation for vpe 0 on 1, where it is not mapped']]);
    gic.rd64(0, GICR.INVLPIR, 8192, VALID);
    expect(gic.vtake(0)).toBe(1023);
    gic.vproperty(8192, 0xa1);
    gic.rd64(0, GICR.INVALLR, 0, VALID);
    expect(gic.vtake(0)).toBe(8192);
  });

  it('are there on every GICv4.1, which has RVPEID, whatever GICR_CTLR.IR says [H2]', () => {
    for (const init of [{ preset: 'qemu' }, { choices: { invalidateRegisters: false, busyReads: 1 } }] as const) {
      const gic = virtual(init);
      const events = gic.host.trace.record('fault');
      gic.vproperty(8192, 0xa0);
      gic.resident(0, 0);
      gic.msi(DEV, 0);
      gic.vproperty(8192, 0xa1);
      gic.rd64(0, GICR.INVLPIR, 8192, VALID);
      while (gic.rd32(0, GICR.SYNCR) === 1);
      expect([gic.rd32(0, GICR.CTLR) & 4, gic.rd32(0, GICR.TYPER) & 0x88, gic.vtake(0), ids(events)]).toEqual([0, 0x80, 8192, []]);
    }
    const without = virtual({ version: 'gicv4', choices: { invalidateRegisters: false } });
    const events = without.host.trace.record('fault');
    without.rd64(0, GICR.INVALLR, 0, 0);
    expect(ids(events)).toEqual(['gic/access-ignored']);
  });
});
