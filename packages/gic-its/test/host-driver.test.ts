/** The host's GIC driver: what it sends, in what order, and what it answers. */
import { Host, PAGE_SIZE, type PageRun, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { encode, Gic, GICR, GITS, ItsDriver, type GicPreset, type GicVersion, type ImplementationChoices, type ItsDriverInit, type ItsIrq, type ItsVm } from '../src/index.ts';
import { made } from './machine.ts';

interface Init extends ItsDriverInit {
  readonly itss?: number;
  readonly cpus?: number;
  readonly preset?: GicPreset;
  readonly choices?: Partial<ImplementationChoices>;
  readonly ram?: number;
}

class Driver {
  readonly host: Host;
  readonly gic: Gic;
  readonly driver: ItsDriver;

  constructor(version: GicVersion, { itss = 1, cpus = 2, preset = 'arm', choices = {}, ram = 0x400_0000, switches }: Init = {}) {
    this.host = new Host({ ram: [{ base: 0x8000_0000, size: ram }] });
    const its = Array.from({ length: itss }, (_, n) => 0x1000_0000 + n * 0x10_0000);
    this.gic = new Gic(this.host, { version, cpus, its, preset, choices });
    this.driver = new ItsDriver(this.host, this.gic, { switches });
  }

  irq(device = 0x10, its = 0): ItsIrq {
    const [irq] = this.driver.allocateOn(this.driver.nodes[its]!, device, 1, false);
    irq!.setHandler(() => undefined);
    return irq!;
  }

  vm(count: number): ItsVm {
    const vm = made(this.driver.createVm(count));
    for (const vpe of vm.vpes) vpe.requestDoorbell();
    return vm;
  }

  msi(irq: ItsIrq, device = 0x10): void {
    this.host.memory.write32(irq.message.address, irq.message.data, device);
  }

  /** Names of the commands that `act` sends, with the ITS if there are several. */
  commands(act: () => void): string[] {
    const events: TraceEvent[] = [];
    const stop = this.host.trace.listen((event) => events.push(event));
    act();
    stop();
    return events.filter(({ id }) => id === 'gic/command').map(({ fields }) => {
      const { name, its } = fields as { name: string; its: number };
      return this.gic.its.length === 1 ? name : `${its}:${name}`;
    });
  }

  words(act: () => void, wanted: string): readonly bigint[][] {
    const found: bigint[][] = [];
    const stop = this.host.trace.listen(({ id, fields }) => {
      const { name, words } = fields as { name: string; words: bigint[] };
      if (id === 'gic/command' && name === wanted) found.push(words);
    });
    act();
    stop();
    return found;
  }
}

const V40_LISTED: Init = { itss: 2, choices: { vmovpOnce: false } };
const vlpi = (vm: ItsVm, vintid = 8200) => ({ vpe: vm.vpes[0]!, vintid, properties: 0xa3, doorbell: true });

describe('probing', () => {
  it('VLPIs and GICv4.1 are read from the ITS, direct invalidation from the redistributors [gic D-1]', () => {
    const seen = (version: GicVersion, choices: Partial<ImplementationChoices> = {}): boolean[] => {
      const { driver } = new Driver(version, { choices });
      return [driver.nodes[0]!.isV4, driver.nodes[0]!.isV41, driver.directInvalidation];
    };
    expect(seen('gicv3')).toEqual([false, false, true]);
    expect(seen('gicv4', { invalidateRegisters: false })).toEqual([true, false, false]);
    expect(seen('gicv4', { invalidateRegisters: false, directLpi: true })).toEqual([true, false, true]);
    expect(seen('gicv4.1', { invalidateRegisters: false })).toEqual([true, true, true]);
  });

  it('the queue has 2048 commands and wraps; a stalled one is reported, not waited for [gic D-3] [gic G09]', () => {
    const machine = new Driver('gicv3');
    const irq = machine.irq();
    for (let i = 0; i < 2500; i += 1) irq.setPending(true);
    const { base } = machine.gic.its[0]!;
    expect([machine.host.memory.read32(base + GITS.CREADR), (machine.host.memory.read32(base + GITS.CBASER) & 0xff) + 1]).toEqual([
      machine.host.memory.read32(base + GITS.CWRITER),
      16,
    ]);
    const events = machine.host.trace.record();
    machine.host.memory.write32(base, 0);
    for (let i = 0; i < 1100; i += 1) irq.setPending(true);
    expect(new Set(events.map(({ id }) => id))).toEqual(new Set(['gic-host/queue-stuck']));
    machine.host.memory.write32(base, 1);
    expect(machine.host.memory.read32(base + GITS.CREADR)).toBe(machine.host.memory.read32(base + GITS.CWRITER));
  });

  it('commands come with their SYNC or VSYNC; MAPD and the unmapping VMAPP of GICv4.1 without [gic D-4] [gic G46]', () => {
    const machine = new Driver('gicv4.1');
    expect(machine.commands(() => machine.irq())).toEqual(['MAPD', 'MAPTI', 'SYNC']);
    const vm = machine.vm(1);
    expect(machine.commands(() => vm.vpes[0]!.freeDoorbell())).toEqual(['INVDB', 'VSYNC', 'VMAPP']);
    const v40 = new Driver('gicv4');
    const [vpe] = v40.vm(1).vpes;
    expect(v40.commands(() => vpe!.freeDoorbell())).toEqual(['VMAPP', 'VSYNC']);
  });

  it('a GIC that does not snoop gets its commands and tables cleaned to memory [gic D-5]', () => {
    const machine = new Driver('gicv4.1', { choices: { coherent: false } });
    expect(machine.driver.view.coherent).toBe(false);
    let taken = 0;
    const irq = machine.irq();
    irq.setHandler(() => (taken += 1));
    machine.msi(irq);
    expect(taken).toBe(1);
  });

  it('without the clean the GIC sees the old configuration byte [gic D-5] [gic D-14]', () => {
    const machine = new Driver('gicv3', { choices: { coherent: false } });
    const irq = machine.irq();
    let taken = 0;
    irq.setHandler(() => (taken += 1));
    const properties = machine.host.memory.read32(machine.gic.redistributorBase[0]! + GICR.PROPBASER) & 0xffff_f000;
    machine.driver.view.memory.write8((properties >>> 0) + irq.lpi - 8192, 0xa2);
    machine.driver.invalidateLpi(0, irq.lpi);
    machine.msi(irq);
    expect(taken).toBe(1);
    irq.mask();
    machine.msi(irq);
    expect(taken).toBe(1);
  });

  it('one property table for all redistributors, filled with 0xa2; pending tables of 64 KiB [gic D-6]', () => {
    const machine = new Driver('gicv3');
    const [a, b] = machine.gic.redistributorBase.map((base) => [machine.host.memory.read32(base + 0x70), machine.host.memory.read32(base + 0x78)]);
    expect(a![0]).toBe(b![0]);
    expect([a![1]! & 0xffff, a![1] === b![1]]).toEqual([0x780, false]);
    expect(machine.driver.property(8192)).toBe(0xa2);
  });

  it('level 2 tables come with the first id that needs them; without memory the allocation fails [gic D-7]', () => {
    const machine = new Driver('gicv3', { ram: 0x20_0000 });
    const before = machine.host.pages.used;
    machine.driver.allocate(0x10, 1, false);
    const page = machine.host.pages.used - before;
    machine.driver.allocate(0x11, 1, false);
    expect([page, machine.host.pages.used - before - page]).toEqual([16 + 1, 1]);
    while (machine.host.pages.allocate(1, 1) !== undefined);
    expect(machine.driver.allocate(0xfff0, 1, false)).toEqual([]);
  });

  it('ITSs and redistributors of GICv4.1 share the vPE table [gic D-8]', () => {
    const machine = new Driver('gicv4.1', { itss: 2 });
    const table = (its: number): number => machine.host.memory.read32(machine.gic.its[its]!.base + GITS.BASER + 16) & 0xffff_0000;
    expect(table(0)).toBe(table(1));
    for (const base of machine.gic.redistributorBase) expect(machine.host.memory.read32(base + GICR.VPROPBASER) & 0xffff_0000).toBe(table(0));
  });

  it('each CPU has the collection of its number on each ITS [gic D-9]', () => {
    const machine = new Driver('gicv3', { cpus: 3 });
    const irqs = machine.driver.allocate(0x10, 3, false);
    expect(irqs.map(({ cpu }) => cpu)).toEqual([0, 1, 2]);
    const taken: number[] = [];
    irqs.forEach((irq, n) => irq.setHandler(() => taken.push(n)));
    for (const irq of irqs) machine.msi(irq);
    expect(taken).toEqual([0, 1, 2]);
  });
});

describe('physical LPIs', () => {
  it('GICD_TYPER.num_LPIs bounds them; a request is halved, and fails when none is left [gic D-10]', () => {
    const machine = new Driver('gicv3', { choices: { numLpis: 3 } });
    expect(machine.driver.freeLpis).toBe(16);
    expect(machine.driver.allocate(1, 8, false).length).toBe(8);
    expect(machine.driver.allocate(2, 16, false).length).toBe(8);
    expect([machine.driver.allocate(3, 1, false), machine.driver.freeLpis]).toEqual([[], 0]);
  });

  it('a device gets a power of two, at least two; asked again it is the same device [gic D-11]', () => {
    const machine = new Driver('gicv3');
    const [mapd] = machine.words(() => machine.driver.allocate(0x10, 3, false), 'MAPD');
    expect([mapd![1], mapd![2]! & 0xffn, mapd![2]! >> 63n]).toEqual([1n, 0n, 1n]);
    expect(machine.commands(() => machine.driver.allocate(0x10, 1, false))).toEqual(['MAPTI', 'SYNC']);
    const [one] = machine.words(() => machine.driver.allocate(0x11, 1, false), 'MAPD');
    expect(one![1]).toBe(0n);
  });

  it('the device goes with its last event [gic D-12] [gic G10]', () => {
    const machine = new Driver('gicv3');
    const irqs = machine.driver.allocate(0x10, 4, true);
    const free = machine.driver.freeLpis;
    expect(machine.commands(() => machine.driver.release(0x10, irqs.slice(0, 3)))).toEqual(['DISCARD', 'SYNC', 'DISCARD', 'SYNC', 'DISCARD', 'SYNC']);
    expect(machine.commands(() => machine.driver.release(0x10, irqs.slice(3)))).toEqual(['DISCARD', 'SYNC', 'MAPD']);
    expect(machine.driver.freeLpis).toBe(free + 4);
  });

  it('affinity: MOVI if the CPU changes, -EINVAL while forwarded [gic D-13]', () => {
    const machine = new Driver('gicv4.1');
    const irq = machine.irq();
    expect(machine.commands(() => irq.setAffinity(0))).toEqual([]);
    expect(machine.commands(() => irq.setAffinity(1))).toEqual(['MOVI', 'SYNC']);
    irq.mapVlpi(vlpi(machine.vm(1)));
    expect(irq.setAffinity(0)).toBe(-22);
  });

  it('mask and unmask: INVLPIR where it works, else INV [gic D-14] [gic G19]', () => {
    const direct = new Driver('gicv4', { preset: 'strict' });
    const events = direct.host.trace.record();
    const irq = direct.irq();
    let taken = 0;
    irq.setHandler(() => (taken += 1));
    direct.msi(irq);
    expect(direct.commands(() => irq.mask())).toEqual([]);
    direct.msi(irq);
    // Each is waited for: another before SYNCR.Busy is 0 would be unpredictable.
    expect([taken, events.filter(({ id }) => id === 'gic/unpredictable')]).toEqual([1, []]);
    const vm = direct.vm(1);
    irq.mapVlpi(vlpi(vm));
    expect(direct.commands(() => irq.unmask())).toEqual(['INV', 'VSYNC']);
    const indirect = new Driver('gicv3', { choices: { invalidateRegisters: false } });
    const other = indirect.irq();
    expect(indirect.commands(() => other.mask())).toEqual(['INV', 'SYNC']);
  });

  it('pending state: INT and CLEAR with SYNC, or VSYNC while forwarded [gic D-15]', () => {
    const machine = new Driver('gicv4.1');
    const irq = machine.irq();
    expect(machine.commands(() => irq.setPending(true))).toEqual(['INT', 'SYNC']);
    irq.mapVlpi(vlpi(machine.vm(1)));
    expect(machine.commands(() => irq.setPending(false))).toEqual(['CLEAR', 'VSYNC']);
  });
});

describe('VLPIs', () => {
  it('an ITS without them answers -EINVAL [gic D-16]', () => {
    const [v3, v41] = [new Driver('gicv3'), new Driver('gicv4.1')];
    const irq = v3.irq();
    expect(irq.mapVlpi(vlpi(v41.vm(1)))).toBe(-22);
    expect([irq.unmapVlpi(), irq.updateVlpi(0xa3, true)]).toEqual([-22, -22]);
  });

  it('map: property first, then DISCARD and VMAPTI; a second map moves; another VM is -EINVAL [gic D-17] [gic D-18] [gic D-23]', () => {
    const machine = new Driver('gicv4.1');
    const [vm, other] = [machine.vm(2), machine.vm(1)];
    const irq = machine.irq();
    expect(machine.commands(() => irq.mapVlpi(vlpi(vm)))).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC']);
    expect(machine.host.memory.read8(vm.propertyTable + 8)).toBe(0xa3);
    expect(machine.driver.property(irq.lpi)).toBe(0xa3);
    const [vmovi] = machine.words(() => irq.mapVlpi({ ...vlpi(vm), vpe: vm.vpes[1]! }), 'VMOVI');
    expect([vmovi![1]! >> 32n, vmovi![2]]).toEqual([BigInt(vm.vpes[1]!.vpeid), (1023n << 32n) | 1n]);
    expect(irq.mapVlpi(vlpi(other))).toBe(-22);
    const v40 = new Driver('gicv4');
    const vm40 = v40.vm(1);
    const irq40 = v40.irq();
    const [vmapti] = v40.words(() => irq40.mapVlpi(vlpi(vm40)), 'VMAPTI');
    expect(vmapti![2]! >> 32n).toBe(BigInt(vm40.vpes[0]!.doorbell));
  });

  it('what is pending physically is lost by the DISCARD [gic D-19]', () => {
    const machine = new Driver('gicv4.1');
    const vm = machine.vm(1);
    const irq = machine.irq();
    irq.mask();
    machine.msi(irq);
    irq.mapVlpi(vlpi(vm));
    expect(machine.gic.redistributors[irq.cpu]!.lpis.bank.test(irq.lpi)).toBe(false);
    expect(machine.gic.vpe(vm.vpes[0]!.vpeid)!.lpis.test(8200)).toBe(false);
  });

  it('get: the map, or nothing [gic D-20]', () => {
    const machine = new Driver('gicv4.1');
    const irq = machine.irq();
    expect(irq.getVlpi()).toBeUndefined();
    const map = vlpi(machine.vm(1));
    irq.mapVlpi(map);
    expect(irq.getVlpi()).toEqual(map);
  });

  it('unmap: DISCARD, MAPTI, the host byte is 0xa3; the device is free for another VM [gic D-21] [gic G04]', () => {
    const machine = new Driver('gicv4.1');
    const [vm, other] = [machine.vm(1), machine.vm(1)];
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    irq.mask();
    expect(machine.commands(() => irq.unmapVlpi())).toEqual(['DISCARD', 'SYNC', 'MAPTI', 'SYNC']);
    expect([machine.driver.property(irq.lpi), irq.unmapVlpi(), irq.mapVlpi(vlpi(other))]).toEqual([0xa3, -22, 0]);
  });

  it('property updates: the VM table, INVLPIR or INV, and on GICv4.0 the doorbell with the enable bit [gic D-22]', () => {
    const machine = new Driver('gicv4.1');
    const vm = machine.vm(1);
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    expect(machine.commands(() => irq.updateVlpi(0x52, true))).toEqual([]);
    expect(machine.host.memory.read8(vm.propertyTable + 8)).toBe(0x52);
    const v40 = new Driver('gicv4');
    const irq40 = v40.irq();
    irq40.mapVlpi(vlpi(v40.vm(1)));
    expect(v40.commands(() => irq40.updateVlpi(0x52, true))).toEqual(['INV', 'VSYNC', 'VMOVI', 'VSYNC']);
    expect(v40.commands(() => irq40.updateVlpi(0x52, true))).toEqual(['INV', 'VSYNC']);
  });
});

describe('vPEs', () => {
  it('creation takes ids, tables and doorbells, and unwinds when something runs out [gic D-25] [gic D-36] [gic G27] [gic G45]', () => {
    const machine = new Driver('gicv4.1', { ram: 0x40_0000 });
    const [lpis, pages] = [machine.driver.freeLpis, machine.host.pages.used];
    expect(machine.driver.createVm(500)).toBe(-12);
    expect(machine.driver.freeLpis).toBe(lpis);
    const vm = machine.vm(3);
    expect([machine.driver.freeLpis, machine.host.memory.read8(vm.propertyTable)]).toEqual([lpis - 3, 0xa2]);
    vm.free();
    expect(machine.driver.freeLpis).toBe(lpis);
    // The vPE table's level 2 page stays.
    expect(machine.host.pages.used - pages).toBe(0x1_0000 / PAGE_SIZE);
  });

  it('creation fails with whatever table has no room, the last one as well, and takes nothing', () => {
    const { driver, host } = new Driver('gicv4.1', { ram: 0x40_0000 });
    const blocks: PageRun[] = [];
    for (let run = host.pages.allocate(16); run !== undefined; run = host.pages.allocate(16)) blocks.push(run);
    const [lpis, pages] = [driver.freeLpis, host.pages.used];
    // A property table, a VPT, and a page of level 2 of the vPE table.
    for (let free = 0; free < 3; free += 1) {
      expect([free, driver.createVm(1), driver.freeLpis, host.pages.used]).toEqual([free, -12, lpis, pages - free * 16]);
      blocks.pop()?.put();
    }
    const vm = made(driver.createVm(1));
    expect([vm.vpes.map(({ vpeid }) => vpeid), host.pages.used]).toEqual([[0], pages]);
    vm.free();
    expect([driver.freeLpis, host.pages.used]).toEqual([lpis, pages - 2 * 16]);
  });

  it('are mapped at once on every ITS [gic D-26] [gic D-28]', () => {
    const machine = new Driver('gicv4.1', { itss: 2 });
    const vm = made(machine.driver.createVm(1));
    const [vpe] = vm.vpes;
    const vmapps = machine.words(() => vpe!.requestDoorbell(), 'VMAPP');
    expect(vmapps.map((words) => (words[0]! >> 8n) & 3n)).toEqual([1n, 0n]);
    expect(vpe!.mappings).toBe(2);
    expect(machine.words(() => vpe!.freeDoorbell(), 'VMAPP').map((words) => (words[0]! >> 8n) & 3n)).toEqual([0n, 1n]);
    expect(vpe!.mappings).toBe(0);
  });

  it('with an ITSList they are mapped with the first VLPI behind an ITS, and unmapped with the last [gic D-27] [gic TR-22]', () => {
    const machine = new Driver('gicv4', V40_LISTED);
    const vm = machine.vm(2);
    expect([vm.vpes[0]!.mappings, vm.vpes[0]!.setAffinity(1)]).toEqual([0, -22]);
    const [a, b] = [machine.irq(0x10, 1), machine.irq(0x12, 1)];
    const map = ['1:VMAPP', '1:VSYNC', '1:VINVALL', '1:VSYNC'];
    expect(machine.commands(() => a.mapVlpi(vlpi(vm)))).toEqual([...map, ...map, '1:DISCARD', '1:SYNC', '1:VMAPTI', '1:VSYNC']);
    expect(machine.commands(() => b.mapVlpi(vlpi(vm, 8201)))).toEqual(['1:DISCARD', '1:SYNC', '1:VMAPTI', '1:VSYNC']);
    expect(machine.commands(() => b.unmapVlpi())).not.toContain('1:VMAPP');
    expect(machine.commands(() => a.unmapVlpi()).slice(-4)).toEqual(['1:VMAPP', '1:VSYNC', '1:VMAPP', '1:VSYNC']);
  });

  it('move with one VMOVP, or with one for each ITS of the list under one number [gic D-29] [gic D-30] [gic TR-23] [gic G11]', () => {
    const once = new Driver('gicv4.1', { itss: 2 });
    const [vpe] = once.vm(1).vpes;
    expect(once.commands(() => vpe!.setAffinity(1))).toEqual(['1:VMOVP', '1:VSYNC']);
    expect(once.commands(() => vpe!.setAffinity(1))).toEqual([]);
    const listed = new Driver('gicv4', { ...V40_LISTED, itss: 3 });
    const vm = listed.vm(1);
    listed.irq(0x10, 0).mapVlpi(vlpi(vm));
    listed.irq(0x12, 2).mapVlpi(vlpi(vm, 8201));
    const moves = [1, 0].map((cpu) => listed.words(() => vm.vpes[0]!.setAffinity(cpu), 'VMOVP').map((words) => [words[0]! >> 32n, words[1]! & 0xffffn]));
    expect(moves).toEqual([
      [[0n, 5n], [0n, 5n]],
      [[1n, 5n], [1n, 5n]],
    ]);
  });

  it('GICv4.0: the doorbell is disabled and cleared for residency [gic D-31]', () => {
    const machine = new Driver('gicv4', { choices: { directLpi: true } });
    const vm = machine.vm(1);
    const [vpe] = vm.vpes;
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    let rings = 0;
    vpe!.onDoorbell = () => (rings += 1);
    machine.msi(irq);
    expect(machine.gic.redistributors[0]!.lpis.bank.test(vpe!.doorbell)).toBe(true);
    vpe!.makeResident(false, true);
    expect(machine.gic.redistributors[0]!.lpis.bank.test(vpe!.doorbell)).toBe(false);
    vpe!.makeNonResident(true);
    expect([vpe!.pendingLast, rings]).toEqual([true, 0]);
  });

  it('GICv4.0: a doorbell that waits at the old redistributor does not stay there when the vPE moves', () => {
    const machine = new Driver('gicv4', { choices: { directLpi: true } });
    const vm = machine.vm(1);
    const [vpe] = vm.vpes;
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    machine.msi(irq);
    const waits = () => machine.gic.redistributors.map(({ lpis }) => lpis.bank.test(vpe!.doorbell));
    expect(waits()).toEqual([true, false]);
    vpe!.setAffinity(1);
    expect(waits()[0]).toBe(false);
  });

  it('GICv4.1: asks for a doorbell and reads PendingLast back, or assumes it [gic D-31]', () => {
    const machine = new Driver('gicv4.1', { preset: 'strict' });
    const [vpe] = machine.vm(1).vpes;
    vpe!.makeResident(false, true);
    vpe!.makeNonResident(true);
    expect(vpe!.pendingLast).toBe(false);
    vpe!.makeResident(false, true);
    vpe!.makeNonResident(false);
    expect(vpe!.pendingLast).toBe(true);
  });

  it('Dirty is waited for; if it does not clear, something is taken to be pending [gic D-32] [gic G18]', () => {
    const machine = new Driver('gicv4.1', { choices: { busyReads: Infinity } });
    const [vpe] = made(machine.driver.createVm(1)).vpes;
    vpe!.requestDoorbell();
    const events = machine.host.trace.record();
    vpe!.makeResident(false, true);
    vpe!.makeNonResident(true);
    expect(vpe!.pendingLast).toBe(true);
    expect(events.filter(({ id }) => id === 'gic-host/register-stuck').map(({ text }) => text)).toEqual([
      'cpu 0: VPENDBASER.Dirty does not clear',
      'cpu 0: VPENDBASER.Dirty does not clear',
      'cpu 0: VPENDBASER.Dirty does not clear',
    ]);
  });

  it('invalidate all: INVALLR where the vPE is, VINVALL on an ITS that maps it [gic D-33] [gic G19] [gic G20]', () => {
    const machine = new Driver('gicv4.1', { preset: 'strict' });
    const vm = machine.vm(1);
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    vm.vpes[0]!.setAffinity(1);
    vm.vpes[0]!.makeResident(false, true);
    machine.msi(irq);
    vm.writeProperty(8200, 0xa2);
    vm.vpes[0]!.invalidateAll();
    expect(machine.gic.redistributors[1]!.bestVlpi.intid).toBe(1023);
    const listed = new Driver('gicv4', V40_LISTED);
    const lazy = listed.vm(1);
    listed.irq(0x10, 1).mapVlpi(vlpi(lazy));
    expect(listed.commands(() => lazy.vpes[0]!.invalidateAll())).toEqual(['1:VINVALL', '1:VSYNC']);
  });

  it('GICv4.0 without direct access: a proxy device, whose events go round [gic D-34] [gic D-35]', () => {
    const machine = new Driver('gicv4', { choices: { invalidateRegisters: false } });
    const vm = machine.vm(3);
    const [a, b, c] = vm.vpes;
    const map = ['MAPTI', 'SYNC'];
    expect(machine.commands(() => a!.setAffinity(1))).toEqual(['VMOVP', 'VSYNC', ...map, 'MOVI', 'SYNC']);
    expect(machine.commands(() => a!.makeResident(false, true))).toEqual(['CLEAR', 'SYNC']);
    expect(machine.commands(() => b!.makeResident(false, true))).toEqual([...map, 'CLEAR', 'SYNC']);
    expect(machine.commands(() => b!.makeNonResident(true))).toEqual(['INV', 'SYNC']);
    expect(machine.commands(() => b!.makeResident(false, true))).toEqual(['INV', 'SYNC', 'CLEAR', 'SYNC']);
    b!.makeNonResident(false);
    expect(machine.commands(() => c!.makeResident(false, true)).slice(0, 4)).toEqual(['DISCARD', 'SYNC', ...map]);
  });

  it('GICv4.0: a doorbell that is moved rings on the new CPU [gic D-29]', () => {
    const machine = new Driver('gicv4', { choices: { invalidateRegisters: false } });
    const vm = machine.vm(1);
    const irq = machine.irq();
    irq.mapVlpi(vlpi(vm));
    const [vpe] = vm.vpes;
    let rings = 0;
    vpe!.onDoorbell = () => (rings += 1);
    vpe!.makeResident(false, true);
    vpe!.makeNonResident(true);
    vpe!.setAffinity(1);
    machine.msi(irq);
    expect(rings).toBe(1);
  });
});

describe('vSGIs', () => {
  const setup = (init: Init = {}): readonly [Driver, ItsVm['vpes'][number]] => {
    const machine = new Driver('gicv4.1', init);
    return [machine, machine.vm(1).vpes[0]!];
  };

  it('activation sends the configuration as it is: disabled, priority 0, group 0 [gic D-37] [gic D-38]', () => {
    const [machine, vpe] = setup();
    const [vsgi] = machine.words(() => vpe.sgis.activate(7), 'VSGI');
    expect(vsgi!.slice(0, 2)).toEqual([(7n << 32n) | 0x23n, BigInt(vpe.vpeid) << 32n]);
    const [updated] = machine.words(() => vpe.sgis.update(7, 0xaf, true), 'VSGI');
    expect(updated![0]).toBe((7n << 32n) | 0xa0_0423n);
    const [enabled] = machine.words(() => vpe.sgis.setEnabled(7, true), 'VSGI');
    expect(enabled![0]).toBe((7n << 32n) | 0xa0_0523n);
  });

  it('pending goes by GITS_SGIR and VSGI with Clear, and is asked of the redistributor [gic D-39]', () => {
    const [machine, vpe] = setup({ preset: 'strict' });
    vpe.setAffinity(1);
    expect(machine.commands(() => vpe.sgis.setPending(7, true))).toEqual([]);
    expect([vpe.sgis.pending(7), vpe.sgis.pending(6)]).toEqual([true, false]);
    expect(machine.commands(() => vpe.sgis.setPending(7, false))).toEqual(['VSGI', 'VSYNC']);
    expect(vpe.sgis.pending(7)).toBe(false);
    const [, stuck] = setup({ choices: { busyReads: Infinity } });
    expect(stuck.sgis.pending(7)).toBe(-6);
  });

  it('deactivation disables and then clears [gic D-40]', () => {
    const [machine, vpe] = setup();
    vpe.sgis.setEnabled(7, true);
    expect(machine.words(() => vpe.sgis.deactivate(7), 'VSGI').map((words) => words[0]! & 0x300n)).toEqual([0n, 0x200n]);
  });

  it('their affinity is the vPE\'s [gic D-41]', () => {
    const [machine, vpe] = setup();
    expect(machine.commands(() => expect(vpe.sgis.setAffinity()).toBe(0))).toEqual([]);
  });
});

describe('posting', () => {
  it('several commands are one store of CWRITER, with interrupts off', () => {
    const machine = new Driver('gicv3');
    const irq = machine.irq();
    let seen = 0;
    irq.setHandler(() => (seen = machine.host.memory.read32(machine.gic.its[0]!.base + GITS.CREADR)));
    machine.driver.nodes[0]!.post((to) => encode.event(to, 0x03, 0x10, irq.event), (to) => encode.sync(to, 0));
    expect(seen).toBe(machine.host.memory.read32(machine.gic.its[0]!.base + GITS.CWRITER));
  });
});
