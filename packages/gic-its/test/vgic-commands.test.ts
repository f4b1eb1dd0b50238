/** Commands of the virtual ITS: what each needs, what it does, and the code with which it fails. The guest sees no code. */
import { describe, expect, it, vi } from 'vitest';
import { E_ITS, encode, OPCODE, type GicVersion, type VgicIrq } from '../src/index.ts';
import { ItsCommands } from '../src/vgic/vgic-its-commands.ts';
import { commandNames, GUEST, Machine, takeAll, type MachineInit, type Vector } from './machine.ts';

const DEVICE = 0x10;
const ITT = GUEST.ITT + DEVICE * 0x1000;
const SCRATCH = GUEST.QUEUE + 0xf000;

type Build = (to: Uint32Array) => void;

class Guest extends Machine {
  /** The internal code of a command, executed as the queue would. */
  code(build: Build): number {
    const words = new Uint32Array(8);
    build(words);
    words.forEach((word, i) => this.ram.write32(SCRATCH + 4 * i, word));
    const { registers, mappings } = this.its;
    return new ItsCommands(this.vm, registers, mappings, (device, event) => this.its.triggerMsi(device, event)).execute(SCRATCH);
  }

  lpi(intid: number): VgicIrq {
    return this.vm.lpis.find(intid)!;
  }
}

/** Device 0x10 with events 0 and 1: LPIs 8195 on vCPU 0 and 8196 on vCPU 1. */
function guest(init: MachineInit = {}): Guest {
  const made = new Guest({ version: 'gicv3', ...init });
  made.boot();
  made.mapDevice(DEVICE, [8195, 8196]);
  return made;
}

function forwarded(version: GicVersion = 'gicv4.1'): { machine: Guest; vectors: Vector[] } {
  const machine = guest({ version });
  const vectors = machine.driver.allocate(DEVICE, 2, false).map((irq, event) => machine.vector(DEVICE, event, irq));
  return { machine, vectors };
}

const event = (opcode: number, id: number, device = DEVICE): Build => (to) => encode.event(to, opcode, device, id);
const mapd = (device: number, bits: number, valid = true, itt: number = ITT): Build => (to) => encode.mapd(to, device, bits - 1, itt, valid);
const mapc = (icid: number, target: number, valid = true): Build => (to) => encode.mapc(to, icid, target, valid);
const mapti = (id: number, intid: number, icid: number, device = DEVICE): Build => (to) => encode.mapti(to, device, id, intid, icid);
const movi = (id: number, icid: number): Build => (to) => encode.movi(to, DEVICE, id, icid);

describe('MAPD', () => {
  it('checks the id against the table and the ITT\'s size; V=0 ignores the size, frees, and zeroes the DTE [gic 5.4/1]', () => {
    const machine = guest();
    const dte = GUEST.DEVICES + DEVICE * 8;
    // The device table has 8 pages of 64 KiB: ids up to 65535, and no more.
    expect(machine.code(mapd(0x1_0000, 4))).toBe(E_ITS.MAPD_DEVICE_OOR);
    expect([machine.code(mapd(DEVICE, 17)), machine.msi(DEVICE, 0)]).toEqual([E_ITS.MAPD_ITTSIZE_OOR, 1]);
    expect([E_ITS.MAPD_DEVICE_OOR, E_ITS.MAPD_ITTSIZE_OOR]).toEqual([0x01_0801, 0x01_0802]);
    // Mapped again: the old events are gone, their ITEs stay in memory.
    machine.saveTables();
    expect([machine.code(mapd(DEVICE, 4)), machine.msi(DEVICE, 0), machine.word(ITT) !== 0n]).toEqual([0, 0, true]);
    machine.saveTables();
    expect([machine.code(mapd(DEVICE, 32, false)), machine.word(dte), machine.its.mappings.devices.length]).toEqual([0, 0n, 0]);
    // A device that was never mapped, too.
    machine.setWord(GUEST.DEVICES + 9 * 8, 1n << 63n);
    expect([machine.code(mapd(9, 4, false)), machine.word(GUEST.DEVICES + 9 * 8)]).toEqual([0, 0n]);
    expect(machine.word(ITT) !== 0n).toBe(true);
  });

  it('wants the page of an indirect table in memory [gic 5.4/1]', () => {
    const machine = guest();
    machine.setIts(0, 0n);
    machine.setIts(0x100, (3n << 62n) | BigInt(GUEST.DEVICES));
    machine.setWord(GUEST.DEVICES + 8, 0x8000_0000_0000_0000n | BigInt(GUEST.DEVICES + 0x1_0000));
    machine.setWord(GUEST.DEVICES + 16, 0x8000_0000_7000_0000n);
    expect([mapd(1, 4), mapd(8192, 4), mapd(16384, 4)].map((build) => machine.code(build))).toEqual([E_ITS.MAPD_DEVICE_OOR, 0, E_ITS.MAPD_DEVICE_OOR]);
  });
});

describe('MAPC', () => {
  it('checks the target, for V=0 too, and the ICID of a new collection [gic 5.4/2]', () => {
    const machine = guest();
    expect([machine.code(mapc(5, 2)), machine.code(mapc(0, 2, false))]).toEqual([0x01_0902, 0x01_0902]);
    expect([E_ITS.MAPC_PROCNUM_OOR, E_ITS.MAPC_COLLECTION_OOR]).toEqual([0x01_0902, 0x01_0903]);
    // One page of 64 KiB: 8192 collections.
    expect([machine.code(mapc(8191, 0)), machine.code(mapc(8192, 0))]).toEqual([0, 0x01_0903]);
    expect(machine.msi(DEVICE, 0)).toBe(1);
  });

  it('V=1 of a known one re-targets its LPIs, with VMOVI where they are forwarded [gic 5.4/2] [gic TR-11]', () => {
    const { machine, vectors } = forwarded();
    const events = machine.host.trace.record();
    expect(machine.code(mapc(0, 1))).toBe(0);
    expect([commandNames(events), machine.lpi(8195).target!.id]).toEqual([['VMOVI', 'VSYNC'], 1]);
    expect(vectors[0]!.irq.getVlpi()!.vpe).toBe(machine.vcpu(1).vpe);
  });

  it('V=0 orphans ITEs for good: MSI, MOVI, DISCARD and MAPTI do nothing, INV and CLEAR work [gic 5.4/2] [gic 11/19]', () => {
    const machine = guest();
    expect(machine.code(mapc(0, 0, false))).toBe(0);
    expect(machine.msi(DEVICE, 0)).toBe(0);
    expect(machine.code(movi(0, 1))).toBe(E_ITS.MOVI_UNMAPPED_COLLECTION);
    expect(machine.code(event(OPCODE.DISCARD, 0))).toBe(E_ITS.DISCARD_UNMAPPED_INTERRUPT);
    expect([machine.code(mapti(0, 8200, 1)), machine.vm.lpis.find(8200)]).toEqual([0, undefined]);
    machine.ram.write8(GUEST.PROPERTIES + 3, 0x50);
    expect([machine.code(event(OPCODE.INV, 0)), machine.lpi(8195).priority]).toEqual([0, 0x50]);
    machine.lpi(8195).pendingLatch = true;
    expect([machine.code(event(OPCODE.CLEAR, 0)), machine.lpi(8195).pendingLatch]).toEqual([0, false]);
    // A new MAPC does not adopt them.
    expect([machine.code(mapc(0, 0)), machine.msi(DEVICE, 0)]).toEqual([0, 0]);
  });
});

describe('MAPTI and MAPI', () => {
  it('need a device, an event within the ITT whose page is in memory, and an LPI [gic 5.4/3]', () => {
    const machine = guest();
    expect([E_ITS.MAPTI_UNMAPPED_DEVICE, E_ITS.MAPTI_ID_OOR, E_ITS.MAPTI_PHYSICALID_OOR]).toEqual([0x01_0a04, 0x01_0a05, 0x01_0a06]);
    expect(machine.code(mapti(0, 8200, 0, 99))).toBe(0x01_0a04);
    expect([machine.code(mapti(31, 8200, 0)), machine.code(mapti(32, 8201, 0))]).toEqual([0, 0x01_0a05]);
    machine.code(mapd(9, 4, true, 0x7000_0000));
    expect(machine.code(mapti(0, 8202, 0, 9))).toBe(0x01_0a05);
    expect([8191, 65536].map((lpi) => machine.code(mapti(5, lpi, 0)))).toEqual([0x01_0a06, 0x01_0a06]);
    expect(machine.code(mapti(5, 65535, 0))).toBe(0);
    // PROPBASER.IDbits 13 is 14 bits.
    machine.vm.vcpus.forEach((_vcpu, n) => machine.setGicr(n, 0, 0));
    machine.setGicr(0, 0x70, GUEST.PROPERTIES + 0x580 + 13);
    expect([machine.code(mapti(6, 16384, 0)), machine.code(mapti(6, 16383, 0))]).toEqual([0x01_0a06, 0]);
  });

  it('on a mapped event: ignored with success; MAPI: the LPI is the EventID [gic 5.4/3] [gic 11/19]', () => {
    const machine = guest();
    expect([machine.code(mapti(0, 8300, 1)), machine.vm.lpis.find(8300)]).toEqual([0, undefined]);
    machine.code(mapd(9, 16, true, GUEST.ITT + 0x8_0000));
    expect(machine.code((to) => to.set([OPCODE.MAPI, 9, 8400, 0xdead, 1, 0, 0, 0]))).toBe(0);
    expect([machine.msi(9, 8400), machine.lpi(8400).target!.id]).toEqual([1, 1]);
  });

  it('an unknown collection is created without a target, if its id fits [gic 5.4/3] [gic 11/19]', () => {
    const machine = guest();
    expect([machine.code(mapti(5, 8205, 7)), machine.msi(DEVICE, 5)]).toEqual([0, 0]);
    expect(machine.its.mappings.findCollection(7)!.target).toBe(0xffff_ffff);
    expect([machine.code(mapti(6, 8206, 9000)), machine.its.mappings.findEvent(DEVICE, 6)]).toEqual([0x01_0903, undefined]);
    expect([machine.code(mapc(7, 1)), machine.msi(DEVICE, 5)]).toEqual([0, 1]);
  });
});

describe('commands of an event', () => {
  it('MOVI needs the event and both collections mapped; it drops the cache [gic 5.4/4]', () => {
    const machine = guest();
    machine.code(mapti(5, 8205, 7));
    expect([machine.code(movi(9, 1)), machine.code(movi(0, 7)), machine.code(movi(5, 1)), machine.code(movi(0, 99))]).toEqual([0x01_0107, 0x01_0109, 0x01_0109, 0x01_0109]);
    machine.msi(DEVICE, 0);
    expect(machine.vm.cache.size).toBe(1);
    expect([machine.code(movi(0, 1)), machine.lpi(8195).target!.id, machine.vm.cache.size]).toEqual([0, 1, 0]);
    const { machine: hw } = forwarded();
    const events = hw.host.trace.record();
    expect([hw.code(movi(0, 1)), commandNames(events)]).toEqual([0, ['VMOVI', 'VSYNC']]);
  });

  it('DISCARD needs the event and its collection; the reference and the ITE go [gic 5.4/5]', () => {
    const machine = guest();
    machine.saveTables();
    expect(machine.code(event(OPCODE.DISCARD, 9))).toBe(0x01_0f07);
    expect([machine.code(event(OPCODE.DISCARD, 0)), machine.vm.lpis.find(8195), machine.word(ITT)]).toEqual([0, undefined, 0n]);
    expect(machine.msi(DEVICE, 0)).toBe(0);
  });

  it('a queued pending LPI outlives its DISCARD and MAPD; any other loses its state [gic 5.4/5]', () => {
    for (const queued of [true, false]) {
      const machine = guest();
      if (!queued) {
        machine.ram.write8(GUEST.PROPERTIES + 3, 0xa0);
        machine.code(event(OPCODE.INV, 0));
      }
      machine.msi(DEVICE, 0);
      machine.code(event(OPCODE.DISCARD, 0));
      expect(machine.vm.lpis.find(8195) !== undefined).toBe(queued);
      machine.code(mapd(DEVICE, 4, false));
      machine.vcpu(0).run(0);
      expect(takeAll(machine.vcpu(0))).toEqual(queued ? [8195] : []);
    }
  });

  it('DISCARD and MAPD of a forwarded event take it back from the hardware [gic TR-13]', () => {
    for (const undo of [event(OPCODE.DISCARD, 0), mapd(DEVICE, 4, false)]) {
      const { machine, vectors } = forwarded();
      machine.code(event(OPCODE.DISCARD, 1));
      const lpi = machine.lpi(8195);
      lpi.references += 1;
      const events = machine.host.trace.record();
      expect(machine.code(undo)).toBe(0);
      expect(commandNames(events)).toEqual(['DISCARD', 'SYNC', 'MAPTI', 'SYNC']);
      const { irq } = vectors[0]!;
      expect([irq.forwarded, machine.driver.property(irq.lpi), lpi.hw, machine.vcpu(0).vlpiCount]).toEqual([false, 0xa3, false, 0]);
      // The producer stays: the next MSI comes through handler, eventfd and irqfd, and is dropped.
      const trace = machine.host.trace.record();
      machine.raise(vectors[0]!);
      expect([commandNames(trace), lpi.pendingLatch, machine.vm.pendingInjections]).toEqual([[], false, 0]);
      expect(machine.msi(DEVICE, 0)).toBe(0);
    }
  });

  it('after DISCARD and MAPTI the LPI stays with software until VFIO sets the vector up again [gic K-23]', () => {
    const { machine, vectors } = forwarded();
    machine.code(event(OPCODE.DISCARD, 0));
    machine.code(mapti(0, 8195, 0));
    machine.raise(vectors[0]!);
    expect([vectors[0]!.irq.forwarded, machine.lpi(8195).hw, machine.lpi(8195).pendingLatch]).toEqual([false, false, true]);
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    expect(machine.bypass.registerProducer(vectors[0]!.producer)).toBe(0);
    expect([vectors[0]!.irq.forwarded, machine.lpi(8195).hw]).toEqual([true, true]);
  });

  it('CLEAR clears the latch, INT is an MSI; forwarded, both go to the hardware [gic 5.4/6] [gic 5.4/10] [gic TR-12]', () => {
    const machine = guest();
    expect([machine.code(event(OPCODE.CLEAR, 9)), machine.code(event(OPCODE.INT, 9))]).toEqual([0x01_0507, 0x01_0307]);
    expect([machine.code(event(OPCODE.INT, 0)), machine.lpi(8195).pendingLatch, machine.vm.cache.size]).toEqual([0, true, 1]);
    expect([machine.code(event(OPCODE.CLEAR, 0)), machine.lpi(8195).pendingLatch]).toEqual([0, false]);
    const { machine: hw } = forwarded();
    const events = hw.host.trace.record();
    expect([hw.code(event(OPCODE.INT, 0)), hw.lpi(8195).pendingLatch]).toEqual([0, false]);
    expect(hw.code(event(OPCODE.CLEAR, 0))).toBe(0);
    expect(commandNames(events)).toEqual(['INT', 'VSYNC', 'CLEAR', 'VSYNC']);
  });

  it('INV reads the property again; what became deliverable is queued; forwarded, the hardware is told [gic 5.4/7] [gic 11/21]', () => {
    const machine = guest();
    expect(machine.code(event(OPCODE.INV, 9))).toBe(0x01_0c07);
    machine.ram.write8(GUEST.PROPERTIES + 3, 0xa0);
    machine.code(event(OPCODE.INV, 0));
    machine.msi(DEVICE, 0);
    expect(machine.lpi(8195).queuedOn).toBeUndefined();
    machine.ram.write8(GUEST.PROPERTIES + 3, 0x51);
    expect([machine.code(event(OPCODE.INV, 0)), machine.lpi(8195).priority, machine.lpi(8195).queuedOn]).toEqual([0, 0x50, machine.vcpu(0)]);
    // Write and invalidate one: INVLPIR of the vPE, no command of the ITS. Never queued in software.
    const { machine: hw } = forwarded();
    hw.ram.write8(GUEST.PROPERTIES + 3, 0x51);
    hw.lpi(8195).pendingLatch = true;
    const events = hw.host.trace.record();
    expect([hw.code(event(OPCODE.INV, 0)), hw.lpi(8195).queuedOn]).toEqual([0, undefined]);
    expect(commandNames(events)).toEqual([]);
    expect(hw.host.memory.read8(hw.vm.itsVm!.propertyTable + 3)).toBe(0x53);
  });
});

describe('commands of a collection or vCPU', () => {
  it('INVALL needs a mapped collection and reads the LPIs of its vCPU again [gic 5.4/8]', () => {
    const machine = guest();
    machine.code(mapti(5, 8205, 7));
    expect([machine.code((to) => encode.invall(to, 7)), machine.code((to) => encode.invall(to, 99))]).toEqual([0x01_0d09, 0x01_0d09]);
    for (const lpi of [8195, 8196]) machine.ram.write8(GUEST.PROPERTIES + lpi - 8192, 0x50);
    expect(machine.code((to) => encode.invall(to, 0))).toBe(0);
    expect([machine.lpi(8195).priority, machine.lpi(8196).priority]).toEqual([0x50, 0xa0]);
  });

  it('INVALL of k forwarded LPIs: k property bytes, then one invalidation of the vPE [gic TR-10] [gic 11/21] [gic 5.4/8]', () => {
    const { machine } = forwarded();
    machine.code(movi(1, 0));
    for (const lpi of [8195, 8196]) machine.ram.write8(GUEST.PROPERTIES + lpi - 8192, 0x51);
    const { memory } = machine.host;
    const properties = machine.vm.itsVm!.propertyTable;
    const events = machine.host.trace.record();
    const writes = vi.spyOn(machine.driver, 'writeRedistributor');
    expect(machine.code((to) => encode.invall(to, 0))).toBe(0);
    const vpeid = machine.vcpu(0).vpe!.vpeid;
    expect([writes.mock.calls, commandNames(events)]).toEqual([[[0, 0xb0, 0, 0x8000_0000 + vpeid]], []]);
    expect([memory.read8(properties + 3), memory.read8(properties + 4)]).toEqual([0x53, 0x53]);
  });

  it('INVALL on GICv4.0: VINVALL, and VMOVI where the enable bit changed [gic TR-10]', () => {
    const { machine } = forwarded('gicv4');
    machine.code(movi(1, 0));
    machine.ram.write8(GUEST.PROPERTIES + 3, 0x50);
    machine.ram.write8(GUEST.PROPERTIES + 4, 0x51);
    const events = machine.host.trace.record();
    machine.code((to) => encode.invall(to, 0));
    expect(commandNames(events)).toEqual(['VMOVI', 'VSYNC', 'VINVALL', 'VSYNC']);
  });

  it('MOVALL: both targets valid, equal does nothing; LPIs move, collections keep their target [gic 5.4/9]', () => {
    const machine = guest();
    expect([machine.code((to) => encode.movall(to, 0, 2)), machine.code((to) => encode.movall(to, 2, 0))]).toEqual([0x01_0e01, 0x01_0e01]);
    machine.msi(DEVICE, 0);
    expect([machine.code((to) => encode.movall(to, 1, 1)), machine.vm.cache.size]).toEqual([0, 1]);
    expect([machine.code((to) => encode.movall(to, 0, 1)), machine.vm.cache.size]).toEqual([0, 0]);
    expect([machine.lpi(8195).target!.id, machine.its.mappings.findCollection(0)!.target]).toEqual([1, 0]);
    // A save and restore brings them back.
    machine.saveTables();
    machine.resetIts();
    expect([machine.restoreTables(), machine.lpi(8196).target!.id, machine.its.mappings.vcpuOf(machine.its.mappings.findEvent(DEVICE, 0)!.collection)!.id]).toEqual([0, 1, 0]);
    const { machine: hw } = forwarded();
    const events = hw.host.trace.record();
    hw.code((to) => encode.movall(to, 0, 1));
    expect(commandNames(events)).toEqual(['VMOVI', 'VSYNC']);
  });

  it('SYNC does nothing; commands for VLPIs and unknown ones are ignored [gic 5.4/11] [gic 5.4/12]', () => {
    const machine = guest();
    expect(machine.code((to) => encode.sync(to, 0))).toBe(0);
    for (const opcode of [0x21, 0x22, 0x23, 0x25, 0x29, 0x2a, 0x2b, 0x2d, 0x2e, 0x00, 0x77]) expect(machine.code(event(opcode, 0))).toBe(-19);
    expect([machine.msi(DEVICE, 0), machine.its.mappings.devices.length]).toEqual([1, 1]);
  });

  it('CREADR advances over commands that fail; the guest sees nothing of it [gic 11/20]', () => {
    const machine = guest();
    const at = Number(machine.its64(0x90));
    machine.command(event(OPCODE.INT, 9));
    machine.command(mapti(0, 8191, 0));
    machine.command(event(0x77, 0));
    machine.command(event(OPCODE.INT, 0));
    expect([machine.its64(0x90), machine.its64(0x88), machine.its64(0x0)]).toEqual([BigInt(at + 128), BigInt(at + 128), 0x8000_0001n]);
    expect(machine.lpi(8195).pendingLatch).toBe(true);
  });
});
