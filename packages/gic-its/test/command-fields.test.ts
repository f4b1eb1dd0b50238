/** ITS commands as 64-bit words: which bits of them count. Every RES0 bit is set where the architecture has one. */
import { describe, expect, it } from 'vitest';
import { highHalf, lowHalf } from '@vsim/vfio-core';
import { AT, BareGic, DOORBELL, DOORBELL_LPI, ids, type BareGicInit } from './bare-gic.ts';

const DEV = 2n;
const VALID = 1n << 63n;

/** Posts one command, given by its doublewords. */
function post(gic: BareGic, ...words: readonly bigint[]): void {
  gic.post((to) => {
    for (let i = 0; i < 4; i += 1) {
      to[2 * i] = lowHalf(words[i] ?? 0n);
      to[2 * i + 1] = highHalf(words[i] ?? 0n);
    }
  });
}

const JUNK0 = 0xffff_ff00n; //                  DW0[31:8]
const JUNK1 = 0xffff_ffff_0000_0000n; //        DW1[63:32]
const ITT = BigInt(AT.ITT);

/** Device 2 with 32 events; events 0 and 1 are LPIs 8192 and 8193 on CPU 0. */
function physical(init: BareGicInit = {}): BareGic {
  const gic = new BareGic({ version: 'gicv3', ...init });
  post(gic, (DEV << 32n) | JUNK0 | 0x08n, JUNK1 | 0xffff_ffe4n, VALID | (0x7ffn << 52n) | ITT | 0xffn);
  for (const event of [0n, 1n]) post(gic, (DEV << 32n) | JUNK0 | 0x0an, ((8192n + event) << 32n) | event, ~0xffffn & ((1n << 64n) - 1n));
  return gic;
}

/** vPEs 5 and 6 on CPU 0; device 2, event 0 is VLPI 8200 of vPE 5. */
function virtual(init: BareGicInit = {}): BareGic {
  const gic = new BareGic(init);
  for (const vpeid of [5, 6]) gic.post(gic.vmapp(vpeid));
  gic.mapDevice(Number(DEV));
  post(gic, (DEV << 32n) | JUNK0 | 0x2an, (5n << 32n) | (0xffffn << 48n), (1023n << 32n) | 8200n);
  return gic;
}

describe('physical commands', () => {
  it('MAPD: DevID, Size, ITT address, V [gic 3.5/5]', () => {
    const gic = physical();
    gic.msi(2, 0);
    expect(gic.take(0)).toBe(8192);
    // Size 4: 32 events, ITT_addr is bits [51:8].
    post(gic, (DEV << 32n) | 0x0an, (8199n << 32n) | 31n, 0n);
    gic.msi(2, 31);
    expect([gic.take(0), gic.host.memory.read32(AT.ITT + 31 * 12) >>> 2]).toEqual([8199, 8199]);
    const events = gic.host.trace.record();
    post(gic, (DEV << 32n) | 0x0an, (8198n << 32n) | 32n, 0n);
    expect(ids(events)).toContain('gic/command-ignored');
    post(gic, (DEV << 32n) | 0x08n, 4n, ITT);
    gic.msi(2, 0);
    expect(gic.take(0)).toBe(1023);
  });

  it('MAPC: ICID, RDbase as a processor number, V [gic 3.5/6]', () => {
    const gic = physical();
    post(gic, JUNK0 | 0x09n, ~0n & ((1n << 64n) - 1n), VALID | (0x7ffn << 52n) | (1n << 16n));
    gic.msi(2, 0);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 8192]);
    post(gic, 0x09n, 0n, 0n);
    gic.msi(2, 0);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 1023]);
  });

  it('MAPTI: the LPI is DW1[63:32], the collection DW2[15:0]; MAPI: the LPI is the EventID [gic 3.5/7] [gic 3.5/8]', () => {
    const gic = physical();
    post(gic, (DEV << 32n) | JUNK0 | 0x0an, (8300n << 32n) | 7n, 0xffff_ffff_ffff_0001n);
    gic.msi(2, 7);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 8300]);
    post(gic, (3n << 32n) | 0x08n, 13n, VALID | (ITT + 0x1_0000n));
    post(gic, (3n << 32n) | JUNK0 | 0x0bn, (0xdeadn << 32n) | 8301n, 0xffff_ffff_ffff_0001n);
    gic.msi(3, 8301);
    expect(gic.take(1)).toBe(8301);
  });

  it('MOVI: DevID, EventID, ICID [gic 3.5/1]', () => {
    const gic = physical();
    post(gic, (DEV << 32n) | JUNK0 | 0x01n, JUNK1 | 1n, 0xffff_ffff_ffff_0001n);
    gic.msi(2, 0);
    gic.msi(2, 1);
    expect([gic.take(0), gic.take(0), gic.take(1)]).toEqual([8192, 1023, 8193]);
  });

  it('INT, CLEAR and DISCARD: DevID and EventID [gic 3.5/2] [gic 3.5/3] [gic 3.5/12]', () => {
    const gic = physical();
    post(gic, (DEV << 32n) | JUNK0 | 0x03n, JUNK1 | 1n, VALID);
    expect([gic.pending(0, 8192), gic.pending(0, 8193)]).toEqual([false, true]);
    post(gic, (DEV << 32n) | JUNK0 | 0x04n, JUNK1, VALID);
    expect(gic.pending(0, 8193)).toBe(true);
    post(gic, (DEV << 32n) | JUNK0 | 0x04n, JUNK1 | 1n, VALID);
    expect(gic.pending(0, 8193)).toBe(false);
    post(gic, (DEV << 32n) | JUNK0 | 0x0fn, JUNK1 | 1n, VALID);
    for (const event of [0, 1]) gic.msi(2, event);
    expect([gic.pending(0, 8192), gic.pending(0, 8193)]).toEqual([true, false]);
  });

  it('INV: DevID and EventID; INVALL: ICID [gic 3.5/9] [gic 3.5/10]', () => {
    const gic = physical();
    for (const event of [0, 1]) gic.msi(2, event);
    for (const lpi of [8192, 8193]) gic.property(lpi, 0xa0);
    post(gic, (DEV << 32n) | JUNK0 | 0x0cn, JUNK1 | 0n, VALID);
    expect(gic.take(0)).toBe(8193);
    gic.msi(2, 1);
    post(gic, JUNK0 | 0x0dn, 0n, 0xffff_ffff_ffff_0001n);
    expect(gic.take(0)).toBe(8193);
    gic.msi(2, 1);
    post(gic, JUNK0 | 0x0dn, 0n, 0xffff_ffff_ffff_0000n);
    expect(gic.take(0)).toBe(1023);
  });

  it('MOVALL: RDbase1 in DW2, RDbase2 in DW3 [gic 3.5/11]', () => {
    const gic = physical();
    gic.msi(2, 0);
    post(gic, JUNK0 | 0x0en, 0n, 0xfff0_0000_0000_ffffn, 0xfff0_0000_0001_ffffn);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 8192]);
  });

  it('SYNC: RDbase [gic 3.5/4]', () => {
    const gic = physical({ choices: { completion: 'sync' } });
    gic.sync(0);
    gic.msi(2, 0);
    gic.property(8192, 0xa0);
    post(gic, (DEV << 32n) | 0x0cn, 0n);
    for (const rdbase of [1n, 0n]) {
      post(gic, JUNK0 | 0x05n, 0n, 0xfff0_0000_0000_ffffn | (rdbase << 16n));
      expect(gic.gic.redistributors[0]!.best.intid).toBe(rdbase === 1n ? 8192 : 1023);
    }
  });
});

describe('virtual commands', () => {
  it('VMAPP of GICv4.1: vPEID, RDbase, V, VPT, Alloc, PTZ, configuration table, default doorbell [gic 3.5/17]', () => {
    const gic = new BareGic();
    gic.mapDevice(2);
    const vpt = AT.VPT + 5 * 0x1_0000;
    gic.host.memory.write8(vpt + 0x400, 2);
    post(
      gic,
      BigInt(AT.VPROPERTIES) | 0x129n,
      (5n << 32n) | BigInt(DOORBELL_LPI),
      VALID | (1n << 16n) | 0xffffn,
      BigInt(vpt) | 0xffe0n | 13n,
    );
    expect(gic.vpending(5, 8193)).toBe(true);
    // 14 bits of INTID.
    for (const [event, vintid] of [[0n, 16383n], [1n, 16384n]] as const) {
      post(gic, (DEV << 32n) | 0x2an, (5n << 32n) | event, (1023n << 32n) | vintid);
      gic.msi(2, Number(event));
    }
    expect([gic.vpending(5, 16383), gic.vpending(5, 16384)]).toEqual([true, false]);
    gic.resident(1, 5);
    expect([gic.vtake(1), gic.vtake(1), gic.vtake(1)]).toEqual([8193, 16383, 1023]);
    gic.deschedule(1, 5, DOORBELL);
    gic.msi(2, 0);
    expect(gic.take(1)).toBe(DOORBELL_LPI);
    post(gic, 0x129n, 5n << 32n);
    expect([gic.gic.vpe(5), gic.host.memory.read8(vpt + (16383 >> 3))]).toEqual([undefined, 0x80]);
    // PTZ: what is in the VPT is ignored.
    post(gic, BigInt(AT.VPROPERTIES) | 0x329n, 5n << 32n, VALID, BigInt(vpt) | 13n);
    expect(gic.vpending(5, 16383)).toBe(false);
  });

  it('VMAPP of GICv4.0 has no Alloc, PTZ, configuration table or doorbell [gic 3.5/17]', () => {
    const gic = new BareGic({ version: 'gicv4' });
    gic.mapDevice(2);
    post(gic, JUNK0 | 0x329n, (5n << 32n) | 9000n, VALID | (1n << 16n), BigInt(AT.VPT) | 15n);
    post(gic, (DEV << 32n) | 0x2an, 5n << 32n, (BigInt(DOORBELL_LPI) << 32n) | 8200n);
    gic.msi(2, 0);
    expect([gic.host.memory.read8(AT.VPT + 0x401), gic.take(1)]).toEqual([1, DOORBELL_LPI]);
  });

  it('VMAPTI: vPEID, vINTID, doorbell or 1023; VMAPI: the vINTID is the EventID [gic 3.5/18] [gic 3.5/19]', () => {
    const gic = virtual();
    gic.msi(2, 0);
    expect([gic.vpending(5, 8200), gic.vpending(6, 8200)]).toEqual([true, false]);
    post(gic, (3n << 32n) | 0x08n, 13n, VALID | (ITT + 0x1_0000n));
    post(gic, (3n << 32n) | JUNK0 | 0x2bn, (6n << 32n) | 8201n, (1023n << 32n) | 0xdead_beefn);
    gic.msi(3, 8201);
    expect(gic.vpending(6, 8201)).toBe(true);
    const v40 = virtual({ version: 'gicv4' });
    post(v40, (DEV << 32n) | 0x2an, (6n << 32n) | 1n, (BigInt(DOORBELL_LPI) << 32n) | 8202n);
    v40.msi(2, 0);
    expect(v40.take(0)).toBe(1023);
    v40.msi(2, 1);
    expect(v40.take(0)).toBe(DOORBELL_LPI);
  });

  it('VMOVI: vPEID, and a doorbell if D is 1 [gic 3.5/13]', () => {
    const gic = virtual({ version: 'gicv4' });
    post(gic, (DEV << 32n) | JUNK0 | 0x21n, 6n << 32n, (BigInt(DOORBELL_LPI) << 32n) | 0xffff_fffen);
    gic.msi(2, 0);
    expect([gic.host.memory.read8(AT.VPT + 6 * 0x1_0000 + 0x401), gic.take(0)]).toEqual([1, 1023]);
    post(gic, (DEV << 32n) | 0x21n, 5n << 32n, (BigInt(DOORBELL_LPI) << 32n) | 1n);
    post(gic, (DEV << 32n) | 0x04n);
    gic.msi(2, 0);
    expect([gic.host.memory.read8(AT.VPT + 5 * 0x1_0000 + 0x401), gic.take(0)]).toEqual([1, DOORBELL_LPI]);
  });

  it('VMOVP: SeqNum, ITSList, vPEID, RDbase; of GICv4.1 DB and the default doorbell [gic 3.5/14]', () => {
    const gic = virtual();
    post(gic, (7n << 32n) | JUNK0 | 0x22n, (5n << 32n) | 0n, VALID | (0x7ffn << 52n) | (1n << 16n) | 0xffffn, BigInt(DOORBELL_LPI + 20));
    gic.resident(1, 5);
    gic.deschedule(1, 5, DOORBELL);
    gic.msi(2, 0);
    expect([gic.take(1), gic.take(0)]).toEqual([DOORBELL_LPI + 20, 1023]);
    // DB 0: the doorbell stays what it was.
    post(gic, 0x22n, 5n << 32n, 0n, BigInt(DOORBELL_LPI + 30));
    gic.resident(0, 5);
    gic.vtake(0);
    gic.deschedule(0, 5, DOORBELL);
    gic.msi(2, 0);
    expect(gic.take(0)).toBe(DOORBELL_LPI + 20);
    const listed = new BareGic({ version: 'gicv4', itss: 2, choices: { vmovpOnce: false } });
    for (const its of [0, 1]) listed.on(its, listed.vmapp(5));
    const events = listed.host.trace.record();
    for (const its of [0, 1]) {
      listed.on(its, (to) => to.set([0x22, 0xffff_0007, 0xffff_0003, 5, 0x1_0000, 0, 0, 0]));
    }
    expect(ids(events)).toEqual(['gic/command', 'gic/command']);
  });

  it('VSYNC, VINVALL and INVDB: vPEID [gic 3.5/16] [gic 3.5/20] [gic 3.5/21]', () => {
    const gic = virtual({ choices: { completion: 'sync' } });
    post(gic, 0x25n, 5n << 32n);
    gic.resident(0, 5);
    gic.msi(2, 0);
    const best = (): number => gic.gic.redistributors[0]!.bestVlpi.intid;
    gic.vproperty(8200, 0xa0);
    post(gic, JUNK0 | 0x2dn, (0xffffn << 48n) | (5n << 32n) | 0xffff_ffffn, VALID);
    post(gic, JUNK0 | 0x25n, 6n << 32n);
    expect(best()).toBe(8200);
    post(gic, JUNK0 | 0x25n, (0xffffn << 48n) | (5n << 32n) | 0xffff_ffffn, VALID);
    expect(best()).toBe(1023);
    gic.property(DOORBELL_LPI + 5, 0xa0);
    gic.vproperty(8200, 0xa1);
    gic.deschedule(0, 5, DOORBELL);
    post(gic, 0x2dn, 5n << 32n);
    post(gic, 0x25n, 5n << 32n);
    gic.property(DOORBELL_LPI + 5, 0xa1);
    for (const vpeid of [6n, 5n]) {
      post(gic, JUNK0 | 0x2en, (0xffffn << 48n) | (vpeid << 32n) | 0xffff_ffffn, VALID);
      post(gic, 0x25n, vpeid << 32n);
      expect(gic.take(0)).toBe(vpeid === 6n ? 1023 : DOORBELL_LPI + 5);
    }
  });

  it('VSGI: Enable, Clear, Group, Priority, vINTID, vPEID [gic 3.5/15]', () => {
    const gic = virtual();
    const sgir = (sgi: number): void => gic.host.memory.write64(gic.gic.its[0]!.base + 0x2_0020, 0xffff_fff0 + sgi, 0xffff_0005);
    post(gic, (7n << 32n) | (0xan << 20n) | 0x523n, 5n << 32n);
    post(gic, (8n << 32n) | (0x9n << 20n) | 0x523n, 5n << 32n);
    for (const sgi of [7, 8]) sgir(sgi);
    gic.resident(0, 5);
    expect([gic.vtake(0), gic.vtake(0), gic.vtake(0)]).toEqual([8, 7, 1023]);
    for (const sgi of [7, 8]) sgir(sgi);
    post(gic, (8n << 32n) | 0x223n, 5n << 32n); //                        Clear
    post(gic, (7n << 32n) | (0xan << 20n) | 0x423n, 5n << 32n); //         Enable is 0
    expect(gic.vtake(0)).toBe(1023);
    post(gic, (7n << 32n) | (0xan << 20n) | 0x123n, 5n << 32n); //         Group is 0
    expect(gic.vtake(0)).toBe(1023);
    post(gic, (7n << 32n) | (0xan << 20n) | 0x523n, 5n << 32n);
    expect(gic.vtake(0)).toBe(7);
  });

  it('a GICv4.0 has no INVDB and no VSGI [gic 3.5/21]', () => {
    const gic = virtual({ version: 'gicv4' });
    const events = gic.host.trace.record();
    post(gic, 0x2en, 5n << 32n);
    post(gic, 0x523n, 5n << 32n);
    expect(ids(events).filter((id) => id === 'gic/command-ignored')).toHaveLength(2);
  });
});

describe('the queue', () => {
  it('is a ring of (Size + 1) * 4 KiB, empty when CREADR is CWRITER: a slot is always unused [gic 3.6/4]', () => {
    const gic = physical();
    const { base } = gic.gic.its[0]!;
    const { memory } = gic.host;
    const write = (offset: number, lo: number, hi = 0): void => memory.write64(base + offset, lo, hi);
    memory.write32(base, 0);
    write(0x88, 0);
    write(0x80, AT.QUEUE + 1, 0x8000_0000);
    memory.writeBytes(AT.QUEUE, new Uint8Array(0x2000));
    for (let at = 0; at < 0x2000; at += 32) memory.write32(AT.QUEUE + at, 5); // SYNC
    memory.write32(base, 1);
    const events = gic.host.trace.record();
    write(0x88, 0x2000 - 32);
    expect([events.length, memory.read32(base + 0x90)]).toEqual([255, 0x1fe0]);
    write(0x88, 0x1fe0);
    expect(events).toHaveLength(255);
    write(0x88, 0);
    expect([events.length, memory.read32(base + 0x90)]).toEqual([256, 0]);
  });
});
