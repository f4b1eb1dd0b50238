/** Tables of the virtual ITS and pending tables in guest memory: format, order, what is written and what is not, and every errno. */
import { describe, expect, it, vi } from 'vitest';
import { encode, OPCODE } from '../src/index.ts';
import { GUEST, Machine, takeAll, type MachineInit, type Vector } from './machine.ts';

const [EFAULT, EINVAL, EEXIST, EACCES, EBUSY] = [-14, -22, -17, -13, -16];
const VALID = 1n << 63n;
const ALL = (1n << 64n) - 1n;
const PAGE = 4096;

function booted(init: MachineInit = {}): Machine {
  const machine = new Machine({ version: 'gicv3', ...init });
  machine.boot();
  return machine;
}

const dteOf = (device: number): number => GUEST.DEVICES + 8 * device;
const iteOf = (device: number, event: number): number => GUEST.ITT + device * 0x1000 + 8 * event;
const mapd = (machine: Machine, device: number, bits: number, itt: number): void => machine.command((to) => encode.mapd(to, device, bits - 1, itt, true));
const mapti = (machine: Machine, device: number, event: number, lpi: number, icid: number): void => machine.command((to) => encode.mapti(to, device, event, lpi, icid));

/** Devices 1 and 2, an event each, saved; the ITS is reset. */
function saved(init: MachineInit = {}): Machine {
  const machine = booted(init);
  machine.mapDevice(1, [8195]);
  machine.mapDevice(2, [8196]);
  expect(machine.saveTables()).toBe(0);
  machine.resetIts();
  return machine;
}

function enable(machine: Machine): void {
  machine.setIts(0x80, VALID | BigInt(GUEST.QUEUE));
  machine.setIts(0, 1n);
}

describe('entries', () => {
  it('DTE: V, next, ITT address, Size [gic 5.6/1] [gic 9.3/1] [gic 9.3/2] [gic 9.3/3] [gic K-28]', () => {
    const machine = booted();
    mapd(machine, 2, 8, 0x4000_1200);
    mapd(machine, 7, 8, 0x4000_2000);
    machine.saveTables();
    expect([machine.word(dteOf(2)), machine.word(dteOf(7))]).toEqual([0x800a_0000_0800_0247n, 0x8000_0000_0800_0407n]);
    const far = booted();
    mapd(far, 20_000, 8, 0x4000_2000);
    mapd(far, 0, 8, 0x4000_1200);
    far.saveTables();
    expect(far.word(dteOf(0))).toBe(0xfffe_0000_0800_0247n);
    // A capped offset lands on an entry that is not valid, from which the scan goes on one by one.
    far.resetIts();
    expect([far.restoreTables(), far.its.mappings.devices.map(({ id }) => id)]).toEqual([0, [0, 20_000]]);
  });

  it('sorts the list of a device: its events are freed in the order of their EventIDs from then on', () => {
    const machine = booted();
    mapd(machine, 2, 8, GUEST.ITT);
    mapti(machine, 2, 20, 8195, 0);
    mapti(machine, 2, 4, 8192, 0);
    const { events } = machine.its.mappings.findDevice(2)!;
    expect([...events.keys()]).toEqual([20, 4]);
    machine.saveTables();
    expect([...events.keys()]).toEqual([4, 20]);
    mapti(machine, 2, 3, 8196, 0);
    expect([...events.keys()]).toEqual([4, 20, 3]);
  });

  it('ITE: next, pINTID, ICID [gic 5.6/2] [gic 9.3/4] [gic 9.3/5]', () => {
    const machine = booted({ vcpus: 4 });
    mapd(machine, 2, 8, GUEST.ITT);
    mapti(machine, 2, 20, 8195, 3);
    mapti(machine, 2, 4, 8192, 0);
    machine.saveTables();
    expect([machine.word(GUEST.ITT + 8 * 20), machine.word(GUEST.ITT + 8 * 4)]).toEqual([0x2003_0003n, 0x0010_0000_2000_0000n]);
    // pINTID 0 is no entry, whatever else it says.
    machine.setWord(GUEST.ITT, (5n << 48n) | 3n);
    machine.resetIts();
    expect([machine.restoreTables(), [...machine.its.mappings.findDevice(2)!.events.keys()]]).toEqual([0, [4, 20]]);
  });

  it('CTE: V, RDBase as vCPU number, ICID; one that is not mapped has all ones [gic 5.6/3] [gic 9.3/6] [gic 9.3/7] [gic 11/16]', () => {
    const machine = booted({ vcpus: 4 });
    mapd(machine, 2, 8, GUEST.ITT);
    mapti(machine, 2, 0, 8195, 77);
    machine.saveTables();
    const cte = (n: number): bigint => machine.word(GUEST.COLLECTIONS + 8 * n);
    expect([cte(3), cte(4), cte(5)]).toEqual([0x8000_0000_0003_0003n, 0x8000_ffff_ffff_004dn, 0n]);
    machine.resetIts();
    expect([machine.restoreTables(), machine.its.mappings.findCollection(77)!.target]).toEqual([0, 0xffff_ffff]);
    expect(0x8000_ffff_ffff_0000n | 77n).toBe(cte(4));
  });

  it('next of an event is capped at 2^16 - 1; an indirect table keeps 8192 devices a page [gic K-28]', () => {
    const machine = booted();
    machine.setIts(0, 0n);
    machine.setIts(0x100, (3n << 62n) | BigInt(GUEST.DEVICES));
    machine.setWord(GUEST.DEVICES, VALID | BigInt(GUEST.DEVICES + 0x1_0000));
    machine.setWord(GUEST.DEVICES + 8, VALID | BigInt(GUEST.DEVICES + 0x2_0000));
    machine.setIts(0, 1n);
    mapd(machine, 8191, 16, GUEST.ITT);
    mapd(machine, 8192, 8, GUEST.ITT + 0x8_0000);
    mapti(machine, 8191, 0, 8195, 0);
    mapti(machine, 8191, 65_535, 8196, 0);
    machine.saveTables();
    expect([machine.word(GUEST.ITT) >> 48n, machine.word(GUEST.ITT + 65_535 * 8) >> 48n]).toEqual([65_535n, 0n]);
    expect([machine.word(GUEST.DEVICES + 0x1_0000 + 8191 * 8) >> 49n, machine.word(GUEST.DEVICES + 0x2_0000) >> 63n]).toEqual([(1n << 14n) | 1n, 1n]);
    machine.setIts(0, 0n);
    machine.setIts(0x100, BigInt(machine.its64(0x100)) & ~VALID);
    machine.setIts(0x108, 0n);
    machine.setIts(0x100, (3n << 62n) | BigInt(GUEST.DEVICES));
    machine.setIts(0x108, VALID | BigInt(GUEST.COLLECTIONS));
    expect([machine.restoreTables(), machine.its.mappings.devices.map(({ id, events }) => [id, [...events.keys()]])]).toEqual([0, [[8191, [0, 65_535]], [8192, []]]]);
  });
});

describe('SAVE_TABLES', () => {
  it('writes entries at their ids, collections packed in order of creation, and nothing else [gic K-29]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    mapd(machine, 3, 4, GUEST.ITT + 0x3000);
    // Re-targeted keeps its place, mapped again goes to the end.
    machine.command((to) => encode.mapc(to, 5, 0, true));
    machine.command((to) => encode.mapc(to, 1, 0, true));
    machine.command((to) => encode.mapc(to, 5, 0, false));
    machine.command((to) => encode.mapc(to, 6, 1, true));
    machine.command((to) => encode.mapc(to, 5, 1, true));
    const dirt = [dteOf(0), dteOf(2), dteOf(4), iteOf(1, 1), iteOf(3, 0), GUEST.COLLECTIONS + 40];
    for (const at of dirt) machine.setWord(at, ALL);
    machine.saveTables();
    expect(dirt.map((at) => machine.word(at))).toEqual(dirt.map(() => ALL));
    expect([0, 1, 2, 3, 4].map((n) => machine.word(GUEST.COLLECTIONS + 8 * n))).toEqual([VALID, VALID | 1n, VALID | (1n << 16n) | 6n, VALID | (1n << 16n) | 5n, 0n]);
    expect(machine.word(dteOf(1))).toBe(VALID | (2n << 49n) | (BigInt(GUEST.ITT + 0x1000) >> 3n) | 4n);
  });

  it('with BASER0 not valid writes the collections alone; without collections a CTE of 0; a full table has no end [gic A-02] [gic A-03] [gic A-04] [gic K-31]', () => {
    const machine = booted();
    machine.setIts(0, 0n);
    machine.setIts(0x100, 0n);
    machine.setWord(GUEST.DEVICES, ALL);
    expect([machine.saveTables(), machine.word(GUEST.DEVICES), machine.word(GUEST.COLLECTIONS + 8)]).toEqual([0, ALL, VALID | (1n << 16n) | 1n]);
    const empty = new Machine({ version: 'gicv3' });
    empty.setTables();
    empty.setWord(GUEST.COLLECTIONS, ALL);
    empty.setWord(GUEST.COLLECTIONS + 8, ALL);
    expect([empty.saveTables(), empty.word(GUEST.COLLECTIONS), empty.word(GUEST.COLLECTIONS + 8)]).toEqual([0, 0n, ALL]);
    const full = booted();
    for (let icid = 2; icid < 8192; icid += 1) full.command((to) => encode.mapc(to, icid, 0, true));
    full.setWord(GUEST.COLLECTIONS + 0x1_0000, ALL);
    expect([full.saveTables(), full.word(GUEST.COLLECTIONS + 0xfff8), full.word(GUEST.COLLECTIONS + 0x1_0000)]).toEqual([0, VALID | 8191n, ALL]);
  });

  it('fails where a table is not in memory: -EINVAL for the DTE\'s, -EFAULT for ITT and collections [gic A-05] [gic K-31] [gic K-34]', () => {
    const indirect = booted();
    indirect.setIts(0, 0n);
    indirect.setIts(0x100, (3n << 62n) | BigInt(GUEST.DEVICES));
    indirect.setWord(GUEST.DEVICES, VALID | BigInt(GUEST.DEVICES + 0x1_0000));
    indirect.setIts(0, 1n);
    indirect.mapDevice(1, [8195]);
    indirect.setWord(GUEST.DEVICES, 0n);
    expect(indirect.saveTables()).toBe(EINVAL);
    const machine = booted();
    machine.mapDevice(1, [8195]);
    const { memory } = machine.vm;
    const slot = (gpa: number, end: number): void => memory.addSlot({ gpa, size: end - gpa, memory: machine.ram, offset: gpa });
    memory.removeSlot(GUEST.RAM);
    slot(GUEST.RAM, GUEST.ITT);
    expect(machine.saveTables()).toBe(EFAULT);
    memory.removeSlot(GUEST.RAM);
    slot(GUEST.PENDING, GUEST.RAM + 0x80_0000);
    // The devices were written before the collection table was found missing.
    expect([machine.saveTables(), machine.word(dteOf(1)) !== 0n]).toEqual([EFAULT, true]);
    memory.removeSlot(GUEST.PENDING);
    slot(GUEST.ITT, GUEST.RAM + 0x80_0000);
    expect(machine.saveTables()).toBe(EINVAL);
  });

  it('with a vCPU running is -EBUSY, and memory is as before [gic A-01] [gic 11/14] [gic K-38]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.vcpu(1).run(0);
    machine.vm.memory.logDirty(true);
    expect([machine.saveTables(), machine.savePending(), machine.restoreTables()]).toEqual([EBUSY, EBUSY, EBUSY]);
    expect([machine.vm.memory.takeDirty(), machine.word(dteOf(1))]).toEqual([[], 0n]);
    // What was locked is let go: the other vCPU can run.
    expect(machine.vcpu(0).run(1)).toBe(0);
    machine.vcpu(0).stop();
    machine.vcpu(1).stop();
    expect(machine.saveTables()).toBe(0);
  });

  it('changes nothing in the kernel, works on a disabled ITS, and comes out the same again [gic K-35] [gic I-11]', () => {
    const machine = booted();
    machine.mapDevice(2, [8196]);
    machine.mapDevice(1, [8195]);
    machine.msi(1, 0);
    machine.setIts(0, 0n);
    const image = (): string => {
      const bytes = new Uint8Array(0x12_0000);
      machine.ram.readBytes(GUEST.COLLECTIONS, bytes);
      return Buffer.from(bytes).toString('base64');
    };
    expect([machine.saveTables(), machine.savePending()]).toEqual([0, 0]);
    const first = image();
    expect([machine.saveTables(), machine.savePending()]).toEqual([0, 0]);
    expect(image()).toBe(first);
    machine.setIts(0, 1n);
    expect([machine.msi(1, 0), machine.msi(2, 0), machine.vm.lpis.find(8195)!.pendingLatch]).toEqual([1, 1, true]);
  });

  it('restore of a save: the same events, LPIs, targets, configuration and pending set [gic I-11] [gic I-12]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195, 8196, 8197]);
    machine.ram.write8(GUEST.PROPERTIES + 4, 0x50);
    machine.command((to) => encode.event(to, OPCODE.INV, 1, 1));
    for (const event of [0, 1]) machine.msi(1, event);
    // Of an LPI that nobody has.
    machine.setPendingBit(0, 9000);
    const state = (vm: Machine): unknown =>
      vm.its.mappings.devices.map(({ id, bits, itt, events }) => [id, bits, itt, [...events.values()].map(({ id: event, irq, collection }) => [event, irq.intid, irq.target?.id, irq.enabled, irq.priority, irq.pendingLatch, collection?.icid])]);
    const before = state(machine);
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    expect(there.restore(machine.save())).toBe(0);
    expect(state(there)).toEqual(before);
    expect(there.pendingBit(0, 9000)).toBe(1);
  });
});

describe('forwarded LPIs in SAVE_TABLES', () => {
  function forwarded(init: MachineInit): { machine: Machine; vectors: Vector[] } {
    const machine = booted({ version: 'gicv4', ...init });
    for (const device of [1, 2, 3]) machine.mapDevice(device, [8195 + 10 * device, 8196 + 10 * device]);
    // Device 2, event 1.
    const irqs = machine.driver.allocate(2, 2, false);
    return { machine, vectors: [machine.vector(2, 1, irqs[1]!)] };
  }

  it('GICv4.0: -EACCES only while one is forwarded [gic P6-T2]', () => {
    const { machine, vectors } = forwarded({});
    expect(machine.saveTables()).toBe(EACCES);
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    expect(machine.saveTables()).toBe(0);
  });

  it('-EACCES leaves what came before it in memory: ITEs, no DTE of that device or later, no CTE [gic P6-T3] [gic 11/13]', () => {
    const { machine } = forwarded({});
    expect(machine.saveTables()).toBe(EACCES);
    expect([1, 2, 3].map((device) => machine.word(dteOf(device)) !== 0n)).toEqual([true, false, false]);
    expect([iteOf(1, 0), iteOf(1, 1), iteOf(2, 0), iteOf(2, 1), iteOf(3, 0)].map((at) => machine.word(at) !== 0n)).toEqual([true, true, true, false, false]);
    expect(machine.word(GUEST.COLLECTIONS)).toBe(0n);
  });

  it('the ITE of a VLPI is that of an LPI: virtual INTID, ICID, next [gic P6-T4]', () => {
    const { machine } = forwarded({ version: 'gicv4.1' });
    const plain = booted();
    for (const device of [1, 2, 3]) plain.mapDevice(device, [8195 + 10 * device, 8196 + 10 * device]);
    expect([machine.saveTables(), plain.saveTables()]).toEqual([0, 0]);
    for (const device of [1, 2, 3]) for (const event of [0, 1]) expect(machine.word(iteOf(device, event))).toBe(plain.word(iteOf(device, event)));
    expect(machine.word(iteOf(2, 1))).toBe((8216n << 16n) | 1n);
  });

  it('a VMM that goes on after -EACCES restores a part of the devices [gic P6-T5]', () => {
    const machine = booted({ version: 'gicv4' });
    machine.mapDevice(1, [8195]);
    expect(machine.saveTables()).toBe(0);
    machine.mapDevice(2, [8200]);
    machine.mapDevice(3, [8205]);
    const [irq] = machine.driver.allocate(2, 1, false);
    machine.vector(2, 0, irq!);
    const saved = machine.save();
    expect(saved.tables).toBe(EACCES);
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    expect([there.restore(saved), there.its.mappings.devices.map(({ id }) => id)]).toEqual([0, [1]]);
    expect([1, 2, 3].map((device) => there.msi(device, 0))).toEqual([1, 0, 0]);
  });
});

describe('RESTORE_TABLES', () => {
  it('collections first, then devices and their events [gic K-32] [gic 11/16]', () => {
    const machine = saved();
    expect(machine.restoreTables()).toBe(0);
    enable(machine);
    expect([machine.msi(1, 0), machine.msi(2, 0), machine.msi(3, 0)]).toEqual([1, 1, 0]);
    // All entries invalid is success with nothing; so is a table that is not valid.
    const empty = new Machine({ version: 'gicv3' });
    empty.setTables();
    expect([empty.restoreTables(), empty.its.mappings.devices.length, empty.its.mappings.collections.length]).toEqual([0, 0, 0]);
    const off = saved();
    off.setIts(0x100, 0n);
    expect([off.restoreTables(), off.its.mappings.devices.length, off.its.mappings.collections.length]).toEqual([0, 0, 2]);
  });

  it('without collections, over devices that are there: the older of an ID is found, and the restored one once that is unmapped', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.saveTables();
    machine.setWord(GUEST.COLLECTIONS, 0n);
    mapti(machine, 1, 1, 8196, 0);
    expect([machine.restoreTables(), machine.its.mappings.devices.map(({ id }) => id)]).toEqual([0, [1, 1]]);
    // Event 1 was never saved.
    expect(machine.msi(1, 1)).toBe(1);
    machine.command((to) => encode.mapd(to, 1, 0, 0, false));
    expect([machine.msi(1, 0), machine.msi(1, 1)]).toEqual([1, 0]);
  });

  it('twice without a reset: -EEXIST from the first ICID; collections are freed, devices stay as orphans [gic A-06] [gic K-33]', () => {
    const machine = saved();
    expect([machine.restoreTables(), machine.restoreTables()]).toEqual([0, EEXIST]);
    expect([machine.its.mappings.collections.length, machine.its.mappings.devices.length]).toEqual([0, 2]);
    enable(machine);
    expect(machine.msi(1, 0)).toBe(0);
    expect([machine.saveTables(), machine.word(iteOf(1, 0))]).toEqual([0, 0n]);
  });

  it('CTE: a target beyond the vCPUs, the unmapped one, RES0 bits [gic A-07] [gic K-32]', () => {
    const cases = [
      [VALID | (2n << 16n), EINVAL, undefined],
      [VALID | (0xffff_ffffn << 16n), 0, 0xffff_ffff],
      [VALID | (0x7ffn << 52n) | (1n << 16n), 0, 1],
      [VALID | (0x1_0001n << 16n), EINVAL, undefined],
    ] as const;
    for (const [cte, result, target] of cases) {
      const machine = saved();
      machine.setWord(GUEST.COLLECTIONS, cte);
      expect([machine.restoreTables(), machine.its.mappings.findCollection(0)?.target]).toEqual([result, target]);
    }
  });

  it('ITE: unknown ICID, LPI below 8192, LPI 0, next at the end of the ITT [gic A-08] [gic A-09] [gic A-10] [gic K-32]', () => {
    const cases = [
      [(8195n << 16n) | 9n, EINVAL, undefined],
      [8191n << 16n, EINVAL, undefined],
      [(3n << 48n) | 0n, 0, 0],
      [(32n << 48n) | (8195n << 16n), EINVAL, undefined],
      [(31n << 48n) | (8195n << 16n), 0, 1],
      // Beyond PROPBASER, but its property byte can be read.
      [0x1_0000n << 16n, 0, 1],
    ] as const;
    for (const [ite, result, events] of cases) {
      const machine = saved();
      machine.setWord(iteOf(1, 0), ite);
      const lists = [machine.restoreTables(), machine.its.mappings.findDevice(1)?.events.size];
      expect(lists).toEqual([result, events]);
      if (result < 0) expect([machine.its.mappings.devices, machine.its.mappings.collections]).toEqual([[], []]);
    }
  });

  it('DTE: 17 EventID bits, RES0 bits, next 0 ends the scan of all [gic A-11] [gic K-32]', () => {
    const machine = saved();
    const dte = machine.word(dteOf(1));
    machine.setWord(dteOf(1), (dte & ~0x1fn) | 16n);
    expect(machine.restoreTables()).toBe(EINVAL);
    machine.resetIts();
    machine.setWord(dteOf(1), (dte & ~0x1fn) | 15n);
    machine.ram.writeBytes(GUEST.ITT + 0x1000 + 8, new Uint8Array(0x7_fff8 - 8));
    expect(machine.restoreTables()).toBe(0);
    machine.resetIts();
    machine.setWord(dteOf(1), dte & ~(0x3fffn << 49n));
    expect([machine.restoreTables(), machine.its.mappings.devices.map(({ id }) => id)]).toEqual([0, [1]]);
  });

  it('invalid entries are walked one by one; a device that is mapped again on its ITT finds old ITEs [gic 11/17]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.saveTables();
    machine.command((to) => encode.mapd(to, 1, 4, GUEST.ITT + 0x1000, true));
    mapti(machine, 1, 5, 8200, 0);
    machine.saveTables();
    machine.resetIts();
    expect([machine.restoreTables(), [...machine.its.mappings.findDevice(1)!.events.keys()]]).toEqual([0, [0]]);
    // MAPD V=0 has zeroed the DTE at once: it does not come back.
    const gone = booted();
    gone.mapDevice(1, [8195]);
    gone.mapDevice(2, [8196]);
    gone.saveTables();
    gone.command((to) => encode.mapd(to, 1, 0, 0, false));
    gone.saveTables();
    gone.resetIts();
    expect([gone.restoreTables(), gone.its.mappings.devices.map(({ id }) => id)]).toEqual([0, [2]]);
  });

  it('memory that is not there: -EFAULT for an ITT, a property byte, a pending byte [gic K-34] [gic K-32] [gic I-13]', () => {
    const cases: readonly ((machine: Machine) => void)[] = [
      (machine) => machine.setWord(dteOf(1), (0x7000_0000n << 15n) / 0x1000n | 4n | VALID),
      (machine) => machine.setGicr(0, 0x70, 0x7000_058f),
      (machine) => machine.setGicr(0, 0x78, 0x7000_0580),
    ];
    for (const breakIt of cases) {
      const machine = saved();
      machine.vm.vcpus.forEach((_vcpu, n) => machine.setGicr(n, 0, 0));
      breakIt(machine);
      expect(machine.restoreTables()).toBe(EFAULT);
      expect([machine.its.mappings.devices, machine.its.mappings.collections, machine.vm.lpis.all()]).toEqual([[], [], []]);
    }
  });

  it('from memory that is read-only, but for a pending bit, which has to be cleared: -EFAULT', () => {
    const machine = saved();
    machine.vm.memory.removeSlot(GUEST.RAM);
    machine.vm.memory.addSlot({ gpa: GUEST.RAM, size: 0x80_0000, memory: machine.ram, offset: GUEST.RAM, readOnly: true });
    expect(machine.restoreTables()).toBe(0);
    machine.resetIts();
    machine.setPendingBit(0, 8195);
    expect([machine.restoreTables(), machine.vm.lpis.find(8195)]).toEqual([EFAULT, undefined]);
  });

  it('an emptied ITS after a failure, the old state where it is refused: never an unmapped vPE [gic I-13] [gic K-33]', () => {
    const machine = saved({ version: 'gicv4.1' });
    machine.setWord(iteOf(2, 0), (8196n << 16n) | 9n);
    machine.setPendingBit(0, 8195);
    expect([machine.restoreTables(), machine.its.mappings.devices.length]).toEqual([EINVAL, 0]);
    // What was taken from the pending table before the error is not written back.
    expect(machine.pendingBit(0, 8195)).toBe(0);
    machine.vm.memory.removeSlot(GUEST.RAM);
    machine.savePending();
    expect(machine.vm.vcpus.map(({ vpe }) => vpe!.mapped)).toEqual([true, true]);
  });
});

describe('pending tables', () => {
  it('a restore consumes the bit: memory has it cleared, the latch set; the bits of others stay [gic 11/8] [gic I-12] [gic F-V26] [gic K-36]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195, 8196]);
    machine.msi(1, 0);
    machine.setPendingBit(0, 9000);
    const first = machine.save();
    expect([machine.pendingBit(0, 8195), machine.pendingBit(1, 8196), machine.pendingBit(0, 9000)]).toEqual([1, 0, 1]);
    // The tables of the ITS know nothing of it.
    expect(machine.word(iteOf(1, 0))).toBe((1n << 48n) | (8195n << 16n));
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    there.restore(first);
    expect([there.pendingBit(0, 8195), there.pendingBit(0, 9000), there.vm.lpis.find(8195)!.pendingLatch]).toEqual([0, 1, true]);
    there.vcpu(0).run(0);
    expect(takeAll(there.vcpu(0))).toEqual([8195]);
    there.vcpu(0).stop();
    there.msi(1, 1);
    there.save();
    expect([there.pendingBit(0, 8195), there.pendingBit(1, 8196)]).toEqual([0, 1]);
  });

  it('MAPTI takes the bit from the table, and fails whole where a table is not there [gic K-2] [gic G16]', () => {
    const machine = booted();
    machine.setPendingBit(0, 8195);
    machine.mapDevice(1, [8195]);
    expect([machine.vm.lpis.find(8195)!.pendingLatch, machine.pendingBit(0, 8195), machine.vm.lpis.find(8195)!.queuedOn]).toEqual([true, 0, machine.vcpu(0)]);
    // A second event of the same LPI finds the object: nothing is read again.
    machine.setPendingBit(0, 8195);
    mapti(machine, 1, 9, 8195, 1);
    expect([machine.pendingBit(0, 8195), machine.vm.lpis.find(8195)!.target!.id, machine.vm.lpis.find(8195)!.references]).toEqual([1, 0, 3]);
    for (const register of [0x70, 0x78]) {
      const broken = booted();
      broken.vm.vcpus.forEach((_vcpu, n) => broken.setGicr(n, 0, 0));
      broken.setGicr(0, register, 0x7000_058f);
      mapd(broken, 1, 4, GUEST.ITT);
      broken.command((to) => encode.mapc(to, 0, 0, true));
      const before = broken.its.mappings.collections.length;
      mapti(broken, 1, 0, 8195, register === 0x70 ? 40 : 0);
      expect([broken.its.mappings.findEvent(1, 0), broken.vm.lpis.find(8195), broken.its.mappings.collections.length]).toEqual([undefined, undefined, before]);
    }
    // Without a target no pending bit is read.
    const unmapped = booted();
    unmapped.setPendingBit(0, 8195);
    mapd(unmapped, 1, 4, GUEST.ITT);
    mapti(unmapped, 1, 0, 8195, 40);
    expect([unmapped.vm.lpis.find(8195)!.pendingLatch, unmapped.pendingBit(0, 8195)]).toEqual([false, 1]);
  });

  it('two ITSs that share an LPI: the second restore finds the object and leaves bit and latch alone [gic F-V24]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.setPendingBit(0, 8195);
    machine.saveTables();
    machine.resetIts();
    const second = machine.vm.createIts();
    if (typeof second === 'number') throw new Error('no second ITS');
    for (const [register, value] of [[0x100, 0xb800_0000_0000_0607n | BigInt(GUEST.DEVICES)], [0x108, 0xb800_0000_0000_0600n | BigInt(GUEST.COLLECTIONS)]] as const) second.registers.writeUser(register, value);
    expect(machine.restoreTables()).toBe(0);
    expect([machine.vm.lpis.find(8195)!.pendingLatch, machine.pendingBit(0, 8195)]).toEqual([true, 0]);
    expect(second.setAttr(4, 2, 0)).toBe(0);
    expect([machine.vm.lpis.find(8195)!.pendingLatch, machine.vm.lpis.find(8195)!.references]).toEqual([true, 3]);
  });

  it('SAVE_PENDING writes a byte only where a bit differs, of LPIs with a target, enabled or not [gic 5.7/2] [gic P4-T5] [gic P4-T9] [gic 1.4/3]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195, 8196, 8197]);
    mapti(machine, 1, 9, 8209, 40);
    machine.ram.write8(GUEST.PROPERTIES + 5, 0xa0);
    machine.command((to) => encode.event(to, OPCODE.INV, 1, 2));
    for (const event of [0, 2]) machine.msi(1, event);
    machine.vm.lpis.find(8209)!.pendingLatch = true;
    for (let byte = 0; byte < 0x400; byte += 1) machine.ram.write8(GUEST.PENDING + byte, 0xff);
    // Stale: of a mapped LPI that is not pending, and of one that nobody has.
    machine.setPendingBit(1, 8196);
    machine.setPendingBit(1, 8300);
    machine.vm.memory.logDirty(true);
    expect(machine.savePending()).toBe(0);
    expect([machine.pendingBit(0, 8195), machine.pendingBit(1, 8196), machine.pendingBit(0, 8197)]).toEqual([1, 0, 1]);
    expect([machine.pendingBit(1, 8300), machine.pendingBit(0, 8209), machine.pendingBit(1, 8209), machine.ram.read8(GUEST.PENDING + 0x3ff)]).toEqual([1, 0, 0, 0xff]);
    expect(machine.vm.memory.takeDirty()).toEqual([GUEST.PENDING / PAGE, (GUEST.PENDING + 0x1_0000) / PAGE]);
    expect([machine.savePending(), machine.vm.memory.takeDirty()]).toEqual([0, []]);
  });

  it('bits of one byte, and the same byte of two vCPUs in turn [gic P4-T10] [gic G14] [gic G01]', () => {
    const machine = booted();
    // LPIs 8192 to 8199 are one byte; even events are vCPU 0's, odd ones vCPU 1's.
    machine.mapDevice(1, [8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199]);
    machine.ram.write8(GUEST.PENDING + 0x400, 0xaa);
    for (const event of [0, 1, 4, 7]) machine.msi(1, event);
    expect(machine.savePending()).toBe(0);
    // vCPU 0: 0 and 4 pending, bits that are vCPU 1's as they were; vCPU 1: 1 and 7.
    expect([machine.ram.read8(GUEST.PENDING + 0x400), machine.ram.read8(GUEST.PENDING + 0x1_0400)]).toEqual([0xaa | 0x11, 0x82]);
    // One vCPU: the byte is kept from LPI to LPI, stale bits of others in it.
    const one = booted({ vcpus: 1 });
    one.mapDevice(1, [8192, 8193, 8194]);
    one.ram.write8(GUEST.PENDING + 0x400, 0x82);
    for (const event of [0, 2]) one.msi(1, event);
    expect([one.savePending(), one.ram.read8(GUEST.PENDING + 0x400)]).toEqual([0, 0x85]);
  });

  it('the bit of a moved LPI stays in the old table, and is taken up when it is mapped there again [gic 5.7/2]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.ram.write8(GUEST.PROPERTIES + 3, 0xa0);
    machine.command((to) => encode.event(to, OPCODE.INV, 1, 0));
    machine.msi(1, 0);
    machine.savePending();
    machine.command((to) => encode.movi(to, 1, 0, 1));
    machine.command((to) => encode.event(to, OPCODE.CLEAR, 1, 0));
    machine.savePending();
    expect([machine.pendingBit(0, 8195), machine.pendingBit(1, 8195)]).toEqual([1, 0]);
    machine.command((to) => encode.event(to, OPCODE.DISCARD, 1, 0));
    mapti(machine, 1, 0, 8195, 0);
    expect(machine.vm.lpis.find(8195)!.pendingLatch).toBe(true);
  });

  it('twice in a row: the same tables, and VPTs as before [gic P4-T14]', () => {
    const machine = booted({ version: 'gicv4.1' });
    machine.mapDevice(1, [8195, 8196]);
    const vectors = machine.driver.allocate(1, 2, false).map((irq, event) => machine.vector(1, event, irq));
    machine.raise(vectors[0]!);
    const vpt = (): number => machine.host.memory.read8(machine.vcpu(0).vpe!.vptAddress + 0x400);
    machine.savePending();
    const [byte, held] = [machine.ram.read8(GUEST.PENDING + 0x400), vpt()];
    machine.savePending();
    expect([machine.ram.read8(GUEST.PENDING + 0x400), vpt(), byte, held]).toEqual([8, 8, 8, 8]);
  });

  it('PENDBASER outside of memory: -EFAULT if an LPI targets that vCPU, else 0; vPEs are mapped again [gic A-22] [gic 11/3] [gic 1.4/4]', () => {
    for (const [event, result] of [[0, EFAULT], [1, 0]] as const) {
      const machine = booted({ version: 'gicv4.1' });
      mapd(machine, 1, 4, GUEST.ITT);
      mapti(machine, 1, 0, 8195, event);
      machine.setGicr(0, 0, 0);
      machine.setGicr(0, 0x78, 0x7000_0580);
      const events = machine.host.trace.record();
      expect(machine.savePending()).toBe(result);
      const vmapps = events.flatMap(({ id, fields }) => {
        const { name, words } = fields as { name: string; words: bigint[] };
        return id === 'gic/command' && name === 'VMAPP' ? [words[2]! >> 63n] : [];
      });
      expect(vmapps).toEqual([0n, 0n, 1n, 1n]);
      expect(machine.vm.vcpus.map(({ vpe }) => vpe!.mapped)).toEqual([true, true]);
      // The VM can go on.
      expect([machine.vcpu(0).run(1), machine.vcpu(1).run(0)]).toEqual([0, 0]);
    }
  });
});

describe('the dirty log', () => {
  it('each write of a table marks its page; a repeated save the ITS tables again, the pending tables not [gic A-49] [gic F-V6] [gic 5.7/1] [gic 11/25]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195, 8196]);
    machine.msi(1, 0);
    const { memory } = machine.vm;
    memory.logDirty(true);
    const tables = [GUEST.COLLECTIONS, GUEST.DEVICES, GUEST.ITT + 0x1000].map((at) => at / PAGE);
    expect([machine.saveTables(), memory.takeDirty()]).toEqual([0, tables]);
    expect([machine.savePending(), memory.takeDirty()]).toEqual([0, [GUEST.PENDING / PAGE]]);
    expect([machine.saveTables(), memory.takeDirty()]).toEqual([0, tables]);
    expect([machine.savePending(), memory.takeDirty()]).toEqual([0, []]);
    const there = new Machine({ version: 'gicv3', ram: machine.ram });
    there.vm.memory.logDirty(true);
    there.restore({ ...machine.save(), tables: 0, pending: 0 });
    expect(there.vm.memory.takeDirty()).toEqual([GUEST.PENDING / PAGE]);
  });

  it('devices and their ITTs before collections: a table that cannot be written leaves what came before [gic 5.7/1]', () => {
    const machine = booted();
    machine.mapDevice(1, [8195]);
    machine.mapDevice(2, [8196]);
    const { memory } = machine.vm;
    const writes = vi.spyOn(memory, 'writeWords');
    machine.saveTables();
    const collections = [0, 1, 2].map((n) => GUEST.COLLECTIONS + 8 * n);
    const order = writes.mock.calls.map(([address]) => address).filter((address) => address % 8 === 0);
    expect(order).toEqual([iteOf(1, 0), dteOf(1), iteOf(2, 0), dteOf(2), ...collections]);
  });
});
