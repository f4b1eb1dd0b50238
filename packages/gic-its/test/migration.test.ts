import { describe, expect, it } from 'vitest';
import type { TraceEvent } from '@vsim/vfio-core';
import { CTRL, encode, GRP, OPCODE } from '../src/index.ts';
import { DOORBELL, GUEST, Machine, takeAll, type MachineInit, type Vector } from './machine.ts';

const LPIS = [8195, 8200];
const DEVICE = 0x10;

function forwarded(init: MachineInit = {}): { machine: Machine; vectors: Vector[] } {
  const machine = new Machine(init);
  machine.boot();
  machine.mapDevice(DEVICE, LPIS);
  const irqs = machine.driver.allocate(DEVICE, LPIS.length, false);
  const vectors = irqs.map((irq, event) => machine.vector(DEVICE, event, irq));
  return { machine, vectors };
}

/** A second host takes the guest's RAM over. */
function migrate(from: Machine, init: MachineInit = {}): { machine: Machine; vectors: Vector[]; restored: number } {
  const saved = from.save();
  expect([saved.tables, saved.pending]).toEqual([0, 0]);
  const machine = new Machine({ ...init, ram: from.ram });
  const restored = machine.restore(saved);
  const irqs = machine.driver.allocate(DEVICE, LPIS.length, false);
  const vectors = irqs.map((irq, event) => machine.vector(DEVICE, event, irq));
  return { machine, vectors, restored };
}

function names(events: readonly TraceEvent[]): string[] {
  return events.flatMap(({ id, fields }) => {
    if (id === 'gic-host/vpt-flushed') return ['FLUSH'];
    return id === 'gic/command' ? [(fields as { name: string }).name] : [];
  });
}

describe('forwarding', () => {
  it('DISCARD, SYNC, VMAPTI, VSYNC for an idle LPI [gic TR-06] [gic P5-T2]', () => {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, LPIS);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    irq!.setHandler(() => undefined);
    const events = machine.host.trace.record();
    const vector = machine.vector(DEVICE, 0, irq!);
    expect(vector.connected).toBe(0);
    expect(irq!.forwarded).toBe(true);
    expect(names(events)).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC']);
  });

  it('hands a pending latch to the hardware with one INT after VMAPTI [gic TR-07] [gic P5-T1] [gic P5-T5]', () => {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, LPIS);
    expect(machine.vm.signalMsi(DOORBELL, 0, 1, DEVICE)).toBe(1);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const events = machine.host.trace.record();
    machine.vector(DEVICE, 0, irq!);
    expect(names(events).slice(-6)).toEqual(['DISCARD', 'SYNC', 'VMAPTI', 'VSYNC', 'INT', 'VSYNC']);
    expect(machine.vm.lpis.find(8195)!.pendingLatch).toBe(false);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });

  it('takes an LPI out of a list register: the guest sees it once, as a VLPI [gic K-39] [gic I-1] [gic P5-T3]', () => {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, LPIS);
    const vcpu = machine.vcpu(0);
    vcpu.irqsMasked = true;
    vcpu.run(0);
    machine.vm.signalMsi(DOORBELL, 0, 1, DEVICE);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    machine.vector(DEVICE, 0, irq!);
    const lpi = machine.vm.lpis.find(8195)!;
    expect([lpi.hw, lpi.pendingLatch]).toEqual([true, false]);
    expect(machine.gic.cpu(0).virtual.read('ICH_ELRSR_EL2')).toBe(0xfn);
    expect(machine.gic.redistributors[0]!.bestVlpi.intid).toBe(8195);
    expect(takeAll(vcpu)).toEqual([8195]);
  });

  it('a VLPI arrives at a running vCPU without the host, and wakes a blocked one by its doorbell [gic K-49] [gic TR-17]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(1);
    vcpu.run(1);
    machine.raise(vectors[1]!);
    expect(vectors[1]!.eventfd.count).toBe(0n);
    expect(takeAll(vcpu)).toEqual([8200]);
    vcpu.wfi();
    expect(vcpu.state).toBe('blocked');
    machine.raise(vectors[1]!);
    expect(vcpu.state).toBe('running');
    expect(takeAll(vcpu)).toEqual([8200]);
  });

  it('WFI with something pending does not block [gic TR-16]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    vcpu.irqsMasked = true;
    vcpu.run(0);
    machine.raise(vectors[0]!);
    vcpu.wfi();
    expect(vcpu.state).toBe('running');
    expect(takeAll(vcpu)).toEqual([8195]);
  });

  it('a vCPU that moves takes its VLPIs along, with VMOVP [gic TR-14] [gic H-21]', () => {
    const { machine, vectors } = forwarded();
    const vcpu = machine.vcpu(0);
    machine.raise(vectors[0]!);
    const events = machine.host.trace.record();
    vcpu.run(1);
    expect(names(events)).toEqual(['VMOVP', 'VSYNC']);
    expect(takeAll(vcpu)).toEqual([8195]);
  });

  it('the guest moves a pending VLPI to another vCPU [gic P3-T3] [gic TR-11]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    const events = machine.host.trace.record();
    machine.command((to) => encode.movi(to, DEVICE, 0, 1));
    expect(names(events)).toEqual(['VMOVI', 'VSYNC']);
    const [from, to] = [machine.vcpu(0).vpe!, machine.vcpu(1).vpe!];
    from.freeDoorbell();
    to.freeDoorbell();
    expect([from.peek(8195), to.peek(8195)]).toEqual([false, true]);
  });

  it('is refused while the guest has its ITS off, and not tried again [gic F-V16] [gic A-38]', () => {
    const machine = new Machine();
    machine.boot();
    machine.mapDevice(DEVICE, LPIS);
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 0n);
    const [irq] = machine.driver.allocate(DEVICE, 1, false);
    const vector = machine.vector(DEVICE, 0, irq!);
    expect(vector.connected).toBe(-16);
    machine.vm.store(machine.vcpu(0), GUEST.ITS, 4, 1n);
    machine.raise(vector);
    expect(irq!.forwarded).toBe(false);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });

  it('taking it back makes it an LPI of the host again [gic TR-08] [gic F-V18]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    machine.bypass.unregisterProducer(vectors[0]!.producer);
    expect(vectors[0]!.irq.forwarded).toBe(false);
    machine.vcpu(0).run(0);
    // What was pending in the VPT is gone; the next one comes through eventfd and irqfd.
    expect(takeAll(machine.vcpu(0))).toEqual([]);
    machine.raise(vectors[0]!);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });
});

describe('saving pending tables', () => {
  it('takes VLPIs from the VPT and LPIs from their latches [gic P4-T1] [gic P4-T2]', () => {
    const { machine, vectors } = forwarded();
    machine.mapDevice(DEVICE + 1, [8300]);
    machine.vm.signalMsi(DOORBELL, 0, 1, DEVICE + 1);
    machine.raise(vectors[0]!);
    // A stale bit of the VLPI that is not pending.
    machine.ram.write8(GUEST.PENDING + 0x1_0000 + (8200 >> 3), 1 << (8200 & 7));
    expect(machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(0);
    const bit = (vcpu: number, intid: number): number => (machine.ram.read8(GUEST.PENDING + vcpu * 0x1_0000 + (intid >> 3)) >> (intid & 7)) & 1;
    expect([bit(0, 8195), bit(1, 8200), bit(0, 8300)]).toEqual([1, 0, 1]);
  });

  it('unmaps every vPE, reads, and maps them again [gic TR-19] [gic P4-T6] [gic P1-T3]', () => {
    const { machine } = forwarded({ choices: { coherent: false } });
    const events = machine.host.trace.record();
    machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
    const unmap = ['INVDB', 'VSYNC', 'VMAPP', 'FLUSH'];
    const map = ['VMAPP', 'VSYNC', 'VINVALL', 'VSYNC', 'INVDB', 'VSYNC'];
    expect(names(events)).toEqual([...unmap, ...unmap, ...map, ...map]);
  });

  it('maps the vPEs again when guest memory fails [gic P4-T4]', () => {
    const { machine, vectors } = forwarded();
    machine.raise(vectors[0]!);
    machine.vm.memory.removeSlot(GUEST.RAM);
    expect(machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(-14);
    expect(machine.vm.vcpus.every((vcpu) => vcpu.vpe!.mapped)).toBe(true);
  });

  it('a running vCPU is -EBUSY, without any effect [gic P4-T11]', () => {
    const { machine } = forwarded();
    machine.vcpu(1).run(0);
    const events = machine.host.trace.record();
    expect(machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(-16);
    expect(machine.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)).toBe(-16);
    expect(events.map(({ id, text }) => [id, text])).toEqual([
      ['kvm-vgic/vcpu-runs', 'SAVE_PENDING_TABLES: vcpu 1 runs'],
      ['kvm-vgic/vcpu-runs', 'CTRL of an its: vcpu 1 runs'],
    ]);
  });

  it('a resumed source still delivers: stop and go three times [gic P2-T1] [gic P2-T5] [gic P4-T8]', () => {
    const { machine, vectors } = forwarded();
    for (const vector of vectors) machine.raise(vector);
    for (let i = 0; i < 3; i += 1) expect(machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0)).toBe(0);
    const events = machine.host.trace.record();
    machine.vcpu(1).run(1);
    expect(names(events)).toEqual(['VMOVP', 'VSYNC']);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
    expect(takeAll(machine.vcpu(1))).toEqual([8200]);
  });

  it('forwarded interrupts can be saved on GICv4.1 only [gic P6-T1]', () => {
    expect(forwarded().machine.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)).toBe(0);
    expect(forwarded({ version: 'gicv4' }).machine.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)).toBe(-13);
    expect(forwarded({ switches: { allowSaveForwardedV41: false } }).machine.its.setAttr(GRP.CTRL, CTRL.ITS_SAVE_TABLES, 0)).toBe(-13);
  });
});

describe('migration', () => {
  it.each(['gicv4.1', 'gicv3'] as const)('of a VM with pending VLPIs to a host with %s: each is taken once [gic F-V20]', (version) => {
    const { machine, vectors } = forwarded();
    machine.vcpu(0).run(0);
    machine.vcpu(0).irqsMasked = true;
    machine.raise(vectors[0]!);
    machine.raise(vectors[1]!);
    machine.vcpu(0).stop();
    const there = migrate(machine, { version });
    expect(there.restored).toBe(0);
    there.machine.vcpu(0).run(1);
    there.machine.vcpu(1).run(0);
    expect(takeAll(there.machine.vcpu(0))).toEqual([8195]);
    expect(takeAll(there.machine.vcpu(1))).toEqual([8200]);
    there.machine.raise(there.vectors[0]!);
    expect(takeAll(there.machine.vcpu(0))).toEqual([8195]);
  });

  it('from GICv3 to GICv4.1: a latch becomes a pending VLPI [gic F-V21]', () => {
    const { machine, vectors } = forwarded({ version: 'gicv3' });
    machine.raise(vectors[0]!);
    const there = migrate(machine);
    expect(there.vectors[0]!.irq.forwarded).toBe(true);
    there.machine.vcpu(0).run(0);
    expect(takeAll(there.machine.vcpu(0))).toEqual([8195]);
  });

  it('is what each patch makes it [gic P1-T1] [gic P2-T1] [gic P5-T1]', () => {
    // The catalogue's matrix: seen on the destination, seen on the source that goes on.
    const runs: readonly (readonly [MachineInit, number, number])[] = [
      [{}, 1, 1],
      [{ switches: { flushVptOnUnmap: false }, choices: { coherent: false } }, 0, 1],
      [{ switches: { neverPtz: false } }, 1, 0],
      [{ switches: { vlpiPeek: false, saveVlpiPending: false } }, 0, 1],
      // By a list register: what was latched, and is not transferred, is delivered once all the same.
      [{ switches: { transferPendingOnForward: false } }, 1, 1],
    ];
    for (const [init, destination, source] of runs) {
      const here = forwarded(init);
      here.machine.raise(here.vectors[0]!);
      const there = migrate(here.machine, init);
      there.machine.vcpu(0).run(0);
      expect([JSON.stringify(init), takeAll(there.machine.vcpu(0)).length]).toEqual([JSON.stringify(init), destination]);
      here.machine.vcpu(0).run(0);
      expect([JSON.stringify(init), takeAll(here.machine.vcpu(0)).length]).toEqual([JSON.stringify(init), source]);
    }
  });

  it('an irqfd work item that has not run is in no table: it has to be drained first [gic F-V14]', async () => {
    const { IRQFD_INJECT } = await import('../src/index.ts');
    const { machine, vectors } = forwarded({ version: 'gicv3' });
    machine.host.scheduler.stopAt(IRQFD_INJECT);
    machine.raise(vectors[0]!);
    expect(machine.vm.pendingInjections).toBe(1);
    const drained = machine.host.scheduler.spawn('drain', machine.vm.drainIrqfds());
    expect(drained.finished).toBe(false);
    machine.host.scheduler.release(IRQFD_INJECT);
    expect(drained.finished).toBe(true);
    expect(machine.vm.lpis.find(8195)!.pendingLatch).toBe(true);
  });

  it('two ITSs: Alloc is 1 in the first VMAPP and the last [gic TR-21] [gic P1-T2]', () => {
    const { machine } = forwarded({ its: [0x0808_0000, 0x0900_0000], vcpus: 1 });
    const events = machine.host.trace.record();
    machine.vgic.setAttr(GRP.CTRL, CTRL.SAVE_PENDING_TABLES, 0);
    const alloc = events.flatMap(({ id, fields }) => {
      const { name, its, words } = fields as { name: string; its: number; words: bigint[] };
      return id === 'gic/command' && name === 'VMAPP' ? [`${its}:${(words[2]! >> 63n).toString()}${((words[0]! >> 8n) & 1n).toString()}`] : [];
    });
    expect(alloc).toEqual(['1:00', '0:01', '1:11', '0:10']);
    expect(names(events).filter((name) => name === 'FLUSH')).toHaveLength(1);
  });

  it('guest INV of a forwarded LPI writes the VM property table [gic TR-09] [gic I-4]', () => {
    const { machine, vectors } = forwarded();
    machine.ram.write8(GUEST.PROPERTIES + 8195 - 8192, 0x50);
    machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0));
    expect(vectors[0]!.irq.getVlpi()!.properties).toBe(0x52);
    machine.raise(vectors[0]!);
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([]);
    machine.ram.write8(GUEST.PROPERTIES + 8195 - 8192, 0x51);
    machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, 0));
    expect(takeAll(machine.vcpu(0))).toEqual([8195]);
  });
});

describe('vCPUs on CPUs', () => {
  it('one that wakes while its CPU is taken runs on another, or waits for one', () => {
    const { machine, vectors } = forwarded({ vcpus: 3 });
    const [first, second, third] = machine.vm.vcpus;
    first!.run(0);
    first!.wfi();
    expect(second!.run(0)).toBe(0);
    expect(third!.run(0)).toBe(-16);
    machine.raise(vectors[0]!);
    expect([first!.state, first!.cpu]).toEqual(['running', 1]);
    expect(takeAll(first!)).toEqual([8195]);
    first!.wfi();
    third!.run(1);
    machine.raise(vectors[0]!);
    expect(first!.state).toBe('blocked');
    second!.stop();
    expect([first!.state, first!.cpu]).toEqual(['running', 0]);
    expect(takeAll(first!)).toEqual([8195]);
  });

  it('more than four LPIs go through four list registers, best priority first [gic K-5]', () => {
    const machine = new Machine({ version: 'gicv3', vcpus: 1 });
    machine.boot();
    const lpis = [8192, 8193, 8194, 8195, 8196, 8197];
    machine.mapDevice(DEVICE, lpis);
    // Priorities fall with the number.
    lpis.forEach((lpi, i) => {
      machine.ram.write8(GUEST.PROPERTIES + lpi - 8192, 0xa1 - 8 * i);
      machine.command((to) => encode.event(to, OPCODE.INV, DEVICE, i));
    });
    lpis.forEach((_lpi, event) => machine.vm.signalMsi(DOORBELL, event, 1, DEVICE));
    machine.vcpu(0).run(0);
    expect(takeAll(machine.vcpu(0))).toEqual([...lpis].reverse());
  });
});
