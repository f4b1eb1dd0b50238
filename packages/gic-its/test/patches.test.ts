/** Patches 1 and 2 of the migration series at the host's floor: cache maintenance at the unmap, and no PTZ. */
import { Host, type TraceEvent } from '@vsim/vfio-core';
import { describe, expect, it } from 'vitest';
import { Gic, ItsDriver, type ImplementationChoices, type ItsIrq, type ItsVm, type MigrationSwitches } from '../src/index.ts';
import { made } from './machine.ts';

const DEVICE = 0x10;

class Bench {
  readonly host: Host;
  readonly gic: Gic;
  readonly driver: ItsDriver;
  readonly vm: ItsVm;
  readonly irqs: readonly ItsIrq[];

  constructor(switches: Partial<MigrationSwitches> = {}, choices: Partial<ImplementationChoices> = {}, itss = 1) {
    this.host = new Host({ ram: [{ base: 0x8000_0000, size: 0x400_0000 }] });
    const its = Array.from({ length: itss }, (_, n) => 0x1000_0000 + n * 0x10_0000);
    this.gic = new Gic(this.host, { version: 'gicv4.1', cpus: 1, its, choices });
    this.driver = new ItsDriver(this.host, this.gic, { switches });
    this.vm = made(this.driver.createVm(1));
    this.vpe.requestDoorbell();
    this.irqs = this.driver.allocate(DEVICE, 4, false);
    this.irqs.forEach((irq, n) => irq.mapVlpi({ vpe: this.vpe, vintid: 8200 + n, properties: 0xa3, doorbell: false }));
    const guest = this.gic.cpu(0).virtual;
    guest.write('ICH_HCR_EL2', 1n);
    guest.write('ICC_PMR_EL1', 0xf0n);
    guest.write('ICC_IGRPEN1_EL1', 1n);
  }

  get vpe(): ItsVm['vpes'][number] {
    return this.vm.vpes[0]!;
  }

  raise(n: number): void {
    this.host.memory.write32(this.irqs[n]!.message.address, this.irqs[n]!.message.data, DEVICE);
  }

  /** What the guest takes while the vPE is resident. */
  run(): number[] {
    this.vpe.makeResident(false, true);
    const guest = this.gic.cpu(0).virtual;
    const taken: number[] = [];
    for (let intid = guest.acknowledge(); intid !== 1023; intid = guest.acknowledge()) {
      taken.push(intid);
      guest.endOfInterrupt(intid);
    }
    this.vpe.makeNonResident(false);
    return taken;
  }

  /** Commands and flushes while `act` runs. */
  trace(act: () => void): string[] {
    const events: TraceEvent[] = [];
    const stop = this.host.trace.listen((event) => events.push(event));
    act();
    stop();
    return events.flatMap(({ id, fields }) => {
      if (id === 'gic-host/vpt-flushed') return ['flush'];
      const { name, its } = fields as { name: string; its: number };
      return id === 'gic/command' ? [`${its}:${name}`] : [];
    });
  }
}

const NOT_SNOOPING = { coherent: false } as const;

describe('patch 1: the VPT is readable after the unmap', () => {
  it('what the CPU read before is stale without the invalidation [gic P1-T1]', () => {
    for (const flushVptOnUnmap of [true, false]) {
      const bench = new Bench({ flushVptOnUnmap }, NOT_SNOOPING);
      expect(bench.vpe.peek(8201)).toBe(false);
      bench.raise(1);
      bench.vpe.freeDoorbell();
      expect(bench.vpe.peek(8201)).toBe(flushVptOnUnmap);
    }
  });

  it('two ITSs: the flush is one, with the VMAPP that has Alloc, after it [gic P1-T2] [gic P1-T3]', () => {
    const bench = new Bench({}, NOT_SNOOPING, 2);
    expect(bench.vpe.mappings).toBe(2);
    const trace = bench.trace(() => bench.vpe.freeDoorbell());
    expect(trace.slice(-3)).toEqual(['1:VMAPP', '0:VMAPP', 'flush']);
    expect(bench.vpe.mappings).toBe(0);
  });

  it('a flush before the unmap does not help: the bits are still in the GIC [gic P1-T3] [gic I-7]', () => {
    const bench = new Bench({ flushVptOnUnmap: false }, NOT_SNOOPING);
    bench.raise(1);
    bench.driver.view.cleanInvalidate(bench.vpe.vptAddress, 0x1_0000);
    expect(bench.vpe.peek(8201)).toBe(false);
    bench.vpe.freeDoorbell();
    expect(bench.vpe.peek(8201)).toBe(false);
  });

  it('nothing in the host writes a VPT between allocation and free: no line of it is dirty [gic P1-T4] [gic I-6]', () => {
    const bench = new Bench({}, NOT_SNOOPING);
    bench.raise(1);
    bench.run();
    bench.raise(2);
    bench.vpe.freeDoorbell();
    const before = bench.host.memory.read8(bench.vpe.vptAddress + 1025);
    bench.driver.view.clean(bench.vpe.vptAddress, 0x1_0000);
    expect([before, bench.host.memory.read8(bench.vpe.vptAddress + 1025)]).toEqual([4, 4]);
  });

  it('a VPT is zeroed, and cleaned, before its first VMAPP [gic P1-T5]', () => {
    const bench = new Bench({}, NOT_SNOOPING);
    const { vptAddress } = bench.vpe;
    bench.vm.free();
    bench.host.memory.writeBytes(vptAddress, new Uint8Array(0x1_0000).fill(0xff));
    const again = made(bench.driver.createVm(1)).vpes[0]!;
    expect(again.vptAddress).toBe(vptAddress);
    again.requestDoorbell();
    expect(bench.gic.vpe(again.vpeid)!.somethingPending).toBe(false);
  });

  it('a GIC that snoops needs no flush [gic P1-T6]', () => {
    for (const flushVptOnUnmap of [true, false]) {
      const bench = new Bench({ flushVptOnUnmap });
      bench.vpe.peek(8201);
      bench.raise(1);
      bench.vpe.freeDoorbell();
      expect(bench.vpe.peek(8201)).toBe(true);
    }
  });
});

describe('patch 2: PTZ is never said', () => {
  it('a VLPI that was pending at the unmap is delivered after the map, once [gic P2-T1]', () => {
    for (const neverPtz of [true, false]) {
      const bench = new Bench({ neverPtz });
      bench.raise(0);
      bench.vpe.freeDoorbell();
      bench.vpe.requestDoorbell();
      expect(bench.run()).toEqual(neverPtz ? [8200] : []);
    }
  });

  it('no VMAPP with V=1 has bit 9, and bit 8 where no ITS maps the vPE yet [gic P2-T2]', () => {
    const bench = new Bench({}, {}, 2);
    const seen: string[] = [];
    bench.host.trace.listen(({ id, fields }) => {
      const { name, words } = fields as { name: string; words: bigint[] };
      if (id === 'gic/command' && name === 'VMAPP' && words[2]! >> 63n === 1n) seen.push(((words[0]! >> 8n) & 3n).toString(2));
    });
    for (let round = 0; round < 2; round += 1) {
      bench.vpe.freeDoorbell();
      bench.vpe.requestDoorbell();
    }
    expect(seen).toEqual(['1', '0', '1', '0']);
  });

  it('the first VMAPP of a vPE has PTZ 0 too; one with PTZ drops what a VPT holds, and is reported [gic 11/2]', () => {
    const bench = new Bench();
    const first: bigint[] = [];
    const events = bench.host.trace.record();
    made(bench.driver.createVm(1)).vpes[0]!.requestDoorbell();
    for (const { id, fields } of events) {
      const { name, words } = fields as { name: string; words: bigint[] };
      if (id === 'gic/command' && name === 'VMAPP') first.push((words[0]! >> 8n) & 3n);
    }
    expect(first).toEqual([1n]);
    const punished = new Bench({ neverPtz: false });
    punished.raise(0);
    punished.vpe.freeDoorbell();
    const seen = punished.host.trace.record();
    punished.vpe.requestDoorbell();
    expect([seen.filter(({ id }) => id === 'gic/unpredictable').length, punished.run()]).toEqual([1, []]);
  });

  it('pending but disabled survives, and is delivered once enabled [gic P2-T4]', () => {
    const bench = new Bench();
    bench.irqs[0]!.updateVlpi(0xa2, true);
    bench.raise(0);
    bench.vpe.freeDoorbell();
    bench.vpe.requestDoorbell();
    expect(bench.run()).toEqual([]);
    bench.irqs[0]!.updateVlpi(0xa3, true);
    expect(bench.run()).toEqual([8200]);
  });

  it('three cycles keep k pending VLPIs, bit for bit [gic P2-T5]', () => {
    const bench = new Bench();
    for (const n of [0, 1, 3]) bench.raise(n);
    for (let round = 0; round < 3; round += 1) {
      bench.vpe.freeDoorbell();
      expect([8200, 8201, 8202, 8203].map((vintid) => bench.vpe.peek(vintid))).toEqual([true, true, false, true]);
      bench.vpe.requestDoorbell();
    }
    expect(bench.run()).toEqual([8200, 8201, 8203]);
  });
});
