/** What chips chose otherwise than the preset `arm`: docs/gic.md says which. */
import { Host, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, Gic, GICR, GITS, implementationChoices, ItsDriver, type ImplementationChoices } from '../src/index.ts';
import { AT, BareGic, VALID } from './bare-gic.ts';
import { made } from './machine.ts';

/** Redistributors above 4 GiB: their addresses need both halves of a command's word. */
const REDISTRIBUTORS = 0x12_0000_0000;

function driven(choices: Partial<ImplementationChoices>): { host: Host; gic: Gic; driver: ItsDriver; events: readonly TraceEvent[] } {
  const host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
  const events = host.trace.record();
  const gic = new Gic(host, { version: 'gicv4.1', cpus: 2, its: [0x1000_0000], redistributors: REDISTRIBUTORS, preset: 'strict', choices });
  return { host, gic, events, driver: new ItsDriver(host, gic) };
}

/** RDbase of the commands of a name. */
function targets(events: readonly TraceEvent[], wanted: string): bigint[] {
  return events.flatMap(({ id, fields }) => {
    if (id !== 'gic/command') return [];
    const { name, words } = fields as { name: string; words: bigint[] };
    return name === wanted ? [(words[2]! >> 16n) & 0xf_ffff_ffffn] : [];
  });
}

describe('GICR_CTLR.EnableLPIs that cannot be cleared', () => {
  it('stays 1 until a reset, without CES; LPIs go on', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { clearableLpis: false } });
    gic.mapDevice(1);
    gic.post((to) => encode.mapti(to, 1, 0, 8200, 0));
    const ctlr = gic.gic.redistributorBase[0]!;
    expect(gic.rd32(0, GICR.CTLR)).toBe(5);
    gic.host.memory.write32(ctlr, 0);
    expect(gic.rd32(0, GICR.CTLR)).toBe(5);
    gic.msi(1, 0);
    expect(gic.take(0)).toBe(8200);
    gic.rd64(0, GICR.PENDBASER, AT.PENDING + 0x4_0000, 0);
    expect(gic.rd32(0, GICR.PENDBASER)).toBe(AT.PENDING);
    gic.gic.reset();
    expect(gic.rd32(0, GICR.CTLR)).toBe(4);
  });
});

describe('GITS_TYPER.PTA', () => {
  it('makes the driver send addresses, and the ITS find redistributors by them: collections, vPEs, SYNC', () => {
    const { host, gic, driver, events } = driven({ physicalTargets: true, directLpi: true });
    expect(host.memory.read32(gic.its[0]!.base + GITS.TYPER) & 0x8_0000).toBe(0x8_0000);
    const places = gic.redistributorBase.map((base) => BigInt(base) >> 16n);
    expect(targets(events, 'MAPC')).toEqual(places);
    const [irq] = driver.allocate(8, 1, true);
    let taken = 0;
    irq!.setHandler(() => (taken += 1));
    irq!.setAffinity(1);
    expect(targets(events, 'SYNC').every((target) => places.includes(target))).toBe(true);
    host.memory.write32(irq!.message.address, irq!.message.data, 8);
    expect(taken).toBe(1);
    const vm = made(driver.createVm(1));
    const [vpe] = vm.vpes;
    vpe!.requestDoorbell();
    vpe!.setAffinity(1);
    expect([targets(events, 'VMAPP')[0], targets(events, 'VMOVP')[0]]).toEqual(places);
    irq!.mapVlpi({ vpe: vpe!, vintid: 8192, properties: 0xa3, doorbell: true });
    vpe!.makeResident(false, true);
    host.memory.write32(irq!.message.address, irq!.message.data, 8);
    expect(gic.redistributors[1]!.bestVlpi.intid).toBe(8192);
    expect(events.filter(({ id }) => id === 'gic/unpredictable' || id === 'gic/command-ignored')).toEqual([]);
  });

  it('an address at which there is no redistributor is refused', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { physicalTargets: true } });
    const events = gic.host.trace.record('fault');
    const [base] = gic.gic.redistributorBase;
    gic.post((to) => encode.mapc(to, 0, 0, true));
    gic.post((to) => encode.mapc(to, 0, (base! + 0x1_0000) / 0x1_0000, true));
    expect(events.map(({ text }) => text)).toEqual(['its 0: MAPC ignored: no such redistributor', 'its 0: MAPC ignored: no such redistributor']);
    gic.post((to) => encode.mapc(to, 0, base! / 0x1_0000, true));
    expect(events).toHaveLength(2);
  });

  it('MOVALL names both by their addresses', () => {
    const gic = new BareGic({ version: 'gicv3', choices: { physicalTargets: true } });
    const [zero, one] = gic.gic.redistributorBase.map((base) => base / 0x1_0000);
    gic.gic.redistributors[0]!.lpis.deliver(8200);
    gic.post((to) => encode.movall(to, zero!, one!));
    expect([gic.pending(0, 8200), gic.pending(1, 8200)]).toEqual([false, true]);
  });
});

describe('DirectLPI with RVPEID', () => {
  it('has SETLPIR and CLRLPIR beside INVLPIR, and both bits in GICR_TYPER', () => {
    const gic = new BareGic({ version: 'gicv4.1', choices: { directLpi: true, invalidateRegisters: false } });
    expect(gic.rd32(0, GICR.TYPER) & 0x88).toBe(0x88);
    gic.rd64(0, GICR.SETLPIR, 8300, 0);
    expect(gic.pending(0, 8300)).toBe(true);
    gic.rd64(0, GICR.CLRLPIR, 8300, 0);
    expect(gic.pending(0, 8300)).toBe(false);
  });
});

describe('the preset gic-600', () => {
  it('has one-way EnableLPIs, and no invalidation registers', () => {
    expect(implementationChoices('gic-600')).toEqual({ ...implementationChoices('arm'), preset: 'gic-600', clearableLpis: false, invalidateRegisters: false });
    const gic = new BareGic({ version: 'gicv3', preset: 'gic-600' });
    expect([gic.rd32(0, GICR.CTLR), gic.rd32(0, GICR.TYPER) & 8]).toEqual([1, 0]);
    const events = gic.host.trace.record('fault');
    gic.rd64(0, GICR.INVALLR, 0, VALID);
    expect(events.map(({ id }) => id)).toEqual(['gic/access-ignored']);
  });
});
