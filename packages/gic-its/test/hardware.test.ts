/** Physical LPIs: what the architecture says of tables, commands, registers and the CPU interface. */
import { describe, expect, it } from 'vitest';
import { encode, GICR, GITS, OPCODE } from '../src/index.ts';
import { AT, BareGic, ids, unpredictable } from './bare-gic.ts';

const DEV = 2;

/** Device 2, event n is LPI 8192 + n on CPU n % 2. */
function physical(init: ConstructorParameters<typeof BareGic>[0] = {}, events = 4): BareGic {
  const gic = new BareGic({ version: 'gicv3', ...init });
  gic.mapDevice(DEV);
  for (let n = 0; n < events; n += 1) gic.post((to) => encode.mapti(to, DEV, n, 8192 + n, n % 2), (to) => encode.sync(to, n % 2));
  return gic;
}

const inv = (event: number) => (to: Uint32Array): void => encode.event(to, OPCODE.INV, DEV, event);

describe('LPIs', () => {
  it('have no active state: IAR clears pending, EOI drops the priority [gic H-1]', () => {
    const gic = physical();
    const cpu = gic.gic.cpu(0);
    gic.msi(DEV, 0);
    expect(cpu.acknowledge()).toBe(8192);
    expect([gic.pending(0, 8192), cpu.read('ICC_RPR_EL1')]).toEqual([false, 0xa0n]);
    gic.msi(DEV, 0);
    expect([gic.pending(0, 8192), cpu.acknowledge()]).toEqual([true, 1023]);
    cpu.endOfInterrupt(8192);
    expect([cpu.read('ICC_RPR_EL1'), cpu.acknowledge()]).toEqual([0xffn, 8192]);
  });

  it('EnableLPIs reads the tables; the bases are read-only while it is 1 [gic H-2]', () => {
    const gic = physical();
    const events = gic.host.trace.record();
    gic.rd64(0, GICR.PROPBASER, 0x8000_000f, 0);
    expect(gic.rd32(0, GICR.PROPBASER)).toBe(AT.PROPERTIES + 15);
    expect(unpredictable(events)).toContain('PROPBASER written while EnableLPIs is 1');
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 0);
    gic.host.memory.write8(AT.PENDING + 0x400, 2);
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 1);
    expect(gic.take(0)).toBe(8193);
  });

  it('EnableLPIs cleared writes pending bits back, and PTZ takes the table to be zero [gic H-2]', () => {
    const gic = physical();
    gic.msi(DEV, 0);
    expect(gic.host.memory.read8(AT.PENDING + 0x400)).toBe(0);
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 0);
    expect(gic.host.memory.read8(AT.PENDING + 0x400)).toBe(1);
    gic.rd64(0, GICR.PENDBASER, AT.PENDING, 0x4000_0000);
    expect(gic.rd32(0, GICR.PENDBASER + 4)).toBe(0);
    gic.host.memory.write32(gic.gic.redistributorBase[0]!, 1);
    expect(gic.take(0)).toBe(1023);
  });

  it('configuration is held until an invalidation; without caches it is not [gic H-3]', () => {
    for (const cacheLpis of [true, false]) {
      const gic = physical({ choices: { cacheLpis } });
      gic.msi(DEV, 0);
      expect(gic.take(0)).toBe(8192);
      gic.property(8192, 0xa0);
      gic.msi(DEV, 0);
      expect(gic.take(0)).toBe(cacheLpis ? 8192 : 1023);
      gic.post(inv(0), (to) => encode.sync(to, 0));
      gic.msi(DEV, 0);
      expect(gic.take(0)).toBe(1023);
    }
  });

  it('an INV without its SYNC may leave the old configuration [gic H-10]', () => {
    const gic = physical({ choices: { completion: 'sync' } });
    gic.msi(DEV, 0);
    gic.take(0);
    gic.property(8192, 0xa0);
    gic.post(inv(0));
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8192);
    gic.sync(1);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8192);
    gic.sync(0);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
  });

  it('a MOVI without its SYNC may send MSIs to the old target [gic H-10]', () => {
    for (const synchronised of [0, 1]) {
      const gic = physical({ choices: { completion: 'sync' } });
      gic.msi(DEV, 0);
      gic.take(0);
      gic.post((to) => encode.movi(to, DEV, 0, 1));
      gic.msi(DEV, 0);
      expect([gic.take(0), gic.take(1)]).toEqual([8192, 1023]);
      gic.sync(synchronised);
      gic.msi(DEV, 0);
      expect([gic.take(0), gic.take(1)]).toEqual([1023, 8192]);
    }
  });

  it('INVALL reads the configuration of a collection again [gic H-3]', () => {
    const gic = physical();
    for (const event of [0, 1]) gic.msi(DEV, event);
    for (const lpi of [8192, 8193]) gic.property(lpi, 0xa0);
    gic.post((to) => encode.invall(to, 0), (to) => encode.sync(to, 0));
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 8193]);
  });

  it('pending but disabled stays pending, and is delivered when it is enabled and invalidated [gic H-4]', () => {
    const gic = physical();
    gic.property(8192, 0xa0);
    gic.msi(DEV, 0);
    expect([gic.take(0), gic.pending(0, 8192)]).toEqual([1023, true]);
    gic.property(8192, 0xa1);
    gic.post(inv(0), (to) => encode.sync(to, 0));
    expect(gic.take(0)).toBe(8192);
  });

  it('MOVI moves pending state, MOVALL all of it but no collection, DISCARD drops it, CLEAR clears it [gic H-5]', () => {
    const gic = physical();
    gic.msi(DEV, 0);
    gic.post((to) => encode.movi(to, DEV, 0, 1), (to) => encode.sync(to, 1));
    expect([gic.pending(0, 8192), gic.pending(1, 8192)]).toEqual([false, true]);
    gic.msi(DEV, 1);
    gic.post((to) => encode.movall(to, 1, 0), (to) => encode.sync(to, 0));
    expect([gic.take(0), gic.take(0), gic.take(1)]).toEqual([8192, 8193, 1023]);
    gic.msi(DEV, 1);
    expect(gic.take(1)).toBe(8193);
    gic.msi(DEV, 2);
    gic.post((to) => encode.event(to, OPCODE.CLEAR, DEV, 2));
    expect(gic.pending(0, 8194)).toBe(false);
    gic.msi(DEV, 2);
    gic.post((to) => encode.event(to, OPCODE.DISCARD, DEV, 2), (to) => encode.sync(to, 0));
    gic.msi(DEV, 2);
    expect(gic.pending(0, 8194)).toBe(false);
  });

  it('MAPTI of a mapped event is unpredictable: strict says so [gic H-6]', () => {
    const gic = physical({ preset: 'strict' });
    const events = gic.host.trace.record();
    gic.post((to) => encode.mapti(to, DEV, 0, 8199, 0), (to) => encode.sync(to, 0));
    expect(unpredictable(events)).toEqual(['device 2 event 0 mapped, which is mapped']);
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(8199);
  });

  it('an MSI of an unmapped device, event or collection, or to a disabled ITS, is dropped [gic H-7]', () => {
    const gic = physical();
    gic.post((to) => encode.mapti(to, DEV, 9, 8201, 9));
    const events = gic.host.trace.record();
    gic.msi(7, 0);
    gic.msi(DEV, 31);
    gic.msi(DEV, 32);
    gic.msi(DEV, 9);
    gic.host.memory.write32(gic.gic.its[0]!.base, 0);
    gic.msi(DEV, 0);
    expect(events.filter(({ id }) => id === 'gic/msi-dropped').map(({ text }) => text.split(': ').at(-1))).toEqual([
      'device not mapped',
      'event not mapped',
      'event id out of range',
      'collection not mapped',
      'its disabled',
    ]);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 1023]);
  });

  it('MAPD with V=0 takes the translations of its device, kept ones too [gic H-5]', () => {
    const gic = physical();
    gic.msi(DEV, 0);
    gic.take(0);
    gic.post((to) => encode.mapd(to, DEV, 0, 0, false));
    gic.msi(DEV, 0);
    expect(gic.take(0)).toBe(1023);
  });

  it('MAPC retargets a collection, kept translations too', () => {
    const gic = physical();
    gic.msi(DEV, 0);
    gic.take(0);
    gic.post((to) => encode.mapc(to, 0, 1, true), (to) => encode.sync(to, 1));
    gic.msi(DEV, 0);
    expect([gic.take(0), gic.take(1)]).toEqual([1023, 8192]);
  });
});

describe('the command queue', () => {
  it('MAPTI stalls where the ITT is not in RAM, also where commands that fail are skipped', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { commandErrors: 'skip' } });
    gic.post((to) => encode.mapd(to, 3, 4, 0x10_0000_0000, true));
    gic.post((to) => encode.mapti(to, 3, 0, 8192, 0));
    expect(gic.host.memory.read32(gic.gic.its[0]!.base + GITS.CREADR) & 1).toBe(1);
  });

  it('moves past a command that fails, or stalls on it, by choice [gic H-8]', () => {
    for (const commandErrors of ['skip', 'stall'] as const) {
      const gic = physical({ choices: { commandErrors } });
      gic.post((to) => encode.event(to, OPCODE.INT, 99, 0), (to) => encode.event(to, OPCODE.INT, DEV, 0));
      const creadr = gic.host.memory.read32(gic.gic.its[0]!.base + GITS.CREADR);
      expect([creadr & 1, gic.take(0)]).toEqual(commandErrors === 'stall' ? [1, 1023] : [0, 8192]);
    }
  });

  it('stops at a CWRITER beyond its end [gic H-8]', () => {
    const gic = physical();
    const events = gic.host.trace.record();
    gic.host.memory.write64(gic.gic.its[0]!.base + GITS.CWRITER, 0x1000, 0);
    expect(unpredictable(events)).toEqual(['CWRITER or CREADR is beyond the end of the queue']);
  });

  it('CBASER and BASERs cannot be written while enabled; a write of CBASER clears CREADR [gic H-9]', () => {
    const gic = physical();
    const { base } = gic.gic.its[0]!;
    const events = gic.host.trace.record();
    gic.host.memory.write64(base + GITS.CBASER, 0, 0);
    gic.host.memory.write64(base + GITS.BASER, 0, 0);
    expect(gic.host.memory.read32(base + GITS.CBASER + 4)).toBe(0x8000_0000);
    expect(unpredictable(events).length).toBe(4);
    gic.host.memory.write32(base, 0);
    gic.host.memory.write64(base + GITS.CBASER, AT.QUEUE, 0x8000_0000);
    expect(gic.host.memory.read32(base + GITS.CREADR)).toBe(0);
  });

  it('strict: an ITS enabled without tables is unpredictable [gic H-9]', () => {
    const gic = new BareGic({ version: 'gicv3', preset: 'strict' });
    const { base } = gic.gic.its[0]!;
    gic.host.memory.write32(base, 0);
    gic.host.memory.write64(base + GITS.CBASER, 0, 0);
    gic.host.memory.write64(base + GITS.BASER + 8, 0, 0);
    const events = gic.host.trace.record();
    gic.host.memory.write32(base, 1);
    expect(unpredictable(events)).toEqual(['its 0 enabled without CBASER', 'its 0 enabled without BASER1', 'CWRITER moved without a valid CBASER']);
  });
});

describe('invalidation and DirectLPI registers', () => {
  it('INVLPIR and INVALLR with V=0 act on physical LPIs; they are complete when SYNCR reads 0 [gic H-26]', () => {
    for (const [register, low] of [
      [GICR.INVLPIR, 8192],
      [GICR.INVALLR, 0],
    ] as const) {
      const gic = physical({ choices: { busyReads: 2 } });
      gic.msi(DEV, 0);
      gic.property(8192, 0xa0);
      gic.rd64(0, register, low, 0);
      expect([gic.rd32(0, GICR.SYNCR), gic.rd32(0, GICR.SYNCR)]).toEqual([1, 1]);
      expect(gic.gic.redistributors[0]!.best.intid).toBe(8192);
      expect(gic.rd32(0, GICR.SYNCR)).toBe(0);
      expect(gic.take(0)).toBe(1023);
    }
  });

  it('SETLPIR and CLRLPIR work with DirectLPI alone, on physical LPIs alone [gic H-27]', () => {
    const gic = physical({ choices: { directLpi: true } });
    gic.rd64(0, GICR.SETLPIR, 8300, 0);
    expect([gic.pending(0, 8300), gic.rd32(0, GICR.TYPER) & 8]).toEqual([true, 8]);
    gic.rd64(0, GICR.CLRLPIR, 8300, 0);
    expect(gic.pending(0, 8300)).toBe(false);
    const without = physical();
    without.rd64(0, GICR.SETLPIR, 8300, 0);
    expect([without.pending(0, 8300), without.rd32(0, GICR.TYPER) & 8]).toEqual([false, 0]);
  });
});

describe('priorities at the CPU interface', () => {
  it('the best priority goes first, equal ones by INTID, and only a better group preempts [gic H-28]', () => {
    const gic = physical({}, 8);
    gic.property(8196, 0x81);
    gic.property(8194, 0x91);
    for (const event of [6, 2, 0, 4]) gic.msi(DEV, event);
    const cpu = gic.gic.cpu(0);
    expect([cpu.acknowledge(), cpu.acknowledge()]).toEqual([8196, 1023]);
    cpu.endOfInterrupt(8196);
    expect([gic.take(0), gic.take(0), gic.take(0)]).toEqual([8194, 8192, 8198]);
  });

  it('BPR1 groups priorities that do not preempt; CBPR makes it follow BPR0', () => {
    const gic = physical();
    const cpu = gic.gic.cpu(0);
    gic.property(8194, 0x81);
    cpu.write('ICC_BPR1_EL1', 7n);
    gic.msi(DEV, 0);
    expect(cpu.acknowledge()).toBe(8192);
    gic.msi(DEV, 2);
    expect(cpu.acknowledge()).toBe(1023);
    cpu.write('ICC_BPR0_EL1', 3n);
    cpu.write('ICC_CTLR_EL1', 1n);
    expect([cpu.read('ICC_BPR1_EL1'), cpu.read('ICC_RPR_EL1')]).toEqual([4n, 0x80n]);
    cpu.endOfInterrupt(8192);
    expect(cpu.acknowledge()).toBe(8194);
  });

  it('priorityBits says how many bits there are', () => {
    const cpu = physical({ choices: { priorityBits: 4 } }).gic.cpu(0);
    cpu.write('ICC_PMR_EL1', 0xffn);
    cpu.write('ICC_BPR1_EL1', 0n);
    expect([cpu.read('ICC_PMR_EL1'), cpu.read('ICC_BPR1_EL1'), (cpu.read('ICC_CTLR_EL1') >> 8n) & 7n]).toEqual([0xf0n, 4n, 3n]);
  });

  it('EOImode splits drop and deactivation of an SGI; ICC_SGI1R_EL1 sends it', () => {
    const gic = physical();
    const cpu = gic.gic.cpu(1);
    const sgi = gic.gic.redistributorBase[1]! + 0x1_0000;
    gic.host.memory.write32(sgi + 0x80, 0xffff_ffff);
    gic.host.memory.write32(sgi + 0x100, 0xffff);
    cpu.write('ICC_CTLR_EL1', 2n);
    gic.gic.cpu(0).write('ICC_SGI1R_EL1', (5n << 24n) | 2n);
    expect(cpu.acknowledge()).toBe(5);
    gic.gic.cpu(0).write('ICC_SGI1R_EL1', (5n << 24n) | (1n << 40n));
    cpu.endOfInterrupt(5);
    expect([cpu.read('ICC_RPR_EL1'), cpu.acknowledge()]).toEqual([0xffn, 1023]);
    cpu.write('ICC_DIR_EL1', 5n);
    expect(cpu.acknowledge()).toBe(5);
    expect(gic.gic.cpu(0).acknowledge()).toBe(1023);
  });

  it('an SGI goes before an LPI of the same priority [gic H-28]', () => {
    const gic = physical();
    const sgi = gic.gic.redistributorBase[0]! + 0x1_0000;
    gic.host.memory.write32(sgi + 0x80, 0xffff_ffff);
    gic.host.memory.write32(sgi + 0x100, 0xffff);
    gic.host.memory.write8(sgi + 0x405, 0xa0);
    gic.msi(DEV, 0);
    gic.gic.cpu(0).write('ICC_SGI1R_EL1', (5n << 24n) | 1n);
    expect([gic.take(0), gic.take(0)]).toEqual([5, 8192]);
  });

  it('a list register with HW deactivates the physical interrupt', () => {
    const gic = physical();
    const port = gic.gic.cpu(0);
    const sgi = gic.gic.redistributorBase[0]! + 0x1_0000;
    gic.host.memory.write32(sgi + 0x80, 0xffff_ffff);
    gic.host.memory.write32(sgi + 0x100, 1 << 27);
    port.write('ICC_CTLR_EL1', 2n);
    gic.gic.redistributors[0]!.setPpi(27, true);
    expect(port.acknowledge()).toBe(27);
    port.endOfInterrupt(27);
    port.virtual.setList(0, 27, 0x7080_001b);
    expect(port.virtual.read('ICH_ELRSR_EL2')).toBe(0xen);
    expect(gic.vtake(0)).toBe(27);
    expect([port.virtual.read('ICH_ELRSR_EL2'), port.acknowledge()]).toEqual([0xfn, 27]);
  });
});

describe('what a GIC is made of', () => {
  it('a command without effect leaves an event, and so does an ignored access', () => {
    const gic = physical();
    const events = gic.host.trace.record();
    gic.post((to) => encode.movi(to, DEV, 0, 9));
    gic.host.memory.write32(gic.gic.its[0]!.base + 0x40, 1);
    expect(ids(events)).toEqual(['gic/command', 'gic/command-ignored', 'gic/access-ignored']);
  });

  it('GICv4 has at most 16 ITSs', () => {
    expect(() => new BareGic({ version: 'gicv4', itss: 17 })).toThrow(RangeError);
  });
});
